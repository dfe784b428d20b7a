//! One insert per table, all rows of a run as one block. What a second call sends is the same, byte for byte.

use std::time::Instant;

use schemas::{
    TimeMs,
    records::{
        Alert, AlertDelivery, AlertEvent, AlertMatch, BitcoinDecoded, BlockSummary, EnrichedTransaction, Enrichment,
        EvmHeader, EvmTransaction, Found, Payload, ProviderSample, Seen, Window,
    },
};

use super::{batch::Event, metrics, spans::Spans};
use crate::{
    Store, StoreError, StoreErrorKind,
    client::deadline,
    rows::{
        AlertColumns, AlertDeliveryColumns, AlertEventColumns, AlertLeftOutColumns, AlertMatchColumns, AuditColumns,
        BitcoinInputColumns, BitcoinOutputColumns, BitcoinTransactionColumns, BlockColumns, BlockEventColumns,
        EndpointColumns, EvmLogColumns, EvmTransactionColumns, LeftOutSaid, ProviderMinuteColumns,
        ProviderSampleColumns, Said, SinkStatusColumns, StatusRow, WindowColumns,
        native::{Block, Columns},
    },
};

/// Settings of every insert. A batch of many networks may touch any number of height ranges. Skip indexes are made at once: where
/// merges lag behind, a look-up by hash would read each unmerged part whole (the embedded engine packs them into one file, so
/// that a small part has one more to fsync). The collapsing of equal keys is left to merges: a batch has none, and `FINAL` sees
/// through those that a replay brings.
pub const SETTINGS: [(&str, &str); 3] = [
    ("max_partitions_per_insert_block", "0"),
    ("materialize_skip_indexes_on_insert", "1"),
    ("optimize_on_insert", "0"),
];

/// `evm_transaction_rows`.
pub(super) async fn insert_transactions(
    store: &Store,
    run: &[&[EnrichedTransaction]],
    spans: &Spans,
) -> Result<(), StoreError> {
    let all = || run.iter().copied().flatten().filter_map(readable);
    insert::<EvmTransactionColumns>(store, all().count(), |columns| {
        all().for_each(|(t, both)| columns.push(&t.envelope, &both.0, &both.1, spans.of(&t.envelope.network)));
    })
    .await
}

/// `evm_log_rows`.
pub(super) async fn insert_logs(
    store: &Store,
    run: &[&[EnrichedTransaction]],
    spans: &Spans,
) -> Result<(), StoreError> {
    let all = || run.iter().copied().flatten().filter_map(readable);
    insert::<EvmLogColumns>(store, all().map(|(_, both)| both.0.logs.len()).sum(), |columns| {
        all().for_each(|(t, both)| columns.push(&t.envelope, &both.0, &both.1.events, spans.of(&t.envelope.network)));
    })
    .await
}

/// `bitcoin_transaction_rows`.
pub(super) async fn insert_bitcoin_transactions(
    store: &Store,
    run: &[&[EnrichedTransaction]],
    spans: &Spans,
) -> Result<(), StoreError> {
    let all = || run.iter().copied().flatten().filter_map(bitcoin);
    insert::<BitcoinTransactionColumns>(store, all().count(), |columns| {
        all().for_each(|(t, decoded)| columns.push(&t.envelope, decoded, spans.of(&t.envelope.network)));
    })
    .await
}

/// `bitcoin_input_rows`.
pub(super) async fn insert_bitcoin_inputs(
    store: &Store,
    run: &[&[EnrichedTransaction]],
    spans: &Spans,
) -> Result<(), StoreError> {
    let all = || run.iter().copied().flatten().filter_map(bitcoin);
    insert::<BitcoinInputColumns>(store, all().map(|(_, decoded)| decoded.inputs.len()).sum(), |columns| {
        all().for_each(|(t, decoded)| columns.push(&t.envelope, decoded, spans.of(&t.envelope.network)));
    })
    .await
}

/// `bitcoin_output_rows`.
pub(super) async fn insert_bitcoin_outputs(
    store: &Store,
    run: &[&[EnrichedTransaction]],
    spans: &Spans,
) -> Result<(), StoreError> {
    let all = || run.iter().copied().flatten().filter_map(bitcoin);
    insert::<BitcoinOutputColumns>(store, all().map(|(_, decoded)| decoded.outputs.len()).sum(), |columns| {
        all().for_each(|(t, decoded)| columns.push(&t.envelope, decoded, spans.of(&t.envelope.network)));
    })
    .await
}

/// `block_rows`.
pub(super) async fn insert_blocks(
    store: &Store,
    run: &[&Event],
    spans: &Spans,
    stored_at: TimeMs,
) -> Result<(), StoreError> {
    let (no_header, no_summary) = (EvmHeader::default(), BlockSummary::default());
    insert::<BlockColumns>(store, run.len(), |columns| {
        for event in run {
            let block = &event.block;
            let header = block.evm.as_deref().unwrap_or(&no_header);
            let summary = block.summary.as_ref().unwrap_or(&no_summary);
            let coinbase = event.transactions.first().and_then(bitcoin).map(|(_, decoded)| decoded);
            let coinbase = coinbase.filter(|decoded| decoded.is_coinbase);
            columns.push(block, (header, summary), coinbase, spans.of(&block.envelope.network), stored_at);
        }
    })
    .await
}

/// `block_event_rows`.
pub(super) async fn insert_events(store: &Store, run: &[&Event], stored_at: TimeMs) -> Result<(), StoreError> {
    insert::<BlockEventColumns>(store, run.len(), |columns| {
        run.iter().for_each(|event| columns.push(&event.block.envelope, stored_at));
    })
    .await
}

/// A row of `audit_rows`.
pub(super) async fn insert_audit(store: &Store, push: impl FnOnce(&mut AuditColumns)) -> Result<(), StoreError> {
    insert(store, 1, push).await
}

/// `sink_status_rows`.
pub(super) async fn insert_statuses(store: &Store, rows: &[StatusRow]) -> Result<(), StoreError> {
    insert::<SinkStatusColumns>(store, rows.len(), |columns| rows.iter().for_each(|row| columns.push(row))).await
}

/// `provider_sample_rows`, of the calls among these.
pub(super) async fn insert_provider_samples(store: &Store, samples: &[ProviderSample]) -> Result<(), StoreError> {
    let all = || samples.iter().filter_map(|s| if let Seen::Call(call) = &s.seen { Some((s, call)) } else { None });
    insert::<ProviderSampleColumns>(store, all().count(), |columns| all().for_each(|(s, call)| columns.push(s, call)))
        .await
}

/// `provider_minute_rows`, of the minutes among these.
pub(super) async fn insert_provider_minutes(store: &Store, samples: &[ProviderSample]) -> Result<(), StoreError> {
    let all =
        || samples.iter().filter_map(|s| if let Seen::Minute(minute) = &s.seen { Some((s, minute)) } else { None });
    insert::<ProviderMinuteColumns>(store, all().count(), |columns| all().for_each(|(s, m)| columns.push(s, m))).await
}

/// `endpoint_rows`, of the states among these.
pub(super) async fn insert_endpoints(store: &Store, samples: &[ProviderSample]) -> Result<(), StoreError> {
    let all = || samples.iter().filter_map(|s| if let Seen::State(state) = &s.seen { Some((s, state)) } else { None });
    insert::<EndpointColumns>(store, all().count(), |columns| all().for_each(|(s, state)| columns.push(s, state))).await
}

/// `window_rows`.
pub(super) async fn insert_windows(store: &Store, windows: &[&Window]) -> Result<(), StoreError> {
    insert::<WindowColumns>(store, windows.len(), |columns| windows.iter().for_each(|window| columns.push(window)))
        .await
}

/// `alert_event_rows`.
pub(super) async fn insert_alert_events(
    store: &Store,
    said: &[Said<AlertEvent, (Alert, TimeMs)>],
) -> Result<(), StoreError> {
    insert::<AlertEventColumns>(store, said.len(), |columns| said.iter().for_each(|said| columns.push(said))).await
}

/// `alert_rows`, each alert once.
pub(super) async fn insert_alerts(
    store: &Store,
    said: &[&Said<AlertEvent, (Alert, TimeMs)>],
) -> Result<(), StoreError> {
    insert::<AlertColumns>(store, said.len(), |columns| said.iter().for_each(|said| columns.push(said))).await
}

/// `alert_delivery_rows`.
pub(super) async fn insert_alert_deliveries(
    store: &Store,
    said: &[Said<AlertDelivery, TimeMs>],
) -> Result<(), StoreError> {
    insert::<AlertDeliveryColumns>(store, said.len(), |columns| said.iter().for_each(|said| columns.push(said))).await
}

/// `alert_match_rows`.
pub(super) async fn insert_alert_matches(store: &Store, said: &[Said<AlertMatch, Found>]) -> Result<(), StoreError> {
    insert::<AlertMatchColumns>(store, said.len(), |columns| said.iter().for_each(|said| columns.push(said))).await
}

/// `alert_left_out_rows`.
pub(super) async fn insert_left_out(store: &Store, said: &[LeftOutSaid]) -> Result<(), StoreError> {
    insert::<AlertLeftOutColumns>(store, said.len(), |columns| said.iter().for_each(|said| columns.push(said))).await
}

/// What a row stands for. A placeholder is none: the header counts it, no row stands for it, so its block is incomplete (rule 13).
fn readable(t: &EnrichedTransaction) -> Option<(&EnrichedTransaction, &(EvmTransaction, Enrichment))> {
    match &t.payload {
        Payload::Evm(both) => Some((t, both)),
        Payload::Bitcoin(_) | Payload::Revert | Payload::Unreadable { .. } => None,
    }
}

/// The same of Bitcoin's transactions.
fn bitcoin(t: &EnrichedTransaction) -> Option<(&EnrichedTransaction, &BitcoinDecoded)> {
    match &t.payload {
        Payload::Bitcoin(decoded) => Some((t, decoded)),
        Payload::Evm(_) | Payload::Revert | Payload::Unreadable { .. } => None,
    }
}

/// Inserts the rows that `fill` pushes, about so many.
async fn insert<C: Columns>(store: &Store, rows: usize, fill: impl FnOnce(&mut C)) -> Result<(), StoreError> {
    if rows == 0 {
        return Ok(());
    }
    let mut columns = C::with_rows(rows);
    fill(&mut columns);
    let block = columns
        .into_block()
        .map_err(|uneven| StoreError::new(StoreErrorKind::Internal, INSERTING, format!("{}: {uneven}", C::TABLE)))?;
    let (started, rows) = (Instant::now(), block.rows());
    deadline(INSERTING, store.config().write_deadline, send::<C>(store, block)).await.map_err(|mut e| {
        e.message = format!("{}: {}", C::TABLE, e.message);
        e
    })?;
    metrics::inserted(C::TABLE, rows, started.elapsed());
    Ok(())
}

const INSERTING: &str = "inserting rows";

async fn send<C: Columns>(store: &Store, block: Block) -> Result<(), clickhouse::error::Error> {
    let insert = store.client().insert_formatted_with(format!("INSERT INTO {} ({}) FORMAT Native", C::TABLE, C::NAMES));
    let mut insert = SETTINGS.iter().fold(insert, |insert, (name, value)| insert.with_setting(*name, *value));
    for piece in block.into_pieces() {
        insert.send(piece).await?;
    }
    insert.end().await
}
