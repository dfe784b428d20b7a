//! Heads of a network over all its endpoints.
//!
//! Guarantee: every Electrum server is listened to by a subscription that is made again when it ends; every Bitcoin Core is asked as soon as
//! its ZMQ wakes us, and at regular times besides, since what was published may be lost. No wait for one endpoint keeps another's head from
//! being heard. What is told is the branch that is followed ([`super::claims`]). That Core and Electrum are on different branches is told
//! when it has lasted for [`GRACE`], which a new branch takes to get around, and is over as soon as they are on one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use schemas::BitcoinHash;
use tokio::sync::{Notify, watch};

use super::{BitcoinFleet, client::Client, connect::PATIENCE, source::Prober};
use crate::{
    bitcoin::{
        Kind,
        electrum::{Push, reconnect_waits},
        header::Header,
    },
    error::{NodeError, NodeErrorKind},
    fleet::{Done, Member, Role},
    metrics,
    source::HeadView,
};

/// How long Core and Electrum may be on different branches before that is told.
const GRACE: Duration = Duration::from_millis(2_500);
/// How often what is believed is looked at anew where nobody shows anything.
const IDLE: Duration = Duration::from_secs(1);
/// A tip that could not be linked is tried again after this.
const AGAIN: Duration = Duration::from_millis(300);
/// How often a Bitcoin Core is asked that tells of new blocks.
const WOKEN_POLL: Duration = Duration::from_secs(2);
/// A subscription that held for so long was a good one: after a shorter one the next waits longer.
const GOOD: Duration = Duration::from_secs(10);
/// Wake-ups are looked at no more often than this.
const WAKES: Duration = Duration::from_millis(50);
/// The longest wait before a Bitcoin Core that failed is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Follows the heads in a task that ends with its last receiver; so do the subscriptions and the fleet's probes.
pub(super) fn follow(fleet: BitcoinFleet) -> watch::Receiver<HeadView> {
    let (tx, rx) = watch::channel(HeadView::default());
    let mine = fleet.hubs.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    tokio::spawn(async move {
        let ended = tx.clone();
        let streaming = fleet.fleet.members().into_iter().filter(|m| m.serves(Role::Stream));
        let listeners: Vec<_> = streaming.map(|member| listen(fleet.clone(), member)).collect();
        let probes = fleet.fleet.run(Arc::new(Prober(fleet.clone())));
        let hub = Hub { fleet: fleet.clone(), tx, using: None, apart_since: None };
        tokio::select! {
            _ = async { tokio::join!(hub.run(), join_all(listeners), probes) } => {}
            () = ended.closed() => {
                let mut view = fleet.view();
                // Where heads are followed anew, what was shown since is theirs.
                if fleet.hubs.load(Ordering::Relaxed) == mine {
                    *view = view.without_words();
                }
            }
        }
    });
    rx
}

/// Listens to one endpoint, for ever.
async fn listen(fleet: BitcoinFleet, member: Member<Client>) {
    match member.client.kind() {
        Kind::Core => poll(fleet, member).await,
        Kind::Electrum => subscribe(fleet, member).await,
    }
}

/// Listens to an Electrum server.
async fn subscribe(fleet: BitcoinFleet, member: Member<Client>) {
    let (mut waits, mut had_one) = (reconnect_waits(), false);
    loop {
        let (mut heard, began) = (false, Instant::now());
        let error = hear(&fleet, &member, (&mut heard, had_one)).await;
        had_one |= heard;
        if heard {
            if began.elapsed() >= GOOD {
                waits = reconnect_waits();
            }
            metrics::heads_lost(&member.name());
            // Behind the name may be another server next time.
            fleet.firsts.forget(&member.name());
        }
        if error.asked_wait().is_some() {
            // Nobody else shall ask it meanwhile.
            let admitted = tokio::time::timeout(WAKES, member.meter.admit(1)).await;
            if let Ok(Ok(admitted)) = admitted {
                let done = Done { method: "heads", took: began.elapsed(), bytes: 0, height: None, error: Some(&error) };
                member.meter.done(admitted, done);
            }
        }
        // It may want to be left alone.
        let wait = waits.next().unwrap_or(LONGEST_WAIT).max(error.asked_wait().unwrap_or_default());
        tracing::warn!(%error, ?wait, "no subscription to new heads meanwhile");
        // Its first word can be a lie as well as every later one.
        if matches!(error.kind, NodeErrorKind::Lying(_)) {
            fleet.lied(&member, &error);
        }
        fleet.lost(&member, error);
        tokio::time::sleep(wait).await;
    }
}

/// One subscription, to its end; `heard` becomes true once there is one, and `again`: there was one before.
async fn hear(fleet: &BitcoinFleet, member: &Member<Client>, (heard, again): (&mut bool, bool)) -> NodeError {
    let begun = Instant::now();
    if let Err(error) = fleet.on_chain(member).await {
        return error;
    }
    let client = fleet.client(member);
    let Client::Electrum(server) = &client else {
        return client.error("heads", None, NodeErrorKind::Unreachable("it has no subscription".into()));
    };
    let mut subscription = match server.subscribe().await {
        Ok(subscription) => subscription,
        Err(error) => return error,
    };
    *heard = true;
    if again {
        member.subscribed_again(begun.elapsed());
    }
    // What could not be linked yet.
    let (mut open, mut pause): (Option<(u64, Header)>, Duration) = (None, AGAIN);
    loop {
        let push = match open {
            Some(_) => tokio::time::timeout(pause, subscription.next()).await.ok(),
            None => Some(subscription.next().await),
        };
        match push {
            None => {}
            Some(Push::Tip(tip, bytes)) => {
                fleet.fleet.bytes(&member.name(), bytes);
                open = Some((tip.height, tip.header));
            }
            Some(Push::Refused(kind @ NodeErrorKind::Lying(_))) => {
                fleet.lied(member, &client.error("heads", None, kind));
                fleet.news();
            }
            // What it is about shows by asking.
            Some(Push::Refused(_)) => open = client.tip().await.ok().or(open),
            Some(Push::Ended(kind)) => return client.error("heads", None, kind),
        }
        if let Some((height, header)) = open {
            match fleet.took(member, height, header).await {
                Ok(()) => open = None,
                Err(error) if matches!(error.kind, NodeErrorKind::Lying(_)) => open = None,
                Err(error) => {
                    tracing::debug!(%error, height, "a head could not be linked yet");
                    // What counts for nothing does so for a while.
                    pause = if matches!(error.kind, NodeErrorKind::Stale(_)) { PATIENCE } else { AGAIN };
                    // Its chain may be another one by now.
                    open = client.tip().await.ok().or(open);
                }
            }
        }
    }
}

/// Listens to Bitcoin Core.
async fn poll(fleet: BitcoinFleet, member: Member<Client>) {
    let client = fleet.client(&member);
    let Client::Core(core) = &client else { return };
    let every = match core.endpoint().zmq {
        Some(_) => fleet.config.poll_every.max(WOKEN_POLL),
        None => fleet.config.poll_every,
    };
    let woke = Notify::new();
    tokio::join!(core.woken(&woke), ask_for_ever(&fleet, &member, every, &woke));
}

async fn ask_for_ever(fleet: &BitcoinFleet, member: &Member<Client>, every: Duration, woke: &Notify) {
    let (mut known, mut failures) = (None, 0_u32);
    loop {
        // What nobody may shorten, and the wait until it is asked unless it wakes us.
        let (at_least, wait) = match look(fleet, member, &mut known).await {
            Ok(()) => {
                failures = 0;
                (WAKES, every)
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                let asked = error.asked_wait().unwrap_or_default();
                let wait = AGAIN.saturating_mul(1 << failures.min(6)).min(LONGEST_WAIT).max(asked);
                tracing::debug!(%error, ?wait, "no head from it meanwhile");
                if matches!(error.kind, NodeErrorKind::Unreachable(_)) {
                    // Behind the name may be another node next time.
                    fleet.firsts.forget(&member.name());
                }
                fleet.lost(member, error);
                (AGAIN.max(asked), wait)
            }
        };
        tokio::time::sleep(at_least).await;
        tokio::select! {
            () = tokio::time::sleep(wait.saturating_sub(at_least)) => {}
            () = woke.notified() => {}
        }
    }
}

/// Asks Bitcoin Core for its newest block: for its hash, and for more where that is news.
async fn look(fleet: &BitcoinFleet, member: &Member<Client>, known: &mut Option<BitcoinHash>) -> Result<(), NodeError> {
    fleet.on_chain(member).await?;
    let client = fleet.client(member);
    let Client::Core(core) = &client else { return Ok(()) };
    let best = core.best().await?;
    let name = member.name();
    let claimed = {
        let view = fleet.view();
        view.tree.get(&best).is_some() && view.claims.of(&name).is_some_and(|claim| claim.live && claim.tip == best)
    };
    let passed_over = *known == Some(best) && fleet.others() && !fleet.believed().contains(&name);
    if claimed || passed_over {
        return Ok(());
    }
    let tip = core.tip().await?;
    fleet.took(member, tip.height, tip.header).await?;
    *known = Some(tip.header.hash);
    Ok(())
}

/// What is told of all of them.
struct Hub {
    fleet: BitcoinFleet,
    tx: watch::Sender<HeadView>,
    /// Whose blocks are followed.
    using: Option<Arc<str>>,
    /// Since when Core and Electrum are on different branches.
    apart_since: Option<Instant>,
}

impl Hub {
    async fn run(mut self) {
        let mut changed = self.fleet.changed.subscribe();
        loop {
            changed.borrow_and_update();
            self.follow();
            let wait = self.compare();
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Tells of the branch that is followed, or why there is none.
    fn follow(&mut self) {
        let Some(best) = self.fleet.choose() else {
            let error = self.fleet.view().errors.values().next().cloned();
            if let Some(error) = error {
                // Whoever comes back may be another node behind the same name.
                self.using = None;
                self.tx.send_if_modified(|view| {
                    let news = view.error.is_none();
                    view.error = Some(error);
                    news
                });
            }
            return;
        };
        if self.using.as_ref() != Some(&best.by) {
            self.using = Some(best.by.clone());
            self.tx.send_modify(HeadView::connected);
        }
        let head = best.tip.header.head(best.tip.height);
        self.tx.send_if_modified(|view| view.saw(head));
    }

    /// Looks whether Core and Electrum are of one mind. Gives how long nothing is to be looked at.
    fn compare(&mut self) -> Duration {
        let believed = self.fleet.believed();
        let apart = {
            let view = self.fleet.view();
            view.claims.divergence(&view.tree, &believed)
        };
        let Some(words) = apart else {
            self.apart_since = None;
            self.tell(None);
            return IDLE;
        };
        let lasted = self.apart_since.get_or_insert_with(Instant::now).elapsed();
        if lasted < GRACE {
            return GRACE - lasted;
        }
        self.tell(Some(words));
        IDLE
    }

    fn tell(&self, diverged: Option<String>) {
        let network = self.fleet.config.network.as_str();
        let was = self.tx.borrow().diverged.is_some();
        match &diverged {
            Some(words) if !was => {
                tracing::error!(network, words, "Bitcoin Core and Electrum are on different branches")
            }
            None if was => tracing::info!(network, "Bitcoin Core and Electrum are on one branch again"),
            _ => {}
        }
        self.tx.send_if_modified(|view| std::mem::replace(&mut view.diverged, diverged.clone()) != diverged);
    }
}
