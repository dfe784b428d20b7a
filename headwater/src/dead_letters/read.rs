//! Reads letters out of the log.

use runtime::config::Config;
use schemas::topics;
use serde_json::Value;

use crate::{
    exit::Failure,
    tail::{self, Query},
};

/// There is none with this offset.
pub fn none_at(offset: u64) -> Failure {
    Failure::new(format!("no dead letter has offset {offset}; `headwater dead-letters list` tells them"))
}

/// Calls with every dead letter there is, oldest first, until it returns false.
pub async fn each(config: &Config, mut call: impl AsyncFnMut(&Value) -> Result<bool, Failure>) -> Result<(), Failure> {
    let query = Query { network: None, from: "beginning".into(), follow: false };
    tail::each_line(config, topics::DEAD_LETTERS, query, async |line| call(&serde_json::from_str(line)?).await).await
}
