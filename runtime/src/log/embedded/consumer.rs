//! Group members and readers.
//!
//! Guarantee: a member's positions are read after its generation began, through the writer's queue, so they include every commit
//! of the generations before, and none of those can come later.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Shared,
    fetch::{Cursor, Cursors},
    groups::Place,
    job::{Commit, Job},
    membership::{Membership, group_offsets},
};
use crate::log::{
    Consumer, GroupMetadata, LogError, LogErrorKind, Offsets, PollLimits, Polled, Reader, Topic, TopicPartition,
};

/// A member of a group.
pub struct EmbeddedConsumer {
    shared: Arc<Shared>,
    membership: Arc<Membership>,
    /// What was handed out as assigned.
    assigned: Vec<TopicPartition>,
    cursors: Cursors,
    wake: watch::Receiver<u64>,
}

impl EmbeddedConsumer {
    /// Joins a group.
    pub fn join(shared: Arc<Shared>, group: &str, instance: &str, topics: &[Topic]) -> Result<Self, LogError> {
        for topic in topics {
            shared.topic(topic)?;
        }
        let wake = shared.wake.subscribe();
        let member = {
            let mut groups = shared.groups.lock().unwrap_or_else(|e| e.into_inner());
            groups.join(group, instance, topics, shared.partition_count())
        };
        shared.wake();
        // Generation 0 never exists: the first poll takes up the present one.
        let membership = Arc::new(Membership { group: group.into(), member, generation: 0 });
        Ok(Self { shared, membership, assigned: Vec::new(), cursors: Cursors::default(), wake })
    }

    fn fenced(&self) -> LogError {
        let group = &self.membership.group;
        LogError::new(
            LogErrorKind::Fenced,
            format!("this member of group {group} was replaced by another of the same instance name"),
        )
    }

    /// Where we stand now, if that is another generation than ours.
    fn moved(&self) -> Result<Option<Place>, LogError> {
        let groups = self.shared.groups.lock().unwrap_or_else(|e| e.into_inner());
        let now = groups.generation(&self.membership.group, self.membership.member).ok_or_else(|| self.fenced())?;
        if now == self.membership.generation {
            return Ok(None);
        }
        groups.place(&self.membership.group, self.membership.member).map(Some).ok_or_else(|| self.fenced())
    }

    async fn take_up(&mut self, place: Place) -> Result<Polled, LogError> {
        let found = place.partitions.iter().map(|at| self.shared.partition(*at)).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<_> = found.iter().map(|(_, id)| *id).collect();
        self.shared.holds.begins(&self.membership.group, &ids);
        let positions = self.shared.ask(|reply| Job::Positions(self.membership.group.clone(), ids, reply)).await?;
        let mut cursors = Vec::new();
        let mut assigned = Vec::new();
        for ((at, (topic, id)), position) in place.partitions.iter().zip(found).zip(positions) {
            let low = topic.partitions[id.partition as usize].ends().low;
            cursors.push(Cursor::new(*at, topic, position.unwrap_or(low)));
            assigned.push((*at, position));
        }
        let group = self.membership.group.clone();
        self.membership = Arc::new(Membership { group, member: self.membership.member, generation: place.generation });
        self.cursors = Cursors::new(cursors);
        self.assigned = place.partitions;
        Ok(Polled::Assigned(assigned))
    }

    fn cursor(&mut self, at: TopicPartition) -> Result<&mut Cursor, LogError> {
        let missing = || {
            LogError::new(
                LogErrorKind::Invalid,
                format!("{} [{}] is not assigned to this member", at.topic, at.partition),
            )
        };
        self.cursors.get_mut(at).ok_or_else(missing)
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        let deadline = Instant::now() + limits.wait;
        loop {
            self.wake.borrow_and_update();
            if self.shared.jobs.is_closed() {
                return Err(self.shared.closed_error());
            }
            if let Some(place) = self.moved()? {
                if !self.assigned.is_empty() {
                    self.cursors = Cursors::default();
                    return Ok(Polled::Revoked(std::mem::take(&mut self.assigned)));
                }
                let assigned = self.take_up(place).await?;
                if !matches!(&assigned, Polled::Assigned(list) if list.is_empty()) {
                    return Ok(assigned);
                }
                continue;
            }
            if let Some(polled) = self.cursors.take(&self.shared, limits).await? {
                return Ok(polled);
            }
            if timeout_at(deadline, self.wake.changed()).await.is_err() {
                return Ok(Polled::Records(Vec::new()));
            }
        }
    }

    fn group(&self) -> GroupMetadata {
        GroupMetadata(self.membership.clone())
    }

    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        at.iter().try_for_each(|at| self.cursor(*at).map(|c| c.paused = true))
    }

    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        at.iter().try_for_each(|at| self.cursor(*at).map(|c| c.paused = false))
    }

    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        self.cursor(at).map(|c| c.seek(offset))
    }

    fn passed_over(&mut self, at: TopicPartition, from: u64, to: u64) {
        let held = {
            let (m, groups) = (&self.membership, self.shared.groups.lock().unwrap_or_else(|e| e.into_inner()));
            groups.holds(&m.group, m.member, m.generation, at)
        };
        if held && let Ok((_, id)) = self.shared.partition(at) {
            self.shared.holds.passed_over(&self.membership.group, id, from, to);
        }
    }

    async fn commit(&mut self, offsets: Offsets) -> Result<(), LogError> {
        let offsets = group_offsets(&self.shared, &self.group(), offsets)?;
        let commit = Commit { producer: None, parts: Vec::new(), offsets: Some(offsets) };
        self.shared.ask(|reply| Job::Commit(commit, reply)).await
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        {
            let mut groups = self.shared.groups.lock().unwrap_or_else(|e| e.into_inner());
            groups.leave(&self.membership.group, self.membership.member, self.shared.partition_count());
        }
        self.shared.wake();
    }
}

/// A reader without group.
pub struct EmbeddedReader {
    shared: Arc<Shared>,
    cursors: Cursors,
    wake: watch::Receiver<u64>,
}

impl EmbeddedReader {
    /// Over these places.
    pub fn new(shared: Arc<Shared>, from: &[(TopicPartition, u64)]) -> Result<Self, LogError> {
        let cursors = from
            .iter()
            .map(|(at, offset)| shared.partition(*at).map(|(topic, _)| Cursor::new(*at, topic, *offset)))
            .collect::<Result<_, _>>()?;
        let wake = shared.wake.subscribe();
        Ok(Self { shared, cursors: Cursors::new(cursors), wake })
    }

    fn cursor(&mut self, at: TopicPartition) -> Result<&mut Cursor, LogError> {
        let missing = || {
            LogError::new(LogErrorKind::Invalid, format!("this reader does not read {} [{}]", at.topic, at.partition))
        };
        self.cursors.get_mut(at).ok_or_else(missing)
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        let deadline = Instant::now() + limits.wait;
        loop {
            self.wake.borrow_and_update();
            if self.shared.jobs.is_closed() {
                return Err(self.shared.closed_error());
            }
            if let Some(polled) = self.cursors.take(&self.shared, limits).await? {
                return Ok(polled);
            }
            if timeout_at(deadline, self.wake.changed()).await.is_err() {
                return Ok(Polled::Records(Vec::new()));
            }
        }
    }

    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        at.iter().try_for_each(|at| self.cursor(*at).map(|c| c.paused = true))
    }

    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        at.iter().try_for_each(|at| self.cursor(*at).map(|c| c.paused = false))
    }

    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        self.cursor(at).map(|c| c.seek(offset))
    }

    async fn add(&mut self, more: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        for (at, offset) in more {
            let (topic, _) = self.shared.partition(*at)?;
            self.cursors.add(Cursor::new(*at, topic, *offset));
        }
        Ok(())
    }

    fn reached(&self, at: TopicPartition) -> u64 {
        self.cursors.get(at).map_or(0, |cursor| cursor.position)
    }
}
