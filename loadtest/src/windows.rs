//! Whether windows are what the transactions of their time are, by questions in SQL that know nothing of how windows are made.
//!
//! Guarantee: a row of an answer is a window that differs from a recomputation over the view `transactions`, one that is complete and
//! should not be, or one whose time is over and that is missing. No row: they are equal.

use schemas::limits::windows::SECONDS;

use crate::{
    cluster::{Outside, number},
    failure::Failure,
};

/// Windows that differ, of a network; or, with `contract`, of a watched contract in it.
#[must_use]
pub fn differences(slug: &str, contract: &str, seconds: u32) -> String {
    let (touched, from) = match contract {
        // A block of Bitcoin may be two hours ahead: what lies before the first that is known may reach so far.
        "" => (
            "1".to_owned(),
            format!(
                "(SELECT min(timestamp) + toIntervalHour(if(any(family) = 'bitcoin', 2, 0)) FROM blocks WHERE network = '{slug}')"
            ),
        ),
        contract => (
            format!("has(contracts, '{contract}')"),
            format!(
                "(SELECT max(watched_from) FROM windows WHERE network = '{slug}' AND contract = '{contract}' AND watched_from IS NOT NULL) - INTERVAL 1 MILLISECOND"
            ),
        ),
    };
    // A coinbase makes what it gives, and moves nothing.
    // A contract's windows have its own logs; what moves value in the network moves it by transactions that did not fail.
    let figures = "count() AS n, countIf(status = 'failed') AS f, countIf(status = 'unknown') AS u, sum(gas_used) AS g, \
                   sum(ifNull(fee, 0)) AS fees, sumIf(value, status != 'failed' AND NOT (family = 'bitcoin' AND transaction_index = 0)) AS v";
    // No later block of Bitcoin has a time at or below the median of the eleven before it; its own may lie above others'.
    let tip = format!(
        "ifNull((SELECT max(median_time) FROM bitcoin_blocks WHERE network = '{slug}'), \
         (SELECT max(timestamp) FROM blocks WHERE network = '{slug}'))"
    );
    // The figures of those that are not whole for what lies before the first block are the rows' all the same.
    let all = format!("(SELECT any(family) = 'bitcoin' FROM blocks WHERE network = '{slug}')");
    format!(
        "SELECT concat(toString(if(w.at = toDateTime64(0, 3, 'UTC'), t.at, w.at) AS starts), ' {seconds}s: ',
                toString((w.complete, w.n, w.f, w.u, w.g, w.fees, w.v)), ' where rows give ', toString((t.n, t.f, t.u, t.g, t.fees, t.v)),
                ' ', ifNull(w.reason, '')) AS line
         FROM (
            SELECT window_start AS at, complete, reason, transactions AS n, failed AS f, unknown AS u, gas_used AS g, fee_total AS fees,
                   value_total AS v
            FROM windows WHERE network = '{slug}' AND contract = '{contract}' AND window_seconds = {seconds}
         ) AS w
         FULL JOIN (
            SELECT toDateTime64(toStartOfInterval(block_timestamp, INTERVAL {seconds} SECOND), 3, 'UTC') AS at, {figures}
            FROM transactions WHERE network = '{slug}' AND {touched} GROUP BY at
         ) AS t ON w.at = t.at
         WHERE ((w.complete = 1 OR (starts + INTERVAL {seconds} SECOND <= {tip} AND {all}))
               AND (w.n, w.f, w.u, w.g, w.fees, w.v) != (t.n, t.f, t.u, t.g, t.fees, t.v))
            OR (w.complete = 0 AND starts > {from} AND starts + INTERVAL {seconds} SECOND <= {tip})
            OR (w.complete = 1 AND starts + INTERVAL {seconds} SECOND > {tip})
         ORDER BY starts"
    )
}

/// How many complete windows there are, of all sizes, of a network or of a contract.
#[must_use]
pub fn complete(slug: &str, contract: &str) -> String {
    format!("SELECT countIf(complete = 1) AS n FROM windows WHERE network = '{slug}' AND contract = '{contract}'")
}

/// Waits until a network's windows are those of its tip, and compares all of them. How many are complete.
///
/// # Errors
/// The differences that are left when `patience` is over.
pub async fn same(
    outside: &Outside,
    slug: &str,
    contract: &str,
    patience: std::time::Duration,
) -> Result<u64, Failure> {
    let end = std::time::Instant::now() + patience;
    loop {
        let mut differ = Vec::new();
        for seconds in SECONDS {
            differ.extend(outside.lines(&differences(slug, contract, seconds)).await?);
        }
        if differ.is_empty() {
            let rows = outside.query(&complete(slug, contract)).await?;
            return number(rows.first().unwrap_or(&serde_json::Value::Null), "n");
        }
        if std::time::Instant::now() > end {
            let first: Vec<String> = differ.iter().take(5).cloned().collect();
            return Err(format!("{} windows of {slug} {contract} differ: {}", differ.len(), first.join("; ")).into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
