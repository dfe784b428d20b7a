//! `kill -9` and power loss.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    super::*,
    ledger::{Ledger, verify},
};

/// Names the directory to the child; its presence makes [`child`] work.
const CHILD: &str = "HEADWATER_LOG_CHILD";
const KILLS: u64 = 32;

fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { min_free_bytes: 1 << 20, ..EmbeddedConfig::new(dir) }
}

/// Runs the test binary again, as a process of its own that runs only [`child`].
pub fn spawn_child(dir: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().expect("test binary"))
        .args(["--exact", "log::embedded::tests::crash::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("child")
}

/// Not a test: the child that writes until it is killed, and says what was acknowledged.
#[test]
#[ignore = "run by the tests that kill it"]
#[allow(clippy::print_stdout)] // how it talks to its parent
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime").block_on(
        async {
            let mut ledger = match Ledger::open(config(Path::new(&dir))).await {
                Ok(ledger) => ledger,
                Err(e) => {
                    println!("refused {:?}: {e}", e.kind);
                    return;
                }
            };
            println!("acknowledged {}", ledger.last);
            loop {
                ledger.write().await.expect("write");
                println!("acknowledged {}", ledger.last);
            }
        },
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0u64;
    let mut rng = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..KILLS {
        let mut child = spawn_child(dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test harness prints too; only our lines count. A reader thread, since the pipe must not fill up.
        let (first, started) = std::sync::mpsc::sync_channel(1);
        let reader = std::thread::spawn(move || {
            let mut last = 0;
            for line in lines.map_while(Result::ok) {
                if let Some(n) = line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse().ok()) {
                    last = n;
                    let _ = first.try_send(());
                }
            }
            last
        });
        started.recv_timeout(Duration::from_secs(60)).expect("the child starts");
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        std::thread::sleep(Duration::from_micros(rng % 150_000));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let said: u64 = reader.join().unwrap();
        assert!(said >= acknowledged, "round {round}: went back from {acknowledged} to {said}");
        acknowledged = said;
        if round % 4 == 3 {
            // The child verifies all at each start; now and then so do we.
            let ledger = Ledger::open(config(dir.path())).await.unwrap();
            assert!(
                ledger.last >= acknowledged,
                "round {round}: {acknowledged} was acknowledged, {} is there",
                ledger.last
            );
            ledger.close().await;
        }
    }
    assert!(acknowledged > KILLS, "hardly anything was written: {acknowledged}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// What can be shown of power loss in a test: whatever the newest journal holds behind the end of the last acknowledged commit
/// may be there, missing, zeroed or there in part, page by page. (That what is acknowledged was synced: [`super::power`].)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_loss_takes_only_what_was_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    ledger.filling = 2000;
    let journal = |dir: &Path| {
        let mut journals: Vec<_> = std::fs::read_dir(dir.join("engine")).unwrap().map(|e| e.unwrap().path()).collect();
        journals.retain(|p| p.extension().is_some_and(|e| e == "jnl"));
        journals.sort();
        journals.pop().unwrap()
    };
    let mut rng = fastrand::Rng::with_seed(88_172_645_463_325_252);
    let mut random = move |below: usize| rng.usize(..below);
    for round in 0..12 {
        for _ in 0..1 + random(5) {
            ledger.write().await.unwrap();
        }
        let acknowledged = ledger.last;
        let synced = super::super::journal::valid_len(&journal(dir.path())).unwrap();
        // Commits go on; none of them was acknowledged from the view of the moment above.
        for _ in 0..1 + random(3) {
            ledger.write().await.unwrap();
        }
        let lost = tempfile::tempdir().unwrap();
        copy(dir.path(), lost.path());
        let path = journal(lost.path());
        let mut raw = std::fs::read(&path).unwrap();
        let end = super::super::journal::valid_len(&path).unwrap();
        match round % 4 {
            0 => raw.truncate(synced),
            1 => raw[synced..].fill(0),
            2 => raw.truncate(synced + random(end - synced)),
            _ => {
                // The last write is on its way: some of its pages made it, others did not.
                let mut page = synced.next_multiple_of(4096);
                raw[end..].fill(0);
                while page < end {
                    if random(2) == 0 {
                        let stop = (page + 4096).min(end);
                        raw[page..stop].fill(0);
                    }
                    page += 4096;
                }
            }
        }
        std::fs::write(&path, raw).unwrap();
        match EmbeddedLog::open(config(lost.path())).await {
            Ok(log) => {
                let found = verify(&log).await;
                assert!(
                    (acknowledged..=ledger.last).contains(&found),
                    "round {round}: {acknowledged} acknowledged, {found} found"
                );
                log.close().await.unwrap();
            }
            // Several commits were in flight in this picture, which one writer with one sync each never has: pages lost in one
            // and a whole one behind it look like damage, and are refused rather than dropped.
            Err(e) => assert!(round % 4 == 3 && e.kind == LogErrorKind::Corrupt, "round {round}: {e}"),
        }
    }
    ledger.close().await;
}
