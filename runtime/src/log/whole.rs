//! Reading a partition from its beginning to its end, once.

use std::time::Duration;

use super::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

/// How long reading a partition's state may take.
const READ_DEADLINE: Duration = Duration::from_secs(60);

/// All records of a partition, up to its end as it is now. Never fewer: what is missing here would be written twice.
pub async fn read_all(log: &dyn Log, at: TopicPartition) -> Result<Vec<Record>, LogError> {
    let ends = log.watermarks(at).await?;
    let mut records = Vec::new();
    if ends.low >= ends.high {
        return Ok(records);
    }
    let mut reader = log.reader(&[(at, ends.low)]).await?;
    let give_up = tokio::time::Instant::now() + READ_DEADLINE;
    while reader.reached(at) < ends.high {
        if tokio::time::Instant::now() > give_up {
            let (reached, high) = (reader.reached(at), ends.high);
            return Err(LogError::new(
                LogErrorKind::Unavailable,
                format!(
                    "{} [{}] was read up to {reached} of {high} only, in {READ_DEADLINE:?}",
                    at.topic, at.partition
                ),
            ));
        }
        let poll = PollLimits { records: 4_096, bytes: 16 << 20, wait: Duration::from_millis(300) };
        match reader.poll(poll).await? {
            Polled::Records(batch) => records.extend(batch.into_iter().filter(|r| r.offset < ends.high)),
            // Compaction went on meanwhile; what it removed has a newer record further on.
            Polled::OutOfRange { oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    Ok(records)
}
