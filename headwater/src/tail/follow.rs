//! Reads a topic and decodes it, record by record, as lines of JSON.

use std::{sync::Arc, time::Duration};

use futures::Stream;
use runtime::log::{Log, LogError, PollLimits, Polled, Reader, Record, TopicPartition};
use schemas::{codec::Codec, headers::ChainHeaders, records::StageStatus, topics::TopicSpec};
use serde_json::{Map, Value, json};

use super::query::{From, Query};

const POLL: PollLimits = PollLimits { records: 500, bytes: 4 << 20, wait: Duration::from_millis(500) };

/// The matching records as lines of JSON, without line ends. Ends at what was the end of the topic when it was called, unless
/// the query follows.
pub async fn records(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    spec: TopicSpec,
    query: Query,
) -> Result<impl Stream<Item = Result<String, LogError>>, LogError> {
    let from: From = query.from.parse().unwrap_or(From::Beginning);
    let mut start = Vec::new();
    let mut end = Vec::new();
    for partition in 0..log.partitions(spec.name).await? {
        let at = TopicPartition { topic: spec.name, partition };
        let marks = log.watermarks(at).await?;
        let offset = if from == From::End { marks.high } else { marks.low };
        if query.follow || offset < marks.high {
            start.push((at, offset));
            end.push((at, marks.high));
        }
    }
    let reader = if start.is_empty() { None } else { Some(log.reader(&start).await?) };
    let state = State { reader, codec, query, from, end, batch: Vec::new().into_iter() };
    Ok(futures::stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|line| (line, state))) }))
}

struct State {
    reader: Option<Box<dyn Reader>>,
    codec: Arc<Codec>,
    query: Query,
    from: From,
    /// Partitions that have not reached the end that they are to be read to.
    end: Vec<(TopicPartition, u64)>,
    batch: std::vec::IntoIter<Record>,
}

impl State {
    async fn next(&mut self) -> Result<Option<String>, LogError> {
        loop {
            while let Some(record) = self.batch.next() {
                let within =
                    self.query.follow || self.end.iter().any(|(at, high)| *at == record.from && record.offset < *high);
                self.end.retain(|(at, high)| *at != record.from || record.offset + 1 < *high);
                if within && self.matches(&record) {
                    return Ok(Some(line(&self.codec, &record)));
                }
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            if !self.query.follow && self.end.is_empty() {
                return Ok(None);
            }
            let polled = reader.poll(POLL).await?;
            if !self.query.follow && matches!(&polled, Polled::Records(records) if records.is_empty()) {
                // The rest of the offsets are holes where the end was reached.
                self.end.retain(|(at, high)| reader.reached(*at) < *high);
            }
            match polled {
                Polled::Records(records) => self.batch = records.into_iter(),
                Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }

    fn matches(&self, record: &Record) -> bool {
        if self.query.network.is_none() && !matches!(self.from, From::Sequence(_)) {
            return true;
        }
        let Ok(headers) = ChainHeaders::parse(|name| record.header(name)) else {
            // Not a chain record: its key begins with the network, if it has one; a stage's status names it at its end.
            let key = std::str::from_utf8(record.key.as_deref().unwrap_or_default()).unwrap_or_default();
            return self.query.network.as_ref().is_none_or(|n| match StageStatus::network_of(key) {
                Some(slug) => slug == n.as_str(),
                None => key.strip_prefix(n.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('#')),
            });
        };
        self.query.network.as_ref().is_none_or(|n| *n == headers.network)
            && match self.from {
                From::Sequence(n) => headers.sequence >= n,
                _ => true,
            }
    }
}

fn line(codec: &Codec, record: &Record) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<String, Value> =
        record.headers.iter().map(|(k, v)| (k.to_string(), Value::String(text(v)))).collect();
    let value = record.value.as_deref().map(|v| codec.decode_json(v));
    let (value, error) = match value {
        None => (Value::Null, None),
        Some(Ok(value)) => (value, None),
        Some(Err(e)) => (Value::Null, Some(e.to_string())),
    };
    let mut line = json!({
        "topic": record.from.topic,
        "partition": record.from.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.rfc3339(),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": value,
    });
    if let Some(error) = error {
        line["error"] = Value::String(error);
    }
    line.to_string()
}
