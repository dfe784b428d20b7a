//! Which of the processes publishes.
//!
//! Guarantee: a row in the control store names one holder, who lets a number rise again and again. Whoever has seen it stand still for
//! the length of a lease, by his own clock, takes it over; no clocks are compared, so none has to be right. Each step names the row as
//! it was seen, so that of two who want it at once one gets it. A holder that was cut off meanwhile learns it with its next beat; what
//! it writes until then the log refuses, since who took over fences it (the transactional id).
//!
//! A process that starts again under its own name need not wait for itself.

use tokio::time::{Duration, Instant};

use crate::{
    db::{Db, Row, Value},
    error::Error,
    sql::SystemSql,
};

const READ: SystemSql = SystemSql("SELECT holder, beat FROM control_leases WHERE name = 'publisher'");
const BEAT: SystemSql = SystemSql(
    "UPDATE control_leases SET holder = $1, beat = beat + 1 WHERE name = 'publisher' AND holder = $2 AND beat = $3 \
     RETURNING holder, beat",
);

/// The row as it was seen, and when it last changed.
#[derive(Debug, Clone)]
struct Seen {
    holder: String,
    beat: i64,
    since: Instant,
}

/// One process's part in it.
pub(super) struct Lease {
    db: Db,
    name: String,
    length: Duration,
    seen: Option<Seen>,
    held: Option<i64>,
    /// The beat of a step of ours whose answer was lost.
    perhaps: Option<i64>,
}

impl Lease {
    pub fn new(db: Db, name: &str, length: Duration) -> Self {
        Self { db, name: name.to_owned(), length, seen: None, held: None, perhaps: None }
    }

    /// Keeps or takes it where that may be done. Whether it is ours now.
    pub async fn turn(&mut self) -> Result<bool, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = tx.system(READ, &[]).await;
        let (holder, beat) = row(&tx.end(rows).await?)?;
        let first = self.seen.is_none();
        let since = match &self.seen {
            Some(seen) if (&seen.holder, seen.beat) == (&holder, beat) => seen.since,
            _ => Instant::now(),
        };
        self.seen = Some(Seen { holder: holder.clone(), beat, since });
        let ours = holder == self.name && [self.held, self.perhaps].contains(&Some(beat));
        // Who has just started is not the process of this name that goes on beating; if there is one, it beats first.
        let former_life = first && holder == self.name;
        let may = ours || former_life || holder.is_empty() || since.elapsed() >= self.length;
        self.held = None;
        if may {
            self.perhaps = Some(beat + 1);
            self.held = self.step(&self.name, &holder, beat).await?;
        }
        self.perhaps = None;
        if let Some(beat) = self.held {
            self.seen = Some(Seen { holder: self.name.clone(), beat, since: Instant::now() });
        }
        Ok(self.held.is_some())
    }

    /// Lets go of it, so that nobody has to wait.
    pub async fn release(&mut self) -> Result<(), Error> {
        match self.held.take() {
            Some(beat) => self.step("", &self.name, beat).await.map(drop),
            None => Ok(()),
        }
    }

    /// Who holds it, as last seen.
    pub fn holder(&self) -> &str {
        self.seen.as_ref().map_or("", |seen| &seen.holder)
    }

    async fn step(&self, to: &str, from: &str, beat: i64) -> Result<Option<i64>, Error> {
        let mut tx = self.db.system(true).await?;
        let rows = tx.system(BEAT, &[Value::from(to), from.into(), beat.into()]).await;
        tx.end(rows).await?.first().map(|row| row.int("beat")).transpose()
    }
}

fn row(rows: &[Row]) -> Result<(String, i64), Error> {
    let row = rows.first().ok_or_else(|| Error::Corrupt("no lease of the publisher".to_owned()))?;
    Ok((row.text("holder")?, row.int("beat")?))
}
