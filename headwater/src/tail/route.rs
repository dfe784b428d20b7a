//! The admin port's routes on the log: `/log/TOPIC` streams records as lines of JSON, `/lag` tells each group's lag.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, TryStreamExt};
use runtime::{
    admin::Problem,
    log::{Log, LogError},
};
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
    topic: Result<Path<String>, PathRejection>,
    query: Result<Query<super::query::Query>, QueryRejection>,
) -> Result<Response, Problem> {
    let missing = |words: String| Problem::new(StatusCode::NOT_FOUND, words);
    let Path(topic) = topic.map_err(|_| missing("the topic's name is no UTF-8".to_owned()))?;
    let spec = super::query::topic(&topic).map_err(missing)?;
    let wrong = |problem: String| {
        let known = "write from=beginning, from=end or from=SEQUENCE, and if wanted network=SLUG and follow=true";
        Problem::new(StatusCode::BAD_REQUEST, format!("{problem}; {known}"))
    };
    let Query(query) = query.map_err(|e| {
        let words = e.body_text();
        wrong(words.strip_prefix("Failed to deserialize query string: ").unwrap_or(&words).to_owned())
    })?;
    query.from.parse::<super::query::From>().map_err(|_| wrong("`from` is no place in a topic".to_owned()))?;
    let lines = follow::records(log, codec, spec, query).await.map_err(unavailable)?;
    // Lines are sent in chunks of what is at hand, so that a long topic costs few frames.
    let chunks = lines
        .map_ok(|line| line + "\n")
        .ready_chunks(64)
        .map(|lines| lines.into_iter().collect::<Result<Vec<String>, _>>().map(|lines| lines.concat()));
    Ok(([("content-type", "application/x-ndjson")], Body::from_stream(chunks)).into_response())
}

pub fn unavailable(error: LogError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn lag(State((log, _)): State<Open>) -> Result<Json<Vec<GroupLag>>, Problem> {
    let mut all = Vec::new();
    for reading in topics::READING_GROUPS {
        let names: Vec<_> = reading.topics.iter().map(|t| t.name).collect();
        let lags = log.lag(reading.group, &names).await.map_err(unavailable)?;
        all.extend(lags.into_iter().map(|l| GroupLag {
            group: reading.group.to_owned(),
            topic: l.at.topic.to_owned(),
            partition: l.at.partition,
            lag: l.offsets(),
        }));
    }
    Ok(Json(all))
}
