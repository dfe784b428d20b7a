//! The judgement.

use store::query::Figures;

use super::{
    Case, Chain,
    usual::{self, Range},
    words,
};
use crate::items::{EvidenceItem, Figure};

/// Blocks are full, whatever is usual.
const FULL: f64 = 0.95;
/// How much fuller than usual blocks are that stand out: at all, and where they are full.
const FULLER: (f64, f64) = (0.10, 0.02);
/// By what factor a base fee or a fee rate is higher than usual that stands out.
const DEARER: f64 = 1.5;
/// By what factor blocks come slower than usual that stand out.
const SLOWER: f64 = 2.0;
/// Blocks of a Bitcoin network whose intervals may stand out, at least.
const BLOCKS: u64 = 3;
/// A contract that is more than this share of all failures is what fails.
const MOST: f64 = 0.5;

/// Where the cause likely is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At the contract.
    Contract,
    /// At the chain.
    Chain,
    /// At the endpoints.
    Provider,
    /// Nothing stands out.
    Nothing,
}

impl Verdict {
    /// As a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Chain => "chain",
            Self::Provider => "provider",
            Self::Nothing => "nothing",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Where.
    pub verdict: Verdict,
    /// One sentence.
    pub sentence: String,
    /// What was compared, what stands out first.
    pub evidence: Vec<EvidenceItem>,
    /// What could not be compared.
    pub missing: Vec<String>,
}

/// A figure that stands out, in a clause.
struct Finding {
    verdict: Verdict,
    clause: String,
}

/// What fails at the contract that is asked about.
enum Own {
    /// None is asked about.
    NotAsked,
    /// No more than usual.
    Usual,
    /// More than usual, as elsewhere in the network.
    AsOthers,
    /// More than usual, and more than elsewhere.
    Alone(Finding),
}

/// Judges.
pub fn judge(case: &Case) -> Judged {
    let mut seen = Seen { case, evidence: Vec::new(), missing: case.missing.clone() };
    let own = seen.contract();
    let (mut in_general, mut chain) = (None, Vec::new());
    match case.chain {
        Chain::Evm => {
            in_general = seen.failures(&own);
            chain.extend(seen.gas());
            chain.extend(seen.base_fee());
            chain.extend(seen.interval());
        }
        Chain::Bitcoin => {
            chain.extend(seen.weight());
            chain.extend(seen.fee_rate());
            chain.extend(seen.interval());
        }
        Chain::Headers => seen.headers_alone(),
    }
    let apart = seen.apart();
    let blind = seen.age();
    let endpoints = seen.endpoints();
    let (blind, single) = match endpoints {
        Some((true, clause)) => (Some(blind.map_or(clause.clone(), |age| format!("{age}; {clause}"))), None),
        Some((false, clause)) => (blind, Some(clause)),
        None => (blind, None),
    };

    let Seen { mut evidence, missing, .. } = seen;
    evidence.sort_by_key(|item| item.verdict.is_none());
    let besides = || match chain.first() {
        Some(clause) => format!("; besides, {clause}"),
        None => String::new(),
    };
    let at_contract = if let Own::Alone(finding) = own { Some(finding) } else { None };
    let failing = at_contract.into_iter().chain(in_general).collect::<Vec<Finding>>();
    let found = |wanted: Verdict| failing.iter().find(|finding| finding.verdict == wanted).map(|f| f.clause.as_str());
    let (verdict, sentence) = if let Some(clause) = apart {
        (Verdict::Provider, format!("The provider: {clause}"))
    } else if let Some(clause) = blind {
        (Verdict::Provider, format!("The provider: {clause}; what is newer is not known"))
    } else if let Some(clause) = found(Verdict::Contract) {
        (Verdict::Contract, format!("The contract: {clause}{}", besides()))
    } else if let Some(clause) = found(Verdict::Chain) {
        (Verdict::Chain, format!("The chain: {clause}{}", besides()))
    } else if !chain.is_empty() {
        (Verdict::Chain, format!("The chain: {}", chain.join(", and ")))
    } else if let Some(clause) = single {
        (Verdict::Provider, format!("The provider: {clause}"))
    } else if evidence.is_empty() {
        (Verdict::Nothing, format!("Nothing could be compared: {}", listed(&missing)))
    } else if missing.is_empty() {
        (Verdict::Nothing, "Nothing stands out: all is within what was usual in the last day".to_owned())
    } else {
        (Verdict::Nothing, format!("Nothing stands out in what could be compared; not compared: {}", listed(&missing)))
    };
    Judged { verdict, sentence, evidence, missing }
}

fn listed(missing: &[String]) -> String {
    if missing.is_empty() { "nothing is known".to_owned() } else { missing.join("; ") }
}

/// What was looked at.
pub(super) struct Seen<'c> {
    pub(super) case: &'c Case,
    evidence: Vec<EvidenceItem>,
    missing: Vec<String>,
}

impl Seen<'_> {
    pub(super) fn tell(
        &mut self,
        name: &str,
        unit: &str,
        value: f64,
        usual: Option<Range>,
        points: Option<Verdict>,
        note: Option<String>,
    ) {
        let figure = |value: f64| {
            Some(if unit == "price" { Figure::Amount(format!("{value:.0}")) } else { Figure::Number(value) })
        };
        self.evidence.push(EvidenceItem {
            name: name.to_owned(),
            value: figure(value),
            unit: unit.to_owned(),
            usual_low: usual.and_then(|range| figure(range.0)),
            usual_high: usual.and_then(|range| figure(range.1)),
            verdict: points.map(|verdict| verdict.word().to_owned()),
            note,
        });
    }

    pub(super) fn lack(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }

    fn too_few(&mut self, what: &str, held: usize) {
        let (needed, steps) = (usual::WINDOWS, self.case.chain.steps());
        self.lack(format!("{what} against its last day: {held} of at least {needed} {steps} of it tell of it"));
    }

    /// The contract's failures, against its own last day and against the rest of the network.
    fn contract(&mut self) -> Own {
        let case = self.case;
        let Some(name) = case.contract.as_deref() else { return Own::NotAsked };
        let Some(now) = case.contract_now.as_ref().filter(|now| now.transactions > 0) else {
            self.lack(format!("what fails at {name}: no window of the last minutes tells of a transaction with it"));
            return Own::Usual;
        };
        let rate = now.failure_rate().unwrap_or(0.0);
        if now.transactions < usual::TRANSACTIONS {
            self.lack(format!(
                "what fails at {name}: {} transactions in the last minutes are too few to tell chance from trouble",
                now.transactions
            ));
        }
        let own = usual::failure_rates(&case.contract_usual, now.transactions);
        if own.is_none() {
            let told = case.contract_usual.iter().filter_map(usual::failure_rate).count();
            self.too_few(&format!("the failure rate of {name}"), told);
        }
        let others = case.now.transactions.saturating_sub(now.transactions);
        let failed = case.now.failed.saturating_sub(now.failed).min(others);
        let rest = Figures { transactions: others, failed, ..Figures::default() };
        let rest_rate = rest.failure_rate();
        let higher = usual::is_higher((now.failed, now.transactions), (rest.failed, rest.transactions));
        if rest.transactions < usual::TRANSACTIONS {
            self.lack(format!(
                "{name} against the rest of the network: that had {} other transactions in the last minutes",
                rest.transactions
            ));
        }
        // Where its own past is not known, only a difference that is large by any measure is more than its nature.
        let high = match own {
            Some(own) => usual::is_high_share(now.failed, now.transactions, own),
            None => higher && rest_rate.is_some_and(|rest| rate >= rest + 0.2 && rate >= 5.0 * rest),
        };
        // Others fail as often: then it is nothing of its own.
        let alone = higher || rest.transactions < usual::TRANSACTIONS;
        let points = (high && alone).then_some(Verdict::Contract);
        let counted = format!("{} of {} transactions in the last minutes", now.failed, now.transactions);
        self.tell(&format!("failure rate of {name}"), "ratio", rate, own, points, Some(counted));
        if let Some(rest) = rest_rate {
            let note = "the network's other transactions in the last minutes".to_owned();
            self.tell("failure rate of the rest of the network", "ratio", rest, None, None, Some(note));
        }
        if points.is_none() {
            return if high { Own::AsOthers } else { Own::Usual };
        }
        let usually = own
            .map_or("how many usually do is not known".to_owned(), |own| format!("usually {}", words::percents(own)));
        let others = match rest_rate.filter(|_| rest.transactions >= usual::TRANSACTIONS) {
            Some(rest) => format!(", while of the network's other transactions {} failed", words::percent(rest)),
            None => String::new(),
        };
        let clause = format!(
            "{} of the transactions with {name} failed in the last minutes ({} of {}), {usually}{others}",
            words::percent(rate),
            now.failed,
            now.transactions
        );
        Own::Alone(Finding { verdict: Verdict::Contract, clause })
    }

    /// What fails in all of the network, against its last day.
    ///
    /// Whoever asks about a contract at which no more fails than usual is not told that others fail.
    fn failures(&mut self, asked: &Own) -> Option<Finding> {
        let case = self.case;
        let now = &case.now;
        let Some(rate) = now.failure_rate() else {
            self.lack("what fails in the network: no window of the last minutes tells of a transaction");
            return None;
        };
        let own = usual::failure_rates(&case.usual, now.transactions);
        if own.is_none() {
            let told = case.usual.iter().filter_map(usual::failure_rate).count();
            self.too_few("the failure rate of the network", told);
        }
        let concerned = matches!(asked, Own::NotAsked | Own::AsOthers);
        let high = own.filter(|own| concerned && usual::is_high_share(now.failed, now.transactions, *own));
        let worst = case.worst.as_ref().filter(|_| matches!(asked, Own::NotAsked));
        let worst = worst.filter(|worst| worst.of > 0 && worst.failed as f64 > MOST * worst.of as f64);
        let points = high.map(|_| if worst.is_some() { Verdict::Contract } else { Verdict::Chain });
        let counted = format!("{} of {} transactions in the last minutes", now.failed, now.transactions);
        self.tell("failure rate of the network", "ratio", rate, own, points, Some(counted));
        let (own, verdict) = (high?, points?);
        let (percent, usually) = (words::percent(rate), words::percents(own));
        let clause = match worst {
            Some(worst) => format!(
                "{} of {} failures of the last minutes called {}; of all transactions {percent} failed, usually {usually}",
                worst.failed, worst.of, worst.name
            ),
            None => format!(
                "{percent} of all transactions failed in the last minutes, usually {usually}, and no one contract has most of them"
            ),
        };
        Some(Finding { verdict, clause })
    }

    fn gas(&mut self) -> Option<String> {
        self.fullness(Figures::fullness, "no window of the last minutes tells a gas limit", "gas used by gas limit")
    }

    /// How full blocks are. `none`: why nothing tells of it where nothing does; `note`: what is compared with what.
    pub(super) fn fullness(&mut self, of: fn(&Figures) -> Option<f64>, none: &str, note: &str) -> Option<String> {
        let case = self.case;
        let Some(value) = of(&case.now) else {
            self.lack(format!("how full blocks are: {none}"));
            return None;
        };
        let range = usual::range(case.usual.iter().filter_map(of));
        if range.is_none() {
            self.too_few("how full blocks are", case.usual.iter().filter_map(of).count());
        }
        let high = range.filter(|range| value > range.1 + FULLER.0 || (value >= FULL && value > range.1 + FULLER.1));
        self.tell("fullness of blocks", "ratio", value, range, high.map(|_| Verdict::Chain), Some(note.to_owned()));
        high.map(|range| format!("blocks are {} full, usually {}", words::percent(value), words::percents(range)))
    }

    fn base_fee(&mut self) -> Option<String> {
        let of = |figures: &Figures| figures.base_fee_avg().map(words::number);
        let (none, note) = ("blocks of the last minutes tell none", "mean of the last minutes' blocks");
        self.price("base fee", of, none, note, words::price)
    }

    /// What has to be paid, whose name is `name`. `none`, `note`: as of [`Self::fullness`]; `said`: a price in words.
    pub(super) fn price(
        &mut self,
        name: &str,
        of: fn(&Figures) -> Option<f64>,
        none: &str,
        note: &str,
        said: fn(f64) -> String,
    ) -> Option<String> {
        let case = self.case;
        let Some(value) = of(&case.now) else {
            self.lack(format!("the {name}: {none}"));
            return None;
        };
        let range = usual::range(case.usual.iter().filter_map(of));
        if range.is_none() {
            self.too_few(&format!("the {name}"), case.usual.iter().filter_map(of).count());
        }
        let high = range.filter(|range| value > range.1 * DEARER && value > 0.0);
        self.tell(name, "price", value, range, high.map(|_| Verdict::Chain), Some(note.to_owned()));
        high.map(|(low, high)| {
            let (low, high) = (said(low), said(high));
            let usually = if low == high { low } else { format!("{low} to {high}") };
            format!("the {name} is {}, usually {usually}", said(value))
        })
    }

    /// Milliseconds between blocks, as is usual.
    fn usual_interval(&self) -> Option<Range> {
        usual::range(self.case.usual.iter().filter_map(Figures::block_interval_ms))
    }

    fn interval(&mut self) -> Option<String> {
        let Some(value) = self.case.now.block_interval_ms() else {
            self.lack(format!(
                "how fast blocks come: windows of the {} tell of fewer than two",
                self.case.chain.time()
            ));
            return None;
        };
        let range = self.usual_interval();
        if range.is_none() {
            let told = self.case.usual.iter().filter_map(Figures::block_interval_ms).count();
            self.too_few("how fast blocks come", told);
        }
        // Of minutes that chance spreads, one alone says nothing.
        let few = self.case.chain != Chain::Evm && self.case.now.blocks < BLOCKS;
        let slow = range.filter(|range| !few && value > range.1 * SLOWER && value >= 1_000.0);
        let note = few.then(|| format!("of fewer than {BLOCKS} blocks, which is too few to tell chance from trouble"));
        self.tell("block interval", "ms", value, range, slow.map(|_| Verdict::Chain), note);
        slow.map(|range| {
            format!("a block comes every {}, usually every {}", words::time(value as u64), words::time(range.1 as u64))
        })
    }

    /// How old the newest block is.
    fn age(&mut self) -> Option<String> {
        let case = self.case;
        // Hours of the day before end up to two hours ago: what came since is not in them.
        let before = case.usual.iter().filter_map(|figures| figures.last).filter(|_| case.chain == Chain::Evm);
        let newest = case.now.last.into_iter().chain(case.head).chain(before).max_by_key(|(height, _)| *height);
        let Some((height, time)) = newest else {
            let time = if case.chain == Chain::Evm { "last day" } else { case.chain.time() };
            self.lack(format!("how old the newest block is: none of the {time} is known"));
            return None;
        };
        let age = u64::try_from(case.at.0.saturating_sub(time.0)).unwrap_or(0);
        let most = case.chain.age_ok(self.usual_interval().map(|range| range.1));
        let old = age > most;
        let note = format!("block {height}");
        self.tell(
            "age of the newest block",
            "ms",
            age as f64,
            Some((0.0, most as f64)),
            old.then_some(Verdict::Provider),
            Some(note),
        );
        old.then(|| {
            let known = if case.endpoints.is_empty() { "" } else { " of any endpoint" };
            format!(
                "the newest block that is known{known} is {} old: all endpoints are behind, or the chain itself stands still",
                words::time(age)
            )
        })
    }
}
