use std::time::Duration;

use bytes::Bytes;
use runtime::log::{
    NewRecord, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    TimeMs,
    codec::Record as _,
    records::{Asks, HeldRange, NetworkPartition, Wanted},
};

use super::*;

fn request(id: &str, network: &str, asked_at: i64) -> Request {
    Request {
        id: id.into(),
        network: network.parse().expect("a slug"),
        asks: Asks::Backfill { heights: HeldRange { from: 1, to: 9 }, again: false },
        wanted: Wanted::Run,
        asked_at: TimeMs(asked_at),
    }
}

fn value(request: Request) -> Bytes {
    Codec::builtin().encode(&ControlConfig::Request(request)).expect("a value")
}

const FROM_THE_FUTURE: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2];

type Raw<'a> = (Option<&'a str>, Option<&'a [u8]>, Option<&'a str>);

fn folded(records: &[Raw<'_>]) -> HashMap<Network, Wishes> {
    let (codec, mut fold) = (Codec::builtin(), Fold::default());
    for (offset, (key, value, network)) in records.iter().enumerate() {
        let record = Record {
            from: AT,
            offset: offset as u64,
            timestamp: TimeMs(0),
            key: key.map(|k| k.to_owned().into()),
            value: value.map(Bytes::copy_from_slice),
            headers: network.iter().map(|n| (names::NETWORK.into(), Bytes::copy_from_slice(n.as_bytes()))).collect(),
        };
        fold.take(&codec, &record);
    }
    fold.wishes()
}

fn ids(wishes: &HashMap<Network, Wishes>, network: &str) -> Vec<String> {
    let of = wishes.get(&network.parse::<Network>().expect("a slug"));
    of.map(|w| w.requests.iter().map(|r| r.id.clone()).collect()).unwrap_or_default()
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
    let wishes = folded(&records[..5]);
    assert_eq!((ids(&wishes, "n"), ids(&wishes, "m")), (vec!["c".into(), "a".into(), "b".into()], vec!["d".into()]));
    assert_eq!(wishes[&"n".parse().expect("a slug")].get("a").map(|r| r.wanted), Some(Wanted::Paused));
    assert_eq!(ids(&folded(&records), "n"), ["c", "a"], "what was removed is gone");
}

#[test]
fn foreign_records_count_for_nothing_and_an_unreadable_one_holds_up_its_network() {
    let (a, b) = (value(request("a", "n", 1)), value(request("b", "m", 2)));
    let partition = ControlConfig::NetworkPartition(NetworkPartition {
        network: "n".parse().expect("a slug"),
        partition: 3,
        decided_at: TimeMs(0),
    });
    let partition = Codec::builtin().encode(&partition).expect("a value");
    let good: [Raw<'_>; 2] = [(Some("request/a"), Some(&a), None), (Some("request/b"), Some(&b), None)];
    let foreign: [Raw<'_>; 7] = [
        (None, Some(b"x"), None),
        (Some("network/n"), Some(&partition), None),
        (Some("budget/n"), Some(FROM_THE_FUTURE), None),
        (Some("request/"), Some(b"x"), None),
        (Some("request/A B"), Some(&a), None),
        (Some("request/a"), Some(b"x"), None),
        (Some("request/a"), Some(&b), None),
    ];
    let wishes = folded(&[&good[..], &foreign[..]].concat());
    assert_eq!((ids(&wishes, "n"), ids(&wishes, "m")), (vec!["a".into()], vec!["b".into()]));
    assert!(wishes.values().all(|w| w.unreadable.is_none()));
    // Known from its former record, or from its header; of nobody where neither says.
    let cut = &a[..a.len() - 1];
    for (key, broken, header) in
        [("request/a", FROM_THE_FUTURE, None), ("request/a", cut, None), ("request/c", FROM_THE_FUTURE, Some("n"))]
    {
        let wishes = folded(&[&good[..], &[(Some(key), Some(broken), header)]].concat());
        let said = wishes[&"n".parse().expect("a slug")].unreadable.clone().expect("unreadable");
        assert!(said.contains("control.config [0] at offset 2") && said.contains("run that version"), "{said}");
        assert!(wishes[&"m".parse().expect("a slug")].unreadable.is_none());
        let mended = folded(&[&good[..], &[(Some(key), Some(broken), header), (Some(key), None, None)]].concat());
        assert!(mended.values().all(|w| w.unreadable.is_none()));
    }
    let nobody = folded(&[&good[..], &[(Some("request/c"), Some(FROM_THE_FUTURE), None)]].concat());
    assert!(nobody.values().all(|w| w.unreadable.is_none()));
}

#[test]
fn what_one_process_holds_is_bounded() {
    let of = |i: usize| request(&format!("r{i}"), "n", 1);
    let codec = Codec::builtin();
    let value = |i| codec.encode(&ControlConfig::Request(of(i))).expect("a value");
    let all: Vec<(String, Bytes)> = (0..limits::REQUESTS + 10).map(|i| (format!("request/r{i}"), value(i))).collect();
    let raw: Vec<Raw<'_>> = all.iter().map(|(k, v)| (Some(k.as_str()), Some(&v[..]), None)).collect();
    assert_eq!(ids(&folded(&raw), "n").len(), limits::REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_is_known_at_once_and_what_is_asked_later_soon() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
    log.ensure_topics(&[topics::CONTROL_CONFIG], 2).await.expect("topic");
    let log: Arc<dyn Log> = log;
    let mut producer = log.producer("a.command").await.expect("producer");
    let record = |request: Request| {
        let record = ControlConfig::Request(request);
        NewRecord {
            to: AT,
            key: Some(record.key().into()),
            value: Codec::builtin().encode(&record).ok(),
            headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    };
    assert!(!record(request("a", "n", 1)).headers.is_empty(), "it names its network outside its value");
    let network: Network = "n".parse().expect("a slug");
    let follow = || Requests::follow(log.clone(), Arc::new(Codec::builtin()));
    let empty = follow();
    empty.up_to_now().await.expect("an empty topic is read at once");
    producer.commit(Transaction { records: vec![record(request("a", "n", 1))], offsets: None }).await.expect("commit");
    let requests = follow();
    requests.up_to_now().await.expect("read");
    let mut wishes = requests.of(&network);
    assert_eq!(wishes.borrow().requests.len(), 1);
    let paused = Request { wanted: Wanted::Paused, ..request("a", "n", 1) };
    producer.commit(Transaction { records: vec![record(paused)], offsets: None }).await.expect("commit");
    let told = wishes.wait_for(|w| w.get("a").is_some_and(|r| r.wanted == Wanted::Paused));
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("in time").expect("followed");
    assert!(requests.of(&"m".parse().expect("a slug")).borrow().requests.is_empty());
}
