//! Which chain each endpoint is on.
//!
//! Guarantee: nothing of an endpoint is used before it has said the network's chain id, and again after each new connection. One
//! that says 0 is not ready yet (no chain has that id, EIP-155) and is left out meanwhile. So is one of another chain: that is a mistake
//! in the configuration, its url or the chain id, and no lie. It is asked again with each probe, and the network goes on over the
//! others; where all say the same other id, the network's state tells of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::U256;
use futures::future::try_join_all;

use super::EvmFleet;
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::client::EvmClient,
    fleet::Member,
};

/// Time between two questions to an endpoint that says chain id 0.
pub(super) const NOT_READY: Duration = Duration::from_secs(1);

/// What endpoints said of their chain.
#[derive(Default)]
pub(super) struct Chains {
    /// Whether each has said the network's chain id.
    members: Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<bool>>>>,
    /// Those that last said another one.
    elsewhere: Mutex<BTreeMap<Arc<str>, U256>>,
}

impl Chains {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<bool>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(name.into()).or_default().clone()
    }

    /// As much of it as is known of the endpoints that stay as they are (`same`), also of those that were not ready or on another chain.
    pub fn of_endpoints(&self, same: &BTreeSet<String>) -> Self {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        members.retain(|name, _| same.contains(&**name));
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clone();
        elsewhere.retain(|name, _| same.contains(&**name));
        Self { members: Mutex::new(members), elsewhere: Mutex::new(elsewhere) }
    }

    /// Whatever this endpoint said was of an earlier connection.
    pub fn forget(&self, name: &str) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Endpoints that were not ready.
    pub fn waiting(&self) -> Vec<Arc<str>> {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.iter().filter(|(_, id)| id.is_zero()).map(|(name, _)| name.clone()).collect()
    }

    /// Whether an endpoint last said another chain id.
    pub fn is_elsewhere(&self, name: &str) -> bool {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    fn left(&self, name: &str, id: U256) {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), id);
    }

    /// True when it was elsewhere.
    fn came(&self, name: &str) -> bool {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }
}

impl EvmFleet {
    /// Whether an endpoint is on the network's chain; asked once a connection.
    pub(super) async fn on_chain(&self, member: &Member<EvmClient>) -> Result<(), NodeError> {
        let id = self.chain_of(member).await?;
        if id == U256::from(self.config.chain_id) {
            return Ok(());
        }
        Err(member.client.error("eth_chainId", None, NodeErrorKind::OtherChain(self.elsewhere(id))))
    }

    /// The chain that an endpoint is on. Whoever is not on the network's is not used until it is.
    async fn chain_of(&self, member: &Member<EvmClient>) -> Result<U256, NodeError> {
        let known = self.chains.of(&member.name());
        let mut known = known.lock().await;
        let right = U256::from(self.config.chain_id);
        if *known {
            return Ok(right);
        }
        let id = self.client(member).chain().await?;
        *known = id == right;
        if !*known {
            self.chains.left(&member.name(), id);
            self.fleet.unusable(&member.name(), &self.elsewhere(id));
        } else if self.chains.came(&member.name()) {
            self.fleet.usable(&member.name());
        }
        Ok(id)
    }

    /// Why an endpoint that says this chain id is not used, and what to do.
    fn elsewhere(&self, id: U256) -> String {
        if id.is_zero() {
            return "The endpoint says chain id 0, as nodes do while they start.".into();
        }
        format!(
            "The endpoint is on chain {id}, the configuration says {}: correct its url, or `chain_id` of network `{}`. It is asked \
             again with each probe.",
            self.config.chain_id, self.config.network
        )
    }

    /// Asks those again that were not ready.
    pub(super) async fn ask_again(&self) {
        for name in self.chains.waiting() {
            if let Some(member) = self.fleet.named(&name) {
                let _ = self.on_chain(&member).await;
            }
        }
    }

    /// The chain id that the endpoints say: the network's, as soon as one of them does; else what all others say.
    ///
    /// # Errors
    /// Where nobody says anything, why the first does not; where they do not all say the same, what each of them said.
    pub(super) async fn chain_of_any(&self) -> Result<U256, NodeError> {
        let members = self.fleet.members();
        let right = U256::from(self.config.chain_id);
        let ask = |member: &Member<EvmClient>| {
            let (this, member) = (self.clone(), member.clone());
            // The right one ends the round.
            async move {
                let said = this.chain_of(&member).await;
                if said.as_ref().is_ok_and(|id| *id == right) { Err(()) } else { Ok((member.name(), said)) }
            }
        };
        let Ok(said) = try_join_all(members.iter().map(ask)).await else { return Ok(right) };
        if let Some((_, Err(e))) = said.first().filter(|_| said.iter().all(|(_, said)| said.is_err())) {
            return Err(e.clone());
        }
        let mut ids = said.iter().map(|(_, said)| said.as_ref().ok().copied());
        let first = ids.next().flatten();
        if let Some(id) = first.filter(|id| ids.all(|other| other == Some(*id))) {
            return Ok(id);
        }
        let each: Vec<String> = said
            .iter()
            .map(|(name, said)| match said {
                Ok(id) => format!("{name} is on chain {id}"),
                Err(e) => e.to_string(),
            })
            .collect();
        let words =
            format!("no endpoint is on the network's chain, the configuration says {right}: {}", each.join("; "));
        let kind = NodeErrorKind::OtherChain(words);
        Err(NodeError { endpoint: self.config.network.as_str().into(), call: "eth_chainId".into(), kind })
    }
}
