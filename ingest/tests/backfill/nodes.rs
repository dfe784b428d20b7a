//! What endpoints do to a back-fill: no depth, receipts gone, limits, lies, another chain.

use ingest::{Config, Endpoint};
use loadtest::node::evm::{EndpointConfig, Fault};
use schemas::records::RequestState;

use crate::{
    common::{Stage, config, endpoints, open},
    world::{Set, again, ask, node_of, once, progress, request, same_filled, same_live, until, until_state},
};

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

/// The stage over all endpoints of a node, each of an operator of its own.
fn over_all(set: &Set) -> Config {
    let sim = &set.sim;
    let mut config = config(&sim.url(), Some(&sim.ws_url()), sim.chain_id(), ingest::Start::Latest);
    for endpoint in sim.endpoints().iter().skip(1) {
        endpoints(&mut config).push(Endpoint {
            name: endpoint.name().into(),
            url: endpoint.url().parse().unwrap(),
            ws: None,
            headers: Vec::new(),
        });
    }
    config
}

async fn set_of(endpoints: &[&str], history: u64) -> Set {
    let sim = node_of(history, endpoints.iter().map(|name| EndpointConfig::new(name)).collect()).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    Set { sim, dir, log }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_told_for_what_it_is_and_waited_for() {
    let set = Set::new(200).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    // The height is put in the place of N.
    let cases: [(&[&str], &str, &str); 5] = [
        (&["null#N"], "no endpoint has blocks N to N", "archive endpoint"),
        (&["null-receipts#N"], "block N is there and its receipts are not", "receipts"),
        (
            &["no-method/eth_getBlockReceipts#N", "no-method/eth_getTransactionReceipt#N"],
            "without receipts nothing is written",
            "eth_getBlockReceipts",
        ),
        (&["http429:2#N"], "leave no room for block N", "raise `limit`"),
        (&["http500#N"], "block N", "tried again"),
    ];
    for (i, (faults, says, cure)) in cases.into_iter().enumerate() {
        let from = 50 + 10 * i as u64;
        let at = |text: &str| text.replace('N', &(from + 5).to_string());
        faults.iter().for_each(|text| sim.fault(fault(&at(text))));
        let id = format!("r{i}");
        ask(&**log, &request(&id, from, from + 9)).await;
        let waits = until(&**log, &id, &at(says), |r| {
            let words = r.detail.as_deref().unwrap_or_default();
            r.state == RequestState::Waiting && words.contains(&at(says)) && words.contains(cure)
        })
        .await;
        assert_eq!(waits.blocks, 5, "{faults:?}: what is there is filled: {waits:?}");
        // The stream goes on.
        sim.advance(1).unwrap();
        same_live(log, sim).await;
        sim.clear_faults();
        until_state(&**log, &id, RequestState::Done).await;
    }
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once(50..100));
    stage.stop().await;
    set.sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_an_operator_lets_the_others_go_first() {
    let set = Set::new(200).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    sim.fault(fault("null#55"));
    ask(&**log, &request("a", 50, 60)).await;
    until_state(&**log, "a", RequestState::Waiting).await;
    ask(&**log, &request("b", 70, 80)).await;
    until_state(&**log, "b", RequestState::Done).await;
    assert!(!progress(&**log, "a").await.unwrap().state.is_over());
    sim.clear_faults();
    until_state(&**log, "a", RequestState::Done).await;
    same_filled(&same_live(log, sim).await, sim, &once((50..=60).chain(70..=80)));
    stage.stop().await;
    set.sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_and_one_without_history_among_the_endpoints() {
    let set = set_of(&["second", "third"], 300).await;
    let (sim, log) = (&set.sim, &set.log);
    // One forges every header of the past; another has nothing of it.
    let liar = sim.endpoint("second").unwrap();
    liar.fault(fault("forged-header#%1"));
    for height in 20..=120 {
        sim.endpoint("third").unwrap().fault(fault(&format!("null#{height}")));
    }
    let stage = Stage::start(over_all(&set), log.clone());
    same_live(log, sim).await;
    ask(&**log, &request("a", 100, 200)).await;
    // Nobody but the first has the lower ones, and one word is not enough.
    let waits = until(&**log, "a", "words", |r| r.state == RequestState::Waiting && r.detail.is_some()).await;
    let words = waits.detail.clone().unwrap();
    assert!(words.contains("second operator") || words.contains("until they agree"), "{words}");
    assert_eq!(waits.blocks, 0);
    sim.endpoint("third").unwrap().clear_faults();
    until_state(&**log, "a", RequestState::Done).await;
    same_filled(&same_live(log, sim).await, sim, &once(100..=200));
    assert!(liar.faults().iter().any(|(_, told)| *told > 0), "the lie was told");
    stage.stop().await;
    set.sim.shutdown().await;
}

/// A node that tells another chain at a range's end than the one held above, and at the heights that are held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_chain_below_the_finalized_height_is_refused() {
    let set = Set::new(100).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    let live = same_live(log, sim).await.blocks[0].envelope.height;
    sim.advance(40).unwrap();
    same_live(log, sim).await;
    // The block below the first that is held, and one that is held itself.
    for (id, height, asked) in
        [("a", live - 1, request("a", live - 5, live - 1)), ("b", live + 5, again(request("b", live + 2, live + 9)))]
    {
        sim.fault(fault(&format!("forged-header#{height}")));
        ask(&**log, &asked).await;
        let waits = until(&**log, id, "words", |r| r.state == RequestState::Waiting).await;
        let words = waits.detail.clone().unwrap();
        assert!(words.contains("another chain below the finalized height"), "{words}");
        sim.clear_faults();
        until_state(&**log, id, RequestState::Done).await;
    }
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once((live - 5..live).chain(live + 2..=live + 9)));
    assert_eq!(chain.reverts, 0);
    stage.stop().await;
    set.sim.shutdown().await;
}

/// Where the chain does not say what is final, what no reorg reaches is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_on_finality_the_reorg_limit_counts() {
    let set = Set::new(400).await;
    let (sim, log) = (&set.sim, &set.log);
    sim.fault(fault("no-finalized"));
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    let settled = sim.head() - schemas::limits::REORG_LIMIT_BLOCKS;
    ask(&**log, &request("a", 10, settled + 1)).await;
    let refused = until_state(&**log, "a", RequestState::Failed).await.detail.unwrap();
    assert!(refused.contains(&settled.to_string()), "{refused}");
    ask(&**log, &request("b", settled - 9, settled)).await;
    until_state(&**log, "b", RequestState::Done).await;
    same_filled(&same_live(log, sim).await, sim, &once(settled - 9..=settled));
    stage.stop().await;
    set.sim.shutdown().await;
}
