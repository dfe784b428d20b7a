//! A chain with holes: it grows with heights at which no block was made, is reverted, and is filled from below, out of order; and what of
//! it is kept, counted from all rows by the plainest means there is.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schemas::{BlockHash, Network, Origin, records::Payload};
use store::{
    Store,
    sink::{Keep, batch::Event},
};

use crate::{
    chain::{Chain, Dice, Live},
    harness::Running,
    setup::rows,
};

/// Heights of a partition of these chains: the least that there can be.
pub const SPAN: u64 = 1_024;

pub struct History {
    pub network: Network,
    pub sequence: u64,
    /// What is canonical, by height.
    pub held: BTreeMap<u64, Event>,
    /// Lowest height that was followed live.
    pub first: u64,
    next: u64,
    /// Whether now and then a transaction cannot be read.
    damaged: bool,
}

impl History {
    pub fn new(name: &str, first: u64) -> Self {
        let network = name.parse().expect("a slug");
        Self { network, sequence: 0, held: BTreeMap::new(), first, next: first, damaged: true }
    }

    /// One of which everything can be read.
    pub fn whole(name: &str, first: u64) -> Self {
        Self { damaged: false, ..Self::new(name, first) }
    }

    fn block(&mut self, dice: &mut Dice, height: u64, parent: Option<BlockHash>, origin: Origin) -> Event {
        let mut chain = Chain::new(self.network.as_str(), height);
        chain.sequence = self.sequence;
        let mut event = chain.apply(dice);
        self.sequence = chain.sequence;
        event.block.envelope.origin = origin;
        if let Some(parent) = parent {
            event.block.envelope.parent_hash = parent;
        }
        // Now and then a transaction cannot be read, or none can.
        let unreadable = match dice.roll(40) {
            0 if self.damaged => 1,
            1 if self.damaged => usize::MAX,
            _ => 0,
        };
        for t in event.transactions.iter_mut().take(unreadable) {
            let Payload::Evm(both) = &t.payload else { continue };
            t.payload = Payload::Unreadable { index: both.0.transaction_index, error: "cut off".into() };
        }
        self.held.insert(height, event.clone());
        event
    }

    fn hash_at(&self, height: u64) -> Option<BlockHash> {
        self.held.get(&height).map(|e| e.block.envelope.block_hash.clone())
    }

    /// So many blocks at the tip; at some heights none is made.
    pub fn grow(&mut self, dice: &mut Dice, blocks: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..blocks {
            let parent = self.held.range(self.first..self.next).next_back().map(|(height, _)| *height);
            let skipped = if parent.is_some() && dice.roll(50) == 0 { 1 + dice.roll(3) } else { 0 };
            let (height, parent) = (self.next + skipped, parent.and_then(|height| self.hash_at(height)));
            events.push(self.block(dice, height, parent, Origin::Live));
            self.next = height + 1;
        }
        events
    }

    /// The tip's blocks go, newest first.
    pub fn revert(&mut self, depth: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..depth {
            let Some((&height, _)) = self.held.range(self.first..).next_back() else { break };
            let event = self.held.remove(&height).expect("just seen");
            let mut chain = Chain::new(self.network.as_str(), height);
            chain.sequence = self.sequence;
            chain.live.push(Live { event });
            events.extend(chain.revert());
            self.sequence = chain.sequence;
            self.next = height;
        }
        events
    }

    /// Blocks below those that were followed, which are not held yet.
    pub fn fill(&mut self, dice: &mut Dice, from: u64, to: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for height in from..to.min(self.first) {
            if !self.held.contains_key(&height) {
                let parent = height.checked_sub(1).and_then(|below| self.hash_at(below));
                events.push(self.block(dice, height, parent, Origin::Backfill));
            }
        }
        events
    }

    pub fn tip(&self) -> u64 {
        self.next
    }
}

/// Time of a height, as the model has it.
pub fn time_ms(height: u64) -> u64 {
    1_700_000_000_000 + height * 12_000
}

/// What keeps everything from a height on, and drops whole partitions below it.
pub fn keep_from(height: u64) -> Keep {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    Keep { everywhere: Some(Duration::from_millis(now - time_ms(height))), ..Keep::default() }
}

/// From, to, blocks, transactions expected and stored, logs expected and stored, complete, coverage.
pub type Range = (u64, u64, u64, u64, u64, u64, u64, u8, String);

/// The view, of a network.
pub async fn shown(engine: &Running, store: &Store, network: &Network) -> Vec<Range> {
    let sql = format!(
        "SELECT from_number, to_number, blocks, transactions_expected, transactions_stored, logs_expected, logs_stored, complete, \
         toString(coverage) FROM completeness WHERE network = '{network}' ORDER BY from_number"
    );
    rows(engine, store, &sql).await
}

/// The same, of all rows of the tables.
pub async fn counted(engine: &Running, store: &Store, network: &Network) -> Vec<Range> {
    let of = format!("FINAL WHERE network = '{network}'");
    let sql = format!(
        "SELECT b.height, b.hash, b.parent_hash, toUInt64(b.transaction_count), t.n, toUInt64(b.log_count), l.n \
         FROM (SELECT height, sequence, hash, parent_hash, transaction_count, log_count FROM block_rows {of}) AS b \
         LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_transaction_rows {of} GROUP BY height, sequence) AS t USING (height, sequence) \
         LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_log_rows {of} GROUP BY height, sequence) AS l USING (height, sequence) \
         ORDER BY b.height"
    );
    let blocks: Vec<(u64, String, String, u64, u64, u64, u64)> = rows(engine, store, &sql).await;
    let sql =
        format!("SELECT min(from_height), max(pruned_below), count() FROM pruned_rows WHERE network = '{network}'");
    let (low, below, any): (u64, u64, u64) = rows(engine, store, &sql).await[0];
    let mut ranges: Vec<Range> = Vec::new();
    if any > 0 {
        ranges.push((low, below - 1, 0, 0, 0, 0, 0, 0, "pruned".into()));
    }
    let mut last = String::new();
    for (height, hash, parent, t, t_stored, l, l_stored) in blocks.into_iter().filter(|b| b.0 >= below) {
        let complete = (t, l) == (t_stored, l_stored);
        let coverage = if !complete && t_stored + l_stored == 0 { "header" } else { "full" };
        let goes_on = |r: &&mut Range| {
            (r.7, r.8.as_str()) == (u8::from(complete), coverage) && (r.1 + 1 == height || parent == last)
        };
        match ranges.last_mut().filter(goes_on) {
            Some(r) => {
                (r.1, r.2) = (height, r.2 + 1);
                (r.3, r.4, r.5, r.6) = (r.3 + t, r.4 + t_stored, r.5 + l, r.6 + l_stored);
            }
            None => ranges.push((height, height, 1, t, t_stored, l, l_stored, u8::from(complete), coverage.into())),
        }
        last = hash;
    }
    ranges
}

/// What REST is told, likewise, without logs.
pub async fn told(store: &Store, network: &Network) -> Vec<(u64, u64, u64, u64, u64, u8, String)> {
    let held = store.completeness(network).await.expect("completeness");
    assert_eq!(held.uncounted, [], "few are open");
    let range = |r: store::query::CompletenessRange| {
        let (t, stored) = (r.transactions_expected, r.transactions_stored);
        (r.from_number, r.to_number, r.blocks, t, stored, u8::from(r.complete), r.coverage.as_str().to_owned())
    };
    held.ranges.into_iter().map(range).collect()
}

/// The view and REST equal a count of all rows.
pub async fn compare(engine: &Running, store: &Store, network: &Network, when: &str) {
    let wanted = counted(engine, store, network).await;
    assert_eq!(shown(engine, store, network).await, wanted, "the view {when}");
    let without_logs: Vec<_> = wanted.into_iter().map(|r| (r.0, r.1, r.2, r.3, r.4, r.7, r.8)).collect();
    assert_eq!(told(store, network).await, without_logs, "REST {when}");
}
