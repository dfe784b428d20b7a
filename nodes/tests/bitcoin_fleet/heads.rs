//! Following: heads of every endpoint, forks by their work, blocks with bodies and headers alone.

use std::time::Duration;

use nodes::{ChainSource, SourceBlock, Word};
use schemas::records::Coverage;

use crate::{at, chain, config, fleet, fleet_of, three, until, until_head};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_head_is_told_and_its_block_is_whole() {
    let sim = chain(30, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    for _ in 0..5 {
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        let canonical = at(&sim, head.height);
        assert_eq!((head.parent.as_str(), head.time.0), (&*canonical.parent_hash, canonical.timestamp as i64 * 1_000));
        // Its body comes from Core, which may be a moment behind.
        let mut block = fleet.fetch(head.height, Some(&head.hash)).await;
        for _ in 0..50 {
            if block.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            block = fleet.fetch(head.height, Some(&head.hash)).await;
        }
        let block = block.expect("a block");
        assert_eq!((block.head(), u64::from(block.tx_count())), (head, canonical.tx_count));
        let spent: u64 = block.transactions.iter().map(|t| t.prevouts.len() as u64).sum();
        assert_eq!((block.header.coverage, spent), (Coverage::Full, canonical.inputs));
        assert!(block.header.median_time.is_some());
    }
    // As soon as a second operator shows it.
    let (began, safe) = (std::time::Instant::now(), sim.head() - 6);
    let mut finality = fleet.finality().await.expect("by depth");
    while finality.safe != Some(safe) && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        finality = fleet.finality().await.expect("by depth");
    }
    assert_eq!((finality.safe, finality.finalized), (Some(safe), None), "the chain is not a hundred deep");
}

/// Whoever is in use has not shown what another one is ahead by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_known_is_one_word() {
    let sim = chain(60, three()).await;
    let fleet = fleet_of(&sim, config(), |name| name != "core");
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    for ahead in ["one", "two"] {
        let behind = if ahead == "one" { "two" } else { "one" };
        let other = sim.endpoint(behind).expect("it is there");
        other.fault("stale-tip".parse().expect("a fault"));
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        assert_eq!(fleet.fetch(head.height, Some(&head.hash)).await.expect("a header").head, head);
        assert_eq!(fleet.second_word(&head).await, Word::Silent, "{ahead} alone shows it");
        other.clear_faults();
        sim.advance(1).expect("it grows");
        until_head(&mut heads, &sim).await;
    }
}

/// What one server alone shows buries nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn final_is_what_two_operators_have_buried() {
    let sim = chain(150, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    let before = sim.head();
    for name in ["core", "two"] {
        sim.endpoint(name).expect("it is there").fault("stale-tip".parse().expect("a fault"));
    }
    sim.advance(20).expect("it grows");
    until_head(&mut heads, &sim).await;
    let finality = fleet.finality().await.expect("by depth");
    assert!(finality.safe <= Some(before - 6) && finality.finalized <= Some(before - 100), "{finality:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_branch_with_more_work_is_followed() {
    let sim = chain(40, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    for depth in [1, 3, 12] {
        let fork = sim.head() - depth;
        sim.fork_and_advance(depth, 1).expect("a fork");
        until_head(&mut heads, &sim).await;
        for height in fork - 2..=sim.head() {
            assert_eq!(fleet.header(height).await.expect("a header").hash.as_str(), at(&sim, height).hash);
        }
    }
    // Far more at once than one question for headers brings.
    sim.advance(700).expect("it grows");
    until_head(&mut heads, &sim).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_alone_say_what_core_says_of_them() {
    let sim = chain(60, three()).await;
    let with_bodies = fleet(&sim);
    let headers = fleet_of(&sim, config(), |name| name != "core");
    assert!(with_bodies.has_bodies() && !headers.has_bodies());
    let mut heads = headers.heads();
    until_head(&mut heads, &sim).await;
    let together = headers.fetch_together(3, 20, false).await.expect("headers");
    assert_eq!(together.len(), 20);
    for height in [1, 2, 9, 10, 11, 30, sim.head()] {
        let header = headers.fetch(height, None).await.expect("a header");
        let whole = with_bodies.fetch(height, None).await.expect("a block");
        assert_eq!(header.head(), whole.head());
        let (said, told) = (&header.header, &whole.header);
        assert_eq!(
            (said.median_time, said.merkle_root, said.bits),
            (told.median_time, told.merkle_root, told.bits),
            "{height}"
        );
        assert_eq!((header.tx_count(), said.coverage, said.size), (0, Coverage::Header, None));
    }
    for (block, height) in together.iter().zip(3..) {
        assert_eq!(*block, headers.fetch(height, None).await.expect("a header"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_head_second_words_cost_nothing() {
    let sim = chain(30, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    let head = until_head(&mut heads, &sim).await;
    assert_eq!(fleet.second_word(&head).await, Word::Agrees);
    let asked = || -> u64 {
        let calls =
            |name: &str| sim.endpoint(name).expect("there").counts().calls.get("blockchain.block.header").copied();
        calls("one").unwrap_or_default() + calls("two").unwrap_or_default()
    };
    let before = asked();
    for _ in 0..3 {
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        assert_eq!(fleet.second_word(&head).await, Word::Agrees);
    }
    // A connection that is made meanwhile asks for the first block; a word a block would be three calls and more.
    assert!(asked() < before + 3, "{} calls", asked() - before);
    // Of history, far below what is known of the newest blocks, somebody is asked.
    sim.advance(300).expect("it grows");
    until_head(&mut heads, &sim).await;
    let old = fleet.header(2).await.expect("a header");
    assert_eq!(fleet.second_word(&old).await, Word::Agrees);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_comes_and_goes_costs_no_head() {
    let sim = chain(30, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    let one = sim.endpoint("one").expect("it is there");
    for _ in 0..5 {
        one.drop_connections();
        sim.advance(1).expect("it grows");
        until_head(&mut heads, &sim).await;
    }
    let two = sim.endpoint("two").expect("it is there");
    two.fault("mute".parse().expect("a fault"));
    one.fault("refused".parse().expect("a fault"));
    sim.advance(1).expect("it grows");
    until_head(&mut heads, &sim).await;
    one.clear_faults();
    until("it is listened to again", Duration::from_secs(15), || one.counts().connections > 0).await;
}
