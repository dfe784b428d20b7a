//! The fleet as a source of blocks, and what it asks of endpoints on its own.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use schemas::{BitcoinHash, BlockHash};
use tokio::sync::watch;

use super::{BitcoinFleet, FINAL_DEPTH, SAFE_DEPTH, client::Client, hub};
use crate::{
    bitcoin::block::BitcoinBlock,
    error::{Class, NodeError, NodeErrorKind},
    fleet::{Member, Probe, Role},
    source::{ChainSource, Finality, Head, HeadView, Word},
};

#[async_trait]
impl ChainSource for BitcoinFleet {
    type Block = BitcoinBlock;

    fn endpoint(&self) -> String {
        if let Some(best) = &self.view().best {
            return best.by.to_string();
        }
        let members = self.fleet.members();
        let first = members.iter().find(|m| self.gives(&m.client)).or(members.first());
        first.map_or_else(|| self.config.network.to_string(), |member| member.name().to_string())
    }

    fn endpoints(&self) -> Vec<String> {
        self.fleet.members().iter().map(|member| member.name().to_string()).collect()
    }

    async fn chain_id(&self) -> Result<String, NodeError> {
        self.chain_of_any().await
    }

    async fn head(&self) -> Result<Head, NodeError> {
        if self.best_height().is_none() {
            let failed = self.round().await;
            if let (None, Some(error)) = (self.best_height(), failed) {
                return Err(error);
            }
        }
        let best = self.view().best.as_ref().map(|best| best.tip.header.head(best.tip.height));
        best.ok_or_else(|| {
            let words = "no endpoint has shown its newest block yet".to_owned();
            self.nobody("newest block", NodeErrorKind::Unreachable(words))
        })
    }

    async fn header(&self, height: u64) -> Result<Head, NodeError> {
        if let Some(known) = self.known_at(height) {
            return Ok(known.header.head(height));
        }
        let asked = Instant::now();
        let answer = self
            .ask(self.question("header", Some(height)), move |client| async move { client.header_at(height).await });
        let answer = answer.await?;
        self.said().show(&answer.operator, &answer.endpoint, (height, answer.value.hash), asked);
        Ok(answer.value.head(height))
    }

    async fn fetch(&self, height: u64, hash: Option<&BlockHash>) -> Result<BitcoinBlock, NodeError> {
        let told = hash.and_then(|hash| hash.as_str().parse::<BitcoinHash>().ok());
        let at = told.or_else(|| self.known_at(height).map(|known| known.header.hash));
        let ask = self.question("block", Some(height));
        let mut outcome = self.block(ask, height, at).await;
        if at.is_some() && outcome.as_ref().is_err_and(|e| e.class() == Class::Empty) {
            // Nobody who can give it has that block: what there is at that height.
            outcome = self.block(ask, height, None).await;
        }
        if outcome.is_ok() {
            self.fleet.passed(1);
        }
        outcome
    }

    /// What it gives is no word on its height: who vouches for it is asked.
    async fn fetch_history(&self, height: u64) -> Result<BitcoinBlock, NodeError> {
        let answer = self.block_by(self.historical(height), height, None).await?;
        self.fleet.passed(1);
        Ok(answer.value)
    }

    fn at_once(&self) -> usize {
        self.heights_together()
    }

    async fn fetch_together(&self, from: u64, count: usize, history: bool) -> Result<Vec<BitcoinBlock>, NodeError> {
        self.blocks_together(from, count, history).await
    }

    async fn finality(&self) -> Result<Finality, NodeError> {
        if self.best_height().is_none() {
            self.head().await?;
        }
        let shown = self.shown_by_enough();
        let below = |depth: u64| shown.and_then(|height| height.checked_sub(depth));
        Ok(Finality { safe: below(SAFE_DEPTH), finalized: below(FINAL_DEPTH) })
    }

    fn heads(&self) -> watch::Receiver<HeadView> {
        hub::follow(self.clone())
    }

    async fn second_word(&self, head: &Head) -> Word {
        match head.hash.as_str().parse::<BitcoinHash>() {
            Ok(hash) => self.word_on(head.height, hash).await,
            Err(_) => Word::Silent,
        }
    }
}

impl BitcoinFleet {
    /// The height from which depths are counted: what one endpoint alone shows is not buried by it, so that it is the highest that as many
    /// operators show as must show a block. Those that cannot be reached are not waited for.
    fn shown_by_enough(&self) -> Option<u64> {
        let (trusted, believed) = (self.trusted(), self.believed());
        let wanted = self.config.confirm.wanted(self.operators);
        let away = self.away(&trusted);
        let view = self.view();
        let best = view.best.as_ref()?.tip.header.hash;
        let shown = |wanted| view.claims.shown_by(&view.tree, &believed, &best, wanted);
        // Each of those that are there shows it.
        let present = trusted.len().saturating_sub(away).max(1);
        shown(wanted.min(present))
    }

    /// How many of these operators cannot be reached, whatever they would say.
    fn away(&self, operators: &[Arc<str>]) -> usize {
        let members = self.fleet.members();
        let view = self.view();
        let away = |member: &Member<Client>| {
            let why = view.errors.get(&member.name()).map(|error| &error.kind);
            matches!(why, Some(NodeErrorKind::Unreachable(_) | NodeErrorKind::Timeout(_)))
        };
        let all_away = |operator: &&Arc<str>| {
            let theirs = |m: &&Member<Client>| m.serves(Role::Stream) && m.operator() == **operator;
            members.iter().filter(theirs).all(away)
        };
        operators.iter().filter(all_away).count()
    }
}

/// What the fleet asks on its own.
pub(super) struct Prober(pub BitcoinFleet);

#[async_trait]
impl Probe<Client> for Prober {
    async fn head(&self, member: &Member<Client>) -> Result<u64, NodeError> {
        self.0.on_chain(member).await?;
        let (height, header) = self.0.client(member).tip().await?;
        // Whoever is not believed does not speak for its operator.
        if !member.quarantined() && member.serves(Role::Stream) {
            self.0.took(member, height, header).await?;
        } else {
            self.0.fleet().heard(&member.name(), height);
        }
        Ok(height)
    }

    async fn block(&self, member: &Member<Client>, height: u64) -> Result<String, NodeError> {
        let header = self.0.client(member).header_at(height).await?;
        Ok(self.0.weighed(height, header.hash).to_string())
    }
}
