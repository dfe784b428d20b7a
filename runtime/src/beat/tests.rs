//! What stands on a board, when it is news, and that it is said whatever the stage is doing.

use std::{sync::Arc, time::Duration};

use schemas::{
    Codec, Network,
    records::{
        StageStatus,
        stage_status::{stage, state},
    },
    topics,
};

use super::{Beat, Board, Unnamed};
use crate::log::{
    Log, TopicPartition,
    conformance::read_all,
    embedded::{EmbeddedConfig, EmbeddedLog},
};

const EVERY_SECOND: Duration = Duration::from_secs(1);

fn slug(name: &str) -> Network {
    name.parse().expect("a slug")
}

fn board() -> Board {
    let board = Board::new(stage::INGEST, state::STARTING);
    let unnamed = Unnamed { state: state::UNCONFIGURED, detail: "name it" };
    board.configure([(slug("eth"), Some(1)), (slug("op"), Some(10))], Some(unnamed));
    board
}

fn networks(board: &Board) -> Vec<(String, String, Option<u64>)> {
    let said = board.statuses("host", EVERY_SECOND);
    let row = |s: StageStatus| s.network.map(|n| (n.to_string(), s.state, s.chain_id));
    said.into_iter().filter_map(row).collect()
}

#[test]
fn only_networks_of_partitions_that_are_held_are_spoken_for() {
    let board = board();
    board.lives_on(slug("eth"), 0);
    board.lives_on(slug("op"), 1);
    assert_eq!(networks(&board), []);
    board.held([0]);
    board.network(0, &slug("eth"), |row| row.state = "live".into());
    board.network(1, &slug("op"), |row| row.state = "live".into());
    assert_eq!(networks(&board), [("eth".into(), "live".into(), Some(1))]);
    // Taken away and given back: what was said before says nothing now.
    board.released(&[0]);
    assert_eq!(networks(&board), []);
    board.held([0, 1]);
    let both = [("eth".into(), "starting".into(), Some(1)), ("op".into(), "starting".into(), Some(10))];
    assert_eq!(networks(&board), both);
    board.released_all();
    assert_eq!(networks(&board), []);
}

#[test]
fn a_network_that_the_configuration_lacks_is_named_by_who_holds_it() {
    let board = board();
    board.lives_on(slug("lost"), 0);
    board.held([0]);
    let said = board.statuses("host", EVERY_SECOND);
    let names: Vec<&str> = said[0].networks.iter().map(|n| n.slug.as_str()).collect();
    assert_eq!((said[0].network.as_ref(), names), (None, vec!["eth", "op"]));
    let lost = &said[1];
    let told = (lost.state.as_str(), lost.detail.as_deref(), lost.chain_id);
    assert_eq!(told, (state::UNCONFIGURED, Some("name it"), None));
}

#[test]
fn since_is_when_the_state_began_and_blocks_cover_what_is_said() {
    let board = board();
    board.lives_on(slug("eth"), 0);
    board.held([0]);
    board.network(0, &slug("eth"), |row| row.state = "live".into());
    let since = |board: &Board| {
        let said = board.statuses("host", EVERY_SECOND);
        (said[1].state.clone(), said[1].detail.clone(), said[1].since)
    };
    let (_, _, first) = since(&board);
    board.network(0, &slug("eth"), |row| row.tip_height = Some(5));
    std::thread::sleep(Duration::from_millis(3));
    assert_eq!(since(&board), ("live".into(), None, first));
    board.blocked(0, Some("no room".into()));
    let (state, detail, second) = since(&board);
    assert_eq!((state.as_str(), detail.as_deref()), ("stalled", Some("no room")));
    assert!(second > first);
    board.blocked(0, None);
    assert_eq!(since(&board).0, "live");
}

#[test]
fn what_changes_is_news_once() {
    let board = board();
    board.held([0]);
    drop(board.statuses("host", EVERY_SECOND));
    assert!(!board.news());
    board.network(0, &slug("eth"), |row| row.tip_height = Some(6));
    assert!(board.news());
    drop(board.statuses("host", EVERY_SECOND));
    board.network(0, &slug("eth"), |row| row.tip_height = Some(6));
    board.process(state::STARTING, None);
    board.blocked(0, None);
    assert!(!board.news());
}

/// What stands in the topic under the key of a process: every word, `None` where it was taken back.
async fn words(log: &EmbeddedLog, instance: &str) -> Vec<Option<StageStatus>> {
    let at = TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 };
    let key = StageStatus::key_of(stage::SINK, instance, None);
    let records = read_all(log, at).await.expect("the topic");
    let of = records.iter().filter(|r| r.key.as_deref() == Some(key.as_bytes()));
    of.map(|r| r.value.as_ref().map(|v| Codec::builtin().decode(v).expect("a status"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_is_heard_while_it_hangs_and_takes_its_word_back_only_when_it_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path()) };
    let log = EmbeddedLog::open(config).await.expect("a log");
    log.ensure_topics(&topics::ALL, 1).await.expect("topics");
    let (free, hangs) = std::sync::mpsc::sync_channel::<()>(1);
    let stage_thread = std::thread::spawn({
        let log = log.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let start = |instance| {
                    let board = Board::new(stage::SINK, state::RUNNING);
                    Beat::start(&board, instance, log.clone(), Arc::new(Codec::builtin()), None)
                };
                let (goes, dies) = (start("goes"), start("dies"));
                // Nothing of this runtime moves until it is freed.
                hangs.recv().expect("freed");
                drop(dies);
                goes.farewell().await;
            });
        }
    });
    let until = async |instance: &str, what: &dyn Fn(&[Option<StageStatus>]) -> bool| {
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let said = words(&log, instance).await;
            if what(&said) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{instance}: {said:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // The topic is compacted: that it is said again shows by the time of the last word.
    let first = async |instance| {
        until(instance, &|said| said.iter().any(Option::is_some)).await;
        words(&log, instance).await.pop().flatten().expect("a word").at
    };
    for instance in ["goes", "dies"] {
        let at = first(instance).await;
        until(instance, &|said| said.last().and_then(Option::as_ref).is_some_and(|s| s.at > at)).await;
    }
    free.send(()).expect("hangs");
    tokio::task::spawn_blocking(|| stage_thread.join().expect("no panic")).await.expect("joined");
    until("goes", &|said| said.last().is_none_or(Option::is_none)).await;
    assert!(words(&log, "dies").await.last().is_some_and(Option::is_some), "others see it by its silence");
}
