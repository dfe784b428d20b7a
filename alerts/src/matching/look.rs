//! Looking through the transactions of one block.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use runtime::log::events::Event;
use schemas::{
    Codec,
    records::{EnrichedTransaction, Payload},
};

use super::{failures::Failures, hits::Hits, monitors::Monitors, ring::Place};
use crate::metrics;

/// Holds the transactions of a block against all monitors, and takes its failures in where rules are about them.
pub fn look_through(
    codec: &Codec,
    monitors: &mut Monitors,
    event: &Event,
    place: &Place,
    (of_failures, failures): (Option<&BTreeSet<Address>>, &mut Failures),
) -> Hits {
    let network = &event.meta.network;
    metrics::looked_through(network, event.children.len());
    let is_wanted = monitors.wants(network);
    let mut hits = Hits::default();
    if !is_wanted && of_failures.is_none() {
        return hits;
    }
    for record in &event.children {
        let transaction = match codec.decode::<EnrichedTransaction>(record.value.as_deref().unwrap_or_default()) {
            Ok(transaction) => transaction,
            Err(error) => {
                metrics::unreadable(network, "transaction");
                let sequence = place.sequence;
                tracing::error!(%network, sequence, %error, "alerts pass over a transaction that cannot be read");
                continue;
            }
        };
        if let (Some(contracts), Payload::Evm(whole)) = (of_failures, &transaction.payload) {
            let (evm, enrichment) = &**whole;
            failures.take((place.sequence, place.at), evm, enrichment, contracts);
        }
        if is_wanted {
            monitors.find(place, network, &transaction, &mut hits);
        }
    }
    hits
}
