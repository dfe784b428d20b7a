//! The suite that every back end of the log passes: one function per guarantee of [`super::Log`].
//!
//! It assumes nothing that Kafka does not keep: offsets may have holes, other tests may use the same cluster at the same time
//! (names are random), things take time (deadlines, never sleeps). Each case takes a [`Harness`], which opens the log, and opens
//! it again after a restart. A failed case panics with what it saw.

mod cases_groups;
mod cases_records;
mod kit;
mod watched;

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;

use super::{Log, LogError, Record, TopicPartition};

pub use kit::Kit;
#[cfg(test)]
pub(crate) use kit::{at, commit, limits, record};
pub use watched::Watched;

/// How the suite reaches a back end.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The log.
    async fn log(&self) -> Arc<dyn Log>;
    /// The log after everything was closed and opened again.
    async fn restarted(&self) -> Arc<dyn Log>;
    /// Removes all but the newest records of a partition, as retention would.
    async fn expire(&self, log: &Arc<dyn Log>, at: TopicPartition);
}

/// All records of a partition that a test knows to be short. Stages [fold](super::fold) what they read.
///
/// # Errors
/// As [`super::fold`].
pub async fn read_all(log: &dyn Log, at: TopicPartition) -> Result<Vec<Record>, LogError> {
    let mut records = Vec::new();
    super::fold(log, at, |record| {
        records.push(record);
        Ok::<(), LogError>(())
    })
    .await?;
    Ok(records)
}

/// A case of the suite.
pub type Case = for<'a> fn(&'a Kit) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// All cases by name.
        pub const CASES: &[(&str, Case)] = &[$((stringify!($name), |kit| Box::pin($module::$name(kit)))),*];
    };
}

cases![
    cases_records::atomic_over_topics,
    cases_records::read_committed,
    cases_records::ordered_within_a_partition,
    cases_records::fenced_by_transactional_id,
    cases_records::out_of_range_after_retention,
    cases_records::compaction_keeps_the_newest_per_key,
    cases_records::tombstones_remove_a_key,
    cases_records::tombstones_are_refused_elsewhere,
    cases_records::large_values,
    cases_records::too_large_is_refused_and_harmless,
    cases_records::restart_keeps_everything,
    cases_records::reader_from_the_middle,
    cases_records::reader_takes_partitions_up,
    cases_records::reader_waits_for_the_end,
    cases_records::polls_are_bounded,
    cases_records::topics_keep_their_partitions,
    cases_groups::offsets_inside_transactions,
    cases_groups::positions_without_a_transaction,
    cases_groups::fenced_by_generation,
    cases_groups::partitions_of_all_topics_in_one_hand,
    cases_groups::same_instance_replaces_its_former_self,
    cases_groups::pause_resume_seek,
    cases_groups::lag_is_what_is_left,
    cases_groups::consume_process_produce_is_exactly_once,
    cases_groups::rebalances_in_the_middle_of_batches,
    cases_groups::slow_consumers_hold_nobody_up,
];

/// Runs one case on its own topics and groups.
pub async fn run(harness: &dyn Harness, name: &str, case: Case) {
    let kit = Kit::new(harness, name).await;
    tokio::time::timeout(kit::CASE_DEADLINE, case(&kit)).await.unwrap_or_else(|_| panic!("{name}: not done in time"));
}
