//! The word of a second operator on a block (rule 24), and what follows when operators differ.
//!
//! Guarantee: a block that not enough operators show is never said to be agreed on. A subscription's word comes first; else one call
//! a block asks for the header at that height, counted apart. When more than half of the operators show another block, the one that
//! gave it is not asked any more, and is judged after a while: if it still says so, or if nobody else ever had its block, it lied and is
//! quarantined with what it said and what is right; a fork that others know of is no lie. Where nobody has most, nobody is judged.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;

use super::EvmFleet;
use crate::{
    error::{Class, NodeError},
    fleet::{Ask, Lie, Member, Purpose},
    source::Word,
};

/// The longest that a subscription's word is waited for before a call is made.
const SUBSCRIPTION: Duration = Duration::from_millis(500);
/// Between two rounds of questions, at first.
const ROUND: Duration = Duration::from_millis(100);
/// Deadline of one question.
const QUESTION: Duration = Duration::from_secs(2);
/// After this many times what operators have for their word, an endpoint that was outvoted is judged: what a fork takes to get around.
const GRACE: u32 = 2;
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
}

/// Endpoints that were outvoted and are not yet judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects(Vec<Suspect>);

impl Suspects {
    fn add(&mut self, suspect: Suspect) -> bool {
        let known = self.0.iter().any(|s| s.by == suspect.by);
        if !known && self.0.len() < SUSPECTS {
            self.0.push(suspect);
            return true;
        }
        false
    }

    /// How long until the next is to be judged.
    pub fn next_in(&self, now: Instant) -> Option<Duration> {
        self.0.iter().map(|s| s.judged_at.saturating_duration_since(now)).min()
    }

    /// Those of these endpoints.
    pub fn of_endpoints(&self, names: &BTreeSet<String>) -> Self {
        Self(self.0.iter().filter(|s| names.contains(&*s.by)).cloned().collect())
    }

    fn due(&mut self, now: Instant) -> Vec<Suspect> {
        self.0.extract_if(.., |s| s.judged_at <= now).collect()
    }
}

impl EvmFleet {
    /// What other operators say of a block.
    pub(super) async fn word_on(&self, height: u64, hash: B256) -> Word {
        let wanted = self.config.confirm.wanted(self.operators);
        if wanted <= 1 {
            return Word::Alone;
        }
        let started = Instant::now();
        let deadline = started + self.config.confirm_within;
        let (mut ask_at, mut pause) = (None, ROUND);
        let mut asked: Vec<Arc<str>> = Vec::new();
        loop {
            let shown = self.shown.notified();
            let trusted = self.trusted();
            let agreeing: Vec<Arc<str>> =
                self.words().agreeing(height, hash).into_iter().filter(|o| trusted.contains(o)).collect();
            if agreeing.len() >= wanted {
                self.outvote(height, hash);
                return Word::Agrees;
            }
            let most = self.words().majority(height, &trusted);
            if let Some((right, _)) = most.filter(|(right, _)| *right != hash) {
                self.outvote(height, right);
                return self.contradiction(height, hash).unwrap_or(Word::Silent);
            }
            let open: Vec<&Arc<str>> = trusted.iter().filter(|o| !agreeing.contains(o)).collect();
            let now = Instant::now();
            if open.is_empty() || now >= deadline {
                return self.contradiction(height, hash).unwrap_or(Word::Silent);
            }
            // A subscription's word costs nothing.
            let pushed = |o: &Arc<str>| self.live().values().any(|live| live == o);
            let patience = if open.iter().any(|o| pushed(o)) {
                SUBSCRIPTION.min(self.config.confirm_within / 4)
            } else {
                Duration::ZERO
            };
            let at = *ask_at.get_or_insert(started + patience);
            if now < at {
                tokio::select! {
                    () = shown => {}
                    () = tokio::time::sleep(at.min(deadline) - now) => {}
                }
                continue;
            }
            if open.iter().all(|o| asked.contains(o)) {
                asked.clear();
                ask_at = Some(now + pause);
                pause *= 2;
                continue;
            }
            let but: Vec<Arc<str>> = agreeing.into_iter().chain(asked.iter().cloned()).collect();
            let left = (deadline - now).min(QUESTION);
            match self.header_of_another(height, &but, left).await {
                Ok(operator) => asked.push(operator),
                // Nobody who can be asked now.
                Err(_) => asked.extend(open.into_iter().cloned()),
            }
        }
    }

    /// Asks another operator for its header at a height. What it has is remembered as its word.
    async fn header_of_another(&self, height: u64, but: &[Arc<str>], within: Duration) -> Result<Arc<str>, NodeError> {
        let this = self.clone();
        let but: Vec<&str> = but.iter().map(|o| &**o).collect();
        let ask = Ask { purpose: Purpose::SecondWord, height: Some(height), within, ..Ask::new("header") };
        let answer = self
            .fleet
            .ask_other(ask, &but, move |member| {
                let this = this.clone();
                async move {
                    this.on_chain(&member).await?;
                    match this.client(&member).header_at(format!("0x{height:x}"), Some(height)).await {
                        Ok(head) => Ok(Some(head)),
                        // Not there yet is a word, too.
                        Err(e) if e.class() == Class::Empty => Ok(None),
                        Err(e) => Err(e),
                    }
                }
            })
            .await?;
        if let Some(head) = &answer.value {
            self.show(&answer.operator, &answer.endpoint, head);
        }
        Ok(answer.operator)
    }

    fn contradiction(&self, height: u64, hash: B256) -> Option<Word> {
        let trusted = self.trusted();
        let words = self.words();
        let says = |o: &Arc<str>| words.of(o, height).filter(|said| said.hash != hash);
        let said = trusted.iter().find_map(says)?;
        Some(Word::Contradicts { by: said.by.to_string(), says: said.hash.to_string() })
    }

    /// Most operators say `right`: who says otherwise is put aside where it is the one in use, and judged later.
    fn outvote(&self, height: u64, right: B256) {
        let trusted = self.trusted();
        let minority: Vec<(Arc<str>, B256)> = {
            let words = self.words();
            if words.majority(height, &trusted).is_none_or(|(most, _)| most != right) {
                return;
            }
            let other = |o: &Arc<str>| words.of(o, height).filter(|said| said.hash != right);
            trusted.iter().filter_map(other).map(|said| (said.by.clone(), said.hash)).collect()
        };
        for (by, said) in minority {
            let judged_at = Instant::now() + self.config.confirm_within * GRACE;
            let aside = self.fleet.primary().is_some_and(|primary| primary.name() == by);
            let suspect = Suspect { by: by.clone(), height, said, right, judged_at, aside };
            if !self.suspects().add(suspect) {
                continue;
            }
            tracing::warn!(endpoint = &*by, height, %said, %right, "most operators have another block");
            if aside {
                self.fleet.unusable(&by, &format!("says that block {height} is {said}, most operators say {right}"));
            }
        }
    }

    /// Judges those whose time has come.
    pub(super) async fn judge(&self) {
        let due = self.suspects().due(Instant::now());
        // First, so that nobody stays aside when this is cut off.
        due.iter().filter(|s| s.aside && !self.chains.is_elsewhere(&s.by)).for_each(|s| self.fleet.usable(&s.by));
        for suspect in due {
            let Some(member) = self.fleet.named(&suspect.by) else { continue };
            if self.lied(&member, &suspect).await {
                self.words().forget(&member.operator());
                let said = format!("block {} is {}", suspect.height, suspect.said);
                let right = format!("block {} is {}", suspect.height, suspect.right);
                tracing::error!(endpoint = %member.name(), said, right, "an endpoint told of a block that there is not");
                self.fleet.quarantine(&member.name(), Lie { said, right });
            }
        }
    }

    /// Whether what an endpoint said was no fork: it still says so, or nobody else ever had that block.
    async fn lied(&self, member: &Member<crate::evm::client::EvmClient>, suspect: &Suspect) -> bool {
        let Suspect { height, said, right, .. } = *suspect;
        match self.client(member).header_at(format!("0x{height:x}"), Some(height)).await {
            // A fork that others knew of, and that it is slow to leave: that is behind, and no lie.
            Ok(head) if head.hash == said && self.words().was_a_fork(said, height, right) => return false,
            Ok(head) if head.hash == said => {
                // Unless most changed their mind.
                let trusted = self.trusted();
                return self.words().majority(height, &trusted).is_none_or(|(most, _)| most == right);
            }
            Ok(_) => {}
            // It cannot be asked: nothing is proved.
            Err(e) if e.class() != Class::Empty => return false,
            Err(_) => {}
        }
        if self.words().was_a_fork(said, height, right) {
            return false;
        }
        let this = self.clone();
        let ask = Ask { purpose: Purpose::SecondWord, within: QUESTION, ..Ask::new("header") };
        let its_own = member.operator();
        let others = [&*its_own];
        let asked = self.fleet.ask_other(ask, &others, move |member| {
            let this = this.clone();
            async move {
                match this.client(&member).header_with(said, height).await {
                    Ok(_) => Ok(true),
                    Err(e) if e.class() == Class::Empty => Ok(false),
                    Err(e) => Err(e),
                }
            }
        });
        asked.await.is_ok_and(|answer| !answer.value)
    }
}
