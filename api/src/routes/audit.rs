//! `GET /audit`: every change, newest first.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Filter;
use schemas::limits::control as limits;
use utoipa::IntoParams;

use super::{
    answer::{Live, Refused},
    things::paging,
};
use crate::{
    app::App,
    cursor,
    door::Who,
    error::ApiError,
    items::{AuditItem, Page},
    params::Params,
};

const KNOWN: &[&str] = &["actor", "action", "resource", "from", "to", "limit", "cursor"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only what this actor did: a key's id, or `anyone`, `operator`, `system`.
    actor: Option<String>,
    /// Only this action, such as `contract.create`.
    action: Option<String>,
    /// Only what was done to this thing (its id), or to all of a kind: `contract`, `key`.
    resource: Option<String>,
    /// From this time on.
    from: Option<String>,
    /// Before this time.
    to: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The audit of your organisation, newest first.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "control",
    params(Query),
    responses((status = 200, body = Page<AuditItem>), Refused)
)]
pub async fn audit(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let word = |name: &str| {
        let expected = format!("1 to {} letters, digits, `.`, `_` and `-`", limits::AUDIT_WORD_CHARACTERS);
        params.parsed(name, &expected, |v| is_word(v).then(|| v.to_owned()))
    };
    let filter = Filter {
        actor: word("actor")?,
        action: word("action")?,
        resource: word("resource")?,
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let list = format!("audit {filter:?}");
    let page = app.control()?.audit(who.tenant(), &filter, &paging(&params, &list)?).await;
    let page = page.map_err(|e| ApiError::of_control(e, "entry of the audit"))?;
    let items = page.items.into_iter().map(AuditItem::from).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|c| cursor::encode(&list, &c.as_str())), note: None })))
}

fn is_word(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=limits::AUDIT_WORD_CHARACTERS).contains(&text.len()) && text.bytes().all(good)
}
