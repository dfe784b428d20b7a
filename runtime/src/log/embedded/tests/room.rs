//! Full disks, on a small file system of its own where mounting is permitted.

use std::process::Command;

use super::{super::*, ledger::Ledger};

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// A file system of so many MiB; `None`, said loudly, where one may not mount. In CI that fails: there nothing is skipped.
    #[allow(clippy::print_stderr)]
    fn mount(test: &str, mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(out) if out.status.success() => Some(Self(dir)),
            other => {
                assert!(std::env::var_os("CI").is_none(), "{test}: cannot mount a tmpfs ({other:?}); run as root");
                eprintln!("SKIPPED {test}: cannot mount a tmpfs ({other:?}); run as root to have it");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn ballast(dir: &Path, mib: usize) -> PathBuf {
    let path = dir.join("ballast");
    std::fs::write(&path, vec![1; mib << 20]).unwrap();
    path
}

/// Writes until an error that is not to be had by retrying at once.
async fn fill(ledger: &mut Ledger) -> LogError {
    ledger.filling = 8000;
    for _ in 0..10_000 {
        if let Err(e) = ledger.write().await {
            return e;
        }
    }
    panic!("the disk never got full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserve_is_left_alone_and_commits_go_on_when_there_is_room() {
    let Some(fs) = Tmpfs::mount("the_reserve_is_left_alone_and_commits_go_on_when_there_is_room", 192) else { return };
    let ballast = ballast(fs.0.path(), 64);
    let config = EmbeddedConfig { min_free_bytes: 32 << 20, ..EmbeddedConfig::new(fs.0.path().join("log")) };
    let mut ledger = Ledger::open(config.clone()).await.unwrap();
    let e = fill(&mut ledger).await;
    assert_eq!(e.kind, LogErrorKind::Full, "{e}");
    assert!(
        e.message.contains(config.dir.to_str().unwrap()) && e.message.contains("32 MiB are kept in reserve"),
        "{e}"
    );
    let last = ledger.last;
    assert_eq!(ledger.write().await.unwrap_err().kind, LogErrorKind::Full, "again");
    ledger.commit_position().await.expect("positions still go through: they let readers pass");
    assert_eq!(super::ledger::verify(&ledger.log).await, last, "all of it readable, nothing of the refused");
    std::fs::remove_file(ballast).unwrap();
    ledger.write().await.expect("goes on by itself");
    ledger.close().await;
    let ledger = Ledger::open(config).await.unwrap();
    assert_eq!(ledger.last, last + 1);
    ledger.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_is_waited_out() {
    let Some(fs) = Tmpfs::mount("a_disk_that_is_really_full_is_waited_out", 160) else { return };
    let ballast = ballast(fs.0.path(), 64);
    // Without any reserve the engine itself runs into ENOSPC.
    let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(fs.0.path().join("log")) };
    let mut ledger = Ledger::open(config.clone()).await.unwrap();
    // The other inhabitants of the disk take the rest while we write.
    ledger.filling = 8000;
    for _ in 0..30 {
        ledger.write().await.unwrap();
    }
    let filler = fs.0.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let chunk = vec![2u8; 1 << 16];
    while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
    let before = ledger.last;
    let mut failed = None;
    for _ in 0..200 {
        if let Err(e) = ledger.write().await {
            failed = Some(e);
            break;
        }
    }
    let e = failed.expect("no room");
    assert!(matches!(e.kind, LogErrorKind::Full | LogErrorKind::Indefinite), "{e:?}");
    assert!(e.message.contains(config.dir.to_str().unwrap()), "{e}");
    assert!(ledger.last >= before);
    drop(file);
    std::fs::remove_file(filler).unwrap();
    std::fs::remove_file(ballast).unwrap();
    let started = std::time::Instant::now();
    loop {
        assert!(started.elapsed() < Duration::from_secs(30), "does not go on");
        if ledger.recover().await.is_ok() && ledger.write().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..30 {
        ledger.write().await.expect("goes on");
    }
    let last = ledger.last;
    ledger.close().await;
    let ledger = Ledger::open(config).await.unwrap();
    assert_eq!(ledger.last, last);
    ledger.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directorys_own_limit_holds() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        EmbeddedConfig { min_free_bytes: 1 << 20, max_bytes: Some(24 << 20), ..EmbeddedConfig::new(dir.path()) };
    let mut ledger = Ledger::open(config.clone()).await.unwrap();
    let e = fill(&mut ledger).await;
    assert_eq!(e.kind, LogErrorKind::Full, "{e}");
    assert!(e.message.contains("of the 24 MiB that it may") && e.message.contains(dir.path().to_str().unwrap()), "{e}");
    let last = ledger.last;
    ledger.close().await;
    let mut ledger = Ledger::open(EmbeddedConfig { max_bytes: None, ..config }).await.unwrap();
    assert_eq!(ledger.last, last);
    ledger.write().await.unwrap();
    ledger.close().await;
}
