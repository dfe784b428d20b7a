//! librdkafka's errors in the classes of the log.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::log::{LogError, LogErrorKind};

/// What to do about a topic that is not there.
pub const NO_TOPIC: &str =
    "; `headwater topics diff` names the missing topic, `headwater topics apply` makes it (again)";

/// An error of a call that does not decide a transaction.
pub fn log_error(what: &str, error: &KafkaError) -> LogError {
    let kind = class(error);
    let hint = if kind == LogErrorKind::NoTopic { NO_TOPIC } else { "" };
    LogError::new(kind, format!("Kafka: cannot {what}: {error}{hint}"))
}

/// A topic, by its name in the cluster, that is not there.
pub fn no_topic(name: &str) -> LogError {
    let message = format!("there is no topic {name} in the cluster: `headwater topics apply` makes it (again)");
    LogError::new(LogErrorKind::NoTopic, message)
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
        // A partition is unknown when its topic has gone: which ones there are is looked up before they are used.
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId | Code::UnknownPartition) => {
            LogErrorKind::NoTopic
        }
        Some(Code::InvalidTopic) => LogErrorKind::Invalid,
        Some(Code::KafkaStorageError) => LogErrorKind::Full,
        _ => LogErrorKind::Unavailable,
    }
}
