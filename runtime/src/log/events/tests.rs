//! Random histories of several networks, delivered in random portions: events come whole, in order, once; and each way of
//! breaking the contract halts the right network by the right name.

use bytes::Bytes;
use proptest::prelude::*;
use schemas::{Op, TimeMs};

use super::{assembler::*, *};

const HEADERS: Topic = "raw.blocks";
const CHILDREN: Topic = "raw.transactions";

/// An event as it is to come out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Want {
    network: usize,
    sequence: u64,
    op: Op,
    children: u32,
}

fn network(n: usize) -> Network {
    ["ethereum", "base", "polygon"][n].parse().unwrap()
}

fn record(topic: Topic, offset: u64, meta: &ChainHeaders) -> Record {
    Record {
        from: TopicPartition { topic, partition: 0 },
        offset,
        timestamp: TimeMs(0),
        key: Some(Bytes::copy_from_slice(meta.network.as_str().as_bytes())),
        value: Some(Bytes::from_static(b"never looked at")),
        headers: meta.to_pairs().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    }
}

/// The records of a history, with holes in the offsets as transaction markers leave them.
fn records(history: &[Want]) -> (Vec<Record>, Vec<Record>) {
    let (mut headers, mut children) = (Vec::new(), Vec::new());
    let (mut h, mut c) = (0, 0);
    for (i, want) in history.iter().enumerate() {
        let meta = |index, tx_count| ChainHeaders {
            network: network(want.network),
            sequence: want.sequence,
            op: want.op,
            index,
            tx_count,
            log_count: tx_count,
        };
        let announced = if want.op == Op::Apply { want.children } else { 0 };
        headers.push(record(HEADERS, h, &meta(None, Some(announced))));
        for index in 0..want.children {
            children.push(record(CHILDREN, c, &meta((want.op == Op::Apply).then_some(index), None)));
            c += 1;
        }
        h += 1;
        if i % 3 == 0 {
            (h, c) = (h + 1, c + 1);
        }
    }
    (headers, children)
}

fn history() -> impl Strategy<Value = Vec<Want>> {
    prop::collection::vec((0usize..3, 0u32..6, 0u32..20), 1..40).prop_map(|steps| {
        let mut last = [0u64; 3];
        let mut out = Vec::new();
        for (network, what, children) in steps {
            let (op, children) = match what {
                0 if last[network] > 0 => (Op::Finality, 0),
                1 if last[network] > 0 => (Op::Revert, 1),
                _ => (Op::Apply, children),
            };
            if op != Op::Finality {
                last[network] += 1;
            }
            out.push(Want { network, sequence: last[network], op, children });
        }
        out
    })
}

fn assembler(start: Start) -> Assembler {
    let mut assembler = Assembler::new(HEADERS, Some(CHILDREN));
    assembler.start(0, start);
    assembler
}

/// Everything that comes out.
fn drain(assembler: &mut Assembler) -> (Vec<Event>, Vec<(Network, Halt)>) {
    let (mut events, mut halts) = (Vec::new(), Vec::new());
    while let Some(batch) = assembler.take(3, 1000) {
        match batch {
            Batch::Events(list) => {
                assert!(!list.is_empty() && list.len() <= 3);
                events.extend(list);
            }
            Batch::Halted { network, why, .. } => halts.push((network, why)),
            other => panic!("unexpected {other:?}"),
        }
    }
    (events, halts)
}

fn outline(events: &[Event]) -> Vec<Want> {
    let number = |n: &Network| (0..3).position(|i| network(i) == *n).unwrap();
    events
        .iter()
        .map(|e| Want {
            network: number(&e.meta.network),
            sequence: e.meta.sequence,
            op: e.meta.op,
            children: e.children.len() as u32,
        })
        .collect()
}

/// Runs a history in one go.
fn run(start: Start, headers: Vec<Record>, children: Vec<Record>) -> (Vec<Want>, Vec<(Network, Halt)>) {
    let mut assembler = assembler(start);
    assembler.feed(children);
    assembler.feed(headers);
    let (events, halts) = drain(&mut assembler);
    (outline(&events), halts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn events_come_whole_in_order_and_once_however_records_arrive(
        history in history(),
        portions in prop::collection::vec((any::<bool>(), 1usize..30), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let (headers, children) = records(&history);
        let (mut h, mut c) = (headers.clone(), children.clone());
        let mut first = assembler(Start::Beginning);
        let mut events = Vec::new();
        for (which, count) in portions.into_iter().chain([(true, 10_000), (false, 10_000)]) {
            let from = if which { &mut h } else { &mut c };
            let rest = from.split_off(count.min(from.len()));
            first.feed(std::mem::replace(from, rest));
            let (more, halts) = drain(&mut first);
            prop_assert_eq!(halts, vec![]);
            events.extend(more);
        }
        prop_assert_eq!(outline(&events), history.clone());
        for event in &events {
            prop_assert!(event.children.iter().all(|c| c.header("sequence") == event.header.header("sequence") && c.key == event.header.key));
            prop_assert!(event.children.windows(2).all(|w| w[0].offset < w[1].offset));
        }

        // From the positions behind any event the rest comes, as if nothing had happened.
        let cut = cut.index(events.len());
        let at: std::collections::HashMap<_, _> = offsets_after(&events[..=cut]).into_iter().collect();
        let next = |topic| at.get(&TopicPartition { topic, partition: 0 }).copied().unwrap_or(0);
        let rest = |all: &[Record], topic| all.iter().filter(|r| r.offset >= next(topic)).cloned().collect::<Vec<_>>();
        let (again, halts) = run(Start::Committed, rest(&headers, HEADERS), rest(&children, CHILDREN));
        prop_assert_eq!(halts, vec![]);
        prop_assert_eq!(again, history[cut + 1..].to_vec());
    }

    #[test]
    fn a_missing_header_halts_its_network_and_no_other(history in history(), which in any::<prop::sample::Index>()) {
        let (mut headers, children) = records(&history);
        let which = which.index(headers.len());
        prop_assume!(history[which].op != Op::Finality);
        headers.remove(which);
        let gone = &history[which];
        let (events, halts) = run(Start::Beginning, headers, children);
        for n in (0..3).filter(|n| *n != gone.network) {
            let of = |list: &[Want]| list.iter().filter(|w| w.network == n).cloned().collect::<Vec<_>>();
            prop_assert_eq!(of(&events), of(&history), "network {} is not concerned", n);
        }
        let kept: Vec<_> = history.iter().filter(|w| w.network == gone.network && (w.sequence < gone.sequence)).cloned().collect();
        let mine: Vec<_> = events.iter().filter(|w| w.network == gone.network).cloned().collect();
        prop_assert_eq!(&mine[..kept.len()], &kept[..], "all before it");
        prop_assert_eq!(mine.len(), kept.len(), "and nothing behind it");
        prop_assert!(halts.len() <= 1 && halts.iter().all(|(n, _)| *n == network(gone.network)), "{:?}", halts);
        let later = history[which + 1..].iter().any(|w| w.network == gone.network);
        prop_assert!(halts.len() == 1 || !later, "{:?}", halts);
    }

    #[test]
    fn reading_from_any_pair_of_ends_begins_with_a_whole_event(history in history(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        // The end of the children is taken first, so it lies at or before the end of the headers.
        let (headers, children) = records(&history);
        let (a, b) = (a.index(history.len() + 1), b.index(history.len() + 1));
        let (c, h) = (a.min(b), a.max(b));
        let skipped: u32 = history[..c].iter().map(|w| w.children).sum();
        let (events, halts) = run(Start::Anywhere, headers[h..].to_vec(), children[skipped as usize..].to_vec());
        prop_assert_eq!(halts, vec![]);
        prop_assert_eq!(events, history[h..].to_vec());
    }
}

#[test]
fn a_partition_that_stands_keeps_nobody_and_goes_on_where_it_was() {
    let history: Vec<Want> =
        (1..=6).map(|sequence| Want { network: 0, sequence, op: Op::Apply, children: 1 }).collect();
    let of = |partition: u32, range: std::ops::Range<usize>| -> Vec<Record> {
        let (headers, children) = records(&history);
        let both = children[range.clone()].iter().chain(&headers[range]).cloned();
        both.map(|record| Record { from: TopicPartition { partition, ..record.from }, ..record }).collect()
    };
    let mut assembler = assembler(Start::Beginning);
    assembler.start(1, Start::Beginning);
    for partition in [0, 1] {
        assembler.feed(of(partition, 0..3));
    }
    let paused = assembler.stand(0);
    assert_eq!(paused.iter().map(|at| at.partition).collect::<Vec<_>>(), [0, 0], "both of its topics");
    // What was on its way.
    for partition in [0, 1] {
        assembler.feed(of(partition, 3..6));
    }
    let came = |assembler: &mut Assembler| -> Vec<(u32, u64)> {
        drain(assembler).0.iter().map(|event| (event.partition, event.meta.sequence)).collect()
    };
    let all = |partition: u32| (1..=6).map(|sequence| (partition, sequence)).collect::<Vec<_>>();
    assert_eq!(came(&mut assembler), all(1));
    assert!(assembler.open().iter().all(|at| at.partition == 1), "it is not touched while it stands");
    assert_eq!(assembler.go(0).len(), 2);
    assert_eq!(came(&mut assembler), all(0));
}

/// Children of many partitions run ahead of their headers, as after a long absence: what waits is bounded over all of them, and
/// everything comes out all the same.
#[test]
fn what_waits_is_bounded_over_all_partitions() {
    use schemas::limits::{EVENTS_BYTES, EVENTS_OWN_BYTES};
    const PARTITIONS: u32 = 300;
    const EACH: u32 = 400;
    const AT_ONCE: usize = 50;
    static VALUE: [u8; 4 << 10] = [7; 4 << 10];
    let mut assembler = Assembler::new(HEADERS, Some(CHILDREN));
    let (mut headers, mut children) = (Vec::new(), Vec::new());
    for partition in 0..PARTITIONS {
        assembler.start(partition, Start::Beginning);
        let (mut h, mut c) = records(&[apply(0, 1, EACH)]);
        h.iter_mut().chain(&mut c).for_each(|r| r.from.partition = partition);
        c.iter_mut().for_each(|r| r.value = Some(Bytes::from_static(&VALUE)));
        headers.push(h);
        children.push(c);
    }
    let mut paused = std::collections::HashSet::new();
    let (mut held, mut most, mut out) = (0, 0, 0);
    while out < PARTITIONS {
        let mut came = Vec::new();
        for partition in (0..PARTITIONS).filter(|n| !paused.contains(&(CHILDREN, *n))) {
            let of = &mut children[partition as usize];
            came.extend(of.drain(..AT_ONCE.min(of.len())));
        }
        if came.is_empty() {
            let next =
                headers.iter_mut().find(|h| !h.is_empty()).expect("nothing comes any more, and not all came out");
            assert!(!paused.contains(&(HEADERS, next[0].from.partition)));
            came.append(next);
        }
        held += came.len();
        most = most.max(held);
        assembler.feed(came);
        while let Some(Batch::Events(events)) = assembler.take(10, usize::MAX) {
            out += events.len() as u32;
            held -= events.iter().map(|e| 1 + e.children.len()).sum::<usize>();
        }
        for flow in assembler.flow() {
            match flow {
                Flow::Pause(at) => paused.insert((at.topic, at.partition)),
                Flow::Resume(at) => paused.remove(&(at.topic, at.partition)),
            };
        }
    }
    let bound = EVENTS_BYTES + PARTITIONS as usize * (EVENTS_OWN_BYTES.max(AT_ONCE * VALUE.len()) + (64 << 10));
    assert!(most * VALUE.len() < bound, "{} MiB were held", (most * VALUE.len()) >> 20);
    assert!(most * VALUE.len() > EVENTS_BYTES, "the bound was reached");
}

fn apply(network: usize, sequence: u64, children: u32) -> Want {
    Want { network, sequence, op: Op::Apply, children }
}

fn halt_of(
    start: Start,
    history: &[Want],
    change: impl Fn(&mut Vec<Record>, &mut Vec<Record>),
) -> (Vec<u64>, Vec<Halt>) {
    let (mut headers, mut children) = records(history);
    change(&mut headers, &mut children);
    let (events, halts) = run(start, headers, children);
    (
        events.iter().filter(|w| w.network == 0).map(|w| w.sequence).collect(),
        halts
            .into_iter()
            .map(|(n, h)| {
                assert_eq!(n, network(0));
                h
            })
            .collect(),
    )
}

#[test]
fn each_broken_contract_has_its_name() {
    let history = [apply(0, 1, 2), apply(1, 1, 1), apply(0, 2, 3), apply(1, 2, 0), apply(0, 3, 1), apply(1, 3, 2)];
    let of = |start, change: fn(&mut Vec<Record>, &mut Vec<Record>)| halt_of(start, &history, change);
    let fine: (Vec<u64>, Vec<Halt>) = (vec![1, 2, 3], vec![]);
    assert_eq!(of(Start::Beginning, |_, _| {}), fine);
    // A header is missing: its children stand where another event's are to come, and the next sequence is one too many.
    assert_eq!(of(Start::Beginning, |h, _| drop(h.remove(2))), (vec![1], vec![Halt::Gap { expected: 2, found: 3 }]));
    assert_eq!(of(Start::Committed, |h, _| drop(h.remove(2))), (vec![1], vec![Halt::Gap { expected: 2, found: 3 }]));
    // A header comes twice.
    assert_eq!(
        of(Start::Beginning, |h, _| h.insert(3, h[2].clone())),
        (vec![1, 2], vec![Halt::Again { expected: 3, found: 2 }])
    );
    // A child is missing, the first, the last, all.
    let fewer = |found| vec![Halt::FewerChildren { sequence: 2, announced: 3, found }];
    assert_eq!(of(Start::Beginning, |_, c| drop(c.remove(3))), (vec![1], fewer(2)));
    assert_eq!(of(Start::Beginning, |_, c| drop(c.remove(5))), (vec![1], fewer(2)));
    assert_eq!(of(Start::Beginning, |_, c| drop(c.drain(3..6))), (vec![1], fewer(0)));
    // A child is too many.
    assert_eq!(
        of(Start::Beginning, |_, c| c.insert(5, c[4].clone())),
        (vec![1, 2], vec![Halt::MoreChildren { sequence: 2 }])
    );
    // Headers that cannot be read.
    let (events, halts) = of(Start::Beginning, |h, _| h[2].headers.retain(|(n, _)| &**n != "sequence"));
    assert_eq!((events, halts), (vec![1], vec![Halt::BadHeaders { name: "sequence", problem: "missing" }]));
    let (_, halts) = of(Start::Beginning, |h, _| h[2].headers.retain(|(n, _)| &**n != "tx_count"));
    assert_eq!(halts, [Halt::BadHeaders { name: "tx_count", problem: "missing" }]);
}

#[test]
fn what_another_program_wrote_is_handed_on_with_the_next_event() {
    let (mut headers, mut children) = records(&[apply(0, 1, 2), apply(1, 1, 1), apply(0, 2, 3), apply(1, 2, 0)]);
    // Among an event's children, among headers, at the end; with a key that looks like a network or without.
    let foreign = |topic, offset, key: Option<&'static str>| Record {
        key: key.map(Bytes::from),
        headers: Vec::new(),
        ..record(topic, offset, &ChainHeaders::parse(|name| children[0].header(name)).unwrap())
    };
    let strange = [
        foreign(CHILDREN, 1_000, Some("ethereum")),
        foreign(HEADERS, 1_001, None),
        foreign(HEADERS, 1_002, Some("ethereum")),
    ];
    children.insert(1, strange[0].clone());
    headers.insert(1, strange[1].clone());
    headers.push(strange[2].clone());
    let mut assembler = Assembler::new(HEADERS, Some(CHILDREN));
    assembler.start(0, Start::Beginning);
    assembler.feed(headers);
    assembler.feed(children);
    let Some(Batch::Events(events)) = assembler.take(100, usize::MAX) else { panic!("events") };
    assert_eq!(events.iter().map(|e| e.meta.sequence).collect::<Vec<_>>(), [1, 1, 2, 2], "nothing is halted");
    let found: Vec<u64> = events.iter().flat_map(|e| e.foreign.iter().map(|(r, _)| r.offset)).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(assembler.take(100, usize::MAX).is_none());
}

#[test]
fn what_retention_removed_is_named_and_not_skipped() {
    let history = [apply(0, 1, 2), apply(1, 1, 1), apply(0, 2, 3), apply(0, 3, 1)];
    let of = |start, change: fn(&mut Vec<Record>, &mut Vec<Record>)| halt_of(start, &history, change);
    // Without a position, sequence 1 is expected: the first event of network 0 is gone, network 1 goes on.
    let gone = |h: &mut Vec<Record>, c: &mut Vec<Record>| {
        h.remove(0);
        c.drain(..2);
    };
    assert_eq!(of(Start::Beginning, gone), (vec![], vec![Halt::Overtaken { expected: Some(1), found: 2 }]));
    // At a committed position the same records are simply what comes next.
    assert_eq!(of(Start::Committed, gone), (vec![2, 3], vec![]));
    // After a loss a network that is not known continues nothing.
    assert_eq!(of(Start::AfterLoss, gone), (vec![], vec![Halt::Overtaken { expected: None, found: 2 }]));
    // Only the children of the first event are gone.
    assert_eq!(
        of(Start::Beginning, |_, c| drop(c.drain(..2))),
        (vec![], vec![Halt::Overtaken { expected: Some(1), found: 2 }])
    );
    // What the stage knows beats what the position suggests.
    let mut assembler = assembler(Start::Committed);
    assembler.expect(0, &network(0), 2);
    let (headers, children) = records(&history);
    assembler.feed(headers[2..].to_vec());
    assembler.feed(children[3..].to_vec());
    assert_eq!(outline(&drain(&mut assembler).0), history[2..]);
    let mut assembler = super::tests::assembler(Start::Committed);
    assembler.expect(0, &network(0), 7);
    assembler.feed(headers);
    assembler.feed(children);
    assert_eq!(drain(&mut assembler).1, [(network(0), Halt::Again { expected: 7, found: 1 })]);
}

#[test]
fn the_topic_that_runs_ahead_is_paused_and_an_event_is_always_whole() {
    let history: Vec<_> = (1..=5).map(|s| apply(0, s, BUFFER_RECORDS as u32 / 2)).collect();
    let (headers, children) = records(&history);
    let at = |topic| TopicPartition { topic, partition: 0 };
    let mut assembler = assembler(Start::Beginning);
    assembler.feed(children[..BUFFER_RECORDS].to_vec());
    assert_eq!(assembler.flow(), [Flow::Pause(at(CHILDREN))]);
    assert_eq!(assembler.flow(), [], "told once");
    assembler.feed(headers[..2].to_vec());
    assert_eq!(drain(&mut assembler).0.len(), 2);
    assert_eq!(assembler.flow(), [Flow::Resume(at(CHILDREN))]);
    // An event of more children than the buffer holds must not lock itself out.
    let large = [apply(0, 1, 2 * BUFFER_RECORDS as u32)];
    let (headers, children) = records(&large);
    let mut assembler = super::tests::assembler(Start::Beginning);
    assembler.feed(children[..BUFFER_RECORDS].to_vec());
    assert_eq!(assembler.flow(), [Flow::Pause(at(CHILDREN))]);
    assembler.feed(headers);
    assert_eq!(assembler.flow(), [Flow::Resume(at(CHILDREN))]);
    assembler.feed(children[BUFFER_RECORDS..].to_vec());
    assert_eq!(outline(&drain(&mut assembler).0), large);
}

#[test]
fn a_partition_counts_only_when_all_its_topics_are_held() {
    let mut assembler = Assembler::new(HEADERS, Some(CHILDREN));
    let at = |topic, partition| TopicPartition { topic, partition };
    let whole = assembler.assign(&[(at(HEADERS, 0), Some(5)), (at(CHILDREN, 0), None), (at(HEADERS, 1), None)]);
    assert_eq!(whole, [Assigned { partition: 0, has_position: true }]);
    assert_eq!(assembler.flow(), [Flow::Pause(at(HEADERS, 1))]);
    assert_eq!(assembler.revoke(&[at(HEADERS, 0), at(CHILDREN, 0), at(HEADERS, 1)]), [0]);
    assembler.feed(records(&[apply(0, 1, 0)]).0);
    assert!(assembler.take(10, 10).is_none(), "nothing of what is not held");
}

mod with_the_log {
    use std::sync::Arc;

    use schemas::topics;

    use super::*;
    use crate::log::{
        NewRecord, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
    };

    async fn write(log: &EmbeddedLog, history: &[Want]) {
        let mut producer = log.producer("ingest").await.unwrap();
        for event in history {
            let (headers, children) = records(std::slice::from_ref(event));
            let records = headers.into_iter().chain(children);
            let records =
                records.map(|r| NewRecord { to: r.from, key: r.key, value: r.value, headers: r.headers }).collect();
            producer.commit(Transaction { records, offsets: None }).await.unwrap();
        }
    }

    async fn open(dir: &std::path::Path) -> Arc<EmbeddedLog> {
        let log =
            EmbeddedLog::open(EmbeddedConfig { min_free_bytes: 1 << 20, ..EmbeddedConfig::new(dir) }).await.unwrap();
        log.ensure_topics(&[topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS], 2).await.unwrap();
        log
    }

    const WAIT: Duration = Duration::from_secs(5);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stage_that_starts_again_goes_on_behind_what_it_committed() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path()).await;
        let history: Vec<_> = (1..=40u64).map(|s| apply(s as usize % 2, s.div_ceil(2), s as u32 % 7)).collect();
        write(&log, &history).await;
        let mut seen = Vec::new();
        while seen.len() < history.len() {
            let consumer = log.consumer("enrich", "one", &[HEADERS, CHILDREN]).await.unwrap();
            let mut events = EventConsumer::new(consumer, HEADERS, Some(CHILDREN));
            let Batch::Assigned(list) = events.next(1, 1, WAIT).await.unwrap() else { panic!("assignment first") };
            assert_eq!(
                list.iter().map(|a| a.has_position).collect::<Vec<_>>(),
                [!seen.is_empty(), false],
                "only partition 0 is used"
            );
            let Batch::Events(list) = events.next(7, 1 << 20, WAIT).await.unwrap() else { panic!("events") };
            assert!(!list.is_empty() && list.len() <= 7);
            events.commit(offsets_after(&list)).await.unwrap();
            seen.extend(outline(&list));
            // Worked up but not committed: comes again.
            let _ = events.next(7, 1 << 20, Duration::ZERO).await.unwrap();
        }
        assert_eq!(seen, history);
        log.close().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_stands_by_takes_nothing_and_gives_up_what_the_group_wants() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path()).await;
        let history: Vec<_> = (1..=20u64).map(|s| apply(0, s, 3)).collect();
        write(&log, &history[..10]).await;
        let join = async |instance| {
            let consumer = log.consumer("sink", instance, &[HEADERS, CHILDREN]).await.unwrap();
            EventConsumer::new(consumer, HEADERS, Some(CHILDREN))
        };
        let mut events = join("one").await;
        assert!(matches!(events.next(1, 1, WAIT).await.unwrap(), Batch::Assigned(_)));
        let Batch::Events(mut list) = events.next(4, 1 << 20, WAIT).await.unwrap() else { panic!("events") };
        // For as long as it stands by nothing comes, and afterwards everything, each once.
        write(&log, &history[10..]).await;
        for _ in 0..5 {
            assert!(events.hold(Duration::from_millis(50)).await.unwrap().is_none());
        }
        while list.len() < history.len() {
            let Batch::Events(more) = events.next(7, 1 << 20, WAIT).await.unwrap() else { panic!("events") };
            assert!(!more.is_empty(), "in time");
            list.extend(more);
        }
        assert_eq!(outline(&list), history);
        // Another member joins meanwhile: the group is not left waiting.
        events.hold(Duration::from_millis(50)).await.unwrap();
        let mut other = join("two").await;
        let shared = async {
            while !matches!(events.hold(Duration::from_millis(50)).await.unwrap(), Some(Batch::Assigned(_))) {}
        };
        let joined = async { while !matches!(other.next(1, 1, WAIT).await.unwrap(), Batch::Assigned(_)) {} };
        tokio::time::timeout(WAIT, async { tokio::join!(shared, joined) }).await.expect("a rebalance");
        log.close().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_from_the_end_sees_what_comes_from_now_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path()).await;
        write(&log, &[apply(0, 1, 3), apply(0, 2, 4)]).await;
        let mut reader = EventReader::from_end(&*log, HEADERS, Some(CHILDREN)).await.unwrap();
        let later = [apply(0, 3, 5), apply(0, 4, 0)];
        write(&log, &later).await;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let Batch::Events(list) = reader.next(10, 1 << 20, WAIT).await.unwrap() else { panic!("events") };
            assert!(!list.is_empty(), "in time");
            seen.extend(outline(&list));
        }
        assert_eq!(seen, later);
        assert!(
            matches!(reader.next(10, 1 << 20, Duration::from_millis(20)).await.unwrap(), Batch::Events(list) if list.is_empty())
        );
        log.close().await.unwrap();
    }
}

/// Without a position, and with an output that ends somewhere: what lies before that is passed over, whatever retention has left.
#[test]
fn what_was_worked_up_before_is_passed_over() {
    let all: Vec<Want> = (1..=9).map(|sequence| apply(0, sequence, 2)).collect();
    for oldest in 0..7 {
        let mut assembler = assembler(Start::Beginning);
        assembler.resume(0, &network(0), 6);
        // Retention has not left the same of both topics: but for what is still to come.
        let (headers, _) = records(&all[oldest..]);
        let (_, children) = records(&all[(oldest + 2).min(6)..]);
        assembler.feed(headers);
        assembler.feed(children);
        let (events, halts) = drain(&mut assembler);
        let sequences: Vec<u64> = events.iter().map(|e| e.meta.sequence).collect();
        let first = if oldest + 2 <= 5 { 6 } else { 7 };
        match (first, oldest) {
            // The event that the output ends with has lost its children, and with them the network its place.
            (7, 4 | 5) => assert!(matches!(halts[..], [(_, Halt::Overtaken { .. })]), "{oldest}: {halts:?}"),
            _ => assert_eq!((sequences, halts), ((first..=9).collect(), vec![]), "{oldest}"),
        }
    }
    // What was to come next is gone.
    let mut assembler = assembler(Start::Beginning);
    assembler.resume(0, &network(0), 6);
    let (headers, children) = records(&all[7..]);
    assembler.feed(headers);
    assembler.feed(children);
    let (events, halts) = drain(&mut assembler);
    assert_eq!((events.len(), halts), (0, vec![(network(0), Halt::Overtaken { expected: Some(7), found: 8 })]));
}

/// A log in a temporary folder with a history on its first partition, of whose topics so many records are gone.
async fn log_with(
    history: &[Want],
    gone: (usize, usize),
) -> (tempfile::TempDir, std::sync::Arc<crate::log::embedded::EmbeddedLog>) {
    use crate::log::{NewRecord, Transaction, embedded};
    let dir = tempfile::tempdir().expect("a folder");
    let log = embedded::EmbeddedLog::open(embedded::EmbeddedConfig::new(dir.path())).await.expect("a log");
    log.ensure_topics(&[schemas::topics::RAW_BLOCKS, schemas::topics::RAW_TRANSACTIONS], 1).await.expect("topics");
    let (headers, children) = records(history);
    let new = |r: Record| NewRecord { to: r.from, key: r.key, value: r.value, headers: r.headers };
    let records = headers.into_iter().skip(gone.0).chain(children.into_iter().skip(gone.1)).map(new).collect();
    let mut producer = log.producer("p").await.expect("a producer");
    producer.commit(Transaction { records, offsets: None }).await.expect("a commit");
    (dir, log)
}

/// Everything that a reader of one network brings until nothing more comes: sequence and children, and how it ended.
async fn read_alone(log: &dyn Log, n: usize, from: u64) -> (Vec<(u64, usize)>, Option<Halt>) {
    let mut reader = NetworkReader::open(log, (HEADERS, CHILDREN), 0, &network(n), from).await.expect("a reader");
    let mut seen = Vec::new();
    loop {
        match reader.next(3, 1 << 20, Duration::from_millis(500)).await.expect("an answer") {
            Batch::Events(events) if events.is_empty() => return (seen, None),
            Batch::Events(events) => {
                assert!(
                    events
                        .iter()
                        .all(|e| e.meta.network == network(n) && e.next.is_empty() == (e.meta.sequence < from))
                );
                seen.extend(events.iter().map(|e| (e.meta.sequence, e.children.len())));
            }
            Batch::Halted { network: halted, why, .. } => {
                assert_eq!(halted, network(n));
                return (seen, Some(why));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_network_is_read_again_by_itself() {
    let want = |network, sequence, children| Want { network, sequence, op: Op::Apply, children };
    // The second network's children have no header any more, the third one's headers break the contract.
    let history = [
        want(0, 1, 2),
        want(1, 1, 3),
        want(0, 2, 0),
        want(2, 7, 1),
        want(2, 5, 1),
        want(0, 3, 1),
        want(1, 2, 1),
        Want { network: 0, sequence: 3, op: Op::Finality, children: 0 },
        Want { network: 0, sequence: 4, op: Op::Revert, children: 1 },
    ];
    let (_dir, log) = log_with(&history, (0, 0)).await;
    assert_eq!(read_alone(&*log, 0, 1).await, (vec![(1, 2), (2, 0), (3, 1), (4, 1)], None));
    assert_eq!(read_alone(&*log, 0, 3).await, (vec![(1, 0), (2, 0), (3, 1), (4, 1)], None));
    // What is to come is not there any more, or was never there.
    let (seen, halted) = read_alone(&*log, 2, 4).await;
    assert!(seen.is_empty() && matches!(halted, Some(Halt::Gap { expected: 4, found: 7 })), "{halted:?}");
    assert_eq!(read_alone(&*log, 1, 3).await, (vec![(1, 0), (2, 0)], None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_cut_unevenly_is_read_from_where_both_topics_have_it() {
    let want = |network, sequence| Want { network, sequence, op: Op::Apply, children: 2 };
    let history: Vec<Want> = (1..=6).flat_map(|s| [want(0, s), want(1, s)]).collect();
    // Children up to sequence 3 of both networks are gone, headers up to 2.
    let (_dir, log) = log_with(&history, (4, 12)).await;
    assert_eq!(read_alone(&*log, 0, 4).await, (vec![(3, 0), (4, 2), (5, 2), (6, 2)], None));
    let (seen, halted) = read_alone(&*log, 0, 3).await;
    assert!(seen.is_empty() && matches!(halted, Some(Halt::Overtaken { .. })), "{seen:?} {halted:?}");
}
