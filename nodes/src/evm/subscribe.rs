//! A subscription to new heads by WebSocket (`eth_subscribe`, `newHeads`).
//!
//! Guarantee: an ended connection is seen and never silently made again; frames are bounded; no credential is in an error.

use std::time::Duration;

use alloy_primitives::B256;
use alloy_pubsub::{ConnectionHandle, PubSubConnect, RawSubscription};
use alloy_rpc_client::{ClientBuilder, RpcClient};
use alloy_transport::{Authorization, TransportErrorKind, TransportResult};
use alloy_transport_ws::{WebSocketConfig, WsConnect};
use schemas::limits;

use super::{
    client::EvmClient,
    endpoint::Endpoint,
    types::EvmHead,
    wire::{self, Lenient},
};
use crate::{
    error::{NodeError, NodeErrorKind},
    mask::user_and_password,
    tries::endless,
};

/// Deadline of connecting and subscribing.
pub(super) const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits between attempts, longer each time.
pub(super) fn reconnect_waits() -> backon::ExponentialBackoff {
    endless(Duration::from_millis(500), Duration::from_secs(60))
}

/// A subscription to new heads.
pub(super) struct Subscription {
    /// The connection ends with it.
    _client: RpcClient,
    heads: RawSubscription,
}

/// What came over the socket.
pub(super) enum Push {
    /// A head, and the bytes that it took.
    Head(EvmHead, usize),
    /// Something happened, but this is no header.
    Unreadable,
    /// The subscription has ended.
    Ended,
}

/// What the socket pushes next; never without a socket.
pub(super) async fn next_head(socket: &mut Option<Subscription>) -> Push {
    let Some(s) = socket else { return std::future::pending().await };
    loop {
        match s.heads.recv().await {
            Ok(raw) => {
                let head = serde_json::from_str::<Lenient<wire::Head>>(raw.get()).ok().and_then(|l| l.0);
                return match head.map(EvmHead::try_from) {
                    Some(Ok(head)) => Push::Head(head, raw.get().len()),
                    _ => Push::Unreadable,
                };
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return Push::Ended,
        }
    }
}

/// Connects and subscribes.
pub(super) async fn subscribe(client: &EvmClient) -> Result<Subscription, NodeError> {
    const METHOD: &str = "eth_subscribe";
    let Some(url) = &client.endpoint.ws else {
        return Err(client.error(METHOD, None, NodeErrorKind::Unreachable("no WebSocket URL".into())));
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::NODE_WS_FRAME_BYTES))
        .max_frame_size(Some(limits::NODE_WS_FRAME_BYTES));
    // Without its credentials: they go as a header.
    let mut bare = url.clone();
    let _ = (bare.set_username(""), bare.set_password(None));
    let connect = WsConnect::new(bare.as_str()).with_config(config).with_auth_opt(authorization(&client.endpoint));
    let subscribing = async {
        let rpc = ClientBuilder::default().pubsub(Once(connect)).await?;
        let id: B256 = rpc.request(METHOD, ["newHeads"]).await?;
        let frontend = rpc.pubsub_frontend().ok_or_else(|| TransportErrorKind::custom_str("not a WebSocket"))?;
        let heads = frontend.get_subscription(id).await?;
        Ok(Subscription { _client: rpc, heads })
    };
    let outcome: Result<TransportResult<Subscription>, _> = tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribing).await;
    match outcome {
        Ok(Ok(s)) => Ok(s),
        Ok(Err(e)) => Err(client.error(METHOD, None, NodeErrorKind::Unreachable(client.mask.scrub(e.to_string())))),
        Err(_) => Err(client.error(METHOD, None, NodeErrorKind::Timeout(SUBSCRIBE_TIMEOUT))),
    }
}

/// What a WebSocket's handshake shows who we are with: the configured header, else what stands in the WebSocket's URL, else what
/// stands in the HTTP URL of the same host.
fn authorization(endpoint: &Endpoint) -> Option<Authorization> {
    let configured = endpoint.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("authorization"));
    if let Some((_, value)) = configured {
        return Some(Authorization::Raw(value.clone()));
    }
    let ws = endpoint.ws.as_ref()?;
    let same_host = ws.host() == endpoint.url.host();
    let found = user_and_password(ws).or_else(|| user_and_password(&endpoint.url).filter(|_| same_host));
    found.map(|(user, password)| Authorization::basic(user, password))
}

/// A connection that is not silently made again: a reconnect must be seen, since what was pushed meanwhile is lost and the
/// node behind the name may be another one.
struct Once(WsConnect);

impl PubSubConnect for Once {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }
    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        self.0.connect().await
    }
    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("the connection was lost"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_the_url_go_with_the_websocket_of_the_same_host() {
        let of = |url: &str, ws: &str, header: Option<&str>| {
            authorization(&Endpoint {
                name: "a".into(),
                url: url.parse().unwrap(),
                ws: Some(ws.parse().unwrap()),
                headers: header.map(|v| ("Authorization".to_owned(), v.to_owned())).into_iter().collect(),
            })
        };
        let basic = |user, password| Some(Authorization::basic(user, password));
        assert_eq!(of("http://u:p%40s@a.example", "ws://a.example:81/x", None), basic("u", "p@s"));
        assert_eq!(of("http://u:p@a.example", "ws://v:q@a.example", None), basic("v", "q"));
        assert_eq!(of("http://u:p@a.example", "ws://b.example", None), None, "never to another host");
        assert_eq!(of("http://a.example", "ws://a.example", None), None);
        let raw = Some(Authorization::Raw("Bearer t".into()));
        assert_eq!(of("http://u:p@a.example", "ws://a.example", Some("Bearer t")), raw);
    }
}
