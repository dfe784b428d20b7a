//! Of which family's networks a monitor can be.

use schemas::{Family, Mistake, Network};

use super::{Monitor, Wanted};
use crate::expression::OverTransaction;

impl Monitor {
    /// The family that its addresses, events and functions are of; `None`: they do not tell.
    pub(super) fn family(&self) -> Option<Family> {
        let of_addresses = self.addresses.first().map(|watched| watched.address.family());
        let has_code = !self.functions.is_empty() || !self.events.is_empty();
        of_addresses.or_else(|| has_code.then_some(Family::Evm))
    }

    /// What is wrong with it on its networks, as far as their families are known: nothing is looked for there yet, what it looks for is not
    /// there, or they are of several families, whose amounts are not one.
    pub fn wrong_in(&self, family_of: impl Fn(&Network) -> Option<Family>) -> Vec<Mistake> {
        let families = self.networks.iter().enumerate().filter_map(|(at, network)| Some((at, family_of(network)?)));
        let families: Vec<(usize, Family)> = families.collect();
        if let Some(mistake) = families.iter().find_map(|(at, family)| not_yet(&format!("networks.{at}"), *family)) {
            return vec![mistake];
        }
        let Some((_, first)) = families.first() else { return Vec::new() };
        if let Some((at, other)) = families.iter().find(|(_, family)| family != first) {
            let problem = format!("is {}, and the first one is {}", called(*other), called(*first));
            return vec![Mistake::new(format!("networks.{at}"), problem, "make a monitor for each family")];
        }
        self.wrong_on(*first)
    }

    /// What is wrong with it on a network of a family: what it looks for is not there. Of a family of which nothing is looked for yet it is
    /// that alone, whatever the monitor says.
    pub fn wrong_on(&self, family: Family) -> Vec<Mistake> {
        if let Some(mistake) = not_yet("networks", family) {
            return vec![mistake];
        }
        let mut mistakes = Vec::new();
        for (at, watched) in self.addresses.iter().enumerate() {
            if watched.address.family() != family {
                let problem = format!("is no address of {}", called(family));
                let cure = "write one of the network's own, or name another network";
                mistakes.push(Mistake::new(format!("addresses.{at}.address"), problem, cure));
            }
        }
        mistakes.extend(self.conditions_wrong_on(family));
        mistakes
    }

    /// The same of its conditions alone.
    pub(super) fn conditions_wrong_on(&self, family: Family) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (kind, is_there) in [("functions", !self.functions.is_empty()), ("events", !self.events.is_empty())] {
            if is_there && family != Family::Evm {
                let problem = format!("are looked for on {}, which has none", called(family));
                let cure = "leave them out, and write conditions over `transactions`";
                mistakes.push(Mistake::new(format!("match_conditions.{kind}"), problem, cure));
            }
        }
        for (at, condition) in self.transactions.iter().enumerate() {
            let path = format!("match_conditions.transactions.{at}");
            if family == Family::Bitcoin && condition.status == Wanted::Failure {
                let problem = "is `Failure`: no transaction of Bitcoin's fails in its block";
                mistakes.push(Mistake::new(format!("{path}.status"), problem, "write `Any`"));
            }
            let is_of_party = condition.expression.as_ref().is_some_and(|it| it.is_of_party());
            if family == Family::Bitcoin && is_of_party && self.addresses.is_empty() {
                let problem = "asks what an address receives or spends, and the monitor looks at none";
                let cure = "write `addresses`, or compare `value`, `largest_output` or `largest_input`";
                mistakes.push(Mistake::new(format!("{path}.expression"), problem, cure));
            }
            if let Some(wrong) = condition.expression.as_ref().and_then(|it| it.wrong_for(family)) {
                let mistake = Mistake::new(format!("{path}.expression"), wrong.problem, wrong.cure);
                mistakes.push(mistake.at(wrong.position));
            }
        }
        mistakes
    }
}

/// What is said of a network in whose blocks monitors look for nothing yet; `None` of all others.
fn not_yet(path: &str, family: Family) -> Option<Mistake> {
    if OverTransaction::scope(family).is_some() {
        return None;
    }
    let problem = format!("is {}, and monitors do not look through those yet", called(family));
    Some(Mistake::new(path, problem, "name networks of the family `evm` or `bitcoin`"))
}

/// A family's networks, for people.
const fn called(family: Family) -> &'static str {
    match family {
        Family::Evm => "an EVM network",
        Family::Bitcoin => "a Bitcoin network",
        Family::Stellar => "a Stellar network",
    }
}
