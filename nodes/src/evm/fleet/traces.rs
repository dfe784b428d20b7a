//! Questions for why transactions failed: traces of a block or of a transaction, a transaction's call at its parent's state.
//!
//! Guarantee: what is given is of the block that was asked about (see [`trace`](crate::evm::trace)), from the first endpoint that has it;
//! an endpoint that does not is followed by the next, and found lying or behind for it by nobody: it may have been another branch. All of
//! it has the turn of the role `trace` (of `serve` where no endpoint has that), behind whoever follows the chain; and no more answers
//! are read at a time in a process than there is memory for.

use std::time::Duration;

use alloy_primitives::B256;
use futures::future::join_all;
use schemas::limits::evidence as limits;

use super::{EvmFleet, StateAt};
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::{
        client::EvmClient,
        trace::{BlockTraces, CallEnd, CallLike, Trace, WAYS, Wanted},
    },
    fleet::{Ask, Member, Role},
};

/// How long an endpoint may take to say its head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

impl EvmFleet {
    /// Traces of these transactions of a block, in one question; at most [`limits::WANTED`].
    ///
    /// # Errors
    /// The failure that says most, when no endpoint gives one of them.
    pub async fn trace_block(&self, at: StateAt, wanted: Vec<Wanted>) -> Result<BlockTraces, NodeError> {
        let wanted: std::sync::Arc<[Wanted]> = wanted.into_iter().take(limits::WANTED).collect();
        let _room = self.large_answer("trace_block").await?;
        self.evidence("trace_block", at, move |client| {
            let wanted = wanted.clone();
            async move { client.traces_of_block(at, &wanted).await }
        })
        .await
    }

    /// The trace of a transaction. Whoever gives it says afterwards that the transaction stands in this block.
    ///
    /// # Errors
    /// As [`EvmFleet::trace_block`]; [`Class::Empty`](crate::Class::Empty) where it stands in that block nowhere.
    pub async fn trace_transaction(&self, at: StateAt, wanted: Wanted) -> Result<Trace, NodeError> {
        let _room = self.large_answer("trace_transaction").await?;
        self.evidence("trace_transaction", at, move |client| async move { client.trace_of(at, wanted).await }).await
    }

    /// Whether an endpoint may have traces at a height, as far as they have shown: of a whole block, or of one transaction.
    pub fn may_trace(&self, height: u64, of_block: bool) -> bool {
        let (role, ways) = (self.role_of_evidence(), if of_block { WAYS[0] } else { WAYS[1] });
        let members = self.fleet.members();
        let mut able = members.iter().filter(|member| member.serves(role));
        able.any(|member| ways.iter().any(|way| member.cannot(way, Some(height)).is_none()))
    }

    /// Whether all endpoints that may have traces at a height are below it, by their own word, for which each is asked now: what they
    /// lack there may still come. Those that have shown that they cannot trace a transaction do not count, unless none can:
    /// then calls are asked for, and all count. One that does not answer says nothing; `None` where nobody says anything.
    pub async fn traces_are_behind(&self, height: u64) -> Option<bool> {
        let role = self.role_of_evidence();
        let mut able = self.fleet.members();
        able.retain(|member| member.serves(role));
        let may_trace = |member: &Member<_>| WAYS[1].iter().any(|way| member.cannot(way, Some(height)).is_none());
        if able.iter().any(&may_trace) {
            able.retain(&may_trace);
        }
        let heads = able.into_iter().filter(|member| member.usable()).map(|member| async move {
            let client = self.client(&member);
            let head = tokio::time::timeout(HEAD_WITHIN, client.header_at("latest".into(), None)).await;
            head.ok()?.ok().map(|head| head.number)
        });
        let highest = join_all(heads).await.into_iter().flatten().max();
        highest.map(|head| head < height)
    }

    /// The call that a transaction is, at the state of its block's parent. What stood before it in its block is missing.
    ///
    /// # Errors
    /// As [`EvmFleet::trace_block`].
    pub async fn call_at_parent(&self, like: CallLike, parent: StateAt) -> Result<CallEnd, NodeError> {
        let like = std::sync::Arc::new(like);
        self.evidence("eth_call", parent, move |client| {
            let like = like.clone();
            async move { client.call_like(&like, parent).await }
        })
        .await
    }

    /// The hash of a block's parent.
    ///
    /// # Errors
    /// As [`EvmFleet::trace_block`].
    pub async fn parent_of(&self, at: StateAt) -> Result<B256, NodeError> {
        self.evidence("header", at, move |client| async move {
            Ok(client.header_with(at.hash, at.height).await?.parent_hash)
        })
        .await
    }

    async fn evidence<T, F, Fut>(&self, method: &'static str, at: StateAt, call: F) -> Result<T, NodeError>
    where
        T: Send + 'static,
        F: Fn(EvmClient) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let ask = Ask {
            role: self.role_of_evidence(),
            height: Some(at.height),
            within: limits::WITHIN,
            patience: Some(limits::ANSWER_WITHIN + Duration::from_secs(1)),
            sticky: false,
            expected: true,
            told: true,
            ..Ask::new(method)
        };
        let call = &call;
        let answer = self.fleet.ask(ask, move |member| async move {
            self.on_chain(&member).await?;
            call(self.client(&member)).await
        });
        Ok(answer.await?.value)
    }

    /// Waits until one more may be read.
    async fn large_answer(&self, method: &'static str) -> Result<tokio::sync::OwnedSemaphorePermit, NodeError> {
        let room = tokio::time::timeout(limits::WITHIN, self.config.fleet.limits.large_answer()).await;
        room.ok().flatten().ok_or_else(|| NodeError {
            endpoint: self.config.network.as_str().into(),
            call: method.to_owned(),
            kind: NodeErrorKind::Throttled(None, "other large answers are being read".into()),
        })
    }

    pub(super) fn role_of_evidence(&self) -> Role {
        let any_traces = self.fleet.members().iter().any(|member| member.serves(Role::Trace));
        if any_traces { Role::Trace } else { Role::Serve }
    }
}
