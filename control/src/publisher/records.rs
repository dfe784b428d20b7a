//! Rows as records of the log.

use runtime::log::{Log, LogError, NewRecord, TopicPartition};
use schemas::{
    codec::{Codec, Record},
    headers,
    topics::{self, TopicSpec},
};

use super::{
    error::PublishError,
    rows::{Kind, Present, Unpublished},
};

/// The partition that a kind is written to.
pub(super) fn place(kind: Kind) -> TopicPartition {
    TopicPartition { topic: topic(kind).name, partition: 0 }
}

fn topic(kind: Kind) -> TopicSpec {
    match kind {
        Kind::Watched | Kind::Contract => topics::CONTROL_CONFIG,
        Kind::OfTenant | Kind::Defined(_) => topics::CONTROL_TENANTS,
    }
}

/// Bytes that a value may have in each topic.
pub(super) struct Limits {
    config: usize,
    tenants: usize,
}

impl Limits {
    pub async fn of(log: &dyn Log) -> Result<Self, LogError> {
        let of = async |topic: TopicSpec| log.value_limit(topic.name).await;
        Ok(Self { config: of(topics::CONTROL_CONFIG).await?, tenants: of(topics::CONTROL_TENANTS).await? })
    }
}

/// The present row under its key, or a removal where it is gone; each says its revision in a header.
pub(super) fn record(codec: &Codec, limits: &Limits, thing: &Unpublished) -> Result<NewRecord, PublishError> {
    let value = match &thing.present {
        Present::Config(record) => Some(codec.encode_within(record, limits.config)?),
        Present::Tenant(record) => Some(codec.encode_within(record, limits.tenants)?),
        Present::Nothing => None,
    };
    let key = thing.kind.key(&thing.place);
    debug_assert!(match &thing.present {
        Present::Config(record) => record.key() == key,
        Present::Tenant(record) => record.key() == key,
        Present::Nothing => true,
    });
    let (name, revision) = headers::revision(thing.revision);
    Ok(NewRecord { to: place(thing.kind), key: Some(key.into()), value, headers: vec![(name.into(), revision)] })
}
