//! Situations: each gets the right verdict, and a sentence that says why.

use alloy_primitives::U256;
use schemas::TimeMs;
use store::query::Figures;

use super::{
    Case, Chain, EndpointThen, Worst,
    judge::{Judged, Verdict, judge},
};

/// Five minutes of a chain with a block every two seconds.
const AT: i64 = 1_700_000_300_000;

fn figures(transactions: u64, failed: u64, full: f64, base_fee_gwei: u64) -> Figures {
    Figures {
        blocks: 150,
        transactions,
        failed,
        gas_used: (150.0 * 30e6 * full) as u64,
        gas_limit: 150 * 30_000_000,
        base_fee_sum: U256::from(150 * base_fee_gwei) * U256::from(1_000_000_000),
        base_fee_count: 150,
        first: Some((1_000, TimeMs(AT - 300_000))),
        last: Some((1_149, TimeMs(AT - 2_000))),
        ..Figures::default()
    }
}

fn endpoint(name: &str, state: &str, latency_ms: u64, lag_blocks: u64) -> EndpointThen {
    EndpointThen {
        name: name.into(),
        state: state.into(),
        reason: None,
        latency_ms: Some(latency_ms),
        lag_blocks: Some(lag_blocks),
        bodies: true,
    }
}

/// A quiet day: 1 to 3 % fail, blocks are half full, the base fee is 20 to 30 gwei, two endpoints are well.
fn quiet(contract: Option<&str>) -> Case {
    let day = |transactions: u64| -> Vec<Figures> {
        (0..288)
            .map(|i| figures(transactions, transactions * (1 + i % 3) / 100, 0.4 + 0.01 * (i % 20) as f64, 20 + i % 11))
            .collect()
    };
    let endpoints = vec![endpoint("one", "ok", 80, 0), endpoint("two", "ok", 120, 0)];
    Case {
        contract: contract.map(str::to_owned),
        chain: Chain::Evm,
        at: TimeMs(AT),
        now: figures(3_000, 60, 0.5, 25),
        usual: day(3_000),
        contract_now: contract.map(|_| figures(200, 4, 0.0, 0)),
        contract_usual: if contract.is_some() { day(200) } else { Vec::new() },
        head: None,
        apart: None,
        endpoints,
        worst: None,
        missing: Vec::new(),
    }
}

fn says(judged: &Judged, verdict: Verdict, words: &[&str]) {
    assert_eq!(judged.verdict, verdict, "{}", judged.sentence);
    for word in words {
        assert!(judged.sentence.contains(word), "`{word}` is not in: {}", judged.sentence);
    }
    let points = judged.evidence.iter().filter_map(|item| item.verdict.as_deref());
    let (first, any) = (judged.evidence.first().and_then(|item| item.verdict.as_deref()), points.count());
    assert_eq!(any > 0, verdict != Verdict::Nothing, "{:#?}", judged.evidence);
    assert_eq!(first.is_some(), any > 0, "what stands out comes first");
}

#[test]
fn nothing_stands_out_on_a_quiet_day() {
    for contract in [None, Some("Router")] {
        let judged = judge(&quiet(contract));
        says(&judged, Verdict::Nothing, &["Nothing stands out"]);
        assert!(judged.missing.is_empty(), "{:?}", judged.missing);
        assert!(judged.evidence.iter().all(|item| item.name.contains("rest of") || item.usual_high.is_some()));
        assert_eq!(judged.evidence.len(), if contract.is_some() { 8 } else { 6 });
    }
}

#[test]
fn one_bad_contract_is_named() {
    let bad = Case {
        now: figures(3_000, 60 + 78, 0.5, 25),
        contract_now: Some(figures(200, 82, 0.0, 0)),
        ..quiet(Some("Router"))
    };
    let judged = judge(&bad);
    let words = [
        "The contract: 41 % of the transactions with Router failed",
        "(82 of 200)",
        "usually 1.0 to 3.0 %",
        "2.0 % failed",
    ];
    says(&judged, Verdict::Contract, &words);
    assert_eq!(judged.evidence[0].name, "failure rate of Router");
    // It is named to whoever asks about the network, too.
    let of_network = Case {
        now: figures(3_000, 600, 0.5, 25),
        worst: Some(Worst { name: "0x71".into(), failed: 560, of: 600 }),
        ..quiet(None)
    };
    says(
        &judge(&of_network),
        Verdict::Contract,
        &["560 of 600 failures", "0x71", "20 % failed", "usually 1.0 to 3.0 %"],
    );
    // Full blocks beside it are told, and change nothing.
    let judged = judge(&Case { now: figures(3_000, 138, 0.99, 25), ..bad.clone() });
    says(&judged, Verdict::Contract, &["Router", "; besides, blocks are 99 % full"]);
    // Nor does a slow endpoint; but who does not see the chain knows nothing of it.
    let endpoints = vec![endpoint("one", "slow", 3_000, 0), endpoint("two", "ok", 120, 0)];
    says(&judge(&Case { endpoints, ..bad.clone() }), Verdict::Contract, &["Router"]);
    let endpoints = vec![endpoint("one", "behind", 80, 40), endpoint("two", "failing", 120, 0)];
    says(&judge(&Case { endpoints, ..bad }), Verdict::Provider, &["all 2 endpoints are not well"]);
}

#[test]
fn what_fails_everywhere_is_the_chain() {
    let case = Case {
        now: figures(3_000, 1_300, 0.5, 25),
        contract_now: Some(figures(200, 86, 0.0, 0)),
        ..quiet(Some("Router"))
    };
    says(&judge(&case), Verdict::Chain, &["43 % of all transactions failed", "usually 1.0 to 3.0 %"]);
    // Others' failures are nothing to whoever asks about a contract that is well.
    let case = Case { contract_now: Some(figures(200, 4, 0.0, 0)), ..case };
    let judged = judge(&case);
    assert_eq!(judged.verdict, Verdict::Nothing, "{}", judged.sentence);
}

#[test]
fn full_blocks_and_a_dear_base_fee_are_the_chain() {
    for contract in [None, Some("Router")] {
        let full = Case { now: figures(3_000, 60, 0.98, 25), ..quiet(contract) };
        says(&judge(&full), Verdict::Chain, &["The chain: blocks are 98 % full, usually 40 to 58 %"]);
        let dear = Case { now: figures(3_000, 60, 0.5, 84), ..quiet(contract) };
        says(&judge(&dear), Verdict::Chain, &["The chain: the base fee is 84 gwei, usually 20 gwei to 30 gwei"]);
        let both = Case { now: figures(3_000, 60, 0.98, 84), ..quiet(contract) };
        says(&judge(&both), Verdict::Chain, &["98 % full", ", and the base fee is 84 gwei"]);
    }
    let mut slow = quiet(None);
    slow.now.first = Some((1_139, TimeMs(AT - 300_000)));
    says(&judge(&slow), Verdict::Chain, &["a block comes every 30 s, usually every 2.0 s"]);
}

#[test]
fn one_slow_endpoint_is_named_and_the_others_stand_in() {
    let endpoints =
        vec![endpoint("one", "ok", 80, 0), endpoint("two", "slow", 2_900, 0), endpoint("three", "ok", 90, 0)];
    let judged = judge(&Case { endpoints, ..quiet(None) });
    let words = ["The provider: endpoint two is slow: half of its answers take 2.9 s or more", "the other 2 are well"];
    says(&judged, Verdict::Provider, &words);
    let alone = Case { endpoints: vec![endpoint("one", "slow", 2_900, 0)], ..quiet(None) };
    says(&judge(&alone), Verdict::Provider, &["the only endpoint, one, is slow"]);
    let mut failing = endpoint("two", "failing", 80, 0);
    failing.reason = Some("6 of 10 calls failed.".into());
    let endpoints = vec![endpoint("one", "ok", 80, 0), failing];
    says(
        &judge(&Case { endpoints, ..quiet(None) }),
        Verdict::Provider,
        &["two is failing (6 of 10 calls failed); the other is well"],
    );
}

#[test]
fn all_endpoints_behind_come_before_everything() {
    // They say it themselves, each behind a better one that is known of.
    let endpoints = vec![endpoint("one", "behind", 80, 40), endpoint("two", "behind", 80, 38)];
    let judged = judge(&Case { endpoints, ..quiet(Some("Router")) });
    says(
        &judged,
        Verdict::Provider,
        &["all 2 endpoints are behind, such as one: behind by 40 blocks", "what is newer is not known"],
    );
    // Their heads stand still together: none of them is behind another.
    let mut still = quiet(None);
    still.at = TimeMs(AT + 180_000);
    says(
        &judge(&still),
        Verdict::Provider,
        &["the newest block that is known of any endpoint is 3 min old", "or the chain itself stands still"],
    );
    // A slow chain is not behind: three of its intervals may pass.
    let mut slow = quiet(None);
    for figures in slow.usual.iter_mut().chain([&mut slow.now]) {
        figures.first = Some((1_000, TimeMs(AT - 7_200_000)));
        figures.last = Some((1_010, TimeMs(AT - 1_200_000)));
    }
    assert_eq!(judge(&slow).verdict, Verdict::Nothing);
}

#[test]
fn what_could_not_be_compared_is_named() {
    let nothing = judge(&Case { contract: Some("Router".into()), at: TimeMs(AT), ..Case::default() });
    says(&nothing, Verdict::Nothing, &["Nothing could be compared"]);
    assert!(nothing.missing.len() >= 6, "{:#?}", nothing.missing);
    // The first hour: no day to compare with.
    let young = Case { usual: quiet(None).usual[..5].to_vec(), ..quiet(None) };
    let judged = judge(&young);
    says(&judged, Verdict::Nothing, &["in what could be compared", "5 of at least 12 five-minute windows"]);
    // A contract that is quiet, and one whose past is not known.
    let seldom = Case { contract_now: Some(figures(3, 3, 0.0, 0)), ..quiet(Some("Router")) };
    assert!(judge(&seldom).missing.iter().any(|missing| missing.contains("too few to tell chance from trouble")));
    let new =
        Case { contract_usual: Vec::new(), contract_now: Some(figures(200, 120, 0.0, 0)), ..quiet(Some("Router")) };
    let judged = judge(&new);
    says(
        &judged,
        Verdict::Contract,
        &["60 % of the transactions with Router failed", "how many usually do is not known"],
    );
    assert!(
        judged.missing.iter().any(|missing| missing.contains("the failure rate of Router")),
        "{:?}",
        judged.missing
    );
    let unknown = Case { endpoints: vec![endpoint("one", "unknown", 0, 0)], ..quiet(None) };
    assert!(judge(&unknown).missing.iter().any(|missing| missing.contains("endpoints")));
}

/// An hour of a Bitcoin network: so many blocks, as full, at so many satoshi per virtual byte.
fn hour(blocks: u64, full: f64, rate: f64) -> Figures {
    let transactions = blocks * 3_000;
    Figures {
        blocks,
        transactions,
        gas_used: (blocks as f64 * 1e6 * full) as u64,
        gas_price_sum: U256::from((rate * 1e3) as u64) * U256::from(transactions),
        gas_price_count: transactions,
        first: Some((840_000, TimeMs(AT - 3_600_000))),
        last: Some((840_000 + blocks.saturating_sub(1), TimeMs(AT - 600_000))),
        ..Figures::default()
    }
}

/// A quiet day of a Bitcoin network that has a node and a server.
fn quiet_bitcoin() -> Case {
    let server = EndpointThen { bodies: false, ..endpoint("server", "ok", 60, 0) };
    Case {
        chain: Chain::Bitcoin,
        at: TimeMs(AT),
        now: hour(6, 0.8, 6.0),
        usual: (0..23).map(|i| hour(5 + i % 3, 0.7 + 0.01 * (i % 10) as f64, 4.0 + (i % 5) as f64)).collect(),
        head: Some((840_005, TimeMs(AT - 600_000))),
        endpoints: vec![endpoint("node", "ok", 20, 0), server],
        ..Case::default()
    }
}

#[test]
fn a_bitcoin_network_is_judged_by_weight_fee_rate_and_interval() {
    let judged = judge(&quiet_bitcoin());
    says(&judged, Verdict::Nothing, &["Nothing stands out: all is within"]);
    assert!(judged.missing.is_empty(), "{:?}", judged.missing);
    let names: Vec<&str> = judged.evidence.iter().map(|item| &*item.name).collect();
    let all =
        ["fullness of blocks", "fee rate", "block interval", "age of the newest block", "endpoints that are well"];
    assert_eq!(names, all, "nothing fails there, and there is no gas");
    assert!(judged.evidence[0].note.as_deref().is_some_and(|note| note.contains("4,000,000 units of weight")));

    let full = Case { now: hour(6, 0.99, 6.0), ..quiet_bitcoin() };
    says(&judge(&full), Verdict::Chain, &["The chain: blocks are 99 % full, usually 70 to 79 %"]);
    let dear = Case { now: hour(6, 0.8, 84.0), ..quiet_bitcoin() };
    says(&judge(&dear), Verdict::Chain, &["The chain: the fee rate is 84 sat/vB, usually 4.0 sat/vB to 8.0 sat/vB"]);
    let three = Figures { last: Some((840_002, TimeMs(AT - 300_000))), ..hour(3, 0.8, 6.0) };
    let slow = Case { now: three, ..quiet_bitcoin() };
    says(&judge(&slow), Verdict::Chain, &["a block comes every 2", "min, usually every 1"]);
    // Between two blocks chance alone makes an hour.
    let judged = judge(&Case { now: hour(2, 0.8, 6.0), ..quiet_bitcoin() });
    says(&judged, Verdict::Nothing, &["Nothing stands out"]);
    let interval = judged.evidence.iter().find(|item| item.name == "block interval").expect("it is told");
    assert!(interval.note.as_deref().is_some_and(|note| note.contains("fewer than 3 blocks")), "{interval:?}");
}

#[test]
fn a_bitcoin_network_without_a_block_for_half_an_hour_is_well() {
    let gap = |minutes: i64| Case {
        now: Figures::default(),
        head: Some((840_005, TimeMs(AT - minutes * 60_000))),
        ..quiet_bitcoin()
    };
    let judged = judge(&gap(62));
    says(&judged, Verdict::Nothing, &["in what could be compared", "no window of the last hour tells of a block"]);
    let seldom = [
        "the fee rate: no window of the last hour tells of a transaction that paid one",
        "windows of the last hour tell of fewer than two",
    ];
    assert!(seldom.iter().all(|words| judged.missing.iter().any(|missing| missing.contains(words))), "{judged:#?}");
    says(&judge(&gap(80)), Verdict::Provider, &["is 80 min old: all endpoints are behind, or the chain itself stands"]);
    // Of a young network nothing is usual yet.
    let young = Case { usual: Vec::new(), ..quiet_bitcoin() };
    says(&judge(&young), Verdict::Nothing, &["0 of at least 12 hourly windows"]);
    assert_eq!(judge(&Case { usual: Vec::new(), ..gap(80) }).verdict, Verdict::Nothing);
    says(&judge(&Case { usual: Vec::new(), ..gap(95) }), Verdict::Provider, &["is 95 min old"]);
}

#[test]
fn of_headers_alone_it_is_said_what_cannot_be_compared_and_why() {
    let case = Case { chain: Chain::Headers, now: Figures::default(), usual: Vec::new(), ..quiet_bitcoin() };
    let judged = judge(&case);
    says(&judged, Verdict::Nothing, &["in what could be compared", "block headers alone are held"]);
    let whats: Vec<&str> =
        judged.missing.iter().filter_map(|missing| missing.split_once(": ")).map(|(w, _)| w).collect();
    assert_eq!(whats, ["how full blocks are", "the fee rate", "how fast blocks come"]);
    assert!(judged.missing.iter().all(|missing| missing.contains("a Bitcoin Core among them gives the rest")));
    // Its newest block and its endpoints are looked at all the same.
    let server = |state: &str| EndpointThen { bodies: false, ..endpoint("server", state, 60, 0) };
    let judged = judge(&Case { endpoints: vec![server("failing")], ..case.clone() });
    says(&judged, Verdict::Provider, &["the only endpoint, server, is failing"]);
    let old = Case { head: Some((840_005, TimeMs(AT - 7_200_000))), ..case };
    says(&judge(&old), Verdict::Provider, &["the newest block that is known of any endpoint is 2 h old"]);
}

#[test]
fn a_server_stands_in_for_no_node_and_a_node_for_a_server() {
    let with = |node: &str, server: &str| {
        let server = EndpointThen { bodies: false, ..endpoint("server", server, 60, 1) };
        judge(&Case { endpoints: vec![endpoint("node", node, 20, 1), server], ..quiet_bitcoin() })
    };
    let words =
        ["no endpoint gives the newest blocks: node is failing", "give headers alone", "what is newer is not known"];
    says(&with("failing", "ok"), Verdict::Provider, &words);
    let words = ["endpoint server is behind by 1 block; the other is well, so that blocks come from there"];
    says(&with("ok", "behind"), Verdict::Provider, &words);
    says(&with("slow", "ok"), Verdict::Provider, &["endpoint node is slow"]);
    // Where nothing but heads is wanted one server is as good as another.
    let server = |name: &str, state: &str| EndpointThen { bodies: false, ..endpoint(name, state, 60, 0) };
    let endpoints = vec![server("one", "failing"), server("two", "ok")];
    let judged = judge(&Case { chain: Chain::Headers, endpoints, ..quiet_bitcoin() });
    says(&judged, Verdict::Provider, &["endpoint one is failing; the other is well"]);
}

#[test]
fn a_divergence_is_told_before_everything() {
    let why = "Bitcoin Core `node` and Electrum server `server` are on different branches since block 840004.";
    let case = Case { apart: Some(why.into()), now: hour(6, 0.99, 84.0), ..quiet_bitcoin() };
    let judged = judge(&case);
    says(
        &judged,
        Verdict::Provider,
        &["The provider: its sources contradict each other: Bitcoin Core `node`", "840004"],
    );
    let item = &judged.evidence.iter().find(|item| item.unit == "branches").expect("it is among the evidence");
    assert!(item.note.as_deref().is_some_and(|note| note.ends_with("since block 840004")), "{item:?}");
}

mod random {
    use proptest::prelude::*;

    use super::*;

    fn any_figures() -> impl Strategy<Value = Figures> {
        (0u64..5_000, 0u64..5_000, 0.0f64..1.2, 0u64..500)
            .prop_map(|(transactions, failed, full, fee)| figures(transactions, failed.min(transactions), full, fee))
    }

    proptest! {
        #[test]
        fn whatever_the_figures_there_is_one_sentence(
            now in any_figures(),
            contract_now in proptest::option::of(any_figures()),
            usual in proptest::collection::vec(any_figures(), 0..40),
            states in proptest::collection::vec(prop_oneof![Just("ok"), Just("slow"), Just("behind"), Just("open"), Just("unknown")], 0..4),
            age in 0i64..600_000,
            chain in prop_oneof![Just(Chain::Evm), Just(Chain::Bitcoin), Just(Chain::Headers)],
            apart in any::<bool>(),
        ) {
            let endpoints = states.iter().map(|state| endpoint("e", state, 10, 1)).collect();
            let case = Case {
                contract: (chain == Chain::Evm).then(|| "c".into()),
                chain,
                at: TimeMs(AT + age),
                now,
                usual: usual.clone(),
                contract_now,
                contract_usual: usual,
                head: None,
                apart: apart.then(|| "core and electrum differ".into()),
                endpoints,
                worst: None,
                missing: Vec::new(),
            };
            let judged = judge(&case);
            prop_assert!(judged.sentence.len() > 20 && judged.sentence.len() < 2_000, "{}", judged.sentence);
            prop_assert!(!judged.sentence.contains("NaN") && !judged.sentence.contains("inf"), "{}", judged.sentence);
            let stands_out = judged.evidence.iter().any(|item| item.verdict.as_deref() == Some(judged.verdict.word()));
            prop_assert_eq!(stands_out, judged.verdict != Verdict::Nothing, "{}", judged.sentence);
        }
    }
}
