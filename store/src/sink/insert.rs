//! One insert per table, all rows of a run at once. What a second call sends is the same, byte for byte.

use std::time::Instant;

use clickhouse::{Row, RowWrite, insert::Insert};
use schemas::{
    TimeMs,
    records::{BlockSummary, EnrichedTransaction, Enrichment, EvmHeader, EvmTransaction, Payload},
};

use super::{batch::Event, metrics, status::StatusRow};
use crate::{
    Store, StoreError,
    client::deadline,
    rows::{AuditRow, BlockEventRow, BlockRow, EvmLogRow, EvmTransactionRow},
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

type Outcome = Result<u64, clickhouse::error::Error>;

/// `evm_transaction_rows`.
pub(super) async fn insert_transactions(store: &Store, run: &[&[EnrichedTransaction]]) -> Result<(), StoreError> {
    let table = "evm_transaction_rows";
    if run.iter().copied().flatten().all(|t| readable(t).is_none()) {
        return Ok(());
    }
    under_deadline(store, table, async {
        let mut rows = 0;
        let mut insert = open::<EvmTransactionRow<'_>>(store, table).await?;
        for event in run {
            for t in *event {
                // A placeholder: the header counts it, no row stands for it, so its block is incomplete (rule 13).
                let Some(both) = readable(t) else { continue };
                insert.write(&EvmTransactionRow::new(&t.envelope, &both.0, &both.1)).await?;
                rows += 1;
            }
        }
        insert.end().await?;
        Ok(rows)
    })
    .await
}

/// `evm_log_rows`.
pub(super) async fn insert_logs(store: &Store, run: &[&[EnrichedTransaction]]) -> Result<(), StoreError> {
    let table = "evm_log_rows";
    let none = |t: &EnrichedTransaction| readable(t).is_none_or(|both| both.0.logs.is_empty());
    if run.iter().copied().flatten().all(none) {
        return Ok(());
    }
    under_deadline(store, table, async {
        let mut rows = 0;
        let mut insert = open::<EvmLogRow<'_>>(store, table).await?;
        for event in run {
            for t in *event {
                let Some(both) = readable(t) else { continue };
                for (i, log) in both.0.logs.iter().enumerate() {
                    let decoded = both.1.events.get(i).and_then(Option::as_ref);
                    insert.write(&EvmLogRow::new(&t.envelope, &both.0, log, decoded)).await?;
                    rows += 1;
                }
            }
        }
        insert.end().await?;
        Ok(rows)
    })
    .await
}

/// `block_rows`.
pub(super) async fn insert_blocks(store: &Store, run: &[&Event], stored_at: TimeMs) -> Result<(), StoreError> {
    let table = "block_rows";
    let (no_header, no_summary) = (EvmHeader::default(), BlockSummary::default());
    under_deadline(store, table, async {
        let mut insert = open::<BlockRow<'_>>(store, table).await?;
        for event in run {
            let block = &event.block;
            let header = block.evm.as_deref().unwrap_or(&no_header);
            let summary = block.summary.as_ref().unwrap_or(&no_summary);
            insert.write(&BlockRow::new(block, header, summary, stored_at)).await?;
        }
        insert.end().await?;
        Ok(run.len() as u64)
    })
    .await
}

/// `block_event_rows`.
pub(super) async fn insert_events(store: &Store, run: &[&Event], stored_at: TimeMs) -> Result<(), StoreError> {
    let table = "block_event_rows";
    under_deadline(store, table, async {
        let mut insert = open::<BlockEventRow<'_>>(store, table).await?;
        for event in run {
            insert.write(&BlockEventRow::new(&event.block.envelope, stored_at)).await?;
        }
        insert.end().await?;
        Ok(run.len() as u64)
    })
    .await
}

/// `audit_rows`.
pub(super) async fn insert_audit(store: &Store, row: &AuditRow<'_>) -> Result<(), StoreError> {
    let table = "audit_rows";
    under_deadline(store, table, async {
        let mut insert = open::<AuditRow<'_>>(store, table).await?;
        insert.write(row).await?;
        insert.end().await?;
        Ok(1)
    })
    .await
}

/// `sink_status_rows`.
pub(super) async fn insert_statuses(store: &Store, rows: &[StatusRow]) -> Result<(), StoreError> {
    let table = "sink_status_rows";
    if rows.is_empty() {
        return Ok(());
    }
    under_deadline(store, table, async {
        let mut insert = open::<StatusRow>(store, table).await?;
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await?;
        Ok(rows.len() as u64)
    })
    .await
}

fn readable(t: &EnrichedTransaction) -> Option<&(EvmTransaction, Enrichment)> {
    match &t.payload {
        Payload::Transaction(both) => Some(both),
        Payload::Revert | Payload::Unreadable { .. } => None,
    }
}

async fn open<R: Row + RowWrite>(store: &Store, table: &str) -> Result<Insert<R>, clickhouse::error::Error> {
    let insert = store.client().insert::<R>(table).await?;
    Ok(SETTINGS.iter().fold(insert, |insert, (name, value)| insert.with_setting(*name, *value)))
}

async fn under_deadline(
    store: &Store,
    table: &'static str,
    call: impl Future<Output = Outcome>,
) -> Result<(), StoreError> {
    let started = Instant::now();
    let rows = deadline("inserting rows", store.config().write_deadline, call).await.map_err(|mut e| {
        e.message = format!("{table}: {}", e.message);
        e
    })?;
    metrics::inserted(table, rows, started.elapsed());
    Ok(())
}
