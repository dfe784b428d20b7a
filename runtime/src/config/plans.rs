//! `[plans.NAME]`: how much the tenants of a plan may have and use.
//!
//! ```toml
//! [plans.default]
//! contracts = 100
//! requests_per_minute = 600
//! ```
//!
//! What a plan does not say has no bound but everybody's. A tenant that names none, or one that is not there, has the plan `default`; where
//! that is not in the file, it has everybody's bounds alone.

use std::collections::BTreeMap;

use schemas::{Quota, limits::quotas as limits};

use super::source::{Collector, Section};

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// What it bounds, and to how much.
    pub maxima: BTreeMap<Quota, u64>,
}

impl Plan {
    /// In words: `contracts 100, requests_per_minute 600`.
    pub fn words(&self) -> String {
        let all: Vec<String> = self.maxima.iter().map(|(quota, most)| format!("{} {most}", quota.as_str())).collect();
        if all.is_empty() { "no bounds of its own".to_owned() } else { all.join(", ") }
    }
}

/// Whether a plan may be called so.
fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=limits::PLAN_NAME_CHARACTERS).contains(&text.len()) && text.bytes().all(good)
}

/// Reads the section.
pub(super) fn read(s: Section, c: &mut Collector) -> Vec<Plan> {
    let at = s.at();
    let mut plans = Vec::new();
    for (name, mut section) in s.named(c) {
        if !is_name(&name.value) {
            let problem = format!("`{}` is not a plan's name", name.value.chars().take(60).collect::<String>());
            let cure = format!(
                "write 1 to {} lower-case letters, digits, - and _, such as `[plans.team]`",
                limits::PLAN_NAME_CHARACTERS
            );
            c.mistake(name.at, &format!("plans.{}", name.value), problem, cure);
        }
        let mut maxima = BTreeMap::new();
        for quota in Quota::ALL {
            let Some(number) = section.number(quota.as_str(), c) else { continue };
            let most = quota.most().unwrap_or(limits::MOST);
            if number.value > most {
                let problem = format!("is {}; there are at most {most} for every tenant", number.value);
                c.mistake(number.at, &section.key(quota.as_str()), problem, "write no more, or leave it out");
            }
            maxima.insert(quota, number.value);
        }
        section.finish(c);
        plans.push(Plan { name: name.value, maxima });
    }
    if plans.len() > limits::PLANS {
        c.mistake(at, "plans", format!("has {} plans", plans.len()), format!("write at most {}", limits::PLANS));
    }
    plans
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemas::Quota;

    use crate::config::{Mistake, parse};

    fn of(text: &str) -> Result<crate::config::Config, Vec<Mistake>> {
        parse(text, Path::new(""), &|_| None)
    }

    #[test]
    fn a_plan_says_what_it_bounds_and_nothing_else() {
        let config =
            of("[plans.default]\n[plans.team]\ncontracts = 100\nrequests_per_minute = 600\nkeys = 0").expect("good");
        assert_eq!(config.plans.len(), 2);
        let team = config.plans.iter().find(|plan| plan.name == "team").expect("it stands there");
        assert_eq!(team.maxima[&Quota::Contracts], 100);
        assert_eq!(team.words(), "contracts 100, keys 0, requests_per_minute 600");
        assert_eq!(config.plans.iter().find(|p| p.name == "default").expect("there").words(), "no bounds of its own");
        assert!(of("").expect("good").plans.is_empty());
    }

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        for (text, key, words) in [
            ("[plans.Team]", "plans.Team", "lower-case"),
            ("[plans.team]\ncontract = 1", "plans.team.contract", "contracts"),
            ("[plans.team]\ncontracts = 100001", "plans.team.contracts", "no more"),
            ("[plans.team]\nsockets = \"many\"", "plans.team.sockets", "number"),
            ("[plans]\nteam = 3", "plans.team", "[plans.team]"),
        ] {
            let mistakes = of(text).expect_err(text);
            let first = mistakes.first().expect("one");
            assert_eq!(first.key, key, "{text}");
            assert!(first.cure.contains(words), "{text}: {}", first.cure);
        }
    }
}
