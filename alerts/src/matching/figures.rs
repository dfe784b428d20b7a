//! Rules over windows of a network's blocks.
//!
//! Guarantee (rule 30): what a rule says after an event is a function of the network's events up to it and of the rule. While a reorg goes
//! on nothing is said. Windows of an hour and a day are looked at with the first block of each minute. Of a window that is not whole (the
//! chain has not been followed for so long, or blocks are gone) shares and means are told once a minute of it is held; sums only when what
//! there is is enough; and no rule with `<`, `<=`, `==` or `!=` begins to hold. A contract's window is whole where since before it began
//! somebody has watched the contract ([`WATCHED_MARGIN`] included), and its sums are kept here; or where the store has told all that it did
//! before that ([`Figures::wants_past`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::Address;
use conditions::{
    Change, Figure, Metric, Trailing,
    figures::{Judged, shown},
    rule::Limit,
    trailing::LetGo,
};
use runtime::control::Watched;
use schemas::{
    Network, Origin, TimeMs,
    limits::{conditions::PAST_CONTRACTS, windows::WATCHED_MARGIN},
    records::{AlertMatch, Mark, Partial},
};
use serde_json::{Value, json};

use super::{
    baselines::Hours,
    failures::Failures,
    ring::Place,
    rules::{Look, Rules, Told, Watch, millis, text_of},
};
use crate::{metrics, past::Did};

/// Windows of at most so many milliseconds are looked at after each event.
const EACH_EVENT_MS: i64 = 300_000;

/// Of a window that is not whole, so many milliseconds must be held before a share or a mean is told of it.
const ENOUGH_MS: i64 = 60_000;

/// Contracts that no rule wants any more, and whose sums are kept all the same: rules are paused and made anew.
const FORMER: usize = 256;

/// Where each of them begins to count: an answer to what a former one of the same network asked is none of this one.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// See the module.
pub struct Figures {
    trailing: Trailing,
    longest_ms: i64,
    /// Contracts whose sums are kept, and behind which block time all of them are.
    contracts: BTreeMap<Address, i64>,
    /// The minute of the last look at long windows.
    minute: Option<i64>,
    /// What the windows had let go of before the last event.
    let_go: LetGo,
    /// What the store told of contracts.
    pasts: BTreeMap<Address, Past>,
    /// Up to which block time it was asked, and how often such a block came or went since.
    asked: (i64, u64),
    told: Told,
}

/// All that a contract did behind one block time, up to another.
#[derive(Debug)]
struct Past {
    from: i64,
    until: i64,
    did: Vec<Did>,
}

impl Past {
    /// What it did behind a time.
    fn add_to(&self, from: i64, sum: &mut Partial) {
        for did in self.did.iter().filter(|did| did.at > from && did.at <= self.until) {
            let mark = Some(Mark { height: did.height, time: TimeMs(did.at) });
            sum.merge(&Partial {
                blocks: 1,
                transactions: did.transactions,
                failed: did.failed,
                gas_used: did.gas_used,
                fee_total: did.fee_total,
                gas_price_sum: did.gas_price_sum,
                gas_price_count: did.gas_price_count,
                first: mark,
                last: mark,
                fees: None,
                bins: None,
                senders: None,
                ..Partial::default()
            });
        }
    }
}

impl Figures {
    /// For windows of at most so many milliseconds, of the network and of these contracts.
    pub fn new(longest_ms: i64, contracts: BTreeSet<Address>) -> Self {
        let (trailing, told) = (Trailing::new(longest_ms), Told::default());
        Self {
            trailing,
            longest_ms,
            contracts: from_the_first(contracts),
            minute: None,
            let_go: LetGo::default(),
            pasts: BTreeMap::new(),
            asked: (i64::MIN, COUNTED.fetch_add(1 << 32, Ordering::Relaxed)),
            told,
        }
    }

    /// The longest window that it is for.
    pub fn longest_ms(&self) -> i64 {
        self.longest_ms
    }

    /// Whether it is for windows so long.
    pub fn has(&self, longest_ms: i64) -> bool {
        self.longest_ms >= longest_ms
    }

    /// Rules are about these contracts now: of new ones sums are kept from the next block on.
    pub fn want(&mut self, contracts: &BTreeSet<Address>) {
        if contracts.iter().any(|contract| !self.contracts.contains_key(contract)) {
            let from = self.trailing.latest().unwrap_or(i64::MIN);
            for contract in contracts {
                self.contracts.entry(*contract).or_insert(from);
            }
        }
        if self.contracts.len() > contracts.len().saturating_add(FORMER) {
            self.contracts.retain(|contract, _| contracts.contains(contract));
        }
    }

    /// Takes windows over that were read back; what was said stays.
    pub fn adopt(&mut self, read: Self) {
        let Self { trailing, longest_ms, contracts, let_go, .. } = read;
        (self.trailing, self.longest_ms, self.contracts, self.let_go) = (trailing, longest_ms, contracts, let_go);
    }

    /// Contracts of which rules want to know what they did before they were watched: behind which block time, up to which, and how often such
    /// a block came or went. Nothing is asked before a block behind that time is there.
    pub fn wants_past(&mut self, watches: &[Arc<Watch>], watched: &Watched) -> Vec<(Address, i64, i64, u64)> {
        let Some(latest) = self.trailing.latest() else { return Vec::new() };
        let mut longest: BTreeMap<Address, i64> = BTreeMap::new();
        for watch in watches {
            let Some(contract) = watch.of.what.contract else { continue };
            let longest = longest.entry(contract).or_default();
            *longest = (*longest).max(millis(watch.of.what.window));
        }
        // Who needs it no more makes room.
        let longest_ms = self.longest_ms;
        self.pasts
            .retain(|contract, past| longest.contains_key(contract) && past.until > latest.saturating_sub(longest_ms));
        let mut wanted = Vec::new();
        for (contract, ms) in longest {
            let Some(until) = known_from(&self.contracts, watched, contract) else { continue };
            let from = until.saturating_sub(ms);
            let has = self.pasts.get(&contract).is_some_and(|past| past.until == until && past.from <= from);
            if has || until >= latest || until <= latest.saturating_sub(ms) {
                continue;
            }
            if self.pasts.len().saturating_add(wanted.len()) >= PAST_CONTRACTS && !self.pasts.contains_key(&contract) {
                break;
            }
            self.asked.0 = self.asked.0.max(until);
            wanted.push((contract, from, until, self.asked.1));
        }
        wanted
    }

    /// Takes in what the store told; nothing where such a block came or went since it was asked. Whether it was taken.
    pub fn take_past(&mut self, contract: Address, (from, until, changes): (i64, i64, u64), did: Vec<Did>) -> bool {
        let is_good = changes == self.asked.1;
        if is_good {
            self.pasts.insert(contract, Past { from, until, did });
        }
        is_good
    }

    /// Takes the next event of the network. Where blocks before it are missing windows begin anew, and that is told.
    pub fn take(&mut self, network: &Network, sequence: u64, mut change: Change) {
        if let Change::Apply(block) = &mut change {
            // Rules need no sketches, and merging goes without them much faster.
            let plain = |partial: &mut Partial| (partial.bins, partial.senders, partial.fees) = (None, None, None);
            plain(&mut block.parts.network);
            block.parts.contracts.retain(|part| self.contracts.contains_key(&part.contract));
            block.parts.contracts.iter_mut().for_each(|part| plain(&mut part.partial));
        }
        // A new branch may have a block before a time that the former one had passed.
        let time = match &change {
            Change::Revert(block) => Some(block.time.0),
            Change::Apply(block) if block.origin == Origin::Live => Some(block.time.0),
            _ => None,
        };
        if let Some(time) = time.filter(|time| *time <= self.asked.0) {
            // What the store told may lack that block, or have one that is gone.
            self.asked.1 += 1;
            self.pasts.retain(|_, past| past.until < time);
        }
        if !self.trailing.take(sequence, change) {
            metrics::windows_lost(network);
            tracing::warn!(%network, sequence, "events before this one could not be taken in: the windows of rules begin anew");
        }
        let let_go = self.trailing.let_go();
        let former = std::mem::replace(&mut self.let_go, let_go);
        if let_go != former {
            metrics::windows_cut(network, "contracts", let_go.contracts.saturating_sub(former.contracts));
            metrics::windows_cut(network, "blocks", let_go.blocks.saturating_sub(former.blocks));
        }
        // Once of each: on such a chain it goes on with every block.
        if let_go.contracts > 0 && former.contracts == 0 {
            tracing::warn!(%network, sequence, "there is no room for all contracts of rules: their longest windows are not whole");
        }
        if let_go.blocks > 0 && former.blocks == 0 {
            tracing::warn!(%network, sequence, "there is no room for all blocks of rules' windows: the longest ones are not whole");
        }
    }

    /// What was said of a rule is taken back: what holds is said anew with the event that ends the reorg, of long windows too.
    pub fn forget(&mut self, rule: &(String, String)) {
        self.told.forget(rule);
        self.minute = None;
    }

    /// What rules say after this event; each with whether its condition holds. `watched`: the network's contracts that somebody watches.
    pub fn look(
        &mut self,
        network: &Network,
        place: &Place,
        (rules, watched): (&Rules, &Watched),
        hours: Option<&Hours>,
        failures: &Failures,
    ) -> Vec<(AlertMatch, bool)> {
        let Some(watches) = rules.windows.get(network) else { return Vec::new() };
        let mut windows: HashMap<(i64, Option<Address>), Option<Window>> = HashMap::new();
        self.told.follow(rules);
        let minute = place.at.0.div_euclid(60_000);
        let is_new_minute = self.minute.replace(minute) != Some(minute);
        let (mut said, mut whole) = (Vec::new(), None);
        for watch in watches {
            let rule = &watch.of.what;
            let ms = millis(rule.window);
            if ms > EACH_EVENT_MS && !is_new_minute {
                continue;
            }
            let (trailing, contracts, pasts) = (&self.trailing, &self.contracts, &self.pasts);
            let window = windows.entry((ms, rule.contract)).or_insert_with(|| {
                let (end, sum, is_complete) = trailing.window(ms, rule.contract)?;
                let from = end.0.saturating_sub(ms);
                let Some(contract) = rule.contract else { return Some((end, sum, is_complete)) };
                let Some(known) = known_from(contracts, watched, contract) else { return Some((end, sum, false)) };
                if known <= from {
                    return Some((end, sum, is_complete));
                }
                let covers = |past: &&Past| past.until == known && past.from <= from && known <= end.0;
                let Some(past) = pasts.get(&contract).filter(covers) else { return Some((end, sum, false)) };
                let (_, mut sum, is_complete) = trailing.window(end.0.saturating_sub(known), rule.contract)?;
                past.add_to(from, &mut sum);
                Some((end, sum, is_complete))
            });
            let Some(window) = window else { continue };
            // Of a contract nothing is usual before it was watched: those hours lack it.
            let known = rule.contract.map_or(i64::MIN, |contract| watched_from(watched, contract).unwrap_or(i64::MAX));
            let (figure, judged) = judge(watch, window, (hours, known));
            let enough = || is_enough(ms, whole.get_or_insert_with(|| trailing.window(self.longest_ms, None)).as_ref());
            if !window.2 && !rule.tells_of_part(judged, enough) {
                continue;
            }
            let look = Look {
                network,
                endpoint: None,
                block: Some((place.sequence, place.height, &place.block_hash)),
                at: place.at,
                observed_at: place.observed_at,
            };
            let window = &*window;
            let evidence = || evidence(watch, place, window, &figure, judged, failures);
            said.extend(self.told.say(watch, look, judged.over, evidence).map(|figure| (figure, judged.over)));
        }
        said
    }
}

/// When a window ends, what its blocks did, and whether it is complete.
type Window = (TimeMs, Partial, bool);

/// All that these contracts do is kept from the first block on.
fn from_the_first(contracts: BTreeSet<Address>) -> BTreeMap<Address, i64> {
    contracts.into_iter().map(|contract| (contract, i64::MIN)).collect()
}

/// Behind which block time all that a contract did is in the windows; `None`: nobody watches it.
fn known_from(contracts: &BTreeMap<Address, i64>, watched: &Watched, contract: Address) -> Option<i64> {
    let since = watched_from(watched, contract)?;
    contracts.get(&contract).map(|kept| since.max(*kept))
}

/// Behind which block time all that a contract does is known to the stages before; `None`: nobody watches it.
fn watched_from(watched: &Watched, contract: Address) -> Option<i64> {
    Some(watched.get(&text_of(contract))?.0.saturating_add(millis(WATCHED_MARGIN)))
}

/// What a rule says of a window.
fn judge(watch: &Watch, (end, partial, _): &Window, (hours, known): (Option<&Hours>, i64)) -> (Figure, Judged) {
    let rule = &watch.of.what;
    let ms = millis(rule.window);
    let figure = Figure::of(rule.metric, partial, u64::try_from(ms).unwrap_or(0));
    let from = TimeMs(end.0.saturating_sub(ms));
    let usual = match &rule.limit {
        Limit::Threshold(_) => None,
        Limit::Baseline { over, .. } => {
            hours.and_then(|hours| hours.usual(rule.metric, rule.contract, from, millis(*over), ms, known))
        }
    };
    let judged = rule.judge(&figure, usual.as_ref());
    (figure, judged)
}

/// Whether a share or a mean is told of a window that is not whole: once a minute of it is held, a block or two say too little.
fn is_enough(ms: i64, held: Option<&Window>) -> bool {
    let first = held.and_then(|(end, partial, _)| Some(end.0.saturating_sub(partial.first?.time.0)));
    first.is_some_and(|held| held >= ms.min(ENOUGH_MS))
}

fn evidence(
    watch: &Watch,
    place: &Place,
    (end, _, is_complete): &Window,
    figure: &Figure,
    judged: Judged,
    failures: &Failures,
) -> Value {
    let rule = &watch.of.what;
    let (from, to) = (TimeMs(end.0.saturating_sub(millis(rule.window))), *end);
    let mut evidence = json!({
        "metric": rule.metric.as_str(),
        "value": figure.value.as_ref().map(shown),
        "threshold": judged.threshold.as_ref().map(shown),
        "window": conditions::span::text(rule.window),
        "from": from.rfc3339(),
        "to": to.rfc3339(),
        "transactions": figure.transactions,
        "failed": figure.failed,
        "height": place.height,
        "block_hash": place.block_hash.as_str(),
        "sequence": place.sequence,
        "complete": is_complete,
    });
    if let (Some(contract), Value::Object(fields)) = (rule.contract, &mut evidence) {
        fields.insert("contract".to_owned(), json!(text_of(contract)));
    }
    if let (Metric::FailureRate | Metric::Failed, Value::Object(fields)) = (rule.metric, &mut evidence) {
        let (causes, example) = failures.told(rule.contract, from, to);
        let causes: Vec<Value> =
            causes.into_iter().map(|(cause, count)| json!({"cause": cause, "count": count})).collect();
        fields.insert("causes".to_owned(), Value::Array(causes));
        fields.insert("example".to_owned(), example.map_or(Value::Null, |hash| json!({"hash": hash.to_string()})));
    }
    evidence
}

#[cfg(test)]
mod tests;
