//! The queue against what must hold of it, whatever comes in which order.

use std::collections::{BTreeMap, HashMap, HashSet};

use alerts::deliver::queue::{Done, GivenUp, Key, Queue};
use fastrand::Rng;
use schemas::{TimeMs, limits::alerts as limits, records::AlertOutbox};

use crate::support::message;

fn new(rng: &mut Rng, orders: &mut HashMap<(u8, u8), u64>, number: u32, now: i64) -> AlertOutbox {
    let (channel, alert) = (rng.u8(..3), rng.u8(..4));
    let order = orders.entry((channel, alert)).or_default();
    *order += 1;
    let mut message = message(&format!("c{channel}"), &format!("a{alert}"), "alert.amended", *order);
    message.id = format!("{number:026}");
    (message.created_at, message.next_attempt_at) = (TimeMs(now), TimeMs(now));
    if rng.u8(..8) == 0 {
        (message.alert_id, message.order) = (None, 0);
    }
    message.body = "{}".to_owned();
    message
}

fn thread(message: &AlertOutbox) -> Option<(String, String)> {
    Some((message.channel_id.clone(), message.alert_id.clone()?))
}

/// Each message ends once; of one alert and channel one is on its way at most, and what ends last is the newest.
#[test]
fn each_ends_once_and_the_newest_last() {
    for seed in 0..3_000 {
        let mut rng = Rng::with_seed(seed);
        let (mut queue, mut orders) = (Queue::default(), HashMap::new());
        let (mut all, mut flying): (BTreeMap<Key, AlertOutbox>, Vec<Key>) = (BTreeMap::new(), Vec::new());
        let (mut ended, mut last): (HashSet<Key>, HashMap<_, u64>) = (HashSet::new(), HashMap::new());
        let (mut now, mut number) = (0, 0);
        let steps = rng.usize(10..200);
        let mut step = 0;
        loop {
            step += 1;
            let draining = step > steps;
            now += rng.i64(0..50);
            match rng.u8(if draining { 4 } else { 0 }..10) {
                0..=3 => {
                    number += 1;
                    let message = new(&mut rng, &mut orders, number, now);
                    let key = Key::of(&message.tenant, &message.id);
                    all.insert(key, message.clone());
                    for (gone, why) in queue.take(message, u64::from(number)) {
                        assert_eq!(why, GivenUp::Replaced);
                        assert!(ended.insert(Key::of(&gone.tenant, &gone.id)), "seed {seed}");
                    }
                }
                4..=6 => {
                    if let Some(key) = queue.next(TimeMs(now)) {
                        assert!(!ended.contains(&key) && !flying.contains(&key), "seed {seed}");
                        if !draining && rng.u8(..4) == 0 {
                            queue.put_back(&key, TimeMs(now + rng.i64(1..100)));
                        } else {
                            queue.fly(&key);
                            let of = thread(&all[&key]);
                            assert!(
                                of.is_none() || flying.iter().all(|other| thread(&all[other]) != of),
                                "seed {seed}: two of one alert"
                            );
                            flying.push(key);
                        }
                    }
                }
                _ => {
                    if flying.is_empty() {
                        if draining && queue.next_at().is_none() {
                            break;
                        }
                        now += 50;
                        continue;
                    }
                    let key = flying.swap_remove(rng.usize(..flying.len()));
                    if !draining && rng.bool() {
                        match queue.failed(&key, TimeMs(now + rng.i64(1..200))) {
                            Some(Ok(message)) => assert!(message.attempts > 0 && message.done_at.is_none()),
                            Some(Err(_)) => assert!(ended.insert(key), "seed {seed}"),
                            None => panic!("seed {seed}: what flew was not there"),
                        }
                    } else {
                        let message = queue.end(&key).unwrap();
                        if let Some(of) = thread(&message) {
                            let before = last.insert(of, message.order);
                            assert!(
                                before.is_none_or(|before| before < message.order),
                                "seed {seed}: an older one came later"
                            );
                        }
                        assert!(ended.insert(key), "seed {seed}");
                    }
                }
            }
        }
        assert_eq!(ended.len(), all.len(), "seed {seed}: something was lost");
        assert_eq!(queue.held(), (0, 0, 0), "seed {seed}");
        for ((channel, alert), order) in &orders {
            let newest = all.values().filter(|m| {
                m.channel_id == format!("c{channel}") && m.alert_id.as_deref() == Some(&format!("a{alert}"))
            });
            let newest = newest.map(|m| m.order).max();
            let sent = last.get(&(format!("c{channel}"), format!("a{alert}"))).copied();
            assert_eq!(sent, newest, "seed {seed}, of {order}");
        }
    }
}

#[test]
fn what_waits_is_bounded_and_what_is_done_has_no_body() {
    let mut queue = Queue::default();
    let mut gone = 0;
    for n in 0..limits::WAITING_OF_CHANNEL + 10 {
        let mut message = message("c", &format!("a{n}"), "alert.firing", 1);
        message.id = format!("{n:026}");
        (message.created_at, message.next_attempt_at) = (TimeMs(n as i64), TimeMs(0));
        for (message, why) in queue.take(message, n as u64) {
            assert_eq!((why, message.created_at), (GivenUp::TooMany, TimeMs(gone)), "the oldest goes");
            gone += 1;
        }
    }
    assert_eq!((queue.held().0, gone), (limits::WAITING_OF_CHANNEL, 10));
    // Large ones, over many channels.
    let mut queue = Queue::default();
    let body = format!("\"{}\"", "x".repeat(1 << 20));
    for n in 0..200 {
        let mut message = message(&format!("c{n}"), "a", "alert.firing", 1);
        message.body.clone_from(&body);
        queue.take(message, n);
        assert!(queue.held().1 <= limits::WAITING_BYTES);
    }
    let mut done = message("c", "a", "alert.firing", 1);
    (done.done_at, done.thread) = (Some(TimeMs(5)), Some("T1".to_owned()));
    let key = Key::of(&done.tenant, &done.id);
    let mut queue = Queue::default();
    queue.take(done.clone(), 77);
    let expected = Done { channel_id: "c".to_owned(), created_at: done.created_at, done_at: TimeMs(5), offset: 77 };
    assert_eq!(queue.is_done(&key), Some(&expected));
    assert_eq!((queue.held(), queue.thread(&done)), ((0, 0, 1), Some("T1")));
    assert_eq!(queue.done_since(&done.tenant, "c", TimeMs(0)), [(key.clone(), expected)]);
    assert!(
        queue.done_since(&done.tenant, "d", TimeMs(0)).is_empty()
            && queue.done_since("other", "c", TimeMs(0)).is_empty()
    );
    assert_eq!(queue.done_before(TimeMs(6), 10), [key]);
    assert_eq!(queue.held(), (0, 0, 0));
}

/// However many are done: the newest of a channel are remembered, and the others are named once, so that they leave the outbox.
#[test]
fn what_is_done_is_bounded_by_channel() {
    let (mut queue, most, more) = (Queue::default(), limits::DONE_OF_CHANNEL, 50);
    let done = |channel: &str, n: usize| {
        let mut message = message(channel, &format!("a{n}"), "alert.firing", 1);
        message.id = format!("{channel}{n:025}");
        (message.created_at, message.done_at) = (TimeMs(n as i64), Some(TimeMs(n as i64)));
        message.thread = Some(format!("T{n}"));
        message
    };
    let key = |message: &AlertOutbox| Key::of(&message.tenant, &message.id);
    queue.take(done("d", 0), 0);
    assert!(!queue.is_over());
    for n in 0..most + more {
        queue.take(done("c", n), n as u64);
    }
    assert_eq!((queue.held(), queue.is_over()), ((0, 0, most + 1), true));
    assert!(queue.is_done(&key(&done("d", 0))).is_some(), "another channel's");
    let known = queue.done_since(&done("c", 0).tenant, "c", TimeMs(0));
    assert_eq!((known.len(), known[0].1.created_at), (most, TimeMs(more as i64)));
    // Their threads alike.
    assert_eq!(queue.thread(&done("c", more - 1)), None);
    assert_eq!(queue.thread(&done("c", more)), Some(format!("T{more}").as_str()));
    // One of them is sent once more before it is named: it stays.
    let mut again = done("c", 0);
    again.done_at = None;
    queue.take(again, u64::MAX);
    let named = [queue.done_before(TimeMs(0), 30), queue.done_before(TimeMs(0), 1_000)].concat();
    let expected: Vec<Key> = (1..more).map(|n| key(&done("c", n))).collect();
    assert_eq!(named, expected);
    assert!(!queue.is_over() && queue.done_before(TimeMs(0), 10).is_empty());
    assert_eq!(queue.done_before(TimeMs(i64::MAX), usize::MAX).len(), most + 1);
    assert_eq!((queue.held().0, queue.held().2), (1, 0));
    assert_eq!(queue.thread(&done("c", more)), None);
}
