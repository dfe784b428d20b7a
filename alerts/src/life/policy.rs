//! What a tenant's definitions say of alerts, as far as their life goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use conditions::{Escalate, Route, Silence, Silenced};
use schemas::{Network, TimeMs, records::Severity};

use super::Key;

/// What a rule or monitor says of its alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Counts its edits.
    pub version: u64,
    /// Which groups it can have; `None`: any.
    pub scope: Option<Scope>,
    /// Networks at which a monitor looks; `None`: any that the scope has.
    pub networks: Option<BTreeSet<Network>>,
    /// How bad they are.
    pub severity: Severity,
    /// How long the condition must hold.
    pub hold: Duration,
    /// How long after a firing the same group does not fire again.
    pub cooldown: Duration,
    /// How often a firing is repeated that nobody has acknowledged.
    pub repeat_every: Option<Duration>,
    /// Ids of channels.
    pub channels: Vec<String>,
    /// Further ones.
    pub routes: Vec<Route>,
    /// Those that are told when nobody acts.
    pub escalate: Option<Escalate>,
}

/// Which groups a rule can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Networks at which it looks.
    pub networks: BTreeSet<Network>,
    /// The contract that it is about, lower case.
    pub contract: Option<String>,
    /// The one endpoint that it is about.
    pub endpoint: Option<String>,
    /// Names in its groups; `endpoint` may be there or not.
    pub names: BTreeSet<&'static str>,
}

impl Scope {
    /// Whether a group is one of its own.
    pub fn has(&self, key: &Key) -> bool {
        let names: BTreeSet<&str> = key.group.keys().map(String::as_str).filter(|name| *name != ENDPOINT).collect();
        let endpoint = key.group.get(ENDPOINT);
        let its = self.networks.contains(&key.network)
            && self.contract == key.contract
            && names == self.names
            && (self.endpoint.is_none() || endpoint.is_none() || self.endpoint.as_ref() == endpoint);
        its || key.is_of_others() && self.networks.contains(&key.network)
    }
}

const ENDPOINT: &str = "endpoint";

/// What a channel says of what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFacts {
    /// Its name.
    pub name: String,
    /// Alerts below it are not told there.
    pub min_severity: Severity,
    /// Messages in an hour.
    pub per_hour: u32,
    /// Whether ends are told.
    pub send_resolved: bool,
    /// Whether it is in use at all.
    pub active: bool,
}

/// All that one tenant has defined, as far as the life of alerts goes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// By id of the rule or monitor. Paused ones are left out.
    pub policies: BTreeMap<String, Policy>,
    /// By id.
    pub channels: BTreeMap<String, ChannelFacts>,
    /// Messages in an hour over all channels; `None`: as many as each of them takes.
    pub per_hour: Option<u32>,
    /// All of them.
    pub silences: Vec<Silence>,
}

impl Settings {
    /// Whether a silence keeps an alert from a channel (or, without one, from all of them) at a time.
    pub fn silenced(&self, alert: &Silenced<'_>, now: TimeMs) -> bool {
        self.silences.iter().any(|silence| silence.is_in_force(now) && silence.fits(alert))
    }

    /// When a silence next begins or ends.
    pub fn changes_at(&self, now: TimeMs) -> Option<TimeMs> {
        self.silences.iter().filter_map(|silence| silence.changes_at(now)).min()
    }

    /// The channel of this id, or of this name.
    pub fn channel(&self, id_or_name: &str) -> Option<(&str, &ChannelFacts)> {
        match self.channels.get_key_value(id_or_name) {
            Some((id, facts)) => Some((id, facts)),
            None => {
                let named = self.channels.iter().find(|(_, facts)| facts.name == id_or_name);
                named.map(|(id, facts)| (id.as_str(), facts))
            }
        }
    }
}

impl Policy {
    /// Whether its channels depend on the time of day.
    pub fn has_hours(&self) -> bool {
        self.routes.iter().any(|route| route.hours.is_some())
    }

    /// Whom an alert is told at a time: ids, or names.
    pub fn channels_at(&self, severity: Severity, escalated: bool, now: TimeMs) -> impl Iterator<Item = &str> {
        let minute = u16::try_from(now.0.rem_euclid(86_400_000) / 60_000).unwrap_or(0);
        let routes = self.routes.iter().filter(move |route| route.takes(severity, minute));
        let escalate = self.escalate.iter().filter(move |_| escalated).flat_map(|escalate| &escalate.channels);
        self.channels.iter().chain(routes.flat_map(|route| &route.channels)).chain(escalate).map(String::as_str)
    }
}
