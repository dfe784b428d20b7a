//! `GET /auth/me`: who is here, and what that may.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::{Authenticated, Mode, PersonSession, Profile};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    door::Who,
    error::ApiError,
    params::Params,
    routes::answer::{Live, Refused},
};

/// Who is here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `none`: everybody may everything. `keys`: who has a key. `accounts`: people too.
    mode: &'static str,
    /// Who.
    actor: MyActor,
    /// The key, where it came with one.
    key: Option<MyKey>,
    /// The person, where it is one.
    user: Option<MyUser>,
    /// The organisations of the person.
    organisations: Vec<MyOrganisation>,
    /// The organisation that this is in.
    current: Option<String>,
    /// The person's role there: `owner`, `admin`, `editor`, `viewer`.
    role: Option<&'static str>,
    /// Whether this is an operator of the whole platform.
    platform: bool,
    /// What it may.
    scopes: Vec<String>,
    /// Which networks it reaches; empty: all.
    networks: Vec<String>,
    /// What changes by the session say in `X-Headwater-Csrf`; null without a session, when none is wanted.
    csrf: Option<String>,
}

/// An actor, as the audit has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyActor {
    /// `key`, `user`, `operator` or `system`.
    kind: &'static str,
    /// A key's or a person's id; a word for others.
    id: String,
    /// For people.
    name: String,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyKey {
    /// Its id.
    id: String,
    /// Its visible prefix; null while the control store is away.
    prefix: Option<String>,
    /// Its name.
    name: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyUser {
    /// Ours.
    id: String,
    /// The address of the account.
    email: String,
    /// What the person is called.
    name: String,
    /// Whether the address was shown to be the person's.
    verified: bool,
    /// Whether there is a second factor.
    totp: bool,
    /// Whether there is a password; who comes by a provider needs none.
    password: bool,
}

/// An organisation of a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyOrganisation {
    /// Ours.
    id: String,
    /// Its name.
    name: String,
    /// The person's role there.
    role: &'static str,
    /// `active`, `importing`, `suspended`, `deleting`.
    state: &'static str,
}

/// Who is here, and what that may.
#[utoipa::path(get, path = "/auth/me", tag = "access", responses((status = 200, body = Me), Refused))]
pub async fn who_is_here(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    who: Who,
    session: Option<Extension<control::Session>>,
    person: Option<Extension<PersonSession>>,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let csrf = person.and_then(|Extension(s)| s.csrf).or(session.map(|Extension(s)| s.csrf));
    Ok(Live(Json(me(&app, &who.who, csrf).await)))
}

/// How long the store is waited for: what it tells is for people's eyes only.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who somebody is.
pub async fn me(app: &App, who: &Authenticated, csrf: Option<String>) -> Me {
    let actor = who.actor();
    let control = app.control();
    let key = match (who.key(), &control) {
        (Some(id), Ok(control)) => {
            let key = tokio::time::timeout(PATIENCE, control.key(who.tenant(), id)).await.ok().and_then(Result::ok);
            Some(MyKey {
                id: id.to_string(),
                prefix: key.map(|k| k.prefix),
                name: actor.name().to_owned(),
                expires_at: who.expires_at().map(|at| at.rfc3339()),
            })
        }
        _ => None,
    };
    let profile = match (who.user(), &control) {
        (Some(id), Ok(control)) => tokio::time::timeout(PATIENCE, control.profile(id)).await.ok().and_then(Result::ok),
        _ => None,
    };
    let (user, organisations) = profile.map_or_else(|| (None, Vec::new()), of_profile);
    Me {
        mode: match app.config.control.mode() {
            Mode::None => "none",
            Mode::Keys => "keys",
            Mode::Accounts => "accounts",
        },
        actor: MyActor { kind: actor.kind(), id: actor.id().to_owned(), name: actor.name().to_owned() },
        key,
        user,
        organisations,
        current: Some(who.tenant().id().to_string()),
        role: who.role().map(control::Role::as_str),
        platform: who.is_platform(),
        scopes: who.scopes().texts(),
        networks: who.tenant().reach().listed().into_iter().map(str::to_owned).collect(),
        csrf,
    }
}

fn of_profile(profile: Profile) -> (Option<MyUser>, Vec<MyOrganisation>) {
    let user = MyUser {
        id: profile.id.to_string(),
        email: profile.email,
        name: profile.name,
        verified: profile.verified,
        totp: profile.totp,
        password: profile.password,
    };
    let of = |o: control::Belonging| MyOrganisation {
        id: o.id.to_string(),
        name: o.name,
        role: o.role.as_str(),
        state: o.state,
    };
    (Some(user), profile.organisations.into_iter().map(of).collect())
}
