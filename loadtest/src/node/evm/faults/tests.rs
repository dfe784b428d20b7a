//! What is written is read back; what is hit follows from the seed.

use super::*;

fn faults(seed: u64, all: &[&str], head: u64) -> Faults {
    let faults = Faults::new(seed);
    all.iter().for_each(|text| faults.add(text.parse().expect(text), head));
    faults
}

#[test]
fn what_is_written_is_read_back() {
    for text in [
        "slow:250",
        "http429:2@0.1",
        "truncated@x3/eth_getBlockReceipts",
        "http403",
        "stale-head:5",
        "http502",
        "wrong-chain:7",
        "wrong-chain:0@5s",
        "rpc-error:-32005@0.5",
        "no-method/eth_getBlockReceipts",
        "lying",
        "other-block",
        "empty@x1",
        "null-receipts",
        "ws-drop@x1",
        "drip:200@1500ms",
        "batch:5",
        "two-views:3",
        "backwards",
        "refused@2s",
        "doubled-receipts#120",
        "rpc-error:-32000@x2/eth_getBlockReceipts#%7",
        "forged-header#%25",
        "old-fork@0.25",
        "html",
    ] {
        assert_eq!(text.parse::<Fault>().expect(text).to_string(), text);
    }
    for text in [
        "",
        "slow",
        "slow:-1",
        "truncated@2",
        "truncated@x",
        "http200",
        "http",
        "gone",
        "drip:0",
        "html:1",
        "forged-header:1",
        "lying#",
        "lying#%0",
        "refused@0.5",
        "refused#3",
        "refused/eth_chainId",
        "old-fork/eth_getBlockByHash",
    ] {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
    let said = "gone".parse::<Fault>().expect_err("unknown").to_string();
    assert!(said.contains("forged-header") && said.contains("half-closed"), "{said}");
}

#[test]
fn chance_follows_the_seed_and_counts_run_out() {
    let run = |seed| {
        let faults = faults(seed, &["null-receipts@0.3", "empty@x2/a"], 0);
        let hits: Vec<usize> = (0..1000).map(|_| faults.hits(Stage::Call, [("a", None)].into_iter()).len()).collect();
        assert_eq!(faults.list()[1].1, 2);
        assert!(faults.hits(Stage::Http, [("a", None)].into_iter()).is_empty());
        hits
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let total: usize = run(1).iter().sum();
    assert!((200..400).contains(&total), "{total}");
}

#[test]
fn a_request_is_hit_by_its_block_and_for_a_time() {
    let faults = faults(1, &["doubled-receipts/a#%10", "html@0ms", "http403@1s"], 100);
    let struck = |calls: &[About<'_>]| faults.hits(Stage::Call, calls.iter().copied()).len();
    assert!(faults.choosy());
    assert_eq!([struck(&[("a", Some(20))]), struck(&[("a", Some(21))]), struck(&[("b", Some(20))])], [1, 0, 0]);
    assert_eq!([struck(&[("a", None)]), struck(&[("b", Some(1)), ("a", Some(30))])], [0, 1]);
    let http = faults.hits(Stage::Http, std::iter::empty());
    assert_eq!(
        http.iter().map(|hit| hit.kind).collect::<Vec<_>>(),
        [FaultKind::Http { status: 403, retry_after: None }]
    );
}

#[test]
fn lies_follow_the_height_whoever_asks_and_how_often() {
    let told = |seed, text: &str| {
        let faults = faults(seed, &[text], 50);
        let of = || (1..=2_000).filter(|height| !faults.lies(*height).is_empty()).collect::<Vec<u64>>();
        assert_eq!(of(), of(), "{text}");
        of()
    };
    assert_eq!(told(1, "forged-header#%500"), [500, 1000, 1500, 2000]);
    assert_eq!(told(1, "changed-log#7"), [7]);
    assert_eq!(told(1, "old-fork@x3"), [51, 52, 53]);
    assert_eq!(told(1, "other-chain"), (51..=2_000).collect::<Vec<_>>());
    let some = told(1, "dropped-receipt@0.1");
    assert!((140..260).contains(&some.len()), "{}", some.len());
    assert_ne!(some, told(2, "dropped-receipt@0.1"));
    assert_ne!(some, told(1, "changed-log@0.1"), "two lies are told of different blocks");
    assert!(told(1, "old-fork@0ms").is_empty());
}

#[test]
fn heads_that_stay_or_go_back() {
    for (text, at_110) in [("stale-head:5", Some(95)), ("backwards", Some(90)), ("two-views:3", None), ("html", None)] {
        assert_eq!(faults(1, &[text], 100).stuck(110), at_110, "{text}");
    }
    let kind = FaultKind::TwoViews { by: 3 };
    assert_eq!([behind(kind, 0, 110, 0), behind(kind, 0, 110, 1)], [None, Some(107)]);
}
