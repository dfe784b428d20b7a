//! What is asked: ranges, several of them, paused, resumed, cancelled, again, too high.

use std::time::Duration;

use loadtest::node::evm::Fault;
use schemas::records::{HeldRange, Request, RequestState, Wanted};

use crate::{
    common::{Stage, read_chain},
    world::{
        self, Set, again, ask, checkpoint, next, once, progress, request, same_filled, same_live, until, until_state,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_filled_in_order_and_what_is_held_is_skipped() {
    let set = Set::new(200).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    ask(&**log, &request("a", 50, 69)).await;
    ask(&**log, &request("b", 40, 99)).await;
    let b = until_state(&**log, "b", RequestState::Done).await;
    let a = until_state(&**log, "a", RequestState::Done).await;
    assert_eq!((a.blocks, b.blocks), (20, 40), "what is held is skipped");
    assert_eq!((next(&a), next(&b)), (70, 100));
    let held = checkpoint(&**log).await;
    assert_eq!(held.held, [HeldRange { from: 40, to: 99 }]);
    sim.advance(3).unwrap();
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once(40..=99));
    let order: Vec<u64> = chain.filled.iter().map(|b| b.envelope.height).collect();
    assert_eq!(order, (50..70).chain(40..50).chain(70..100).collect::<Vec<_>>(), "lowest first, one request at a time");
    let transactions: u64 = sim.canonical(40..=99).iter().map(|c| c.facts.tx_count).sum();
    assert_eq!(a.transactions + b.transactions, transactions);
    // All of it is held, live heights included.
    let finalized = sim.head() - world::FINALITY;
    let live = chain.blocks.first().unwrap().envelope.height;
    assert!(live > finalized, "the network began at the head");
    ask(&**log, &request("c", 45, 90)).await;
    assert_eq!(until_state(&**log, "c", RequestState::Done).await.blocks, 0);
    // Above what is final it is refused, and says what is final.
    ask(&**log, &request("d", 45, finalized + 1)).await;
    let refused = until_state(&**log, "d", RequestState::Failed).await.detail.unwrap();
    assert!(refused.contains(&format!("above the finalized height, {finalized}")), "{refused}");
    ask(&**log, &request("e", 9, 8)).await;
    until_state(&**log, "e", RequestState::Failed).await;
    stage.stop().await;
    // Again, live heights included, with new numbers and another process.
    sim.advance(30).unwrap();
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    ask(&**log, &again(request("f", 95, live + 2))).await;
    let f = until_state(&**log, "f", RequestState::Done).await;
    assert_eq!(f.blocks, live + 2 - 95 + 1);
    let chain = same_live(log, sim).await;
    let mut times = once(40..=live + 2);
    (95..=99).for_each(|height| *times.get_mut(&height).unwrap() = 2);
    same_filled(&chain, sim, &times);
    assert_eq!(checkpoint(&**log).await.held, [HeldRange { from: 40, to: live - 1 }], "live heights are live");
    stage.stop().await;
    set.sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_resuming_and_cancelling_take_effect_while_it_runs() {
    let set = Set::new(700).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    // Slow enough that it is under way when it is told to pause.
    ["slow:60@1", "no-batch"].into_iter().for_each(|fault| sim.fault(fault.parse::<Fault>().unwrap()));
    let asked = request("a", 1, 600);
    ask(&**log, &asked).await;
    ask(&**log, &request("b", 601, 610)).await;
    until(&**log, "a", "some blocks", |r| r.blocks >= 5).await;
    assert_eq!(progress(&**log, "b").await.unwrap().state, RequestState::Queued);
    ask(&**log, &Request { wanted: Wanted::Paused, ..asked.clone() }).await;
    let paused = until_state(&**log, "a", RequestState::Paused).await;
    // The next goes on meanwhile.
    until_state(&**log, "b", RequestState::Done).await;
    assert_eq!(progress(&**log, "a").await.unwrap().blocks, paused.blocks);
    ask(&**log, &asked).await;
    until(&**log, "a", "more blocks", |r| r.state == RequestState::Running && r.blocks > paused.blocks).await;
    ask(&**log, &Request { wanted: Wanted::Cancelled, ..asked.clone() }).await;
    let cancelled = until_state(&**log, "a", RequestState::Cancelled).await;
    assert!(cancelled.blocks < 600, "it was under way");
    // It stays so, whatever is asked under its name.
    ask(&**log, &asked).await;
    sim.clear_faults();
    ask(&**log, &request("c", 620, 625)).await;
    until_state(&**log, "c", RequestState::Done).await;
    let a = progress(&**log, "a").await.unwrap();
    assert_eq!((a.state, a.blocks), (RequestState::Cancelled, cancelled.blocks));
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once((1..next(&a)).chain(601..=610).chain(620..=625)));
    stage.stop().await;
    set.sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_blocks_and_forks_come_in_between() {
    let set = Set::new(600).await;
    let (sim, log) = (&set.sim, &set.log);
    let stage = Stage::start(set.config(), log.clone());
    let live = same_live(log, sim).await.blocks[0].envelope.height;
    ["slow:20@1", "no-batch"].into_iter().for_each(|fault| sim.fault(fault.parse::<Fault>().unwrap()));
    ask(&**log, &request("a", 1, 500)).await;
    let mut before = 0;
    while progress(&**log, "a").await.is_none_or(|r| !r.state.is_over()) {
        // Each head is looked for while it is filled.
        before += 1;
        match before % 3 {
            0 => sim.fork_and_advance(2, 3).unwrap(),
            _ => sim.advance(1).unwrap(),
        };
        same_live(log, sim).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once(1..=500));
    let between = chain.blocks.iter().filter(|b| {
        let sequence = b.envelope.sequence;
        chain.filled.first().unwrap().envelope.sequence < sequence
            && sequence < chain.filled.last().unwrap().envelope.sequence
    });
    assert!(between.count() >= 5, "live blocks came while it was filled");
    assert!(chain.reverts >= 2 && chain.blocks[0].envelope.height <= live);
    assert_eq!(read_chain(&**log).await.tip(), chain.tip());
    stage.stop().await;
    set.sim.shutdown().await;
}
