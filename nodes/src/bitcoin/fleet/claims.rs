//! Which endpoint shows which block as its newest, and whose is followed. Pure.
//!
//! Guarantee: of branches the one with most work is followed, of two with as much the one that is followed already; a branch that no
//! Bitcoin Core has, where there is one that answers, is none that could be written down, so that an Electrum server's head counts where it
//! stands on Core's. Bitcoin Core and an Electrum server that are on different branches, neither below the other, are of different minds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemas::BitcoinHash;

use super::tree::{Known, Tree};
use crate::bitcoin::Kind;

/// So far behind the branch's newest block an endpoint may be that goes on to be the one in use.
const NEAR: u64 = 2;

/// What an endpoint shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub operator: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Its newest block.
    pub tip: BitcoinHash,
    /// Whether it is being heard.
    pub live: bool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Claims(BTreeMap<Arc<str>, Claim>);

/// The branch that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// Its newest block.
    pub tip: Known,
    /// Whose block it is that can be had.
    pub by: Arc<str>,
}

impl Claims {
    /// An endpoint shows a block. True when that is news.
    pub fn set(&mut self, endpoint: &Arc<str>, claim: Claim) -> bool {
        self.0.insert(endpoint.clone(), claim.clone()) != Some(claim)
    }

    /// An endpoint is not heard any more. True when it was.
    pub fn lost(&mut self, endpoint: &str) -> bool {
        self.0.get_mut(endpoint).is_some_and(|claim| std::mem::take(&mut claim.live))
    }

    /// What an endpoint showed counts no more.
    pub fn forget(&mut self, endpoint: &str) {
        self.0.remove(endpoint);
    }

    /// The same of all but one.
    pub fn forget_all_but(&mut self, endpoint: &str) {
        self.0.retain(|name, _| &**name == endpoint);
    }

    /// What an endpoint shows.
    pub fn of(&self, endpoint: &str) -> Option<&Claim> {
        self.0.get(endpoint)
    }

    /// All tips.
    pub fn tips(&self) -> Vec<BitcoinHash> {
        self.0.values().map(|claim| claim.tip).collect()
    }

    /// Of endpoints that are heard and believed.
    fn heard<'a>(&'a self, believed: &'a BTreeSet<Arc<str>>) -> impl Iterator<Item = (&'a Arc<str>, &'a Claim)> {
        self.0.iter().filter(move |(name, claim)| claim.live && believed.contains(*name))
    }

    /// Whether anybody but this one is heard and believed.
    pub fn others(&self, but: &str, believed: &BTreeSet<Arc<str>>) -> bool {
        self.heard(believed).any(|(name, _)| &**name != but)
    }

    /// The branch to follow, given the one that is followed. Who gives it stays the same while it is on it and not far behind.
    pub fn best(&self, tree: &Tree, believed: &BTreeSet<Arc<str>>, now: Option<&Best>) -> Option<Best> {
        let heaviest = |of: &dyn Fn(&Claim) -> bool| {
            let known = self.heard(believed).filter(|heard| of(heard.1));
            let known = known.filter_map(|(name, claim)| Some((name, tree.get(&claim.tip)?)));
            let followed = now.map(|now| now.tip.header.hash);
            // The tip that is followed may be one that is ahead of it.
            let is_followed = |hash: &BitcoinHash| followed.is_some_and(|followed| tree.is_on(hash, &followed));
            let weight = |(_, known): &(&Arc<str>, &Known)| (known.work, is_followed(&known.header.hash));
            let best = known.reduce(|best, next| if weight(&next) > weight(&best) { next } else { best });
            best.map(|(name, known)| Best { tip: *known, by: name.clone() })
        };
        let core = heaviest(&|claim: &Claim| claim.kind == Kind::Core);
        let gives = core.as_ref().map(|_| Kind::Core);
        let best = core.or_else(|| heaviest(&|_: &Claim| true))?;
        let stays = |now: &&Best| {
            let claim = self.heard(believed).find(|(name, _)| **name == now.by).map(|(_, claim)| claim);
            let claim = claim.filter(|claim| gives.is_none_or(|kind| claim.kind == kind));
            let shows = claim.and_then(|claim| tree.get(&claim.tip));
            shows.is_some_and(|known| {
                known.height + NEAR >= best.tip.height && tree.is_on(&known.header.hash, &best.tip.header.hash)
            })
        };
        let by = now.filter(stays).map_or_else(|| best.by.clone(), |now| now.by.clone());
        // Whoever is ahead on the same branch shows what comes next.
        let ahead = heaviest(&|claim: &Claim| tree.is_on(&best.tip.header.hash, &claim.tip));
        Some(Best { tip: ahead.map_or(best.tip, |ahead| ahead.tip), by })
    }

    /// How far as many operators as are wanted show the branch that ends with `best`, the one that is furthest first; `None`: not so many
    /// are heard.
    pub fn shown_by(
        &self,
        tree: &Tree,
        believed: &BTreeSet<Arc<str>>,
        best: &BitcoinHash,
        wanted: usize,
    ) -> Option<u64> {
        let mut furthest: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, claim) in self.heard(believed) {
            if let Some(common) = tree.common(&claim.tip, best) {
                let height = furthest.entry(&claim.operator).or_default();
                *height = common.height.max(*height);
            }
        }
        let mut heights: Vec<u64> = furthest.into_values().collect();
        heights.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
        heights.get(wanted.saturating_sub(1)).copied()
    }

    /// Why Bitcoin Core and Electrum servers are of different minds, where they are.
    pub fn divergence(&self, tree: &Tree, believed: &BTreeSet<Arc<str>>) -> Option<String> {
        let of = |kind: Kind| self.heard(believed).filter(move |(_, claim)| claim.kind == kind);
        for (core, of_core) in of(Kind::Core) {
            for (server, of_server) in of(Kind::Electrum) {
                let (a, b) = (&of_core.tip, &of_server.tip);
                if tree.is_on(a, b) || tree.is_on(b, a) {
                    continue;
                }
                let Some(common) = tree.common(a, b) else { continue };
                let height = common.height + 1;
                let says = |tip: &BitcoinHash| {
                    tree.ancestor(tip, height).map(|known| known.header.hash.to_string()).unwrap_or_default()
                };
                let heavier = match (tree.get(a), tree.get(b)) {
                    (Some(a), Some(b)) if b.work > a.work => {
                        format!("`{server}` has more work; is `{core}` in touch with its peers?")
                    }
                    _ => format!(
                        "`{core}` has at least as much work; is `{server}` behind, or does it follow another node?"
                    ),
                };
                return Some(format!(
                    "Bitcoin Core `{core}` and Electrum server `{server}` are on different branches since block {height}: {} here, {} there; \
                     {heavier}",
                    says(a),
                    says(b)
                ));
            }
        }
        None
    }

    /// The block at a height of each of these operators, as far as what its endpoints show reaches there, and by whom. An operator is one
    /// voice: who shows `wanted` speaks for it.
    pub fn says(
        &self,
        tree: &Tree,
        believed: &BTreeSet<Arc<str>>,
        operator: &str,
        (height, wanted): (u64, &BitcoinHash),
    ) -> Option<(Arc<str>, BitcoinHash)> {
        let of = self.heard(believed).filter(|(_, claim)| &*claim.operator == operator);
        let said: Vec<(Arc<str>, BitcoinHash)> = of
            .filter_map(|(name, claim)| Some((name.clone(), tree.ancestor(&claim.tip, height)?.header.hash)))
            .collect();
        let agreed = said.iter().find(|(_, hash)| hash == wanted).cloned();
        agreed.or_else(|| said.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use schemas::bitcoin::BitcoinChain;

    use super::{
        super::tree::tests::{first, run},
        *,
    };
    use crate::bitcoin::header::Header;

    struct World {
        tree: Tree,
        claims: Claims,
        believed: BTreeSet<Arc<str>>,
        root: Header,
    }

    impl World {
        fn new() -> Self {
            let (mut tree, root) = (Tree::default(), first());
            tree.begin(100, &[root]);
            Self { tree, claims: Claims::default(), believed: BTreeSet::new(), root }
        }

        fn grow(&mut self, parent: &Header, height: u64, count: u32, nonce: u32) -> Vec<Header> {
            let headers = run(parent, count, nonce);
            for (height, header) in (height..).zip(&headers) {
                self.tree.add(BitcoinChain::Regtest, height, header).expect("fits");
            }
            headers
        }

        fn claim(&mut self, name: &str, kind: Kind, tip: &Header) {
            let name: Arc<str> = name.into();
            self.believed.insert(name.clone());
            self.claims.set(&name, Claim { operator: name.clone(), kind, tip: tip.hash, live: true });
        }

        fn best(&self, now: Option<(&Header, &str)>) -> Option<(BitcoinHash, String)> {
            let now = now.map(|(tip, by)| Best { tip: *self.tree.get(&tip.hash).expect("known"), by: by.into() });
            let best = self.claims.best(&self.tree, &self.believed, now.as_ref())?;
            Some((best.tip.header.hash, best.by.to_string()))
        }

        fn diverged(&self) -> Option<String> {
            self.claims.divergence(&self.tree, &self.believed)
        }
    }

    #[test]
    fn the_branch_with_most_work_that_can_be_had_is_followed() {
        let mut w = World::new();
        assert_eq!(w.best(None), None);
        let root = w.root;
        let a = w.grow(&root, 101, 3, 1);
        let b = w.grow(&root, 101, 4, 2);
        w.claim("e1", Kind::Electrum, &b[3]);
        assert_eq!(w.best(None), Some((b[3].hash, "e1".into())));
        w.claim("core", Kind::Core, &a[1]);
        assert_eq!(w.best(None), Some((a[1].hash, "core".into())), "bodies of the other branch are not to be had");
        w.claim("e2", Kind::Electrum, &a[2]);
        assert_eq!(w.best(None), Some((a[2].hash, "core".into())), "a server is ahead on the same branch");
        let told = w.diverged().expect("they are of different minds");
        assert!(
            told.contains("since block 101") && told.contains("`e1`") && told.contains("`e1` has more work"),
            "{told}"
        );
        assert!(w.claims.lost("core") && !w.claims.lost("core"));
        assert_eq!((w.best(None).map(|b| b.0), w.diverged()), (Some(b[3].hash), None));
        w.claim("core", Kind::Core, &b[3]);
        w.claim("e2", Kind::Electrum, &b[0]);
        assert_eq!(w.diverged(), None, "who is behind is of the same mind");
        w.believed.remove("core");
        assert_eq!(w.best(None), Some((b[3].hash, "e1".into())));
    }

    #[test]
    fn of_two_with_as_much_work_the_one_that_is_followed_stays() {
        let mut w = World::new();
        let root = w.root;
        let (a, b) = (w.grow(&root, 101, 1, 1), w.grow(&root, 101, 1, 2));
        w.claim("one", Kind::Core, &a[0]);
        w.claim("two", Kind::Core, &b[0]);
        assert_eq!(w.best(Some((&a[0], "one"))), Some((a[0].hash, "one".into())));
        assert_eq!(w.best(Some((&b[0], "two"))), Some((b[0].hash, "two".into())));
        // A server is ahead on one of them.
        let ahead = w.grow(&b[0], 102, 1, 1);
        w.claim("e", Kind::Electrum, &ahead[0]);
        assert_eq!(w.best(Some((&ahead[0], "two"))), Some((ahead[0].hash, "two".into())));
    }

    #[test]
    fn final_is_counted_from_what_as_many_operators_show_as_are_wanted() {
        let mut w = World::new();
        let root = w.root;
        let (a, b) = (w.grow(&root, 101, 5, 1), w.grow(&root, 101, 1, 2));
        let shown = |w: &World, wanted| w.claims.shown_by(&w.tree, &w.believed, &a[4].hash, wanted);
        w.claim("e1", Kind::Electrum, &a[4]);
        assert_eq!((shown(&w, 1), shown(&w, 2)), (Some(105), None), "one alone");
        w.claim("core", Kind::Core, &a[1]);
        assert_eq!((shown(&w, 2), shown(&w, 3)), (Some(102), None));
        w.claim("e2", Kind::Electrum, &b[0]);
        assert_eq!(shown(&w, 3), Some(100), "as far as it is on the same branch");
        w.claims.lost("e1");
        assert_eq!(shown(&w, 1), Some(102));
    }

    #[test]
    fn who_gives_it_stays_while_it_is_near() {
        let mut w = World::new();
        let root = w.root;
        let a = w.grow(&root, 101, 4, 1);
        w.claim("one", Kind::Core, &a[3]);
        w.claim("two", Kind::Core, &a[1]);
        let by = |w: &World| w.best(Some((&a[0], "two"))).map(|best| best.1);
        assert_eq!(by(&w), Some("two".into()));
        w.claim("two", Kind::Core, &a[0]);
        assert_eq!(by(&w), Some("one".into()), "it is far behind");
        w.claim("two", Kind::Core, &a[2]);
        w.claims.lost("two");
        assert_eq!(by(&w), Some("one".into()));
    }

    #[test]
    fn an_operator_is_one_voice() {
        let mut w = World::new();
        let root = w.root;
        let (a, b) = (w.grow(&root, 101, 2, 1), w.grow(&root, 101, 2, 2));
        w.claim("one", Kind::Electrum, &a[1]);
        w.claim("two", Kind::Electrum, &b[1]);
        let of = |w: &World, wanted: &Header| {
            let said = w.claims.says(&w.tree, &w.believed, "one", (101, &wanted.hash));
            said.map(|(by, hash)| (by.to_string(), hash))
        };
        assert_eq!(of(&w, &b[0]), Some(("one".into(), a[0].hash)));
        w.claims.set(&"two".into(), Claim { operator: "one".into(), kind: Kind::Electrum, tip: b[1].hash, live: true });
        assert_eq!(of(&w, &b[0]), Some(("two".into(), b[0].hash)));
        assert_eq!(w.claims.says(&w.tree, &w.believed, "one", (103, &b[0].hash)), None, "it does not reach there");
    }
}
