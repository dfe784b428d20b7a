//! Looking for what fits a transaction.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256};
use schemas::{
    Op,
    limits::ARGUMENTS_BYTES,
    records::{EnrichedTransaction, Found, FoundKind, Payload},
};

use super::{Group, Hit, Index, Matched, OfNetwork, Place, Taker, Tested};
use crate::{
    expression::{Arguments, Expression, Fault, Subject, Variables},
    monitor::Shape,
};

/// What looking for one transaction needs, kept for the next; and what was counted meanwhile.
#[derive(Debug, Default)]
pub struct Scratch {
    round: u64,
    /// By test over the transaction: in which round it was put to it, and what came of it.
    known: Vec<(u64, bool)>,
    /// What the shapes make of the present log or call.
    decoded: Vec<(Arc<Shape>, Option<Decoded>)>,
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
    contract: Option<Address>,
    signature: Option<Arc<str>>,
    arguments: Option<Arc<str>>,
}

impl Scratch {
    fn begin(&mut self) {
        self.round += 1;
        self.decoded.clear();
    }

    fn answer(&mut self, expression: &Expression, variables: &impl Variables) -> bool {
        self.evaluated += 1;
        expression.fits(variables).unwrap_or_else(|_fault: Fault| {
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
    /// Which monitors fit a transaction, by tenant and id. Reverts and placeholders fit none.
    pub fn find(&self, transaction: &EnrichedTransaction, scratch: &mut Scratch) -> Vec<Hit<'_>> {
        let envelope = &transaction.envelope;
        let (Op::Apply, Payload::Evm(payload)) = (envelope.op, &transaction.payload) else { return Vec::new() };
        let Some(of_network) = self.networks.get(&envelope.network) else { return Vec::new() };
        let (tx, enrichment) = &**payload;
        let subject = Subject { envelope, transaction: tx, enrichment };
        scratch.begin();
        let mut fits: BTreeMap<u32, Vec<Fit>> = BTreeMap::new();
        self.functions(of_network, &subject, scratch, &mut fits);
        self.events(of_network, &subject, scratch, &mut fits);
        self.transactions(of_network, &subject, scratch, &mut fits);
        let mut hits: Vec<Hit<'_>> = Vec::with_capacity(fits.len());
        for (at, mut fits) in fits {
            let Some(slot) = self.slots.get(at) else { continue };
            let passes = slot.filter.is_empty() || slot.filter.iter().any(|test| self.holds(*test, &subject, scratch));
            if !passes {
                continue;
            }
            // In whatever order tests came into the index.
            fits.sort_by_key(|fit| (rank(fit.kind), fit.position, fit.condition));
            let matched = fits.into_iter().map(|fit| Matched {
                contract: fit.contract,
                found: Found {
                    transaction_hash: tx.hash,
                    kind: fit.kind,
                    position: fit.position,
                    condition: fit.condition,
                    signature: fit.signature.map(|signature| signature.to_string()),
                    arguments: fit.arguments.map_or_else(|| "{}".to_owned(), |arguments| arguments.to_string()),
                },
            });
            hits.push(Hit { entry: &slot.entry, matched: matched.collect() });
        }
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
            let decode = |shape: &Shape, out: &mut String| shape.call(&tx.input, out);
            let Some((shape, arguments)) = self.put(group, scratch, |_| true, decode) else { continue };
            let arguments = arguments.or_else(|| {
                let call = subject.enrichment.call.as_ref()?;
                call.arguments.as_deref().map(Arc::from)
            });
            let fit = |taker: &Taker| Fit {
                condition: taker.condition,
                kind: FoundKind::Function,
                position: None,
                contract: Some(to),
                signature: Some(shape.canonical.clone()),
                arguments: arguments.clone(),
            };
            take(group, fits, fit);
        }
        scratch.decoded.clear();
    }

    fn events(&self, of: &OfNetwork, subject: &Subject<'_>, scratch: &mut Scratch, fits: &mut BTreeMap<u32, Vec<Fit>>) {
        for (log, position) in subject.transaction.logs.iter().zip(0u32..) {
            let Some(topic) = log.topics.first() else { continue };
            let places = [Place::Event(Some(log.address), *topic), Place::Event(None, *topic)];
            for group in places.iter().filter_map(|place| of.groups.get(place)).flatten() {
                let decode = |shape: &Shape, out: &mut String| shape.event(&log.topics, &log.data, out);
                let can_be = |shape: &Shape| shape.has_topics(log.topics.len());
                let Some((shape, arguments)) = self.put(group, scratch, can_be, decode) else { continue };
                let arguments = arguments.or_else(|| {
                    let event = subject.enrichment.events.get(usize::try_from(position).ok()?)?.as_ref()?;
                    Some(Arc::from(event.arguments.as_str()))
                });
                let fit = |taker: &Taker| Fit {
                    condition: taker.condition,
                    kind: FoundKind::Event,
                    position: Some(position),
                    contract: Some(log.address),
                    signature: Some(shape.canonical.clone()),
                    arguments: arguments.clone(),
                };
                take(group, fits, fit);
            }
            scratch.decoded.clear();
        }
    }

    /// Puts a test to the present log or call: its shape and what it makes of it, where it fits. `can_be`: whether it may be one of a shape.
    fn put(
        &self,
        group: &Group,
        scratch: &mut Scratch,
        can_be: impl FnOnce(&Shape) -> bool,
        decode: impl FnOnce(&Shape, &mut String) -> bool,
    ) -> Option<(&Arc<Shape>, Option<Arc<str>>)> {
        let Tested::Form { shape, expression } = &self.tests.get(group.test)?.test else { return None };
        if expression.is_some() && !can_be(shape) {
            return None;
        }
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

    fn transactions(
        &self,
        of: &OfNetwork,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
        fits: &mut BTreeMap<u32, Vec<Fit>>,
    ) {
        let tx = subject.transaction;
        let parties = [tx.to_address, Some(tx.from_address)].into_iter().flatten().map(Some);
        for party in parties.chain([None]) {
            for group in of.groups.get(&Place::Party(party)).into_iter().flatten() {
                if !self.holds(group.test, subject, scratch) {
                    continue;
                }
                let fit = |taker: &Taker| Fit {
                    condition: taker.condition,
                    kind: FoundKind::Transaction,
                    position: None,
                    contract: party.or(tx.to_address),
                    signature: None,
                    arguments: None,
                };
                take(group, fits, fit);
            }
        }
    }

    /// Whether a test over the transaction holds; it is put to it once.
    fn holds(&self, test: u32, subject: &Subject<'_>, scratch: &mut Scratch) -> bool {
        let at = test as usize;
        if let Some((round, holds)) = scratch.known.get(at)
            && *round == scratch.round
        {
            return *holds;
        }
        let Some(Tested::Transaction { status, expression }) = self.tests.get(test).map(|shared| &shared.test) else {
            return false;
        };
        let holds = status.is(subject.enrichment.status)
            && expression.as_ref().is_none_or(|expression| scratch.answer(expression, subject));
        if scratch.known.len() <= at {
            scratch.known.resize(at + 1, (0, false));
        }
        if let Some(known) = scratch.known.get_mut(at) {
            *known = (scratch.round, holds);
        }
        holds
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

/// Gives what fits to all whose condition it is, once for each place.
fn take(group: &Group, fits: &mut BTreeMap<u32, Vec<Fit>>, fit: impl Fn(&Taker) -> Fit) {
    for taker in &group.takers {
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
