//! Failed transactions from before this process had a partition, whose causes may still come: read back where a condition asks for causes.
//!
//! Guarantee: as far back as [`BLOCKS`] and [`TRANSACTIONS`]; none of a block that was reverted, and none that the ring may know nothing of
//! any more ([`ring`](super::ring)): what it gave by its cause already would be given again. Not knowing them stops nobody. All partitions
//! together take no longer than [`PATIENCE`], and a block costs each tenant no more steps than when it was looked through.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Record, TopicPartition, fold_between};
use schemas::{
    Codec, Network, Op, Origin, Status, TimeMs,
    headers::ChainHeaders,
    limits::REORG_LIMIT_BLOCKS,
    records::{EnrichedBlock, EnrichedTransaction, Payload},
    topics,
};
use tokio::time::{Instant, timeout_at};

use super::{
    hits::Hits,
    late::{Failed, Late},
    monitors::Monitors,
    ring::Place,
};
use crate::metrics;

/// Records of `enriched.blocks` that are read back …
const BLOCKS: u64 = 2_000;
/// … and of `enriched.transactions`.
const TRANSACTIONS: u64 = 20_000;
/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_millis(300) };
/// How long all of it may take, of all partitions of one assignment.
pub const PATIENCE: Duration = Duration::from_secs(5);

const TOO_LONG: &str = "reading them back took all the time that it may";

/// Blocks of a network that can still be taken back, by the event that applied each.
#[derive(Default)]
struct Standing {
    blocks: BTreeMap<u64, Place>,
    tip: u64,
    finalized: Option<u64>,
    sequence: u64,
}

impl Standing {
    fn take(&mut self, block: &EnrichedBlock) {
        let envelope = &block.envelope;
        self.finalized = self.finalized.max(envelope.finalized_height);
        match envelope.op {
            Op::Apply if envelope.origin == Origin::Backfill => return,
            Op::Apply => {
                self.tip = envelope.height;
                self.blocks.insert(envelope.sequence, Place::of(envelope, TimeMs::now()));
            }
            Op::Revert => {
                self.tip = envelope.height.saturating_sub(1);
                self.blocks.remove(&envelope.reverts_sequence.unwrap_or_default());
            }
            Op::Finality => return,
        }
        self.sequence = envelope.sequence;
    }

    /// Forgets what the ring forgets.
    fn prune(&mut self) {
        let (tip, finalized) = (self.tip, self.finalized);
        self.blocks.retain(|_, place| {
            let is_deep = place.height.saturating_add(REORG_LIMIT_BLOCKS) < tip;
            !is_deep && finalized.is_none_or(|finalized| finalized < place.height)
        });
    }
}

/// Takes in those of a partition whose topics were read up to these offsets: blocks, and transactions. `max_steps`: what the conditions of one
/// tenant may cost a block; `patience`: how long it may take, less what it took afterwards.
pub async fn read_back(
    log: &dyn Log,
    codec: &Codec,
    (partition, blocks, transactions): (u32, u64, u64),
    monitors: &mut Monitors,
    late: &mut BTreeMap<Network, Late>,
    (max_steps, patience): (u64, &mut Duration),
) {
    if !monitors.any_asks_for_causes() {
        return;
    }
    let began = Instant::now();
    let until = began + *patience;
    let read = async {
        let standing = standing(log, codec, (partition, blocks), (&*monitors, until)).await?;
        for (network, standing) in &standing {
            late.entry(network.clone()).or_default().passed(standing.sequence);
        }
        failed(log, codec, (partition, transactions), (&mut *monitors, max_steps, until), (&standing, &mut *late)).await
    };
    let read = timeout_at(until, read).await;
    *patience = patience.saturating_sub(began.elapsed());
    let why = match read {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => TOO_LONG.to_owned(),
    };
    tracing::warn!(partition, why, "causes of transactions that failed before a start are not held against conditions");
}

/// Whether there is time left.
fn in_time(until: Instant) -> Result<(), LogError> {
    if Instant::now() < until { Ok(()) } else { Err(LogError::new(LogErrorKind::Unavailable, TOO_LONG)) }
}

/// The offsets that are read: the last so many below one.
async fn last(log: &dyn Log, at: TopicPartition, to: u64, back: u64) -> Result<Range<u64>, LogError> {
    let low = log.watermarks(at).await?.low;
    Ok(to.saturating_sub(back).max(low).min(to)..to)
}

async fn standing(
    log: &dyn Log,
    codec: &Codec,
    (partition, to): (u32, u64),
    (monitors, until): (&Monitors, Instant),
) -> Result<BTreeMap<Network, Standing>, LogError> {
    let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
    let mut all: BTreeMap<Network, Standing> = BTreeMap::new();
    let each = |record: Record| {
        in_time(until)?;
        let headers = ChainHeaders::parse(|name| record.header(name));
        if let Ok(headers) = headers
            && monitors.ask_for_causes(&headers.network)
            && let Ok(block) = codec.decode::<EnrichedBlock>(record.value.as_deref().unwrap_or_default())
        {
            all.entry(headers.network).or_default().take(&block);
        }
        Ok::<(), LogError>(())
    };
    let offsets = last(log, at, to, BLOCKS).await?;
    if !offsets.is_empty() {
        fold_between(log, at, offsets, POLL, each).await?;
    }
    all.values_mut().for_each(Standing::prune);
    Ok(all)
}

async fn failed(
    log: &dyn Log,
    codec: &Codec,
    (partition, to): (u32, u64),
    (monitors, max_steps, until): (&mut Monitors, u64, Instant),
    (standing, late): (&BTreeMap<Network, Standing>, &mut BTreeMap<Network, Late>),
) -> Result<(), LogError> {
    let at = TopicPartition { topic: topics::ENRICHED_TRANSACTIONS.name, partition };
    let mut block: Option<(Network, u64)> = None;
    let each = |record: Record| {
        in_time(until)?;
        let Ok(headers) = ChainHeaders::parse(|name| record.header(name)) else { return Ok(()) };
        let network = &headers.network;
        let place = standing.get(network).and_then(|standing| standing.blocks.get(&headers.sequence));
        let (Some(place), Some(value)) = (place, &record.value) else { return Ok(()) };
        let Ok(transaction) = codec.decode::<EnrichedTransaction>(value) else { return Ok(()) };
        let Payload::Evm(whole) = &transaction.payload else { return Ok(()) };
        let (evm, enrichment) = &**whole;
        if enrichment.status == Status::Failed {
            let of = (network.clone(), headers.sequence);
            if block.as_ref() != Some(&of) {
                monitors.begin_block(max_steps);
                block = Some(of);
            }
            // What it gave without its cause.
            let mut hits = Hits::default();
            monitors.find(place, network, &transaction, &mut hits);
            let held = late.entry(network.clone()).or_default();
            let gone = held.hold(Failed::of(place, evm.hash, Some(value), (hits.after(0), false)));
            metrics::failures_let_go(network, gone);
        }
        Ok::<(), LogError>(())
    };
    let offsets = last(log, at, to, TRANSACTIONS).await?;
    match offsets.is_empty() {
        true => Ok(()),
        false => fold_between(log, at, offsets, POLL, each).await,
    }
}
