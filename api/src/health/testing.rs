//! What the tests of this folder share.

use schemas::{TimeMs, records::StageStatus};

/// A status as a well stage says it; of a network, or of a process.
pub fn said(stage: &str, network: Option<&str>) -> StageStatus {
    StageStatus {
        stage: stage.to_owned(),
        instance: "host-1".to_owned(),
        network: network.map(|n| n.parse().expect("a slug")),
        partition: network.map(|_| 0),
        state: "running".to_owned(),
        since: TimeMs(0),
        detail: None,
        every_ms: 5_000,
        at: TimeMs(0),
        family: None,
        chain_id: None,
        endpoint: None,
        tip_height: None,
        sequence: None,
        height: None,
        block_time: None,
        unread_percent: None,
        networks: Vec::new(),
    }
}
