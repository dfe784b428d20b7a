//! One file per step, each a pure function of a transaction, its block's header, its chain's profile and what is known of contracts.

pub mod bitcoin;
pub mod contracts;
pub mod decode;
pub mod failure;
pub mod fee;
pub mod known;
pub mod method;
pub mod status;
pub mod summary;
pub mod texts;
pub mod transfers;

use schemas::{
    Op,
    profiles::Profile,
    records::{
        Coverage, EnrichedBlock, EnrichedTransaction, Enrichment, EvmTransaction, Figures, Payload, RawBlock,
        RawTransaction,
    },
};

use self::decode::Decoder;
use contracts::Watched;
use fee::InBlock;
use known::Known;
use summary::Summing;

/// A raw block event as an enriched one, record for record: headers stay headers, reverts and placeholders stay what they
/// are, finality has no summary. No contract is watched, and none is known.
pub fn enrich_event(
    profile: &Profile,
    block: RawBlock,
    transactions: Vec<RawTransaction>,
) -> (EnrichedBlock, Vec<EnrichedTransaction>) {
    enrich_event_with(profile, &Known::default(), block, transactions)
}

/// The same with what is known of contracts.
pub fn enrich_event_with(
    profile: &Profile,
    known: &Known,
    block: RawBlock,
    transactions: Vec<RawTransaction>,
) -> (EnrichedBlock, Vec<EnrichedTransaction>) {
    let mut summing = Summing::new(&block, Watched::default());
    let mut decoder = Decoder::new(known, block.envelope.height);
    let enriched =
        transactions.into_iter().map(|raw| enrich_record(profile, &mut summing, &mut decoder, raw)).collect();
    (enriched_block(block, summing, known.position).0, enriched)
}

/// One record of an event, counted in its block's summary.
pub fn enrich_record(
    profile: &Profile,
    summing: &mut Summing,
    decoder: &mut Decoder<'_>,
    raw: RawTransaction,
) -> EnrichedTransaction {
    let payload = match raw.payload {
        Payload::Evm(tx) => {
            let found = enrich_transaction(profile, summing.in_block(), decoder, &tx);
            let is_transfer = tx.logs.iter().map(|log| transfers::is_transfer(&log.topics, log.data.len()));
            let transfers: Vec<bool> = is_transfer.collect();
            summing.add(&Figures::from(&*tx), &found, tx.logs.iter().map(|log| log.address), &transfers);
            Payload::Evm(Box::new((*tx, found)))
        }
        Payload::Bitcoin(tx) => match bitcoin::decode(summing.chain(), &tx) {
            Ok(decoded) => {
                summing.add_bitcoin(&decoded);
                Payload::Bitcoin(Box::new(decoded))
            }
            Err(error) => {
                summing.unreadable();
                Payload::Unreadable { index: tx.transaction_index, error: error.to_string() }
            }
        },
        Payload::Revert => Payload::Revert,
        Payload::Unreadable { index, error } => {
            summing.unreadable();
            Payload::Unreadable { index, error }
        }
    };
    EnrichedTransaction { envelope: raw.envelope, payload }
}

/// The block of an event whose records were all counted, and how many watched contracts its record has no room for.
/// `facts_position`: of what was known of contracts.
pub fn enriched_block(block: RawBlock, summing: Summing, facts_position: Option<u64>) -> (EnrichedBlock, usize) {
    let facts_position = facts_position.filter(|_| block.envelope.op == Op::Apply);
    // Where only the header was to be had nothing is said about transactions (rule 18).
    let header_only = block.bitcoin.as_ref().is_some_and(|header| header.coverage == Coverage::Header);
    let (summary, left_out) = match block.envelope.op {
        Op::Apply if !header_only => {
            let (summary, left_out) = summing.done();
            (Some(summary), left_out)
        }
        Op::Apply | Op::Revert | Op::Finality => (None, 0),
    };
    (
        EnrichedBlock { envelope: block.envelope, evm: block.evm, bitcoin: block.bitcoin, summary, facts_position },
        left_out,
    )
}

/// Everything that one transaction tells in its block.
pub fn enrich_transaction(
    profile: &Profile,
    block: &InBlock,
    decoder: &mut Decoder<'_>,
    tx: &EvmTransaction,
) -> Enrichment {
    decoder.begin();
    let (call, inner_calls) = decoder.call_of(tx);
    let events = tx.logs.iter().map(|log| decoder.event_of(log)).collect();
    Enrichment { call, inner_calls, events, ..enrich_figures(profile, block, &tx.into()) }
}

/// What is told by all but call data and logs.
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
        call: None,
        inner_calls: None,
        events: Vec::new(),
    }
}

/// Counts and sizes within a block are far below 2^32: a block's bytes are limited.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
