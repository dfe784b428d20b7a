//! `enriched.transactions`: the columns of `raw.transactions`, with what enrich found out before the logs, and the decoded
//! event in each log. Then a Bitcoin transaction, which has some of the columns before as well.

use alloy_primitives::{Selector, U256};

use super::{
    Column, Columns, Datum, Group, Malformed, Row, bitcoin, columns, concat,
    envelopes::{self, CHILD, ChildRow},
    input::{Input, Problem, put_bytes},
    plan::{ColumnSpec, Kind, Plan, Step},
    put_nullable,
    raw_transactions::{self, PayloadGroup, TRANSACTION},
    values::{Base, Item, ROOM, put_array},
};
use crate::{
    envelope::ChildEnvelope,
    primitives::Status,
    records::{
        BitcoinDecoded, DecodedCall, DecodedEvent, EnrichedTransaction, Enrichment, EvmLog, EvmTransaction, FeeParts,
        Payload,
    },
};

/// [`Enrichment`] on the wire.
#[derive(Default)]
struct EnrichmentRow {
    status: Option<Status>,
    fee: Option<U256>,
    execution_fee: Option<U256>,
    l1_fee: Option<U256>,
    operator_fee: Option<U256>,
    blob_fee: Option<U256>,
    method: Option<Selector>,
    failure_cause: Option<String>,
    failure_reason: Option<String>,
    fee_reason: Option<String>,
    fee_token_amount: Option<U256>,
    call: Option<String>,
    call_arguments: Option<String>,
    inner_calls: Option<String>,
}
columns! { EnrichmentRow, EnrichmentRow {
    null status: Status,
    null fee: U256,
    null execution_fee: U256,
    null l1_fee: U256,
    null operator_fee: U256,
    null blob_fee: U256,
    null method: Selector,
    null failure_cause: String,
    null failure_reason: String,
    null fee_reason: String,
    null fee_token_amount: U256,
    null call: String,
    null call_arguments: String,
    null inner_calls: String,
} }
const ENRICHMENT: usize = EnrichmentRow::COUNT;

/// [`DecodedEvent`] on the wire.
#[derive(Default)]
struct EventRow {
    event: Option<String>,
    arguments: Option<String>,
}
columns! { EventRow, DecodedEvent {
    null event: String,
    null arguments: String,
} }

/// A log with its event.
struct EnrichedLog(EvmLog, Option<DecodedEvent>);

impl EnrichedLog {
    fn columns() -> Vec<ColumnSpec> {
        let mut columns = EvmLog::specs();
        columns.extend(EventRow::specs());
        columns
    }
    fn get(input: &mut Input<'_>, plan: &Plan) -> Result<Self, Problem> {
        let (mut log, mut event) = (EvmLog::default(), EventRow::default());
        plan.walk(input, |column, input, step| match column.checked_sub(EvmLog::COUNT) {
            None => log.read(column, input, step).map(drop),
            Some(column) => event.read(column, input, step).map(drop),
        })
        .map_err(|(_, problem)| problem)?;
        let decoded = match (event.event, event.arguments) {
            (Some(event), Some(arguments)) => Some(DecodedEvent { event, arguments }),
            (None, None) => None,
            _ => return Err(Problem::Missing),
        };
        Ok(Self(log, decoded))
    }
}

/// The logs and their events, apart as records have them.
#[derive(Default)]
struct EnrichedLogs(Vec<EvmLog>, Vec<Option<DecodedEvent>>);

impl Base for EnrichedLogs {
    const KIND: Kind = Kind::Records(EnrichedLog::columns);
    fn put(&self, out: &mut Vec<u8>) {
        put_logs(&self.0, &self.1, out);
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        let room = input.announced(ROOM);
        let mut logs = Self(Vec::with_capacity(room), Vec::with_capacity(room));
        input.items(|input| {
            let EnrichedLog(log, event) = EnrichedLog::get(input, &step.items)?;
            logs.0.push(log);
            logs.1.push(event);
            Ok(())
        })?;
        Ok(logs)
    }
}

fn put_logs(logs: &[EvmLog], events: &[Option<DecodedEvent>], out: &mut Vec<u8>) {
    let both = logs.iter().enumerate().map(|(i, log)| (log, events.get(i).and_then(Option::as_ref)));
    put_array(logs.len(), both, out, put_log);
}

fn put_log((log, event): (&EvmLog, Option<&DecodedEvent>), out: &mut Vec<u8>) {
    <EvmLog as Columns>::put(log, out);
    match event {
        Some(event) => EventRow::put(event, out),
        None => EventRow::put_nulls(out),
    }
}

/// The last columns.
#[derive(Default)]
struct Tail {
    logs: EnrichedLogs,
    error: Option<String>,
    bitcoin: Option<Box<BitcoinDecoded>>,
}
columns! { Tail, Tail {
    null logs: EnrichedLogs,
    null error: String,
    null bitcoin: Box<BitcoinDecoded>,
} }

/// What is decoded of a call, as it is written: signature, arguments, calls inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallTexts<'a> {
    /// Signature with names.
    pub call: Option<&'a str>,
    /// JSON object.
    pub arguments: Option<&'a str>,
    /// JSON array.
    pub inner_calls: Option<&'a str>,
}

impl<'a> CallTexts<'a> {
    fn of(e: &'a Enrichment) -> Self {
        let call = e.call.as_ref();
        Self {
            call: call.map(|call| call.signature.as_str()),
            arguments: call.and_then(|call| call.arguments.as_deref()),
            inner_calls: e.inner_calls.as_deref(),
        }
    }
}

/// Writes what stands between the transaction and its logs; `call` in the place of what `e` has of it.
pub(crate) fn put_enrichment(e: &Enrichment, call: CallTexts<'_>, out: &mut Vec<u8>) {
    put_nullable::<Status, _>(&e.status, out);
    let fee = e.fee.as_ref();
    for amount in [
        fee.map(FeeParts::total),
        fee.map(|f| f.execution),
        fee.and_then(|f| f.l1),
        fee.and_then(|f| f.operator),
        fee.and_then(|f| f.blob),
    ] {
        put_nullable::<U256, _>(&amount, out);
    }
    put_nullable::<Selector, _>(&e.method, out);
    put_nullable::<String, _>(&e.failure_cause, out);
    put_nullable::<String, _>(&e.failure_reason, out);
    put_nullable::<String, _>(&e.fee_reason, out);
    put_nullable::<U256, _>(&e.fee_token_amount, out);
    for text in [call.call, call.arguments, call.inner_calls] {
        match text {
            Some(text) => {
                out.push(2);
                put_bytes(text.as_bytes(), out);
            }
            None => out.push(0),
        }
    }
}

fn enrichment(row: EnrichmentRow, events: Vec<Option<DecodedEvent>>) -> Result<Enrichment, Malformed> {
    Ok(Enrichment {
        status: row.status.ok_or_else(|| Malformed::missing("status"))?,
        fee: row.execution_fee.map(|execution| FeeParts {
            execution,
            l1: row.l1_fee,
            operator: row.operator_fee,
            blob: row.blob_fee,
        }),
        fee_reason: row.fee_reason,
        fee_token_amount: row.fee_token_amount,
        method: row.method,
        failure_cause: row.failure_cause,
        failure_reason: row.failure_reason,
        call: match (row.call, row.call_arguments) {
            (Some(signature), arguments) => Some(DecodedCall { signature, arguments }),
            (None, None) => None,
            (None, Some(_)) => return Err(Malformed::missing("call")),
        },
        inner_calls: row.inner_calls,
        events,
    })
}

impl Row for EnrichedTransaction {
    fn columns() -> Vec<Column> {
        concat([ChildRow::specs(), EvmTransaction::specs(), EnrichmentRow::specs(), Tail::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        ChildRow::put(&self.envelope, out);
        match &self.payload {
            Payload::Evm(payload) => {
                let (tx, found) = &**payload;
                <EvmTransaction as Columns>::put(tx, out);
                put_enrichment(found, CallTexts::of(found), out);
                out.push(2);
                put_logs(&tx.logs, &found.events, out);
                out.push(0);
            }
            Payload::Bitcoin(tx) => {
                raw_transactions::put_shared(tx.transaction_index, &tx.txid, Some(tx.output_value), out);
                let shared =
                    EnrichmentRow { status: Some(Status::Success), fee: tx.fee.map(U256::from), ..Default::default() };
                <EnrichmentRow as Columns>::put(&shared, out);
                out.extend_from_slice(&[0, 0, 2]); // no logs, no error, but this
                Item::put(&**tx, out);
            }
            Payload::Revert => {
                EvmTransaction::put_nulls(out);
                EnrichmentRow::put_nulls(out);
                out.extend_from_slice(&[0, 0]); // no logs, no error
            }
            Payload::Unreadable { index, error } => {
                raw_transactions::put_placeholder(*index, out);
                EnrichmentRow::put_nulls(out);
                out.push(0);
                put_nullable::<String, _>(error, out);
            }
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        read(datum, None)
    }

    fn size_hint(&self) -> usize {
        match &self.payload {
            Payload::Evm(p) => 512 + raw_transactions::size_hint(&p.0) + 192 * p.1.events.len(),
            Payload::Bitcoin(tx) => bitcoin::size_hint_decoded(tx),
            Payload::Revert | Payload::Unreadable { .. } => 512,
        }
    }
}

/// Reads a datum, or what of it stands behind an envelope that is known.
pub(crate) fn read(datum: &mut Datum<'_, '_>, known: Option<&ChildEnvelope>) -> Result<EnrichedTransaction, Malformed> {
    let (mut envelope, mut tx) = (Group::<ChildRow>::new(), PayloadGroup::new());
    let (mut found, mut tail) = (EnrichmentRow::default(), Tail::default());
    datum.walk_from(if known.is_some() { CHILD } else { 0 }, |column, input, step| {
        match column.checked_sub(CHILD) {
            None => envelope.read(column, input, step),
            Some(column) if column < TRANSACTION => tx.read(column, input, step),
            Some(column) => match (column - TRANSACTION).checked_sub(ENRICHMENT) {
                None => found.read(column - TRANSACTION, input, step).map(drop),
                Some(column) => tail.read(column, input, step).map(drop),
            },
        }
    })?;
    let envelope = match known {
        Some(envelope) => envelope.clone(),
        None => envelopes::child(envelope)?,
    };
    let payload = match tx.finish(&envelope, tail.error, tail.bitcoin)? {
        Payload::Evm(mut tx) => {
            let EnrichedLogs(logs, events) = tail.logs;
            tx.logs = logs;
            Payload::Evm(Box::new((*tx, enrichment(found, events)?)))
        }
        Payload::Bitcoin(tx) => Payload::Bitcoin(tx),
        Payload::Revert => Payload::Revert,
        Payload::Unreadable { index, error } => Payload::Unreadable { index, error },
    };
    Ok(EnrichedTransaction { envelope, payload })
}
