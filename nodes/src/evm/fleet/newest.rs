//! The newest head of a network's endpoints.
//!
//! Guarantee: a head that is behind what other operators showed, by more than what blocks take to get around, is stale: the next is asked.

use std::{sync::Arc, time::Instant};

use super::EvmFleet;
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::types::EvmHead,
    fleet::Ask,
};

/// So many blocks behind another operator's a head is not yet stale.
const BEHIND: u64 = 1;

impl EvmFleet {
    /// The newest head, of the endpoint in use, and whether anybody showed it before. One that is behind what other operators showed is
    /// stale, and the next is asked.
    pub(super) async fn newest(&self) -> Result<(EvmHead, bool), NodeError> {
        let (this, asked) = (self.clone(), Instant::now());
        let answer = self
            .ask(Ask { expected: true, ..self.question("head", None) }, move |client| {
                let this = this.clone();
                async move {
                    let head = client.header_at("latest".into(), None).await?;
                    this.fresh(client.name(), &head)
                        .map_err(|kind| client.error("eth_getBlockByNumber", None, kind))?;
                    Ok(head)
                }
            })
            .await?;
        let head = answer.value;
        let known = self.words().known(head.number, head.hash);
        self.heard(&answer.operator, &answer.endpoint, &head, Some(asked));
        Ok((head, known))
    }

    /// Whether a head is as new as what others show, but for what blocks take to get around.
    fn fresh(&self, endpoint: &str, head: &EvmHead) -> Result<(), NodeErrorKind> {
        if !self.others() {
            return Ok(());
        }
        let Some(member) = self.fleet.named(endpoint) else { return Ok(()) };
        let mut newest: Vec<u64> = {
            let (words, trusted) = (self.words(), self.trusted());
            trusted.iter().filter(|o| ***o != *member.operator()).filter_map(|o| words.newest(o)).collect()
        };
        newest.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
        // Where there are more, one alone does not decide.
        let newest = newest.get(1).or(newest.first()).copied();
        match newest {
            Some(newest) if newest > head.number + BEHIND => {
                Err(NodeErrorKind::Stale(format!("its newest block is {}, another has {newest}", head.number)))
            }
            _ => Ok(()),
        }
    }

    /// The newest head of another operator.
    pub(super) async fn head_of_another(&self, ask: Ask, but: &[&str]) -> Result<(EvmHead, Arc<str>), NodeError> {
        let (this, asked) = (self.clone(), Instant::now());
        let answer = self
            .fleet
            .ask_other(ask, but, move |member| {
                let this = this.clone();
                async move {
                    this.on_chain(&member).await?;
                    this.client(&member).header_at("latest".into(), None).await
                }
            })
            .await?;
        self.heard(&answer.operator, &answer.endpoint, &answer.value, Some(asked));
        Ok((answer.value, answer.operator))
    }
}
