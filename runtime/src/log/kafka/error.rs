//! librdkafka's errors in the classes of the log, and in words that say what to do.
//!
//! Guarantee: where the cluster refuses, the message says who was refused what, and the command that grants it; no message
//! carries the value of a property (headwater/tests/system/security.rs).

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::config::KafkaConfig;
use crate::log::{LogError, LogErrorKind};

/// What to do about a topic that is not there.
pub const NO_TOPIC: &str =
    "; `headwater topics diff` names the missing topic, `headwater topics apply` makes it (again)";

/// A topic, by its name in the cluster, that is not there.
pub fn no_topic(name: &str) -> LogError {
    let message = format!("there is no topic {name} in the cluster: `headwater topics apply` makes it (again)");
    LogError::new(LogErrorKind::NoTopic, message)
}

/// What the cluster's authorizer must allow for a call.
#[derive(Debug, Clone)]
pub struct Need {
    operation: &'static str,
    kind: Kind,
    /// On the wire. Of several, any may be the one that is refused.
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
    Group,
    TransactionalId,
}

impl Need {
    /// On topics.
    pub fn topics(operation: &'static str, names: impl IntoIterator<Item = String>) -> Self {
        Self { operation, kind: Kind::Topic, names: names.into_iter().collect() }
    }
    /// On one topic.
    pub fn topic(operation: &'static str, name: &str) -> Self {
        Self::topics(operation, [name.to_owned()])
    }
    /// On a group.
    pub fn group(operation: &'static str, name: &str) -> Self {
        Self { operation, kind: Kind::Group, names: vec![name.to_owned()] }
    }
    /// On a transactional id.
    pub fn transactional_id(name: &str) -> Self {
        Self { operation: "Write", kind: Kind::TransactionalId, names: vec![name.to_owned()] }
    }

    fn grant(&self, config: &KafkaConfig) -> String {
        let (noun, flag) = match self.kind {
            Kind::Topic => ("topic", "--topic"),
            Kind::Group => ("group", "--group"),
            Kind::TransactionalId => ("transactional id", "--transactional-id"),
        };
        let who = config.principal();
        let flags: String = self.names.iter().map(|name| format!(" {flag} {name}")).collect();
        format!(
            "{who} lacks {} on {noun} {}. Grant it: kafka-acls --bootstrap-server {} --add --allow-principal {who} --operation {}{flags} \
             (`headwater topics acls` lists all that a stage needs)",
            self.operation,
            self.names.join(" or "),
            config.brokers,
            self.operation,
        )
    }
}

/// An error of a call that does not decide a transaction.
pub fn log_error(what: &str, error: &KafkaError) -> LogError {
    let kind = class(error);
    let hint = if kind == LogErrorKind::NoTopic { NO_TOPIC } else { "" };
    LogError::new(kind, format!("Kafka: cannot {what}: {}{hint}", Words(error)))
}

/// The same of a call that the cluster may refuse: `needs` is what it takes.
pub fn refusable(config: &KafkaConfig, what: &str, error: &KafkaError, needs: &[Need]) -> LogError {
    let mut e = log_error(what, error);
    if let Some(code) = code(error) {
        e.message += &advice(config, code, needs);
    }
    e
}

/// What to do about a refusal, or a connection that does not come about; empty for anything else.
pub fn advice(config: &KafkaConfig, code: Code, needs: &[Need]) -> String {
    let of = |kind| needs.iter().find(|n| n.kind == kind).map(|n| format!("; {}", n.grant(config)));
    match code {
        Code::TopicAuthorizationFailed => of(Kind::Topic).unwrap_or_default(),
        Code::GroupAuthorizationFailed => of(Kind::Group).unwrap_or_default(),
        Code::TransactionalIdAuthorizationFailed => of(Kind::TransactionalId).unwrap_or_default(),
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => format!(
            "; the brokers do not take {} with {}: see \"sasl.username\", \"sasl.password\" and \"sasl.mechanism\" under \
             [log.properties], and whether the user exists with this mechanism",
            config.principal(),
            config.property("sasl.mechanism").or(config.property("sasl.mechanisms")).unwrap_or("GSSAPI"),
        ),
        Code::SSL => "; see \"ssl.ca.location\" under [log.properties]: it names the file (PEM) of the authority that signed the \
                      brokers' certificates; the certificate must carry the name that is in `[log] kafka`"
            .to_owned(),
        Code::AllBrokersDown | Code::BrokerTransportFailure => {
            "; see `[log] kafka`, and \"security.protocol\" under [log.properties]: brokers hang up without a word on who comes without \
             TLS where they want it, or with it where they do not"
                .to_owned()
        }
        _ => String::new(),
    }
}

/// The code of any error.
pub fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// The class of an error.
pub fn class(error: &KafkaError) -> LogErrorKind {
    if let KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) = error {
        return LogErrorKind::Invalid;
    }
    code(error).map_or(LogErrorKind::Unavailable, class_of)
}

/// The class of a code.
pub fn class_of(code: Code) -> LogErrorKind {
    match code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::RebalanceInProgress => LogErrorKind::Fenced,
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => LogErrorKind::TooLarge,
        // A partition is unknown when its topic has gone: which ones there are is looked up before they are used.
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId | Code::UnknownPartition => {
            LogErrorKind::NoTopic
        }
        Code::InvalidTopic => LogErrorKind::Invalid,
        Code::KafkaStorageError => LogErrorKind::Full,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL => LogErrorKind::Denied,
        _ => LogErrorKind::Unavailable,
    }
}

/// An error without the value of a property in it, which may be secret.
pub struct Words<'a>(pub &'a KafkaError);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            KafkaError::ClientConfig(_, why, name, _) => write!(f, "{why} (`{name}` under [log.properties])"),
            KafkaError::ClientCreation(why) => write!(f, "{why} (see [log.properties])"),
            other => other.fmt(f),
        }
    }
}
