//! `enriched.events`: envelope, then where the log comes from, the log, and the decoded event (all null on a revert), then the
//! error of a placeholder, which otherwise has only the log's index.

use alloy_primitives::{Address, B256, Bytes};

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat,
    envelopes::{self, ChildRow},
    put_nullable, required,
};
use crate::{
    primitives::Op,
    records::{DecodedEvent, EmittedEvent, EnrichedEvent, EvmLog, Payload},
};

/// [`EmittedEvent`] on the wire.
#[derive(Default)]
struct EventRow {
    transaction_index: Option<u32>,
    transaction_hash: Option<B256>,
    log_index: Option<u32>,
    address: Option<Address>,
    topics: Option<Vec<B256>>,
    data: Option<Bytes>,
    event: Option<String>,
    arguments: Option<String>,
    error: Option<String>,
}
columns! { EventRow, EventRow {
    null transaction_index: u32,
    null transaction_hash: B256,
    null log_index: u32,
    null address: Address,
    null topics: Vec<B256>,
    null data: Bytes,
    null event: String,
    null arguments: String,
    null error: String,
} }

impl Row for EnrichedEvent {
    fn columns() -> Vec<Column> {
        concat([ChildRow::specs(), EventRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        ChildRow::put(&self.envelope, out);
        let event = match &self.payload {
            Payload::Evm(event) => event,
            Payload::Bitcoin(never) => match **never {},
            Payload::Revert => return EventRow::put_nulls(out),
            Payload::Unreadable { index, error } => {
                let row = EventRow { log_index: Some(*index), error: Some(error.clone()), ..EventRow::default() };
                return <EventRow as Columns>::put(&row, out);
            }
        };
        put_nullable::<u32, _>(&event.transaction_index, out);
        put_nullable::<B256, _>(&event.transaction_hash, out);
        put_nullable::<u32, _>(&event.log.log_index, out);
        put_nullable::<Address, _>(&event.log.address, out);
        put_nullable::<Vec<B256>, _>(&event.log.topics, out);
        put_nullable::<Bytes, _>(&event.log.data, out);
        match &event.decoded {
            Some(decoded) => {
                put_nullable::<String, _>(&decoded.event, out);
                put_nullable::<String, _>(&decoded.arguments, out);
            }
            None => out.extend_from_slice(&[0, 0]),
        }
        out.push(0); // no error
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut envelope, mut row) = (Group::<ChildRow>::new(), EventRow::default());
        datum.walk(|column, input, step| match column.checked_sub(envelopes::CHILD) {
            None => envelope.read(column, input, step),
            Some(column) => row.read(column, input, step).map(drop),
        })?;
        let envelope = envelopes::child(envelope)?;
        if envelope.op == Op::Revert {
            return Ok(Self { envelope, payload: Payload::Revert });
        }
        let index = required("log_index", row.log_index)?;
        if let Some(error) = row.error {
            return Ok(Self { envelope, payload: Payload::Unreadable { index, error } });
        }
        let decoded = match (row.event, row.arguments) {
            (Some(event), Some(arguments)) => Some(DecodedEvent { event, arguments }),
            (None, None) => None,
            (None, _) => return Err(Malformed::missing("event")),
            (_, None) => return Err(Malformed::missing("arguments")),
        };
        let log = EvmLog {
            log_index: index,
            address: required("address", row.address)?,
            topics: required("topics", row.topics)?,
            data: required("data", row.data)?,
        };
        let event = EmittedEvent {
            transaction_index: required("transaction_index", row.transaction_index)?,
            transaction_hash: required("transaction_hash", row.transaction_hash)?,
            log,
            decoded,
        };
        Ok(Self { envelope, payload: Payload::Evm(Box::new(event)) })
    }

    fn size_hint(&self) -> usize {
        match &self.payload {
            Payload::Evm(e) => 768 + 68 * e.log.topics.len() + 2 * e.log.data.len(),
            Payload::Bitcoin(_) | Payload::Revert | Payload::Unreadable { .. } => 512,
        }
    }
}
