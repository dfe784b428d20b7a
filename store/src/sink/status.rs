//! The sink's state per network: what halts a network, and how that is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use runtime::log::events::Halt;
use schemas::{Envelope, Network, Origin, TimeMs};

use super::written::Written;
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
    /// The store takes everything but a block of this network. Halted, and tried again now and then.
    Refused,
}

impl State {
    /// The word for it in SQL and REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::LogReplaced => "log_replaced",
            Self::Overtaken => "overtaken",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
        }
    }

    /// What to do about it.
    pub fn advice(self, network: &Network) -> String {
        let words = match self {
            Self::Running => "",
            Self::LogReplaced => {
                "Bring back the log that belongs to this store, or start this network in an empty database."
            }
            Self::Overtaken => {
                return format!(
                    "`headwater accept-gap --config FILE --network {network}` gives up exactly what is gone, and says what that is; the \
                     network then goes on by itself. Keep the topics' retention longer than the sink may stand still; other networks go on."
                );
            }
            Self::Unreadable => "Run a version that reads it; other networks go on.",
            Self::Refused => {
                "Mend what the store says; the block is tried again every few minutes, and the network then goes on by itself."
            }
        };
        words.to_owned()
    }

    /// What a break in the log means for the network.
    pub(super) const fn of(why: Halt) -> Self {
        match why {
            Halt::Overtaken { .. } | Halt::Gap { .. } => Self::Overtaken,
            Halt::Again { .. } => Self::LogReplaced,
            Halt::FewerChildren { .. } | Halt::MoreChildren { .. } | Halt::BadHeaders { .. } => Self::Unreadable,
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::LogReplaced, Self::Overtaken, Self::Unreadable, Self::Refused]
            .into_iter()
            .find(|s| s.as_str() == word)
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
    /// Height of its block; `None` before the first since this process met the network.
    pub height: Option<u64>,
    /// Its block's own time.
    pub block_time: Option<TimeMs>,
    /// How whole its newest heights were when last asked.
    pub completeness: Option<RecentCompleteness>,
}

/// What the sink of this process says, for whoever asks while it runs. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct SinkStatus(Arc<Mutex<BTreeMap<Network, NetworkStatus>>>, Written);

impl SinkStatus {
    /// Every network that this sink has met since it started.
    pub fn networks(&self) -> BTreeMap<Network, NetworkStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, network: &Network, state: State, message: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = all.entry(network.clone()).or_insert_with(|| NetworkStatus {
            state,
            message: String::new(),
            sequence: 0,
            height: None,
            block_time: None,
            completeness: None,
        });
        status.state = state;
        if status.message != message {
            status.message = message.into();
        }
    }

    /// Heights that were written, for the auditor.
    pub(super) fn written(&self) -> &Written {
        &self.1
    }

    pub(super) fn completeness(&self, network: &Network, recent: RecentCompleteness) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = all.get_mut(network) {
            status.completeness = Some(recent);
        }
    }

    /// The last sequence of a network that became visible through this process; 0 before.
    pub(super) fn sequence(&self, network: &Network) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(network).map_or(0, |s| s.sequence)
    }

    /// An event and all before it of its network are visible.
    pub(super) fn visible(&self, e: &Envelope) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = all.get_mut(&e.network)
            && e.sequence >= status.sequence
        {
            status.sequence = e.sequence;
            // A block that is filled in is nobody's tip.
            if e.origin == Origin::Live {
                (status.height, status.block_time) = (Some(e.height), Some(e.block_time));
            }
        }
    }
}
