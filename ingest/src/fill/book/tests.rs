use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use proptest::prelude::*;

use super::*;

fn range(from: u64, to: u64) -> HeldRange {
    HeldRange { from, to }
}

fn request(id: &str, heights: HeldRange, again: bool, asked_at: i64) -> Request {
    Request {
        id: id.into(),
        network: "n".parse().expect("a slug"),
        asks: Asks::Backfill { heights, again },
        wanted: Wanted::Run,
        asked_at: TimeMs(asked_at),
    }
}

fn wishes(requests: Vec<Request>) -> Wishes {
    Wishes { requests, unreadable: None }
}

fn hash(id: u64) -> BlockHash {
    BlockHash::from(B256::left_padding_from(&id.to_be_bytes()))
}

fn fill(book: &mut Book, job: &Job, height: u64, live: Option<HeldRange>) {
    let filled = Filled { heights: range(height, height), block: Some((hash(height), 2)), live };
    book.filled(job, &filled, TimeMs(9));
}

#[test]
fn held_heights_are_skipped_unless_again_and_a_restart_goes_on() {
    let wished = wishes(vec![request("a", range(10, 30), false, 1)]);
    let mut book = Book::new(vec![range(12, 14), range(20, 21)], Vec::new());
    assert!(book.heed(&wished, TimeMs(1)) && !book.heed(&wished, TimeMs(2)), "news once");
    let live = Some(range(28, 100));
    let job = book.job(&wished, live, |_| false).expect("one");
    assert_eq!(job.plan, [range(10, 11), range(15, 19), range(22, 27)]);
    assert!(book.job(&wished, live, |_| true).is_none(), "it rests");
    fill(&mut book, &job, 10, live);
    fill(&mut book, &job, 11, live);
    let r = book.get("a").expect("known");
    assert_eq!((r.asks, r.last_hash.clone()), (Asked::Backfill { heights: range(10, 30), next: 15 }, None));
    fill(&mut book, &job, 15, live);
    let mut book = Book::new(book.held().to_vec(), book.requests().to_vec());
    let job = book.job(&wished, live, |_| false).expect("it goes on");
    assert_eq!((job.plan.clone(), job.below.clone()), (vec![range(16, 19), range(22, 27)], Some(hash(15))));
    for height in (16..20).chain(22..28) {
        fill(&mut book, &job, height, live);
    }
    let r = book.get("a").expect("known");
    assert_eq!((r.state, r.blocks, r.transactions), (RequestState::Done, 13, 26));
    assert_eq!(book.held(), [range(10, 27)], "live heights are not held by it");
    // Again, with the live ones.
    let wished = wishes(vec![request("a", range(10, 30), false, 1), request("b", range(26, 29), true, 2)]);
    book.heed(&wished, TimeMs(3));
    let job = book.job(&wished, live, |_| false).expect("the next");
    assert_eq!((job.id.as_str(), &job.plan[..]), ("b", &[range(26, 29)][..]));
    for height in 26..30 {
        fill(&mut book, &job, height, live);
    }
    assert_eq!((book.get("b").map(|r| r.state), book.held()), (Some(RequestState::Done), &[range(10, 27)][..]));
    assert!(book.job(&wished, live, |_| false).is_none(), "what is over stays over");
}

#[test]
fn pausing_and_cancelling_are_heeded_and_what_is_over_stays_over() {
    let one = |wanted| wishes(vec![Request { wanted, ..request("a", range(1, 9), false, 1) }]);
    let mut book = Book::default();
    book.heed(&one(Wanted::Paused), TimeMs(1));
    assert_eq!(book.get("a").map(|r| r.state), Some(RequestState::Paused));
    assert!(book.job(&one(Wanted::Paused), None, |_| false).is_none());
    book.heed(&one(Wanted::Run), TimeMs(2));
    assert_eq!(book.get("a").map(|r| r.state), Some(RequestState::Queued));
    assert!(book.says("a", RequestState::Waiting, Some("for rain".into()), TimeMs(3)));
    assert!(!book.says("a", RequestState::Waiting, Some("for rain".into()), TimeMs(4)));
    book.heed(&one(Wanted::Run), TimeMs(5));
    assert_eq!(book.get("a").map(|r| r.state), Some(RequestState::Waiting), "being wanted is no news");
    let unreadable = Wishes { unreadable: Some("a newer version".into()), ..one(Wanted::Run) };
    book.heed(&unreadable, TimeMs(6));
    assert_eq!(book.get("a").and_then(|r| r.detail.clone()).as_deref(), Some("a newer version"));
    assert!(book.job(&unreadable, None, |_| false).is_none());
    book.heed(&one(Wanted::Cancelled), TimeMs(7));
    assert_eq!(book.get("a").map(|r| r.state), Some(RequestState::Cancelled));
    assert!(!book.heed(&one(Wanted::Run), TimeMs(8)) && !book.says("a", RequestState::Running, None, TimeMs(9)));
    // One whose record goes while it is open.
    let mut book = Book::default();
    book.heed(&one(Wanted::Run), TimeMs(1));
    book.heed(&wishes(Vec::new()), TimeMs(2));
    assert_eq!(book.get("a").map(|r| r.state), Some(RequestState::Cancelled));
}

#[test]
fn what_is_kept_is_bounded() {
    let all = |n: usize| wishes((0..n).map(|i| request(&format!("r{i}"), range(1, 2), false, i as i64)).collect());
    let mut book = Book::default();
    let many = all(limits::OPEN_REQUESTS + 40);
    book.heed(&many, TimeMs(1));
    assert_eq!(book.requests().len(), limits::OPEN_REQUESTS);
    for round in 0..limits::OPEN_REQUESTS + 40 {
        if let Some(job) = book.job(&many, None, |_| false) {
            book.finished(&job.id, TimeMs(round as i64));
        }
        book.heed(&many, TimeMs(round as i64));
    }
    assert_eq!(
        book.requests().len(),
        limits::OPEN_REQUESTS + limits::ENDED_REQUESTS,
        "none is forgotten that could come again"
    );
    book.heed(&wishes(Vec::new()), TimeMs(1_000));
    assert_eq!(book.requests().len(), limits::ENDED_REQUESTS);
    let held = (0..limits::HELD_RANGES as u64).map(|i| range(i * 10, i * 10)).collect();
    let book = Book::new(held, Vec::new());
    assert!(book.is_full(range(5, 5)) && !book.is_full(range(1, 1)));
}

proptest! {
    /// Requests over any heights, held or live, cut off anywhere: each wanted height that is not held once, `again` all of them.
    #[test]
    fn each_height_is_filled_once(
        asked in prop::collection::vec((0u64..60, 0u64..20, any::<bool>()), 1..6),
        held in prop::collection::vec((0u64..60, 0u64..8), 0..4),
        live in prop::option::of(40u64..70),
        cuts in prop::collection::vec(0usize..30, 0..40),
    ) {
        let requests: Vec<Request> = asked.iter().enumerate()
            .map(|(i, (from, n, again))| request(&format!("r{i}"), range(*from, from + n), *again, i as i64)).collect();
        let wished = wishes(requests);
        let mut book = Book::default();
        held.iter().for_each(|(from, n)| ranges::insert(&mut book.held, range(*from, from + n)));
        let live = live.map(|from| range(from, 1_000));
        let before: BTreeSet<u64> = book.held.iter().chain(&live).flat_map(|r| r.from..=r.to).collect();
        let mut written: BTreeMap<u64, u32> = BTreeMap::new();
        let mut cuts = cuts.into_iter();
        book.heed(&wished, TimeMs(0));
        while let Some(job) = book.job(&wished, live, |_| false) {
            if job.plan.is_empty() {
                book.finished(&job.id, TimeMs(1));
            }
            // As far as it comes before it is killed.
            for height in job.plan.iter().flat_map(|r| r.from..=r.to).take(cuts.next().unwrap_or(usize::MAX).max(1)) {
                *written.entry(height).or_default() += 1;
                fill(&mut book, &job, height, live);
                let Some(Asked::Backfill { next, .. }) = book.get(&job.id).map(|r| r.asks) else { unreachable!() };
                prop_assert!(next > height);
            }
            book = Book::new(book.held, book.requests);
        }
        prop_assert!(book.requests().iter().all(|r| r.state == RequestState::Done));
        let mut holds = before.clone();
        let mut expected: BTreeMap<u64, u32> = BTreeMap::new();
        for (from, n, again) in asked {
            for height in from..=from + n {
                if again || !holds.contains(&height) {
                    *expected.entry(height).or_default() += 1;
                    holds.insert(height);
                }
            }
        }
        prop_assert_eq!(&written, &expected);
        let all: BTreeSet<u64> = book.held.iter().chain(&live).flat_map(|r| r.from..=r.to).collect();
        prop_assert_eq!(all, holds);
        let blocks: u64 = book.requests().iter().map(|r| r.blocks).sum();
        prop_assert_eq!(blocks, u64::from(expected.values().sum::<u32>()));
    }
}
