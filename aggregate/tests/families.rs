//! Recorded headers of other families through the same algebra: Bitcoin, whose time stamps fall (31 times in 2,016 blocks) and whose clock is
//! the median of the last eleven, and Stellar, with seconds. Each header is a block with a made-up number of transactions; windows are
//! compared with a recomputation that knows nothing of the algebra: a loop over the headers.

use std::collections::BTreeMap;

use aggregate::windows::{Applied, Change, Clock, Network, Open, Parts, Place, Reverted};
use schemas::{
    BlockHash, Origin, TimeMs,
    limits::windows::SECONDS,
    records::{Mark, Partial, Window},
};

/// A header, as far as windows know it.
#[derive(Clone)]
struct Header {
    height: u64,
    time: TimeMs,
    hash: BlockHash,
    parent: BlockHash,
}

impl Header {
    fn transactions(&self) -> u64 {
        1 + self.height % 7
    }
}

fn hash(bytes: &[u8]) -> BlockHash {
    bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>().parse().expect("64 digits")
}

/// Bitcoin's, by their bytes: version, previous block, merkle root, time, bits, nonce, little-endian. A block's own hash is in the one behind it.
fn bitcoin() -> Vec<Header> {
    let bytes = include_bytes!("data/bitcoin-mainnet-headers-7573-9588.bin");
    let headers: Vec<&[u8]> = bytes.chunks_exact(80).collect();
    let last = hash(&[7; 32]);
    let of = |at: usize| {
        let header = headers[at];
        let time = u32::from_le_bytes(header[68..72].try_into().expect("four bytes"));
        Header {
            height: 7_573 + at as u64,
            time: TimeMs::from_secs(time.into()),
            hash: headers.get(at + 1).map_or(last.clone(), |next| hash(&next[4..36])),
            parent: hash(&header[4..36]),
        }
    };
    (0..headers.len()).map(of).collect()
}

fn stellar() -> Vec<Header> {
    let text = include_str!("data/stellar-testnet-ledgers-1410048-1410111.csv");
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Header {
            height: fields[0].parse().expect("a number"),
            time: TimeMs::from_secs(fields[1].parse().expect("seconds")),
            hash: fields[2].parse().expect("a hash"),
            parent: fields[3].parse().expect("a hash"),
        }
    };
    text.lines().skip(1).map(line).collect()
}

/// A network that is fed, and the newest window of each key that it gave.
struct Fed {
    network: Network,
    sequence: u64,
    windows: BTreeMap<(u32, i64), Window>,
    /// Keys that were complete once and given anew.
    corrected: usize,
}

impl Fed {
    fn new(clock: Clock) -> Self {
        let network = Network::new("recorded".parse().expect("a slug"), clock);
        Self { network, sequence: 0, windows: BTreeMap::new(), corrected: 0 }
    }

    fn take(&mut self, change: Change) {
        self.sequence += 1;
        let place = Place { offset: self.sequence, at: TimeMs(self.sequence as i64) };
        self.network.take(self.sequence, place, change);
        for window in self.network.drain(Open { network: true, contracts: true }) {
            assert_eq!(window.sequence, self.sequence);
            let key = (window.window_seconds, window.window_start.0);
            let former = self.windows.insert(key, window);
            self.corrected += usize::from(former.is_some_and(|window| window.complete));
        }
    }

    fn apply(&mut self, header: &Header) {
        self.apply_with(header, None);
    }

    /// The same, where its record says the median time past.
    fn apply_with(&mut self, header: &Header, median_time: Option<TimeMs>) {
        let mark = Some(Mark { height: header.height, time: header.time });
        let network =
            Partial { blocks: 1, transactions: header.transactions(), first: mark, last: mark, ..Partial::default() };
        self.take(Change::Apply(Box::new(Applied {
            origin: Origin::Live,
            height: header.height,
            hash: header.hash.clone(),
            parent: header.parent.clone(),
            time: header.time,
            median_time,
            finalized: None,
            parts: Parts { network, contracts: Vec::new(), left_out: false },
        })));
    }

    fn revert(&mut self, header: &Header) {
        let (height, hash, time) = (header.height, header.hash.clone(), header.time);
        self.take(Change::Revert(Reverted { height, hash, time }));
    }
}

/// What a window is to hold: blocks, transactions, the lowest and the highest block.
type Naive = BTreeMap<(u32, i64), (u64, u64, Mark, Mark)>;

fn naive(headers: &[Header]) -> Naive {
    let mut windows = Naive::new();
    for header in headers {
        for seconds in SECONDS {
            let start = header.time.0.div_euclid(i64::from(seconds) * 1_000) * i64::from(seconds) * 1_000;
            let mark = Mark { height: header.height, time: header.time };
            let window = windows.entry((seconds, start)).or_insert((0, 0, mark, mark));
            window.0 += 1;
            window.1 += header.transactions();
            window.3 = mark;
        }
    }
    windows
}

/// The median of eleven times, up to and with this header (BIP 113).
fn median_time_past(headers: &[Header], at: usize) -> i64 {
    let mut times: Vec<i64> = headers[(at + 1).saturating_sub(11)..=at].iter().map(|header| header.time.0).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// All windows against the headers, and complete exactly where the chain's clock says so. `ahead`: how far a block below the first one may have
/// been ahead of it, in milliseconds. How many are complete, how many held a block.
fn check(fed: &Fed, headers: &[Header], clock: i64, ahead: i64) -> (usize, usize) {
    let wanted = naive(headers);
    let first = headers[0].time.0 + ahead;
    // Longer windows that are open are given when a minute ends: they may lack the last blocks.
    let may_lack = |seconds: u32, window: &Window| seconds > 60 && window.end().0 > clock;
    let (mut complete, mut with_blocks) = (0, 0);
    for ((seconds, start), (blocks, transactions, low, high)) in &wanted {
        let Some(window) = fed.windows.get(&(*seconds, *start)) else { panic!("{seconds} s from {start}: none") };
        with_blocks += 1;
        let partial = &window.partial;
        if may_lack(*seconds, window) {
            assert!(partial.blocks <= *blocks && !window.complete, "{seconds} s from {start}");
            continue;
        }
        assert_eq!((partial.blocks, partial.transactions), (*blocks, *transactions), "{seconds} s from {start}");
        assert_eq!((partial.first, partial.last), (Some(*low), Some(*high)), "{seconds} s from {start}");
    }
    for ((seconds, start), window) in &fed.windows {
        let held = wanted.get(&(*seconds, *start)).map_or(0, |window| window.0);
        assert!(window.partial.blocks == held || may_lack(*seconds, window), "{seconds} s from {start}");
        let is_over = window.end().0 <= clock && *start > first;
        assert_eq!(window.complete, is_over, "{seconds} s from {start}: {:?}", window.reason);
        assert_eq!(window.reason.is_none(), window.complete);
        complete += usize::from(window.complete);
    }
    (complete, with_blocks)
}

/// Feeds all, with a fork now and then: some blocks are taken off, and the same ones come again.
fn feed(headers: &[Header], clock: Clock, fork_every: usize) -> Fed {
    let mut fed = Fed::new(clock);
    for (at, header) in headers.iter().enumerate() {
        fed.apply(header);
        if fork_every > 0 && at > 20 && at % fork_every == 0 {
            let depth = 1 + at % 9;
            headers[at + 1 - depth..=at].iter().rev().for_each(|header| fed.revert(header));
            headers[at + 1 - depth..=at].iter().for_each(|header| fed.apply(header));
        }
    }
    fed
}

/// No node takes a Bitcoin block that is further ahead of its clock.
const AHEAD: i64 = 2 * 3_600 * 1_000;

#[test]
fn bitcoins_windows_are_those_of_its_headers_and_complete_by_the_median() {
    let headers = bitcoin();
    let falls = headers.windows(2).filter(|two| two[1].time < two[0].time).count();
    assert_eq!((headers.len(), falls), (2_016, 31));
    let clock = median_time_past(&headers, headers.len() - 1);
    for fork_every in [0, 13] {
        let fed = feed(&headers, Clock::MedianTimePast, fork_every);
        let (complete, with_blocks) = check(&fed, &headers, clock, AHEAD);
        assert!(complete > 20_000 && with_blocks > 2_000, "{complete} {with_blocks}");
        if fork_every == 0 {
            assert_eq!(fed.corrected, 0, "what the median calls complete stays as it is");
        }
    }
    // By a block's own time it would not: later blocks fall into windows that were called complete.
    assert!(feed(&headers, Clock::BlockTime, 0).corrected > 20);
}

/// Whoever meets a network first by a revert, or before the configuration names it, hears from its first block by what its time passes.
#[test]
fn what_a_block_says_of_its_chains_time_counts_from_the_first_one_on() {
    let headers = bitcoin();
    let mut fed = Fed::new(Clock::BlockTime);
    fed.take(Change::Finality(None));
    fed.sequence = 0;
    for header in &headers {
        fed.network.passes_by(Clock::MedianTimePast);
        fed.apply(header);
    }
    let wanted = feed(&headers, Clock::MedianTimePast, 0);
    assert_eq!(fed.windows, wanted.windows);
    assert_eq!(fed.corrected, 0);
    // Once there is a block nothing changes any more.
    fed.network.passes_by(Clock::BlockTime);
    assert_eq!(fed.network.tip().map(|(height, _)| height), headers.last().map(|header| header.height));
}

/// Of a chain's first ten blocks that are held nobody can compute it; their records know it.
#[test]
fn the_median_that_records_say_counts_from_the_first_block_on() {
    let headers = bitcoin();
    let (mut told, mut computed) = (Fed::new(Clock::MedianTimePast), Fed::new(Clock::MedianTimePast));
    for at in 20..100 {
        told.apply_with(&headers[at], Some(TimeMs(median_time_past(&headers, at))));
        computed.apply(&headers[at]);
        if at == 20 {
            let reasons: Vec<_> = told.windows.values().filter_map(|window| window.reason.clone()).collect();
            assert!(reasons.iter().all(|reason| reason.starts_with("the first block")), "{reasons:?}");
        }
    }
    let of = |fed: &Fed| -> Vec<(u32, i64)> {
        fed.windows.iter().filter(|(_, window)| window.complete).map(|(key, _)| *key).collect()
    };
    assert_eq!(of(&told), of(&computed), "what is complete in the end is the same");
    assert!(of(&told).len() > 100);
    let tip = headers[99].time.0.div_euclid(60_000) * 60_000;
    let median = TimeMs(median_time_past(&headers, 99)).rfc3339();
    let wanted = format!("its end is not reached: the median time past is {median}");
    assert_eq!(told.windows[&(60, tip)].reason.as_deref(), Some(wanted.as_str()));
}

/// Of blocks whose header alone is known there are no windows, and those before and behind them do not reach over them.
#[test]
fn a_block_whose_header_alone_is_known_is_in_no_window() {
    let headers = bitcoin();
    let bare = |header: &Header| Change::Header { origin: Origin::Live, height: header.height };
    let mut fed = Fed::new(Clock::MedianTimePast);
    headers[..40].iter().for_each(|header| fed.take(bare(header)));
    headers[37..40].iter().rev().for_each(|header| fed.revert(header));
    headers[37..40].iter().for_each(|header| fed.take(bare(header)));
    assert!(fed.windows.is_empty() && fed.corrected == 0);
    assert_eq!(fed.network.tip(), None);
    // Bodies come to be had, and are gone again.
    headers[40..140].iter().for_each(|header| fed.apply(header));
    let complete = fed.windows.values().filter(|window| window.complete).count();
    assert!(complete > 100, "{complete}");
    fed.take(bare(&headers[140]));
    let why = format!("of block {} the header alone is known", headers[140].height);
    let last = &fed.windows[&(86_400, headers[139].time.0.div_euclid(86_400_000) * 86_400_000)];
    assert_eq!((last.complete, last.reason.as_deref()), (false, Some(why.as_str())));
    let before = fed.windows.clone();
    fed.revert(&headers[140]);
    fed.take(bare(&headers[140]));
    assert_eq!(fed.windows, before);
    // What comes then begins anew.
    headers[141..240].iter().for_each(|header| fed.apply(header));
    let least = headers[141].time.0;
    let again = fed.windows.values().filter(|window| window.complete && window.window_start.0 > least).count();
    assert!(again > 100, "{again}");
}

#[test]
fn stellars_windows_are_those_of_its_ledgers() {
    let headers = stellar();
    assert_eq!(headers.len(), 64);
    let clock = headers[63].time.0;
    for fork_every in [0, 7] {
        let fed = feed(&headers, Clock::BlockTime, fork_every);
        let (complete, with_blocks) = check(&fed, &headers, clock, 0);
        assert!(complete >= 5 && with_blocks >= 8, "{complete} {with_blocks}");
        let minute =
            fed.windows.values().find(|window| window.complete && window.window_seconds == 60).expect("a minute");
        assert!(minute.partial.block_interval_ms().is_some_and(|ms| (4_000.0..8_000.0).contains(&ms)), "{minute:?}");
    }
}
