//! What the stages do meanwhile: a row in, a count out, several times a second, each timed.

use crate::watched::Watched;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::engine::StoreState;

#[derive(Default)]
pub struct Beat {
    pub inserts: u64,
    pub reads: u64,
    pub worst_insert: Duration,
    pub worst_read: Duration,
    /// Refused, or without an answer, while the store said that it was there.
    failed: Vec<String>,
}

/// Runs until `stop`. While the store's process is started again nothing is timed.
pub fn beat(watched: &Watched, stop: &AtomicBool) -> Beat {
    let state = watched.store.supervisor.state();
    let ready = || matches!(&*state.borrow(), StoreState::Ready(_));
    let create = watched.stages.say("CREATE TABLE IF NOT EXISTS beat (n UInt64) ENGINE = MergeTree ORDER BY n");
    assert_eq!(create.status, 200, "{}", create.text());
    let mut beat = Beat::default();
    while !stop.load(Ordering::Relaxed) {
        if ready() {
            let pid = watched.store.holder();
            for insert in [true, false] {
                let sql = match insert {
                    true => format!("INSERT INTO beat SELECT {}", beat.inserts),
                    false => "SELECT count(), max(n) FROM beat".to_owned(),
                };
                let started = Instant::now();
                let answer = watched.stages.ask("/", sql.as_bytes(), Duration::from_secs(60));
                let took = started.elapsed();
                if answer.is_err() {
                    std::thread::sleep(Duration::from_secs(1)); // an end of the process is seen by its parent first
                }
                if !ready() || watched.store.holder() != pid {
                    break; // it fell in between
                }
                match answer {
                    Ok(answer) if answer.code() == 0 && insert => {
                        beat.inserts += 1;
                        beat.worst_insert = beat.worst_insert.max(took);
                    }
                    Ok(answer) if answer.code() == 0 => {
                        beat.reads += 1;
                        beat.worst_read = beat.worst_read.max(took);
                    }
                    Ok(answer) => beat.failed.push(format!("the stages' {sql} failed: {}", answer.brief())),
                    Err(silence) => beat.failed.push(format!("the stages' {sql}: {silence:?} after {took:?}")),
                }
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    beat
}

impl Beat {
    /// What is wrong afterwards.
    pub fn after(&self, watched: &Watched) -> Vec<String> {
        let mut wrong = self.failed.clone();
        let count = watched.stages.say("SELECT uniqExact(n) FROM beat").text().trim().parse::<u64>().unwrap_or(0);
        if count < self.inserts {
            wrong.push(format!("{} inserts were acknowledged, {count} rows are there", self.inserts));
        }
        let rows = watched.stages.say("SELECT count(), sum(a) FROM t").text();
        if rows != "1000\t499500\n" {
            wrong.push(format!("the rows are not what they were: {rows}"));
        }
        let started = Instant::now();
        let own = watched.analyst.ask("/", b"SELECT count() FROM t", Duration::from_secs(30));
        if !own.as_ref().is_ok_and(|answer| answer.text() == "1000\n") {
            wrong.push(format!("afterwards the analyst is answered {own:?} after {:?}", started.elapsed()));
        }
        wrong
    }
}
