//! What was asked and how it stands, read out of the log as it is now.

use std::collections::BTreeMap;

use runtime::control::Known;
use schemas::{
    Network,
    records::{Asks, Request},
    topics,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::row::{CheckpointRow, RequestRow};
use crate::{exit::Failure, tail::Query, way::Way};

/// From the beginning of a topic to its end.
pub fn all(network: Option<&Network>) -> Query {
    Query { network: network.cloned(), from: "beginning".into(), follow: false }
}

/// All requests.
pub async fn requests(way: &Way) -> Result<Known, Failure> {
    let mut known = Known::default();
    way.each_line(topics::CONTROL_CONFIG, all(None), async |line| {
        let mut record: Value = serde_json::from_str(line)?;
        let Some(id) = record["key"].as_str().and_then(Request::id_in).map(str::to_owned) else {
            return Ok(true);
        };
        if record["value"].is_null() && record["error"].is_null() {
            known.0.remove(&id);
        } else if let Some(request) = parsed::<RequestRow>(record["value"].take()).and_then(|row| row.request().ok()) {
            known.0.insert(id, request);
        }
        Ok(true)
    })
    .await?;
    Ok(known)
}

/// The newest checkpoint of each network, or of one.
pub async fn checkpoints(way: &Way, network: Option<&Network>) -> Result<BTreeMap<Network, CheckpointRow>, Failure> {
    let mut found = BTreeMap::new();
    way.each_line(topics::INGEST_CHECKPOINTS, all(network), async |line| {
        if let Some(row) = checkpoint(line)? {
            found.insert(row.network.clone(), row);
        }
        Ok(true)
    })
    .await?;
    Ok(found)
}

/// A line of `ingest.checkpoints` as a checkpoint; `None`: it is something else.
pub fn checkpoint(line: &str) -> Result<Option<CheckpointRow>, Failure> {
    let mut record: Value = serde_json::from_str(line)?;
    let value = record["value"].take();
    Ok(if value["kind"] == "checkpoint" { parsed(value) } else { None })
}

/// What a stage says of a network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusRow {
    /// Its state.
    pub state: String,
    /// What is wrong and what to do.
    #[serde(default)]
    pub detail: Option<String>,
    /// Last event that it has passed on.
    #[serde(default)]
    pub sequence: Option<u64>,
    /// Height of that.
    #[serde(default)]
    pub height: Option<u64>,
}

/// The newest word of each stage on a network.
pub async fn statuses(way: &Way, network: &Network) -> Result<BTreeMap<String, StatusRow>, Failure> {
    let mut found = BTreeMap::new();
    way.each_line(topics::STAGE_STATUS, all(Some(network)), async |line| {
        let mut record: Value = serde_json::from_str(line)?;
        let value = record["value"].take();
        if value["network"] == network.as_str()
            && let Some(stage) = value["stage"].as_str().map(str::to_owned)
            && let Ok(row) = serde_json::from_value(value)
        {
            found.insert(stage, row);
        }
        Ok(true)
    })
    .await?;
    Ok(found)
}

fn parsed<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

/// Removes the records of requests that their watcher tells to be over, and returns what is left. What readers of the log go on from
/// (accepted gaps) stays for ever.
pub async fn tidy(way: &Way, checkpoints: &BTreeMap<Network, CheckpointRow>) -> Result<Known, Failure> {
    let mut known = requests(way).await?;
    let is_over = |id: &str, network: &Network| {
        checkpoints.get(network).and_then(|c| c.progress(id)).is_some_and(super::row::ProgressRow::is_over)
    };
    let over: Vec<String> = known
        .0
        .values()
        .filter(|r| !matches!(r.asks, Asks::AcceptGap { .. }) && is_over(&r.id, &r.network))
        .map(|r| r.id.clone())
        .collect();
    for id in over {
        way.remove(&id).await?;
        known.0.remove(&id);
    }
    Ok(known)
}
