//! What follows when operators differ: who is outvoted is put aside and judged.
//!
//! Guarantee: when more than half of the operators show another block than somebody has, that one is judged after a while: if it still
//! says so, or if most operators say that they never had its block and none had it, it lied and is quarantined with what it said and what
//! is right; a fork that others know of is no lie. All others are asked for that, and where too few can say it is judged again. The endpoint
//! in use is put aside until then, or until it shows what they do, if they said so when they were asked after it: the first to change to another branch is
//! not put aside by those who are about to. Where nobody has most, nobody is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use futures::future::join_all;

use super::{EvmFleet, second::QUESTION, words::Said};
use crate::{
    error::{Class, NodeError},
    evm::{client::EvmClient, types::EvmHead},
    fleet::{Answer, Ask, Lie, Member, Purpose, Role},
};

/// After this many times what operators have for their word, an endpoint that was outvoted is judged: what a fork takes to get around.
const GRACE: u32 = 2;
/// How often somebody is judged of whom the others could not say enough.
const TRIALS: u32 = 5;
/// Endpoints under suspicion at a time, of one network.
const SUSPECTS: usize = 64;

/// An endpoint that was outvoted.
#[derive(Debug, Clone)]
struct Suspect {
    by: Arc<str>,
    height: u64,
    said: B256,
    right: B256,
    judged_at: Instant,
    /// Whether it was put aside meanwhile.
    aside: bool,
    /// How often it was judged in vain.
    trials: u32,
}

/// What comes of judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// There never was such a block.
    Lie,
    /// There was, or may have been.
    NoLie,
    /// Too few of the others can say.
    Open,
}

/// Endpoints that were outvoted and are not yet judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects(Vec<Suspect>);

impl Suspects {
    /// Those of these endpoints.
    pub fn of_endpoints(&self, names: &BTreeSet<String>) -> Self {
        Self(self.0.iter().filter(|s| names.contains(&*s.by)).cloned().collect())
    }

    /// Takes somebody in: whether it is to be put aside, where that is news. What could not be judged gives way to what is new.
    fn add(&mut self, suspect: Suspect) -> Option<bool> {
        let (aside, room) = (suspect.aside, self.0.len() < SUSPECTS);
        match self.0.iter_mut().find(|s| s.by == suspect.by) {
            Some(known) if known.trials > 0 => *known = suspect,
            // By now it is the one in use, or the others said so again.
            Some(known) if aside && !known.aside => known.aside = true,
            Some(_) => return None,
            None if room => self.0.push(suspect),
            None => return None,
        }
        Some(aside)
    }

    /// Puts somebody back, unless it is under another suspicion meanwhile.
    fn again(&mut self, suspect: Suspect) {
        if self.0.len() < SUSPECTS && !self.0.iter().any(|s| s.by == suspect.by) {
            self.0.push(suspect);
        }
    }

    /// True when an endpoint that is aside shows what most operators say.
    fn came_round(&mut self, by: &str, head: &EvmHead) -> bool {
        let shows = |s: &Suspect| {
            [(head.number, head.hash), (head.number.saturating_sub(1), head.parent_hash)].contains(&(s.height, s.right))
        };
        let suspect = self.0.iter_mut().find(|s| s.aside && &*s.by == by && shows(s));
        suspect.is_some_and(|s| std::mem::take(&mut s.aside))
    }

    /// How long until the next is to be judged.
    pub fn next_in(&self, now: Instant) -> Option<Duration> {
        self.0.iter().map(|s| s.judged_at.saturating_duration_since(now)).min()
    }

    fn due(&mut self, now: Instant) -> Vec<Suspect> {
        self.0.extract_if(.., |s| s.judged_at <= now).collect()
    }
}

impl EvmFleet {
    /// Most operators say `right`: who says otherwise is judged later, and put aside where it is the one in use and they said so after
    /// it.
    pub(super) fn outvote(&self, height: u64, right: B256) {
        let trusted = self.trusted();
        let minority: Vec<(Said, bool)> = {
            let words = self.words();
            if words.majority(height, &trusted).is_none_or(|(most, _)| most != right) {
                return;
            }
            let other = |o: &Arc<str>| words.of(o, height).filter(|said| said.hash != right).cloned();
            let heard = |said: &Said| words.majority_after(height, &trusted, said.since).is_some();
            trusted.iter().filter_map(other).map(|said| (said.clone(), heard(&said))).collect()
        };
        for (Said { by, hash: said, .. }, heard) in minority {
            let aside = heard && self.fleet.primary().is_some_and(|primary| primary.name() == by);
            let judged_at = Instant::now() + self.config.confirm_within * GRACE;
            let suspect = Suspect { by: by.clone(), height, said, right, judged_at, aside, trials: 0 };
            let Some(aside) = self.suspects().add(suspect) else { continue };
            tracing::warn!(endpoint = &*by, height, %said, %right, "most operators have another block");
            if aside {
                self.fleet
                    .unusable(&by, &format!("It says that block {height} is {said}, most operators say {right}."));
            }
        }
    }

    /// An endpoint shows a block. One that was put aside is used again at once where that is what most say; it is judged all the same.
    pub(super) fn came_round(&self, by: &str, head: &EvmHead) {
        if self.suspects().came_round(by, head) && !self.chains.is_elsewhere(by) {
            self.fleet.usable(by);
        }
    }

    /// Judges those whose time has come.
    pub(super) async fn judge(&self) {
        let due = self.suspects().due(Instant::now());
        // First, so that nobody stays aside when this is cut off.
        due.iter().filter(|s| s.aside && !self.chains.is_elsewhere(&s.by)).for_each(|s| self.fleet.usable(&s.by));
        for suspect in due {
            let Some(member) = self.fleet.named(&suspect.by) else { continue };
            match self.verdict(&member, &suspect).await {
                Verdict::NoLie => {}
                Verdict::Lie => {
                    self.words().forget(&member.operator());
                    let said = format!("block {} is {}", suspect.height, suspect.said);
                    let right = format!("block {} is {}", suspect.height, suspect.right);
                    tracing::error!(endpoint = %member.name(), said, right, "an endpoint told of a block that there is not");
                    self.fleet.quarantine(&member.name(), Lie { said, right });
                }
                Verdict::Open if suspect.trials + 1 < TRIALS => {
                    let judged_at = Instant::now() + self.config.confirm_within * GRACE;
                    self.suspects().again(Suspect { judged_at, aside: false, trials: suspect.trials + 1, ..suspect });
                }
                Verdict::Open => {
                    tracing::warn!(endpoint = %member.name(), height = suspect.height, said = %suspect.said, "too few can say whether there was such a block");
                }
            }
        }
    }

    /// Whether what an endpoint said was no fork: it still says so, or most of the operators never had that block and nobody had.
    async fn verdict(&self, member: &Member<EvmClient>, suspect: &Suspect) -> Verdict {
        let Suspect { height, said, right, .. } = *suspect;
        let says = self.client(member).header_at(format!("0x{height:x}"), Some(height)).await;
        if let Err(e) = &says
            && e.class() != Class::Empty
        {
            // It cannot be asked: nothing is proved.
            return Verdict::Open;
        }
        self.ask_all_others(height, &member.operator()).await;
        // A fork that others knew of, and that it may be slow to leave: that is behind, and no lie.
        if self.words().was_a_fork(said, height, right, &member.operator()) {
            return Verdict::NoLie;
        }
        if says.is_ok_and(|head| head.hash == said) {
            // Unless most changed their mind.
            return match self.words().majority(height, &self.trusted()) {
                Some((most, _)) if most == right => Verdict::Lie,
                Some(_) => Verdict::NoLie,
                None => Verdict::Open,
            };
        }
        let others = self.who_has(height, said, &member.operator()).await;
        let lacking = others.values().filter(|has| !**has).count();
        match others.values().any(|has| *has) {
            true => Verdict::NoLie,
            // The word of a few is none on what there was.
            false if lacking * 2 > self.trusted().len() => Verdict::Lie,
            false => Verdict::Open,
        }
    }

    /// Asks all other operators for their header at a height: what they say now counts.
    async fn ask_all_others(&self, height: u64, but: &str) {
        let asking = self.others_than(but).map(|member| {
            self.asked(member, move |this, member| async move {
                let asked = Instant::now();
                let head = this.client(&member).header_at(format!("0x{height:x}"), Some(height)).await?;
                this.show(&member.operator(), &member.name(), &head, Some(asked));
                Ok(())
            })
        });
        join_all(asking).await;
    }

    /// Which of the operators but one, as far as they answer, have a block of this hash, canonical or not.
    async fn who_has(&self, height: u64, hash: B256, but: &str) -> BTreeMap<Arc<str>, bool> {
        let asking = self.others_than(but).map(|member| {
            self.asked(member, move |this, member| async move {
                match this.client(&member).header_with(hash, height).await {
                    Ok(_) => Ok(true),
                    Err(e) if e.class() == Class::Empty => Ok(false),
                    Err(e) => Err(e),
                }
            })
        });
        let mut has = BTreeMap::new();
        for answer in join_all(asking).await.into_iter().flatten() {
            *has.entry(answer.operator).or_insert(false) |= answer.value;
        }
        has
    }

    /// Endpoints of other operators whose word counts.
    fn others_than(&self, but: &str) -> impl Iterator<Item = Member<EvmClient>> {
        let members = self.fleet.members().into_iter();
        members.filter(move |m| &*m.operator() != but && m.usable() && m.serves(Role::Stream))
    }

    /// Asks one endpoint.
    async fn asked<T, F, Fut>(&self, member: Member<EvmClient>, call: F) -> Result<Answer<T>, NodeError>
    where
        T: Send,
        F: Fn(Self, Member<EvmClient>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
    {
        let ask = Ask { purpose: Purpose::SecondWord, within: QUESTION, ..Ask::new("header") };
        let on_chain = |member: Member<EvmClient>| {
            let (this, call) = (self.clone(), &call);
            async move {
                this.on_chain(&member).await?;
                call(this, member).await
            }
        };
        self.fleet.ask_at(&member.name(), ask, on_chain).await
    }
}
