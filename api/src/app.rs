//! What all requests and connections share, made once by the wiring.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use control::Control;
use quick_cache::sync::Cache;
use runtime::{control::Follower, hosts::Hosts};
use schemas::{Family, Network};
use store::{
    Store,
    query::{MatchRow, StoredNetwork, Why},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    alerts::Commands,
    catalogue::Catalogue,
    config::{Config, NetworkConfig},
    decoding::Abis,
    door::{Asking, Budgets, Came},
    error::ApiError,
    export::Exports,
    items::MatchItem,
    ledger::Counts,
    letters::Letters,
    live::{Alerts, Causes, Rates, Rings, Windows},
    oidc,
    past::Pages,
    tenants::Tenants,
    turns::Turns,
    watch::{Facts, Positions, Probe, Providers, Statuses, Visible},
    windows::Answers,
};

/// What all requests and connections share.
pub struct App {
    /// Settings.
    pub config: Config,
    /// Our names.
    pub hosts: Hosts,
    /// The store.
    pub store: Store,
    /// What the store shows, asked at intervals.
    pub visible: Visible,
    /// How far the store shows the networks that WebSocket clients wait for.
    pub positions: Positions,
    /// The past, for WebSocket clients that resume.
    pub pages: Pages,
    /// What the stages say.
    pub statuses: Arc<Statuses>,
    /// What is said of endpoints.
    pub providers: Providers,
    /// Whether the store answers.
    pub probe: Arc<Probe>,
    /// When this process began to listen to the stages.
    pub listening: tokio::time::Instant,
    /// Recent live events.
    pub rings: Arc<Rings>,
    /// Recent causes of failures.
    pub causes: Causes,
    /// Present windows, and recent ones.
    pub windows: Windows,
    /// Answers about figures that are given again.
    pub answers: Answers,
    /// Rates on the live edge.
    pub rates: Arc<Rates>,
    /// The OpenAPI document.
    pub openapi: Bytes,
    /// Entity tag of the documents: they change with the binary only.
    pub documents_tag: String,
    /// What `/sql` answered last.
    pub catalogue: Catalogue,
    /// What is held of each network, as last counted.
    pub counts: Counts,
    /// What operators ask of the stages.
    pub asked: Follower,
    /// Providers that say who somebody is.
    pub oidc: oidc::Providers,
    /// What sends letters; `None`: no mail server is configured.
    pub letters: Option<Letters>,
    /// How much who has asked.
    pub budgets: Budgets,
    /// What each tenant asks.
    pub tenants: Tenants,
    /// Sessions that were ended by hand.
    pub ended: Cache<[u8; 16], ()>,
    /// What becomes of alerts.
    pub alerts: Alerts,
    /// What people ask of alerts.
    pub commands: Commands,
    /// What is known of contracts.
    pub facts: Facts,
    /// ABIs that readers used of late.
    pub abis: Abis,
    /// Exports that run.
    pub exports: Arc<Exports>,
    /// Imports at the same time.
    pub imports: Semaphore,
    /// Previews of monitors that run.
    pub previews: Arc<Semaphore>,
    /// Those of rules, which ask the store.
    pub rule_previews: Arc<Semaphore>,
    /// Of those one at a time for each tenant.
    pub rule_preview_turns: Turns,
    /// REST requests at the same time.
    pub requests: Semaphore,
    /// Those of them that ask the store for rows.
    pub row_requests: Semaphore,
    /// WebSocket connections at the same time.
    pub ws_connections: Arc<Semaphore>,
    /// The service stops.
    pub shutdown: CancellationToken,
}

impl App {
    /// The control store.
    ///
    /// # Errors
    /// It is away.
    pub fn control(&self) -> Result<Arc<Control>, ApiError> {
        self.config.control.get()
    }

    /// Whether who came did so by a session that was ended by hand.
    pub fn is_ended(&self, came: &Came) -> bool {
        came.session.as_ref().is_some_and(|session| self.ended.get(&session.nonce).is_some())
    }

    /// Whether a network is configured, stored, or was heard of; by what is known without asking.
    pub fn knows(&self, network: &Network) -> bool {
        self.config.networks.borrow().iter().any(|n| n.network == *network)
            || self.rings.span(network).is_some()
            || self.statuses.knows(network)
            || self.visible.of(network.as_str()).is_some()
    }

    /// Refuses networks that are neither configured nor stored.
    pub async fn known_network(&self, network: &Network) -> Result<(), ApiError> {
        if self.knows(network) {
            return Ok(());
        }
        self.visible.refresh(&self.store, &self.networks()).await?;
        match self.knows(network) {
            true => Ok(()),
            false => Err(ApiError::NetworkNotFound { network: network.to_string() }),
        }
    }

    /// The networks of the configuration.
    pub fn configured(&self) -> Vec<Network> {
        self.config.networks.borrow().iter().map(|n| n.network.clone()).collect()
    }

    /// Networks that whoever asks reaches: those of the configuration, and those of which the store has something.
    ///
    /// # Errors
    /// The store is away.
    pub async fn reached(&self, asking: &Asking) -> Result<BTreeSet<Network>, ApiError> {
        let reach = asking.reach();
        let mut all: BTreeSet<Network> = self.configured().into_iter().collect();
        self.visible.refresh(&self.store, &self.networks()).await?;
        all.extend(self.visible.networks().into_iter().filter_map(|known| known.network.parse().ok()));
        all.retain(|network| reach.contains(network.as_str()));
        Ok(all)
    }

    /// A network's family: as the configuration has it, else as it was last seen in the store; `None` where neither is known.
    pub fn family(&self, network: &Network) -> Option<Family> {
        let configured = self.config.networks.borrow().iter().find(|n| n.network == *network).map(|n| n.family);
        configured.or_else(|| self.visible.of(network.as_str())?.family.parse().ok())
    }

    /// A match as it is shown, and why its transaction failed where that is known.
    pub fn matched(&self, row: MatchRow, why: Option<Why>) -> MatchItem {
        let family = row.network.parse().ok().and_then(|network| self.family(&network));
        MatchItem::of(row, family, why)
    }

    /// What the operator allows of definitions, with what is known of the networks by now.
    pub fn bounds(&self) -> control::Bounds {
        let of = |known: StoredNetwork| -> Option<(Network, Family)> {
            Some((known.network.parse().ok()?, known.family.parse().ok()?))
        };
        let seen = self.visible.networks().into_iter().filter_map(of);
        let configured = self.networks().into_iter().map(|network| (network.network, network.family));
        control::Bounds { families: seen.chain(configured).collect(), ..self.config.bounds.clone() }
    }

    /// The networks of the configuration with their families.
    pub fn networks(&self) -> Vec<NetworkConfig> {
        self.config.networks.borrow().clone()
    }

    /// Whether anybody is connected who might want frames.
    pub fn has_ws(&self) -> bool {
        self.ws_connections.available_permits() < self.config.ws.connections
    }
}
