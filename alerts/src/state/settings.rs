//! What a tenant has defined, as the life of alerts sees it.

use conditions::{Rule, RuleGroup};
use schemas::records::window::text_of;

use crate::{
    definitions::Tenant,
    life::{ChannelFacts, Policy, Scope, Settings},
};

/// Of a tenant. Rules and monitors that are paused are not there.
pub fn of(tenant: &Tenant) -> Settings {
    let rules = tenant.rules.values().filter(|rule| !rule.what.paused).map(|rule| {
        let what = &rule.what;
        let policy = Policy {
            version: rule.version,
            scope: Some(scope(what)),
            networks: None,
            severity: what.severity,
            hold: what.hold,
            cooldown: what.cooldown,
            repeat_every: what.repeat_every,
            channels: what.channels.clone(),
            routes: what.routes.clone(),
            escalate: what.escalate.clone(),
        };
        (rule.id.clone(), policy)
    });
    let monitors = tenant.monitors.values().filter(|monitor| !monitor.what.paused).map(|monitor| {
        let what = &monitor.what;
        let policy = Policy {
            version: monitor.version,
            scope: None,
            networks: Some(what.networks.iter().cloned().collect()),
            severity: what.severity,
            hold: std::time::Duration::ZERO,
            cooldown: what.cooldown,
            repeat_every: None,
            channels: what.channels.clone(),
            routes: what.routes.clone(),
            escalate: what.escalate.clone(),
        };
        (monitor.id.clone(), policy)
    });
    let channels = tenant.channels.values().map(|channel| {
        let facts = ChannelFacts {
            name: channel.name.clone(),
            min_severity: channel.what.min_severity,
            per_hour: channel.what.per_hour,
            send_resolved: channel.what.send_resolved,
            active: channel.disabled.is_none(),
        };
        (channel.id.clone(), facts)
    });
    Settings {
        policies: rules.chain(monitors).collect(),
        channels: channels.collect(),
        // They are published one after the other: of two words the stricter one.
        per_hour: tenant.per_hour.values().copied().min(),
        silences: tenant.silences.values().map(|silence| (*silence.what).clone()).collect(),
    }
}

/// The groups that matching makes of a rule.
fn scope(rule: &Rule) -> Scope {
    let names = [RuleGroup::Rule, RuleGroup::Network, RuleGroup::Contract].into_iter();
    Scope {
        networks: rule.networks.iter().cloned().collect(),
        contract: rule.contract.map(|address| text_of(Some(address))),
        endpoint: rule.endpoint.clone(),
        names: names.filter(|by| rule.is_grouped_by(*by)).map(RuleGroup::as_str).collect(),
    }
}
