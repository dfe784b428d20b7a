//! `/organisations/{id}/export`, `DELETE /organisations/{id}`, `/organisations/import`, `/platform/tombstones`: an organisation's life beyond
//! its beginning.
//!
//! Guarantee: only an owner, or an operator of the platform, deletes an organisation, and never a key. What is not theirs is not there.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{FromRequest, Path, RawQuery, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Bounds, Error, Export, Id, ImportReader, ToImport};
use schemas::TimeMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, path_id},
};
use crate::{
    app::App,
    body::{Body, Fields, MaybeBody, lines},
    door::{Asking, Credential, Who},
    error::ApiError,
    export::{OfOrganisation, body, place},
    params::Params,
};

const WHAT: &str = "organisation";
const EXPORT: &str = "export";

/// An export of an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportItem {
    /// Its id.
    pub id: String,
    /// `done`: it can be fetched. The file is made while it is fetched, and not kept.
    pub state: String,
    /// Where it is fetched, with the same credential, for a day; null: it cannot be.
    pub url: Option<String>,
    /// Lines of the file, once it was fetched whole.
    pub rows: Option<i64>,
    /// Its bytes, once it was fetched whole.
    pub bytes: Option<i64>,
    /// Why it cannot be fetched.
    pub problem: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub requested_at: String,
    /// When it was last fetched whole.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

impl ExportItem {
    fn of(organisation: &Id, export: Export) -> Self {
        let fetched = export.finished_at.is_some();
        Self {
            url: (export.state == "done")
                .then(|| format!("/api/v1/organisations/{organisation}/exports/{}/file", export.id)),
            id: export.id.to_string(),
            state: export.state,
            rows: fetched.then_some(export.rows),
            bytes: fetched.then_some(export.bytes),
            problem: export.problem,
            requested_at: export.requested_at.rfc3339(),
            finished_at: export.finished_at.map(TimeMs::rfc3339),
        }
    }
}

/// An organisation that is being deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeavingItem {
    /// Its id.
    pub id: String,
    /// `deleting`.
    pub state: &'static str,
    /// When that was asked for.
    #[schema(format = DateTime)]
    pub deleting_at: String,
}

/// What is to be imported.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct ImportBody {
    /// What the new organisation is called, 1 to 100 characters.
    name: String,
    /// The file of an export, as a text; what stands behind its line of the kind `history` is not read, and may be cut off.
    document: String,
}

/// What was imported.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportItem {
    /// The new organisation.
    pub organisation: String,
    /// Contracts that were added.
    pub contracts: usize,
    /// Channels that were made.
    pub channels: usize,
    /// Rules that were made.
    pub rules: usize,
    /// Monitors that were made.
    pub monitors: usize,
    /// Silences that were made.
    pub silences: usize,
    /// Names of channels that are disabled until their secrets are set again, which no export has.
    pub without_secrets: Vec<String>,
}

/// What stays of an organisation that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct TombstoneItem {
    /// Its id.
    pub id: String,
    /// What it was called.
    pub name: String,
    /// When its last row went.
    #[schema(format = DateTime)]
    pub deleted_at: String,
    /// Entries that its audit had.
    pub audit_entries: i64,
    /// The hash of the last of them.
    pub audit_hash: String,
    /// What was removed where, and by when the log holds nothing of it.
    #[schema(value_type = Object)]
    pub proof: serde_json::Value,
}

/// Tombstones.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tombstones {
    /// By the time at which they went.
    pub items: Vec<TombstoneItem>,
    /// Always null: it is one page.
    pub next: Option<String>,
}

/// Asks for all of an organisation as one file: definitions, contracts, keys without secrets, members, the audit, alerts and deliveries.
#[utoipa::path(
    post,
    path = "/organisations/{id}/export",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 202, body = ExportItem), Missing, Changed, Refused)
)]
pub async fn ask(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    body.fields()?.finish()?;
    let organisation = path_id(&id, WHAT)?;
    let asked = app.control()?.ask_for_export(who.caller(), &organisation).await.map_err(refused)?;
    let location = format!("/api/v1/organisations/{organisation}/exports/{}", asked.id);
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::ACCEPTED, headers, Json(ExportItem::of(&organisation, asked))).into_response())
}

/// How an export stands.
#[utoipa::path(
    get,
    path = "/organisations/{id}/exports/{export}",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id"), ("export" = String, Path, description = "The export's id")),
    responses((status = 200, body = ExportItem), Missing, Refused)
)]
pub async fn export(
    State(app): State<Arc<App>>,
    who: Who,
    Path((id, export)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let (organisation, export) = (path_id(&id, WHAT)?, path_id(&export, EXPORT)?);
    let found = app.control()?.export(&who.who, &organisation, &export).await;
    let found = found.map_err(|error| ApiError::of_control(error, EXPORT))?;
    Ok(Live(Json(ExportItem::of(&organisation, found))))
}

/// The file of an export: JSON Lines, made while it is fetched. Its last line has the kind `end`; without it the file was cut off.
#[utoipa::path(
    get,
    path = "/organisations/{id}/exports/{export}/file",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id"), ("export" = String, Path, description = "The export's id")),
    responses(
        (status = 200, description = "The file", content_type = "application/x-ndjson", body = String),
        (status = 429, description = "Too many exports at the same time", body = crate::error::Problem, content_type = "application/problem+json"),
        Missing,
        Refused
    )
)]
pub async fn file(
    State(app): State<Arc<App>>,
    who: Who,
    asking: Asking,
    credential: Option<Extension<Credential>>,
    Path((id, export)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let (organisation, export) = (path_id(&id, WHAT)?, path_id(&export, EXPORT)?);
    let control = app.control()?;
    let found = control.export(&who.who, &organisation, &export).await;
    let found = found.map_err(|error| ApiError::of_control(error, EXPORT))?;
    let place = place(&app, &asking)?;
    let (outlet, body) = body();
    let of = OfOrganisation { app, control, who: Arc::clone(&who.who), organisation, id: found.id, place };
    of.give(outlet, credential.map(|Extension(credential)| credential));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"organisation-{organisation}.jsonl\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// Deletes an organisation and all that it has. Nobody of it is let in from now on, and nothing brings it back; that all of it is gone takes
/// a minute or so more, and what stays is its tombstone.
#[utoipa::path(
    delete,
    path = "/organisations/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 202, body = LeavingItem), Missing, Refused)
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let leaving = app.control()?.delete_organisation(who.caller(), &path_id(&id, WHAT)?).await.map_err(refused)?;
    let item =
        LeavingItem { id: leaving.id().to_string(), state: "deleting", deleting_at: leaving.asked_at().rfc3339() };
    Ok((StatusCode::ACCEPTED, [(header::CACHE_CONTROL, "no-store")], Json(item)).into_response())
}

/// Makes a new organisation of what an export of another defines: ids are new, and what named another thing names it still. Channels whose
/// secrets are missing are disabled. Keys, members, the audit and alerts are not taken over.
///
/// The file is sent as a text inside of JSON, of at most 1 MiB, or as it is, of at most 64 MiB with lines of at most 1 MiB; then `name` stands
/// in the query. The organisation is there whole or not at all: before all of it is made nobody sees any of it, and what was cut off is removed.
#[utoipa::path(
    post,
    path = "/organisations/import",
    tag = "access",
    params(("name" = Option<String>, Query, description = "With lines of JSON: what the new organisation is called, 1 to 100 characters")),
    request_body(content((ImportBody = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 201, body = ImportItem, headers(("Location" = String))), Changed, Refused)
)]
pub async fn import(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    let control = app.control()?;
    let _place = app.imports.try_acquire().map_err(|_| ApiError::Overloaded { what: "imports" })?;
    let bounds = app.bounds();
    let (name, brought) = brought(&app, &bounds, query.as_deref(), request).await?;
    let (new, imported) =
        control.import_organisation(who.caller(), &name, brought, &bounds, |_| ()).await.map_err(refused)?;
    let item = ImportItem {
        organisation: new.to_string(),
        contracts: imported.contracts,
        channels: imported.channels,
        rules: imported.rules,
        monitors: imported.monitors,
        silences: imported.silences,
        without_secrets: imported.without_secrets,
    };
    let headers =
        [(header::LOCATION, format!("/api/v1/organisations/{new}")), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(item)).into_response())
}

/// What a new organisation is called, and what is made in it.
async fn brought(
    app: &Arc<App>,
    bounds: &Bounds,
    query: Option<&str>,
    request: Request,
) -> Result<(String, ToImport), ApiError> {
    if lines::essence(request.headers()) == lines::LINES {
        let params = Params::parse(query, &["name"])?;
        let missing = || ApiError::invalid("name", "", "what the new organisation is called, 1 to 100 characters");
        let name = params.text("name")?.ok_or_else(missing)?.to_owned();
        return Ok((name, lines::document(request, bounds).await?));
    }
    Params::parse(query, &[])?;
    let mut fields = Body::from_request(request, app).await?.fields()?;
    let name = fields.required("name", Fields::text).unwrap_or_default();
    let document = fields.required("document", Fields::text).unwrap_or_default();
    fields.finish()?;
    Ok((name, ImportReader::new(bounds).read(&document).await.map_err(refused)?))
}

/// What stays of organisations that were deleted: the heads of their audits, and what was removed where.
#[utoipa::path(
    get,
    path = "/platform/tombstones",
    tag = "access",
    responses((status = 200, body = Tombstones), Refused)
)]
pub async fn tombstones(
    State(app): State<Arc<App>>,
    _who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let found = app.control()?.tombstones(TimeMs(0)).await.map_err(refused)?;
    let items = found.into_iter().map(|of| TombstoneItem {
        id: of.tenant.to_string(),
        name: of.name,
        deleted_at: of.deleted_at.rfc3339(),
        audit_entries: of.audit_entries,
        audit_hash: of.audit_hash,
        proof: of.proof,
    });
    Ok(Live(Json(Tombstones { items: items.collect(), next: None })))
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}
