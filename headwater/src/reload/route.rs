//! The admin port's route for it: `POST /reload` with the file that is meant.
//!
//! Guarantee: no web page can do that. A page's request comes with `Origin` or `Sec-Fetch-Site`, which no command sends; and the body
//! is JSON, which a page may send to another site only after a preflight, which this port does not answer. Foreign host names are
//! refused before (`runtime::hosts`).

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use runtime::admin::Problem;
use serde::{Deserialize, Serialize};

use super::{Reloader, Report};
use crate::exit::Failure;

/// Where it is served.
pub const PATH: &str = "/reload";
/// The longest body, in bytes: a path of a file.
const BODY_BYTES: usize = 64 << 10;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The file that is to be read again, absolute: it must be the one that the process was started with.
    pub file: PathBuf,
}

/// The route.
pub fn routes(reloader: Arc<Reloader>) -> Router {
    let limit = DefaultBodyLimit::max(BODY_BYTES);
    Router::new().route(PATH, post(reload).layer(limit)).with_state(reloader)
}

async fn reload(
    State(reloader): State<Arc<Reloader>>,
    headers: HeaderMap,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Report>, Problem> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        let words = "a web page cannot reload the configuration: run `headwater reload`, or send SIGHUP";
        return Err(Problem::new(StatusCode::FORBIDDEN, words));
    }
    let Json(asked) = asked.map_err(|e| {
        let words =
            format!("{}; write {{\"file\":\"/path/of/the/configuration.toml\"}} as application/json", e.body_text());
        // A file with mistakes is the only thing that cannot be processed.
        let status = if e.status() == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { e.status() };
        Problem::new(status, words)
    })?;
    let same = |path: &std::path::Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if same(&asked.file) != same(reloader.file()) {
        let words = format!(
            "this process runs with {}, not with {}: reload that file, or restart the process with the other one",
            reloader.file().display(),
            asked.file.display()
        );
        return Err(Problem::new(StatusCode::CONFLICT, words));
    }
    match reloader.reload().await {
        Ok(report) => {
            report.lines().iter().for_each(|line| tracing::info!("reload: {line}"));
            Ok(Json(report))
        }
        Err(Failure { error, .. }) => {
            tracing::error!("reload: nothing was changed: {error}");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
        }
    }
}
