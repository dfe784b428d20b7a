//! Where the stage goes on in partitions that it is given.
//!
//! * The group has a position that the log still has: there.
//! * The position is gone from the log (retention passed it, or the topic was made again): at the oldest record there is; the
//!   stage's own output says which event of each network is to come there. One that continues it goes on, any other halts its
//!   network.
//! * The group has no position (it was deleted, or its positions expired while the stage stood still): likewise at the oldest
//!   record, and what the output has already is passed over, so that nothing is written twice. The event that the output ends
//!   with must be the same one, or the network halts.
//! * A network that was halted before goes on with the event that it stands before, and with no other.
//!
//! Of each topic that is read only the newest record of a network is held, however long it is. What was read of the output is not read
//! again by the same process: where that takes longer than the group waits for a member, the next membership goes on from there.

use std::collections::{HashMap, HashSet};

use crate::halts::{Done, Halts};
use bytes::Bytes;
use runtime::log::{
    Log, LogError, LogErrorKind, TopicPartition,
    events::{Assigned, EventConsumer},
    fold, fold_from,
};
use schemas::{
    Codec, Network, Op,
    headers::ChainHeaders,
    records::{EnrichState, EnrichedBlock, StageStatus, stage_status::stage},
    topics,
};

/// The consumer group, and the beginning of the transactional id.
pub const GROUP: &str = "enrich";

/// Finds the place in each partition, and says it to the reader of events.
pub(crate) async fn find(
    log: &dyn Log,
    codec: &Codec,
    events: &mut EventConsumer,
    halts: &mut Halts,
    outputs: &mut Outputs,
    assigned: &[Assigned],
) -> Result<(), LogError> {
    let halted = halted(log, codec).await?;
    let input = [topics::RAW_BLOCKS.name, topics::RAW_TRANSACTIONS.name];
    let is_lost = |lag: &runtime::log::Lag| lag.position.is_some_and(|at| at < lag.ends.low || at > lag.ends.high);
    let lost: HashSet<u32> =
        log.lag(GROUP, &input).await?.iter().filter(|l| is_lost(l)).map(|l| l.at.partition).collect();
    for Assigned { partition, has_position } in assigned.iter().copied() {
        let is_lost = lost.contains(&partition);
        if is_lost || !has_position {
            let output = outputs.of(log, codec, partition).await?;
            if is_lost || !output.is_empty() {
                let networks = output.len();
                tracing::warn!(partition, networks, "the group's position is gone; going on where the output ends");
            }
            for (network, done) in output {
                if has_position {
                    events.expect(partition, &network, done.sequence + 1);
                } else {
                    events.resume(partition, &network, done.sequence);
                    halts.resume(partition, network, done);
                }
            }
            continue;
        }
        let here: Vec<&StageStatus> = halted.iter().filter(|s| s.partition == Some(partition)).collect();
        // Where it was not said, the output knows.
        let output = match here.iter().all(|s| s.sequence.is_some()) {
            true => HashMap::new(),
            false => outputs.of(log, codec, partition).await?,
        };
        for status in here {
            let Some(network) = &status.network else { continue };
            let sequence = status.sequence.or(output.get(network).map(|done| done.sequence)).unwrap_or(0);
            events.expect(partition, network, sequence + 1);
            halts.remember(partition, network, &status.state, status.detail.clone(), Some(sequence));
        }
    }
    Ok(())
}

/// Networks that this stage said to be halted.
async fn halted(log: &dyn Log, codec: &Codec) -> Result<Vec<StageStatus>, LogError> {
    let at = TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 };
    let mut newest: HashMap<Network, StageStatus> = HashMap::new();
    fold(log, at, |record| {
        let status = record.value.as_ref().and_then(|value| codec.decode::<StageStatus>(value).ok());
        if let Some(status) = status.filter(|s| s.stage == stage::ENRICH) {
            keep(&mut newest, status);
        }
        Ok::<(), LogError>(())
    })
    .await?;
    let is_halt = |s: &StageStatus| EnrichState::parse(&s.state).is_ok_and(|state| state != EnrichState::Running);
    Ok(newest.into_values().filter(is_halt).collect())
}

/// A status counts for no more than what its process said up to this much later, by its own clock, and milliseconds: as long as the beat
/// may be on its way. A difference beyond is of a clock that was set back.
const OVERTAKEN_MS: i64 = 15_000;

/// Keeps the newest status of a network. The beat takes what it says from the board and commits it a little later: what a transaction
/// of the stage said meanwhile stands before it in the log, and is the newer one.
fn keep(newest: &mut HashMap<Network, StageStatus>, status: StageStatus) {
    let Some(network) = status.network.clone() else { return };
    let overtaken = |known: &StageStatus| {
        known.instance == status.instance && (1..=OVERTAKEN_MS).contains(&(known.at.0 - status.at.0))
    };
    if !newest.get(&network).is_some_and(overtaken) {
        newest.insert(network, status);
    }
}

/// What each network's output ends with, as far as it was read.
#[derive(Default)]
pub(crate) struct Outputs(HashMap<u32, Output>);

/// Of one partition.
#[derive(Default)]
struct Output {
    read_to: u64,
    newest: HashMap<Network, (ChainHeaders, Option<Bytes>)>,
}

impl Outputs {
    /// What each network's output ends with in a partition as it is now.
    async fn of(&mut self, log: &dyn Log, codec: &Codec, partition: u32) -> Result<HashMap<Network, Done>, LogError> {
        let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
        let end = match log.watermarks(at).await {
            Ok(ends) => ends.high,
            Err(e) if e.kind == LogErrorKind::NoTopic => return Ok(HashMap::new()),
            Err(e) => return Err(e),
        };
        let output = self.0.entry(partition).or_default();
        if end < output.read_to {
            *output = Output::default(); // another topic of this name
        }
        let newest = &mut output.newest;
        output.read_to = fold_from(log, at, output.read_to, |record| {
            if let Ok(meta) = ChainHeaders::parse(|name| record.header(name))
                && meta.op != Op::Finality
            {
                newest.insert(meta.network.clone(), (meta, record.value));
            }
            Ok::<(), LogError>(())
        })
        .await?;
        let done = |(network, (meta, value)): (&Network, &(ChainHeaders, Option<Bytes>))| {
            let block = codec.decode::<EnrichedBlock>(value.as_deref().unwrap_or_default());
            let block = block.map_err(|e| {
                let message = format!("{} [{partition}]: this stage's last record of {network}: {e}", at.topic);
                LogError::new(LogErrorKind::Corrupt, message)
            })?;
            let done = Done { sequence: meta.sequence, op: meta.op, block_hash: block.envelope.block_hash };
            Ok((network.clone(), done))
        };
        output.newest.iter().map(done).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::TimeMs;

    use super::*;

    /// Of these, in the log's order, as (instance, time, state), the one that counts.
    fn counts(said: &[(&str, i64, EnrichState)]) -> String {
        let mut newest = HashMap::new();
        for (instance, at, state) in said {
            let status = StageStatus {
                network: Some("n".parse().expect("a slug")),
                partition: Some(0),
                since: TimeMs(0),
                ..StageStatus::new(stage::ENRICH, instance, state.as_str(), Duration::from_secs(5), TimeMs(*at))
            };
            keep(&mut newest, status);
        }
        newest.remove(&"n".parse::<Network>().expect("a slug")).expect("one counts").state
    }

    #[test]
    fn a_beat_that_was_overtaken_hides_no_halt() {
        let (running, halted) = (EnrichState::Running, EnrichState::LogReplaced);
        assert_eq!(counts(&[("a", 1_000, running), ("a", 2_000, halted)]), halted.as_str());
        // Assembled before the halt, committed behind it.
        assert_eq!(counts(&[("a", 2_000, halted), ("a", 1_900, running)]), halted.as_str());
        assert_eq!(counts(&[("a", 2_000, running), ("a", 1_100, halted)]), running.as_str());
        // The next beat, another process, and a clock that was set back count as they come.
        assert_eq!(counts(&[("a", 2_000, halted), ("a", 1_900, running), ("a", 2_900, running)]), running.as_str());
        assert_eq!(counts(&[("a", 2_000, halted), ("b", 1_900, running)]), running.as_str());
        assert_eq!(counts(&[("a", 90_000, halted), ("a", 1_000, running)]), running.as_str());
    }
}
