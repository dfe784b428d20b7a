//! The admin port's routes on the log: `/log/TOPIC` streams records as lines of JSON, `/lag` tells each group's lag.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, TryStreamExt};
use runtime::log::Log;
use schemas::{codec::Codec, topics};
use serde::{Deserialize, Serialize};

use super::follow;

/// What the group of a stage has still to read of a partition.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupLag {
    /// The stage's group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Offsets between the group and the end.
    pub lag: u64,
}

/// Groups and what they read.
const GROUPS: [(&str, [topics::TopicSpec; 2]); 2] = [
    ("enrich", [topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS]),
    ("sink", [topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS]),
];

/// Where a topic is served.
pub fn path(topic: &str) -> String {
    format!("/log/{topic}")
}

/// The routes.
pub fn routes(log: Arc<dyn Log>, codec: Arc<Codec>) -> Router {
    Router::new().route("/log/{topic}", get(records)).route("/lag", get(lag)).with_state((log, codec))
}

/// What the routes read with.
type Open = (Arc<dyn Log>, Arc<Codec>);

async fn records(
    State((log, codec)): State<Open>,
    Path(topic): Path<String>,
    Query(query): Query<super::Query>,
) -> Response {
    let spec = match super::topic(&topic) {
        Ok(spec) => spec,
        Err(e) => return (StatusCode::NOT_FOUND, e).into_response(),
    };
    if let Err(e) = query.from.parse::<super::From>() {
        return (StatusCode::BAD_REQUEST, format!("from: {e}")).into_response();
    }
    match follow::records(log, codec, spec, query).await {
        Ok(lines) => {
            // Lines are sent in chunks of what is at hand, so that a long topic costs few frames.
            let chunks = lines
                .map_ok(|line| line + "\n")
                .ready_chunks(64)
                .map(|lines| lines.into_iter().collect::<Result<Vec<String>, _>>().map(|lines| lines.concat()));
            ([("content-type", "application/x-ndjson")], Body::from_stream(chunks)).into_response()
        }
        Err(e) => (StatusCode::SERVICE_UNAVAILABLE, e.to_string()).into_response(),
    }
}

async fn lag(State((log, _)): State<Open>) -> Response {
    let mut all = Vec::new();
    for (group, topics) in GROUPS {
        match log.lag(group, &topics.map(|t| t.name)).await {
            Ok(lags) => all.extend(lags.into_iter().map(|l| GroupLag {
                group: group.to_owned(),
                topic: l.at.topic.to_owned(),
                partition: l.at.partition,
                lag: l.offsets(),
            })),
            Err(e) => return (StatusCode::SERVICE_UNAVAILABLE, e.to_string()).into_response(),
        }
    }
    Json(all).into_response()
}
