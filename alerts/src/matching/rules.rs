//! Rules of all tenants, by what they look at.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::Address;
use conditions::{
    Metric, Rule,
    figures::Kind,
    rule::{Limit, RuleGroup},
};
use schemas::{
    Network, TimeMs,
    records::{AlertMatch, AlertSource, Figured, MatchOp, SourceKind},
};
use serde_json::Value;

use crate::definitions::{Defined, Definitions};

/// A rule of a tenant.
#[derive(Debug)]
pub struct Watch {
    /// Whose.
    pub tenant: String,
    /// The rule.
    pub of: Arc<Defined<Rule>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rules {
    /// About windows of blocks, by network.
    pub windows: HashMap<Network, Vec<Arc<Watch>>>,
    /// Contracts that rules about failures are about, by network; none of a network where no rule is about failures.
    pub failures: HashMap<Network, BTreeSet<Address>>,
    /// Contracts that rules over windows are about, by network.
    pub contracts: HashMap<Network, BTreeSet<Address>>,
    /// Tenants and ids of all of them.
    known: HashSet<(String, String)>,
    /// Another number: other rules.
    pub changes: u64,
    /// About endpoints, stages and clocks, by network.
    pub clocks: HashMap<Network, Vec<Arc<Watch>>>,
}

impl Rules {
    /// Those that are not paused.
    pub fn of(definitions: &Definitions) -> Self {
        let mut rules = Self { changes: definitions.changes, ..Self::default() };
        for (tenant, defined) in &definitions.tenants {
            for of in defined.rules.values().filter(|of| !of.what.paused) {
                let watch = Arc::new(Watch { tenant: tenant.clone(), of: of.clone() });
                rules.known.insert((tenant.clone(), of.id.clone()));
                let networks: BTreeSet<&Network> = of.what.networks.iter().collect();
                let is_of_failures = matches!(of.what.metric, Metric::FailureRate | Metric::Failed);
                for network in networks {
                    if of.what.metric.kind() == Kind::Window {
                        rules.contracts.entry(network.clone()).or_default().extend(of.what.contract);
                    }
                    if is_of_failures {
                        rules.failures.entry(network.clone()).or_default().extend(of.what.contract);
                    }
                    let by_network = match of.what.metric.kind() {
                        Kind::Window => &mut rules.windows,
                        Kind::Endpoint | Kind::Clock => &mut rules.clocks,
                    };
                    by_network.entry(network.clone()).or_default().push(watch.clone());
                }
            }
        }
        rules
    }

    /// Whether a rule is there and not paused: tenant and id.
    pub fn has(&self, rule: &(String, String)) -> bool {
        self.known.contains(rule)
    }

    /// The longest window of each network, in milliseconds.
    pub fn longest(&self, network: &Network) -> Option<i64> {
        let of = self.windows.get(network)?;
        of.iter().map(|watch| millis(watch.of.what.window)).max()
    }

    /// Whether any rule compares a network's figures with their past.
    pub fn has_baselines(&self) -> bool {
        let all = self.windows.values().flatten();
        all.into_iter().any(|watch| matches!(watch.of.what.limit, Limit::Baseline { .. }))
    }
}

/// Whole milliseconds.
pub fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl Watch {
    /// As matches name it.
    pub fn source(&self) -> AlertSource {
        let Defined { id, name, version, .. } = &*self.of;
        AlertSource { kind: SourceKind::Rule, id: id.clone(), name: name.clone(), version: *version }
    }

    /// The group of an alert about this. Rules that look at several networks, or at each endpoint, have a group for each: one that is well
    /// does not end what another has begun.
    fn group(&self, network: &Network, endpoint: Option<&str>) -> BTreeMap<String, String> {
        let rule = &self.of.what;
        let mut values = BTreeMap::new();
        if rule.is_grouped_by(RuleGroup::Rule) {
            values.insert("rule".to_owned(), self.of.id.clone());
        }
        if rule.is_grouped_by(RuleGroup::Network) {
            values.insert("network".to_owned(), network.to_string());
        }
        if let Some(contract) = rule.contract.filter(|_| rule.is_grouped_by(RuleGroup::Contract)) {
            values.insert("contract".to_owned(), text_of(contract));
        }
        if let Some(endpoint) = endpoint {
            values.insert("endpoint".to_owned(), endpoint.to_owned());
        }
        values
    }
}

/// An address in lower case.
pub fn text_of(address: Address) -> String {
    schemas::records::window::text_of(Some(address))
}

/// Where and when a figure was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The network.
    pub network: &'a Network,
    /// The endpoint, where it is one's.
    pub endpoint: Option<&'a str>,
    /// Sequence, height and block; `None` where a clock says it.
    pub block: Option<(u64, u64, &'a schemas::BlockHash)>,
    /// The block's time, or the clock.
    pub at: TimeMs,
    /// When the block was first seen, or the clock.
    pub observed_at: TimeMs,
}

/// What was said last of a rule's group.
#[derive(Debug, Clone)]
struct Said {
    version: u64,
    over: bool,
    since: TimeMs,
    at: TimeMs,
    held: bool,
}

/// While a condition holds, its evidence is told so often at most.
const EVIDENCE_EVERY_MS: i64 = 5_000;

/// What was said of rules: when it is to be said again follows from it.
#[derive(Debug, Default)]
pub struct Told {
    /// By tenant, rule and endpoint.
    said: HashMap<(String, String, Option<String>), Said>,
    /// The rules that were looked at last.
    changes: u64,
}

fn key_of(watch: &Watch, endpoint: Option<&str>) -> (String, String, Option<String>) {
    (watch.tenant.clone(), watch.of.id.clone(), endpoint.map(str::to_owned))
}

impl Told {
    /// What is to be said now that a rule's condition holds, or does not; `None`: nothing new. The first look says what holds, whatever it
    /// is, since it is not known what was said before. `evidence` is made only where it is said.
    pub fn say(
        &mut self,
        watch: &Watch,
        look: Look<'_>,
        over: bool,
        evidence: impl FnOnce() -> Value,
    ) -> Option<AlertMatch> {
        let key = key_of(watch, look.endpoint);
        let version = watch.of.version;
        let hold = millis(watch.of.what.hold);
        let former = self.said.get(&key).filter(|said| said.version == version);
        let flips = former.is_none_or(|said| said.over != over);
        let since = former.filter(|said| said.over == over).map_or(look.at, |said| said.since);
        let holds_long = over && look.at.0.saturating_sub(since.0) >= hold;
        let is_due = |said: &Said| holds_long && !said.held || look.at.0.saturating_sub(said.at.0) >= EVIDENCE_EVERY_MS;
        if !(flips || over && former.is_some_and(is_due)) {
            return None;
        }
        self.said.insert(key, Said { version, over, since, at: look.at, held: holds_long });
        let block = look.block;
        Some(AlertMatch {
            tenant: watch.tenant.clone(),
            source: watch.source(),
            op: MatchOp::Figure,
            network: look.network.clone(),
            sequence: block.map_or(0, |block| block.0),
            height: block.map_or(0, |block| block.1),
            block_hash: block.map(|block| block.2.clone()),
            at: look.at,
            observed_at: look.observed_at,
            contract: watch.of.what.contract.map(text_of),
            group: watch.group(look.network, look.endpoint),
            found: None,
            figure: Some(Figured { over, evidence: evidence().to_string() }),
        })
    }

    /// What was said of this rule over windows is taken back with its block: the next look says anew what holds.
    pub fn forget(&mut self, (tenant, rule): &(String, String)) {
        self.said.remove(&(tenant.clone(), rule.clone(), None));
    }

    /// Forgets rules that are no more, once for each change.
    pub fn follow(&mut self, rules: &Rules) {
        if std::mem::replace(&mut self.changes, rules.changes) != rules.changes {
            let mut pair = (String::new(), String::new());
            self.said.retain(|(tenant, rule, _), _| {
                pair.0.clone_from(tenant);
                pair.1.clone_from(rule);
                rules.has(&pair)
            });
        }
    }
}
