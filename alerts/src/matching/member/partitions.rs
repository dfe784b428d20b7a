//! Partitions that come and go.

use runtime::log::{LogError, TopicPartition, Transaction, events::Assigned, membership::deadline};

use super::{
    super::{GROUP, missed, part::Part},
    CHILDREN, HEADERS, Member,
};

/// Records of `enriched.blocks` below which a partition without a position is read from its beginning: a log that is new.
const NEW_LOG: u64 = 100_000;

impl Member<'_> {
    /// Takes partitions over: what was given of them, and what may still come of it.
    ///
    /// # Errors
    /// What the log says.
    pub(super) async fn assigned(&mut self, assigned: &[Assigned]) -> Result<(), LogError> {
        let partitions: Vec<u32> = assigned.iter().map(|a| a.partition).collect();
        self.context.config.board.held(partitions.iter().copied());
        // What was decided while others held them (rule 34).
        self.context.definitions.up_to_now().await?;
        self.take_definitions();
        if let Err(error) = self.context.control.up_to_now().await {
            tracing::warn!(%error, "since when contracts are watched is not known yet: their windows are not whole");
        }
        let (log, codec) = (&*self.context.log, &*self.context.codec);
        let lags = deadline("asking for the group's positions", log.lag(GROUP, &[HEADERS, CHILDREN])).await?;
        let mut patience = missed::PATIENCE;
        for Assigned { partition, has_position } in assigned.iter().copied() {
            let of = lags.iter().filter(|lag| lag.at.partition == partition);
            self.positions.extend(of.map(|lag| (lag.at, lag.position.unwrap_or(lag.ends.low))));
            let header = TopicPartition { topic: HEADERS, partition };
            let position = lags.iter().find(|lag| lag.at == header).and_then(|lag| lag.position);
            let from = match position.filter(|_| has_position) {
                Some(position) => position,
                None => self.begin(partition).await?,
            };
            tracing::info!(partition, from, "assigned");
            let mut part = Part::restore(log, codec, partition, from).await?;
            let children = self.positions.get(&TopicPartition { topic: CHILDREN, partition }).copied().unwrap_or(0);
            let to = (partition, from, children);
            let bounds = (self.context.config.alerts.max_steps, &mut patience);
            missed::read_back(log, codec, to, &mut self.monitors, &mut part.late, bounds).await;
            self.parts.insert(partition, part);
        }
        Ok(())
    }

    /// Begins with a partition that the group never had: with a new log at its beginning, else at its end, since nobody wants to be woken
    /// for what was long before. The place is committed before anything is read.
    async fn begin(&mut self, partition: u32) -> Result<u64, LogError> {
        let at = |topic| TopicPartition { topic, partition };
        let log = &self.context.log;
        // Children first: then every later header has all its children behind the place where reading starts.
        let (children, headers) = (log.watermarks(at(CHILDREN)).await?, log.watermarks(at(HEADERS)).await?);
        if headers.low == 0 && headers.high <= NEW_LOG {
            return Ok(0);
        }
        let from = [(at(CHILDREN), children.high), (at(HEADERS), headers.high)];
        self.events.begin_again(partition, &from).await?;
        self.positions.extend(from);
        let offsets = Some((self.events.group(), from.to_vec()));
        deadline("committing", self.producer.commit(Transaction { records: Vec::new(), offsets })).await?;
        Ok(headers.high)
    }

    /// Forgets partitions that are another's now.
    pub(super) fn revoked(&mut self, partitions: &[u32]) {
        tracing::info!(?partitions, "revoked");
        self.parts.retain(|partition, _| !partitions.contains(partition));
        self.waiting.retain(|partition, _| !partitions.contains(partition));
        self.beside.release(partitions);
        self.pasts.forget(partitions);
        self.positions.retain(|at, _| !partitions.contains(&at.partition));
        self.context.config.board.released(partitions);
    }
}
