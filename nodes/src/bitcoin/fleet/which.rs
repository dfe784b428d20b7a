//! Which chain endpoints are on: their first block says it.
//!
//! Guarantee, where there is more than one endpoint: none is used before it has shown the network's first block; one that shows another is
//! on another chain than the configuration says, which is a mistake in the configuration and no lie, and is asked again with each probe.
//! Where the configuration says nothing, what most operators show is the network's chain, once and for all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use schemas::{BitcoinHash, bitcoin::BitcoinChain};

use super::{BitcoinFleet, client::Client};
use crate::{
    error::{NodeError, NodeErrorKind},
    fleet::Member,
};

/// What the question is called in messages.
const ASKED: &str = "first block";
/// How long the others have, once one endpoint has said which chain it is on that is not the network's.
const OTHERS: Duration = Duration::from_secs(3);

/// Which chain a network is on: as configured, or as it was found out. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Which(Arc<OnceLock<BitcoinChain>>);

impl Which {
    /// As configured; `None`: to be found out.
    pub fn new(chain: Option<BitcoinChain>) -> Self {
        let which = Self::default();
        if let Some(chain) = chain {
            which.settle(chain);
        }
        which
    }

    /// What is known.
    pub fn get(&self) -> Option<BitcoinChain> {
        self.0.get().copied()
    }

    /// From now on it is this one, where it was not known. True when it is this one.
    pub fn settle(&self, chain: BitcoinChain) -> bool {
        *self.0.get_or_init(|| chain) == chain
    }
}

/// Whether each endpoint has shown the network's first block, since it was connected.
#[derive(Default)]
pub(super) struct Firsts(Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<bool>>>>);

impl Firsts {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<bool>> {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.entry(name.into()).or_default().clone()
    }

    /// Whatever this endpoint said was of an earlier connection.
    pub fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// As much of it as is known of the endpoints that stay as they are.
    pub fn of_endpoints(&self, same: &BTreeSet<String>) -> Self {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        members.retain(|name, _| same.contains(&**name));
        Self(Mutex::new(members))
    }
}

/// A chain, as the checkpoint keeps it: its word; of one that has none its first block's hash.
pub fn word_of(genesis: &BitcoinHash) -> String {
    BitcoinChain::of_genesis(genesis).map_or_else(|| genesis.to_string(), |chain| chain.to_string())
}

impl BitcoinFleet {
    /// The network's chain.
    ///
    /// # Errors
    /// Nobody has said it yet.
    pub(super) fn chain(&self) -> Result<BitcoinChain, NodeError> {
        self.config.which.get().ok_or_else(|| {
            let words = "no endpoint has said yet on which chain it is".to_owned();
            self.nobody(ASKED, NodeErrorKind::Unreachable(words))
        })
    }

    /// Whether an endpoint is on the network's chain; asked once a connection, and not of an only one.
    pub(super) async fn on_chain(&self, member: &Member<Client>) -> Result<(), NodeError> {
        if !self.others() {
            return Ok(());
        }
        let chain = self.chain()?;
        let genesis = self.first_of(member).await?;
        if genesis == chain.genesis() {
            return Ok(());
        }
        let words = self.elsewhere(&genesis, chain);
        Err(member.client.error(ASKED, Some(0), NodeErrorKind::OtherChain(words)))
    }

    /// The first block of the chain that an endpoint is on. Whoever is not on the network's is not used until it is.
    async fn first_of(&self, member: &Member<Client>) -> Result<BitcoinHash, NodeError> {
        let known = self.firsts.of(&member.name());
        let mut known = known.lock().await;
        let right = self.config.which.get();
        if let (Some(right), true) = (right, *known) {
            return Ok(right.genesis());
        }
        let genesis = self.client(member).genesis().await?;
        let Some(right) = right else { return Ok(genesis) };
        *known = genesis == right.genesis();
        let name = member.name();
        if !*known {
            self.strangers().insert(name.clone());
            self.fleet.unusable(&name, &self.elsewhere(&genesis, right));
        } else if self.strangers().remove(&name) {
            self.fleet.usable(&name);
        }
        Ok(genesis)
    }

    /// Why an endpoint with this first block is not used, and what to do.
    fn elsewhere(&self, genesis: &BitcoinHash, right: BitcoinChain) -> String {
        let said = word_of(genesis);
        format!(
            "The endpoint is on chain {said}, the network is {right}: correct its url, or `chain` of network `{}`. It is asked again with \
             each probe.",
            self.config.network
        )
    }

    /// The chain that the endpoints say: the network's, as soon as one of them does; else what all others say, or, where it is to be found
    /// out, most operators.
    ///
    /// # Errors
    /// Where nobody says anything, why the first does not; where none can be chosen, what each of them said.
    pub(super) async fn chain_of_any(&self) -> Result<String, NodeError> {
        let members = self.fleet.members();
        let right = self.config.which.get();
        let mut asking: FuturesUnordered<_> = members
            .iter()
            .map(|member| {
                let (this, member) = (self.clone(), member.clone());
                async move { (member.clone(), this.first_of(&member).await) }
            })
            .collect();
        let (mut said, mut failed): (Vec<(Member<Client>, BitcoinHash)>, Vec<NodeError>) = Default::default();
        loop {
            let next = match said.is_empty() {
                true => asking.next().await,
                false => tokio::time::timeout(OTHERS, asking.next()).await.ok().flatten(),
            };
            match next {
                None => break,
                Some((_, Ok(genesis))) if right.is_some_and(|right| right.genesis() == genesis) => {
                    return Ok(word_of(&genesis));
                }
                Some((member, Ok(genesis))) => said.push((member, genesis)),
                Some((_, Err(e))) => failed.push(e),
            }
        }
        let mut votes: BTreeMap<BitcoinHash, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (member, genesis) in &said {
            votes.entry(*genesis).or_default().insert(member.operator());
        }
        let enough = |by: &BTreeSet<Arc<str>>| match right {
            // A mistake of one endpoint is none of the network's, and who does not answer may be the one that is right.
            Some(_) => failed.is_empty() && votes.len() == 1,
            None => by.len() * 2 > self.operators,
        };
        if let Some((genesis, _)) = votes.iter().find(|vote| enough(vote.1)) {
            return Ok(word_of(genesis));
        }
        if let (true, Some(e)) = (said.is_empty(), failed.first()) {
            return Err(e.clone());
        }
        let each: Vec<String> = said
            .iter()
            .map(|(member, genesis)| format!("{} is on {}", member.name(), word_of(genesis)))
            .chain(failed.iter().map(ToString::to_string))
            .collect();
        let wanted = right.map_or_else(
            || "more than half of the operators are wanted to say the same".to_owned(),
            |right| format!("the network is {right}"),
        );
        let words = format!(
            "no chain can be chosen, {wanted}: {}; correct the endpoints' urls, or write `chain` into network `{}`",
            each.join(", "),
            self.config.network
        );
        Err(self.nobody(ASKED, NodeErrorKind::OtherChain(words)))
    }

    /// An error of no endpoint's.
    pub(super) fn nobody(&self, call: &str, kind: NodeErrorKind) -> NodeError {
        NodeError { endpoint: self.config.network.as_str().into(), call: call.to_owned(), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_settled_once() {
        let which = Which::new(None);
        assert_eq!(which.get(), None);
        let same = which.clone();
        assert!(which.settle(BitcoinChain::Signet) && same.settle(BitcoinChain::Signet));
        assert!(!which.settle(BitcoinChain::Main));
        assert_eq!(same.get(), Some(BitcoinChain::Signet));
        assert!(!Which::new(Some(BitcoinChain::Main)).settle(BitcoinChain::Test));
    }

    #[test]
    fn a_chain_that_is_not_known_is_named_by_its_first_block() {
        assert_eq!(word_of(&BitcoinChain::Regtest.genesis()), "regtest");
        assert_eq!(word_of(&BitcoinHash([0xab; 32])), "ab".repeat(32));
    }
}
