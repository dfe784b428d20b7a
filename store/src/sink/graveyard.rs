//! Where dead letters go (rule 13).
//!
//! Guarantee: a batch's rows are written, and its position is committed, only when all its letters are in the log: an event that
//! the store holds is passed over when it comes again, letters and all. While they cannot be written the sink waits, and where it
//! is told to stop, or killed, meanwhile, everything comes again. A letter may be written twice. Shown by `tests/sink/letters.rs`.

use std::sync::Arc;

use runtime::log::{Log, LogError, LogErrorKind, Transaction, letters};
use schemas::{codec::Codec, records::DeadLetter, topics};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{SinkConfig, group::LOG_PAUSE, metrics};

/// Puts what could not be read to the dead letters.
pub(super) struct Graveyard {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    transactional_id: String,
    stop: CancellationToken,
}

/// How a burial ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Burial {
    /// Every letter is in the log.
    Done,
    /// The stage was told to stop first.
    Stopped,
}

impl Graveyard {
    pub fn new(config: &SinkConfig, log: Arc<dyn Log>, codec: Arc<Codec>, stop: CancellationToken) -> Self {
        Self { log, codec, transactional_id: format!("sink.dead-letters.{}", config.instance), stop }
    }

    /// Writes letters, before the position moves past what they hold. Waits for as long as the log does not take them.
    pub async fn bury(&self, dead: Vec<DeadLetter>) -> Result<Burial, LogError> {
        if dead.is_empty() {
            return Ok(Burial::Done);
        }
        let dead: Arc<[DeadLetter]> = dead.into();
        loop {
            match self.take(dead.clone()).await {
                Ok(()) => {
                    dead.iter().for_each(metrics::dead_letter);
                    return Ok(Burial::Done);
                }
                Err(e) if e.is_transient() || matches!(e.kind, LogErrorKind::TooLarge | LogErrorKind::Fenced) => {
                    tracing::warn!(error = %e, "dead letters were not stored, trying again");
                }
                Err(e) => return Err(e),
            }
            tokio::select! { () = sleep(LOG_PAUSE) => {}, () = self.stop.cancelled() => return Ok(Burial::Stopped) }
        }
    }

    async fn take(&self, dead: Arc<[DeadLetter]>) -> Result<(), LogError> {
        let limit = self.log.value_limit(topics::DEAD_LETTERS.name).await?;
        let of = |letter: &DeadLetter| letters::records(&self.codec, letter.clone(), limit, &Vec::new());
        let records = dead.iter().flat_map(of).collect();
        let mut producer = self.log.producer(&self.transactional_id).await?;
        producer.commit(Transaction { records, offsets: None }).await
    }
}
