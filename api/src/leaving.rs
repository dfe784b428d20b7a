//! Organisations that go, and what comes late of those that are gone.
//!
//! ```text
//! asked for ─▶ the door is shut, the stages are told (control.tenants)
//!           ─▶ rows of the control store ─▶ rows of the store ─▶ tombstone, audit ─▶ gone
//! ```
//!
//! An import that was cut off is asked for here: what there is of it goes the same way.
//!
//! Guarantee: each step begins when the one before is known to be done, and is done again where it was interrupted: a process that dies is
//! followed by another, and several do no harm to each other. What the sink writes after that of a tenant (alerts that were in the log, a
//! topic that is read again) is removed within [`SWEEP`], for as long as the log may hold any of it. A store that is away is waited for, and
//! said.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use control::{Control, Leaving};
use schemas::{TimeMs, limits, topics};
use serde_json::{Value, json};
use store::{Store, StoreError};
use tokio::time::{Instant, sleep};

/// How often it is looked for what is to go.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is looked for what came late.
pub const SWEEP: Duration = Duration::from_secs(600);
/// After the stages were told, so long what they say of it is waited for: the ends of its alerts.
const SETTLED: Duration = Duration::from_secs(15);
/// Failures are said this often.
const SAID: Duration = Duration::from_secs(60);

/// What is known of one that goes.
#[derive(Default)]
struct Going {
    rows: BTreeMap<&'static str, usize>,
    told_at: Option<Instant>,
    told: Option<TimeMs>,
    found: BTreeMap<&'static str, u64>,
}

/// Why one does not go on now.
#[derive(Debug, thiserror::Error)]
enum Held {
    #[error(transparent)]
    Control(#[from] control::Error),
    #[error("the store's rows of it cannot be removed: {0}")]
    Store(#[from] StoreError),
}

/// Lets them go, for ever. `store`: of a user who may remove rows.
pub async fn follow(control: &Control, store: &Store) {
    let (mut going, mut swept): (HashMap<String, Going>, Option<Instant>) = (HashMap::new(), None);
    let (mut said, mut said_of_imports) = (None, None);
    loop {
        give_up(control, &mut said_of_imports).await;
        let done = async {
            let mut held: Result<(), Held> = Ok(());
            let all = control.leaving().await?;
            going.retain(|id, _| all.iter().any(|leaving| leaving.id().as_str() == id));
            for leaving in &all {
                // One that cannot go holds up none of the others.
                let done = step(control, store, leaving, going.entry(leaving.id().to_string()).or_default()).await;
                held = held.and(done);
            }
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                sweep(control, store).await?;
                swept = Some(Instant::now());
            }
            held
        };
        if let Err(error) = done.await
            && is_due(&mut said)
        {
            tracing::warn!(%error, "an organisation that is to be deleted is not gone yet; trying again");
        }
        sleep(LOOK).await;
    }
}

/// Whether a failure is said (again).
fn is_due(said: &mut Option<Instant>) -> bool {
    let due = said.is_none_or(|at| at.elapsed() >= SAID);
    if due {
        *said = Some(Instant::now());
    }
    due
}

/// Has imports deleted that were cut off. Where that fails, what was asked for goes on all the same.
async fn give_up(control: &Control, said: &mut Option<Instant>) {
    match control.give_up_imports().await {
        Ok(0) => {}
        Ok(halves) => {
            tracing::warn!(organisations = halves, "imports came to no end; what there is of them is removed");
        }
        Err(error) => {
            if is_due(said) {
                tracing::warn!(%error, "what there is of an import that came to no end is not given up yet; trying again");
            }
        }
    }
}

async fn step(control: &Control, store: &Store, leaving: &Leaving, going: &mut Going) -> Result<(), Held> {
    if !leaving.is_shut(TimeMs::now()) {
        return Ok(());
    }
    let emptied = control.empty(leaving).await?;
    if emptied.untold > 0 {
        tracing::debug!(organisation = %leaving.id(), untold = emptied.untold, "the stages are being told");
        return Ok(());
    }
    for (table, rows) in emptied.rows {
        *going.rows.entry(table).or_default() += rows;
    }
    going.told.get_or_insert_with(TimeMs::now);
    if going.told_at.get_or_insert_with(Instant::now).elapsed() < SETTLED {
        return Ok(());
    }
    let forgotten = store.forget_tenants(&[leaving.id().to_string()]).await?;
    for (table, rows) in &forgotten.found {
        let found = going.found.entry(table).or_default();
        *found = (*found).max(*rows);
    }
    if !forgotten.is_whole() {
        return Ok(());
    }
    let tombstone = control.bury(leaving, &proof(going, &forgotten.left)).await?;
    tracing::info!(organisation = %tombstone.tenant, entries = tombstone.audit_entries, "an organisation is deleted");
    Ok(())
}

/// What was removed where, and until when the log may hold anything of it.
fn proof(going: &Going, left: &BTreeMap<&'static str, u64>) -> Value {
    let told = going.told.unwrap_or_else(TimeMs::now);
    let after = |time: Duration| TimeMs(told.0 + i64::try_from(time.as_millis()).unwrap_or_default()).rfc3339();
    let expire = [topics::ALERTS_MATCHES, topics::ALERTS_EVENTS, topics::ALERTS_DELIVERIES, topics::ALERTS_COMMANDS];
    let expire: BTreeMap<&str, String> =
        expire.iter().filter_map(|topic| Some((topic.name, after(topic.retention?)))).collect();
    let compacted = [topics::CONTROL_TENANTS, topics::ALERTS_STATE, topics::ALERTS_OUTBOX, topics::ALERTS_RING];
    json!({
        "control": going.rows,
        "store": { "found": going.found, "left": left },
        "log": {
            "told_at": told.rfc3339(),
            "compacted": compacted.map(|topic| topic.name),
            // Once for what was there, once for the removals themselves.
            "compacted_by": after(2 * limits::COMPACTED_WITHIN),
            "expires_by": expire,
        },
    })
}

/// Removes what came late of those that are gone, for as long as the log may hold any of it.
async fn sweep(control: &Control, store: &Store) -> Result<(), Held> {
    let longest = topics::ALL.iter().filter_map(|topic| topic.retention).max().unwrap_or_default();
    let since = TimeMs(TimeMs::now().0 - i64::try_from(longest.as_millis()).unwrap_or_default() - 86_400_000);
    let gone: Vec<String> = control.tombstones(since).await?.iter().map(|of| of.tenant.to_string()).collect();
    for some in gone.chunks(200) {
        let forgotten = store.forget_tenants(some).await?;
        let late: u64 = forgotten.found.values().sum();
        if late > 0 {
            tracing::info!(rows = late, "rows that came late of organisations that are gone were removed");
        }
    }
    Ok(())
}
