//! What becomes of alerts: from the topics into the tables of tenants, each once whatever is killed, away, read again or lost; and what is
//! read of it, by its own tenant alone.

use std::{collections::BTreeMap, time::Duration};

use runtime::log::{Log, NewRecord, Offsets, PollLimits, Polled, TopicPartition};
use schemas::{
    Network, TimeMs,
    codec::{Codec, Record},
    records::{
        AlertDelivery, AlertEvent, AlertEventKind, AlertMatch, AlertSource, DeliveryState, Figured, Found, FoundKind,
        MatchOp, SourceKind,
    },
    ulid_of,
};
use serde_json::json;
use store::{
    Store,
    query::{AlertFilter, DeliveryFilter, MatchFilter, Whose},
    sink::{SinkConfig, alerts},
};

use crate::{
    chain::Dice,
    door::{Door, Let},
    harness::Running,
    setup::{RunningSink, TestLog, execute, store_in, until},
};

/// Tenants, whose ids are ULIDs in earnest.
const TENANTS: [&str; 2] = ["01J00000000000000000000001", "01J00000000000000000000002"];

fn whose(tenant: usize) -> Whose {
    Whose { tenant: TENANTS[tenant].to_owned(), networks: None }
}

fn network(slug: &str) -> Network {
    slug.parse().expect("a slug")
}

/// A record of a topic with one partition.
fn record<R: Record>(record: &R) -> NewRecord {
    NewRecord {
        to: TopicPartition { topic: R::TOPIC.name, partition: 0 },
        key: Some(record.key().into()),
        value: Some(Codec::builtin().encode(record).expect("encodes")),
        headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    }
}

/// Waits until the sink has all that was written.
async fn until_told(log: &TestLog) {
    until("the sink to have read all of alerts", || async {
        let lag = log.log.lag(alerts::GROUP, &alerts::TOPICS).await.expect("lag");
        lag.iter().all(|l| l.ends.high == 0 || l.position.is_some_and(|p| p >= l.ends.high))
    })
    .await;
}

/// A minute of today, counted from two days ago: alerts are listed as far back as they are kept.
fn minute(n: i64) -> TimeMs {
    TimeMs(TimeMs::now().0 / 86_400_000 * 86_400_000 - 2 * 86_400_000 + n * 60_000)
}

/// An alert that is told of, transition by transition.
struct Story {
    tenant: usize,
    id: String,
    network: &'static str,
    contract: Option<String>,
    severity: &'static str,
    began: TimeMs,
    told: Vec<AlertEvent>,
}

impl Story {
    fn new(tenant: usize, n: i64, network: &'static str) -> Self {
        let began = minute(n);
        Self {
            tenant,
            id: ulid_of(began, format!("{tenant}/{n}").as_bytes()),
            network,
            contract: (n % 3 == 0).then(|| format!("0x{n:040x}")),
            severity: ["critical", "warning", "info"][n as usize % 3],
            began,
            told: Vec::new(),
        }
    }

    /// The next transition.
    fn goes(&mut self, kind: AlertEventKind, state: &str) -> AlertEvent {
        let at = TimeMs(self.began.0 + 1_000 * self.told.len() as i64);
        let over = ["resolved", "retracted"].contains(&state);
        let alert = json!({
            "id": self.id, "source": {"kind": "rule", "id": "RULE", "name": "Fails", "version": 1}, "network": self.network,
            "contract": self.contract, "group": {}, "state": state, "severity": self.severity,
            "started_at": self.began.rfc3339(), "fired_at": self.began.rfc3339(),
            "ended_at": over.then(|| at.rfc3339()), "silenced": false, "evidence": {"value": self.told.len()},
        });
        let event = AlertEvent {
            tenant: TENANTS[self.tenant].to_owned(),
            alert_id: self.id.clone(),
            kind,
            revision: self.told.len() as u64 + 1,
            at,
            by: (kind == AlertEventKind::Acknowledged).then(|| "key ops".to_owned()),
            note: (kind == AlertEventKind::Acknowledged).then(|| "looking".to_owned()),
            network: network(self.network),
            sequence: Some(self.told.len() as u64 + 7),
            height: Some(100),
            alert: alert.to_string(),
            matches: "[]".to_owned(),
        };
        self.told.push(event.clone());
        event
    }

    fn attempt(&self, attempt: u32, state: DeliveryState) -> AlertDelivery {
        AlertDelivery {
            tenant: TENANTS[self.tenant].to_owned(),
            id: ulid_of(self.began, format!("message of {}", self.id).as_bytes()),
            alert_id: Some(self.id.clone()),
            channel_id: format!("CHANNEL{}", self.tenant),
            channel_type: "webhook".to_owned(),
            kind: "alert.firing".to_owned(),
            state,
            at: TimeMs(self.began.0 + 2_000 + i64::from(attempt)),
            attempt,
            status: (attempt > 0).then_some(if state == DeliveryState::Sent { 200 } else { 503 }),
            latency_ms: (attempt > 0).then_some(12),
            error: (attempt > 0 && state != DeliveryState::Sent).then(|| "503 Service Unavailable".to_owned()),
            next_attempt_at: (state == DeliveryState::Queued).then_some(TimeMs(self.began.0 + 60_000)),
            thread: None,
        }
    }
}

/// Everything of a tenant, as people read it: each alert's id, JSON and transitions; each message's state and attempts.
type Seen = (Vec<(String, String, Vec<(String, u64)>)>, Vec<(String, String, usize)>);

async fn seen(store: &Store, whose: &Whose) -> Seen {
    let all = AlertFilter { limit: 1_000, ..AlertFilter::default() };
    let page = store.alerts(whose, &all).await.expect("alerts");
    assert_eq!(page.next, None);
    let alerts = page.items.into_iter().map(|row| {
        let steps = row.events.into_iter().map(|step| (step.kind, step.revision)).collect();
        (row.id, row.alert, steps)
    });
    let all = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let page = store.deliveries(whose, &all).await.expect("deliveries");
    assert_eq!(page.next, None);
    let deliveries = page.items.into_iter().map(|d| (d.id, d.state, d.attempts.len())).collect();
    (alerts.collect(), deliveries)
}

/// The same as it was told.
fn wanted(stories: &[Story], messages: &[AlertDelivery], tenant: usize) -> Seen {
    let mut alerts: Vec<_> = stories
        .iter()
        .filter(|story| story.tenant == tenant && !story.told.is_empty())
        .map(|story| {
            let steps = story.told.iter().map(|event| (event.kind.as_str().to_owned(), event.revision)).collect();
            (story.id.clone(), story.told.last().expect("told").alert.clone(), steps)
        })
        .collect();
    alerts.sort_by(|a: &(String, _, _), b| b.0.cmp(&a.0));
    let mut last: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.tenant == TENANTS[tenant]) {
        let held = last.entry(message.id.clone()).or_default();
        held.0 = message.state.as_str().to_owned();
        held.1 += usize::from(message.attempt > 0 && message.state != DeliveryState::Replaced);
    }
    (alerts, last.into_iter().rev().map(|(id, (state, attempts))| (id, state, attempts)).collect())
}

/// Puts the group's positions back to the beginning.
async fn start_over(log: &TestLog) {
    let mut consumer = log.log.consumer(alerts::GROUP, "test", &alerts::TOPICS).await.expect("a member");
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(1) };
    let mut held = 0;
    while held < alerts::TOPICS.len() {
        if let Polled::Assigned(list) = consumer.poll(limits).await.expect("an assignment") {
            held += list.len();
        }
    }
    let offsets: Offsets = alerts::TOPICS.map(|topic| (TopicPartition { topic, partition: 0 }, 0)).into();
    consumer.commit(offsets).await.expect("a commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_alerts_is_there_once_whatever_is_killed_away_read_again_or_lost() {
    let engine = Running::start().await;
    let store = store_in(&engine, "told");
    let (log, mut dice) = (TestLog::open().await, Dice(20));
    let door = Door::before(&engine.url).await;
    let mut stories: Vec<Story> =
        (0..24).map(|n| Story::new(n as usize % 2, n, ["a", "b"][n as usize / 2 % 2])).collect();
    let mut messages: Vec<AlertDelivery> = Vec::new();
    let kinds = [
        (AlertEventKind::Fired, "firing"),
        (AlertEventKind::Amended, "firing"),
        (AlertEventKind::Acknowledged, "acknowledged"),
        (AlertEventKind::Retracted, "retracted"),
        (AlertEventKind::IncludedAgain, "firing"),
        (AlertEventKind::Resolved, "resolved"),
    ];
    for round in 0..4 {
        let config = |config: &mut SinkConfig| config.alerts_age = Duration::from_millis(20);
        let sink = RunningSink::start_with(&door.store(&store), log.log.clone(), config);
        for step in 0..6 {
            let mut records = Vec::new();
            for story in &mut stories {
                if dice.roll(3) == 0 {
                    continue;
                }
                let (kind, state) = kinds[story.told.len().min(kinds.len() - 1)];
                records.push(record(&story.goes(kind, state)));
                let attempt = messages.iter().filter(|m| m.alert_id.as_deref() == Some(&story.id)).count() as u32;
                let state = [DeliveryState::Queued, DeliveryState::Queued, DeliveryState::Sent];
                if let Some(state) = state.get(attempt as usize) {
                    messages.push(story.attempt(attempt, *state));
                    records.push(record(messages.last().expect("pushed")));
                }
            }
            log.write(records).await;
            match (round + step) % 4 {
                // The store is away for a moment, or hangs in the middle.
                0 => {
                    door.rule(|_| Let::Break);
                    tokio::time::sleep(Duration::from_millis(120)).await;
                    door.rule(|_| Let::Through);
                }
                1 => door.rule(|sql| if sql.contains("INSERT INTO alert_rows") { Let::Hang } else { Let::Through }),
                _ => tokio::time::sleep(Duration::from_millis(dice.roll(80))).await,
            }
        }
        sink.kill().await;
        door.rule(|_| Let::Through);
    }
    // What is no record of ours, or has no time in its id, keeps nobody.
    for topic in alerts::TOPICS {
        let to = TopicPartition { topic, partition: 0 };
        log.write(vec![NewRecord { to, key: Some("x".into()), value: Some("what?".into()), headers: Vec::new() }])
            .await;
    }
    let mut odd = stories[0].attempt(0, DeliveryState::Queued);
    odd.id = "no ULID".to_owned();
    log.write(vec![record(&odd)]).await;

    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    for tenant in 0..2 {
        let wanted = wanted(&stories, &messages, tenant);
        assert!(wanted.0.len() >= 10 && wanted.1.len() >= 10, "{wanted:?}");
        assert_eq!(seen(&store, &whose(tenant)).await, wanted);
    }
    sink.stop().await.expect("a clean end");

    // Everything once more, from the oldest record on.
    start_over(&log).await;
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    assert_eq!(seen(&store, &whose(0)).await, wanted(&stories, &messages, 0));
    sink.stop().await.expect("a clean end");

    // The store is lost, and the group has long committed what was in it.
    execute(&engine, &store, "DROP DATABASE told_tenants SYNC").await;
    let sink = RunningSink::start(&store, &log);
    until("all of it to be there again", || async {
        let all = AlertFilter { limit: 1_000, ..AlertFilter::default() };
        let alerts = store.alerts(&whose(1), &all).await;
        alerts.is_ok_and(|page| page.items.len() == wanted(&stories, &messages, 1).0.len())
    })
    .await;
    assert_eq!(seen(&store, &whose(1)).await, wanted(&stories, &messages, 1));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_the_store_takes_no_alerts_is_said_until_it_does() {
    let engine = Running::start().await;
    let store = store_in(&engine, "refused");
    let log = TestLog::open().await;
    let sink = RunningSink::start_with(&store, log.log.clone(), |config| {
        config.alerts_age = Duration::from_millis(20);
        config.windows_patience = Duration::from_secs(1);
    });
    let mut story = Story::new(0, 1, "a");
    log.write(vec![record(&story.goes(AlertEventKind::Fired, "firing"))]).await;
    until_told(&log).await;

    // Refused for good, so that each membership ends at once.
    execute(&engine, &store, "RENAME TABLE refused_tenants.alert_rows TO refused_tenants.away_rows").await;
    log.write(vec![record(&story.goes(AlertEventKind::Amended, "firing"))]).await;
    let said = || sink.config.board.said_of_the_process().unwrap_or_default();
    until("a word", || async { said().contains("alerts") }).await;
    assert!(sink.config.board.not_ready().is_none(), "blocks go on");

    execute(&engine, &store, "RENAME TABLE refused_tenants.away_rows TO refused_tenants.alert_rows").await;
    until_told(&log).await;
    until("no word", || async { !said().contains("alerts") }).await;
    assert_eq!(seen(&store, &whose(0)).await, wanted(&[story], &[], 0));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_of_their_tenant_and_of_what_is_asked_for() {
    let engine = Running::start().await;
    let store = store_in(&engine, "asked");
    let log = TestLog::open().await;
    let mut records = Vec::new();
    let mut stories: Vec<Story> =
        (0..12).map(|n| Story::new(usize::from(n >= 9), n, ["a", "b"][n as usize % 2])).collect();
    for (n, story) in stories.iter_mut().enumerate() {
        records.push(record(&story.goes(AlertEventKind::Fired, "firing")));
        if n % 4 == 1 {
            records.push(record(&story.goes(AlertEventKind::Acknowledged, "acknowledged")));
        }
        if n % 4 == 2 {
            records.push(record(&story.goes(AlertEventKind::Resolved, "resolved")));
        }
        records.push(record(&story.attempt(0, DeliveryState::Queued)));
        if n % 2 == 0 {
            records.push(record(&story.attempt(1, DeliveryState::Sent)));
        }
    }
    log.write(records).await;
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;

    let mine = whose(0);
    let ids = |numbers: &[usize]| numbers.iter().map(|n| stories[*n].id.clone()).collect::<Vec<_>>();
    let filter = AlertFilter { limit: 1_000, ..AlertFilter::default() };
    let asked = async |filter: AlertFilter| {
        let page = store.alerts(&mine, &filter).await.expect("alerts");
        page.items.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (filter, wanted) in [
        (filter.clone(), &[8, 7, 6, 5, 4, 3, 2, 1, 0][..]),
        (AlertFilter { states: words(&["resolved"]), ..filter.clone() }, &[6, 2]),
        (AlertFilter { states: words(&["acknowledged", "resolved"]), ..filter.clone() }, &[6, 5, 2, 1]),
        (AlertFilter { states: words(&["retracted"]), ..filter.clone() }, &[]),
        (AlertFilter { severities: words(&["critical"]), ..filter.clone() }, &[6, 3, 0]),
        (AlertFilter { network: Some(network("b")), ..filter.clone() }, &[7, 5, 3, 1]),
        (AlertFilter { contract: stories[3].contract.clone(), ..filter.clone() }, &[3]),
        (AlertFilter { source: Some(("rule", "RULE".into())), since: Some(minute(7)), ..filter.clone() }, &[8, 7]),
        (AlertFilter { source: Some(("monitor", "RULE".into())), ..filter.clone() }, &[]),
        (AlertFilter { during: Some((minute(3), minute(5))), ..filter.clone() }, &[4, 3, 1, 0]),
    ] {
        assert_eq!(asked(filter.clone()).await, ids(wanted), "{filter:?}");
    }
    // Page by page.
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = AlertFilter { limit: 4, before: before.clone(), ..filter.clone() };
        let page = store.alerts(&mine, &page).await.expect("a page");
        paged.extend(page.items.into_iter().map(|row| row.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(paged, ids(&[8, 7, 6, 5, 4, 3, 2, 1, 0]));

    // Another's is not there, and of a network that is not reached neither.
    let theirs = &stories[10];
    assert_eq!(store.alert(&mine, &theirs.id).await.expect("an answer"), None);
    assert!(store.alert(&whose(1), &theirs.id).await.expect("an answer").is_some());
    let of_b = Whose { networks: Some(vec![network("b")]), ..whose(0) };
    assert_eq!(store.alert(&of_b, &stories[0].id).await.expect("an answer"), None);
    let page = store.alerts(&of_b, &filter).await.expect("alerts");
    assert_eq!(page.items.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids(&[7, 5, 3, 1]));
    let of_none = Whose { networks: Some(Vec::new()), ..whose(0) };
    assert!(store.alerts(&of_none, &filter).await.expect("alerts").items.is_empty());
    let one = store.alert(&mine, &stories[1].id).await.expect("an answer").expect("it is mine");
    assert_eq!((one.revision, one.events[1].who.as_deref()), (2, Some("key ops")));
    assert_eq!((one.events[1].words.as_deref(), one.events[0].sequence), (Some("looking"), Some(7)));

    // Messages.
    let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
    let queued = DeliveryFilter { states: words(&["queued"]), ..filter.clone() };
    let page = store.deliveries(&mine, &queued).await.expect("deliveries");
    let of: Vec<_> = page.items.iter().filter_map(|d| d.alert_id.clone()).collect();
    assert_eq!(of, ids(&[7, 5, 3, 1]));
    let sent = DeliveryFilter { alert: Some(stories[2].id.clone()), ..filter.clone() };
    let page = store.deliveries(&mine, &sent).await.expect("deliveries");
    assert_eq!(
        (page.items.len(), page.items[0].state.as_str(), page.items[0].attempts[0].status),
        (1, "sent", Some(200))
    );
    assert_eq!(page.items[0].next_attempt_at, None);
    let one = store.delivery(&whose(1), &page.items[0].id).await.expect("an answer");
    assert_eq!(one, None, "it is another's");
    let networks = store.alert_networks(&mine, &[stories[1].id.clone(), theirs.id.clone()]).await.expect("networks");
    assert_eq!(networks.into_iter().collect::<Vec<_>>(), [(stories[1].id.clone(), network("b"))]);
    for (channel, many) in [("CHANNEL0", 9), ("CHANNEL1", 0)] {
        let of_channel = DeliveryFilter { channel: Some(channel.to_owned()), ..filter.clone() };
        assert_eq!(store.deliveries(&mine, &of_channel).await.expect("deliveries").items.len(), many, "{channel}");
    }
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

fn matched(op: MatchOp, hash: u8, block: u8, sequence: u64, at: TimeMs, position: Option<u32>) -> AlertMatch {
    AlertMatch {
        tenant: TENANTS[0].to_owned(),
        source: AlertSource { kind: SourceKind::Monitor, id: "MONITOR".to_owned(), name: "m".to_owned(), version: 3 },
        op,
        network: network("a"),
        sequence,
        height: 100 + u64::from(block),
        block_hash: Some(format!("0x{}", const_hex::encode([block; 32])).parse().expect("a hash")),
        at,
        observed_at: at,
        contract: None,
        group: BTreeMap::new(),
        found: Some(Found {
            transaction_hash: [hash; 32].into(),
            kind: if position.is_some() { FoundKind::Event } else { FoundKind::Transaction },
            position,
            condition: 0,
            signature: position.map(|_| "Transfer(address,address,uint256)".to_owned()),
            arguments: "{\"value\":\"7\"}".to_owned(),
            cause: None,
        }),
        figure: None,
    }
}

/// What a monitor of the first tenant did not tell, or was not put to.
fn left_out(what: &str, monitor: &str, sequence: u64, at: TimeMs, count: u64) -> AlertMatch {
    let of = matched(MatchOp::LeftOut, 1, 1, sequence, at, None);
    let source = AlertSource { id: monitor.to_owned(), ..of.source.clone() };
    let figure = Some(Figured { over: false, evidence: json!({what: count}).to_string() });
    AlertMatch { source, found: None, figure, ..of }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_is_there_once_in_the_block_that_it_stands_in() {
    let engine = Running::start().await;
    let store = store_in(&engine, "matched");
    let log = TestLog::open().await;
    let (first, again) = (minute(0), minute(3));
    log.write(
        [
            // Two places of one transaction, and a transaction beside it.
            matched(MatchOp::Match, 1, 1, 1, first, Some(0)),
            matched(MatchOp::Match, 1, 1, 1, first, Some(1)),
            matched(MatchOp::Match, 2, 1, 1, first, None),
            matched(MatchOp::Match, 3, 2, 2, minute(1), None),
            // Both blocks are reverted; of the first all but the second place comes again, in another block.
            matched(MatchOp::Retract, 3, 2, 3, minute(1), None),
            matched(MatchOp::Retract, 1, 1, 4, first, Some(0)),
            matched(MatchOp::Retract, 1, 1, 4, first, Some(1)),
            matched(MatchOp::Retract, 2, 1, 4, first, None),
            matched(MatchOp::IncludedAgain, 1, 3, 5, again, Some(0)),
            matched(MatchOp::IncludedAgain, 2, 3, 5, again, None),
            // What there was no room for, said twice of one block, of another's monitor, and what all of them were not put to.
            left_out("left_out", "MONITOR", 1, first, 500),
            left_out("left_out", "MONITOR", 1, first, 20),
            left_out("left_out", "OTHER", 1, first, 1_000),
            left_out("not_looked_at", "OTHER", 5, again, 7),
            // What is said of a rule has no row.
            AlertMatch { op: MatchOp::Figure, found: None, ..matched(MatchOp::Match, 9, 1, 1, first, None) },
        ]
        .iter()
        .map(record)
        .collect(),
    )
    .await;
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    let asked = async |live: Option<bool>, limit: u32| {
        let filter = MatchFilter { monitor: "MONITOR".to_owned(), live, limit };
        let rows = store.matches(&whose(0), &filter).await.expect("matches");
        let shown = rows.into_iter().map(|row| (row.hash[2..4].to_owned(), row.place, row.height, row.live));
        shown.collect::<Vec<_>>()
    };
    let of = |hash: &str, place, height, live| (hash.to_owned(), place, height, live);
    let live = [of("01", 1, 103, true), of("02", 0, 103, true)];
    let gone = [of("03", 0, 102, false), of("01", 2, 101, false)];
    assert_eq!(asked(Some(true), 50).await, live);
    assert_eq!(asked(Some(false), 50).await, gone, "what came again is not gone");
    assert_eq!(asked(None, 50).await, [&live[..], &gone].concat());
    assert_eq!(asked(Some(true), 1).await, live[..1]);
    let filter = MatchFilter { monitor: "MONITOR".to_owned(), live: None, limit: 50 };
    let rows = store.matches(&whose(0), &filter).await.expect("matches");
    assert_eq!((rows[0].arguments.as_str(), rows[0].version, rows[0].time), ("{\"value\":\"7\"}", 3, again));
    assert_eq!(rows[0].signature, "Transfer(address,address,uint256)");
    assert!(store.matches(&whose(1), &filter).await.expect("matches").is_empty(), "they are another's");
    let told = store.left_out(&whose(0), "MONITOR").await.expect("what was left out");
    let sums: Vec<_> = told.iter().map(|one| (one.network.as_str(), one.matches, one.transactions)).collect();
    assert_eq!(sums, [("a", 520, 7)]);
    assert_eq!((told[0].first, told[0].last), (first, again));
    assert!(store.left_out(&whose(1), "MONITOR").await.expect("what was left out").is_empty());
    assert!(store.why(&rows).await.expect("no block is there").is_empty());
    let of_b = Whose { networks: Some(vec![network("b")]), ..whose(0) };
    assert!(store.left_out(&of_b, "MONITOR").await.expect("what was left out").is_empty());
    assert!(store.matches(&of_b, &filter).await.expect("matches").is_empty());
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// What an organisation that is deleted had in the store is no more, and whoever looks like it keeps all of his.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deleted_tenant_had_is_exported_whole_before_and_gone_afterwards() {
    let engine = Running::start().await;
    let store = store_in(&engine, "forgotten");
    let none = store.forget_tenants(&[TENANTS[0].to_owned()]).await.expect("there is no table yet");
    assert!(none.is_whole() && none.found.values().all(|rows| *rows == 0), "{none:?}");
    let log = TestLog::open().await;
    let mut stories: Vec<Story> =
        (0..40).map(|n| Story::new(n as usize % 2, n, ["a", "b"][n as usize / 2 % 2])).collect();
    let (mut records, mut messages) = (Vec::new(), Vec::new());
    for story in &mut stories {
        records.push(record(&story.goes(AlertEventKind::Fired, "firing")));
        records.push(record(&story.goes(AlertEventKind::Resolved, "resolved")));
        for (attempt, state) in [(0, DeliveryState::Queued), (1, DeliveryState::Sent)] {
            messages.push(story.attempt(attempt, state));
            records.push(record(messages.last().expect("pushed")));
        }
    }
    log.write(records).await;
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    let kept = wanted(&stories, &messages, 1);
    until("all to be there", async || seen(&store, &whose(1)).await == kept).await;
    until("all to be there", async || seen(&store, &whose(0)).await == wanted(&stories, &messages, 0)).await;

    // Page by page, all of it and nothing of the other's.
    let (mut alerts, mut behind) = (Vec::new(), String::new());
    while let found = store.whole_alerts(&whose(0), &behind, 7).await.expect("a page")
        && let Some(last) = found.last()
    {
        behind.clone_from(&last.id);
        alerts.extend(found.into_iter().map(|alert| (alert.id, alert.alert, alert.revision)));
    }
    let own = |story: &&Story| story.tenant == 0;
    let mut expected: Vec<_> = stories.iter().filter(own).map(|s| (s.id.clone(), s.told[1].alert.clone(), 2)).collect();
    expected.sort();
    assert_eq!(alerts, expected);
    let (mut said, mut behind) = (Vec::new(), String::new());
    while let found = store.whole_deliveries_of(&whose(0), &behind, 7).await.expect("a page")
        && let Some(last) = found.last()
    {
        behind.clone_from(&last.id);
        said.extend(found.into_iter().map(|said| (said.id, said.attempt, said.state)));
    }
    let of = |m: &AlertDelivery| (m.id.clone(), m.attempt, m.state.as_str().to_owned());
    let mut expected: Vec<_> = messages.iter().filter(|m| m.tenant == TENANTS[0]).map(of).collect();
    expected.sort();
    assert_eq!(said, expected);
    let narrowed = Whose { networks: Some(vec![network("a")]), ..whose(0) };
    assert!(store.whole_deliveries_of(&narrowed, "", 7).await.expect("a page").is_empty());
    let of_a = store.whole_alerts(&narrowed, "", 100).await.expect("a page");
    assert_eq!(of_a.len(), stories.iter().filter(|s| s.tenant == 0 && s.network == "a").count());

    assert!(store.forget_tenants(&["' OR 1 = 1 --".to_owned()]).await.is_err());
    let forgotten = store.forget_tenants(&[TENANTS[0].to_owned()]).await.expect("forgotten");
    assert!(forgotten.is_whole(), "{forgotten:?}");
    assert_eq!((forgotten.found["alert_rows"], forgotten.found["alert_event_rows"]), (20, 40), "{forgotten:?}");
    assert_eq!(seen(&store, &whose(0)).await, (Vec::new(), Vec::new()));
    assert_eq!(seen(&store, &whose(1)).await, kept, "the other has all of his");
    let again = store.forget_tenants(&[TENANTS[0].to_owned()]).await.expect("nothing to do");
    assert!(again.found.values().all(|rows| *rows == 0));
    // Cut off anywhere, it is done again, and in the end all is gone.
    for millis in [0, 1, 2, 5, 10, 20] {
        let other = [TENANTS[1].to_owned()];
        let _ = tokio::time::timeout(Duration::from_millis(millis), store.forget_tenants(&other)).await;
    }
    let other = store.forget_tenants(&[TENANTS[1].to_owned()]).await.expect("forgotten");
    assert!(other.is_whole(), "{other:?}");
    assert_eq!(seen(&store, &whose(1)).await, (Vec::new(), Vec::new()));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
