//! One partition in this stage's hands: its networks' windows, how far it was read, and where it would be read from again.
//!
//! Guarantee: whoever takes the partition over reads it from [`Part::position`] on, which is the group's position: the oldest record that
//! any window still needs which may change. What was published before is known from the output ([`crate::output`]): up to there events
//! only bring the windows back to where they were.

use std::collections::BTreeMap;

use runtime::log::{Record, pass_over};
use schemas::{
    Codec, Network, TimeMs,
    headers::ChainHeaders,
    limits::windows as limits,
    records::{EnrichedBlock, Window},
};
use tokio::time::Instant;

use crate::{
    Config,
    former::Former,
    metrics,
    windows::{self, Change, Clock, Open, Place},
};

/// A network.
struct Held {
    windows: windows::Network,
    /// When windows that are open were given last, of the network and of its contracts.
    opened: Option<Instant>,
    contracts_opened: Option<Instant>,
}

/// By what a network's time passes, as a block's own record tells it; `None`: it has no header, as those of reverts and of finality.
fn clock_of(block: &EnrichedBlock) -> Option<Clock> {
    match (&block.bitcoin, &block.evm) {
        (Some(_), _) => Some(Clock::MedianTimePast),
        (None, Some(_)) => Some(Clock::BlockTime),
        (None, None) => None,
    }
}

/// See the module.
pub struct Part {
    number: u32,
    networks: BTreeMap<Network, Held>,
    /// One past the last record that was read.
    read: u64,
    /// Below this, all that was due is published.
    told: u64,
    /// The group's position.
    pub committed: u64,
    /// When the newest record was written.
    at: TimeMs,
    before: Option<Network>,
    /// What was published of networks of which events were lost that nobody had read, until the next one of theirs comes.
    former: BTreeMap<Network, Former>,
}

impl Part {
    /// That is read from `from` on; below `told`, all that was due is published.
    pub fn new(number: u32, from: u64, told: u64) -> Self {
        Self {
            number,
            networks: BTreeMap::new(),
            read: from,
            told,
            committed: from,
            at: TimeMs(i64::MIN),
            before: None,
            former: BTreeMap::new(),
        }
    }

    /// Below this, all that was due is published.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Whether something was published, and what follows it ends below this offset, so that events between are lost.
    pub fn is_behind(&self, oldest: u64) -> bool {
        (1..oldest).contains(&self.told)
    }

    /// How far it was read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Retention removed what is below this offset before it was read. Each network finds out by its sequences what that was.
    pub fn lost(&mut self, oldest: u64) {
        self.read = self.read.max(oldest);
    }

    /// Between what is published and what can be read events were lost: this was published.
    pub fn doubt(&mut self, former: BTreeMap<Network, Former>) {
        self.former = former;
    }

    /// Takes a record in. Returns whether it had been before a restart.
    pub fn take(&mut self, config: &Config, codec: &Codec, record: &Record) -> bool {
        self.read = self.read.max(record.offset + 1);
        self.at = self.at.max(record.timestamp);
        let again = record.offset < self.told;
        let headers = match ChainHeaders::parse_near(|name| record.header(name), self.before.as_ref()) {
            Ok(headers) => headers,
            Err(error) => {
                pass_over(record, &error);
                return again;
            }
        };
        let network = headers.network;
        if self.before.as_ref() != Some(&network) {
            self.before = Some(network.clone());
        }
        let place = Place { offset: record.offset, at: record.timestamp };
        let value = record.value.as_deref().unwrap_or_default();
        let block = codec.decode::<EnrichedBlock>(value).map_err(|e| e.to_string());
        let held = self.networks.entry(network).or_insert_with_key(|network| Held {
            windows: windows::Network::new(network.clone(), config.clock(network)),
            opened: None,
            contracts_opened: None,
        });
        // The same log gives the same windows, whatever the configuration names.
        if let Some(clock) = block.as_ref().ok().and_then(clock_of) {
            held.windows.passes_by(clock);
        }
        match block.and_then(|block| Ok((block.envelope.sequence, Change::of(&block)?))) {
            Ok((sequence, change)) => {
                let is_event = !matches!(change, Change::Finality(_));
                held.windows.take(sequence, place, change);
                let former = self.before.as_ref().filter(|_| is_event && !again);
                if let Some(former) = former.and_then(|network| self.former.remove(network))
                    && former.sequence.saturating_add(1) < sequence
                {
                    held.windows.doubt(former.windows, former.sequence);
                }
            }
            Err(why) => {
                let sequence = headers.sequence;
                held.windows.lost(&format!("the record of event {sequence} cannot be read: {why}"));
                if let (false, Some(network)) = (again, &self.before) {
                    metrics::unreadable(network);
                    tracing::error!(
                        %network, partition = self.number, offset = record.offset, sequence, why,
                        "a record of enriched.blocks cannot be read; windows that it belongs to are incomplete"
                    );
                }
            }
        }
        if again {
            held.windows.skip();
        }
        again
    }

    /// Whether it was read to where everything that comes is new.
    pub fn is_level(&self) -> bool {
        self.read >= self.told
    }

    /// The windows that are to be published now.
    pub fn windows(&mut self, config: &Config) -> Vec<Window> {
        if !self.is_level() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut windows = Vec::new();
        for held in self.networks.values_mut().filter(|held| held.windows.has_news()) {
            let may = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
            let open = Open {
                network: may(held.opened, config.open_every),
                contracts: may(held.contracts_opened, config.contracts_open_every),
            };
            let given = held.windows.drain(open);
            // A second is over from the last one that was given on, so that a block after a pause waits for nothing.
            let is_open = |window: &&Window| window.window_seconds == 60 && !window.complete;
            for window in given.iter().filter(is_open) {
                match window.contract {
                    None => held.opened = Some(now),
                    Some(_) => held.contracts_opened = Some(now),
                }
            }
            windows.extend(given);
        }
        windows
    }

    /// Where it would be read from again: see the module.
    pub fn position(&self) -> u64 {
        // Networks of which nothing was read yet need what this process does not know of.
        if !self.is_level() {
            return self.committed;
        }
        let needed = |held: &Held| held.windows.rewind(self.at, limits::NEEDED_MS).map(|place| place.offset);
        let least = self.networks.values().filter_map(needed).min().unwrap_or(self.read);
        least.min(self.read).max(self.committed)
    }

    /// All that was due is published up to here.
    pub fn published(&mut self) {
        self.told = self.told.max(self.read);
    }

    /// How far each network's windows are published.
    pub fn stands(&self) -> impl Iterator<Item = (&Network, u64, Option<(u64, TimeMs)>)> {
        let stands = |(network, held): (_, &Held)| Some((network, held.windows.sequence()?, held.windows.tip()));
        self.networks.iter().filter_map(stands)
    }

    /// What is held.
    pub fn held(&self) -> (usize, usize) {
        let all = self.networks.values().map(|held| held.windows.held());
        all.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1))
    }
}
