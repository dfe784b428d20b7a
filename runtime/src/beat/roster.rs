//! Follows `control.config`: which network lives on which partition.

use std::{sync::Arc, time::Duration};

use schemas::{codec::Codec, records::ControlConfig, topics};

use super::Board;
use crate::log::{Log, LogError, PollLimits, Polled, TopicPartition};

const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };
/// Pause before a log that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// Follows until dropped.
pub(super) async fn follow(board: Board, log: Arc<dyn Log>, codec: Arc<Codec>) {
    loop {
        if let Err(error) = read(&board, &*log, &codec).await {
            tracing::debug!(%error, stage = board.stage(), "which networks live on which partition cannot be read now");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads from the beginning on, for ever.
async fn read(board: &Board, log: &dyn Log, codec: &Codec) -> Result<(), LogError> {
    let at = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
    let mut reader = log.reader(&[(at, log.watermarks(at).await?.low)]).await?;
    loop {
        match reader.poll(POLL).await? {
            Polled::Records(records) => {
                // Kinds that are not known and what others wrote are passed over (rules 13 and 34).
                let decided = records.iter().filter_map(|r| codec.decode::<ControlConfig>(r.value.as_ref()?).ok());
                for decided in decided {
                    if let ControlConfig::NetworkPartition(p) = decided {
                        board.lives_on(p.network, p.partition);
                    }
                }
            }
            Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
}
