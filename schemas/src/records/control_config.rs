//! `control.config`, compacted, keyed `kind/id`: what the control plane decided. Here: the partition of each network (rule 8).

use crate::primitives::{Network, TimeMs};

/// A record of `control.config`.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlConfig {
    /// Key `network/SLUG`.
    NetworkPartition(NetworkPartition),
}

/// The partition that a network was given, once and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPartition {
    /// The network.
    pub network: Network,
    /// Its partition on every chain topic.
    pub partition: u32,
    /// When it was decided.
    pub decided_at: TimeMs,
}
