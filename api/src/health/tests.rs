//! Deployments in every kind of trouble, and how they are judged.

use std::time::Duration;

use schemas::{
    Network, TimeMs,
    records::{
        ConfiguredNetwork, StageStatus,
        stage_status::{stage, state},
    },
};
use tokio::time::Instant;

use super::{Case, Heard, Judged, Now, Progress, judge, network_stage, testing::said};
use crate::watch::Snapshot;

/// A minute in the life of a deployment with one network.
struct World {
    heard: Snapshot,
    start: Instant,
    configured: Vec<Network>,
}

impl World {
    fn new() -> Self {
        let heard = Snapshot::default();
        Self { heard, start: Instant::now(), configured: vec!["eth".parse().expect("a slug")] }
    }

    fn hear(&mut self, status: StageStatus, second: u64) {
        let at = self.start + Duration::from_secs(second);
        let key = StageStatus::key_of(&status.stage, &status.instance, status.network.as_ref());
        self.heard.last = self.heard.last.max(Some(at));
        self.heard.said.insert(key, Heard { status, at });
    }

    /// Everybody speaks, but for these stages.
    fn all(&mut self, second: u64, but: &[&str]) {
        for name in [stage::INGEST, stage::ENRICH, stage::SINK, stage::API] {
            if !but.contains(&name) {
                self.hear(said(name, None), second);
                if name != stage::API {
                    self.hear(said(name, Some("eth")), second);
                }
            }
        }
    }

    fn judge(&self, second: u64) -> Judged {
        let now = Now { at: self.start + Duration::from_secs(second), wall: TimeMs(1_000 * second as i64) };
        let configured = &self.configured;
        judge(&Case { heard: &self.heard, now, listening: self.start, unheard: None, configured })
    }
}

#[test]
fn all_is_well_while_everybody_speaks() {
    let mut world = World::new();
    world.all(100, &[]);
    let judged = world.judge(114);
    assert_eq!(judged.problems, []);
    assert!(judged.stages.iter().all(|s| s.state == "running"), "{:?}", judged.stages);
}

#[test]
fn what_is_said_beside_the_work_is_a_warning_and_nothing_is_wrong() {
    let mut world = World::new();
    world.all(100, &[]);
    let words = "the store's tables take 190.0 GiB of `[store] max_bytes` = 200.0 GiB";
    let warns = |instance: &str| StageStatus {
        instance: instance.into(),
        detail: Some(words.to_owned()),
        ..said(stage::SINK, None)
    };
    world.hear(StageStatus { detail: Some(words.to_owned()), ..said(stage::SINK, None) }, 101);
    world.hear(warns("host-2"), 101);
    let judged = world.judge(102);
    assert_eq!(judged.problems, []);
    let [warning] = &judged.warnings[..] else { panic!("{:?}", judged.warnings) };
    assert_eq!((warning.stage.as_str(), warning.problem.as_str()), ("store", words));
    assert!(judged.stages.iter().all(|s| s.state == "running"), "{:?}", judged.stages);
    // So is what the API says of changes that wait.
    let waits = "changes wait to be told to the stages";
    world.hear(StageStatus { detail: Some(waits.to_owned()), ..said(stage::API, None) }, 102);
    let warned: Vec<(String, String)> =
        world.judge(102).warnings.into_iter().map(|warning| (warning.stage, warning.problem)).collect();
    assert_eq!(warned, [("store".to_owned(), words.to_owned()), ("api".to_owned(), waits.to_owned())]);
    world.hear(said(stage::API, None), 103);
    // What it says while it waits is a problem, and no warning.
    world.hear(StageStatus { state: state::STALLED.into(), ..warns("host-2") }, 103);
    world.hear(
        StageStatus { state: state::STALLED.into(), detail: Some("no store".into()), ..said(stage::SINK, None) },
        103,
    );
    let judged = world.judge(104);
    assert_eq!((judged.warnings.len(), judged.problems.len()), (0, 1), "{judged:?}");
    // What was said by whoever is silent is not repeated.
    world.all(300, &[stage::SINK]);
    assert_eq!(world.judge(301).warnings, []);
}

#[test]
fn a_silent_stage_is_named_once_with_since_and_cure() {
    for name in stage::CHAIN {
        let mut world = World::new();
        world.all(100, &[]);
        world.all(116, &[name]);
        let judged = world.judge(117);
        let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
        assert_eq!((p.stage.as_str(), p.network.as_deref()), (name, None));
        assert_eq!(p.since.as_deref(), Some("1970-01-01T00:01:40.000Z"), "when it was last heard");
        assert!(p.problem.contains("silent") && p.cure.contains(&format!("headwater {name}")), "{p:?}");
        assert_eq!(judged.problem_of("eth", None), Some(p));
        assert_eq!(judged.stages.iter().find(|s| s.stage == name).map(|s| s.state.as_str()), Some("silent"));
    }
}

#[test]
fn aggregate_is_missed_where_it_was_heard_of_and_windows_that_do_not_get_into_the_store_are_told() {
    let mut world = World::new();
    world.all(100, &[]);
    assert_eq!(world.judge(101).problems, [], "nobody runs aggregate");
    world.hear(said(stage::AGGREGATE, None), 100);
    world.hear(said(stage::AGGREGATE, Some("eth")), 100);
    assert_eq!(world.judge(101).problems, []);
    world.all(120, &[]);
    let judged = world.judge(121);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert_eq!((p.stage.as_str(), p.since.as_deref()), ("aggregate", Some("1970-01-01T00:01:40.000Z")));
    assert!(p.problem.contains("silent") && p.cure.contains("headwater aggregate"), "{p:?}");
    let waits =
        StageStatus { state: state::STALLED.into(), detail: Some("no log".into()), ..said(stage::AGGREGATE, None) };
    world.hear(waits, 121);
    let judged = world.judge(122);
    assert_eq!(judged.problems[0].problem, "aggregate is stalled: no log");
    assert_eq!(judged.problem_of("eth", None), None, "no block waits for it");
    world.hear(said(stage::AGGREGATE, None), 122);
    assert_eq!(world.judge(123).problems, []);

    // Alerts likewise.
    world.hear(said(stage::ALERTS, None), 100);
    let judged = world.judge(123);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert!(p.stage == "alerts" && p.cure.contains("headwater alerts"), "{p:?}");
    world.hear(said(stage::ALERTS, None), 123);
    assert_eq!(world.judge(123).problems, []);

    // One process of two, whose blocks flow.
    let words = "windows do not get into the store: no such table";
    let partly = StageStatus { state: state::PARTLY.into(), detail: Some(words.into()), ..said(stage::SINK, None) };
    world.hear(partly, 123);
    world.hear(StageStatus { instance: "host-2".into(), ..said(stage::SINK, None) }, 123);
    let judged = world.judge(124);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert_eq!((p.stage.as_str(), p.problem.as_str(), p.network.as_deref()), ("sink", words, None));
    assert_eq!(judged.problem_of("eth", None), None, "no block waits for it");
    assert_eq!(judged.stages.iter().find(|s| s.stage == "sink").map(|s| s.state.as_str()), Some("running"));
}

#[test]
fn who_stops_aggregate_or_alerts_in_an_orderly_way_does_without_them() {
    for name in [stage::AGGREGATE, stage::ALERTS] {
        let mut world = World::new();
        world.hear(said(name, None), 100);
        world.hear(said(name, Some("eth")), 100);
        // Killed, it is missed, and nothing is wrong with the network.
        world.all(120, &[]);
        let judged = world.judge(121);
        let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
        assert_eq!((p.stage.as_str(), judged.problem_of("eth", None)), (name, None));
        // Told to stop, it takes its own record away, and leaves those of its networks.
        world.heard.said.remove(&StageStatus::key_of(name, "host-1", None));
        let judged = world.judge(121);
        assert_eq!(judged.problems, []);
        assert!(judged.stages.iter().all(|s| s.stage != name), "{:?}", judged.stages);
    }
}

#[test]
fn a_network_whose_partition_nobody_has_is_named_though_the_stage_lives() {
    let mut world = World::new();
    world.all(100, &[]);
    world.all(120, &[stage::SINK]);
    world.hear(StageStatus { instance: "host-2".into(), ..said(stage::SINK, None) }, 120);
    let judged = world.judge(121);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert_eq!((p.stage.as_str(), p.network.as_deref()), ("sink", Some("eth")));
    // One that lives and says what keeps it is quoted.
    let waits = StageStatus { state: "stalled".into(), detail: Some("no store".into()), ..said(stage::SINK, None) };
    world.hear(StageStatus { instance: "host-2".into(), ..waits }, 121);
    assert!(world.judge(122).problems.iter().any(|p| p.cure.contains("host-2 of sink: no store")));
}

#[test]
fn who_was_never_heard_is_waited_for_and_then_named() {
    let mut world = World::new();
    world.hear(said(stage::API, None), 59);
    assert_eq!(world.judge(59).problems, []);
    assert!(world.judge(59).stages.iter().take(3).all(|s| s.state == "starting"));
    world.hear(said(stage::API, None), 61);
    let judged = world.judge(61);
    let named: Vec<&str> = judged.problems.iter().map(|p| p.stage.as_str()).collect();
    assert_eq!(named, stage::CHAIN, "{:?}", judged.problems);
    assert!(judged.problems[0].problem.contains("never"));
}

#[test]
fn stages_of_a_former_version_are_shown_as_they_speak() {
    use schemas::{
        Family,
        records::{NetworkState, NetworkStatus},
    };
    let mut world = World::new();
    let (network, at) = (world.configured[0].clone(), TimeMs(5));
    let watcher = NetworkStatus {
        network: network.clone(),
        family: Family::Evm,
        state: NetworkState::Live,
        tip_height: Some(9),
        endpoint: None,
        detail: None,
        at,
    };
    world.heard.watchers.insert(network.clone(), watcher.clone());
    world.hear(said(stage::API, None), 600);
    assert_eq!(world.judge(601).problems, [], "they do not repeat themselves");
    let stalled = NetworkStatus { state: NetworkState::Stalled, detail: Some("403".into()), ..watcher };
    world.heard.watchers.insert(network, stalled);
    assert_eq!(world.judge(601).problems.iter().map(|p| p.problem.as_str()).collect::<Vec<_>>(), ["403"]);
}

#[test]
fn who_hears_nothing_at_all_says_so_of_himself_only() {
    let mut world = World::new();
    world.all(100, &[]);
    let judged = world.judge(200);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert_eq!((p.stage.as_str(), p.since.as_deref()), ("log", Some("1970-01-01T00:01:40.000Z")));
}

#[test]
fn halts_and_differing_configurations_are_named_by_stage_and_network() {
    let mut world = World::new();
    world.all(100, &[]);
    let halted = StageStatus {
        state: "unreadable".into(),
        detail: Some("the header of 7 cannot be read".into()),
        ..said(stage::ENRICH, Some("eth"))
    };
    world.hear(halted, 100);
    let configured = |id| vec![ConfiguredNetwork { slug: "eth".into(), chain_id: Some(id) }];
    world.hear(StageStatus { networks: configured(1), ..said(stage::INGEST, None) }, 100);
    world.hear(StageStatus { networks: configured(10), ..said(stage::ENRICH, None) }, 100);
    let judged = world.judge(101);
    let [halt, differ] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert_eq!((halt.stage.as_str(), halt.problem.as_str()), ("enrich", "the header of 7 cannot be read"));
    assert!(differ.problem.contains("ingest host-1 has chain id 1, enrich host-1 has 10"), "{differ:?}");
}

#[test]
fn the_problem_told_of_a_network_is_that_of_the_stage_whose_word_is_told() {
    let mut world = World::new();
    world.all(100, &[]);
    let halted = StageStatus {
        state: "unreadable".into(),
        detail: Some("the header of 7 cannot be read".into()),
        ..said(stage::SINK, Some("eth"))
    };
    // Every process speaks, ingest's no more of this network.
    [stage::INGEST, stage::ENRICH, stage::SINK, stage::API].iter().for_each(|name| world.hear(said(name, None), 116));
    world.hear(said(stage::ENRICH, Some("eth")), 116);
    world.hear(halted, 116);
    let judged = world.judge(117);
    let of = |stage| judged.problem_of("eth", stage).map(|p| p.stage.as_str());
    assert_eq!((of(None), of(Some(stage::SINK))), (Some(stage::INGEST), Some(stage::SINK)), "{:?}", judged.problems);
}

#[test]
fn what_nobody_is_to_follow_makes_nothing_degraded() {
    let mut world = World::new();
    world.hear(said(stage::INGEST, Some("former")), 0);
    let unknown = StageStatus { state: state::UNCONFIGURED.into(), ..said(stage::ENRICH, Some("former")) };
    world.hear(unknown, 1_000);
    world.all(1_000, &[]);
    assert_eq!(world.judge(1_001).problems, []);
    // What is said to be wrong with it is told all the same.
    let halted = StageStatus { state: "unreadable".into(), ..said(stage::SINK, Some("former")) };
    world.hear(halted, 1_000);
    assert_eq!(world.judge(1_001).problems.len(), 1);
    // Somebody has it in his configuration after all.
    let networks = vec![ConfiguredNetwork { slug: "former".into(), chain_id: None }];
    world.hear(StageStatus { networks, ..said(stage::SINK, None) }, 1_000);
    assert!(world.judge(1_001).problems.iter().any(|p| p.network.as_deref() == Some("former")));
}

#[test]
fn a_network_is_given_up_when_nobody_has_it_in_his_configuration() {
    let (mut world, old) = (World::new(), "old".parse::<Network>().expect("a slug"));
    let names = |slugs: &[&str]| -> Vec<ConfiguredNetwork> {
        slugs.iter().map(|slug| ConfiguredNetwork { slug: (*slug).into(), chain_id: Some(1) }).collect()
    };
    let given_up = |world: &World, second: u64| {
        let now = Now { at: world.start + Duration::from_secs(second), wall: TimeMs(1_000 * second as i64) };
        let (heard, configured) = (&world.heard, &world.configured[..]);
        Case { heard, now, listening: world.start, unheard: None, configured }.given_up(&old)
    };
    assert!(!given_up(&world, 1), "nobody has said anything yet");
    world.hear(StageStatus { networks: names(&["eth", "old"]), ..said(stage::INGEST, None) }, 10);
    world.hear(StageStatus { networks: names(&["eth"]), ..said(stage::ENRICH, None) }, 10);
    assert!(!given_up(&world, 11));
    assert!(!given_up(&world, 100), "who had it is silent, which is no reason to be silent about it");
    // A process of the same stage that lives decides.
    let other = StageStatus { instance: "host-2".into(), networks: names(&["eth"]), ..said(stage::INGEST, None) };
    world.hear(other, 100);
    world.hear(StageStatus { networks: names(&["eth"]), ..said(stage::ENRICH, None) }, 100);
    assert!(given_up(&world, 101));
    world.hear(StageStatus { networks: names(&["eth", "old"]), ..said(stage::ENRICH, None) }, 101);
    assert!(!given_up(&world, 102), "enrich is still to be told");
    world.hear(StageStatus { networks: names(&["eth"]), ..said(stage::ENRICH, None) }, 102);
    world.configured.push(old.clone());
    assert!(!given_up(&world, 103), "this process has it");
}

#[test]
fn what_retention_is_about_to_take_is_told_from_half_on() {
    let mut world = World::new();
    world.all(100, &[]);
    let mut at = |percent| {
        world.hear(StageStatus { unread_percent: Some(percent), ..said(stage::SINK, Some("eth")) }, 100);
        world.judge(101).problems
    };
    assert_eq!(at(50), []);
    let problems = at(51);
    assert!(problems.len() == 1 && problems[0].problem.contains("51 %"), "{problems:?}");
}

#[test]
fn a_stage_that_does_not_get_on_is_named() {
    let mut world = World::new();
    world.all(200, &[]);
    let mut progress = Progress::default();
    for second in 0..=200 {
        let at = world.start + Duration::from_secs(second);
        progress.take(&StageStatus { sequence: Some(second), ..said(stage::ENRICH, Some("eth")) }, at);
        progress.take(&StageStatus { sequence: Some(second.min(20)), ..said(stage::SINK, Some("eth")) }, at);
    }
    world.heard.progress.insert(world.configured[0].clone(), progress);
    let judged = world.judge(201);
    let [p] = &judged.problems[..] else { panic!("{:?}", judged.problems) };
    assert!(p.stage == "sink" && p.problem.contains("stands still at 20, while 180 events wait"), "{p:?}");
}

#[test]
fn a_sink_that_upgrades_its_store_is_one_problem_that_says_how_far_it_is() {
    let mut world = World::new();
    let upgrading = StageStatus {
        state: state::UPGRADING.to_owned(),
        detail: Some("40 % (400 of 1,000 rows), about 30 s left".to_owned()),
        ..said(stage::SINK, None)
    };
    world.all(100, &[stage::SINK]);
    world.hear(upgrading, 100);
    let judged = world.judge(110);
    let words: Vec<&str> = judged.problems.iter().map(|p| p.problem.as_str()).collect();
    assert_eq!(words, ["sink is upgrading: 40 % (400 of 1,000 rows), about 30 s left"]);
    assert!(judged.problems[0].cure.starts_with("Wait"), "{}", judged.problems[0].cure);
    let network: Network = "eth".parse().expect("a slug");
    let now = Now { at: world.start + Duration::from_secs(110), wall: TimeMs(110_000) };
    let configured = &world.configured;
    let case = Case { heard: &world.heard, now, listening: world.start, unheard: None, configured };
    assert_eq!(network_stage(&case, stage::SINK, &network).state, state::UPGRADING);
    // Another process that works has the networks, and speaks of them.
    world.hear(StageStatus { instance: "host-2".to_owned(), ..said(stage::SINK, None) }, 110);
    assert_eq!(world.judge(111).problems.len(), 1, "nobody speaks of the network");
    world.hear(said(stage::SINK, Some("eth")), 110);
    assert!(world.judge(111).problems.is_empty());
}
