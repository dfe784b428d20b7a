//! `alerts.commands`: what people ask of the alerts' stage, written by the API and carried out there.
//!
//! Guarantee: a command that was taken is in the log, and one that is refused is not, as far as the log says so. One commit a command, one
//! producer a process, which is made anew after a failure.

use std::sync::Arc;

use runtime::log::{Log, LogError, LogErrorKind, NewRecord, Producer, TopicPartition, Transaction, header_name};
use schemas::{
    TimeMs,
    codec::{Codec, Record as _},
    limits::alerts as limits,
    records::{AlertCommand, Command},
    topics::ALERTS_COMMANDS,
    ulid_of,
};
use tokio::sync::Mutex;

use crate::error::ApiError;

/// Tries against fencing and aborts.
const TRIES: u32 = 3;

/// Writes commands.
pub struct Commands {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    transactional_id: String,
    producer: Mutex<Option<Box<dyn Producer>>>,
}

impl Commands {
    /// Of this process.
    pub fn new(log: Arc<dyn Log>, codec: Arc<Codec>, instance: &str) -> Self {
        Self { log, codec, transactional_id: format!("alerts.commands.{instance}"), producer: Mutex::new(None) }
    }

    /// An id that is nobody's yet: of a command, or of a message.
    pub fn id() -> String {
        ulid_of(TimeMs::now(), &fastrand::u128(..).to_be_bytes())
    }

    /// Writes a command of a tenant.
    ///
    /// # Errors
    /// The log does not take it, or not in time.
    pub async fn give(&self, tenant: &str, by: String, what: Command) -> Result<(), ApiError> {
        let command = AlertCommand { tenant: tenant.to_owned(), id: Self::id(), at: TimeMs::now(), by, what };
        match tokio::time::timeout(limits::COMMAND_WRITE, self.write(&command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, command = command.what.word(), "a command is not taken by the log");
                Err(ApiError::LogAway)
            }
            Err(_) => {
                tracing::warn!(command = command.what.word(), "a command is not taken by the log in time");
                Err(ApiError::LogAway)
            }
        }
    }

    async fn write(&self, command: &AlertCommand) -> Result<(), LogError> {
        let value = self.codec.encode(command).map_err(|e| LogError::new(LogErrorKind::Invalid, e.to_string()))?;
        let headers = command.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect();
        let to = TopicPartition { topic: ALERTS_COMMANDS.name, partition: 0 };
        let record = NewRecord { to, key: Some(command.key().into()), value: Some(value), headers };
        let mut held = self.producer.lock().await;
        let mut tries = 1;
        loop {
            // Where it is dropped in the middle the next one makes its own.
            let mut producer = match held.take() {
                Some(producer) => producer,
                None => self.log.producer(&self.transactional_id).await?,
            };
            let transaction = Transaction { records: vec![record.clone()], offsets: None };
            match producer.commit(transaction).await {
                Ok(()) => {
                    *held = Some(producer);
                    return Ok(());
                }
                // The command has an id of its own: written twice, it is carried out once.
                Err(e) if tries < TRIES && (e.is_transient() || e.kind == LogErrorKind::Fenced) => tries += 1,
                Err(e) => return Err(e),
            }
        }
    }
}
