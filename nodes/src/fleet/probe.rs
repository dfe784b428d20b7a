//! Probing: every endpoint of a network is asked for its head and for one settled block at regular times, by one task.
//!
//! Guarantee: an endpoint is probed every `probe_every`, whatever else is asked of it, and one whose breaker is open as soon as
//! its back-off has passed; a round ends before the next begins. The blocks at one height that ordinary forks do not reach are
//! compared: the majority of operators that are believed is right, who says something else is put into quarantine, and who
//! agrees comes nearer to its end; where nobody who is believed answers, all are counted. Nothing is sent to an endpoint that
//! asked to be left alone.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;

use super::{
    breaker::Allow,
    clock::Moment,
    config::Role,
    fleet::Fleet,
    heights::best,
    member::{Member, Purpose},
    metrics,
    quarantine::Lie,
    seat::Seat,
    votes::{Verdict, Vote, verdict_of_believed},
};
use crate::error::{Class, NodeError};

/// What a family asks of an endpoint to know how it is.
#[async_trait]
pub trait Probe<C>: Send + Sync {
    /// The height of the newest block. The request goes through the member's meter, which is told the height too.
    async fn head(&self, member: &Member<C>) -> Result<u64, NodeError>;

    /// The identity (hash) of the block at a height.
    async fn block(&self, member: &Member<C>, height: u64) -> Result<String, NodeError>;
}

/// How long one endpoint's probe may take.
const WITHIN: Duration = Duration::from_secs(10);
/// The shortest wait of the task.
const LEAST_WAIT: Duration = Duration::from_millis(200);
/// Minutes are looked through this often.
const FLUSHED_EVERY: Duration = Duration::from_secs(10);

impl<C: Clone + Send + Sync + 'static> Fleet<C> {
    /// Probes for ever. It is the only task of a fleet; dropping it stops it.
    pub async fn run(&self, probe: Arc<dyn Probe<C>>) {
        let table = self.table();
        let every = table.config.probe_every;
        // A fleet of fleets does not probe in step.
        let mut round_at = table.clock.now();
        let mut flush_at = table.clock.now() + FLUSHED_EVERY;
        let mut first = true;
        loop {
            let now = table.clock.now();
            if now >= flush_at {
                table.seats.iter().for_each(|s| s.flush());
                flush_at = now + FLUSHED_EVERY;
            }
            if now >= round_at {
                self.round(&*probe).await;
                let spread = if std::mem::take(&mut first) { fastrand::f64() } else { 1.0 };
                round_at = now + every.mul_f64(spread.max(0.1));
            } else {
                let due = |s: &&Arc<Seat>| s.state().breaker.allows(now) == Allow::Trial;
                let due: Vec<Arc<Seat>> = table.seats.iter().filter(due).cloned().collect();
                join_all(due.iter().map(|s| self.look(&*probe, s))).await;
                due.iter().for_each(|s| s.tell());
                if !due.is_empty() {
                    table.reelect();
                }
            }
            let next = self.trial_at().into_iter().chain([round_at, flush_at]).min().unwrap_or(round_at);
            tokio::time::sleep(LEAST_WAIT).await;
            tokio::select! {
                () = table.clock.until(next) => {}
                () = table.hub.opened.notified() => {}
            }
        }
    }

    /// When the next open breaker lets a trial through.
    fn trial_at(&self) -> Option<Moment> {
        let now = self.table().clock.now();
        let at = |s: &Arc<Seat>| match s.state().breaker.allows(now) {
            Allow::No(until) => Some(until),
            Allow::Trial => Some(now),
            Allow::Yes => None,
        };
        self.table().seats.iter().filter_map(at).min()
    }

    /// All endpoints once.
    async fn round(&self, probe: &dyn Probe<C>) {
        let table = self.table();
        let heights = join_all(table.seats.iter().map(|s| self.look(probe, s))).await;
        if let Some(best) = table.hub.best() {
            // Those who were quick were compared with what the others had shown before.
            table.seats.iter().zip(&heights).filter(|(_, h)| h.is_some()).for_each(|(s, _)| s.behind(best));
        }
        self.compare(probe, &heights).await;
        table.seats.iter().for_each(|s| {
            s.evaluate(true);
            s.tell();
        });
        table.reelect();
    }

    /// One endpoint's head.
    async fn look(&self, probe: &dyn Probe<C>, seat: &Arc<Seat>) -> Option<u64> {
        let now = self.table().clock.now();
        {
            let mut state = seat.state();
            match state.breaker.allows(now) {
                Allow::Yes => {}
                Allow::Trial => state.breaker.begin_trial(now),
                Allow::No(_) => return None,
            }
        }
        if !seat.gate.standing(&seat.hub.observer, Role::Stream).paused.is_zero() {
            return None;
        }
        let member = self.probing(seat);
        let outcome = tokio::time::timeout(WITHIN, probe.head(&member)).await;
        match outcome {
            Ok(Ok(height)) => Some(height),
            Ok(Err(e)) if e.class() == Class::Empty => {
                seat.lacked();
                None
            }
            // What failed was told by its meter.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Compares one settled block of all that showed a height.
    async fn compare(&self, probe: &dyn Probe<C>, heights: &[Option<u64>]) {
        let table = self.table();
        let lag_ok = table.hub.lag_ok();
        let believed = |s: &Arc<Seat>| !s.state().quarantine.holds();
        let shown = || table.seats.iter().zip(heights).filter_map(|(s, h)| Some((s, (*h)?)));
        // What the fleet knows as the best height is of those who are believed.
        let best = match shown().any(|(s, _)| believed(s)) {
            true => table.hub.best(),
            false => best(shown().map(|(s, h)| (&*s.operator, h)), lag_ok),
        };
        let Some(best) = best else { return };
        // Who is far behind cannot be asked for what the others have.
        let near = |(seat, h): (&Arc<Seat>, &Option<u64>)| {
            h.filter(|h| h.saturating_add(lag_ok) >= best && *h <= best.saturating_add(lag_ok))
                .map(|h| (seat.clone(), h))
        };
        let able: Vec<(Arc<Seat>, u64)> = table.seats.iter().zip(heights).filter_map(near).collect();
        let Some(lowest) = able.iter().map(|(_, h)| *h).min() else { return };
        // A minute of blocks, at least: what ordinary forks do not reach.
        let height = lowest.saturating_sub(table.config.settled.max(lag_ok * 2));
        if able.iter().all(|(s, _)| s.operator == able[0].0.operator) {
            return;
        }
        let asking = able.iter().map(|(seat, _)| async move {
            let member = self.probing(seat);
            tokio::time::timeout(WITHIN, probe.block(&member, height)).await.ok()?.ok()
        });
        let said = join_all(asking).await;
        let answered: Vec<(&Arc<Seat>, &str)> =
            able.iter().zip(&said).filter_map(|((seat, _), says)| Some((seat, says.as_deref()?))).collect();
        let votes: Vec<(Vote, bool)> = answered
            .iter()
            .map(|(seat, says)| (Vote { endpoint: &seat.name, operator: &seat.operator, says }, believed(seat)))
            .collect();
        match verdict_of_believed(&votes) {
            Verdict::Alone => {}
            Verdict::Undecided => {
                metrics::undecided(table.hub.network.as_str());
                let said: Vec<String> = votes.iter().map(|(v, _)| format!("{} says {}", v.endpoint, v.says)).collect();
                tracing::warn!(network = %table.hub.network, height, said = said.join(", "), "endpoints contradict each other, and no majority decides");
            }
            Verdict::Right { says, by, liars } => {
                for (seat, said) in answered {
                    if !liars.contains(&&*seat.name) {
                        seat.agreed();
                    } else {
                        let lie = Lie {
                            said: format!("that block {height} is {said}"),
                            right: format!("{says}, say {}", by.join(" and ")),
                        };
                        table.quarantine(seat, &lie);
                    }
                }
            }
        }
    }

    fn probing(&self, seat: &Arc<Seat>) -> Member<C> {
        // Where it first waited for its limit, less than all of the time is left to it.
        self.free(seat, "probe", Purpose::Probe, WITHIN / 2)
    }
}
