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
//! * A network before which records are gone goes on behind them once an operator has given them up (rule 12). Its partition is then read
//!   again from the oldest record, since what came meanwhile was passed over; what the output has already of other networks is passed
//!   over this time. Until the group's position is reached again it is committed as it was, and the network stays halted in the log,
//!   with how far it is: who takes over does the same, and nothing is written twice.
//!
//! Of each topic that is read only the newest record of a network is held, however long it is. What was read of the output is not read
//! again by the same process: where that takes longer than the group waits for a member, the next membership goes on from there.

use std::collections::{HashMap, HashSet};

use crate::halts::{Done, Halts};
use bytes::Bytes;
use runtime::{
    control::Known,
    log::{
        Lag, Log, LogError, LogErrorKind, Offsets, TopicPartition,
        events::{Assigned, EventConsumer},
        fold, fold_from,
    },
};
use schemas::{
    Codec, Network, Op,
    headers::ChainHeaders,
    records::{EnrichState, EnrichedBlock, StageStatus, stage_status::stage},
    topics,
};

/// The consumer group, and the beginning of the transactional id.
pub const GROUP: &str = "enrich";

/// What the stage works with when it looks for its place.
pub(crate) struct Looking<'a> {
    pub log: &'a dyn Log,
    pub codec: &'a Codec,
    pub events: &'a mut EventConsumer,
    pub halts: &'a mut Halts,
    pub outputs: &'a mut Outputs,
    pub floors: &'a mut Floors,
    /// What operators ask.
    pub known: &'a Known,
    /// Networks of which this process knows that records are gone before them: partition, and the sequence that each stands before.
    pub overtaken: &'a mut HashMap<Network, (u32, u64)>,
}

/// A network that goes on over a gap.
struct GoesOn {
    network: Network,
    /// The sequence that it stood before.
    stood: u64,
    /// The sequence that is to come next.
    next: u64,
    /// The request by which it does.
    id: String,
}

const INPUT: [&str; 2] = [topics::RAW_BLOCKS.name, topics::RAW_TRANSACTIONS.name];

/// Finds the place in each partition, and says it to the reader of events.
pub(crate) async fn find(mut looking: Looking<'_>, assigned: &[Assigned]) -> Result<(), LogError> {
    let halted = halted(looking.log, looking.codec).await?;
    let is_lost = |lag: &Lag| lag.position.is_some_and(|at| at < lag.ends.low || at > lag.ends.high);
    let lags = looking.log.lag(GROUP, &INPUT).await?;
    let lost: HashSet<u32> = lags.iter().filter(|l| is_lost(l)).map(|l| l.at.partition).collect();
    for Assigned { partition, has_position } in assigned.iter().copied() {
        let here: Vec<&StageStatus> = halted.iter().filter(|s| s.partition == Some(partition)).collect();
        let goes_on = looking.goes_on(partition, &here).await?;
        if !goes_on.is_empty() {
            let positions = lags.iter().filter(|l| l.at.partition == partition && !lost.contains(&partition));
            let positions = positions.filter_map(|l| Some((l.at, l.position?))).collect();
            looking.begin_again(partition, goes_on, &here, positions).await?;
            continue;
        }
        let Looking { log, codec, events, halts, outputs, .. } = &mut looking;
        let is_lost = lost.contains(&partition);
        if is_lost || !has_position {
            let output = outputs.of(*log, codec, partition).await?;
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
        // Where it was not said, the output knows.
        let output = match here.iter().all(|s| s.sequence.is_some()) {
            true => HashMap::new(),
            false => outputs.of(*log, codec, partition).await?,
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

impl Looking<'_> {
    /// Networks of a partition that go on over what operators have given up, or went on and were cut off before they were level.
    async fn goes_on(&mut self, partition: u32, here: &[&StageStatus]) -> Result<Vec<GoesOn>, LogError> {
        let mut stand: HashMap<Network, u64> = HashMap::new();
        for status in here.iter().filter(|s| s.state == EnrichState::Overtaken.as_str()) {
            let Some(network) = &status.network else { continue };
            let sequence = match status.sequence {
                Some(sequence) => sequence,
                None => {
                    let output = self.outputs.of(self.log, self.codec, partition).await?;
                    output.get(network).map_or(0, |done| done.sequence)
                }
            };
            stand.insert(network.clone(), sequence + 1);
        }
        self.overtaken.retain(|network, (of, stood)| {
            if *of == partition {
                stand.insert(network.clone(), *stood);
            }
            *of != partition
        });
        let goes_on = |(network, stood): (Network, u64)| {
            let went_on = || Some((stood, self.known.went_on(&network, stood)?));
            let (next, id) = self.known.behind_gap(&network, stood).or_else(went_on)?;
            let id = id.to_owned();
            Some(GoesOn { network, stood, next, id })
        };
        Ok(stand.into_iter().filter_map(goes_on).collect())
    }

    /// Reads a partition again from its oldest record, for these networks. `positions`: the group's, where the log still has them.
    async fn begin_again(
        &mut self,
        partition: u32,
        goes_on: Vec<GoesOn>,
        here: &[&StageStatus],
        positions: Offsets,
    ) -> Result<(), LogError> {
        let mut oldest = Vec::with_capacity(INPUT.len());
        for topic in INPUT {
            let at = TopicPartition { topic, partition };
            oldest.push((at, self.log.watermarks(at).await?.low));
        }
        let mut output = self.outputs.of(self.log, self.codec, partition).await?;
        self.events.begin_again(partition, &oldest).await?;
        let reads_again = !positions.is_empty();
        self.floors.set(partition, positions);
        for status in here {
            let Some(network) = &status.network else { continue };
            let sequence = status.sequence.or(output.get(network).map(|done| done.sequence));
            self.halts.remember(partition, network, &status.state, status.detail.clone(), sequence);
        }
        for GoesOn { network, stood, next, id } in goes_on {
            let done = output.remove(&network).map_or(0, |done| done.sequence);
            let next = next.max(done + 1);
            tracing::warn!(%network, partition, id, from = stood, next, "the network goes on behind what was given up");
            self.events.go_on(partition, &network, next);
            let detail = format!("enrich goes on at sequence {next}, behind what was given up (request {id})");
            let word = EnrichState::Overtaken.as_str();
            self.halts.remember(partition, &network, word, Some(detail), Some(next - 1));
            if reads_again {
                self.halts.catches_up(partition, network, id);
            }
        }
        for (network, done) in output {
            self.events.resume(partition, &network, done.sequence);
            self.halts.resume(partition, network, done);
        }
        Ok(())
    }
}

/// Positions of the group below which partitions are read again: they are committed as they are until they are reached.
#[derive(Debug, Default)]
pub(crate) struct Floors(HashMap<u32, Offsets>);

impl Floors {
    fn set(&mut self, partition: u32, positions: Offsets) {
        self.0.remove(&partition);
        if !positions.is_empty() {
            self.0.insert(partition, positions);
        }
    }

    /// These partitions are no longer ours.
    pub fn forget(&mut self, partitions: &[u32]) {
        self.0.retain(|partition, _| !partitions.contains(partition));
    }

    /// What is to be committed for positions that were reached, and the partitions whose former position is reached with them.
    pub fn lift(&self, reached: Offsets) -> (Offsets, Vec<u32>) {
        let below = |partition: &u32, floor: &Offsets| {
            let at = |at: &TopicPartition| reached.iter().find(|(r, _)| r == at).map(|(_, offset)| *offset);
            let touched = reached.iter().any(|(at, _)| at.partition == *partition);
            (touched, floor.iter().any(|(place, floor)| at(place).is_none_or(|offset| offset < *floor)))
        };
        let mut caught_up = Vec::new();
        let mut held_back: HashMap<u32, &Offsets> = HashMap::new();
        for (partition, floor) in &self.0 {
            match below(partition, floor) {
                (false, _) => {}
                (true, true) => drop(held_back.insert(*partition, floor)),
                (true, false) => caught_up.push(*partition),
            }
        }
        let mut offsets: Offsets =
            reached.into_iter().filter(|(at, _)| !held_back.contains_key(&at.partition)).collect();
        offsets.extend(held_back.into_values().flatten().copied());
        (offsets, caught_up)
    }
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
    pub async fn of(
        &mut self,
        log: &dyn Log,
        codec: &Codec,
        partition: u32,
    ) -> Result<HashMap<Network, Done>, LogError> {
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
    fn the_groups_position_never_goes_back() {
        let [headers, children] = INPUT.map(|topic| TopicPartition { topic, partition: 1 });
        let other = TopicPartition { partition: 2, ..headers };
        let mut floors = Floors::default();
        floors.set(1, vec![(headers, 10), (children, 100)]);
        let (mut offsets, level) = floors.lift(vec![(headers, 4), (children, 40), (other, 7)]);
        offsets.sort_unstable();
        assert_eq!((offsets, level), (vec![(headers, 10), (other, 7), (children, 100)], vec![]));
        let (_, level) = floors.lift(vec![(headers, 10), (children, 99)]);
        assert!(level.is_empty(), "both topics, or none");
        assert_eq!(floors.lift(vec![(other, 8)]), (vec![(other, 8)], vec![]));
        let reached = vec![(headers, 10), (children, 100)];
        assert_eq!(floors.lift(reached.clone()), (reached.clone(), vec![1]));
        floors.forget(&[1]);
        assert_eq!(floors.lift(reached.clone()), (reached, vec![]));
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
