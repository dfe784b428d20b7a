//! Trouble upon trouble. `HEADWATER_RESILIENCE_ROUNDS` (18; 50 by `make test-long`) and `HEADWATER_RESILIENCE_SEED` say how many and which.

use crate::door::Door;
use crate::harness::{PROGRAM, Running};
use crate::room::Room;
use crate::troubles::Trouble;
use crate::{ALONE, within};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::engine::{ChildCommand, RestartPolicy};

/// From the trouble to the first right answer.
const BACK: Duration = Duration::from_secs(30);
const ROWS: u64 = 100;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Whether batches 0 to `batches` are there, whole. One may be there twice: it was sent again after a kill.
fn all_there(stages: &Door, batches: u64) -> Result<(), String> {
    let sql = format!(
        "SELECT count() FROM (SELECT batch FROM kept WHERE batch < {batches} GROUP BY batch HAVING uniqExact(n) = {ROWS})"
    );
    match stages.ask("/", sql.as_bytes(), Duration::from_secs(10)) {
        Ok(answer) if answer.text().trim() == batches.to_string() => Ok(()),
        Ok(answer) => Err(format!("{batches} batches were acknowledged; the store says: {}", answer.brief())),
        Err(silence) => Err(format!("{silence:?}")),
    }
}

fn insert(stages: &Door, batch: u64) -> bool {
    let sql = format!("INSERT INTO kept SELECT {batch}, number FROM numbers({ROWS})");
    stages.ask("/", sql.as_bytes(), Duration::from_secs(20)).is_ok_and(|answer| answer.code() == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_trouble_the_store_is_back_with_all_its_rows() {
    let _alone = ALONE.lock().await;
    let rounds = variable("HEADWATER_RESILIENCE_ROUNDS", 18);
    let seed = variable("HEADWATER_RESILIENCE_SEED", fastrand::u64(..1 << 48));
    eprintln!("HEADWATER_RESILIENCE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    // More than what the store leaves free and a few tables.
    let room = Room::new(600);
    let dir = room.folder();
    let command = ChildCommand::new(PROGRAM, [dir.path()]);
    let policy = RestartPolicy {
        first_delay: Duration::from_millis(50),
        longest_delay: Duration::from_secs(1),
        ..RestartPolicy::default()
    };
    let store = Running::start_in(dir, command, policy).await;
    let (stages, analyst) = (Door::stages(&store), Door::analyst(&store));
    let create = stages.say("CREATE TABLE kept (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY (batch, n)");
    assert_eq!(create.status, 200, "{}", create.text());
    let mut batches = 0;
    let mut wrong = Vec::new();
    let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for round in 0..rounds {
        let trouble = Trouble::of_round(round, &mut rng, &room);
        let (bad, junk) = std::thread::scope(|scope| {
            let (stages, mut at) = (&stages, batches);
            let writer = scope.spawn(move || {
                while insert(stages, at) {
                    at += 1;
                    if at - batches > 200 {
                        break;
                    }
                }
                at
            });
            let happened = trouble.happen(&mut rng, &store, &room);
            batches = writer.join().expect("the writer");
            happened
        });
        wrong.extend(bad.into_iter().map(|what| format!("round {round}, {trouble:?}: {what}")));
        let started = Instant::now();
        let mut last = None;
        let back = within(BACK, || {
            last = all_there(&stages, batches).err();
            last.is_none()
        });
        if !back {
            let engine = store.dir.path().join("store/engine");
            let names: Vec<_> = junk.iter().map(|path| path.strip_prefix(&engine).unwrap_or(path)).collect();
            let state = format!("{:?}", *store.supervisor.state().borrow());
            wrong.push(format!(
                "round {round}, {trouble:?} {names:?}: not back; {state}; {}",
                last.clone().unwrap_or_default()
            ));
            for path in &junk {
                let _ = std::fs::remove_file(path);
            }
            let by_hand = within(BACK, || all_there(&stages, batches).is_ok());
            assert!(by_hand, "seed {seed}: nor with a hand:\n{}", wrong.join("\n"));
        }
        eprintln!("round {round}: {trouble:?}, back after {:?}", started.elapsed());
        times.entry(format!("{trouble:?}")).or_default().push(started.elapsed());
        if !within(BACK, || insert(&stages, batches)) {
            wrong.push(format!("round {round}, {trouble:?}: no insert afterwards"));
            continue;
        }
        batches += 1;
        if !within(BACK, || {
            analyst.ask("/", b"SELECT 1", Duration::from_secs(10)).is_ok_and(|answer| answer.text() == "1\n")
        }) {
            wrong.push(format!("round {round}, {trouble:?}: no analyst gets in afterwards"));
        }
    }
    for (trouble, times) in &times {
        eprintln!("{trouble}: {} times, back after {:?} at most", times.len(), times.iter().max().expect("one"));
    }
    eprintln!("{batches} batches were acknowledged over {rounds} rounds; seed {seed}");
    assert!(wrong.is_empty(), "seed {seed}, {} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    drop(store.stop().await);
}
