//! Which endpoint of a changed configuration goes on with what is known of a former one.
//!
//! Guarantee: an endpoint keeps its samples, score, height, quarantine and breaker through a change of everything but its URL; a new
//! URL is a new endpoint, whatever it is called. No former one has two heirs. Pure.

use super::config::MemberConfig;

/// For each member, the place among the `former` of the one that it goes on with.
pub fn heirs(former: &[&MemberConfig], members: &[MemberConfig]) -> Vec<Option<usize>> {
    let mut heirs = vec![None; members.len()];
    // Whoever kept its name first, then who kept its credentials, then anybody of the same URL.
    let kept: [fn(&MemberConfig, &MemberConfig) -> bool; 3] =
        [|a, b| a.name == b.name, |a, b| a.account == b.account, |_, _| true];
    for kept in kept {
        for (member, heir) in members.iter().zip(0..) {
            if heirs[heir].is_none() {
                let free = |place: &usize| !heirs.contains(&Some(*place));
                let same = |place: &usize| former[*place].place == member.place && kept(former[*place], member);
                let found = (0..former.len()).find(|place| free(place) && same(place));
                heirs[heir] = found;
            }
        }
    }
    heirs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::Account;

    fn member(name: &str, url: &str, token: &str) -> MemberConfig {
        MemberConfig { account: Account::of([url, token]), ..MemberConfig::new(name, url) }
    }

    #[test]
    fn the_same_url_goes_on_and_another_one_begins() {
        let former = [member("a", "http://a", ""), member("b", "http://b", "1"), member("c", "http://b", "2")];
        let former: Vec<&MemberConfig> = former.iter().collect();
        let now = [
            member("b", "http://b", "3"),
            member("new", "http://a", ""),
            member("a", "http://elsewhere", ""),
            member("d", "http://b", "2"),
            member("e", "http://b", "1"),
        ];
        assert_eq!(heirs(&former, &now), [Some(1), Some(0), None, Some(2), None]);
        assert_eq!(heirs(&[], &now), [None; 5]);
    }

    proptest! {
        #[test]
        fn nobody_has_two_heirs_and_an_unchanged_one_is_its_own(of in prop::collection::vec((0u8..4, 0u8..3), 0..6), now in prop::collection::vec((0u8..4, 0u8..3), 0..6)) {
            let all = |of: &[(u8, u8)]| -> Vec<MemberConfig> {
                of.iter().enumerate().map(|(i, (url, token))| member(&i.to_string(), &url.to_string(), &token.to_string())).collect()
            };
            let (former, now) = (all(&of), all(&now));
            let former: Vec<&MemberConfig> = former.iter().collect();
            let heirs = heirs(&former, &now);
            let mut taken: Vec<usize> = heirs.iter().flatten().copied().collect();
            taken.sort_unstable();
            let count = taken.len();
            taken.dedup();
            prop_assert_eq!(taken.len(), count);
            for (member, heir) in now.iter().zip(&heirs) {
                if let Some(same) = former.iter().position(|f| **f == *member) {
                    prop_assert_eq!(*heir, Some(same));
                }
                prop_assert!(heir.is_none_or(|h| former[h].place == member.place));
            }
        }
    }
}
