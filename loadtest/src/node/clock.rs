//! What makes a simulated chain grow, and what makes it fork.

use super::error::Error;
use std::time::Duration;

/// What makes blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// Time: so many blocks a second.
    Rate(f64),
    /// Orders only (`advance`, `sim_advance`). Timestamps are one second apart.
    Manual,
}

impl Clock {
    /// Time between two blocks.
    pub(crate) fn interval(self) -> Result<Duration, Error> {
        match self {
            Self::Manual => Ok(Duration::from_secs(1)),
            Self::Rate(rate) if rate.is_finite() && (1e-6..=1e6).contains(&rate) => {
                Ok(Duration::from_secs_f64(1.0 / rate))
            }
            Self::Rate(rate) => {
                Err(Error::Setting(format!("a rate of {rate} blocks per second: possible is 0.000001 to 1,000,000")))
            }
        }
    }
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
