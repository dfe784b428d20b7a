//! How an endpoint's newest block gets into the tree of headers.
//!
//! Guarantee: what an endpoint shows is a claim once it is linked to what is known, header by header, each with its own work; what lies
//! between is asked of that endpoint. A tip that stands on another chain than the others show is followed only where it has more work, or
//! where nobody else is heard ([`super::begin`]); else it counts for nothing, and whoever sends headers that prove nothing is put into
//! quarantine. Where an endpoint shows a known block at another height, that is judged ([`super::dispute`]). Who is far behind claims nothing.
//! Bounded: [`WALK`] headers are looked through for one tip, and [`FAR`] for one that is far above what is known.

use std::time::{Duration, Instant};

use schemas::{bitcoin::BitcoinChain, limits::bitcoin as limits};

use super::{
    BitcoinFleet,
    begin::Unfit,
    claims::Claim,
    client::Client,
    dispute::{Dispute, QUESTION},
    tree::{KEEP, Refused},
};
use crate::{
    bitcoin::{
        Kind,
        header::{Header, are_linked},
    },
    error::{NodeError, NodeErrorKind},
    fleet::{Lie, Member},
};

/// Headers that are asked for first.
const FIRST: u64 = 16;
/// Headers that are asked for at once, at most.
const MOST: u64 = 256;
/// Headers below the first tip with which the tree begins.
const BASE: u64 = 64;
/// Headers that are looked through for one tip.
const WALK: u64 = 2_048;
/// Headers that are looked through for a tip that is far above what is known; one further above begins the tree anew. A year of them.
const FAR: u64 = 52_416;
/// Headers that an Electrum server is asked for at once on that way.
const FAR_STEP: u64 = 2_016;
/// What came of a tip that counts for nothing is not found out again so soon.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often in a row an endpoint's headers may not fit to one another, as they do not while its chain changes.
const MISFITS: u32 = 8;
/// How often a tip is tried, while others change what is known.
const TRIES: u32 = 8;

/// What is to be done with a tip, given what is known.
enum Plan {
    /// It is known.
    Known,
    /// It is far below, and others are heard.
    Behind,
    /// The tree begins with it, where that is still so: its lowest height is as it was.
    Begin(Option<u64>),
    /// What lies below it is looked through until something is known.
    Walk,
}

/// What came of joining headers to the tree.
enum Joined {
    Yes,
    /// Nothing is known of them: what lies below is wanted.
    Lower,
    /// They reach below the tree and are none of its blocks'.
    Apart,
    /// They cannot be.
    Wrong(String),
    /// A block of theirs is known at another height.
    Elsewhere(Dispute),
}

impl BitcoinFleet {
    /// An endpoint shows its newest block.
    ///
    /// # Errors
    /// Why it could not be linked to what is known; that it lied was told then.
    pub(super) async fn took(&self, member: &Member<Client>, height: u64, header: Header) -> Result<(), NodeError> {
        let name = member.name();
        if self.others() && !self.believed().contains(&name) {
            // What it shows is not looked at, lest it take the place of what is known.
            if member.quarantined() {
                self.fleet.heard(&name, height);
            }
            return Ok(());
        }
        let outcome = self.connect(member, height, header).await;
        let news = match &outcome {
            Ok(claims) => {
                // Once it stands on what is known: a height alone is anybody's.
                self.fleet.heard(&name, height);
                let kind = member.client.kind();
                let claim = Claim { operator: member.operator(), kind, tip: header.hash, live: true };
                let mut view = self.view();
                view.misfits.remove(&name);
                let was_lost = view.errors.remove(&name).is_some();
                // Others may have let go of it since it was joined; then it is asked for again.
                match *claims && view.tree.get(&header.hash).is_some() {
                    true => view.claims.set(&name, claim) || was_lost,
                    false => {
                        view.claims.forget(&name);
                        true
                    }
                }
            }
            Err(error) if matches!(error.kind, NodeErrorKind::Lying(_)) => {
                self.lied(member, error);
                true
            }
            Err(error) => self.view().errors.insert(name, error.clone()).is_none(),
        };
        if news {
            self.news();
        }
        outcome.map(drop)
    }

    /// An endpoint sent what proves nothing, or what stands on nothing: it claims nothing any more, and is not asked where others are.
    pub(super) fn lied(&self, member: &Member<Client>, error: &NodeError) {
        let name = member.name();
        {
            let mut view = self.view();
            view.claims.forget(&name);
            view.errors.insert(name.clone(), error.clone());
        }
        let right = "headers that prove their work, one above the other, on the chain that others show".to_owned();
        self.fleet.quarantine(&name, Lie { said: error.kind.to_string(), right });
    }

    /// An endpoint is not heard any more.
    pub(super) fn lost(&self, member: &Member<Client>, error: NodeError) {
        let name = member.name();
        let news = {
            let mut view = self.view();
            let news = view.claims.lost(&name) || !view.errors.contains_key(&name);
            view.errors.insert(name, error);
            news
        };
        if news {
            self.news();
        }
    }

    /// Links a tip to what is known. False where it is far behind.
    async fn connect(&self, member: &Member<Client>, height: u64, header: Header) -> Result<bool, NodeError> {
        let (chain, client) = (self.chain()?, self.client(member));
        for _ in 0..TRIES {
            let plan = self.plan(member, height, &header);
            if let (Plan::Begin(_) | Plan::Walk, Some(words)) = (&plan, self.undecided(member)) {
                return Err(client.error("headers", Some(height), NodeErrorKind::Stale(words)));
            }
            match plan {
                Plan::Known => return Ok(true),
                Plan::Behind => return Ok(false),
                Plan::Begin(lowest) => {
                    let mut run = vec![header];
                    let mut first = height;
                    while first > height.saturating_sub(BASE) {
                        let wanted = (first - height.saturating_sub(BASE)).min(MOST);
                        self.lower(member, &client, &mut run, &mut first, wanted).await?;
                    }
                    match self.begin(member, chain, lowest, first, &run) {
                        Ok(()) => {}
                        Err(Unfit::Behind) => return Ok(false),
                        Err(Unfit::Elsewhere(dispute)) => self.judge(member, dispute).await?,
                        Err(Unfit::Lie(words)) => {
                            return Err(client.error("headers", Some(height), NodeErrorKind::Lying(words)));
                        }
                    }
                }
                Plan::Walk => {
                    if self.walk(member, &client, chain, (height, header)).await? {
                        return Ok(true);
                    }
                }
            }
        }
        let words = "what is known of the chain changed again and again meanwhile".to_owned();
        Err(client.error("headers", Some(height), NodeErrorKind::Stale(words)))
    }

    /// What is to be done with a tip.
    fn plan(&self, member: &Member<Client>, height: u64, header: &Header) -> Plan {
        let believed = self.believed();
        let view = self.view();
        if view.tree.get(&header.hash).is_some_and(|known| known.height == height) {
            return Plan::Known;
        }
        let Some(lowest) = view.tree.lowest() else { return Plan::Begin(None) };
        let top = view.best.as_ref().map_or(lowest, |best| best.tip.height);
        match height {
            height if height < lowest => match view.claims.others(&member.name(), &believed) {
                // Of blocks that cost something their work tells whether what is known was ever the chain.
                true if !self.costly() || view.best.is_none() => Plan::Behind,
                // Its chain may be another one now, as that of a test node is.
                _ => Plan::Begin(Some(lowest)),
            },
            height if height > top.saturating_add(FAR) => Plan::Begin(Some(lowest)),
            _ => Plan::Walk,
        }
    }

    /// Why what an endpoint shows counted for nothing a moment ago.
    fn undecided(&self, member: &Member<Client>) -> Option<String> {
        let view = self.view();
        let (when, words) = view.undecided.get(&member.name())?;
        (when.elapsed() < PATIENCE).then(|| words.clone())
    }

    /// What an endpoint shows counts for nothing, and that is no lie.
    pub(super) fn passed_over(&self, member: &Member<Client>, height: u64, words: String) -> NodeError {
        let mut view = self.view();
        view.claims.forget(&member.name());
        view.undecided.insert(member.name(), (Instant::now(), words.clone()));
        member.client.error("headers", Some(height), NodeErrorKind::Stale(words))
    }

    /// Looks through what lies below a tip until something is known, and takes it in. False where it is to be tried anew.
    async fn walk(
        &self,
        member: &Member<Client>,
        client: &Client,
        chain: BitcoinChain,
        (height, header): (u64, Header),
    ) -> Result<bool, NodeError> {
        let lie = |words: String| client.error("headers", Some(height), NodeErrorKind::Lying(words));
        let (mut run, mut first, mut step) = (vec![header], height, FIRST);
        // Of what is far above nothing is known but that it is far.
        let top = self.best_height().or_else(|| self.view().tree.lowest()).unwrap_or_default();
        let far = height > top.saturating_add(WALK);
        let (most, longest) = match (far, member.client.kind()) {
            (true, Kind::Electrum) => (FAR_STEP, FAR + WALK),
            (true, Kind::Core) => (limits::CORE_HEADERS_PER_BATCH as u64, FAR + WALK),
            (false, _) => (MOST, WALK * 2),
        };
        loop {
            match self.join(chain, first, &run) {
                Joined::Yes => return Ok(true),
                Joined::Wrong(words) => return Err(lie(words)),
                Joined::Elsewhere(dispute) => {
                    self.judge(member, dispute).await?;
                    return Ok(false);
                }
                Joined::Apart => {
                    // A fork may only be deeper than what is known.
                    if self.deepen(member).await {
                        continue;
                    }
                    self.part(member, first, &run).map_err(|words| self.passed_over(member, height, words))?;
                    return Ok(false);
                }
                Joined::Lower if run.len() as u64 > longest => return Ok(false),
                Joined::Lower => {}
            }
            self.lower(member, client, &mut run, &mut first, step).await?;
            step = (step * 4).min(most);
        }
    }

    /// Asks whoever is followed for what lies below all that is known, as deep as it is kept. False where there is no more.
    async fn deepen(&self, member: &Member<Client>) -> bool {
        let known = {
            let view = self.view();
            view.best.clone().zip(view.tree.lowest())
        };
        let Some((best, lowest)) = known else { return false };
        let floor = best.tip.height.saturating_sub(KEEP);
        let by = self.fleet.members().into_iter().find(|m| m.name() == best.by && m.name() != member.name());
        let Some(by) = by.filter(|_| lowest > floor) else { return false };
        let from = lowest.saturating_sub(MOST).max(floor);
        let wanted = usize::try_from(lowest - from).unwrap_or_default();
        let client = self.client(&by);
        let Ok(Ok(below)) = tokio::time::timeout(QUESTION, client.headers(from, wanted)).await else { return false };
        let mut view = self.view();
        if !are_linked(&below) || below.len() != wanted || !view.tree.begin_lower(&best.tip.header.hash, &below) {
            return false;
        }
        // Its work is counted from another block now.
        let tip = view.best.as_ref().and_then(|best| view.tree.get(&best.tip.header.hash).copied());
        if let (Some(best), Some(tip)) = (&mut view.best, tip) {
            best.tip = tip;
        }
        true
    }

    /// Asks for so many headers below a run of them. What does not fit is of a chain that changed meanwhile, unless it never fits.
    async fn lower(
        &self,
        member: &Member<Client>,
        client: &Client,
        run: &mut Vec<Header>,
        first: &mut u64,
        count: u64,
    ) -> Result<(), NodeError> {
        let from = first.saturating_sub(count);
        let wanted = usize::try_from(*first - from).unwrap_or_default();
        let below = client.headers(from, wanted).await?;
        let fits = match (below.last(), run.first()) {
            (Some(parent), Some(child)) => below.len() == wanted && child.follows(parent),
            _ => false,
        };
        if fits && are_linked(&below) {
            drop(run.splice(0..0, below));
            *first = from;
            return Ok(());
        }
        let times = {
            let mut view = self.view();
            let times = view.misfits.entry(member.name()).or_default();
            *times += 1;
            *times
        };
        let words =
            format!("the headers from {from} to {} do not lead to the block that it shows above them", *first - 1);
        let kind = if times >= MISFITS { NodeErrorKind::Lying(words) } else { NodeErrorKind::Malformed(words) };
        Err(client.error("headers", Some(from), kind))
    }

    /// Joins linked headers, the first at a height, to the tree.
    fn join(&self, chain: BitcoinChain, first: u64, run: &[Header]) -> Joined {
        let mut view = self.view();
        let Some(lowest) = view.tree.lowest() else { return Joined::Apart };
        let top = first + run.len().saturating_sub(1) as u64;
        match run.last().and_then(|tip| view.tree.get(&tip.hash)) {
            Some(known) if known.height == top => return Joined::Yes,
            Some(known) => {
                return Joined::Elsewhere(Dispute { hash: known.header.hash, ours: known.height, theirs: top });
            }
            None => {}
        }
        let known = run.iter().rposition(|header| view.tree.get(&header.prev).is_some());
        let Some(begin) = known else { return if first <= lowest { Joined::Apart } else { Joined::Lower } };
        let parent = run.get(begin).and_then(|header| view.tree.get(&header.prev));
        if let (Some(parent), Some(theirs)) = (parent, (first + begin as u64).checked_sub(1))
            && parent.height != theirs
        {
            return Joined::Elsewhere(Dispute { hash: parent.header.hash, ours: parent.height, theirs });
        }
        for (height, header) in (first..).zip(run).skip(begin) {
            match view.tree.add(chain, height, header) {
                Ok(_) => {}
                Err(Refused::Wrong(words)) => return Joined::Wrong(words),
                Err(Refused::Orphan) => return Joined::Lower,
            }
        }
        Joined::Yes
    }
}
