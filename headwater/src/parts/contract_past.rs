//! What the store knows of contracts before anybody watched them, for rules of alerts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alerts::past::{Did, Keeper, Past};
use alloy_primitives::Address;
use runtime::config::Config;
use schemas::{Network, TimeMs};
use store::{
    Store,
    query::{ContractPast, Figures},
};

use super::{Asker, connect_store};
use crate::{exit::Failure, stage::Stage};

/// How far behind the store may be, and how often it is asked meanwhile.
const BEHIND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(500);

/// The store as who knows it, asked as a reader is; nobody where these stages are not told of it.
pub fn contract_past(config: &Config, stages: &[Stage]) -> Result<Keeper, Failure> {
    // An embedded store is reached by who has its data directory: over Kafka by the process that runs it.
    let is_here = stages.iter().any(|stage| matches!(stage, Stage::Sink | Stage::Api));
    if config.store.url.is_none() && config.log.kafka.is_some() && !is_here {
        tracing::info!(
            "without `[store] url` alerts do not know what contracts did before they were watched: their rules wait for whole windows"
        );
        return Ok(Keeper(None));
    }
    let (store, _) = connect_store(config, Asker::Api)?;
    Ok(Keeper(Some(Arc::new(Rows(store)))))
}

struct Rows(Store);

#[async_trait::async_trait]
impl Past for Rows {
    async fn of(
        &self,
        network: &Network,
        contract: Address,
        times: (TimeMs, TimeMs),
        sequence: u64,
    ) -> Result<Vec<Did>, String> {
        // At the head rows come a little later than what the stage has read.
        let until = Instant::now() + BEHIND;
        while self.0.processed_sequence(network.as_str()).await.map_err(|e| e.to_string())? < sequence
            && Instant::now() < until
        {
            tokio::time::sleep(POLL).await;
        }
        let contract = schemas::records::window::text_of(Some(contract));
        match self.0.contract_past(network, &contract, times, sequence).await.map_err(|e| e.to_string())? {
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
