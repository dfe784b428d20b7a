//! What makes a simulated chain grow, and what makes it fork.

/// What makes blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// Time: so many blocks a second.
    Rate(f64),
    /// Orders only (`advance`, `sim_advance`). Timestamps are one second apart.
    Manual,
}

/// Forks on a schedule: when the head leaves a multiple of `every`, the last `depth` blocks are replaced and the new
/// branch is one block longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Blocks that are replaced.
    pub depth: u64,
    /// Heights between two forks.
    pub every: u64,
}

impl Schedule {
    /// How often the schedule has replaced `height` once the head is `head`.
    pub(crate) fn version(self, height: u64, head: u64) -> u64 {
        let Some(last) = (height + self.depth).checked_sub(1).map(|h| h.min(head.saturating_sub(1))) else { return 0 };
        (last / self.every).saturating_sub(height.saturating_sub(1) / self.every)
    }
}
