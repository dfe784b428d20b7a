//! Looking through the transactions of one block, and at one whose cause came late.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use runtime::log::events::Event;
use schemas::{
    Codec, Network, Status,
    records::{EnrichedTransaction, Enrichment, Payload},
};

use super::{
    failures::Failures,
    hits::Hits,
    late::{Failed, Late},
    monitors::Monitors,
    ring::{Identity, Place, identity},
};
use crate::metrics;

/// Holds the transactions of a block against all monitors, and takes its failures in where rules are about them. Those whose cause is not
/// known are held until it comes.
pub fn look_through(
    codec: &Codec,
    monitors: &mut Monitors,
    event: &Event,
    place: &Place,
    (of_failures, failures): (Option<&BTreeSet<Address>>, &mut Failures),
    late: &mut Late,
) -> Hits {
    let network = &event.meta.network;
    metrics::looked_through(network, event.children.len());
    let is_wanted = monitors.wants(network);
    let mut hits = Hits::default();
    if !is_wanted && of_failures.is_none() {
        late.passed(place.sequence);
        return hits;
    }
    let asks = monitors.ask_for_causes(network);
    for record in &event.children {
        let mut transaction = match codec.decode::<EnrichedTransaction>(record.value.as_deref().unwrap_or_default()) {
            Ok(transaction) => transaction,
            Err(error) => {
                metrics::unreadable(network, "transaction");
                let sequence = place.sequence;
                tracing::error!(%network, sequence, %error, "alerts pass over a transaction that cannot be read");
                continue;
            }
        };
        let mut without_cause = None;
        if let Payload::Evm(whole) = &mut transaction.payload
            && whole.1.status == Status::Failed
        {
            match late.known(place.sequence, whole.0.hash) {
                Some(cause) => name(&mut whole.1, cause),
                None => without_cause = Some(whole.0.hash),
            }
        }
        if let (Some(contracts), Payload::Evm(whole)) = (of_failures, &transaction.payload) {
            let (evm, enrichment) = &**whole;
            failures.take((place.sequence, place.at), evm, enrichment, contracts);
        }
        if !is_wanted {
            continue;
        }
        let before = hits.count();
        monitors.find(place, network, &transaction, &mut hits);
        let found = hits.after(before);
        if let Some(hash) = without_cause.filter(|_| asks || !found.is_empty()) {
            let failed = Failed::of(place, hash, record.value.as_ref().filter(|_| asks), (found, true));
            metrics::failures_let_go(network, late.hold(failed));
        }
    }
    late.passed(place.sequence);
    hits
}

fn name(enrichment: &mut Enrichment, cause: &str) {
    enrichment.failure_cause = Some(cause.to_owned());
}

/// What fits a transaction by its cause, which has come, and did not without it.
pub fn fits_by_cause(codec: &Codec, monitors: &mut Monitors, network: &Network, failed: &Failed, cause: &str) -> Hits {
    let mut hits = Hits::default();
    let Some(record) = failed.record.as_deref().filter(|_| monitors.ask_for_causes(network)) else { return hits };
    // It was read once already.
    let Ok(mut transaction) = codec.decode::<EnrichedTransaction>(record) else { return hits };
    let Payload::Evm(whole) = &mut transaction.payload else { return hits };
    name(&mut whole.1, cause);
    monitors.find(&failed.place, network, &transaction, &mut hits);
    let known: BTreeSet<Identity> = failed.given.iter().filter_map(identity).collect();
    hits.retain(|hit| {
        let is_new = identity(&hit.found).is_none_or(|of| !known.contains(&of));
        is_new && monitors.asks_for_causes(&hit.found.tenant, &hit.found.source.id)
    });
    hits
}
