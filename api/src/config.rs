//! What `run` is told. Read and checked by the caller, once, before the port opens.

use std::{sync::Arc, time::Duration};

use control::Mode;
use decode::causes::Table;
use ipnet::IpNet;
use runtime::{
    beat::Board,
    config::{Alerts, Auth, RATE_LIMIT, Rate},
};
use schemas::{
    Family, Network,
    records::stage_status::{stage, state},
};
use tokio::sync::watch;

use axum::http::HeaderMap;
use url::Url;

use crate::{
    door::{ControlStore, Peer, address},
    tls::Certificate,
};

/// Settings of the API stage.
#[derive(Debug, Clone)]
pub struct Config {
    /// Configured networks, in the order of the file, as that changes. `/health` names each from the start, heard of or not.
    pub networks: watch::Receiver<Vec<NetworkConfig>>,
    /// The operator's contracts, as the configuration file has them.
    pub contracts: watch::Receiver<Vec<runtime::config::Contract>>,
    /// The plans, as the configuration file has them.
    pub plans: watch::Receiver<Vec<runtime::config::Plan>>,
    /// What processes share: a Redis server, by which what tenants use is counted over all of them.
    pub cache: runtime::config::Cache,
    /// Whether analysts read which contracts are watched: else `/sql` has nothing of it.
    pub analysts_see_contracts: bool,
    /// Prefix of the subjects in the built-in schema registry under `/registry`; `None`: another registry has the log's ids.
    pub registry_prefix: Option<String>,
    /// Names under which clients may call us, besides the loopback ones and the listen address.
    pub hosts: Vec<String>,
    /// Origins (`https://host[:port]`, as browsers write them) besides our own that browsers may call from. Empty: same origin
    /// only.
    pub allowed_origins: Vec<String>,
    /// The control store, and whom the door lets in.
    pub control: ControlStore,
    /// How people sign up, and how long they stay.
    pub auth: Auth,
    /// What the operator allows of rules, monitors and channels.
    pub bounds: control::Bounds,
    /// What the conditions of one tenant may cost a block, in steps (`[alerts] max_steps`): previews of monitors keep to it.
    pub max_steps: u64,
    /// What `/health` warns of: that everybody of other machines is let in.
    pub open_door: Option<String>,
    /// How people reach us, where it is said: its pages are ours too.
    pub public_url: Option<Url>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests by key, and by address for callers without one.
    pub rate_limit: Rate,
    /// The listener's certificate; `None`: plain HTTP.
    pub certificate: Option<Certificate>,
    /// How long one REST request may take before it is answered with 503.
    pub request_deadline: Duration,
    /// REST requests worked on at the same time; one more is answered with 503 at once. Three quarters of them may ask the store
    /// for rows.
    pub concurrent_requests: usize,
    /// How often the store is asked which sequence is visible, per process.
    pub visible_every: Duration,
    /// How often it is looked for networks of which much came that nobody has asked completeness of.
    pub count_every: Duration,
    /// How long after the start a store that never answered counts as starting rather than as a fault.
    pub store_grace: Duration,
    /// The table of causes (`[causes] table` before ours), by which errors are named again on reading.
    pub causes: Arc<Table>,
    /// How long after its block's time a failed transaction without a final cause still waits for one: `[causes] give_up_after`, and
    /// [`schemas::limits::finding::CAUSE_ON_ITS_WAY`].
    pub cause_pending: Duration,
    /// WebSocket keep-alive.
    pub ws: WsConfig,
    /// The store, as a user who may remove rows: those of organisations that are deleted. `None`: another process does that.
    pub remover: Option<store::Store>,
    /// Name of this process (`[runtime] instance`).
    pub instance: String,
    /// What the stage says of itself.
    pub board: Board,
}

/// A configured network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Its slug.
    pub network: Network,
    /// Its family.
    pub family: Family,
}

/// Settings of WebSocket connections.
#[derive(Debug, Clone)]
pub struct WsConfig {
    /// Connections at the same time; one more is answered with 503.
    pub connections: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// How often the server pings.
    pub ping_every: Duration,
    /// Silence (no frame, no pong) after which the connection is closed.
    pub idle: Duration,
    /// How long one event's frames may wait for a reader that takes none.
    pub write_deadline: Duration,
    /// Times that a reader may be overtaken within a minute before the connection is closed with 1013.
    pub overtaken_per_minute: u32,
    /// Events that wait for slow readers, over all networks.
    pub buffer_events: usize,
    /// Bytes of records that wait for slow readers, over all networks.
    pub buffer_bytes: usize,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            connections: schemas::limits::WS_CONNECTIONS,
            subscriptions: schemas::limits::WS_SUBSCRIPTIONS,
            ping_every: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            write_deadline: Duration::from_secs(10),
            overtaken_per_minute: 3,
            buffer_events: schemas::limits::WS_BUFFER_EVENTS,
            buffer_bytes: schemas::limits::WS_BUFFER_BYTES,
        }
    }
}

impl Config {
    /// The defaults for these networks.
    pub fn new(networks: Vec<NetworkConfig>) -> Self {
        Self::following(watch::Sender::new(networks).subscribe())
    }

    /// The defaults for networks that come and go.
    pub fn following(networks: watch::Receiver<Vec<NetworkConfig>>) -> Self {
        Self {
            networks,
            contracts: watch::Sender::new(Vec::new()).subscribe(),
            plans: watch::Sender::new(Vec::new()).subscribe(),
            cache: runtime::config::Cache::default(),
            analysts_see_contracts: true,
            registry_prefix: Some(schemas::topics::DEFAULT_PREFIX.to_owned()),
            hosts: Vec::new(),
            allowed_origins: Vec::new(),
            control: ControlStore::nowhere(Mode::None),
            auth: Auth::default(),
            bounds: control::Bounds::default(),
            max_steps: Alerts::default().max_steps,
            open_door: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            rate_limit: RATE_LIMIT,
            certificate: None,
            request_deadline: Duration::from_secs(15),
            concurrent_requests: schemas::limits::HTTP_CONCURRENT_REQUESTS,
            visible_every: Duration::from_millis(500),
            count_every: Duration::from_secs(1),
            store_grace: Duration::from_secs(60),
            causes: Arc::new(Table::builtin().clone()),
            cause_pending: Duration::from_secs(600) + schemas::limits::finding::CAUSE_ON_ITS_WAY,
            ws: WsConfig::default(),
            remover: None,
            instance: "headwater".to_owned(),
            board: Board::new(stage::API, state::RUNNING),
        }
    }

    /// Of the requests at the same time those that may ask the store for rows.
    pub(crate) fn row_requests(&self) -> usize {
        (self.concurrent_requests * 3 / 4).max(1)
    }

    /// The origin of the public URL, as browsers write it.
    pub fn own_origin(&self) -> Option<String> {
        self.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    /// Whether a client speaks TLS, to us or to a proxy that is believed.
    pub(crate) fn is_tls(&self, peer: &Peer, headers: &HeaderMap) -> bool {
        address::is_tls(peer, headers, &self.trusted_proxies)
    }
}
