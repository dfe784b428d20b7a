//! What a client says of its connections and of what was refused to it: librdkafka tells it beside the calls that fail.

use std::sync::Mutex;

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::ProducerContext,
};

use super::error;
use crate::log::LogErrorKind;

/// The newest thing that a client said.
#[derive(Default)]
pub struct Heard(Mutex<Option<(Code, String)>>);

impl Heard {
    /// Takes it.
    pub fn take(&self) -> Option<(Code, String)> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).take()
    }

    /// Takes it where it is a refusal.
    pub fn take_refusal(&self) -> Option<(Code, String)> {
        self.take().filter(|(code, _)| error::class_of(*code) == LogErrorKind::Denied)
    }

    /// What follows from a cause does not displace it.
    fn put(&self, code: Code, words: &str) {
        let weight = |code| match code {
            Code::AllBrokersDown => 0,
            code if error::class_of(code) == LogErrorKind::Denied => 2,
            _ => 1,
        };
        let mut last = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if last.as_ref().is_none_or(|(last, _)| weight(code) >= weight(*last)) {
            *last = Some((code, words.to_owned()));
        }
    }
}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The only place where librdkafka names the topic that a transaction may not write to.
        if facility == "ADDPARTS" && message.contains("authorization failed") {
            let words = message.split_once("Failed to add").map_or(message, |(_, rest)| rest.trim());
            self.put(Code::TopicAuthorizationFailed, words);
        }
        tracing::debug!(?level, facility, message, "kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == Code::PartitionEOF {
            return; // asked for by readers; `poll` tells it
        }
        self.put(code, reason);
        tracing::warn!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
