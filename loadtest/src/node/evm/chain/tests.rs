use super::super::origin::{Identity, Origin};
use super::super::recorded::Sealing;
use super::*;
use proptest::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

fn data(chain: &str) -> Arc<Dataset> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/evm").join(chain);
    Arc::new(Dataset::from_dir(path).expect("recorded blocks"))
}

fn chain_at(data: &Arc<Dataset>, seed: u64, history: u64, schedule: Option<Schedule>) -> Chain {
    let identity = Identity { seed, chain_id: 1, start: 1, history, interval: Duration::from_secs(1), clocked: false };
    let timeline = Timeline::open(Origin::At(1_700_000_000_000), identity).expect("in memory");
    let plan = Plan { seed, chain_id: 1, start: 1, blocks: None, schedule, window: 300 };
    Chain::new(data.clone(), timeline, plan)
}

fn whole(chain: &mut Chain) -> Vec<Sealed> {
    let head = chain.head().height;
    chain.range(1..=head)
}

fn assert_linked(blocks: &[Sealed]) {
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].parent, pair[0].hash, "height {}", pair[1].height);
        assert_eq!(pair[1].height, pair[0].height + 1);
        assert!(pair[1].timestamp >= pair[0].timestamp);
    }
}

/// Every recorded hash follows from the header as it is read, where the manifest says that it does.
#[test]
fn recorded_hashes_follow_from_headers() {
    #[derive(serde::Deserialize)]
    struct Manifest {
        items: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        chain: String,
        number: u64,
        verified: String,
        stats: serde_json::Value,
    }
    let manifest = include_str!("../../../../data/MANIFEST.json");
    let manifest: Manifest = serde_json::from_str(manifest).expect("the manifest");
    assert!(manifest.items.len() >= 24);
    for item in manifest.items {
        let set = data(&item.chain);
        let block = set.blocks().iter().find(|b| b.number() == item.number).expect("a block of the manifest");
        let want = if item.verified.contains("block hash OK") { Sealing::Header } else { Sealing::StandIn };
        assert_eq!(block.sealing(), want, "{}", block.name());
        let facts = block.facts();
        assert_eq!(facts.tx_count, item.stats["txs"], "{}", block.name());
        assert_eq!(facts.failed, item.stats["failed"], "{}", block.name());
        assert_eq!(facts.logs, item.stats["logs"], "{}", block.name());
        assert_eq!(facts.gas_used, item.stats["gas_used"], "{}", block.name());
    }
}

#[test]
fn what_is_built_in_equals_the_files() {
    for name in Dataset::embedded_names() {
        let (built_in, files) = (Dataset::embedded(name).expect(name), data(name));
        let hashes = |set: &Dataset| set.blocks().iter().map(|b| (b.number(), b.hash(), b.facts())).collect::<Vec<_>>();
        assert_eq!(hashes(&built_in), hashes(&files), "{name}");
        assert_eq!(built_in.chain_id(), files.chain_id());
    }
    assert!(Dataset::embedded("nowhere").is_err());
}

#[test]
fn links_over_cycles_and_forks_of_every_depth() {
    for name in ["ethereum", "optimism", "polygon", "cronos", "arbitrum"] {
        let set = data(name);
        for depth in [1, 64, 256] {
            let mut chain = chain_at(&set, 3, 280, None);
            let before = whole(&mut chain);
            assert_linked(&before);
            chain.fork(depth, 0).expect("possible");
            let after = whole(&mut chain);
            assert_linked(&after);
            let common = before.iter().zip(&after).take_while(|(a, b)| a == b).count() as u64;
            assert_eq!(common, before.len() as u64 - depth, "{name}: nothing below the fork changes, all above does");
            assert_eq!(after.len(), before.len());
            if set.blocks().len() > 1 {
                assert_ne!(before[280].recorded, after[280].recorded, "{name}: other transactions");
            }
            assert!(chain.by_hash(&before[280].hash).is_some(), "{name}: a replaced block is still known");
        }
    }
}

#[test]
fn a_fork_deeper_than_the_chain_is_refused() {
    let mut chain = chain_at(&data("optimism"), 0, 10, None);
    assert!(chain.fork(11, 0).is_err());
    assert!(chain.fork(0, 0).is_err());
    assert_eq!(chain.fork(10, 2).expect("possible").len(), 12);
    assert_eq!(chain.head().height, 13);
}

#[test]
fn deep_blocks_are_computed_again_as_they_were() {
    let set = data("optimism");
    let schedule = Some(Schedule { depth: 5, every: 100 });
    let mut chain = chain_at(&set, 1, 0, schedule);
    let mut seen = vec![chain.head()];
    while chain.head().height < 5_000 {
        for block in chain.step() {
            seen.truncate(block.height as usize - 1);
            seen.push(block);
        }
    }
    assert_linked(&seen);
    assert!(seen.iter().any(|block| block.version > 0));
    for height in [1, 2, 96, 100, 1023, 1024, 1025, 2048, 4_600, 4_700, 4_701, 5_000] {
        assert_eq!(chain.at(height), Some(seen[height as usize - 1]), "height {height}");
    }
    let deep = seen[1_500];
    assert_eq!(chain.at(deep.height), Some(deep));
    assert_eq!(chain.by_hash(&deep.hash), Some(deep), "a deep block that was just asked for is known by hash");
    assert_eq!(chain.at(0), None);
    assert_eq!(chain.at(5_001), None);
}

/// Hashes of all transactions of these blocks.
fn transactions(set: &Dataset, blocks: &[Sealed]) -> Vec<B256> {
    let of = |block: &Sealed| set.blocks()[block.recorded].hashes(block.mark.as_ref()).to_vec();
    blocks.iter().flat_map(of).collect()
}

#[test]
fn no_transaction_occurs_twice_over_cycles_forks_and_seeds() {
    for name in Dataset::embedded_names() {
        let set = data(name);
        let cycle = set.blocks().len() as u64;
        let mut chain = chain_at(&set, 3, 3 * cycle + 5, Some(Schedule { depth: 2, every: 7 }));
        let mut seen = whole(&mut chain);
        let first: Vec<B256> = set.blocks().iter().flat_map(|block| block.tx_hashes().to_vec()).collect();
        // The first lap is as recorded, up to where a scheduled fork has replaced it.
        let untouched = transactions(&set, &seen[..cycle.min(5) as usize]);
        assert_eq!(untouched, first[..untouched.len()], "{name}");
        seen.extend(chain.fork(cycle + 2, 3).expect("possible"));
        seen.extend(chain.fork(3, 20).expect("possible"));
        let all = transactions(&set, &seen);
        let different: std::collections::HashSet<&B256> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{name}");
        let mut other = chain_at(&set, 4, 3 * cycle, None);
        let others = whole(&mut other).split_off(cycle as usize);
        assert!(transactions(&set, &others).iter().all(|hash| !different.contains(hash)), "{name}: another seed");
    }
}

/// What can be encoded is: of the recorded chains only Arbitrum's own transactions cannot, and Cronos has other roots.
#[test]
fn hashes_and_roots_follow_from_the_marked_content() {
    for name in Dataset::embedded_names() {
        for block in data(name).blocks() {
            assert_eq!(block.is_whole(), !["arbitrum", "cronos"].contains(&name), "{}", block.name());
        }
    }
}

/// The head of the chain below, as the version before computed it.
const BEFORE: &str = "0x1b38db7f8231badc9a1c665999ccea3298d56c2bcded6b6406c2456d08d231d7";

/// A chain that began when recorded transactions were shown again and again goes on like that: it is the same chain.
#[test]
fn a_chain_of_before_stays_as_it_is() {
    let set = data("optimism");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("origin.json");
    let state = r#"{"version":1,"seed":0,"chain_id":1,"start":1,"interval":1000000000,
        "segments":[{"height":41,"at_ms":1700000000000}],"forks":[{"top":41,"depth":4}],"head":41}"#;
    std::fs::write(&path, state).expect("written");
    let identity =
        Identity { seed: 0, chain_id: 1, start: 1, history: 40, interval: Duration::from_secs(1), clocked: false };
    let timeline = Timeline::open(Origin::File { path, pause: false }, identity).expect("read");
    let plan = Plan { seed: 0, chain_id: 1, start: 1, blocks: None, schedule: None, window: 300 };
    let mut chain = Chain::new(set.clone(), timeline, plan);
    assert_eq!(chain.head().hash.to_string(), BEFORE);
    assert!(whole(&mut chain).iter().all(|block| block.mark.is_none()));
    assert_eq!(chain.replaying(0, 41).map(|block| block.recorded), Some(0));
}

/// What was settled is not worked out again, and the chain is the same as if it were.
#[test]
fn a_restart_goes_on_from_what_is_settled() {
    let set = data("optimism");
    let folder = tempfile::tempdir().expect("a folder");
    let origin = Origin::File { path: folder.path().join("origin.json"), pause: false };
    let open = |history| {
        let identity =
            Identity { seed: 0, chain_id: 1, start: 1, history, interval: Duration::from_secs(1), clocked: false };
        let timeline = Timeline::open(origin.clone(), identity).expect("a timeline");
        let schedule = Some(Schedule { depth: 5, every: 100 });
        Chain::new(set.clone(), timeline, Plan { seed: 0, chain_id: 1, start: 1, blocks: None, schedule, window: 300 })
    };
    let mut first = open(0);
    for _ in 0..4 {
        first.advance(700).expect("written");
    }
    let before = whole(&mut first);
    assert_linked(&before);
    drop(first);
    let mut second = open(0);
    // The last order was written before its blocks came to be: 1,024 was read, 2,048 worked out again.
    assert_eq!(second.timeline.settled().iter().map(|(height, _)| *height).collect::<Vec<_>>(), [1024, 2048]);
    assert_eq!(second.recent.len(), 300);
    second.advance(10).expect("written");
    assert_eq!(whole(&mut second)[..before.len() - 5], before[..before.len() - 5]);
    assert_eq!(second.at(1500), Some(before[1499]));
}

#[test]
fn another_seed_is_another_chain() {
    let set = data("polygon");
    let head = |seed| chain_at(&set, seed, 20, None).head().hash;
    assert_eq!(head(1), head(1));
    assert_ne!(head(1), head(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Rule 25: however a chain came to its head, step by step or at once after a restart, it is the same chain.
    #[test]
    fn the_chain_is_a_function_of_its_head(seed in 0u64..4, history in 0u64..60, steps in 1u64..400, depth in 1u64..40, every in 1u64..50) {
        static DATA: std::sync::LazyLock<Arc<Dataset>> = std::sync::LazyLock::new(|| data("optimism"));
        let set = DATA.clone();
        let schedule = Some(Schedule { depth, every });
        let mut walked = chain_at(&set, seed, history, schedule);
        // The timestamps of both must mean the same: one origin, so the later chain is told of a longer history.
        let mut at = whole(&mut walked);
        for _ in 0..steps {
            for block in walked.step() {
                at.truncate(block.height as usize - 1);
                at.push(block);
            }
            assert_linked(&at[at.len().saturating_sub(50)..]);
        }
        let head = walked.head().height;
        let mut restarted = chain_at(&set, seed, history, schedule);
        restarted.advance(head - restarted.head().height).expect("in memory");
        prop_assert_eq!(&whole(&mut restarted), &at);
        let rebuilt = Chain::new(set.clone(), restarted.timeline, Plan {
            seed, chain_id: 1, start: 1, blocks: None, schedule, window: 300,
        });
        prop_assert_eq!(rebuilt.head(), walked.head());
        let mut rebuilt = rebuilt;
        prop_assert_eq!(whole(&mut rebuilt), at);
    }
}
