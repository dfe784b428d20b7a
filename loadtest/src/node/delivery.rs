//! How an answer goes out by HTTP where a fault says that it does not go out as it should: never, half of it, or in drops.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// From the first half of a truncated answer to the end of its connection.
const CUT_AFTER: Duration = Duration::from_millis(20);
/// How long a request without an answer is held.
const HOLD: Duration = Duration::from_secs(600);
/// Between two drops of a dripping body.
const DROP: Duration = Duration::from_millis(100);

/// No answer, until the node ends or whoever asked has long gone.
pub(crate) async fn held(shutdown: &CancellationToken) -> Response {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(HOLD) => {}
    }
    StatusCode::GATEWAY_TIMEOUT.into_response()
}

/// An answer: cut off in its middle, or at so many bytes a second, or whole.
pub(crate) fn body(bytes: Bytes, truncated: bool, drip: Option<u32>) -> Body {
    if truncated {
        let cut = async {
            // So that the first half is on its way before the connection ends.
            tokio::time::sleep(CUT_AFTER).await;
            Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "simulated fault"))
        };
        let half = bytes.slice(..bytes.len() / 2);
        Body::from_stream(futures::stream::iter([Ok(half)]).chain(futures::stream::once(cut)))
    } else if let Some(rate) = drip {
        let size = (rate as usize / 10).max(1);
        let pause = if rate >= 10 { DROP } else { Duration::from_secs(1) / rate.max(1) };
        Body::from_stream(futures::stream::unfold(bytes, move |mut left| async move {
            tokio::time::sleep(pause).await;
            let drop = left.split_to(size.min(left.len()));
            (!drop.is_empty()).then_some((Ok::<_, std::io::Error>(drop), left))
        }))
    } else {
        Body::from(bytes)
    }
}
