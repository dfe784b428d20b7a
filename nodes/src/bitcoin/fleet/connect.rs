//! How an endpoint's newest block gets into the tree of headers.
//!
//! Guarantee: what an endpoint shows is a claim once it is linked to what is known, header by header, each with its own work; what lies
//! between is asked of that endpoint. A tip that stands on another chain than the others show is followed only where it has more work, or
//! where nobody else is heard; else it counts for nothing, and whoever sends headers that prove nothing is put into quarantine. A height is
//! no proof: where an endpoint shows a known block at another one, operators decide who is right, whoever was first, and where they do
//! not, nobody is a liar. Who is far behind claims nothing. Bounded: [`WALK`] headers are looked through for one tip, and [`FAR`] for one that
//! is far above what is known.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::U256;
use futures::future::join_all;
use schemas::{BitcoinHash, bitcoin::BitcoinChain, limits::bitcoin as limits};

use super::{
    BitcoinFleet, View,
    claims::Claim,
    client::Client,
    tree::{KEEP, Refused, Tree},
};
use crate::{
    bitcoin::{
        Kind,
        header::{Header, may_follow, target, work_of},
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
/// So far below a block whose height is in question a block is taken that all have, whatever branch they are on.
const SETTLED: u64 = 6;
/// How long an endpoint has to say at which height it has a block.
const QUESTION: Duration = Duration::from_secs(2);
/// What came of a tip that counts for nothing is not found out again so soon.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A main chain's blocks come no quicker than this for long, seconds.
const QUICKEST: u64 = 150;
/// By so much two blocks' times say that one is younger, seconds: a block's own may be two hours ahead.
const YOUNGER: u64 = 3 * 3_600;
/// A tip far above what is known must be of blocks that have at least this part of the work that blocks are known to have.
const EASIER: u64 = 4;
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

/// A block that is known at one height, and shown at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dispute {
    hash: BitcoinHash,
    ours: u64,
    theirs: u64,
}

/// Why the tree does not begin with headers.
enum Unfit {
    /// They cannot be of the chain.
    Lie(String),
    /// A block of theirs is known at another height.
    Elsewhere(Dispute),
    /// They are below what is known, and have no more work than that.
    Behind,
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

/// The easiest target of headers with which the tree may begin on the main chain at the heights of today: some fifty times easier than
/// that of block 800,000.
const FLOOR: (u64, u32) = (800_000, 0x1800_ffff);

/// Why linked headers cannot be of a chain, from their targets alone.
fn too_easy(chain: BitcoinChain, first: u64, run: &[Header]) -> Option<String> {
    let (since, bits) = FLOOR;
    let top = first + run.len().saturating_sub(1) as u64;
    let easy = |header: &Header| target(header.bits) > target(bits);
    if chain == BitcoinChain::Main && top >= since && run.last().is_some_and(easy) {
        return Some(format!("its newest block {top} is far easier than blocks of the chain are since block {since}"));
    }
    let mut pairs = (first + 1..).zip(run.windows(2));
    let wrong = pairs.find_map(|(height, pair)| match pair {
        [parent, child] if !may_follow(chain, height, parent.bits, child.bits) => Some(height),
        _ => None,
    });
    wrong.map(|height| format!("block {height} claims a target that the chain does not allow there"))
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

    /// Whether blocks of the network's chain cost so much that nobody makes one for a lie.
    fn costly(&self) -> bool {
        self.config.which.get() == Some(BitcoinChain::Main)
    }

    /// Whether what an endpoint shows is to be weighed: others are heard, or are to be had and blocks are worth it.
    fn weighs(&self, view: &View, member: &Member<Client>, believed: &BTreeSet<Arc<str>>) -> bool {
        view.claims.others(&member.name(), believed) || (self.others() && self.costly())
    }

    /// Why what an endpoint shows counted for nothing a moment ago.
    fn undecided(&self, member: &Member<Client>) -> Option<String> {
        let view = self.view();
        let (when, words) = view.undecided.get(&member.name())?;
        (when.elapsed() < PATIENCE).then(|| words.clone())
    }

    /// What an endpoint shows counts for nothing, and that is no lie.
    fn passed_over(&self, member: &Member<Client>, height: u64, words: String) -> NodeError {
        let mut view = self.view();
        view.claims.forget(&member.name());
        view.undecided.insert(member.name(), (Instant::now(), words.clone()));
        member.client.error("headers", Some(height), NodeErrorKind::Stale(words))
    }

    /// A height is nobody's proof: asks everybody who is believed at which height it has the block, and lets go of what is known where that
    /// is wrong.
    ///
    /// # Errors
    /// It is not wrong, or nobody can tell.
    async fn judge(&self, member: &Member<Client>, dispute: Dispute) -> Result<(), NodeError> {
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
        let linked = below.windows(2).all(|pair| matches!(pair, [parent, child] if child.follows(parent)));
        let mut view = self.view();
        if !linked || below.len() != wanted || !view.tree.begin_lower(&best.tip.header.hash, &below) {
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
        let linked = below.windows(2).all(|pair| matches!(pair, [parent, child] if child.follows(parent)));
        let fits = match (below.last(), run.first()) {
            (Some(parent), Some(child)) => below.len() == wanted && child.follows(parent),
            _ => false,
        };
        if linked && fits {
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

    /// The tree begins with these linked headers, where it still is as it was, and where they can be of the chain that is known.
    fn begin(
        &self,
        member: &Member<Client>,
        chain: BitcoinChain,
        lowest: Option<u64>,
        first: u64,
        run: &[Header],
    ) -> Result<(), Unfit> {
        if let Some(words) = too_easy(chain, first, run) {
            return Err(Unfit::Lie(words));
        }
        let believed = self.believed();
        let mut view = self.view();
        if view.tree.lowest() != lowest {
            return Ok(());
        }
        let elsewhere = (first..).zip(run).find_map(|(theirs, header)| {
            let known = view.tree.get(&header.hash).filter(|known| known.height != theirs)?;
            Some(Dispute { hash: header.hash, ours: known.height, theirs })
        });
        if let Some(dispute) = elsewhere {
            return Err(Unfit::Elsewhere(dispute));
        }
        if let (true, Some(best)) = (self.weighs(&view, member, &believed), &view.best) {
            let lowest = view.tree.lowest().unwrap_or_default();
            let blocks = best.tip.height.saturating_sub(lowest) + 1;
            let (known, shown) = (mean(best.tip.work, blocks), mean(work_of(run), run.len() as u64));
            let top = first + run.len().saturating_sub(1) as u64;
            // What is so much harder was not made for a lie, and what is known may have been.
            let harder = shown > known.saturating_mul(U256::from(EASIER));
            let newest = run.last().map(|header| u64::from(header.time)).unwrap_or_default();
            let passed = newest.saturating_sub(u64::from(best.tip.header.time));
            // One that is younger than all that is known, and far below it, shows that the heights of that are wrong.
            if top < lowest && passed < YOUNGER && !harder {
                return Err(Unfit::Behind);
            }
            // There blocks of hardly any work are usual.
            let uneven = matches!(chain, BitcoinChain::Test | BitcoinChain::Testnet4);
            if !uneven && shown < known / U256::from(EASIER) {
                return Err(Unfit::Lie(format!(
                    "its newest block stands on block {first} and those above it, which have less than a quarter of the work that blocks of \
                     the chain have"
                )));
            }
            if self.costly() && !harder {
                // Blocks that are older than what is known, or too many for the time that passed, stand elsewhere.
                let leap = top.saturating_sub(best.tip.height);
                if passed < leap.saturating_mul(QUICKEST) {
                    return Err(Unfit::Lie(format!(
                        "its newest block, {top}, is {leap} above that of the others, and {passed} s younger"
                    )));
                }
            }
        }
        begin_with(&mut view, member, first, run);
        Ok(())
    }

    /// These linked headers are none of the tree's though they reach below it. They take its place where nobody else is heard, or where they
    /// have more work.
    fn part(&self, member: &Member<Client>, first: u64, run: &[Header]) -> Result<(), String> {
        let believed = self.believed();
        let mut view = self.view();
        let Some(lowest) = view.tree.lowest() else { return Ok(()) };
        if let (true, Some(best)) = (self.weighs(&view, member, &believed), &view.best) {
            let above = run.iter().zip(first..).filter(|(_, height)| *height >= lowest).map(|(header, _)| header);
            // Old headers at heights that are not theirs count as much as new ones. On a chain for tests times say nothing.
            let newest = run.last().map(|header| u64::from(header.time)).unwrap_or_default();
            let old = self.config.which.get() != Some(BitcoinChain::Regtest)
                && newest.saturating_add(YOUNGER) < u64::from(best.tip.header.time);
            if old || work_of(above) <= best.tip.work {
                return Err(format!(
                    "its newest block does not stand on the chain that others show: its block {lowest} is none of theirs, and what stands on it \
                     has no more work"
                ));
            }
        }
        let skip = run.len().saturating_sub(usize::try_from(KEEP).unwrap_or(usize::MAX));
        let kept = run.get(skip..).unwrap_or_default();
        begin_with(&mut view, member, first + skip as u64, kept);
        Ok(())
    }
}

/// Everybody else has to show a tip anew.
fn begin_with(view: &mut View, member: &Member<Client>, first: u64, run: &[Header]) {
    view.tree.begin(first, run);
    view.claims.forget_all_but(&member.name());
    view.best = None;
}

/// Work of a block, on average.
fn mean(work: U256, blocks: u64) -> U256 {
    work.checked_div(U256::from(blocks)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tree::tests::{first, run},
        *,
    };

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

    #[test]
    fn headers_that_are_far_too_easy_begin_nothing() {
        let headers = run(&first(), 3, 1);
        assert_eq!(too_easy(BitcoinChain::Regtest, 5_000_000, &headers), None);
        assert!(too_easy(BitcoinChain::Main, 5_000_000, &headers).is_some());
        assert_eq!(too_easy(BitcoinChain::Main, 1_000, &headers), None, "they were easy then");
        let harder = Header { bits: 0x1d00_ffff, ..headers[2] };
        assert!(too_easy(BitcoinChain::Main, 1_000, &[headers[1], harder]).is_some(), "not within a period");
    }
}
