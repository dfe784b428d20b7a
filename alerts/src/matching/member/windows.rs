//! The windows of networks that rules are about: read back beside the group's work, and looked at after each event.

use std::collections::BTreeSet;

use conditions::Change;
use runtime::{
    control::Watched,
    log::{LogError, LogErrorKind, events::Event},
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
    /// Takes an event into the windows of its network, where rules are about them; where they are not there yet, or not as long as a rule
    /// wants, it is begun to read them back, and until that is done nothing is said of them, or the longer ones are not whole.
    pub(super) async fn follow_windows(&mut self, event: &Event, block: &EnrichedBlock) -> Result<(), LogError> {
        let network = &event.meta.network;
        let context = self.context;
        let Some(part) = self.parts.get_mut(&event.partition) else { return Ok(()) };
        let longest = self.rules.longest(network);
        // A rule that was paused may come back: then nothing is read but what comes anyway.
        let may_read_back = part.may_read_back(network);
        if longest.is_none() && may_read_back {
            part.figures.remove(network);
            part.reading.remove(network);
        }
        let none = BTreeSet::new();
        let contracts = self.rules.contracts.get(network).unwrap_or(&none);
        let has = part.figures.get(network).map(|figures| longest.is_none_or(|longest| figures.has(longest)));
        if let Some(longest) = longest
            && !part.reading.contains_key(network)
            && (has.is_none() || has == Some(false) && may_read_back)
        {
            let figures = Figures::new(longest, contracts.clone());
            let (of, to) = ((&context.log, &context.codec), event.header.offset);
            let reading = Reading::begin(of, (event.partition, None, to), network, figures);
            part.reading.insert(network.clone(), reading);
            part.read_back.insert(network.clone(), Instant::now());
        }
        self.take_read_back(event.partition, network, event.header.offset).await?;
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

    /// Takes windows over that were read back, brought to where the group is: below the offset `to`. Whether some were.
    async fn take_read_back(&mut self, partition: u32, network: &Network, to: u64) -> Result<bool, LogError> {
        let context = self.context;
        let Some(part) = self.parts.get_mut(&partition) else { return Ok(false) };
        // Of many that are read back at once none is waited for.
        let may_wait = part.reading.len() == 1;
        let Some(reading) = part.reading.get_mut(network) else { return Ok(false) };
        let Some((mut figures, reached)) = reading.done(may_wait).await? else { return Ok(false) };
        part.reading.remove(network);
        if to.saturating_sub(reached) > history::NEAR {
            let of = (&context.log, &context.codec);
            let reading = Reading::begin(of, (partition, Some(reached), to), network, figures);
            part.reading.insert(network.clone(), reading);
            return Ok(false);
        }
        {
            let (log, codec) = (&*context.log, &*context.codec);
            let of = (partition, reached..to);
            let mut reading = std::pin::pin!(history::read_between(log, codec, of, network, &mut figures));
            loop {
                // However long the log takes, the group does not wait for this member, nor drop it.
                tokio::select! {
                    done = &mut reading => break done?,
                    held = self.events.hold(HOLD) => if held?.is_some() {
                        let message = "partitions were given to others while windows were read back";
                        return Err(LogError::new(LogErrorKind::Aborted, message));
                    },
                }
            }
        }
        if let Some(part) = self.parts.get_mut(&partition) {
            match part.figures.get_mut(network) {
                Some(former) => former.adopt(figures),
                None => drop(part.figures.insert(network.clone(), figures)),
            }
        }
        Ok(true)
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
        if !changes.is_empty() {
            metrics::gave(network, changes.matches.len());
            let (codec, ring) = (&*self.context.codec, part.ring(network));
            self.records.extend(output::records(codec, self.limits, partition, network, ring, changes));
        }
    }

    /// Asks the store for what contracts of rules did before they were watched, and takes in what it told.
    pub(super) fn follow_pasts(&mut self) {
        for (question, did) in self.pasts.answers() {
            let Question { partition, network, contract, from, until, reverts } = question;
            let figures = self.parts.get_mut(&partition).and_then(|part| part.figures.get_mut(&network));
            if figures.is_some_and(|figures| figures.take_past(contract, (from, until, reverts), did)) {
                self.look_again(partition, &network);
            }
        }
        for (partition, part) in &mut self.parts {
            for (network, figures) in &mut part.figures {
                let Some(watches) = self.rules.windows.get(network).filter(|_| self.pasts.may_ask()) else { continue };
                let watched = self.context.control.watched(network);
                for (contract, from, until, reverts) in figures.wants_past(watches, &watched) {
                    let (partition, network) = (*partition, network.clone());
                    self.pasts.ask(Question { partition, network, contract, from, until, reverts });
                }
            }
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
