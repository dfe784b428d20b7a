//! A disk that is full under a running process, log and store at once: it says so, it lives on, and when there is room again it
//! goes on by itself with every block once.

use std::{path::Path, process::Command};

use crate::common::{Headwater, Net, expected, number};
use loadtest::node::evm::{Clock, Config, Dataset, spawn};

/// Blocks of the chain, about 350 kB each in log and store together.
const BLOCKS: u64 = 500;
/// The file system, and what of it something else holds at first, MiB: what is left is the store's reserve (128 MiB) and about
/// two thirds of what the chain needs.
const DISK: (u32, usize) = (896, 640);

/// A small file system of its own; `None`, said loudly, where one may not mount. In CI that fails: there nothing is skipped.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    #[allow(clippy::print_stderr)]
    fn mount(at: &'a Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(out) if out.status.success() => Some(Self(at)),
            other => {
                let test = "a_full_disk_is_said_and_waited_out";
                assert!(std::env::var_os("CI").is_none(), "{test}: cannot mount a tmpfs ({other:?}); run as root");
                eprintln!("SKIPPED {test}: cannot mount a tmpfs ({other:?}); run as root to have it");
                None
            }
        }
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_waited_out() {
    let data = Dataset::embedded("ethereum").expect("embedded data");
    let config = Config { clock: Clock::Manual, history: BLOCKS, ..Config::new(data) };
    let node = spawn(config).await.expect("simulator");
    let mut headwater = Headwater::new(&[Net::of("eth", &node)]);
    let folder = headwater.data();
    let Some(_disk) = Tmpfs::mount(&folder, DISK.0) else { return };
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; DISK.1 << 20]).expect("ballast");

    headwater.start();
    // Who meets it first is a matter of luck: the log's reserve, the log's engine, or the store.
    let words = ["are kept in reserve", "no space left for the log in", "NOT_ENOUGH_SPACE"];
    let full = |said: &str| words.iter().any(|w| said.contains(w));
    headwater.until("a message about the full disk", async |h| full(&h.said()).then_some(())).await;
    // It stands still, and answers.
    let stuck =
        headwater.until("health", async |h| h.network("eth").await.filter(|n| n["processed_height"].is_u64())).await;
    assert!(number(&stuck, "processed_height") < BLOCKS, "{stuck}");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(headwater.ended().is_none(), "it lives on:\n{}", headwater.said());
    assert!(headwater.network("eth").await.is_some(), "and answers");

    std::fs::remove_file(&ballast).expect("room again");
    let head = node.canonical(BLOCKS..=BLOCKS).remove(0);
    headwater.until_visible("eth", &head.hash.to_string()).await;
    expected::assert_canonical(&headwater, "eth", &node).await;
    assert_eq!(headwater.stop(), Some(0));
}
