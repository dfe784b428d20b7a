//! Records of other programs in our topics (rule 13): passed over wherever they stand, told and counted.

use std::fmt::Display;

use super::Record;

/// Tells and counts a record that is passed over.
pub fn pass_over(record: &Record, why: &dyn Display) {
    let from = record.from;
    crate::metrics::foreign_record(from.topic);
    tracing::warn!(
        topic = from.topic, partition = from.partition, offset = record.offset, %why,
        "a record that another program wrote is passed over; only Headwater's stages may write to its topics"
    );
}
