//! Monitors: conditions over transactions, events and calls.
//!
//! Guarantee: a monitor that parses can be matched: every signature is one, every expression goes with the parameters of what it stands
//! at. What fits is *(functions OR events) AND transactions*: at least one of the functions and events, where there are any, and at least
//! one of the conditions over the transaction, where there are any.

mod condition;
mod families;
mod read;
mod shape;

use std::{sync::Arc, time::Duration};

pub use condition::{Condition, OfTransaction, Wanted};
pub(crate) use condition::{Form, Target};
use schemas::{Mistake, Network, records::Severity};
use serde_json::{Map, Value, json};
pub(crate) use shape::{Shape, What};

use crate::{
    expression::CAUSE,
    fields::Fields,
    party::Party,
    routing::{self, Escalate, Route},
    rule::define_networks,
    span,
};

/// See the module. Fields as `docs/alerts.md` names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// What it is called.
    pub name: String,
    /// It says nothing.
    pub paused: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Where it looks; at least one.
    pub networks: Vec<Network>,
    /// At which contracts, or addresses of Bitcoin; none: at all.
    pub addresses: Vec<Watched>,
    /// Calls by transactions.
    pub functions: Vec<Condition>,
    /// Logs.
    pub events: Vec<Condition>,
    /// Transactions.
    pub transactions: Vec<OfTransaction>,
    /// What makes one alert of several matches.
    pub group_by: Vec<MonitorGroup>,
    /// No second firing of one group earlier.
    pub cooldown: Duration,
    /// When a match is told; `None`: at once.
    pub wait: Option<Wait>,
    /// Whom it is told: ids or names.
    pub channels: Vec<String>,
    /// And whom, by severity and time of day.
    pub routes: Vec<Route>,
    /// And whom, when nobody acts.
    pub escalate: Option<Escalate>,
    /// Words of its own for messages.
    pub template: Option<Template>,
}

/// An address that a monitor looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// It.
    pub address: Party,
    /// Its ABI, where it was given.
    pub abi: Option<Arc<schemas::abi::Abi>>,
}

/// When a match is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Once its block is final.
    Finalized,
    /// Once so many blocks are above its own.
    Blocks(u64),
}

/// Words of a message, with `${…}` where something of the alert stands ([`crate::words`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Instead of the name behind what is the matter.
    pub title: Option<String>,
    /// Instead of the facts.
    pub body: Option<String>,
}

impl Template {
    /// The field `template` of a definition.
    pub fn read(f: &mut Fields<'_>) -> Option<Self> {
        read::template(f)
    }
}

/// What alerts of a monitor are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonitorGroup {
    /// The monitor.
    Monitor,
    /// The network.
    Network,
    /// The contract: of an event its emitter, of a call the receiver; on Bitcoin the address that the monitor looks at.
    Contract,
    /// The transaction: an alert for each.
    Transaction,
}

impl MonitorGroup {
    const WORDS: [(&'static str, Self); 4] = [
        ("monitor", Self::Monitor),
        ("network", Self::Network),
        ("contract", Self::Contract),
        ("transaction", Self::Transaction),
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Network => "network",
            Self::Contract => "contract",
            Self::Transaction => "transaction",
        }
    }
}

impl Monitor {
    /// Reads a definition: an object with the fields of `docs/alerts.md`; `name` and `network` or `networks` must be there.
    ///
    /// # Errors
    /// Every mistake, at most 20, with its path, and inside of an expression with its character.
    pub fn parse(definition: &Value) -> Result<Self, Vec<Mistake>> {
        read::read(definition)
    }

    /// Whether every transaction of its networks has to be looked at for it: it has no address, no event and no function to be found by.
    pub fn is_unindexed(&self) -> bool {
        self.addresses.is_empty() && self.functions.is_empty() && self.events.is_empty()
    }

    /// Whether one of its conditions may speak of why a transaction failed, which is found out late.
    pub fn asks_for_causes(&self) -> bool {
        let mut expressions = self.transactions.iter().filter_map(|it| it.expression.as_ref());
        // Where a text only has the name in quotes nothing is lost by it.
        expressions.any(|expression| expression.text().contains(CAUSE))
    }

    /// At how many places the index holds it.
    fn places(&self) -> usize {
        let of = |target: &Target| match target {
            Target::Everywhere => 1,
            Target::At(addresses) => addresses.len(),
        };
        let forms = self.functions.iter().chain(&self.events).flat_map(|condition| &condition.forms);
        let of_forms = forms.map(|form| of(&form.target)).sum::<usize>();
        let of_transactions = self.transactions.len().max(1) * self.addresses.len().max(1);
        self.networks.len() * of_forms.max(of_transactions)
    }

    /// The canonical definition, every default written out; [`parse`](Self::parse) of it gives the same monitor.
    pub fn definition(&self) -> Value {
        let address = |watched: &Watched| {
            let abi = watched.abi.as_ref().and_then(|abi| serde_json::from_str::<Value>(abi.text()).ok());
            json!({"address": watched.address.to_string(), "abi": abi})
        };
        let condition = |it: &Condition| json!({"signature": it.signature, "expression": it.expression});
        let of_transaction = |it: &OfTransaction| {
            let expression = it.expression.as_ref().map(|expression| expression.text().to_string());
            json!({"status": it.status.as_str(), "expression": expression})
        };
        let mut object = Map::new();
        define_networks(&self.networks, &mut object);
        let rest = json!({
            "name": self.name,
            "paused": self.paused,
            "severity": self.severity.as_str(),
            "addresses": self.addresses.iter().map(address).collect::<Vec<_>>(),
            "match_conditions": {
                "functions": self.functions.iter().map(condition).collect::<Vec<_>>(),
                "events": self.events.iter().map(condition).collect::<Vec<_>>(),
                "transactions": self.transactions.iter().map(of_transaction).collect::<Vec<_>>(),
            },
            "group_by": self.group_by.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
            "cooldown": span::text(self.cooldown),
            "wait": match self.wait {
                None => Value::Null,
                Some(Wait::Finalized) => json!("finalized"),
                Some(Wait::Blocks(blocks)) => json!(blocks),
            },
            "channels": self.channels,
            "routes": routing::definition_of_routes(&self.routes),
            "escalate": routing::definition_of_escalate(self.escalate.as_ref()),
            "template": self.template.as_ref().map(|it| json!({"title": it.title, "body": it.body})),
        });
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }
}
