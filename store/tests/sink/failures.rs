//! Questions about failures against a known chain: groups, similar ones, evidence, and what a hash, a height or an address is.

use std::collections::BTreeMap;

use schemas::{
    Network, Status, TimeMs,
    limits::causes::TREND_PARTS,
    records::{CauseEvidence, EnrichedCause, Payload},
};
use store::{
    query::{FailureGroup, FailuresFilter, TransactionFilter},
    sink::{
        batch::Event,
        fold::{Folded, fold},
    },
};

use crate::{
    chain::{Chain, Dice, cause_of},
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until_processed},
};

/// A failed transaction of the model.
#[derive(Debug, Clone)]
struct Failed {
    network: String,
    at: i64,
    height: u64,
    index: u32,
    hash: String,
    receiver: Option<String>,
    cause: EnrichedCause,
}

/// By network, cause, receiver and selector: how many, and the newest one's hash.
type Groups = BTreeMap<(String, String, Option<String>, Option<String>), (u64, String)>;

fn failed_of(event: &Event) -> Vec<u32> {
    let is_failed = |t: &schemas::records::EnrichedTransaction| match &t.payload {
        Payload::Evm(both) if both.1.status == Status::Failed => Some(both.0.transaction_index),
        _ => None,
    };
    event.transactions.iter().filter_map(is_failed).collect()
}

/// Groups as the model counts them.
fn groups(failed: &[Failed]) -> Groups {
    let mut sorted = failed.to_vec();
    sorted.sort_by_key(|f| (f.at, f.height, f.index));
    let mut groups = Groups::new();
    for f in sorted {
        let selector = f.cause.error_selector.map(|s| format!("{s:#x}"));
        let group = groups.entry((f.network, f.cause.cause, f.receiver, selector)).or_insert((0, String::new()));
        *group = (group.0 + 1, f.hash);
    }
    groups
}

fn found(groups: &[FailureGroup]) -> Groups {
    let key = |g: &FailureGroup| {
        assert_eq!((g.trend.len(), g.trend.iter().sum::<u64>()), (TREND_PARTS, g.count));
        let cause = g.cause.clone().expect("a cause");
        ((g.network.clone(), cause, g.contract.clone(), g.error_selector.clone()), (g.count, g.example.clone()))
    };
    groups.iter().map(key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_grouped_and_found_as_the_chain_has_them() {
    let engine = Running::start().await;
    let store = store_in(&engine, "failures");
    let (log, mut dice) = (TestLog::open().await, Dice(31));
    let mut chains = vec![Chain::new("a", 100), Chain::new("b", 5_000)];
    for _ in 0..60 {
        let events: Vec<_> = chains.iter_mut().flat_map(|c| c.step(&mut dice)).collect();
        log.publish(&events).await;
    }
    let sink = RunningSink::start(&store, &log);
    for chain in &chains {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    // What the receipt alone tells is no final cause.
    let a: Network = "a".parse().expect("a slug");
    let pending = TransactionFilter {
        status: Some(Status::Failed),
        network: Some(a.clone()),
        limit: 1_000,
        ..Default::default()
    };
    let page = store.transactions(&pending).await.expect("a page");
    assert!(!page.items.is_empty() && page.items.iter().all(|t| t.found_by.is_none() && t.failure_cause.is_some()));
    let detail = store.transaction(&a, &page.items[0].hash).await.expect("an answer");
    let unknown = detail[0].failure.clone().expect("it failed");
    assert_eq!((unknown.found_by, unknown.rule, unknown.found_at), (None, None, None));

    let mut failed: Vec<Failed> = Vec::new();
    for chain in &chains {
        for live in &chain.live {
            let e = &live.event.block.envelope;
            for index in failed_of(&live.event) {
                let mut cause = cause_of(&live.event, index, 1, &mut dice);
                cause.error_selector = (dice.roll(2) > 0).then(|| [8, 195, 121, dice.roll(2) as u8].into());
                assert_eq!(
                    fold(&store, &chain.network, std::slice::from_ref(&cause)).await.expect("folded"),
                    [Folded::Done]
                );
                let Payload::Evm(both) = &live.event.transactions[index as usize].payload else { continue };
                failed.push(Failed {
                    network: chain.network.to_string(),
                    at: e.block_time.0,
                    height: e.height,
                    index,
                    hash: both.0.hash.to_string(),
                    receiver: both.0.to_address.map(|to| format!("{to:#x}")),
                    cause,
                });
            }
        }
    }
    assert!(failed.len() > 20, "{} failed", failed.len());

    // Everything, a part of the time, and with filters.
    let newest = failed.iter().map(|f| f.at).max().expect("some");
    let oldest = failed.iter().map(|f| f.at).min().expect("some");
    let all = FailuresFilter {
        networks: Vec::new(),
        contract: None,
        causes: Vec::new(),
        methods: Vec::new(),
        from: TimeMs(oldest),
        to: TimeMs(newest + 1),
        limit: 1_000,
    };
    let answer = store.failures(&all).await.expect("groups");
    assert_eq!(found(&answer.groups), groups(&failed));
    assert_eq!((answer.failed, answer.total, answer.from), (failed.len() as u64, answer.groups.len() as u64, all.from));
    assert!(answer.groups.is_sorted_by(|x, y| x.count >= y.count));
    let part =
        |wanted: &dyn Fn(&Failed) -> bool| groups(&failed.iter().filter(|f| wanted(f)).cloned().collect::<Vec<_>>());
    let half = oldest + (newest - oldest) / 2;
    let recent = FailuresFilter { from: TimeMs(half), ..all.clone() };
    assert_eq!(found(&store.failures(&recent).await.expect("groups").groups), part(&|f| f.at >= half));
    let of_a = FailuresFilter { networks: vec![a.clone()], ..all.clone() };
    assert_eq!(found(&store.failures(&of_a).await.expect("groups").groups), part(&|f| f.network == "a"));
    let one = failed.iter().rfind(|f| f.receiver.is_some()).expect("one with a receiver").clone();
    let of_cause = FailuresFilter { causes: vec![one.cause.cause.clone(), "none".into()], ..all.clone() };
    assert_eq!(
        found(&store.failures(&of_cause).await.expect("groups").groups),
        part(&|f| f.cause.cause == one.cause.cause)
    );
    let receiver = one.receiver.clone().expect("a receiver");
    let at = FailuresFilter { contract: Some(receiver.clone()), ..all.clone() };
    assert_eq!(
        found(&store.failures(&at).await.expect("groups").groups),
        part(&|f| f.receiver.as_ref() == Some(&receiver))
    );
    let none = FailuresFilter { methods: vec!["0x00000000".into()], ..all.clone() };
    assert_eq!(store.failures(&none).await.expect("groups").failed, 0);
    let largest = store.failures(&FailuresFilter { limit: 1, ..all.clone() }).await.expect("groups");
    assert_eq!((largest.groups.len(), largest.total), (1, answer.total));
    let never = FailuresFilter { from: all.to, ..all.clone() };
    assert_eq!(store.failures(&never).await.expect("groups").total, 0);

    // Lists by what the cause was found by.
    for by in CauseEvidence::ALL {
        let filter = TransactionFilter { found_by: Some(by.as_str().into()), limit: 1_000, ..Default::default() };
        let page = store.transactions(&filter).await.expect("a page");
        assert_eq!(page.items.len(), failed.iter().filter(|f| f.cause.found_by == *by).count(), "{by}");
        assert!(page.items.iter().all(|t| t.found_by.as_deref() == Some(by.as_str())));
    }

    // What is known of one, and those like it.
    for one in &failed {
        let network: Network = one.network.parse().expect("a slug");
        let detail = store.transaction(&network, &one.hash).await.expect("an answer").remove(0);
        let failure = detail.failure.clone().expect("a failure");
        let c = &one.cause;
        assert_eq!((failure.found_by.as_deref(), failure.approximate), (Some(c.found_by.as_str()), c.approximate));
        assert_eq!((failure.rule, failure.group, failure.error), (c.rule.clone(), c.group.clone(), c.error.clone()));
        assert_eq!((failure.calls, failure.frame_depth), (c.calls.clone(), c.frame_depth));
        assert_eq!(
            (failure.error_signature, failure.error_arguments),
            (c.error_signature.clone(), c.error_arguments.clone())
        );
        assert_eq!(failure.found_at, Some(c.found_at));
        let similar = store.similar_failures(&network, &detail, 5).await.expect("an answer");
        let mut wanted: Vec<(u64, u64, String)> = failed
            .iter()
            .filter(|f| {
                f.network == one.network && f.receiver == one.receiver && (f.height, f.index) != (one.height, one.index)
            })
            .filter(|f| f.cause.error_selector == c.error_selector)
            .filter(|f| c.error_selector.is_some() || f.cause.cause == c.cause)
            .map(|f| (f.at.abs_diff(one.at), f.height.abs_diff(one.height), f.hash.clone()))
            .collect();
        wanted.sort();
        wanted.truncate(5);
        let apart = |hash: &str| wanted.iter().find(|w| w.2 == hash).map(|w| w.0);
        assert_eq!(similar.len(), wanted.len(), "{one:?}");
        assert!(
            similar.iter().zip(&wanted).all(|(s, w)| s.block_timestamp.0.abs_diff(one.at) == w.0),
            "{similar:?} {wanted:?}"
        );
        assert!(similar.iter().all(|s| s.hash != one.hash && (apart(&s.hash).is_some() || wanted.len() == 5)));
    }

    // A hash, a height, an address, in the networks that somebody may read.
    let networks: Vec<Network> = chains.iter().map(|c| c.network.clone()).collect();
    let hash = store.found_hash(&one.hash, &networks).await.expect("an answer");
    assert!(
        hash.iter()
            .any(|f| f.kind == "transaction" && f.network == one.network && f.cause.as_ref() == Some(&one.cause.cause))
    );
    let others: Vec<Network> = networks.iter().filter(|n| n.as_str() != one.network).cloned().collect();
    assert!(store.found_hash(&one.hash, &others).await.expect("an answer").iter().all(|f| f.network != one.network));
    assert_eq!(store.found_hash(&one.hash, &[]).await.expect("an answer"), []);
    let tip = &chains[1].live.last().expect("a tip").event.block.envelope;
    let block = store.found_hash(tip.block_hash.as_str(), &networks).await.expect("an answer");
    assert_eq!((block[0].kind.as_str(), block[0].network.as_str(), block[0].height), ("block", "b", tip.height));
    let heights = store.found_height(tip.height, &networks).await.expect("an answer");
    assert!(heights.len() == 1 && heights[0].network == "b" && heights[0].hash == tip.block_hash.as_str());
    assert!(store.found_address(&receiver, &networks).await.expect("an answer").contains(&one.network));
    assert_eq!(
        store.found_address("0x00000000000000000000000000000000000000ff", &networks).await.expect("an answer"),
        [""; 0]
    );
    engine.stop().await;
}
