//! A table makes room for one of a later layout, and readers find one of the two at every moment.
//!
//! Guarantee: what the file's statement says (`RENAME TABLE block_rows TO coarse_block_rows`) becomes true without a moment in which there
//! is no `block_rows`: the new table is made under a third name, the two change places (`EXCHANGE TABLES`, which the engine does at once in
//! databases of its kind Atomic), and the former table gets its name. Cut off anywhere it is gone on with, and several processes may do it at once:
//! before each step it is looked at what there is, nobody has done until the tables stand where they belong, and only an empty table is
//! dropped. In databases of other kinds, which do not exchange, the file's statement is run as it is.
//! Shown by `tests/sink/coarse.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clickhouse::Row;
use serde::Deserialize;

use crate::{Store, StoreError, StoreErrorKind, client::deadline};

/// Steps after which it is given up; three are needed.
const STEPS: u32 = 40;
/// Where the new table is made.
const BETWEEN: &str = "swap_";

/// Which table, and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swap {
    /// The table.
    pub table: &'static str,
    /// What the former one is called, in front of its name.
    pub former: &'static str,
    /// The statement that makes the new one.
    pub makes: &'static str,
    /// A column that the new one has and the former does not.
    pub new_column: &'static str,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Row, Deserialize)]
struct Seen {
    /// The database exchanges tables.
    atomic: bool,
    /// What is in the table's place, the one between and the former one: 0 none, 1 of the former layout, 2 of the new one.
    place: u8,
    between: u8,
    former: u8,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The file's statement.
    Rename,
    Make,
    Exchange,
    /// The former table gets its name.
    Name,
    /// A table of the new layout got the former one's name, as two processes exchanged at the same time.
    TakeBack,
    /// Made by a process that came late, or named by one; only while it is empty.
    DropBetween,
    DropFormer,
    Done,
    /// Nobody has made it so.
    Stuck,
}

const FORMER: u8 = 1;
const NEW: u8 = 2;

/// Pure.
fn next(seen: Seen) -> Step {
    match (seen.place, seen.between, seen.former) {
        (FORMER, 0, 0) if !seen.atomic => Step::Rename,
        (FORMER, 0, 0) => Step::Make,
        (FORMER, NEW, 0) => Step::Exchange,
        (FORMER, 0, NEW) => Step::TakeBack,
        (NEW, FORMER, 0) => Step::Name,
        (NEW, NEW, _) | (FORMER, NEW, NEW) => Step::DropBetween,
        (NEW, FORMER, NEW) => Step::DropFormer,
        (0 | NEW, 0, _) => Step::Done,
        _ => Step::Stuck,
    }
}

impl Store {
    /// Does what is left to do of it; nothing where the table is of the new layout, or not there.
    pub(super) async fn swap(&self, swap: &Swap, rename: &str) -> Result<(), StoreError> {
        let Swap { table, former, makes, .. } = *swap;
        let mut last = None;
        for _ in 0..STEPS {
            let seen = self.seen(swap).await?;
            let statement = match next(seen) {
                Step::Done => return Ok(()),
                Step::Rename => rename.to_owned(),
                Step::Make => makes.replacen(
                    &format!("CREATE TABLE IF NOT EXISTS {table}"),
                    &format!("CREATE TABLE IF NOT EXISTS {BETWEEN}{table}"),
                    1,
                ),
                Step::Exchange => format!("EXCHANGE TABLES {table} AND {BETWEEN}{table}"),
                Step::Name => format!("RENAME TABLE {BETWEEN}{table} TO {former}{table}"),
                Step::TakeBack => format!("RENAME TABLE {former}{table} TO {BETWEEN}{table}"),
                Step::DropBetween => format!("DROP TABLE IF EMPTY {BETWEEN}{table}"),
                Step::DropFormer => format!("DROP TABLE IF EMPTY {former}{table}"),
                Step::Stuck => {
                    return Err(StoreError::new(
                        StoreErrorKind::Version,
                        "migrating the store",
                        format!(
                            "`{table}`, `{BETWEEN}{table}` and `{former}{table}` are not as any version leaves them ({seen:?}): restore \
                             them from a backup, or drop the one that is too much"
                        ),
                    ));
                }
            };
            // Another process may have done it a moment ago: what there is then says.
            let outcome = self.client().query_raw(&statement).execute();
            match deadline("migrating the store", self.config().write_deadline, outcome).await {
                Ok(()) => {}
                Err(error) if error.is_transient() || error.kind == StoreErrorKind::Version || last.is_none() => {
                    last = Some(error);
                    tokio::time::sleep(a_moment()).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let others =
                format!("`{table}` and its former layout change places again and again: start one process alone");
            StoreError::new(StoreErrorKind::Busy, "migrating the store", others)
        }))
    }

    async fn seen(&self, swap: &Swap) -> Result<Seen, StoreError> {
        let Swap { table, former, new_column, .. } = *swap;
        let layout = |name: String| {
            format!(
                "toUInt8((countIf(table = '{name}') > 0) + (countIf(table = '{name}' AND name = '{new_column}') > 0))"
            )
        };
        let sql = format!(
            "SELECT toBool(ifNull((SELECT engine FROM system.databases WHERE name = currentDatabase()), '') = 'Atomic') AS atomic, {} AS place, \
             {} AS between, {} AS former \
             FROM system.columns WHERE database = currentDatabase()",
            layout(table.to_owned()),
            layout(format!("{BETWEEN}{table}")),
            layout(format!("{former}{table}"))
        );
        self.within("looking at what is to be migrated", self.read(&sql).fetch_one::<Seen>()).await
    }
}

/// Two processes that disturb each other do not go on in step.
fn a_moment() -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    Duration::from_millis(20 + u64::from(nanos / 1_000 % 150))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn seen(place: u8, between: u8, former: u8) -> Seen {
        Seen { atomic: true, place, between, former }
    }

    /// What a step makes of what there is.
    fn after(at: Seen, step: Step) -> Seen {
        match step {
            Step::Rename => Seen { place: 0, former: at.place, ..at },
            Step::Make => Seen { between: NEW, ..at },
            Step::Exchange => Seen { place: at.between, between: at.place, ..at },
            Step::Name => Seen { between: 0, former: at.between, ..at },
            Step::TakeBack => Seen { between: at.former, former: 0, ..at },
            Step::DropBetween => Seen { between: 0, ..at },
            Step::DropFormer => Seen { former: 0, ..at },
            Step::Done | Step::Stuck => at,
        }
    }

    /// Whether a step can be done at all: what it needs is there, and what it makes is not.
    fn can(at: Seen, step: Step) -> bool {
        match step {
            Step::Rename => at.place > 0 && at.former == 0,
            Step::Make => at.between == 0,
            Step::Exchange => at.place > 0 && at.between > 0,
            Step::Name => at.between > 0 && at.former == 0,
            Step::TakeBack => at.former > 0 && at.between == 0,
            // A former one has rows.
            Step::DropBetween => at.between == NEW,
            Step::DropFormer => at.former == NEW,
            Step::Done | Step::Stuck => true,
        }
    }

    #[test]
    fn three_steps_lead_from_the_former_layout_to_the_new_one() {
        let (mut at, mut steps) = (seen(FORMER, 0, 0), Vec::new());
        while next(at) != Step::Done {
            steps.push(next(at));
            at = after(at, next(at));
            assert!(at.place > 0, "there is always one");
        }
        assert_eq!((steps, at), (vec![Step::Make, Step::Exchange, Step::Name], seen(NEW, 0, FORMER)));
        // A new database, one whose former table was dropped, one that was cut off by the version that renamed.
        for done in [seen(NEW, 0, 0), seen(NEW, 0, FORMER), seen(0, 0, FORMER), seen(0, 0, 0)] {
            assert_eq!(next(done), Step::Done);
        }
        assert_eq!(next(Seen { atomic: false, ..seen(FORMER, 0, 0) }), Step::Rename);
    }

    /// Three processes, each of which acts on what there is or on what it saw at its last step, in every order: the former table is never
    /// lost, there is always one, and once they do not disturb each other any more all is as it must be.
    #[test]
    fn processes_in_any_order_lose_nothing() {
        let begin = seen(FORMER, 0, 0);
        let (mut met, mut left) = (HashSet::new(), vec![(begin, [begin; 3])]);
        while let Some((at, saw)) = left.pop() {
            if !met.insert((at, saw)) {
                continue;
            }
            assert!([at.place, at.between, at.former].iter().filter(|table| **table == FORMER).count() == 1, "{at:?}");
            assert!(at.place > 0, "{at:?}");
            let end = (0..12).fold(at, |at, _| after(at, next(at)));
            assert_eq!(end, seen(NEW, 0, FORMER), "from {at:?}");
            for who in 0..3 {
                for step in [next(at), next(saw[who])] {
                    let now = if can(at, step) { after(at, step) } else { at };
                    let mut saw = saw;
                    saw[who] = now;
                    left.push((now, saw));
                }
            }
        }
        assert!(met.len() > 400, "{} states only", met.len());
    }
}
