//! What happened at contracts, asked of the store of the rows.
//!
//! Guarantee: a list of contracts waits for it a bounded while, and comes without figures where the store is away. Each contract's count
//! begins when it was added at the earliest: what others may have watched before is not told.

use std::{collections::BTreeMap, time::Duration};

use control::Contract;
use schemas::{Network, TimeMs};

use crate::{app::App, items::ContractFiguresItem};

/// How long is waited for all figures of one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the figures are about, milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// The figures of these contracts, in their order.
pub async fn of(app: &App, contracts: &[Contract]) -> Vec<Option<ContractFiguresItem>> {
    let mut figures = vec![None; contracts.len()];
    let earliest = TimeMs(TimeMs::now().0 - DAY_MS);
    let mut networks: BTreeMap<&Network, Vec<usize>> = BTreeMap::new();
    for (i, contract) in contracts.iter().enumerate() {
        networks.entry(&contract.network).or_default().push(i);
    }
    let asking = async {
        for (network, places) in networks {
            let asked: Vec<(&str, TimeMs)> = places
                .iter()
                .map(|i| (contracts[*i].address.as_str(), contracts[*i].created_at.max(earliest)))
                .collect();
            match app.store.contract_figures(network, &asked).await {
                Ok(found) => {
                    for (i, f) in places.into_iter().zip(found) {
                        figures[i] =
                            Some(ContractFiguresItem { transactions_24h: f.transactions, failed_24h: f.failed });
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "contracts are shown without figures");
                    return;
                }
            }
        }
    };
    // What was found until then stays.
    let _ = tokio::time::timeout(PATIENCE, asking).await;
    figures
}
