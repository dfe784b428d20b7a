//! What the tests of this folder share.

use std::time::Duration;

use schemas::{TimeMs, records::StageStatus};

/// A status as a well stage says it; of a network, or of a process.
pub fn said(stage: &str, network: Option<&str>) -> StageStatus {
    StageStatus {
        network: network.map(|n| n.parse().expect("a slug")),
        partition: network.map(|_| 0),
        ..StageStatus::new(stage, "host-1", "running", Duration::from_secs(5), TimeMs(0))
    }
}
