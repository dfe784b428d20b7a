//! One file per step, each a pure function of a transaction, its block's header and its chain's profile.

pub mod contracts;
pub mod failure;
pub mod fee;
pub mod method;
pub mod status;
pub mod summary;
pub mod transfers;

use schemas::{
    Op,
    profiles::Profile,
    records::{
        EnrichedBlock, EnrichedTransaction, Enrichment, EvmTransaction, Figures, Payload, RawBlock, RawTransaction,
    },
};

use contracts::Watched;
use fee::InBlock;
use summary::Summing;

/// A raw block event as an enriched one, record for record: headers stay headers, reverts and placeholders stay what they
/// are, finality has no summary. No contract is watched.
pub fn enrich_event(
    profile: &Profile,
    block: RawBlock,
    transactions: Vec<RawTransaction>,
) -> (EnrichedBlock, Vec<EnrichedTransaction>) {
    let mut summing = Summing::new(&block, Watched::default());
    let enriched = transactions.into_iter().map(|raw| enrich_record(profile, &mut summing, raw)).collect();
    (enriched_block(block, summing).0, enriched)
}

/// One record of an event, counted in its block's summary.
pub fn enrich_record(profile: &Profile, summing: &mut Summing, raw: RawTransaction) -> EnrichedTransaction {
    let payload = match raw.payload {
        Payload::Transaction(tx) => {
            let found = enrich_transaction(profile, summing.in_block(), &tx);
            let transfers = found.events.iter().flatten().filter(|e| transfers::is_transfer(&e.event)).count();
            summing.add(&Figures::from(&*tx), &found, tx.logs.iter().map(|log| log.address), transfers);
            Payload::Transaction(Box::new((*tx, found)))
        }
        Payload::Revert => Payload::Revert,
        Payload::Unreadable { index, error } => {
            summing.unreadable();
            Payload::Unreadable { index, error }
        }
    };
    EnrichedTransaction { envelope: raw.envelope, payload }
}

/// The block of an event whose records were all counted, and how many watched contracts its record has no room for.
pub fn enriched_block(block: RawBlock, summing: Summing) -> (EnrichedBlock, usize) {
    let (summary, left_out) = match block.envelope.op {
        Op::Apply => {
            let (summary, left_out) = summing.done();
            (Some(summary), left_out)
        }
        Op::Revert | Op::Finality => (None, 0),
    };
    (EnrichedBlock { envelope: block.envelope, evm: block.evm, summary }, left_out)
}

/// Everything that one transaction tells in its block.
pub fn enrich_transaction(profile: &Profile, block: &InBlock, tx: &EvmTransaction) -> Enrichment {
    let events = tx.logs.iter().map(transfers::decode).collect();
    Enrichment { events, ..enrich_figures(profile, block, &tx.into()) }
}

/// What is told by all but the logs.
pub fn enrich_figures(profile: &Profile, block: &InBlock, tx: &Figures) -> Enrichment {
    let status = status::of(tx);
    let failure = failure::of(status, tx);
    let fee = fee::of(profile, block, tx);
    Enrichment {
        status,
        fee: fee.ok(),
        fee_reason: fee.err().map(|reason| reason.as_str().to_owned()),
        fee_token_amount: fee::token_amount(tx),
        method: method::of(tx),
        failure_cause: failure.map(|f| f.cause.to_owned()),
        failure_reason: failure.map(|f| f.reason.to_owned()),
        events: Vec::new(),
    }
}
