//! Rules: a figure against a threshold, or against its own past.
//!
//! Guarantee: a rule that parses can be evaluated: its metric is one that its contract or endpoint has, its threshold one that the metric
//! can reach.

use std::time::Duration;

use alloy_primitives::Address;
use schemas::{Mistake, Network, limits::conditions as limits, records::Severity};
use serde_json::{Map, Value, json};

use crate::{
    fields::{Fields, ended, shown},
    figures::{Kind, Metric},
    number::{Number, Relation},
    routing::{self, Escalate, Route, SEVERITIES},
    span,
};

/// Fields of which a definition has one: who sets one in a change of an existing thing leaves the other out.
pub const ALTERNATIVES: [(&str, &str); 2] = [("network", "networks"), ("threshold", "baseline")];

/// See the module. Fields as `docs/alerts.md` names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is called.
    pub name: String,
    /// It says nothing.
    pub paused: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Where it looks; at least one.
    pub networks: Vec<Network>,
    /// At which contract; `None`: at the network.
    pub contract: Option<Address>,
    /// At which endpoint, by name; `None`: at each.
    pub endpoint: Option<String>,
    /// At what.
    pub metric: Metric,
    /// How the figure must stand to the limit.
    pub operator: Relation,
    /// To what.
    pub limit: Limit,
    /// Over which time.
    pub window: Duration,
    /// For how long it must hold before it fires.
    pub hold: Duration,
    /// Transactions in the window below which nothing is said.
    pub min_count: u64,
    /// What makes one alert of several.
    pub group_by: Vec<RuleGroup>,
    /// No second firing of one group earlier.
    pub cooldown: Duration,
    /// How often it is said again while it fires.
    pub repeat_every: Option<Duration>,
    /// Whom it is told: ids or names.
    pub channels: Vec<String>,
    /// And whom, by severity and time of day.
    pub routes: Vec<Route>,
    /// And whom, when nobody acts.
    pub escalate: Option<Escalate>,
}

/// What a figure is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// A number.
    Threshold(Written),
    /// So many percent above its usual value (with `<` and `<=`: below it).
    Baseline {
        /// Percent.
        percent: Written,
        /// The usual value is that of the complete hours of this time, at least one.
        over: Duration,
    },
}

/// A number as it was written, and exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// What it is.
    pub number: Number,
    /// As JSON has it.
    pub json: serde_json::Number,
}

/// What alerts of a rule are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleGroup {
    /// The rule.
    Rule,
    /// The network.
    Network,
    /// The contract.
    Contract,
    /// The endpoint.
    Endpoint,
}

impl RuleGroup {
    const WORDS: [(&'static str, Self); 4] =
        [("rule", Self::Rule), ("network", Self::Network), ("contract", Self::Contract), ("endpoint", Self::Endpoint)];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Network => "network",
            Self::Contract => "contract",
            Self::Endpoint => "endpoint",
        }
    }
}

const WINDOWS: [(&str, u64); 4] = [("1m", 60), ("5m", 300), ("1h", 3_600), ("24h", 86_400)];
const NONE: Duration = Duration::ZERO;

impl Rule {
    /// Reads a definition: an object with the fields of `docs/alerts.md`; `name` and `metric`, `network` or `networks` must be there, and
    /// of most metrics `threshold` or `baseline`.
    ///
    /// # Errors
    /// Every mistake, at most 20, with its path.
    pub fn parse(definition: &Value) -> Result<Self, Vec<Mistake>> {
        let mut f = Fields::of(definition);
        let name = f.name();
        let paused = f.flag("paused", false);
        let severity = f.word("severity", &SEVERITIES).unwrap_or(Severity::Warning);
        let networks = networks(&mut f);
        let contract = f.text("contract", 64).and_then(|text| {
            let address = address(&text);
            if address.is_none() {
                f.mistake("contract", format!("is `{text}`"), ADDRESS_CURE);
            }
            address
        });
        let endpoint = f.text("endpoint", limits::NAME_CHARACTERS);
        f.wanted("metric", "write which: `failure_rate`, `gas_price_avg`, …");
        let metric = f.word("metric", &Metric::WORDS);
        let operator = f.word("operator", &Relation::WORDS);
        let threshold = written(&mut f, "threshold");
        let (has_threshold, has_baseline) = (f.has("threshold"), f.has("baseline"));
        let baseline = baseline(&mut f);
        let window = f.word("window", &WINDOWS).map_or(Duration::from_secs(300), Duration::from_secs);
        let hold = f.span("for", NONE, limits::LONGEST).unwrap_or(NONE);
        let min_count = f.number("min_count", 0, u64::from(u32::MAX)).unwrap_or(0);
        let group_by = group_by(&mut f, &RuleGroup::WORDS, &[RuleGroup::Rule, RuleGroup::Contract]);
        let cooldown = f.span("cooldown", NONE, limits::LONGEST).unwrap_or(NONE);
        let repeat_every = f.span("repeat_every", limits::SHORTEST_REPEAT, limits::LONGEST);
        let channels = routing::channels(&mut f);
        let routes = routing::routes(&mut f);
        let escalate = routing::escalate(&mut f);
        let Some(metric) = metric else { return ended(f, None) };
        if has_threshold && has_baseline {
            f.mistake("baseline", "stands beside a threshold", "leave one of the two out");
        }
        let usual = usual(metric);
        let operator = operator.unwrap_or(usual.0);
        let limit = match (threshold, baseline) {
            (Some(number), _) => Some(Limit::Threshold(number)),
            (None, Some(limit)) => Some(limit),
            (None, None) if !has_threshold && !has_baseline => {
                if usual.1.is_none() {
                    f.mistake("threshold", "is missing", "write the number that is too much, or a `baseline`");
                }
                usual.1
            }
            (None, None) => None,
        };
        let rule = limit.map(|limit| Self {
            name,
            paused,
            severity,
            networks,
            contract,
            endpoint,
            metric,
            operator,
            limit,
            window,
            hold,
            min_count,
            group_by,
            cooldown,
            repeat_every,
            channels,
            routes,
            escalate,
        });
        if let Some(rule) = &rule {
            rule.check(&mut f);
        }
        ended(f, rule)
    }

    /// What does not go together.
    fn check(&self, f: &mut Fields<'_>) {
        let metric = self.metric;
        if self.contract.is_some() && !metric.is_of_contracts() {
            let cure = "leave `contract` out, or take `failure_rate`, `failed`, `transactions`, `tps`, `gas_price_avg` or `fee_total`";
            f.mistake("contract", format!("has no `{}`", metric.as_str()), cure);
        }
        if self.endpoint.is_some() && metric.kind() != Kind::Endpoint {
            let cure = "leave `endpoint` out, or take a metric of endpoints, such as `provider_score`";
            f.mistake("endpoint", format!("has no `{}`", metric.as_str()), cure);
        }
        if self.min_count > 0 && metric.kind() != Kind::Window {
            f.mistake("min_count", format!("counts no transactions of `{}`", metric.as_str()), "leave it out");
        }
        match &self.limit {
            Limit::Threshold(threshold) => {
                if let Some(most) = metric.beyond(self.operator, threshold.number) {
                    let cure = match most {
                        _ if metric == Metric::Diverged => "leave `threshold` out".to_owned(),
                        1 => "write a number of 0 to 1: 0.05 is five percent".to_owned(),
                        most => format!("write a number of 0 to {most}"),
                    };
                    f.mistake("threshold", format!("is as much as `{}` can be, or more", metric.as_str()), cure);
                } else if threshold.number.is_negative() {
                    f.mistake("threshold", "is below zero", "write a number of at least 0");
                }
            }
            Limit::Baseline { percent, .. } => {
                if metric.kind() != Kind::Window {
                    let cure = "write a `threshold` instead";
                    f.mistake("baseline", format!("`{}` is not kept by the hour", metric.as_str()), cure);
                }
                let is_under = matches!(self.operator, Relation::Less | Relation::AtMost);
                if matches!(self.operator, Relation::Equal | Relation::Unequal) {
                    f.mistake("operator", "goes with no baseline", "write `>`, `>=`, `<` or `<=`");
                } else if percent.number.is_negative() {
                    let cure = "write a number of at least 0, and `<` for what is below the usual";
                    f.mistake("baseline.percent", "is below zero", cure);
                } else if is_under && percent.number > Number::from(100u64) {
                    f.mistake("baseline.percent", "leaves less than nothing", "write at most 100");
                }
            }
        }
    }

    /// Whether alerts are grouped by this: of several networks always by each, by a contract where it is about one.
    pub fn is_grouped_by(&self, by: RuleGroup) -> bool {
        let always = by == RuleGroup::Network && self.networks.len() > 1;
        always || self.group_by.contains(&by) && (by != RuleGroup::Contract || self.contract.is_some())
    }

    /// The canonical definition, every default written out; [`parse`](Self::parse) of it gives the same rule.
    pub fn definition(&self) -> Value {
        let (threshold, baseline) = match &self.limit {
            Limit::Threshold(threshold) => (Value::Number(threshold.json.clone()), Value::Null),
            Limit::Baseline { percent, over } => {
                (Value::Null, json!({"percent": percent.json.clone(), "over": span::text(*over)}))
            }
        };
        let mut object = Map::new();
        define_networks(&self.networks, &mut object);
        let rest = json!({
            "name": self.name,
            "paused": self.paused,
            "severity": self.severity.as_str(),
            "contract": self.contract.map(const_hex::encode_prefixed),
            "endpoint": self.endpoint,
            "metric": self.metric.as_str(),
            "operator": self.operator.as_str(),
            "threshold": threshold,
            "baseline": baseline,
            "window": span::text(self.window),
            "for": span::text(self.hold),
            "min_count": self.min_count,
            "group_by": self.group_by.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
            "cooldown": span::text(self.cooldown),
            "repeat_every": self.repeat_every.map(span::text),
            "channels": self.channels,
            "routes": routing::definition_of_routes(&self.routes),
            "escalate": routing::definition_of_escalate(self.escalate.as_ref()),
        });
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }
}

/// How a metric is mostly compared, and with what.
fn usual(metric: Metric) -> (Relation, Option<Limit>) {
    let threshold = |json: serde_json::Number| {
        let number = Number::read(&json.to_string());
        number.map(|number| Limit::Threshold(Written { number, json }))
    };
    match metric {
        Metric::FailureRate => (Relation::More, serde_json::Number::from_f64(0.05).and_then(threshold)),
        Metric::ProviderScore => (Relation::Less, threshold(50.into())),
        Metric::EndpointsDisagree | Metric::Diverged | Metric::IncompleteBlocks => {
            (Relation::More, threshold(0.into()))
        }
        Metric::GasPriceAvg => {
            let percent = Written { number: Number::from(50u64), json: 50.into() };
            (Relation::More, Some(Limit::Baseline { percent, over: Duration::from_secs(86_400) }))
        }
        _ => (Relation::More, None),
    }
}

fn written(f: &mut Fields<'_>, key: &'static str) -> Option<Written> {
    let value = f.value(key)?;
    let number = match value {
        // The shortest text that is this number: 0.05 is five hundredths.
        Value::Number(json) => Number::read(&json.to_string()).map(|number| Written { number, json: json.clone() }),
        _ => None,
    };
    if number.is_none() {
        f.mistake(key, format!("is {}", shown(value)), "write a number: 0.05, 100");
    }
    number
}

fn baseline(f: &mut Fields<'_>) -> Option<Limit> {
    let mut inner = f.object("baseline")?;
    inner.wanted("percent", "write how many percent beyond the usual value are too much");
    inner.wanted("over", "write how far back the usual value is taken: \"24h\"");
    let percent = written(&mut inner, "percent");
    let over = inner.span("over", limits::BASELINE.0, limits::BASELINE.1);
    if let Some(over) = over.filter(|over| over.as_secs() % 3_600 != 0) {
        inner.mistake("over", format!("is `{}`", span::text(over)), "write whole hours");
    }
    let limit = percent.zip(over).map(|(percent, over)| Limit::Baseline { percent, over });
    let read = ended(inner, limit);
    f.part(read)
}

/// What to write instead of what is no address.
const ADDRESS_CURE: &str = "write 0x and 40 hex digits";

/// An address: `0x` and 40 hex digits in any case.
pub(crate) fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let mut bytes = [0u8; 20];
    (digits.len() == 40).then(|| const_hex::decode_to_slice(digits, &mut bytes).ok())??;
    Some(Address::from(bytes))
}

/// `network` or `networks`.
pub(crate) fn networks(f: &mut Fields<'_>) -> Vec<Network> {
    let one = f.text("network", schemas::limits::NETWORK_SLUG_BYTES);
    let several = f.texts("networks", limits::NETWORKS, schemas::limits::NETWORK_SLUG_BYTES);
    let key = if one.is_some() { "network" } else { "networks" };
    if one.is_some() && !several.is_empty() {
        f.mistake("networks", "stands beside `network`", "leave one of the two out");
    }
    let is_empty = f.has("networks") && f.list("networks", limits::NETWORKS).is_empty();
    if f.is_object() && !f.has("network") && (!f.has("networks") || is_empty) {
        f.mistake("network", "is missing", "write one network's name, or `networks` with several");
    }
    let mut networks = Vec::new();
    for (at, text) in one.into_iter().chain(several).enumerate() {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(e) => {
                let path = if key == "network" { key.to_owned() } else { format!("{key}.{at}") };
                f.mistake(&path, format!("`{}` is not a {}", e.text, e.what), format!("write {}", e.expected));
            }
        }
    }
    networks
}

/// One network under its own name, several as a list.
pub(crate) fn define_networks(networks: &[Network], object: &mut Map<String, Value>) {
    match networks {
        [one] => object.insert("network".to_owned(), json!(one.as_str())),
        several => {
            object.insert("networks".to_owned(), several.iter().map(|network| json!(network.as_str())).collect())
        }
    };
}

/// `group_by`: words of a list, each once, in the list's order; the usual ones where nothing is said.
pub(crate) fn group_by<T: Copy + Ord>(f: &mut Fields<'_>, words: &[(&str, T)], usual: &[T]) -> Vec<T> {
    let given = f.texts("group_by", limits::GROUP_BY, 32);
    let mut groups = Vec::new();
    for (at, text) in given.iter().enumerate() {
        match words.iter().find(|(word, _)| word == text) {
            Some((_, group)) => groups.push(*group),
            None => {
                let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                f.mistake(
                    &format!("group_by.{at}"),
                    format!("`{text}` is not known"),
                    format!("write of: {}", all.join(", ")),
                );
            }
        }
    }
    if given.is_empty() {
        return usual.to_vec();
    }
    groups.sort_unstable();
    groups
}
