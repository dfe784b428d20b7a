//! `POST /auth/logout`, `GET /auth/sessions`, `DELETE /auth/sessions/{id}`: the end of sessions.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use control::PersonSession;
use serde::Serialize;
use utoipa::ToSchema;

use super::{answer::with_cookie, person};
use crate::{
    app::App,
    body::MaybeBody,
    conditional,
    door::{self, Who},
    error::ApiError,
    params::Params,
    routes::{
        answer::{Live, Refused},
        things::{Missing, path_id},
    },
};

/// What is sent to log out; nothing at all will do.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct LogOut {
    /// Whether all sessions of the person end, on every machine.
    everywhere: Option<bool>,
}

/// Sessions of a person.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// Those that go on, the newest first.
    items: Vec<SessionItem>,
    /// There is one page.
    next: Option<String>,
}

/// A session of a person.
#[derive(Serialize, ToSchema)]
pub struct SessionItem {
    /// Ours.
    id: String,
    /// When it was begun.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its tokens were last changed.
    #[schema(format = DateTime)]
    rotated_at: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    ends_at: String,
    /// Whether it is the one that asks.
    current: bool,
    /// The organisation that it is in.
    organisation: String,
}

/// Ends the session, or all of the person's.
///
/// This process refuses it from now on, the others within 5 seconds; the browser forgets it. A session that was begun with a key is forgotten by
/// this process and by the browser.
#[utoipa::path(
    post,
    path = "/auth/logout",
    tag = "access",
    request_body = Option<LogOut>,
    responses((status = 204, description = "There is no session any more"), Refused)
)]
pub async fn log_out(
    State(app): State<Arc<App>>,
    who: Who,
    session: Option<Extension<control::Session>>,
    person: Option<Extension<PersonSession>>,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let everywhere = match fields.value("everywhere") {
        None => false,
        Some(serde_json::Value::Bool(everywhere)) => everywhere,
        Some(_) => {
            fields.mistake("everywhere", "is no truth value", "write true or false, without quotes");
            false
        }
    };
    fields.finish()?;
    if let Some(Extension(session)) = session {
        app.ended.insert(session.nonce, ());
    }
    if let Some(Extension(session)) = person {
        let control = app.control()?;
        let ended = match everywhere {
            true => control.end_all_sessions(who.caller(), None).await,
            false => control.end_person_session(&session).await,
        };
        ended.map_err(|e| ApiError::of_control(e, "session"))?;
    }
    with_cookie(StatusCode::NO_CONTENT.into_response(), &door::set_cookie("", 0, false))
}

/// The sessions of the person that go on.
#[utoipa::path(get, path = "/auth/sessions", tag = "access", responses((status = 200, body = Sessions), Refused))]
pub async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    who: Who,
    here: Option<Extension<PersonSession>>,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let user = person(&who.who)?;
    let sessions = app.control()?.sessions_of(user).await.map_err(|e| ApiError::of_control(e, "session"))?;
    let items = sessions.into_iter().map(|s| SessionItem {
        current: here.as_ref().is_some_and(|Extension(here)| here.id == s.id),
        id: s.id.to_string(),
        created_at: s.created_at.rfc3339(),
        rotated_at: s.rotated_at.rfc3339(),
        ends_at: s.ends_at.rfc3339(),
        organisation: s.organisation.to_string(),
    });
    Ok(Live(Json(Sessions { items: items.collect(), next: None })))
}

/// Ends one of the person's sessions.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Every process refuses it within 5 seconds"), Missing, Refused)
)]
pub async fn end(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    person(&who.who)?;
    let id = path_id(&id, "session")?;
    app.control()?.end_session_of(&who.who, &id).await.map_err(|e| ApiError::of_control(e, "session"))?;
    Ok(conditional::gone())
}
