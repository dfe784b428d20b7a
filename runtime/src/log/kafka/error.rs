//! librdkafka's errors in the classes of the log.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::log::{LogError, LogErrorKind};

/// An error of a call that does not decide a transaction.
pub fn log_error(what: &str, error: &KafkaError) -> LogError {
    LogError::new(class(error), format!("Kafka: cannot {what}: {error}"))
}

/// The class of an error.
pub fn class(error: &KafkaError) -> LogErrorKind {
    if let KafkaError::ClientConfig(..) = error {
        return LogErrorKind::Invalid;
    }
    match error.rdkafka_error_code() {
        Some(
            Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::RebalanceInProgress,
        ) => LogErrorKind::Fenced,
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => LogErrorKind::TooLarge,
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::InvalidTopic) => {
            LogErrorKind::Invalid
        }
        Some(Code::KafkaStorageError) => LogErrorKind::Full,
        _ => LogErrorKind::Unavailable,
    }
}
