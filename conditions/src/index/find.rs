//! Looking for what fits a transaction.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;
use schemas::{
    Network, Op,
    limits::ARGUMENTS_BYTES,
    records::{EnrichedTransaction, Found, FoundKind, Payload},
};

use super::{
    Group, Hit, Index, Matched, OfNetwork, Place, Slot, Taker, Tested,
    steps::{Payer, Steps},
    whole::Whole,
};
use crate::{
    expression::{Arguments, BYTES_OF_STEP, BitcoinSubject, Expression, Fault, Subject, Variables},
    monitor::Shape,
    party::Party,
};

/// What looking for one transaction needs, kept for the next; and what was counted meanwhile.
#[derive(Debug, Default)]
pub struct Scratch {
    round: u64,
    /// By test over the transaction: in which round it was put to it, what came of it, and what that cost.
    known: Vec<(u64, bool, u64)>,
    /// What the shapes make of the present log or call.
    decoded: Vec<(Arc<Shape>, Option<Decoded>)>,
    /// What tenants' conditions cost the present block.
    pub(super) steps: Steps,
    /// What the present test costs.
    cost: u64,
    /// Tests that were evaluated.
    pub evaluated: u64,
    /// Logs and calls that an expression could not be put to, since they are no encoding of their signature.
    pub undecoded: u64,
    /// Evaluations that ended without an answer: see [`Fault`].
    pub faults: u64,
}

#[derive(Debug)]
struct Decoded {
    json: Arc<str>,
    arguments: Option<Arguments>,
}

/// Something that fits, before its monitor's other conditions are looked at.
struct Fit {
    condition: u32,
    kind: FoundKind,
    position: Option<u32>,
    contract: Option<Party>,
    signature: Option<Arc<str>>,
    arguments: Option<Arc<str>>,
}

impl Scratch {
    /// Another block is looked through, for which the conditions of each tenant may take so many steps: one for each that is put to a
    /// transaction, log or call, one for 64 bytes of it that are decoded, those of its expression, and
    /// [`MATCH_STEPS`](schemas::limits::conditions::MATCH_STEPS) where it fits. Before this was called there is no bound.
    pub fn begin_block(&mut self, steps: u64) {
        self.steps.begin_block(steps);
    }

    fn begin(&mut self) {
        self.round += 1;
        self.decoded.clear();
        self.steps.begin_transaction();
    }

    /// All who have the present test pay for it.
    fn pay(&mut self, group: &Group) {
        self.steps.pay(&group.payers, self.cost);
    }

    pub(super) fn answer(&mut self, expression: &Expression, variables: &impl Variables) -> bool {
        self.evaluated += 1;
        let (fits, steps) = expression.fits_after(variables);
        self.cost = self.cost.saturating_add(steps.into());
        fits.unwrap_or_else(|_fault: Fault| {
            self.faults += 1;
            false
        })
    }

    /// What a shape makes of the present log or call.
    fn decoded(&mut self, shape: &Arc<Shape>, decode: impl FnOnce(&mut String) -> bool) -> Option<&mut Decoded> {
        let at = match self.decoded.iter().position(|(known, _)| Arc::ptr_eq(known, shape)) {
            Some(at) => at,
            None => {
                let mut json = String::new();
                let decoded = decode(&mut json).then(|| Decoded { json: json.into(), arguments: None });
                self.decoded.push((shape.clone(), decoded));
                self.decoded.len() - 1
            }
        };
        self.decoded.get_mut(at)?.1.as_mut()
    }
}

impl Index {
    /// Which monitors fit a transaction, by tenant and id. Reverts and placeholders fit none; nor do those of a tenant whose steps are used up.
    pub fn find(&self, transaction: &EnrichedTransaction, scratch: &mut Scratch) -> Vec<Hit<'_>> {
        let envelope = &transaction.envelope;
        if envelope.op != Op::Apply {
            return Vec::new();
        }
        let whole = match &transaction.payload {
            Payload::Evm(payload) => {
                let (tx, enrichment) = &**payload;
                Whole::Evm(Subject { envelope, transaction: tx, enrichment })
            }
            Payload::Bitcoin(tx) => Whole::Bitcoin(BitcoinSubject::new(envelope, tx)),
            Payload::Revert | Payload::Unreadable { .. } => return Vec::new(),
        };
        self.find_in(&envelope.network, &whole, scratch)
    }

    fn find_in(&self, network: &Network, whole: &Whole<'_>, scratch: &mut Scratch) -> Vec<Hit<'_>> {
        let Some(of_network) = self.networks.get(network) else { return Vec::new() };
        scratch.begin();
        let mut fits: BTreeMap<u32, Vec<Fit>> = BTreeMap::new();
        if let Whole::Evm(subject) = whole {
            self.functions(of_network, subject, scratch, &mut fits);
            self.events(of_network, subject, scratch, &mut fits);
        }
        whole.each_party(|party| self.transactions(of_network, whole, party, scratch, &mut fits));
        let mut hits: Vec<(u32, Hit<'_>)> = Vec::with_capacity(fits.len());
        for (at, mut fits) in fits {
            let Some(slot) = self.slots.get(at) else { continue };
            if !self.passes(at, slot, whole, scratch) {
                continue;
            }
            // In whatever order tests came into the index.
            fits.sort_by_key(|fit| (rank(fit.kind), fit.position, fit.condition));
            let matched = fits.into_iter().map(|fit| Matched {
                contract: fit.contract,
                found: Found {
                    transaction_hash: whole.hash(),
                    kind: fit.kind,
                    position: fit.position,
                    condition: fit.condition,
                    signature: fit.signature.map(|signature| signature.to_string()),
                    arguments: fit.arguments.map_or_else(|| "{}".to_owned(), |arguments| arguments.to_string()),
                    cause: whole.cause().map(str::to_owned),
                },
            });
            hits.push((slot.tenant, Hit { entry: &slot.entry, matched: matched.collect() }));
        }
        hits.retain(|(tenant, _)| !scratch.steps.is_out(*tenant));
        let mut hits: Vec<Hit<'_>> = hits.into_iter().map(|(_, hit)| hit).collect();
        hits.sort_by(|a, b| (&a.entry.tenant, &a.entry.id).cmp(&(&b.entry.tenant, &b.entry.id)));
        hits
    }

    fn functions(
        &self,
        of: &OfNetwork,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
        fits: &mut BTreeMap<u32, Vec<Fit>>,
    ) {
        let tx = subject.transaction;
        let (Some(to), Some(selector)) = (tx.to_address, tx.input.first_chunk::<4>()) else { return };
        let mut id = B256::ZERO;
        id.iter_mut().zip(selector).for_each(|(to, from)| *to = *from);
        let places = [Place::Function(Some(to), id), Place::Function(None, id)];
        for group in places.iter().filter_map(|place| of.groups.get(place)).flatten() {
            if !scratch.steps.any_looks(&group.payers) {
                continue;
            }
            let decode = |shape: &Shape, out: &mut String| shape.call(&tx.input, out);
            let put = self.put(group, scratch, |_| true, (tx.input.len(), decode));
            scratch.pay(group);
            let Some((shape, arguments)) = put else { continue };
            let arguments = arguments.or_else(|| {
                let call = subject.enrichment.call.as_ref()?;
                call.arguments.as_deref().map(Arc::from)
            });
            let fit = |taker: &Taker| Fit {
                condition: taker.condition,
                kind: FoundKind::Function,
                position: None,
                contract: Some(Party::Evm(to)),
                signature: Some(shape.canonical.clone()),
                arguments: arguments.clone(),
            };
            take(group, &mut scratch.steps, fits, fit);
        }
        scratch.decoded.clear();
    }

    fn events(&self, of: &OfNetwork, subject: &Subject<'_>, scratch: &mut Scratch, fits: &mut BTreeMap<u32, Vec<Fit>>) {
        for (log, position) in subject.transaction.logs.iter().zip(0u32..) {
            let Some(topic) = log.topics.first() else { continue };
            let places = [Place::Event(Some(log.address), *topic), Place::Event(None, *topic)];
            for group in places.iter().filter_map(|place| of.groups.get(place)).flatten() {
                if !scratch.steps.any_looks(&group.payers) {
                    continue;
                }
                let decode = |shape: &Shape, out: &mut String| shape.event(&log.topics, &log.data, out);
                let can_be = |shape: &Shape| shape.has_topics(log.topics.len());
                let put = self.put(group, scratch, can_be, (log.data.len(), decode));
                scratch.pay(group);
                let Some((shape, arguments)) = put else { continue };
                let arguments = arguments.or_else(|| {
                    let event = subject.enrichment.events.get(usize::try_from(position).ok()?)?.as_ref()?;
                    Some(Arc::from(event.arguments.as_str()))
                });
                let fit = |taker: &Taker| Fit {
                    condition: taker.condition,
                    kind: FoundKind::Event,
                    position: Some(position),
                    contract: Some(Party::Evm(log.address)),
                    signature: Some(shape.canonical.clone()),
                    arguments: arguments.clone(),
                };
                take(group, &mut scratch.steps, fits, fit);
            }
            scratch.decoded.clear();
        }
    }

    /// Puts a test to the present log or call, of so many bytes: its shape and what it makes of it, where it fits. `can_be`: whether it may
    /// be one of a shape.
    fn put(
        &self,
        group: &Group,
        scratch: &mut Scratch,
        can_be: impl FnOnce(&Shape) -> bool,
        (bytes, decode): (usize, impl FnOnce(&Shape, &mut String) -> bool),
    ) -> Option<(&Arc<Shape>, Option<Arc<str>>)> {
        scratch.cost = 1;
        let Tested::Form { shape, expression } = &self.tests.get(group.test)?.test else { return None };
        if expression.is_some() && !can_be(shape) {
            return None;
        }
        // As if it were decoded for this test alone.
        scratch.cost = scratch.cost.saturating_add(u64::try_from(bytes / BYTES_OF_STEP).unwrap_or(u64::MAX));
        let decoded = scratch.decoded(shape, |out| decode(shape, out));
        let Some(expression) = expression else {
            return Some((shape, decoded.map(|decoded| decoded.json.clone()).filter(is_told)));
        };
        let Some(decoded) = decoded else {
            scratch.undecoded += 1;
            return None;
        };
        let json = decoded.json.clone();
        let arguments = decoded.arguments.take().unwrap_or_else(|| Arguments::of(&json, &shape.parameters));
        let fits = scratch.answer(expression, &arguments);
        if let Some(decoded) = scratch.decoded(shape, |_| false) {
            decoded.arguments = Some(arguments);
        }
        fits.then_some((shape, Some(json).filter(is_told)))
    }

    /// What fits the transaction by one of its parties; `None`: by none.
    fn transactions(
        &self,
        of: &OfNetwork,
        whole: &Whole<'_>,
        party: Option<Party>,
        scratch: &mut Scratch,
        fits: &mut BTreeMap<u32, Vec<Fit>>,
    ) {
        let place = Place::Party(party);
        let Some(groups) = of.groups.get(&place) else { return };
        let Place::Party(party) = place else { return };
        whole.look_for(party.as_ref());
        let contract = party.clone().or_else(|| whole.receiver());
        // The same for every group, and of a transaction with thousands of outputs no small thing.
        let mut told = None;
        for group in groups {
            if !scratch.steps.any_looks(&group.payers) {
                continue;
            }
            let (holds, cost) = self.holds(group.test, whole, scratch);
            scratch.steps.pay(&group.payers, cost);
            if !holds {
                continue;
            }
            let arguments = told.get_or_insert_with(|| whole.told(party.as_ref())).clone();
            let fit = |taker: &Taker| Fit {
                condition: taker.condition,
                kind: FoundKind::Transaction,
                position: None,
                contract: contract.clone(),
                signature: None,
                arguments: arguments.clone(),
            };
            take(group, &mut scratch.steps, fits, fit);
        }
    }

    /// Whether one of the tests over the transaction holds that are a sieve for what fits.
    fn passes(&self, at: u32, slot: &Slot, whole: &Whole<'_>, scratch: &mut Scratch) -> bool {
        let payer = Payer { tenant: slot.tenant, slot: at };
        slot.filter.is_empty()
            || slot.filter.iter().any(|test| {
                if scratch.steps.is_out(payer.tenant) {
                    return false;
                }
                let (holds, cost) = self.holds(*test, whole, scratch);
                scratch.steps.pay_one(payer, cost);
                holds
            })
    }

    /// Whether a test over the transaction holds, and what it costs to tell; it is put to it once.
    fn holds(&self, test: u32, whole: &Whole<'_>, scratch: &mut Scratch) -> (bool, u64) {
        let Some(Tested::Transaction { status, expression }) = self.tests.get(test).map(|shared| &shared.test) else {
            return (false, 1);
        };
        let at = test as usize;
        // What is of an address is another for each.
        let is_one = expression.as_ref().is_none_or(|expression| !expression.is_of_party());
        if let Some((round, holds, cost)) = scratch.known.get(at).filter(|_| is_one)
            && *round == scratch.round
        {
            return (*holds, *cost);
        }
        scratch.cost = 1;
        let holds = status.is(whole.status())
            && expression.as_ref().is_none_or(|expression| whole.answers(expression, scratch));
        if scratch.known.len() <= at {
            scratch.known.resize(at + 1, (0, false, 0));
        }
        if let Some(known) = scratch.known.get_mut(at) {
            *known = (scratch.round, holds, scratch.cost);
        }
        (holds, scratch.cost)
    }
}

/// Whether arguments are short enough to be told with a match.
fn is_told(json: &Arc<str>) -> bool {
    json.len() <= ARGUMENTS_BYTES
}

/// Functions come before events.
const fn rank(kind: FoundKind) -> u8 {
    match kind {
        FoundKind::Function => 0,
        FoundKind::Event => 1,
        FoundKind::Transaction => 2,
    }
}

/// Gives what fits to all whose condition it is and who still look, once for each place.
fn take(group: &Group, steps: &mut Steps, fits: &mut BTreeMap<u32, Vec<Fit>>, fit: impl Fn(&Taker) -> Fit) {
    for taker in &group.takers {
        if steps.is_out(taker.tenant) {
            continue;
        }
        steps.pay_match(Payer { tenant: taker.tenant, slot: taker.slot });
        let fit = fit(taker);
        let list = fits.entry(taker.slot).or_default();
        let same =
            |known: &&mut Fit| (known.kind, known.position, known.condition) == (fit.kind, fit.position, fit.condition);
        match list.iter_mut().find(same) {
            // Of several shapes, the one that it decodes by.
            Some(known) if known.arguments.is_none() && fit.arguments.is_some() => *known = fit,
            Some(_) => {}
            None => list.push(fit),
        }
    }
}
