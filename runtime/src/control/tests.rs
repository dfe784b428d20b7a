use std::collections::HashMap;

use bytes::Bytes;
use schemas::{
    TimeMs,
    codec::Record as _,
    headers::{self, names},
    limits,
    records::{
        Asks, Contract, ControlConfig, HeldRange, NetworkPartition, OperatorContract, Request, Wanted, WatchedAddress,
    },
    registry::SCHEMAS,
};

use super::*;
use crate::log::{
    NewRecord, Producer, Record, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};

fn network(slug: &str) -> Network {
    slug.parse().expect("a slug")
}

fn request(id: &str, slug: &str, asked_at: i64) -> Request {
    Request {
        id: id.into(),
        network: network(slug),
        asks: Asks::Backfill { heights: HeldRange { from: 1, to: 9 }, again: false },
        wanted: Wanted::Run,
        asked_at: TimeMs(asked_at),
    }
}

fn encoded(record: &ControlConfig) -> Bytes {
    Codec::builtin().encode(record).expect("a value")
}

fn value(request: Request) -> Bytes {
    encoded(&ControlConfig::Request(request))
}

fn watched(slug: &str, address: &str, revision: u64) -> ControlConfig {
    let since = None;
    ControlConfig::Watched(WatchedAddress { network: network(slug), address: address.to_owned(), revision, since })
}

/// An id that no registry of ours has, and something behind it.
const FROM_THE_FUTURE: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2];

/// Key, value, and one header.
type Raw<'a> = (Option<&'a str>, Option<&'a [u8]>, Option<(&'a str, &'a str)>);

fn folded(records: &[Raw<'_>]) -> Fold {
    let (codec, mut fold) = (Codec::builtin(), Fold::default());
    for (offset, (key, value, header)) in records.iter().enumerate() {
        let record = Record {
            from: AT,
            offset: offset as u64,
            timestamp: TimeMs(0),
            key: key.map(|k| k.to_owned().into()),
            value: value.map(Bytes::copy_from_slice),
            headers: header.iter().map(|(n, v)| ((*n).into(), Bytes::copy_from_slice(v.as_bytes()))).collect(),
        };
        fold.take(&codec, &record);
    }
    fold
}

fn wishes(records: &[Raw<'_>]) -> HashMap<Network, Wishes> {
    folded(records).wishes()
}

fn ids(wishes: &HashMap<Network, Wishes>, slug: &str) -> Vec<String> {
    let of = wishes.get(&network(slug));
    of.map(|w| w.requests.iter().map(|r| r.id.clone()).collect()).unwrap_or_default()
}

#[test]
fn only_what_was_given_up_is_jumped_over() {
    let gap =
        |id: &str, slug: &str, first, last| Request { asks: Asks::AcceptGap { first, last }, ..request(id, slug, 0) };
    let mut known = Known::default();
    for request in [
        gap("a", "n", 10, 20),
        gap("b", "n", 21, 21),
        gap("c", "other", 1, 100),
        Request { wanted: Wanted::Cancelled, ..gap("d", "n", 30, 40) },
        request("e", "n", 0),
    ] {
        known.0.insert(request.id.clone(), request);
    }
    let network = network("n");
    assert_eq!(known.behind_gap(&network, 10), Some((22, "b")), "one gap follows another");
    assert_eq!(known.behind_gap(&network, 21), Some((22, "b")));
    for next in [9, 22, 30] {
        assert_eq!(known.behind_gap(&network, next), None, "{next}");
    }
}

#[test]
fn requests_come_by_time_and_the_newest_of_each_counts() {
    let (b, a, c) = (value(request("b", "n", 5)), value(request("a", "n", 5)), value(request("c", "n", 4)));
    let other = value(request("d", "m", 1));
    let paused = value(Request { wanted: Wanted::Paused, ..request("a", "n", 5) });
    let records: [Raw<'_>; 6] = [
        (Some("request/b"), Some(&b), None),
        (Some("request/a"), Some(&a), None),
        (Some("request/c"), Some(&c), None),
        (Some("request/d"), Some(&other), None),
        (Some("request/a"), Some(&paused), None),
        (Some("request/b"), None, None),
    ];
    let now = wishes(&records[..5]);
    assert_eq!((ids(&now, "n"), ids(&now, "m")), (vec!["c".into(), "a".into(), "b".into()], vec!["d".into()]));
    assert_eq!(now[&network("n")].get("a").map(|r| r.wanted), Some(Wanted::Paused));
    assert_eq!(ids(&wishes(&records), "n"), ["c", "a"], "what was removed is gone");
}

#[test]
fn foreign_records_count_for_nothing_and_an_unreadable_one_holds_up_its_network() {
    let (a, b) = (value(request("a", "n", 1)), value(request("b", "m", 2)));
    let partition = NetworkPartition { network: network("n"), partition: 3, decided_at: TimeMs(0) };
    let partition = encoded(&ControlConfig::NetworkPartition(partition));
    let good: [Raw<'_>; 2] = [(Some("request/a"), Some(&a), None), (Some("request/b"), Some(&b), None)];
    let foreign: [Raw<'_>; 8] = [
        (None, Some(b"x"), None),
        (Some("network/n"), Some(&partition), None),
        (Some("budget/n"), Some(FROM_THE_FUTURE), None),
        (Some("request/"), Some(b"x"), None),
        (Some("request/A B"), Some(&a), None),
        (Some("request/a"), Some(b"x"), None),
        (Some("request/a"), Some(&b), None),
        (Some("watched"), Some(&a), None),
    ];
    let now = wishes(&[&good[..], &foreign[..]].concat());
    assert_eq!((ids(&now, "n"), ids(&now, "m")), (vec!["a".into()], vec!["b".into()]));
    assert!(now.values().all(|w| w.unreadable.is_none()));
    // Known from its former record, or from its header; of nobody where neither says.
    let cut = &a[..a.len() - 1];
    let header = Some((names::NETWORK, "n"));
    for (key, broken, header) in
        [("request/a", FROM_THE_FUTURE, None), ("request/a", cut, None), ("request/c", FROM_THE_FUTURE, header)]
    {
        let fold = folded(&[&good[..], &[(Some(key), Some(broken), header)]].concat());
        let now = fold.wishes();
        let said = now[&network("n")].unreadable.clone().expect("unreadable");
        assert!(said.contains("control.config [0] at offset 2") && said.contains("run that version"), "{said}");
        assert_eq!(ids(&now, "n").len(), usize::from(key == "request/c"), "what cannot be read is not carried out");
        assert!(now[&network("m")].unreadable.is_none());
        assert_eq!(fold.requests.known.0.len(), 2, "others go by what it said before");
        let mended = wishes(&[&good[..], &[(Some(key), Some(broken), header), (Some(key), None, None)]].concat());
        assert!(mended.values().all(|w| w.unreadable.is_none()));
    }
    let nobody = wishes(&[&good[..], &[(Some("request/c"), Some(FROM_THE_FUTURE), None)]].concat());
    assert!(nobody.values().all(|w| w.unreadable.is_none()));
}

#[test]
fn what_one_process_holds_is_bounded() {
    let of = |i: usize| request(&format!("r{i}"), "n", 1);
    let codec = Codec::builtin();
    let value = |i| codec.encode(&ControlConfig::Request(of(i))).expect("a value");
    let all: Vec<(String, Bytes)> = (0..limits::REQUESTS + 10).map(|i| (format!("request/r{i}"), value(i))).collect();
    let raw: Vec<Raw<'_>> = all.iter().map(|(k, v)| (Some(k.as_str()), Some(&v[..]), None)).collect();
    assert_eq!(ids(&wishes(&raw), "n").len(), limits::REQUESTS);
}

#[test]
fn an_address_is_watched_by_its_highest_revision_whatever_comes_later() {
    let key = "watched/n/0xa";
    let (one, three, five) =
        (encoded(&watched("n", "0xa", 1)), encoded(&watched("n", "0xa", 3)), encoded(&watched("n", "0xa", 5)));
    let removed = |revision| (Some(key), None, Some((names::REVISION, revision)));
    let put = |value| (Some(key), Some(value), None);
    let is_watched = |records: &[Raw<'_>]| {
        let fold = folded(records);
        fold.addresses.of.get(&network("n")).is_some_and(|set| set.contains_key("0xa"))
    };
    for (what, records, expected) in [
        ("put", vec![put(&one[..])], true),
        ("put again", vec![put(&one), put(&three), put(&three)], true),
        ("removed", vec![put(&three), removed("4")], false),
        ("a lower one behind a removal", vec![put(&three), removed("4"), put(&three), put(&one)], false),
        ("a removal that comes late", vec![put(&five), removed("4")], true),
        ("added again", vec![put(&three), removed("4"), put(&five)], true),
        ("removed by hand", vec![put(&five), (Some(key), None, None)], false),
        ("removed by hand, then a lower one", vec![put(&five), (Some(key), None, None), put(&three)], false),
        ("another program's", vec![put(&one), put(b"x"), (Some("watched/n"), Some(b"x"), None)], true),
        ("another key's value", vec![(Some("watched/n/0xb"), Some(&one[..]), None)], false),
        ("of a newer version", vec![(Some(key), Some(FROM_THE_FUTURE), Some((names::REVISION, "7")))], true),
        (
            "of a newer version, older",
            vec![put(&five), removed("6"), (Some(key), Some(FROM_THE_FUTURE), Some((names::REVISION, "5")))],
            false,
        ),
        ("of a newer version, without a revision", vec![(Some(key), Some(FROM_THE_FUTURE), None)], false),
    ] {
        assert_eq!(is_watched(&records), expected, "{what}");
    }
}

/// A record that says since when counts by that, whenever it was written itself.
#[test]
fn since_when_an_address_is_watched_stands_in_its_record() {
    let of = |revision, since| {
        let (network, address) = (network("n"), "0xa".to_owned());
        encoded(&ControlConfig::Watched(WatchedAddress { network, address, revision, since }))
    };
    let (old, first, second) = (of(1, None), of(2, Some(TimeMs(-7))), of(3, Some(TimeMs(-7))));
    let since = |values: &[&Bytes]| {
        let records: Vec<Raw<'_>> =
            values.iter().map(|value| (Some("watched/n/0xa"), Some(&value[..]), None)).collect();
        folded(&records).addresses.of[&network("n")]["0xa"]
    };
    assert_eq!(since(&[&old]), TimeMs(0), "when it was written");
    assert_eq!((since(&[&old, &first]), since(&[&first, &second])), (TimeMs(-7), TimeMs(-7)));
}

/// What a process of before had: the codec of its version. A kind that it did not know stands there in a schema that it did not know.
#[test]
fn a_process_that_does_not_know_a_kind_passes_it_over() {
    let contract =
        Contract { network: network("n"), address: "0xa".into(), name: "a".into(), labels: vec![], abi: None };
    let new = [watched("n", "0xa", 1), ControlConfig::Contract(OperatorContract { revision: 2, contract })];
    let former = |id: u32| SCHEMAS.iter().any(|s| s.topic == topics::CONTROL_CONFIG && s.version < 3 && s.id == id);
    for record in &new {
        let value = encoded(record);
        assert!(!former(u32::from_be_bytes([value[1], value[2], value[3], value[4]])));
        // As it looks to who does not know the kind: under a key of no kind that is his, whatever the value is.
        let key = record.key().replace("watched", "later").replace("contract", "later");
        let a = value_of_request();
        let fold = folded(&[
            (Some("request/a"), Some(&a), None),
            (Some(&key), Some(FROM_THE_FUTURE), None),
            (Some(&key), None, None),
        ]);
        assert_eq!(ids(&fold.wishes(), "n"), ["a"]);
        assert!(fold.wishes()[&network("n")].unreadable.is_none());
    }
    // And what it knows is written as it knows it.
    let a = value_of_request();
    assert!(former(u32::from_be_bytes([a[1], a[2], a[3], a[4]])));
}

fn value_of_request() -> Bytes {
    value(request("a", "n", 1))
}

struct World {
    log: Arc<EmbeddedLog>,
    producer: Box<dyn Producer>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&[topics::CONTROL_CONFIG], 2).await.expect("topic");
        let producer = log.producer("a.command").await.expect("producer");
        Self { log, producer, _dir: dir }
    }

    fn follow(&self) -> Follower {
        Follower::follow(self.log.clone(), Arc::new(Codec::builtin()))
    }

    async fn put(&mut self, records: &[ControlConfig]) {
        let record = |record: &ControlConfig| NewRecord {
            to: AT,
            key: Some(record.key().into()),
            value: Some(encoded(record)),
            headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        };
        let records = records.iter().map(record).collect();
        self.producer.commit(Transaction { records, offsets: None }).await.expect("commit");
    }

    async fn remove(&mut self, key: &str, revision: u64) {
        let (name, revision) = headers::revision(revision);
        let headers = vec![(name.into(), revision)];
        let records = vec![NewRecord { to: AT, key: Some(key.to_owned().into()), value: None, headers }];
        self.producer.commit(Transaction { records, offsets: None }).await.expect("commit");
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_is_known_at_once_and_what_is_asked_later_soon() {
    let mut world = World::new().await;
    let asked = ControlConfig::Request(request("a", "n", 1));
    assert!(!asked.headers().is_empty(), "it names its network outside its value");
    let empty = world.follow();
    empty.up_to_now().await.expect("an empty topic is read at once");
    world.put(std::slice::from_ref(&asked)).await;
    let follower = world.follow();
    follower.up_to_now().await.expect("read");
    let mut wishes = follower.of(&network("n"));
    assert_eq!(wishes.borrow().requests.len(), 1);
    // One that has followed for long, too.
    empty.up_to_now().await.expect("read");
    assert_eq!(empty.known().0.len(), 1);
    world.put(&[ControlConfig::Request(Request { wanted: Wanted::Paused, ..request("a", "n", 1) })]).await;
    let told = wishes.wait_for(|w| w.get("a").is_some_and(|r| r.wanted == Wanted::Paused));
    in_time(told).await.expect("followed");
    assert!(follower.of(&network("m")).borrow().requests.is_empty());
    let mut late = world.follow();
    in_time(late.ready()).await;
    assert_eq!(late.known().0.keys().collect::<Vec<_>>(), ["a"]);
    world.remove("request/a", 0).await;
    in_time(late.changed()).await;
    assert!(late.known().0.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_known_first_and_a_set_is_the_same_until_it_changes() {
    let mut world = World::new().await;
    world.put(&[watched("n", "0xa", 1), watched("m", "0xb", 1), ControlConfig::Request(request("a", "n", 1))]).await;
    let mut follower = world.follow();
    in_time(follower.ready()).await;
    let (n, m) = (network("n"), network("m"));
    let (of_n, of_m) = (follower.watched(&n), follower.watched(&m));
    assert_eq!((of_n.len(), of_n.contains_key("0xa"), of_m.contains_key("0xb")), (1, true, true));
    assert!(Arc::ptr_eq(&follower.watched(&network("x")), &follower.watched(&network("y"))), "none is none");
    world.put(&[watched("n", "0xc", 1)]).await;
    let more = async {
        while follower.watched(&n).len() < 2 {
            follower.changed().await;
        }
    };
    in_time(more).await;
    assert!(Arc::ptr_eq(&of_m, &follower.watched(&m)), "the set of another network is untouched");
    assert_eq!(of_n.len(), 1, "who holds a set goes on with what it was");
    world.remove("watched/n/0xa", 2).await;
    world.put(&[watched("n", "0xa", 1)]).await;
    follower.up_to_now().await.expect("read");
    assert_eq!(follower.watched(&n).keys().collect::<Vec<_>>(), ["0xc"]);
    assert_eq!(follower.known().0.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_topic_nothing_is_decided() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
    let mut follower = Follower::follow(log.clone(), Arc::new(Codec::builtin()));
    in_time(follower.ready()).await;
    follower.up_to_now().await.expect("nothing to be read");
    assert!(follower.known().0.is_empty() && follower.watched(&network("n")).is_empty());
    let mut none = Follower::none();
    in_time(none.ready()).await;
    none.up_to_now().await.expect("nothing to be read");
}
