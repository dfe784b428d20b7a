//! What the store knows of contracts before anybody watched them, for rules of alerts.

use std::sync::Arc;

use alerts::past::{Did, Keeper, Past};
use alloy_primitives::Address;
use runtime::config::Config;
use schemas::{Network, TimeMs};
use store::{
    Store,
    query::{ContractPast, Figures},
};

use super::{Asker, connect_store};
use crate::exit::Failure;

/// The store as who knows it, asked as a reader is; nobody where alerts are not told of it.
pub fn contract_past(config: &Config) -> Result<Keeper, Failure> {
    // An embedded store is reached by who has its data directory.
    if config.store.url.is_none() && config.log.kafka.is_some() {
        return Ok(Keeper(None));
    }
    let (store, _) = connect_store(config, Asker::Api)?;
    Ok(Keeper(Some(Arc::new(Rows(store)))))
}

struct Rows(Store);

#[async_trait::async_trait]
impl Past for Rows {
    async fn of(&self, network: &Network, contract: Address, times: (TimeMs, TimeMs)) -> Result<Vec<Did>, String> {
        let contract = schemas::records::window::text_of(Some(contract));
        match self.0.contract_past(network, &contract, times).await.map_err(|e| e.to_string())? {
            ContractPast::Whole(times) => Ok(times.into_iter().map(|(at, figures)| did(at, &figures)).collect()),
            ContractPast::Unknown(why) => Err(why),
        }
    }
}

fn did(at: TimeMs, figures: &Figures) -> Did {
    Did {
        at: at.0,
        height: figures.last.map_or(0, |(height, _)| height),
        transactions: figures.transactions,
        failed: figures.failed,
        gas_used: figures.gas_used,
        fee_total: figures.fee_total,
        gas_price_sum: figures.gas_price_sum,
        gas_price_count: figures.gas_price_count,
    }
}
