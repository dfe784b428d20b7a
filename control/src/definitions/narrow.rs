//! What stands still of what an organisation has defined, since it is not entitled to a network any more.
//!
//! Guarantee: a rule or monitor is told to the stages for the networks that the organisation is entitled to, and as paused where it names no
//! such one; so nothing of a network that was taken away is looked at or told. Its row stays as it is, and its people find it, and see by
//! [`stopped`] where it stands still. A rule that is left with one network of several keeps the groups that its alerts had.

use conditions::rule::RuleGroup;
use schemas::records::DefinitionKind;
use serde_json::{Value as Json, json};

use super::draft;
use crate::tenant::Networks;

/// Networks that a rule or monitor names and its organisation is not entitled to.
pub(super) fn stopped(kind: DefinitionKind, definition: &Json, entitled: &Networks) -> Vec<String> {
    if !matches!(kind, DefinitionKind::Rule | DefinitionKind::Monitor) {
        return Vec::new();
    }
    let named = draft::networks(kind, definition);
    named.into_iter().filter(|network| !entitled.contains(network)).map(str::to_owned).collect()
}

/// What the stages are told of it. Whether that is anything else than what it says.
pub(crate) fn narrow(kind: DefinitionKind, definition: &mut Json, entitled: &Networks) -> bool {
    if stopped(kind, definition, entitled).is_empty() {
        return false;
    }
    let named = draft::networks(kind, definition);
    let kept: Vec<String> = named.into_iter().filter(|network| entitled.contains(network)).map(str::to_owned).collect();
    let Some(fields) = definition.as_object_mut() else { return false };
    if kept.is_empty() {
        fields.insert("paused".to_owned(), true.into());
        return true;
    }
    fields.remove("network");
    if kind == DefinitionKind::Rule && kept.len() == 1 {
        // Of several networks it has a group for each, without saying so.
        let by = RuleGroup::Network.as_str();
        let groups = fields.entry("group_by").or_insert_with(|| json!([]));
        if let Some(groups) = groups.as_array_mut().filter(|groups| groups.iter().all(|group| group != by)) {
            groups.push(by.into());
        }
    }
    fields.insert("networks".to_owned(), kept.into());
    true
}

#[cfg(test)]
mod tests {
    use conditions::Rule;

    use super::*;

    fn only(networks: &[&str]) -> Networks {
        Networks::Only(networks.iter().map(|n| n.parse().expect("a slug")).collect())
    }

    #[test]
    fn what_is_left_is_told_and_of_nothing_that_it_is_paused() {
        let body =
            json!({"name": "r", "networks": ["a", "b"], "metric": "failure_rate", "operator": ">", "threshold": 0.5});
        let rule = Rule::parse(&body).expect("a rule");
        let told = |entitled: &Networks| {
            let mut definition = rule.definition();
            let other = narrow(DefinitionKind::Rule, &mut definition, entitled);
            (other, Rule::parse(&definition).expect("it is one still"))
        };
        assert_eq!(told(&Networks::All), (false, rule.clone()));
        assert_eq!(told(&only(&["b", "a", "c"])), (false, rule.clone()));
        let (other, left) = told(&only(&["b"]));
        assert!(other && !left.paused && left.networks.iter().map(schemas::Network::as_str).eq(["b"]));
        for by in [RuleGroup::Rule, RuleGroup::Network, RuleGroup::Contract] {
            assert_eq!(left.is_grouped_by(by), rule.is_grouped_by(by), "{by:?}");
        }
        let (other, left) = told(&only(&["c"]));
        assert!(other && left.paused && left.networks == rule.networks);
        // What is of all networks is nobody's network.
        let mut silence = json!({"name": "s", "match": {"network": "a"}});
        assert!(!narrow(DefinitionKind::Silence, &mut silence, &only(&["b"])));
    }
}
