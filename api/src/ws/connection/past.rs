//! The past for one connection: what its steps found is sent, until the ring of live events has all that follows.

use std::sync::Arc;

use store::query::GapReason;

use super::{Connection, WELL};
use crate::{
    metrics,
    past::{self, Page},
    ws::{
        end::End,
        protocol::Answer,
        replay::{self, Replaying, Step},
    },
};

impl Connection {
    pub(super) async fn replayed(&mut self, step: Step) -> Result<(), End> {
        let Some(mut front) = self.replays.pop_front() else { return Ok(()) };
        match step {
            Step::Joined => return self.join(&front).await,
            Step::Past(page) => {
                front.told_away = false;
                // Transactions may have been subscribed to while a page without them was on its way.
                if page.transactions || !self.subscriptions.topics(front.network()).transactions {
                    self.past(&mut front, page).await?;
                }
            }
            Step::Lost { to } => self.gap(front.network(), to, GapReason::NotHeld).await?,
            Step::Wait => {}
            Step::Away(error) => {
                if !front.told_away {
                    front.told_away = true;
                    self.refuse(Some(&front.id), &error).await?;
                }
            }
            Step::Refused(error) => {
                drop(self.subscriptions.remove(&front.id, None));
                self.follows.set(&self.app.rings, self.subscriptions.wanted());
                return self.refuse(Some(&front.id), &error).await;
            }
        }
        self.replays.push_back(front);
        Ok(())
    }

    /// From here on the ring has it all. What it holds of the past is told without what was undone in it.
    async fn join(&mut self, front: &Replaying) -> Result<(), End> {
        let network = front.network();
        let floor = self.subscriptions.floor(network).unwrap_or_default();
        let events = replay::rest(&front.ring, floor);
        for undone in replay::undone(&events) {
            self.subscriptions.leave_out(network, undone);
        }
        if let (Some((sequence, transactions)), Some(event)) = (front.begun, events.first())
            && event.sequence == sequence
        {
            let told = !self.subscriptions.is_left_out(network, sequence);
            self.subscriptions.forget_left_out(network, sequence);
            let chosen = self.frames(network, event.frames(), told, Some(transactions));
            self.out.send(chosen.frames).await?;
            self.passed(network, sequence, None);
        }
        Ok(())
    }

    async fn gap(&mut self, network: &schemas::Network, to: u64, reason: GapReason) -> Result<(), End> {
        let from = self.subscriptions.floor(network).unwrap_or_default() + 1;
        if from <= to {
            self.answer(&Answer::Gap { network, from, to, reason: reason.as_str() }).await?;
            self.subscriptions.advance(network, to);
        }
        Ok(())
    }

    /// Sends what the client takes of a page in the time that it may be held.
    async fn past(&mut self, front: &mut Replaying, page: Arc<Page>) -> Result<(), End> {
        let network = front.network().clone();
        let began = tokio::time::Instant::now();
        let until = began + past::HOLD;
        if let Some((_, to)) = page.gap {
            self.gap(&network, to, page.reason).await?;
        }
        let floor = self.subscriptions.floor(&network).unwrap_or_default();
        let mut sent = 0;
        for event in page.events.iter().filter(|e| e.sequence > floor) {
            let begun = front.begun.take().filter(|(sequence, _)| *sequence == event.sequence).map(|(_, n)| n);
            if event.undone && begun.is_none() {
                self.subscriptions.leave_out(&network, event.sequence);
            }
            let told = match event.reverts_sequence {
                Some(undone) => !self.subscriptions.is_left_out(&network, undone),
                None => !event.undone,
            };
            let chosen = self.frames(&network, &event.frames, told, begun);
            let taken = self.out.send_before(&chosen.frames, until).await?;
            if taken < chosen.frames.len() {
                if taken > 0 || begun.is_some() {
                    front.begun = Some((event.sequence, chosen.next(taken)));
                }
                break;
            }
            self.passed(&network, event.sequence, event.reverts_sequence);
            sent += 1;
        }
        drop(page);
        metrics::ws_replayed(sent);
        let late = tokio::time::Instant::now() >= until;
        if late || began.elapsed() < WELL {
            front.learn(!late);
        }
        if late {
            self.out.drain().await?;
        }
        Ok(())
    }
}
