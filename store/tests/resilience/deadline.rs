//! A statement that does not hear its deadline ends all the same, and gives its turn and its memory back.

use crate::door::Door;
use crate::ends::{Ends, named};
use crate::harness::{PROGRAM, Running};
use crate::{ALONE, POLYGONS, within};
use std::time::{Duration, Instant};
use store::engine::{ChildCommand, RestartPolicy};

const SECONDS: u64 = 2;
/// From its deadline to the end of it, be it with the process.
const LATE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_its_deadline_is_ended() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().expect("temp dir");
    let command = ChildCommand::new(PROGRAM, [dir.path()]);
    let policy = RestartPolicy { first_delay: Duration::from_millis(50), ..RestartPolicy::default() };
    let store = Running::start_in(dir, command, policy).await;
    let (stages, analyst) = (Door::stages(&store), Door::analyst(&store));
    let target = format!("/?max_execution_time={SECONDS}");
    let first = analyst.ask(&target, POLYGONS.as_bytes(), Duration::from_secs(1));
    let refused = first.is_ok_and(|answer| answer.code() == 497);
    eprintln!("the analyst is {}", if refused { "refused; the stages ask" } else { "let in" });
    let door = if refused { &stages } else { &analyst };
    let (pid, ends) = (store.holder(), Ends::watch(&store));
    let started = Instant::now();
    // The stages' own deadline is minutes away: for them it is the client's leaving that ends a statement.
    let patience = if refused { Duration::from_secs(SECONDS) } else { Duration::from_secs(90) };
    let answer = door.ask(&target, POLYGONS.as_bytes(), patience);
    eprintln!(
        "answered after {:?}: {}",
        started.elapsed(),
        answer.as_ref().map_or_else(|s| format!("{s:?}"), |a| a.brief())
    );
    let running = || {
        let sql =
            b"SELECT count() FROM system.processes WHERE query LIKE '%polygonsUnion%' AND query NOT LIKE '%processes%'";
        stages
            .ask("/", sql, Duration::from_secs(5))
            .map_or_else(|s| format!("{s:?}"), |answer| answer.text().trim().to_owned())
    };
    let mut last = String::new();
    let ended = within((Duration::from_secs(SECONDS) + LATE).saturating_sub(started.elapsed()), || {
        last = running();
        last == "0"
    });
    let took = started.elapsed();
    let restarted = store.holder() != pid;
    eprintln!("ended after {took:?}: {ended}; by another process: {restarted}");
    let mut wrong = Vec::new();
    if !ended {
        wrong.push(format!("{took:?} after its start it is still there ({last})"));
    }
    // Every turn of the analyst's is free: four at once, none waits.
    let started = Instant::now();
    let turns = std::thread::scope(|scope| {
        let four: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| analyst.ask("/", b"SELECT count() FROM numbers(1000)", Duration::from_secs(15))))
            .collect();
        four.into_iter().filter_map(|one| one.join().ok()?.ok()).filter(|answer| answer.text() == "1000\n").count()
    });
    if turns != 4 || started.elapsed() > Duration::from_secs(5) {
        wrong.push(format!("{turns} of four turns are free, after {:?}", started.elapsed()));
    }
    let ends = ends.stop();
    if restarted && !ends.iter().any(|error| named(error)) {
        wrong.push(format!("the process ended without saying why: {ends:?}"));
    }
    // What the test leaves behind would go on for minutes: the store does not wait for it.
    let stopping = Instant::now();
    drop(store.stop().await);
    eprintln!("stopped in {:?}", stopping.elapsed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
