//! A block that is known at one height, and shown at another: who is right.
//!
//! Guarantee: a height is no proof, so that operators decide, whoever was first; where they do not, Bitcoin Core does, and where it does not
//! either nobody is a liar, and what was shown counts for nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use schemas::BitcoinHash;

use super::{BitcoinFleet, client::Client, tree::Tree};
use crate::{
    bitcoin::Kind,
    error::{NodeError, NodeErrorKind},
    fleet::Member,
};

/// So far below a block whose height is in question a block is taken that all have, whatever branch they are on.
const SETTLED: u64 = 6;
/// How long an endpoint has to say at which height it has a block.
pub(super) const QUESTION: Duration = Duration::from_secs(2);

/// A block that is known at one height, and shown at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dispute {
    pub hash: BitcoinHash,
    pub ours: u64,
    pub theirs: u64,
}

/// What operators say of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ruling {
    /// Who showed it lied.
    Ours,
    /// What is known is wrong; whether those who say the same lied.
    Theirs(bool),
    Undecided,
}

/// Rules on a dispute, given the operators on either side. Bitcoin Core breaks a tie, since it has looked at every block below; where
/// nobody says what is known, and nobody else is heard (`alone`), whoever is there is right.
fn rule(ours: &BTreeSet<Arc<str>>, theirs: &BTreeSet<Arc<str>>, core_says: [bool; 2], alone: bool) -> Ruling {
    // An operator that contradicts itself has no voice.
    let (for_ours, for_theirs) = (ours.difference(theirs).count(), theirs.difference(ours).count());
    let most = ours.union(theirs).count() / 2 + 1;
    let [core_ours, core_theirs] = core_says;
    match (for_ours, for_theirs) {
        (a, _) if a >= most => Ruling::Ours,
        (_, b) if b >= most.max(2) => Ruling::Theirs(true),
        _ if core_theirs && !core_ours => Ruling::Theirs(false),
        (0, _) if alone => Ruling::Theirs(false),
        _ => Ruling::Undecided,
    }
}

impl BitcoinFleet {
    /// A height is nobody's proof: asks everybody who is believed at which height it has the block, and lets go of what is known where that
    /// is wrong.
    ///
    /// # Errors
    /// It is not wrong, or nobody can tell.
    pub(super) async fn judge(&self, member: &Member<Client>, dispute: Dispute) -> Result<(), NodeError> {
        let name = member.name();
        let believed = self.believed();
        // One that all have, whatever branch they are on.
        let Dispute { hash, ours, theirs } = {
            let view = self.view();
            let lowest = view.tree.lowest().unwrap_or_default();
            let down = SETTLED.min(dispute.ours.saturating_sub(lowest)).min(dispute.theirs);
            let below = view.tree.ancestor(&dispute.hash, dispute.ours.saturating_sub(down));
            below.map_or(dispute, |known| Dispute {
                hash: known.header.hash,
                ours: known.height,
                theirs: dispute.theirs.saturating_sub(down),
            })
        };
        let others = self.fleet.members().into_iter().filter(|m| m.name() != name && believed.contains(&m.name()));
        let asking = others.map(|other| async move {
            let asked = tokio::time::timeout(QUESTION, self.height_of(&other, &hash, [ours, theirs]));
            let says = asked.await.ok().flatten();
            (other, says)
        });
        let said = join_all(asking).await;
        let saying = |height: u64| said.iter().filter(move |(_, says)| *says == Some(height)).map(|(other, _)| other);
        let is_core = |member: &Member<Client>| member.client.kind() == Kind::Core;
        let (for_ours, mut for_theirs): (BTreeSet<_>, BTreeSet<_>) =
            (saying(ours).map(|m| m.operator()).collect(), saying(theirs).map(|m| m.operator()).collect());
        for_theirs.insert(member.operator());
        let core_says = [saying(ours).any(&is_core), is_core(member) || saying(theirs).any(&is_core)];
        let alone = !self.view().claims.others(&name, &believed) && (is_core(member) || !self.bodies);
        let words = format!("it says that block {hash} is at height {theirs}, where others show it at {ours}");
        match rule(&for_ours, &for_theirs, core_says, alone) {
            Ruling::Ours => Err(member.client.error("headers", Some(theirs), NodeErrorKind::Lying(words))),
            Ruling::Undecided => Err(self.passed_over(member, theirs, words)),
            Ruling::Theirs(lied) => {
                tracing::warn!(network = %self.config.network, words, "what was known of the newest blocks is let go of");
                {
                    let mut view = self.view();
                    view.tree = Tree::default();
                    view.claims.forget_all_but(&name);
                    view.best = None;
                }
                for liar in saying(ours).filter(|_| lied) {
                    let words =
                        format!("it says that block {hash} is at height {ours}, where most show it at {theirs}");
                    self.lied(liar, &liar.client.error("headers", Some(ours), NodeErrorKind::Lying(words)));
                }
                Ok(())
            }
        }
    }

    /// At which of two heights an endpoint has a block.
    async fn height_of(&self, member: &Member<Client>, hash: &BitcoinHash, at: [u64; 2]) -> Option<u64> {
        self.on_chain(member).await.ok()?;
        let client = self.client(member);
        for height in at {
            if client.header_at(height).await.is_ok_and(|header| header.hash == *hash) {
                return Some(height);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators(names: &[&str]) -> BTreeSet<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn of_a_height_operators_decide_and_bitcoin_core_where_they_do_not() {
        let of = |ours: &[&str], theirs: &[&str], core: [bool; 2], alone| {
            rule(&operators(ours), &operators(theirs), core, alone)
        };
        assert_eq!(of(&["a", "b"], &["c"], [true, false], false), Ruling::Ours);
        assert_eq!(of(&["c"], &["a", "b"], [false, true], false), Ruling::Theirs(true), "whoever was first");
        assert_eq!(of(&["a"], &["b"], [false, false], false), Ruling::Undecided);
        assert_eq!(of(&["a"], &["b"], [true, false], false), Ruling::Undecided, "nobody is a liar by one word");
        assert_eq!(of(&["a"], &["b"], [false, true], false), Ruling::Theirs(false));
        assert_eq!(of(&["a"], &["b"], [true, true], false), Ruling::Undecided);
        assert_eq!(
            of(&["a", "b"], &["a", "b"], [false, false], false),
            Ruling::Undecided,
            "they contradict themselves"
        );
        assert_eq!(of(&[], &["b"], [false, false], true), Ruling::Theirs(false));
        assert_eq!(of(&[], &["b"], [false, false], false), Ruling::Undecided);
    }
}
