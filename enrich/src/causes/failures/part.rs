//! One partition in this stage's hands: which failures have no final record yet, and how far the stream may be called read.
//!
//! Guarantee: every failed transaction of an applied block gets exactly one record: it waits from when it is read until it is decided, in
//! one place ([`Part::items`]), and whoever had the partition before is believed what he decided ([`Decided`](super::before::Before)). The
//! position never passes one that waits. What came from a dead letter waits with them, and is not of the position. One whose block is
//! reverted while it waits is told by its receipt at once.

use std::{collections::BTreeMap, sync::Arc};

use decode::causes::{Finding, Table, by_receipt};
use runtime::log::Record;
use schemas::{
    BlockHash, Network, Op, Status,
    codec::Codec,
    headers::{ChainHeaders, names},
    records::{CauseEvidence, EnrichedCause, Payload, RawTransaction},
};
use tokio::time::Instant;

use super::{
    before::Before,
    groups::{Groups, Verdict},
    item::{Group, Item},
    letters::{FIRST, Letter, Told},
    queue::Queue,
    record::{self, Decided},
};

/// The rule by which one is classed as others of its group are.
const SAME_CALL: &str = "read:same_call";

/// How it ended with one that nodes were asked about.
#[derive(Debug)]
pub enum Ended {
    /// With evidence.
    Found(Box<Finding>, CauseEvidence),
    /// They were asked and have none.
    Nothing,
    /// They were not, for there was no budget.
    NoBudget,
}

/// See the module.
pub struct Part {
    number: u32,
    table: Arc<Table>,
    /// Where the stream is read on.
    pub next: u64,
    /// What was committed of it.
    pub committed: u64,
    /// How far it was read, by whomever.
    read: u64,
    items: BTreeMap<u64, Arc<Item>>,
    bytes: usize,
    groups: Groups,
    /// Those who wait for evidence, by network.
    pub queues: BTreeMap<Network, Arc<Queue>>,
    former: Before,
    /// Which transactions came from dead letters; not known before the first does.
    letters: Option<Told>,
    /// What was decided, and the letters that it came from.
    out: Vec<(Option<u64>, EnrichedCause)>,
    before: Option<Network>,
}

impl Part {
    /// Nothing waits yet; the stream is read on from there.
    pub fn from(number: u32, table: Arc<Table>, next: u64, former: Before) -> Self {
        Self {
            number,
            table,
            next,
            committed: next,
            read: former.read.max(next),
            items: BTreeMap::new(),
            bytes: 0,
            groups: Groups::default(),
            queues: BTreeMap::new(),
            former,
            letters: None,
            out: Vec::new(),
            before: None,
        }
    }

    /// Which one.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How many wait, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.items.len(), self.bytes)
    }

    /// When the one was read that waits longest.
    pub fn oldest(&self) -> Option<Instant> {
        self.longest().map(|item| item.since)
    }

    /// The one that waits longest, of the stream or of letters.
    fn longest(&self) -> Option<&Arc<Item>> {
        let (stream, letter) = (self.items.range(..FIRST).next(), self.items.range(FIRST..).next());
        stream.into_iter().chain(letter).map(|(_, item)| item).min_by_key(|item| item.since)
    }

    /// How many wait of each network.
    pub fn waiting(&self) -> BTreeMap<&Network, usize> {
        let mut of: BTreeMap<&Network, usize> = self.queues.keys().map(|network| (network, 0)).collect();
        self.items.values().for_each(|item| *of.entry(&item.network).or_default() += 1);
        of
    }

    /// Groups that are counted.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The offset below which all is decided.
    pub fn position(&self) -> u64 {
        // Letters come behind all of the stream.
        self.items.keys().next().copied().filter(|offset| *offset < FIRST).unwrap_or(self.next)
    }

    /// Whether there is something to be committed.
    pub fn has_news(&self) -> bool {
        !self.out.is_empty()
    }

    /// Records that were decided, each with the offset of the letter that it came from, and how far the stream was read; to be committed
    /// with [`Part::position`].
    pub fn take_out(&mut self) -> (Vec<(Option<u64>, EnrichedCause)>, u64) {
        (std::mem::take(&mut self.out), self.read)
    }

    /// Takes the next record of the stream. `asks`: whether evidence can be had of a network.
    pub fn take(&mut self, codec: &Codec, record: &Record, asks: impl Fn(&Network) -> bool) {
        self.next = record.offset + 1;
        self.read = self.read.max(self.next);
        if record.offset >= self.former.read {
            self.former.forget();
        }
        let failed = record.header(names::STATUS) == Some(Status::Failed.as_str().as_bytes());
        let reverts = record.header(names::OP) == Some(Op::Revert.as_str().as_bytes());
        if !failed && !reverts {
            return;
        }
        let Ok(headers) = ChainHeaders::parse_near(|name| record.header(name), self.before.as_ref()) else { return };
        let ChainHeaders { network, sequence, index, .. } = headers;
        self.before = Some(network.clone());
        let of_letter = |index| self.letters.as_ref().is_some_and(|letters| letters.has(&network, sequence, index));
        if failed && index.is_some_and(|index| self.former.has(&network, sequence, index) || of_letter(index)) {
            return;
        }
        // What cannot be read went to the dead letters by others' hands.
        let Some(Ok(raw)) = record.value.as_ref().map(|value| codec.decode::<RawTransaction>(value)) else { return };
        match raw.payload {
            Payload::Revert => self.reverted(&network, &raw.envelope.block_hash, sequence),
            Payload::Evm(mut transaction) if failed => {
                transaction.logs = Vec::new();
                let item = Item::new((self.number, record.offset), raw.envelope, *transaction);
                self.enter(item, asks(&network));
            }
            Payload::Evm(_) | Payload::Bitcoin(_) | Payload::Unreadable { .. } => {}
        }
    }

    /// Whether it is known which letters have their record.
    pub fn knows_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// These have it, beside those that are known.
    pub fn know_letters(&mut self, told: Told) {
        match &mut self.letters {
            Some(known) => known.merge(told),
            None => self.letters = Some(told),
        }
    }

    /// Takes a failed transaction that a letter holds, and the stream does not. `asks`: whether evidence can be had of its network.
    pub fn take_letter(&mut self, letter: Letter, asks: bool) {
        let (network, sequence, index) = letter.key();
        let is_here = |item: &Arc<Item>| {
            item.sequence == sequence && item.transaction.transaction_index == index && item.network == network
        };
        let is_decided = |(_, cause): &(Option<u64>, EnrichedCause)| {
            cause.sequence == sequence && cause.transaction_index == index && cause.network == network
        };
        let is_new = self.letters.as_mut().is_some_and(|letters| letters.take(&letter));
        if is_new && !self.items.values().any(is_here) && !self.out.iter().any(is_decided) {
            let item = Item::new((self.number, FIRST | letter.offset), letter.envelope, letter.transaction);
            self.enter(item, asks);
        }
    }

    fn enter(&mut self, item: Arc<Item>, asks: bool) {
        let group = item.group();
        self.bytes += item.bytes();
        self.items.insert(item.offset, item.clone());
        if !asks {
            return self.by_receipt(&item, CauseEvidence::Receipt);
        }
        match self.groups.see(&group, item.offset, item.since) {
            Verdict::Look => self.queues.entry(item.network.clone()).or_default().put(item),
            Verdict::Told => self.by_group(&item, &group),
            Verdict::Waits => {}
        }
    }

    /// A block was reverted: what waits of it is told by its receipt.
    fn reverted(&mut self, network: &Network, hash: &BlockHash, sequence: u64) {
        let of_it =
            |item: &&Arc<Item>| item.block_hash == *hash && item.network == *network && item.sequence < sequence;
        for item in self.items.values().filter(of_it).cloned().collect::<Vec<_>>() {
            self.by_receipt(&item, CauseEvidence::Receipt);
        }
    }

    /// Those who ask may look for what was read.
    pub fn tell(&self) {
        self.queues.values().for_each(|queue| queue.tell());
    }

    /// It ended with one that nodes were asked about. What was decided meanwhile stays as it is.
    pub fn ended(&mut self, offset: u64, ended: Ended) {
        let Some(item) = self.items.get(&offset).cloned() else { return };
        let (group, now) = (item.group(), Instant::now());
        let waited = match ended {
            Ended::Found(finding, found_by) => {
                let waited = self.groups.looked(&group, Some(&finding), now);
                self.decide(&item, Decided { finding: *finding, found_by, group: None });
                waited
            }
            Ended::Nothing => {
                self.by_receipt(&item, CauseEvidence::Receipt);
                self.groups.looked(&group, None, now)
            }
            Ended::NoBudget => {
                // Those that wait for it wait for nothing: the day's questions are used up for them, too.
                self.by_group(&item, &group);
                self.groups.looked(&group, None, now)
            }
        };
        for offset in waited {
            if let Some(item) = self.items.get(&offset).cloned() {
                self.by_group(&item, &group);
            }
        }
    }

    /// Those that waited until now for longer than they may are decided by what there is.
    pub fn give_up(&mut self, read_before: Instant) {
        while let Some(item) = self.longest().filter(|item| item.since <= read_before).cloned() {
            self.give_up_one(&item);
        }
    }

    /// The one that waits longest is decided by what there is. False when none waits.
    pub fn give_up_oldest(&mut self) -> bool {
        let Some(item) = self.longest().cloned() else { return false };
        self.give_up_one(&item);
        true
    }

    fn give_up_one(&mut self, item: &Arc<Item>) {
        match item.is_asked() {
            true => self.by_receipt(item, CauseEvidence::Receipt),
            false => self.by_group(item, &item.group()),
        }
    }

    fn by_receipt(&mut self, item: &Arc<Item>, found_by: CauseEvidence) {
        let finding = by_receipt(&item.failed(), &self.table);
        self.decide(item, Decided { finding, found_by, group: None });
    }

    /// Nobody was asked: what others of the group failed of, where that is known.
    fn by_group(&mut self, item: &Arc<Item>, group: &Group) {
        let mut finding = by_receipt(&item.failed(), &self.table);
        // A receipt that tells it for certain needs nobody else's word.
        if let Some(latest) = self.groups.told(group, Instant::now()).filter(|_| finding.approximate) {
            finding.cause = latest.cause;
            finding.reason = format!("most likely as calls like it before: {}", latest.reason);
            finding.rule = SAME_CALL.to_owned();
            finding.error_selector = latest.error_selector;
            finding.error_signature = latest.error_signature.clone();
        }
        let group = self.groups.words(group);
        self.decide(item, Decided { finding, found_by: CauseEvidence::Budget, group });
    }

    /// The one place where something is decided.
    fn decide(&mut self, item: &Arc<Item>, decided: Decided) {
        if self.items.remove(&item.offset).is_none() {
            return;
        }
        self.bytes -= item.bytes();
        self.groups.forget(&item.group(), item.offset);
        if let Some(queue) = self.queues.get(&item.network) {
            queue.forget(item);
        }
        let letter = item.offset.checked_sub(FIRST);
        self.out.push((letter, record::cause(item, decided)));
    }
}
