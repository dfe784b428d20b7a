//! One file per step, each a pure function of a transaction, its block's header and its chain's profile.

pub mod failure;
pub mod fee;
pub mod method;
pub mod status;
pub mod summary;
pub mod transfers;

use alloy_primitives::U256;
use schemas::{
    Op,
    profiles::Profile,
    records::{EnrichedBlock, EnrichedTransaction, Enrichment, EvmTransaction, Payload, RawBlock, RawTransaction},
};

/// A raw block event as an enriched one, record for record: headers stay headers, reverts and placeholders stay what they
/// are, finality has no summary.
pub fn enrich_event(
    profile: &Profile,
    block: RawBlock,
    transactions: Vec<RawTransaction>,
) -> (EnrichedBlock, Vec<EnrichedTransaction>) {
    let base_fee = block.evm.as_ref().and_then(|header| header.base_fee_per_gas);
    let enriched: Vec<_> = transactions
        .into_iter()
        .map(|RawTransaction { envelope, payload }| {
            let payload = match payload {
                Payload::Transaction(tx) => {
                    let found = enrich_transaction(profile, base_fee, &tx);
                    Payload::Transaction(Box::new((*tx, found)))
                }
                Payload::Revert => Payload::Revert,
                Payload::Unreadable { index, error } => Payload::Unreadable { index, error },
            };
            EnrichedTransaction { envelope, payload }
        })
        .collect();
    let summary = (block.envelope.op == Op::Apply).then(|| summary::of(base_fee, &enriched));
    (EnrichedBlock { envelope: block.envelope, evm: block.evm, summary }, enriched)
}

/// Everything that one transaction tells. `base_fee`: of its block, wei per gas.
pub fn enrich_transaction(profile: &Profile, base_fee: Option<U256>, tx: &EvmTransaction) -> Enrichment {
    let status = status::of(tx);
    let failure = failure::of(status, tx);
    let fee = fee::of(profile.fee_model, base_fee, tx);
    Enrichment {
        status,
        fee: fee.ok(),
        fee_reason: fee.err().map(|reason| reason.as_str().to_owned()),
        fee_token_amount: fee::token_amount(tx),
        method: method::of(tx),
        failure_cause: failure.map(|f| f.cause.to_owned()),
        failure_reason: failure.map(|f| f.reason.to_owned()),
        events: tx.logs.iter().map(transfers::decode).collect(),
    }
}
