//! Cases about groups: assignment, positions, fencing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    super::{Consumer, LogErrorKind, Polled, Producer, Record, Topic, TopicPartition, Transaction},
    kit::{DEADLINE, Kit, PARTITIONS, Seen, at, commit, limits, record, text, transaction},
};

async fn assigned(consumer: &mut dyn Consumer, count: usize) -> Seen {
    let mut seen = Seen::default();
    seen.until(consumer, "assigned", |s| s.held.len() == count).await;
    seen
}

/// Positions sent in a transaction are there with its records, and not otherwise; the next member goes on behind them.
pub async fn offsets_inside_transactions(kit: &Kit<'_>) {
    let (input, output) = (kit.topic("in").await, kit.topic("out").await);
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, (0..10).map(|i| record(at(input, 0), "k", format!("{i}"))).collect()).await;
    {
        let mut consumer = kit.consumer("g", "i", &[input]).await;
        let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
        assert_eq!(seen.held[&at(input, 0)], None, "no position yet");
        seen.until(&mut *consumer, "records", |s| s.records.len() == 10).await;
        let next = seen.records[3].offset + 1;
        let refused = Transaction {
            records: vec![record(at(output, PARTITIONS), "k", "no such partition")],
            offsets: Some((consumer.group(), vec![(at(input, 0), seen.records[8].offset + 1)])),
        };
        assert!(producer.commit(refused).await.unwrap_err().nothing_written());
        let done = Transaction {
            records: vec![record(at(output, 1), "k", "0-3")],
            offsets: Some((consumer.group(), vec![(at(input, 0), next)])),
        };
        producer.commit(done).await.expect("commit");
    }
    let mut consumer = kit.consumer("g", "i", &[input]).await;
    let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
    seen.until(&mut *consumer, "the rest", |s| s.records.len() == 6).await;
    assert_eq!(seen.values(at(input, 0)), ["4", "5", "6", "7", "8", "9"]);
    assert_eq!(kit.values(at(output, 1), 1).await, ["0-3"]);
}

/// Positions without a transaction are stored when `commit` returns.
pub async fn positions_without_a_transaction(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, (0..5).map(|i| record(at(topic, 1), "k", format!("{i}"))).collect()).await;
    let mut consumer = kit.consumer("g", "i", &[topic]).await;
    let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
    seen.until(&mut *consumer, "records", |s| s.records.len() == 5).await;
    let next = seen.records[1].offset + 1;
    consumer.commit(vec![(at(topic, 1), next)]).await.expect("commit");
    drop(consumer);
    let mut consumer = kit.consumer("g", "i", &[topic]).await;
    let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
    assert_eq!(seen.held[&at(topic, 1)], Some(next));
    seen.until(&mut *consumer, "the rest", |s| s.records.len() == 3).await;
    assert_eq!(seen.values(at(topic, 1)), ["2", "3", "4"]);
}

/// A member of a former generation can store nothing: neither in a transaction nor alone.
pub async fn fenced_by_generation(kit: &Kit<'_>) {
    let (input, output) = (kit.topic("in").await, kit.topic("out").await);
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, vec![record(at(input, 0), "k", "1")]).await;
    let mut first = kit.consumer("g", "a", &[input]).await;
    let mut seen = assigned(&mut *first, PARTITIONS as usize).await;
    let old = first.group();
    // A second member joins: both poll until each has its share.
    let mut second = kit.consumer("g", "b", &[input]).await;
    let mut other = Seen::default();
    let started = Instant::now();
    while seen.held.len() != 2 || other.held.len() != 2 {
        assert!(started.elapsed() < DEADLINE, "no rebalance: {:?} {:?}", seen.held, other.held);
        seen.poll(&mut *first, 50).await.expect("poll");
        other.poll(&mut *second, 50).await.expect("poll");
    }
    let zombie = || Transaction {
        records: vec![record(at(output, 0), "k", "zombie")],
        offsets: Some((old.clone(), vec![(at(input, 0), 1)])),
    };
    let mut e = producer.commit(zombie()).await.unwrap_err();
    if e.kind == LogErrorKind::Indefinite {
        // A busy broker did not answer in time. Who tries again is told.
        producer = kit.producer("p").await;
        e = producer.commit(zombie()).await.unwrap_err();
    }
    assert_eq!(e.kind, LogErrorKind::Fenced, "{e}");
    assert!(kit.values(at(output, 0), 0).await.is_empty());
    let lag = kit.log().lag(&kit.name("g"), &[input]).await.expect("lag");
    assert!(lag.iter().all(|l| l.position.is_none()), "{lag:?}");
    // With the present generation it works, with a producer made anew.
    let mut producer = kit.producer("p").await;
    let held = *seen.held.keys().min().expect("held");
    let fine = Transaction {
        records: vec![record(at(output, 0), "k", "fine")],
        offsets: Some((first.group(), vec![(held, 0)])),
    };
    producer.commit(fine).await.expect("commit");
    assert_eq!(kit.values(at(output, 0), 1).await, ["fine"]);
}

fn partitions_of(seen: &Seen, topic: &str) -> BTreeSet<u32> {
    seen.held.keys().filter(|p| p.topic == topic).map(|p| p.partition).collect()
}

/// With one to three members, coming and going, partition n of all topics is in one hand, and every partition in one.
pub async fn partitions_of_all_topics_in_one_hand(kit: &Kit<'_>) {
    let (a, b) = (kit.topic("a").await, kit.topic("b").await);
    let mut members: Vec<(Box<dyn Consumer>, Seen)> = Vec::new();
    for step in ["join", "join", "join", "leave", "join", "leave", "leave"] {
        if step == "join" {
            let instance = format!("i{}", members.len());
            members.push((kit.consumer("g", &instance, &[a, b]).await, Seen::default()));
        } else {
            members.pop();
        }
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < DEADLINE, "no assignment for {} members", members.len());
            for (consumer, seen) in &mut members {
                seen.poll(&mut **consumer, 50).await.expect("poll");
            }
            let all: Vec<TopicPartition> = members.iter().flat_map(|(_, s)| s.held.keys().copied()).collect();
            let even = members.iter().all(|(_, s)| s.held.len() >= 2 * (PARTITIONS as usize / members.len()));
            if all.len() == 2 * PARTITIONS as usize && even {
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "held twice");
                break;
            }
        }
        for (_, seen) in &members {
            assert_eq!(partitions_of(seen, a), partitions_of(seen, b));
        }
    }
}

/// A process that comes back under its instance name takes its place; its former self is out.
pub async fn same_instance_replaces_its_former_self(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut former = kit.consumer("g", "i", &[topic]).await;
    let mut seen = assigned(&mut *former, PARTITIONS as usize).await;
    let old = former.group();
    let mut present = kit.consumer("g", "i", &[topic]).await;
    let _ = assigned(&mut *present, PARTITIONS as usize).await;
    let started = Instant::now();
    let e = loop {
        assert!(started.elapsed() < DEADLINE, "the former self polls on");
        if let Err(e) = seen.poll(&mut *former, 100).await {
            break e;
        }
    };
    assert_eq!(e.kind, LogErrorKind::Fenced, "{e}");
    let mut producer = kit.producer("p").await;
    let zombie = Transaction {
        records: vec![record(at(topic, 0), "k", "zombie")],
        offsets: Some((old, vec![(at(topic, 0), 1)])),
    };
    assert_eq!(producer.commit(zombie).await.unwrap_err().kind, LogErrorKind::Fenced);
    assert!(kit.values(at(topic, 0), 0).await.is_empty());
}

/// A paused partition delivers nothing and loses nothing; a seek moves the place, back as well.
pub async fn pause_resume_seek(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let (one, two) = (at(topic, 0), at(topic, 1));
    let mut producer = kit.producer("p").await;
    let mut consumer = kit.consumer("g", "i", &[topic]).await;
    let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
    consumer.pause(&[one]).expect("pause");
    let records =
        (0..10).flat_map(|i| [record(one, "k", format!("a{i}")), record(two, "k", format!("b{i}"))]).collect();
    commit(&mut *producer, records).await;
    seen.until(&mut *consumer, "the other partition", |s| s.values(two).len() == 10).await;
    for _ in 0..3 {
        seen.poll(&mut *consumer, 50).await.expect("poll");
    }
    assert!(seen.values(one).is_empty(), "paused, but {:?}", seen.values(one));
    consumer.resume(&[one]).expect("resume");
    seen.until(&mut *consumer, "what was paused", |s| s.values(one).len() == 10).await;
    let wanted: Vec<_> = (0..10).map(|i| format!("a{i}")).collect();
    assert_eq!(seen.values(one), wanted);
    let back = seen.records.iter().find(|r| r.from == one && text(r) == "a7").expect("a7").offset;
    seen.records.clear();
    consumer.seek(one, back).await.expect("seek");
    seen.until(&mut *consumer, "again from the seek", |s| s.values(one).len() == 3).await;
    assert_eq!(seen.values(one), ["a7", "a8", "a9"]);
    assert!(seen.values(two).is_empty(), "the other partition stays where it was");
}

/// Lag is the distance from the position to the end; a group without position is behind by all there is.
pub async fn lag_is_what_is_left(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, (0..8).map(|i| record(at(topic, 0), "k", format!("{i}"))).collect()).await;
    let group = kit.name("g");
    let lag = kit.log().lag(&group, &[topic]).await.expect("lag");
    assert_eq!(lag.len(), PARTITIONS as usize);
    let of = |lag: &[super::super::Lag]| *lag.iter().find(|l| l.at == at(topic, 0)).expect("partition 0");
    assert!(of(&lag).position.is_none() && of(&lag).offsets() >= 8);
    assert!(lag.iter().filter(|l| l.at != at(topic, 0)).all(|l| l.offsets() == 0));
    let mut consumer = kit.consumer("g", "i", &[topic]).await;
    let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
    seen.until(&mut *consumer, "records", |s| s.records.len() == 8).await;
    consumer.commit(vec![(at(topic, 0), seen.records[5].offset + 1)]).await.expect("commit");
    let before = of(&lag).offsets();
    let lag = kit.log().lag(&group, &[topic]).await.expect("lag");
    assert_eq!(of(&lag).position, Some(seen.records[5].offset + 1));
    assert!((2..before).contains(&of(&lag).offsets()), "{lag:?}");
}

/// A stage that is killed and started again and again between its commits copies every record once, in order.
pub async fn consume_process_produce_is_exactly_once(kit: &Kit<'_>) {
    let (input, output) = (kit.topic("in").await, kit.topic("out").await);
    let place = at(input, 0);
    let mut feeder = kit.producer("feeder").await;
    commit(&mut *feeder, (0..200).map(|i| record(place, "k", format!("{i}"))).collect()).await;
    let started = Instant::now();
    let mut life = 0;
    loop {
        assert!(started.elapsed() < 2 * DEADLINE, "not done after {life} lives");
        let mut producer = kit.producer("stage").await;
        let mut consumer = kit.consumer("g", "stage", &[input]).await;
        let mut seen = assigned(&mut *consumer, PARTITIONS as usize).await;
        let mut idle = 0;
        for round in 0..4 {
            seen.records.clear();
            while seen.records.is_empty() && idle < 3 {
                match consumer.poll(limits(17, 300)).await.expect("poll") {
                    Polled::Records(records) if records.is_empty() => idle += 1,
                    Polled::Records(records) => seen.records = records,
                    other => panic!("unexpected {other:?}"),
                }
            }
            let Some(last) = seen.records.last() else { break };
            if round == 3 {
                break; // killed with work in hand
            }
            let done = Transaction {
                records: seen.records.iter().map(|r| record(at(output, 0), "k", text(r))).collect(),
                offsets: Some((consumer.group(), vec![(place, last.offset + 1)])),
            };
            producer.commit(done).await.expect("commit");
        }
        life += 1;
        if idle >= 3 {
            break;
        }
    }
    assert_eq!(kit.values(at(output, 0), 200).await, (0..200).map(|i| i.to_string()).collect::<Vec<_>>());
    assert!(life > 2, "it was killed too seldom: {life}");
}

/// A member that copies what it reads, one batch behind: what it polled is committed only at its next turn.
struct Copier {
    consumer: Box<dyn Consumer>,
    producer: Box<dyn Producer>,
    name: String,
    batch: Vec<Record>,
}

impl Copier {
    const NAMES: [&str; 3] = ["a", "b", "c"];

    async fn join(kit: &Kit<'_>, name: &str, input: Topic) -> Self {
        let (consumer, producer) = (kit.consumer("g", name, &[input]).await, kit.producer(name).await);
        Self { consumer, producer, name: name.to_owned(), batch: Vec::new() }
    }

    /// Commits what it has in hand, and polls. Answers how many records it copied, and how many a rebalance took away.
    async fn turn(&mut self, kit: &Kit<'_>, input: Topic, output: Topic) -> (usize, usize) {
        let batch = std::mem::take(&mut self.batch);
        if let Some(last) = batch.last() {
            let done = Transaction {
                records: batch.iter().map(|r| record(at(output, r.from.partition), "k", text(r))).collect(),
                offsets: Some((self.consumer.group(), vec![(last.from, last.offset + 1)])),
            };
            match self.producer.commit(done).await {
                Ok(()) => {}
                // Another generation has them. Who is fenced begins anew, as a stage does.
                Err(e) if e.kind == LogErrorKind::Fenced => {
                    *self = Self::join(kit, &self.name, input).await;
                    return (0, batch.len());
                }
                Err(e) => panic!("{}: {e}", self.name),
            }
        }
        match self.consumer.poll(limits(23, 100)).await.expect("poll") {
            Polled::Records(records) => {
                // One partition at a time; the others' records come again.
                let from = records.first().map(|r| r.from);
                let (mine, others): (Vec<_>, Vec<_>) = records.into_iter().partition(|r| Some(r.from) == from);
                let firsts: BTreeMap<_, _> = others.iter().rev().map(|r| (r.from, r.offset)).collect();
                for (at, offset) in firsts {
                    self.consumer.seek(at, offset).await.expect("seek");
                }
                self.batch = mine;
            }
            Polled::Assigned(_) | Polled::Revoked(_) => {}
            other => panic!("unexpected {other:?}"),
        }
        (batch.len(), 0)
    }
}

/// Members come and go while others have batches in hand: every record is copied once, in order, whoever does it.
pub async fn rebalances_in_the_middle_of_batches(kit: &Kit<'_>) {
    const EACH: usize = 300;
    let (input, output) = (kit.topic("in").await, kit.topic("out").await);
    let mut feeder = kit.producer("feeder").await;
    for partition in 0..PARTITIONS {
        commit(&mut *feeder, (0..EACH).map(|i| record(at(input, partition), "k", format!("{i}"))).collect()).await;
    }
    let mut members = vec![Copier::join(kit, Copier::NAMES[0], input).await];
    let (mut copied, mut torn, mut turns) = (0, 0, 0);
    let started = Instant::now();
    while copied < EACH * PARTITIONS as usize {
        assert!(started.elapsed() < 2 * DEADLINE, "{copied} records after {turns} turns");
        for member in &mut members {
            let (more, lost) = member.turn(kit, input, output).await;
            (copied, torn) = (copied + more, torn + lost);
        }
        turns += 1;
        // With work in hand: one more comes, or the newest goes.
        if turns % 4 == 0 && members.iter().any(|m| !m.batch.is_empty()) {
            match members.len() {
                1 | 2 if turns % 16 != 0 => {
                    let name = Copier::NAMES[members.len()];
                    members.push(Copier::join(kit, name, input).await);
                }
                2 | 3 => torn += members.pop().map_or(0, |gone| gone.batch.len()),
                _ => {}
            }
        }
    }
    for partition in 0..PARTITIONS {
        let copied = kit.values(at(output, partition), EACH).await;
        assert_eq!(copied, (0..EACH).map(|i| i.to_string()).collect::<Vec<_>>(), "partition {partition}");
    }
    assert!(torn > 0, "no batch was in hand when its partition went");
}

/// A member that does not poll holds up neither producers nor other groups.
pub async fn slow_consumers_hold_nobody_up(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut slow = kit.consumer("slow", "s", &[topic]).await;
    let _ = assigned(&mut *slow, PARTITIONS as usize).await;
    let mut producer = kit.producer("p").await;
    let mut quick = kit.consumer("quick", "q", &[topic]).await;
    let mut seen = assigned(&mut *quick, PARTITIONS as usize).await;
    for n in 0..50 {
        producer
            .commit(transaction((0..20).map(|_| record(at(topic, n % PARTITIONS), "k", vec![b'x'; 1000])).collect()))
            .await
            .expect("commit");
    }
    seen.until(&mut *quick, "all records", |s| s.records.len() == 1000).await;
    let mut late = Seen { held: seen.held.clone(), ..Seen::default() };
    late.until(&mut *slow, "the slow one's records", |s| s.records.len() == 1000).await;
}
