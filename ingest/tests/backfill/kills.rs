//! Killed at any moment, and begun again by the same or by another process.

use std::time::Duration;

use loadtest::node::evm::Fault;
use schemas::records::{HeldRange, RequestState};

use crate::{
    common::{Stage, open},
    world::{Set, ask, checkpoint, once, progress, request, same_filled, same_live, until, until_state},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_each_height_is_filled_once() {
    let mut set = Set::new(700).await;
    set.sim.fault("slow:5@0.5".parse::<Fault>().unwrap());
    let (mut kills, mut asked) = (0u64, false);
    loop {
        let stage = Stage::start(set.config(), set.log.clone());
        if !asked {
            same_live(&set.log, &set.sim).await;
            ask(&*set.log, &request("a", 20, 319)).await;
            ask(&*set.log, &request("b", 301, 620)).await;
            asked = true;
        }
        // It goes on a little each time, and not always as far as to the next commit.
        let before = checkpoint(&*set.log).await.requests.iter().map(|r| r.blocks).sum::<u64>();
        if kills < 10 {
            let least = if kills.is_multiple_of(3) { before } else { before + 7 };
            until_blocks(&set, least).await;
            match kills % 3 {
                0 => set.sim.advance(2).unwrap(),
                _ => set.sim.fork_and_advance(1 + kills % 4, 5).unwrap(),
            };
            tokio::time::sleep(Duration::from_millis(kills * 37 % 120)).await;
            stage.kill().await;
            let Set { sim, dir, log } = set;
            drop(log);
            set = Set { log: open(dir.path()).await, sim, dir };
            kills += 1;
            continue;
        }
        until_state(&*set.log, "b", RequestState::Done).await;
        let a = progress(&*set.log, "a").await.unwrap();
        assert_eq!((a.state, a.blocks), (RequestState::Done, 300));
        let chain = same_live(&set.log, &set.sim).await;
        same_filled(&chain, &set.sim, &once(20..=620));
        assert_eq!(checkpoint(&*set.log).await.held, [HeldRange { from: 20, to: 620 }]);
        stage.stop().await;
        break;
    }
    set.sim.shutdown().await;
}

async fn until_blocks(set: &Set, least: u64) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let now = checkpoint(&*set.log).await;
        let blocks: u64 = now.requests.iter().map(|r| r.blocks).sum();
        if blocks >= least || now.requests.iter().all(|r| r.state.is_over()) {
            return;
        }
        assert!(std::time::Instant::now() < until, "{:?}", now.requests);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_goes_on() {
    let set = Set::new(500).await;
    let (sim, log) = (&set.sim, &set.log);
    sim.fault("slow:30@1".parse::<Fault>().unwrap());
    let stage = Stage::start(set.config(), log.clone());
    same_live(log, sim).await;
    ask(&**log, &request("a", 1, 400)).await;
    for round in 0..4u64 {
        until(&**log, "a", "more", |r| r.blocks >= 40 * (round + 1) || r.state.is_over()).await;
        // Which of both gets the network's partition is the group's choice.
        let instance = ["another", "zz"][round as usize % 2].to_owned();
        let second = Stage::start(ingest::Config { instance, ..set.config() }, log.clone());
        sim.advance(2).unwrap();
        same_live(log, sim).await;
        match round % 2 {
            0 => second.kill().await,
            _ => second.stop().await,
        }
    }
    sim.clear_faults();
    let a = until_state(&**log, "a", RequestState::Done).await;
    assert_eq!(a.blocks, 400);
    let chain = same_live(log, sim).await;
    same_filled(&chain, sim, &once(1..=400));
    stage.stop().await;
    set.sim.shutdown().await;
}
