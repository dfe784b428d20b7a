//! Ways on that operators are sent to: `accept-reorg` and `accept-gap` (rules 7 and 12), carried out by a running process.

use std::{path::Path, time::Duration};

use runtime::log::{
    Log as _,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::topics::{self, TopicSpec};

use super::{assert_blocks, chain, once_final, run, up_to_the_head};
use crate::common::{Headwater, Net, expected, number};

/// The nodes' chain leaves the held one 300 blocks deep, and another network's 20 blocks deep but below what is final.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_that_is_too_deep_is_accepted_and_a_kill_goes_on() {
    let (deep, below_final) = (chain(310, 1_000).await, chain(40, 4).await);
    let mut headwater = Headwater::new(&[Net::of("deep", &deep), Net::of("final", &below_final)]);
    headwater.start();
    for (slug, node, depth) in [("deep", &deep, 300), ("final", &below_final, 20)] {
        up_to_the_head(&mut headwater, slug, node).await;
        if slug == "final" {
            // It is known which blocks are final.
            let known = async |h: &Headwater| {
                let (_, _, said) = run(h, &["backfill", "--network", "final", "--from", "1", "--to", "999"]).await;
                said.contains("that is final").then_some(())
            };
            headwater.until("finality", known).await;
        }
        node.fork_and_advance(depth, 5).expect("fork");
    }
    for (slug, state) in [("deep", "reorg_too_deep"), ("final", "stalled")] {
        let words = format!("headwater accept-reorg --config FILE --network {slug}");
        headwater
            .until(&words, async |h: &Headwater| {
                let network = h.network(slug).await?;
                (network["state"] == state && network["error"].as_str()?.contains(&words)).then_some(())
            })
            .await;
        let (code, _, said) = run(&headwater, &["accept-reorg", "--network", slug]).await;
        assert!(code == Some(0) && said.contains("request "), "{said}");
    }
    // Somewhere in the middle.
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        headwater.kill();
        headwater.start();
    }
    for (slug, node, depth) in [("deep", &deep, 300), ("final", &below_final, 20)] {
        up_to_the_head(&mut headwater, slug, node).await;
        expected::assert_canonical(&headwater, slug, node).await;
        let sql = format!("SELECT countIf(op = 'revert') AS n FROM block_events WHERE network = '{slug}'");
        assert_eq!(number(&headwater.query(&sql).await.expect("events")[0], "n"), depth, "{slug}");
        // It lives on as ever, a reorg included.
        node.fork_and_advance(3, 2).expect("fork");
        up_to_the_head(&mut headwater, slug, node).await;
        headwater.until("live", async |h: &Headwater| (h.network(slug).await?["state"] == "live").then_some(())).await;
    }
    assert_eq!(headwater.stop(), Some(0));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let (entry, to) = (entry.as_ref().expect("an entry"), to.join(entry.as_ref().expect("an entry").file_name()));
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Retention removes all that the log has for the sink.
async fn outlive(data: &Path) {
    let log = EmbeddedLog::open(EmbeddedConfig::new(data.join("log"))).await.expect("the log");
    let read = [topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS];
    let partitions = log.partitions(read[0].name).await.expect("partitions");
    let short = read.map(|topic| TopicSpec { retention: Some(Duration::ZERO), ..topic });
    log.ensure_topics(&short, partitions).await.expect("topics");
    log.apply_retention().await.expect("applied");
    log.close().await.expect("closed");
}

/// A store that was put back as it was ten blocks ago, and a log that no longer has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_a_restored_store_lacks_are_given_up_and_filled_again() {
    let node = chain(20, 3).await;
    let mut headwater = Headwater::new(&[Net::of("eth", &node)]);
    headwater.start();
    up_to_the_head(&mut headwater, "eth", &node).await;
    assert_eq!(headwater.stop(), Some(0));
    let (store, kept) = (headwater.data().join("store"), headwater.dir.path().join("kept"));
    copy(&store, &kept);
    let last = node.head();
    headwater.start();
    node.advance(10).expect("advance");
    up_to_the_head(&mut headwater, "eth", &node).await;
    assert_eq!(headwater.stop(), Some(0));
    std::fs::remove_dir_all(&store).expect("removed");
    std::fs::rename(&kept, &store).expect("put back");
    outlive(&headwater.data()).await;

    headwater.start();
    node.advance(1).expect("advance");
    let words = "headwater accept-gap --config FILE --network eth";
    let overtaken = async |h: &Headwater| {
        let network = h.network("eth").await?;
        (network["state"] == "overtaken" && network["error"].as_str()?.contains(words)).then_some(())
    };
    headwater.until(words, overtaken).await;
    let held = headwater.query("SELECT max(sequence) AS n FROM block_events").await.expect("events");
    let held = number(&held[0], "n");
    let ask_again = "ask again in some seconds";
    let (code, said) = loop {
        let (code, _, said) = run(&headwater, &["accept-gap", "--network", "eth"]).await;
        if !said.contains(ask_again) {
            break (code, said);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let gone = format!("sequences {} to {} of network `eth`", held + 1, held + 10);
    assert!(code == Some(0) && said.contains(&gone) && said.contains("backfill --again"), "{said}");
    up_to_the_head(&mut headwater, "eth", &node).await;
    headwater.until("live", async |h: &Headwater| (h.network("eth").await?["state"] == "live").then_some(())).await;
    let (code, _, said) = run(&headwater, &["accept-gap", "--network", "eth"]).await;
    assert!(code == Some(1) && said.contains("nothing to accept"), "{said}");
    let missing = "SELECT countIf(number BETWEEN {from} AND {to}) AS n FROM blocks";
    let missing = missing.replace("{from}", &(last + 1).to_string()).replace("{to}", &(last + 10).to_string());
    assert_eq!(number(&headwater.query(&missing).await.expect("blocks")[0], "n"), 0, "nothing else came");

    // What is final of it comes back, over a kill.
    node.advance(4).expect("advance");
    up_to_the_head(&mut headwater, "eth", &node).await;
    let (from, to) = ((last + 1).to_string(), (last + 10).to_string());
    let again = ["backfill", "--network", "eth", "--from", &from, "--to", &to, "--again", "--detach"];
    let asked = once_final(&headwater, &again).await;
    assert_eq!(asked.0, Some(0), "{}", asked.2);
    headwater.kill();
    headwater.start();
    let filled = async |h: &Headwater| (number(&h.query(&missing).await.ok()?[0], "n") == 10).then_some(());
    headwater.until("the blocks that were gone", filled).await;
    assert_blocks(&headwater, "eth", &node, 1).await;
    let chain: u64 = node.canonical(1..=node.head()).iter().map(|block| block.facts.tx_count).sum();
    let rows = headwater.query("SELECT count() AS n FROM transactions").await.expect("transactions");
    assert_eq!(number(&rows[0], "n"), chain);
    assert_eq!(headwater.stop(), Some(0));
}
