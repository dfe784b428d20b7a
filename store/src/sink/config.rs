//! Settings of the sink.

use std::{collections::BTreeMap, time::Duration};

use runtime::beat::Board;
use schemas::{
    Network, limits,
    records::stage_status::{stage, state},
};

use tokio::sync::watch;

use super::{
    SinkStatus,
    keep::{KeepTimes, Keeping},
};
use crate::StoreConfig;

/// Settings of the sink.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Where the store is.
    pub store: StoreConfig,
    /// Name of this process in the group.
    pub instance: String,
    /// Rows of one batch, at most (a block event is never split).
    pub batch_rows: usize,
    /// Bytes of records of one batch, at most.
    pub batch_bytes: usize,
    /// How long a batch may fill while there is more to read. At the head of the log a batch goes at once, but for its rest.
    pub batch_age: Duration,
    /// Least time from one small batch to the next, and from one large one (a tenth of `batch_rows` or more). An insert has a price
    /// whatever it holds, and each is merged with others later.
    pub batch_rests: (Duration, Duration),
    /// How long the store may refuse a batch, though it answers, before the batch is taken apart.
    pub refusals: Duration,
    /// How long a network of which the store refused a block rests before that is tried again.
    pub refused_rests: Duration,
    /// How often the newest heights of a network are counted, and changed ones again, at most.
    pub audits: Duration,
    /// How long causes of failures are gathered before they are folded into their rows, and how often it is looked whether rows have come.
    pub causes_age: Duration,
    /// How long a network whose rows do not come may keep causes of others waiting.
    pub causes_wait: Duration,
    /// How long windows are gathered before they are written: an open one comes again every second or so.
    pub windows_age: Duration,
    /// How long what becomes of alerts is gathered before it is written.
    pub alerts_age: Duration,
    /// How long windows may fail to get into the store before the stage says so.
    pub windows_patience: Duration,
    /// How long samples of endpoints are gathered before they are written.
    pub samples_age: Duration,
    /// Heights of one partition of a network that has no rows yet ([`super::week_of_heights`]); of others, those of a chain with a block
    /// every two seconds. Networks may come meanwhile.
    pub spans: watch::Receiver<BTreeMap<Network, u32>>,
    /// How long rows are kept.
    pub keep: Keeping,
    /// When that is looked after.
    pub keep_times: KeepTimes,
    /// Where the sink tells its state.
    pub status: SinkStatus,
    /// What the stage says of itself to others.
    pub board: Board,
}

impl SinkConfig {
    /// With defaults.
    pub fn new(store: StoreConfig, instance: impl Into<String>) -> Self {
        Self {
            store,
            instance: instance.into(),
            batch_rows: limits::SINK_BATCH_ROWS,
            batch_bytes: limits::SINK_BATCH_BYTES,
            batch_age: Duration::from_secs(2),
            batch_rests: (Duration::from_millis(100), Duration::from_millis(500)),
            refusals: limits::STORE_REFUSES,
            refused_rests: limits::STORE_REFUSED_RESTS,
            audits: Duration::from_secs(60),
            causes_age: Duration::from_millis(500),
            causes_wait: limits::causes::WAITING_FOR_ROWS,
            windows_age: Duration::from_secs(1),
            alerts_age: Duration::from_millis(200),
            windows_patience: Duration::from_secs(30),
            samples_age: Duration::from_secs(10),
            spans: watch::Sender::default().subscribe(),
            keep: Keeping::default(),
            keep_times: KeepTimes::default(),
            status: SinkStatus::default(),
            board: Board::new(stage::SINK, state::RUNNING),
        }
    }
}
