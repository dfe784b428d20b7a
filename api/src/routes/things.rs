//! What the routes of the control store's things have in common: ids in paths, where a list goes on, networks that are not
//! there, and the refusals of one thing.

use std::collections::BTreeMap;

use control::{Action, Control, Cursor, Error, Id, Outcome, Paging, Subject};
use schemas::Mistake;
use utoipa::openapi::{self, RefOr};

use super::answer::problem;
use crate::{app::App, cursor, door::Who, error::ApiError, params::Params};

/// An id in a path. What has not the form of one is not there.
pub fn path_id(text: &str, what: &'static str) -> Result<Id, ApiError> {
    text.parse().map_err(|_| ApiError::NotHere { what })
}

/// Where a list of the control store goes on.
pub fn paging(params: &Params, list: &str) -> Result<Paging, ApiError> {
    let after: Option<String> = params.text("cursor")?.map(|text| cursor::decode(list, text)).transpose()?;
    let after = after.map(|text| Cursor::read(&text)).transpose().map_err(|_| ApiError::InvalidCursor {
        value: params.text("cursor").ok().flatten().map(crate::error::cut).unwrap_or_default(),
    })?;
    Ok(Paging { after, limit: Some(params.limit()? as usize) })
}

/// What is wrong with a network that a body names: it has to be one that is followed, or was. What is no slug at all is told with the other
/// mistakes.
///
/// # Errors
/// The store is away.
pub async fn unknown_network(app: &App, path: impl Into<String>, slug: &str) -> Result<Option<Mistake>, ApiError> {
    let Ok(network) = slug.parse() else { return Ok(None) };
    match app.known_network(&network).await {
        Err(ApiError::NetworkNotFound { .. }) => {
            let slugs: Vec<String> = app.configured().iter().map(ToString::to_string).collect();
            let cure = match slugs.is_empty() {
                true => "add `[[network]]` to the configuration first".to_owned(),
                false => format!("write one of: {}", slugs.join(", ")),
            };
            Ok(Some(Mistake::new(path, "is not a network that is followed here", cure)))
        }
        known => known.map(|()| None),
    }
}

/// Writes into the audit that somebody wanted more than he may.
///
/// # Errors
/// What was refused, however it was.
pub async fn noted<T>(
    control: &Control,
    who: &Who,
    action: Action,
    subject: Subject,
    done: Result<T, Error>,
) -> Result<T, ApiError> {
    if let Err(Error::MoreThanMaker(_) | Error::OwnersOnly) = &done
        && let Err(error) = control.note(who.caller(), action, &subject, Outcome::Denied).await
    {
        tracing::warn!(%error, "a refused change was not written into the audit");
    }
    done.map_err(|error| ApiError::of_control(error, subject.kind))
}

/// The refusal of what is not there, for the document.
pub struct Missing;

impl utoipa::IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        [("404".to_owned(), problem("Not here, or not yours"))].into()
    }
}

/// The refusal of a change that was made from another version, for the document.
pub struct Stale;

impl utoipa::IntoResponses for Stale {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        [("412".to_owned(), problem("Changed since"))].into()
    }
}

/// The refusal of a change that names no version, for the document.
pub struct Versionless;

impl utoipa::IntoResponses for Versionless {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        [("428".to_owned(), problem("`If-Match` is missing"))].into()
    }
}
