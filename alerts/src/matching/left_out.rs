//! Saying of monitors that matches were left out, or that they were not put to transactions.
//!
//! Guarantee: of each block and monitor all that was left out is said, once, beside the matches that are told; of each block and tenant how
//! many transactions its monitors were not put to. How often people hear of it is for whoever tells them ([`crate::life`]); the sink sums it
//! up for the monitor's page. A block that a
//! reorg removes and applies again counts twice.

use schemas::{
    Network,
    records::{AlertMatch, Figured, LeftOutKind, MatchOp},
};
use serde_json::json;

use super::{
    hits::{LeftOut, Missing},
    ring::Place,
};
use crate::metrics;

/// Counts and logs it, and gives what is said of it.
pub fn say(left_out: LeftOut, network: &Network, place: &Place) -> AlertMatch {
    let (sequence, tenant, monitor) = (place.sequence, &left_out.tenant, &left_out.source.id);
    match left_out.what {
        Missing::Matches(matches) => {
            metrics::left_out(network, matches);
            tracing::warn!(%network, sequence, tenant, monitor, matches, "a block gives more matches than are told");
        }
        Missing::Transactions(transactions) => {
            metrics::not_looked_at(network, transactions);
            tracing::warn!(
                %network,
                sequence,
                tenant,
                monitor,
                transactions,
                "a tenant's conditions cost more than `[alerts] max_steps`: the rest of the block is not looked at for it"
            );
        }
    }
    said(left_out, network, place)
}

fn said(left_out: LeftOut, network: &Network, place: &Place) -> AlertMatch {
    let LeftOut { tenant, source, what } = left_out;
    let evidence = match what {
        Missing::Matches(matches) => json!({(LeftOutKind::Matches.as_str()): matches}),
        Missing::Transactions(transactions) => json!({(LeftOutKind::Transactions.as_str()): transactions}),
    };
    AlertMatch {
        tenant,
        source,
        op: MatchOp::LeftOut,
        network: network.clone(),
        sequence: place.sequence,
        height: place.height,
        block_hash: Some(place.block_hash.clone()),
        at: place.at,
        observed_at: place.observed_at,
        contract: None,
        group: Default::default(),
        found: None,
        figure: Some(Figured { over: false, evidence: evidence.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{
        TimeMs,
        records::{AlertSource, SourceKind},
    };

    #[test]
    fn all_that_blocks_leave_out_is_said() {
        let network: Network = "demo".parse().expect("a slug");
        let source = AlertSource { kind: SourceKind::Monitor, id: "m".to_owned(), name: "m".to_owned(), version: 1 };
        let count = |sequence: u64| {
            let place = Place {
                sequence,
                height: sequence,
                block_hash: alloy_primitives::B256::ZERO.into(),
                at: TimeMs(0),
                observed_at: TimeMs(0),
                finalized: None,
                seen_at: TimeMs(0),
                reorg_goes_on: false,
            };
            let left_out = LeftOut { tenant: "t".to_owned(), source: source.clone(), what: Missing::Matches(500) };
            let (kind, count) = said(left_out, &network, &place).left_out().expect("how many");
            assert_eq!(kind, LeftOutKind::Matches);
            count
        };
        // A launch: twenty blocks within a minute.
        assert_eq!((1..=20).map(count).sum::<u64>(), 10_000);
    }
}
