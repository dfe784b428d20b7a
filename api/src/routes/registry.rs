//! `/registry`: the built-in schema registry, the read paths of Confluent's API (rule 22), so that stock Avro consumers find our
//! schemas without another server. Served where no other registry is configured: ids are valid with their own log only.
//!
//! Guarantee: an id, once released, never changes its meaning; nothing can be written here.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use schemas::registry::{SCHEMAS, SchemaVersion};
use serde_json::{Value, json};

use crate::app::App;

const MEDIA: &str = "application/vnd.schemaregistry.v1+json";

/// Confluent's error codes.
const SUBJECT_NOT_FOUND: u32 = 40_401;
const VERSION_NOT_FOUND: u32 = 40_402;
const SCHEMA_NOT_FOUND: u32 = 40_403;
const READ_ONLY: u32 = 40_301;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/registry/subjects", get(subjects).fallback(read_only))
        .route("/registry/subjects/{subject}", get(no_version).post(look_up).fallback(read_only))
        .route("/registry/subjects/{subject}/versions", get(versions).fallback(read_only))
        .route("/registry/subjects/{subject}/versions/{version}", get(version).fallback(read_only))
        .route("/registry/schemas/ids/{id}", get(schema).fallback(read_only))
        .route("/registry/schemas/ids/{id}/versions", get(schema_versions).fallback(read_only))
        .route("/registry/schemas/types", get(types).fallback(read_only))
        .route("/registry/config", get(config).fallback(read_only))
        .route("/registry/config/{subject}", get(config).fallback(read_only))
}

/// The prefix of our subjects; an error where another registry has the ids.
fn prefix(app: &App) -> Result<&str, Refusal> {
    app.config.registry_prefix.as_deref().ok_or_else(|| {
        problem(
            StatusCode::NOT_FOUND,
            SUBJECT_NOT_FOUND,
            "this log's ids belong to the registry of `[log] schema_registry`: ask there",
        )
    })
}

async fn subjects(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let prefix = prefix(&app)?;
    let mut all: Vec<String> = SCHEMAS.iter().map(|s| s.subject(prefix)).collect();
    all.sort_unstable();
    all.dedup();
    Ok(answer(&json!(all)))
}

async fn versions(State(app): State<Arc<App>>, Path(subject): Path<String>) -> Result<Response, Refusal> {
    let all: Vec<u32> = of(prefix(&app)?, &subject)?.iter().map(|s| s.version).collect();
    Ok(answer(&json!(all)))
}

async fn version(
    State(app): State<Arc<App>>,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let all = of(prefix(&app)?, &subject)?;
    let found = match version.as_str() {
        "latest" | "-1" => all.iter().max_by_key(|s| s.version),
        number => all.iter().find(|s| s.version.to_string() == number),
    };
    match found {
        Some(schema) => Ok(answer(&described(&subject, schema))),
        None => Err(problem(StatusCode::NOT_FOUND, VERSION_NOT_FOUND, &format!("Version {version} not found."))),
    }
}

/// Whether a schema stands under a subject, and with which id.
async fn look_up(State(app): State<Arc<App>>, Path(subject): Path<String>, body: Bytes) -> Result<Response, Refusal> {
    let all = of(prefix(&app)?, &subject)?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let asked = asked["schema"].as_str().and_then(parsed);
    match all.iter().find(|s| asked.is_some() && parsed(s.avsc) == asked) {
        Some(schema) => Ok(answer(&described(&subject, schema))),
        None => Err(problem(StatusCode::NOT_FOUND, SCHEMA_NOT_FOUND, "Schema not found")),
    }
}

async fn schema(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    prefix(&app)?;
    Ok(answer(&json!({ "schema": by_id(&id)?.avsc, "schemaType": "AVRO" })))
}

async fn schema_versions(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let prefix = prefix(&app)?;
    let schema = by_id(&id)?;
    Ok(answer(&json!([{ "subject": schema.subject(prefix), "version": schema.version }])))
}

async fn types() -> Response {
    answer(&json!(["AVRO"]))
}

async fn config() -> Response {
    answer(&json!({ "compatibilityLevel": runtime::registry::COMPATIBILITY }))
}

async fn no_version() -> Refusal {
    problem(StatusCode::NOT_FOUND, VERSION_NOT_FOUND, "ask for …/versions, or POST a schema to look it up")
}

async fn read_only() -> Refusal {
    problem(
        StatusCode::FORBIDDEN,
        READ_ONLY,
        "the built-in registry holds Headwater's own schemas and is read only; for others run a registry and name it in \
         `[log] schema_registry`",
    )
}

fn of(prefix: &str, subject: &str) -> Result<Vec<&'static SchemaVersion>, Refusal> {
    let all: Vec<&SchemaVersion> = SCHEMAS.iter().filter(|s| s.subject(prefix) == subject).collect();
    if all.is_empty() {
        let text = format!("Subject '{}' not found.", crate::error::cut(subject));
        return Err(problem(StatusCode::NOT_FOUND, SUBJECT_NOT_FOUND, &text));
    }
    Ok(all)
}

fn by_id(id: &str) -> Result<&'static SchemaVersion, Refusal> {
    SCHEMAS.iter().find(|s| s.id.to_string() == id).ok_or_else(|| {
        let text = format!("Schema {} not found", crate::error::cut(id));
        problem(StatusCode::NOT_FOUND, SCHEMA_NOT_FOUND, &text)
    })
}

fn described(subject: &str, schema: &SchemaVersion) -> Value {
    json!({ "subject": subject, "version": schema.version, "id": schema.id, "schemaType": "AVRO", "schema": schema.avsc })
}

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, MEDIA), (header::CACHE_CONTROL, "no-cache")], body.to_string()).into_response()
}

/// A refusal in Confluent's form.
struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.code, "message": self.message });
        (self.status, [(header::CONTENT_TYPE, MEDIA)], body.to_string()).into_response()
    }
}

fn problem(status: StatusCode, code: u32, message: &str) -> Refusal {
    Refusal { status, code, message: message.to_owned() }
}
