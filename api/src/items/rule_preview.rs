//! What a rule would have said of the past.

use conditions::{
    Rule,
    figures::shown,
    trial::{Fired, Look, Tried},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A rule tried on the recent past of one of its networks.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RulePreview)]
pub struct RulePreviewItem {
    /// The network that it was tried on.
    pub network: String,
    /// The contract, where the rule is about one.
    pub contract: Option<String>,
    /// The endpoint, where the rule is about endpoints: of several the one for which it would have fired most.
    pub endpoint: Option<String>,
    /// What it looks at.
    pub metric: String,
    /// Over which time.
    #[schema(pattern = "^(1m|5m|1h|24h)$")]
    pub window: String,
    /// How far looks are apart; as blocks come, a rule is looked at more often.
    #[schema(pattern = "^(1m|5m|1h)$")]
    pub every: String,
    /// Looks are behind this time …
    #[schema(format = DateTime)]
    pub from: String,
    /// … up to this one.
    #[schema(format = DateTime)]
    pub to: String,
    /// How often it would have fired.
    pub fired: u64,
    /// Whether nothing is missing of what it was tried on.
    pub complete: bool,
    /// Each look, the oldest first.
    pub points: Vec<RuleLookItem>,
    /// Each time for which it would have fired, the oldest first.
    pub firings: Vec<RuleFiringItem>,
    /// Times of which something is missing, the oldest first, and why.
    pub incomplete: Vec<LackItem>,
}

/// A look: at the window that ends then.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RuleLook)]
pub struct RuleLookItem {
    /// The window's end.
    #[schema(format = DateTime)]
    pub at: String,
    /// The figure; null where there is none.
    #[schema(value_type = Option<f64>)]
    pub value: Option<Value>,
    /// What it is compared with: the rule's threshold, or what follows from what was usual then; null where nothing was.
    #[schema(value_type = Option<f64>)]
    pub threshold: Option<Value>,
    /// Transactions in the window.
    pub transactions: u64,
    /// Whether the condition holds; null where too much is missing to say so.
    pub over: Option<bool>,
    /// How an alert stands then.
    #[schema(pattern = "^(quiet|pending|firing)$")]
    pub state: String,
    /// Whether nothing is missing of the window.
    pub complete: bool,
}

/// A time for which a rule would have fired.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RuleFiring)]
pub struct RuleFiringItem {
    /// Since when its condition held.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it would have fired.
    #[schema(format = DateTime)]
    pub fired_at: String,
    /// When it would have been over; null: not by the end.
    #[schema(format = DateTime)]
    pub resolved_at: Option<String>,
    /// The figure at which it fired.
    #[schema(value_type = Option<f64>)]
    pub value: Option<Value>,
    /// What that was compared with.
    #[schema(value_type = Option<f64>)]
    pub threshold: Option<Value>,
}

/// A time of which something is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Lack)]
pub struct LackItem {
    /// Its beginning.
    #[schema(format = DateTime)]
    pub from: String,
    /// Its end.
    #[schema(format = DateTime)]
    pub to: String,
    /// What is missing, in words.
    pub reason: String,
}

impl RulePreviewItem {
    /// Of a rule on a network; what it says is still to come.
    pub fn of(rule: &Rule, network: &str, every: &str, (from, to): (String, String)) -> Self {
        Self {
            network: network.to_owned(),
            contract: rule.contract.map(|address| schemas::records::window::text_of(Some(address))),
            endpoint: None,
            metric: rule.metric.as_str().to_owned(),
            window: conditions::span::text(rule.window),
            every: every.to_owned(),
            from,
            to,
            fired: 0,
            complete: false,
            points: Vec::new(),
            firings: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    /// What the rule would have said.
    pub fn says(&mut self, Tried { looks, fired }: &Tried) {
        self.points = looks.iter().map(Into::into).collect();
        self.firings = fired.iter().map(Into::into).collect();
        self.fired = fired.len() as u64;
    }
}

impl From<&Look> for RuleLookItem {
    fn from(look: &Look) -> Self {
        Self {
            at: look.at.rfc3339(),
            value: look.figure.value.as_ref().map(shown),
            threshold: look.judged.threshold.as_ref().map(shown),
            transactions: look.figure.transactions,
            over: look.told.then_some(look.judged.over),
            state: look.stands.as_str().to_owned(),
            complete: look.complete,
        }
    }
}

impl From<&Fired> for RuleFiringItem {
    fn from(fired: &Fired) -> Self {
        Self {
            started_at: fired.started_at.rfc3339(),
            fired_at: fired.fired_at.rfc3339(),
            resolved_at: fired.resolved_at.map(|at| at.rfc3339()),
            value: fired.look.figure.value.as_ref().map(shown),
            threshold: fired.look.judged.threshold.as_ref().map(shown),
        }
    }
}
