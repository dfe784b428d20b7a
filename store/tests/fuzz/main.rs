//! Random statements of an analyst against a real store in which canaries are kept: none is ever seen, nothing appears on
//! the disk, the process does not die without saying why, and the stages write and read as if nobody were there.
//!
//! `HEADWATER_FUZZ_SECONDS` (20) is how long, `HEADWATER_FUZZ_SEED` the seed, which the report says: statement `i` of worker
//! `w` is a function of seed, `w`, `i` and the engine's names alone.

#[path = "../engine/door.rs"]
#[allow(dead_code)] // shared with the engine's tests, which use all of it
mod door;
#[path = "../engine/ends.rs"]
mod ends;
mod grammar;
#[path = "../engine/harness.rs"]
#[allow(dead_code)]
mod harness;
mod mutate;
mod names;
mod stages;
mod statements;
mod tables;
mod vocabulary;
#[path = "../engine/watched.rs"]
#[allow(dead_code)]
mod watched;
mod workers;

use ends::{Ends, named};
use names::Names;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::engine::StoreState;
use watched::Watched;
use workers::Tally;

/// Connections of analysts at a time: as many as may run, so that none waits for another.
const WORKERS: u64 = 4;
/// An insert or a read of the stages.
const STAGES_WITHIN: Duration = Duration::from_secs(2);

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_see_nothing_change_nothing_and_slow_nobody() {
    let seconds = variable("HEADWATER_FUZZ_SECONDS", 20);
    let seed = variable("HEADWATER_FUZZ_SEED", fastrand::u64(..1 << 48));
    eprintln!("HEADWATER_FUZZ_SEED={seed} HEADWATER_FUZZ_SECONDS={seconds}");
    let watched = Arc::new(Watched::start().await);
    let names = Names::read(&watched.stages, watched::FOREIGN);
    let ends = Ends::watch(&watched.store);
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let (beat, tally) = std::thread::scope(|scope| {
        let beat = scope.spawn(|| stages::beat(&watched, &stop));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (watched, names) = (&watched, &names);
                let until = started + Duration::from_secs(seconds);
                scope.spawn(move || workers::run(watched, names, seed, worker, until))
            })
            .collect();
        let tally = workers.into_iter().fold(Tally::default(), |tally, w| tally.with(w.join().expect("a worker")));
        stop.store(true, Ordering::Relaxed);
        (beat.join().expect("the stages"), tally)
    });
    let took = started.elapsed();
    watched.store.until(|state| matches!(state, StoreState::Ready(_))).await;
    let ends = ends.stop();
    let mut wrong = tally.wrong.clone();
    wrong.extend(ends.iter().filter(|error| !named(error)).map(|error| format!("the store died: {error}")));
    wrong.extend(watched.appeared().into_iter().map(|name| format!("{name} has appeared")));
    if beat.worst_insert.max(beat.worst_read) > STAGES_WITHIN {
        wrong
            .push(format!("the stages waited {:?} for an insert, {:?} for a read", beat.worst_insert, beat.worst_read));
    }
    wrong.extend(beat.after(&watched));
    eprintln!("{}", tally.report());
    eprintln!(
        "{} statements in {:.0} s, {:.0} a second; stages: {} inserts, worst {:?}, {} reads, worst {:?}; the store ended {} times; seed {seed}",
        tally.statements(),
        took.as_secs_f64(),
        tally.statements() as f64 / took.as_secs_f64(),
        beat.inserts,
        beat.worst_insert,
        beat.reads,
        beat.worst_read,
        ends.len(),
    );
    assert!(wrong.is_empty(), "seed {seed}, {} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tally.passed() * 20 > tally.statements(), "fewer than one in twenty is answered: the grammar is off");
    Arc::into_inner(watched).expect("the last one").stop().await;
}
