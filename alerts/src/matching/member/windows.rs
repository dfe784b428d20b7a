//! The windows of networks that rules are about: read back before their first event, and looked at after each. Whatever lies in the
//! partition of such a network stands until its windows are there ([`Member::has_windows`]), or no rule asks for them any more
//! ([`Member::give_up_readings`]), and nothing else does.

use std::collections::{BTreeSet, VecDeque};

use conditions::Change;
use runtime::{
    control::Watched,
    log::{
        LogError, LogErrorKind,
        events::{Event, EventConsumer},
    },
};
use schemas::{
    Network,
    records::{AlertMatch, EnrichedBlock, MatchOp},
};
use tokio::time::Instant;

use super::{
    super::{
        beside::Beside,
        figures::Figures,
        history::{self, Reading},
        output,
        part::Part,
        pasts::Question,
        ring::{Changes, Place, Ring},
        rules::Rules,
    },
    HOLD, Member,
};
use crate::metrics;

impl Member<'_> {
    /// Gives up at once what is read back and no rule asks for any more. What is left asks for its own: where there are no windows yet, and they
    /// were to be longer, with the event that waits for them.
    pub(super) fn give_up_readings(&mut self) {
        for Part { reading, figures, .. } in self.parts.values_mut() {
            reading.retain(|network, reading| {
                self.rules.longest(network).is_some_and(|longest| match figures.get(network) {
                    Some(figures) => !figures.has(longest),
                    None => reading.longest_ms() <= longest,
                })
            });
        }
    }

    /// Begins to read back the windows of these events' networks that are not there at all, so that several are read at the same time.
    pub(super) fn begin_readings(&mut self, events: &VecDeque<Event>) {
        for event in events {
            let network = &event.meta.network;
            let part = self.parts.get(&event.partition);
            let has = part.is_none_or(|p| p.figures.contains_key(network) || p.reading.contains_key(network));
            if let Some(longest) = self.rules.longest(network).filter(|_| !has) {
                self.read_back(event.partition, network, (longest, event.header.offset));
            }
        }
    }

    /// Whether the windows of an event's network are there, or read back by now, where a rule is about them.
    pub(super) fn has_windows(&self, event: &Event) -> bool {
        let network = &event.meta.network;
        let Some(part) = self.parts.get(&event.partition).filter(|_| self.rules.longest(network).is_some()) else {
            return true;
        };
        part.figures.contains_key(network) || part.reading.get(network).is_some_and(Reading::is_done)
    }

    /// Takes an event into the windows of its network, where rules are about them; where they are not there yet they are read back first.
    /// For a rule that wants longer ones they are read back meanwhile, and until that is done the longer ones are not whole.
    pub(super) async fn follow_windows(&mut self, event: &Event, block: &EnrichedBlock) -> Result<(), LogError> {
        let network = &event.meta.network;
        let Some(part) = self.parts.get_mut(&event.partition) else { return Ok(()) };
        let longest = self.rules.longest(network);
        // A rule that was paused may come back: then nothing is read but what comes anyway.
        let may_read_back = part.may_read_back(network);
        if longest.is_none() && may_read_back {
            part.figures.remove(network);
        }
        let has = part.figures.get(network).map(|figures| longest.is_none_or(|longest| figures.has(longest)));
        let is_read = part.reading.contains_key(network);
        if let Some(longest) = longest
            && !is_read
            && (has.is_none() || has == Some(false) && may_read_back)
        {
            self.read_back(event.partition, network, (longest, event.header.offset));
        }
        self.take_read_back(event.partition, network, event.header.offset).await?;
        let none = BTreeSet::new();
        let contracts = self.rules.contracts.get(network).unwrap_or(&none);
        let figures = self.parts.get_mut(&event.partition).and_then(|part| part.figures.get_mut(network));
        let Some(figures) = figures else { return Ok(()) };
        figures.want(contracts);
        match Change::of(block) {
            Ok(change) => figures.take(network, block.envelope.sequence, change),
            Err(why) => {
                metrics::unreadable(network, "block");
                tracing::error!(%network, sequence = block.envelope.sequence, why, "rules pass over a block");
            }
        }
        Ok(())
    }

    /// Begins to read back windows of a network, so long and up to an offset.
    fn read_back(&mut self, partition: u32, network: &Network, (longest, to): (i64, u64)) {
        let contracts = self.rules.contracts.get(network).cloned().unwrap_or_default();
        let of = (&self.context.log, &self.context.codec, &self.readings);
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let reading = Reading::begin(of, (partition, None, to), network, Figures::new(longest, contracts));
        part.reading.insert(network.clone(), reading);
        part.read_back.insert(network.clone(), Instant::now());
    }

    /// Takes windows over that were read back, brought to where the group is: below the offset `to`. Whether some were. Where there are none
    /// at all they are waited for: no event is passed over that a rule was to be held against.
    async fn take_read_back(&mut self, partition: u32, network: &Network, to: u64) -> Result<bool, LogError> {
        let context = self.context;
        loop {
            let Some(part) = self.parts.get_mut(&partition) else { return Ok(false) };
            let is_first = !part.figures.contains_key(network);
            // Of many that are read back at once none is waited for, where there are shorter ones.
            let may_wait = part.reading.len() == 1;
            let Some(reading) = part.reading.get_mut(network) else { return Ok(false) };
            let ended = match is_first {
                true => Some(held(&mut self.events, reading.ended()).await?),
                false => reading.done(may_wait).await?,
            };
            let Some((mut figures, reached)) = ended else { return Ok(false) };
            part.reading.remove(network);
            if to.saturating_sub(reached) > history::NEAR {
                let of = (&context.log, &context.codec, &self.readings);
                let reading = Reading::begin(of, (partition, Some(reached), to), network, figures);
                part.reading.insert(network.clone(), reading);
                continue;
            }
            let (log, codec) = (&*context.log, &*context.codec);
            let of = (partition, reached..to);
            held(&mut self.events, history::read_between(log, codec, of, network, &mut figures)).await?;
            match part.figures.get_mut(network) {
                Some(former) => former.adopt(figures),
                None => drop(part.figures.insert(network.clone(), figures)),
            }
            return Ok(true);
        }
    }

    /// The same of all that were read back since, and says what holds: no event may come for a while.
    pub(super) async fn take_all_read_back(&mut self) -> Result<(), LogError> {
        let mut done = Vec::new();
        for (partition, part) in &self.parts {
            let of = part.reading.iter().filter(|(_, reading)| reading.is_done());
            done.extend(of.map(|(network, _)| (*partition, network.clone(), part.read)));
        }
        for (partition, network, to) in done {
            if !self.take_read_back(partition, &network, to).await? {
                continue;
            }
            self.look_again(partition, &network);
        }
        Ok(())
    }

    /// Says what holds after the last event of a network, since more is known of its windows.
    fn look_again(&mut self, partition: u32, network: &Network) {
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let Some(place) = part.places.get(network).cloned() else { return };
        let mut changes = Changes::default();
        let watched = self.context.control.watched(network);
        let beside = (&self.beside, &*watched, &self.rules);
        look_at_windows(part, beside, (partition, network, &place), &mut changes);
        let looked = !part.reading.contains_key(network);
        part.ring(network).passed(&place, looked, &mut changes);
        if !changes.is_empty() {
            metrics::gave(network, changes.given());
            let (codec, ring) = (&*self.context.codec, part.ring(network));
            self.records.extend(output::records(codec, self.limits, partition, network, ring, changes));
        }
    }

    /// Asks the store for what contracts of rules did before they were watched, and takes in what it told.
    pub(super) fn follow_pasts(&mut self) {
        for (question, did) in self.pasts.answers() {
            let Question { partition, network, contract, from, until, changes, .. } = question;
            let figures = self.parts.get_mut(&partition).and_then(|part| part.figures.get_mut(&network));
            if figures.is_some_and(|figures| figures.take_past(contract, (from, until, changes), did)) {
                self.look_again(partition, &network);
            }
        }
        for (partition, part) in &mut self.parts {
            for (network, figures) in &mut part.figures {
                let Some(watches) = self.rules.windows.get(network).filter(|_| self.pasts.may_ask()) else { continue };
                // Of what the group has read itself: what comes later it hears of.
                let Some(sequence) = part.places.get(network).map(|place| place.sequence) else { continue };
                let watched = self.context.control.watched(network);
                for (contract, from, until, changes) in figures.wants_past(watches, &watched) {
                    let (partition, network) = (*partition, network.clone());
                    self.pasts.ask(Question { partition, network, contract, from, until, changes, sequence });
                }
            }
        }
    }
}

/// Waits for what is read, however long the log takes: the group neither waits for this member meanwhile, nor drops it.
async fn held<T>(
    events: &mut EventConsumer,
    reading: impl Future<Output = Result<T, LogError>>,
) -> Result<T, LogError> {
    let mut reading = std::pin::pin!(reading);
    loop {
        tokio::select! {
            done = &mut reading => return done,
            held = events.hold(HOLD) => if held?.is_some() {
                let message = "partitions were given to others while windows were read back";
                return Err(LogError::new(LogErrorKind::Aborted, message));
            },
        }
    }
}

/// What rules over windows say of a network after its last event, but while a reorg goes on.
pub(super) fn look_at_windows(
    part: &mut Part,
    (beside, watched, rules): (&Beside, &Watched, &Rules),
    (partition, network, place): (u32, &Network, &Place),
    changes: &mut Changes,
) {
    if place.reorg_goes_on {
        return;
    }
    let ring = part.rings.entry(network.clone()).or_insert_with(|| Ring::new(network.clone()));
    let Some(figures) = part.figures.get_mut(network) else { return };
    let failures = part.failures.entry(network.clone()).or_default();
    let usual = beside.usual(partition);
    let hours = usual.as_ref().and_then(|snapshot| snapshot.fold.of(network));
    for (said, over) in figures.look(network, place, (rules, watched), hours, failures) {
        if ring.rule_says(place, &said, over, changes) {
            // The same alert goes on, not another one.
            let again = AlertMatch { op: MatchOp::IncludedAgain, figure: None, ..said.clone() };
            changes.matches.push(again);
        }
        changes.matches.push(said);
    }
}
