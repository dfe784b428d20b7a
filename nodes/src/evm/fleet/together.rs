//! Blocks of several heights in one question.
//!
//! Guarantee: what comes together is aimed at [`NODE_BATCH_BYTES`](schemas::limits::NODE_BATCH_BYTES) by what blocks took of late, so that large
//! blocks come by themselves; what a question of several fails to bring is asked for by itself, in every way that there is for one block.

use std::{sync::atomic::Ordering, time::Instant};

use super::EvmFleet;
use crate::{
    error::NodeError,
    evm::{
        fetch::At,
        route::BLOCK_RECEIPTS,
        together::{CALLS, says_enough},
        types::EvmBlock,
    },
    fleet::{Answer, Ask},
    source::ChainSource,
};

impl EvmFleet {
    /// As many heights as the endpoint that takes most would be asked for together now.
    pub(super) fn heights_together(&self) -> usize {
        let members = self.fleet.members();
        let able = members.iter().filter(|m| m.usable() && m.cannot(BLOCK_RECEIPTS, None).is_none());
        able.map(|m| m.together(CALLS)).max().unwrap_or(1).min(self.block_bytes.together())
    }

    /// See [`ChainSource::fetch_together`].
    pub(super) async fn blocks_together(
        &self,
        from: u64,
        count: usize,
        history: bool,
    ) -> Result<Vec<EvmBlock>, NodeError> {
        let ask = if history { self.historical(from) } else { self.question("block", Some(from)) };
        let (this, asked) = (self.clone(), Instant::now());
        let answer = self
            .ask(ask, move |client| {
                let this = this.clone();
                async move {
                    let blocks = client.fetch_together(from, count).await?;
                    this.block_bytes.saw(client.read.load(Ordering::Relaxed), blocks.len());
                    Ok(blocks)
                }
            })
            .await;
        match answer {
            Ok(answer) => {
                if !history {
                    for block in &answer.value {
                        self.show(&answer.operator, &answer.endpoint, &block.head, Some(asked));
                    }
                }
                self.fleet.passed(answer.value.len() as u64);
                Ok(answer.value)
            }
            Err(e) if says_enough(&e) => Err(e),
            Err(e) => {
                tracing::debug!(network = %self.config.network, from, count, error = %e, "the block is asked for by itself");
                let block = if history { self.fetch_history(from).await? } else { self.fetch(from, None).await? };
                Ok(vec![block])
            }
        }
    }

    /// The block by itself, from the endpoint that is asked.
    pub(super) async fn block_by(&self, ask: Ask, at: At, others: bool) -> Result<Answer<EvmBlock>, NodeError> {
        let this = self.clone();
        self.ask(Ask { told: at.hash.is_some(), ..ask }, move |client| {
            let this = this.clone();
            async move {
                let client = if others { client } else { client.as_the_only_one() };
                let block = if others { client.fetch_among_others(at).await? } else { client.fetch_alone(at).await? };
                this.block_bytes.saw(client.read.load(Ordering::Relaxed), 1);
                Ok(block)
            }
        })
        .await
    }
}
