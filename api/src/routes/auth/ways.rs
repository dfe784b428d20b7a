//! `GET /auth/ways`: how one comes in, for the page that asks.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Mode;
use runtime::config::SignUp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    error::ApiError,
    params::Params,
    routes::answer::{Live, Refused},
};

/// How one comes in.
#[derive(Serialize, ToSchema)]
pub struct Ways {
    /// `none`, `keys`, `accounts`.
    mode: &'static str,
    /// Who may make an account: `open`, `invitation`, `closed`.
    sign_up: &'static str,
    /// Providers that one comes in by.
    providers: Vec<WayIn>,
    /// Whether a password that was forgotten is set anew by mail.
    reset: bool,
}

/// A provider that one comes in by.
#[derive(Serialize, ToSchema)]
pub struct WayIn {
    /// As in `/auth/oidc/{id}`.
    id: String,
    /// For people.
    name: String,
}

/// How one comes in here.
#[utoipa::path(get, path = "/auth/ways", tag = "access", responses((status = 200, body = Ways), Refused))]
pub async fn ways(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let (mode, sign_up) = match app.config.control.mode() {
        Mode::None => ("none", SignUp::Closed),
        Mode::Keys => ("keys", SignUp::Closed),
        Mode::Accounts => ("accounts", app.config.auth.sign_up),
    };
    let auth = &app.config.auth;
    let providers = auth.providers.iter().map(|p| WayIn { id: p.id.clone(), name: p.name.clone() });
    Ok(Live(Json(Ways { mode, sign_up: sign_up.as_str(), providers: providers.collect(), reset: auth.mail.is_some() })))
}
