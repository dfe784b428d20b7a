//! The sink's state per network: what halts a network, and how that is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Serialize;

use crate::query::RecentCompleteness;

/// State of a network at the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its events are written.
    Running,
    /// The log is not the one that the store was written from (rule 11). Halted.
    LogReplaced,
    /// What comes next is no longer in the log (rule 12). Halted.
    Overtaken,
    /// A record that its whole block depends on cannot be read. Halted.
    Unreadable,
}

impl State {
    /// The word for it in SQL and REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::LogReplaced => "log_replaced",
            Self::Overtaken => "overtaken",
            Self::Unreadable => "unreadable",
        }
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Running => "",
            Self::LogReplaced => {
                "Bring back the log that belongs to this store, or start this network in an empty database."
            }
            Self::Overtaken => {
                "Follow the network under another slug from there, and keep the topics' retention longer than the sink may \
                 stand still; other networks go on."
            }
            Self::Unreadable => "Run a version that reads it; other networks go on.",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::LogReplaced, Self::Overtaken, Self::Unreadable].into_iter().find(|s| s.as_str() == word)
    }
}

/// What the sink says of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    /// State.
    pub state: State,
    /// What is wrong and what to do; empty while running.
    pub message: String,
    /// Last sequence that is visible.
    pub sequence: u64,
    /// How whole its newest heights were when last asked.
    pub completeness: Option<RecentCompleteness>,
}

/// What the sink of this process says, for whoever asks while it runs. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct SinkStatus(Arc<Mutex<BTreeMap<Network, NetworkStatus>>>);

impl SinkStatus {
    /// Every network that this sink has met since it started.
    pub fn networks(&self) -> BTreeMap<Network, NetworkStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, network: &Network, state: State, message: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sequence, completeness) = all.get(network).map_or((0, None), |s| (s.sequence, s.completeness));
        all.insert(network.clone(), NetworkStatus { state, message: message.into(), sequence, completeness });
    }

    pub(super) fn completeness(&self, network: &Network, recent: RecentCompleteness) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = all.get_mut(network) {
            status.completeness = Some(recent);
        }
    }

    pub(super) fn visible(&self, network: &Network, sequence: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = all.get_mut(network) {
            status.sequence = status.sequence.max(sequence);
        }
    }
}

/// A row of `sink_status_rows`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub(super) struct StatusRow {
    pub network: String,
    pub family: &'static str,
    pub state: &'static str,
    pub message: String,
    pub at: TimeMs,
}
