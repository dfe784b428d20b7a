//! What enrich says of networks that it halted (`enrich.status`), and where it goes on when its input was lost.
//!
//! Guarantee: a halt is written with the next commit, and taken back in the very transaction that passes the network's next event
//! on; a network that was never halted has no record.

use std::collections::{HashMap, HashSet};

use runtime::log::{
    Log, LogError, LogErrorKind, NewRecord, TopicPartition,
    events::{Assigned, EventConsumer, Halt},
    read_all,
};
use schemas::{
    Codec, Network, Op, Record, TimeMs,
    headers::ChainHeaders,
    records::{EnrichState, EnrichStatus},
    topics,
};

use crate::{metrics, pipeline::GROUP};

/// Networks that are halted, by what the topic says, and what is still to be written.
pub(crate) struct Halts {
    said: HashMap<Network, EnrichState>,
    pending: Vec<NewRecord>,
}

impl Halts {
    /// As the log has them.
    pub async fn read(log: &dyn Log, codec: &Codec) -> Result<Self, LogError> {
        let topic = topics::ENRICH_STATUS.name;
        let mut said = HashMap::new();
        for partition in 0..log.partitions(topic).await? {
            for record in read_all(log, TopicPartition { topic, partition }).await? {
                let Some(value) = &record.value else { continue };
                match codec.decode::<EnrichStatus>(value) {
                    Ok(status) => drop(said.insert(status.network, status.state)),
                    Err(error) => tracing::warn!(%error, topic, partition, "a record is passed by"),
                }
            }
        }
        Ok(Self { said, pending: Vec::new() })
    }

    /// A network is halted.
    pub fn halt(&mut self, codec: &Codec, partition: u32, network: &Network, state: EnrichState, why: &str) {
        let detail = format!("enrich has stopped this network: {why}. {}", advice(state));
        tracing::error!(%network, partition, state = state.as_str(), "the network is halted: {detail}");
        metrics::halted(network.as_str(), state.as_str(), true);
        self.say(codec, partition, network, state, Some(detail));
    }

    /// An event of a network is passed on.
    pub fn runs(&mut self, codec: &Codec, partition: u32, network: &Network) {
        if let Some(state) = self.said.get(network).copied().filter(|state| *state != EnrichState::Running) {
            tracing::info!(%network, partition, "the network goes on");
            metrics::halted(network.as_str(), state.as_str(), false);
            self.say(codec, partition, network, EnrichState::Running, None);
        }
    }

    fn say(&mut self, codec: &Codec, partition: u32, network: &Network, state: EnrichState, detail: Option<String>) {
        self.said.insert(network.clone(), state);
        let status = EnrichStatus { network: network.clone(), state, detail, at: TimeMs::now() };
        if let Ok(value) = codec.encode(&status) {
            self.pending.push(NewRecord {
                to: TopicPartition { topic: topics::ENRICH_STATUS.name, partition },
                key: Some(status.key().into()),
                value: Some(value),
                headers: Vec::new(),
            });
        }
    }

    /// Whether something is to be written.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What is to be written now.
    pub fn take(&mut self) -> Vec<NewRecord> {
        std::mem::take(&mut self.pending)
    }
}

/// The state that a broken order means.
pub(crate) const fn state_of(why: &Halt) -> EnrichState {
    match why {
        Halt::Overtaken { .. } | Halt::Gap { .. } => EnrichState::Overtaken,
        Halt::Again { .. } => EnrichState::LogReplaced,
        Halt::FewerChildren { .. } | Halt::MoreChildren { .. } | Halt::BadHeaders { .. } => EnrichState::Unreadable,
    }
}

const fn advice(state: EnrichState) -> &'static str {
    match state {
        EnrichState::Running => "",
        EnrichState::Overtaken => {
            "Nothing was skipped, other networks go on. Follow it under another slug from there; keep the topics' retention \
             longer than a stage may stand still"
        }
        EnrichState::LogReplaced => {
            "Nothing was written twice. Bring back the checkpoints that belong to this log, or follow it under another slug"
        }
        EnrichState::Unreadable => {
            "`headwater dead-letters list` has the record, if one came. Run a version that reads it; other networks go on"
        }
    }
}

/// Where the group's position is no longer in a topic (retention passed it, or the topic was made again), reading goes on at the
/// oldest record there is: the stage's own output says which event of each network is to come there. One that continues it goes
/// on, as when a topic was deleted that had been read to its end; any other halts its network.
pub(crate) async fn expect_after_loss(
    log: &dyn Log,
    events: &mut EventConsumer,
    assigned: &[Assigned],
) -> Result<(), LogError> {
    let input = [topics::RAW_BLOCKS.name, topics::RAW_TRANSACTIONS.name];
    let is_lost = |lag: &runtime::log::Lag| lag.position.is_some_and(|at| at < lag.ends.low || at > lag.ends.high);
    let lost: HashSet<u32> =
        log.lag(GROUP, &input).await?.iter().filter(|l| is_lost(l)).map(|l| l.at.partition).collect();
    for partition in assigned.iter().map(|a| a.partition).filter(|p| lost.contains(p)) {
        let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
        let mut last: HashMap<Network, u64> = HashMap::new();
        let written = match read_all(log, at).await {
            Ok(records) => records,
            Err(e) if e.kind == LogErrorKind::NoTopic => Vec::new(),
            Err(e) => return Err(e),
        };
        for record in &written {
            if let Ok(meta) = ChainHeaders::parse(|name| record.header(name))
                && meta.op != Op::Finality
            {
                last.insert(meta.network, meta.sequence);
            }
        }
        tracing::warn!(
            partition,
            networks = last.len(),
            "the group's position is gone; going on where the output ends"
        );
        for (network, sequence) in last {
            events.expect(partition, &network, sequence + 1);
        }
    }
    Ok(())
}
