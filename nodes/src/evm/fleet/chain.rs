//! Which chain each endpoint is on.
//!
//! Guarantee: nothing of an endpoint is used before it has said the network's chain id, and again after each new connection. One
//! that says 0 is not ready yet (no chain has that id, EIP-155) and is left out meanwhile; one of another chain is quarantined with
//! what it said, and the network goes on over the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::U256;
use futures::{StreamExt, stream::FuturesUnordered};

use super::EvmFleet;
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::client::EvmClient,
    fleet::{Lie, Member},
};

/// Time between two questions to an endpoint that says chain id 0.
pub(super) const NOT_READY: Duration = Duration::from_secs(1);

/// Endpoints that have said the network's chain id.
#[derive(Default)]
pub(super) struct Chains {
    members: Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<bool>>>>,
    not_ready: Mutex<BTreeSet<Arc<str>>>,
}

impl Chains {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<bool>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(name.into()).or_default().clone()
    }

    /// As much of it as is known of the endpoints that stay as they are (`same`), and of those that were not ready.
    pub fn of_endpoints(&self, same: &BTreeSet<String>) -> Self {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        members.retain(|name, _| same.contains(&**name));
        let not_ready = self.waiting().into_iter().filter(|name| same.contains(&**name)).collect();
        Self { members: Mutex::new(members), not_ready: Mutex::new(not_ready) }
    }

    /// Whatever this endpoint said was of an earlier connection.
    pub fn forget(&self, name: &str) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Endpoints that were not ready.
    pub fn waiting(&self) -> Vec<Arc<str>> {
        self.not_ready.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn wait(&self, name: &str) {
        self.not_ready.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
    }

    /// True when it was not.
    fn ready(&self, name: &str) -> bool {
        self.not_ready.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }
}

impl EvmFleet {
    /// Whether an endpoint is on the network's chain; asked once a connection.
    pub(super) async fn on_chain(&self, member: &Member<EvmClient>) -> Result<(), NodeError> {
        let known = self.chains.of(&member.name());
        let mut known = known.lock().await;
        if *known {
            return Ok(());
        }
        let id = self.client(member).chain().await?;
        let lie = |kind| member.client.error("eth_chainId", None, kind);
        if id == U256::from(self.config.chain_id) {
            *known = true;
            if self.chains.ready(&member.name()) {
                self.fleet.usable(&member.name());
            }
            return Ok(());
        }
        if id.is_zero() {
            let reason = "says chain id 0, as nodes do while they start";
            self.fleet.unusable(&member.name(), reason);
            self.chains.wait(&member.name());
            return Err(lie(NodeErrorKind::Malformed(format!("the endpoint {reason}"))));
        }
        let (said, right) = (format!("chain id {id}"), format!("chain id {}", self.config.chain_id));
        let wrong = NodeErrorKind::Lying(format!("it is on another chain: {said}, not {}", self.config.chain_id));
        self.fleet.quarantine(&member.name(), Lie { said, right });
        Err(lie(wrong))
    }

    /// Asks those again that were not ready.
    pub(super) async fn ask_again(&self) {
        for name in self.chains.waiting() {
            if let Some(member) = self.fleet.named(&name) {
                let _ = self.on_chain(&member).await;
            }
        }
    }

    /// The chain id that the endpoints say: the network's, if any of them does; else what the others say, so that the network's state
    /// tells of it.
    pub(super) async fn chain_of_any(&self) -> Result<U256, NodeError> {
        let ask = |member: Member<EvmClient>| async move {
            match self.on_chain(&member).await {
                Ok(()) => Ok(U256::from(self.config.chain_id)),
                Err(e) if matches!(e.kind, NodeErrorKind::Lying(_) | NodeErrorKind::Malformed(_)) => {
                    self.client(&member).chain().await
                }
                Err(e) => Err(e),
            }
        };
        let mut asked: FuturesUnordered<_> = self.fleet.members().into_iter().map(ask).collect();
        let (mut other, mut error) = (None, None);
        while let Some(outcome) = asked.next().await {
            match outcome {
                Ok(id) if id == U256::from(self.config.chain_id) => return Ok(id),
                Ok(id) => other = other.filter(|known: &U256| !known.is_zero()).or(Some(id)),
                Err(e) => error = error.or(Some(e)),
            }
        }
        match (other, error) {
            (Some(id), _) => Ok(id),
            (None, Some(e)) => Err(e),
            (None, None) => Err(self.nobody("eth_chainId")),
        }
    }
}
