//! `/auth/oidc/{provider}`: coming in by a provider, and back from it.
//!
//! Guarantee: what a provider's answer does is bound to the browser that began (a sealed cookie, used once) and to who began (linking an
//! identity wants the same person at the end as at the beginning, his password, and a page of ours that begins it). Whoever is sent on
//! afterwards goes to a path of ours, never to another site. People are known by issuer and subject: an address alone opens no account. An
//! invitation comes in the body of a request, and travels sealed: it stands in no address.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Caller, Control, Error, Joining, Mode, NewPerson, Origin, Visit};
use runtime::config::{Secret, SignUp};
use schemas::limits::{accounts::INVITATION_CHARACTERS, control::NAME_CHARACTERS, people as limits};
use serde::Serialize;
use url::{Url, form_urlencoded};
use utoipa::ToSchema;

use super::{answer, person};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{Credential, From, RequestId, Who, cookie_named},
    error::ApiError,
    oidc::{Problem, Provider, Stranger},
    params::Params,
    routes::answer::{Changed, Live, Refused},
};

/// The cookie that a browser carries to a provider and back.
const VISIT: &str = "hw_visit";
/// It goes nowhere else.
const VISIT_PATH: &str = "/api/v1/auth/oidc";

/// Where a browser is to go.
#[derive(Serialize, ToSchema)]
pub struct Away {
    /// The provider's page.
    url: String,
}

/// What is sent to begin.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Begin {
    /// An invitation that is accepted on the way.
    #[schema(max_length = 64)]
    invitation: Option<String>,
    /// A path of our pages to come back to.
    #[schema(max_length = 1024, example = "/overview")]
    back: Option<String>,
}

/// What is sent to link an identity.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Link {
    /// The account's password.
    #[schema(max_length = 512)]
    password: String,
    /// A path of our pages to come back to.
    #[schema(max_length = 1024, example = "/account")]
    back: Option<String>,
}

/// Goes to a provider's page, to come back logged in.
///
/// For browsers, by a link; a page that has an invitation begins by `POST /auth/oidc/{provider}/begin`. It answers with a redirect; from there the provider sends back to `/auth/oidc/{provider}/callback`, and that to `back`, or
/// with `problem` to `/login`.
#[utoipa::path(
    get,
    path = "/auth/oidc/{provider}",
    tag = "access",
    params(
        ("provider" = String, Path, description = "Its id, as `/auth/ways` has it"),
        ("back" = Option<String>, Query, description = "A path of our pages to come back to"),
    ),
    responses(
        (status = 303, description = "To the provider's page; `Set-Cookie` has what the way back wants"),
        (status = 404, description = "No such provider", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn begin(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    from: Option<Extension<From>>,
) -> Result<Response, ApiError> {
    let provider = provider(&app, &id)?;
    let params = Params::parse(query.as_deref(), &["back"])?;
    let back = params.parsed("back", "a path of these pages, such as /overview", local)?;
    super::count(&app, from)?;
    let control = app.control()?;
    Ok(match provider.begin(back.unwrap_or_else(|| "/".to_owned()), None, None).await {
        Ok((url, visit)) => with_visit(&app, &control, see(url.as_str())?, Some(&visit))?,
        Err(problem) => told(problem)?,
    })
}

/// Begins to come in by a provider with an invitation, which is accepted on the way.
///
/// For pages: they send the browser to `url`. An invitation lets somebody in, so that it stands in no address.
#[utoipa::path(
    post,
    path = "/auth/oidc/{provider}/begin",
    tag = "access",
    params(("provider" = String, Path, description = "Its id, as `/auth/ways` has it")),
    request_body = Begin,
    responses(
        (status = 200, description = "Where the browser is to go; `Set-Cookie` has what the way back wants", body = Away),
        (status = 404, description = "No such provider", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn begin_with(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<Response, ApiError> {
    let provider = provider(&app, &id)?;
    let mut fields = body.fields()?;
    let back = back(&mut fields);
    let invitation = fields.text("invitation");
    if invitation.as_ref().is_some_and(|token| token.len() > INVITATION_CHARACTERS) {
        fields.mistake("invitation", "is too long for one", "write it as it came");
    }
    fields.finish()?;
    super::count(&app, from)?;
    let control = app.control()?;
    let begun = provider.begin(back.unwrap_or_else(|| "/".to_owned()), invitation, None).await;
    away(&app, &control, begun)
}

/// Where a page sends its browser to, if the provider is there.
fn away(app: &App, control: &Control, begun: Result<(Url, Visit), Problem>) -> Result<Response, ApiError> {
    let (url, visit) = begun.map_err(|_| ApiError::ProviderAway)?;
    let answer = Live(Json(Away { url: url.to_string() })).into_response();
    with_visit(app, control, answer, Some(&visit))
}

/// The path of our pages that a body names.
fn back(fields: &mut Fields) -> Option<String> {
    let asked = fields.text("back");
    let back = asked.as_deref().and_then(local);
    if asked.is_some() && back.is_none() {
        fields.mistake("back", "is no path of these pages", "write such as \"/account\"");
    }
    back
}

/// Begins to link an identity at a provider to the account that is logged in. Whoever logs in by that identity has the account, so it wants the
/// password.
#[utoipa::path(
    post,
    path = "/auth/oidc/{provider}",
    tag = "access",
    params(("provider" = String, Path, description = "Its id, as `/auth/ways` has it")),
    request_body = Link,
    responses(
        (status = 200, description = "Where the browser is to go; `Set-Cookie` has what the way back wants", body = Away),
        (status = 404, description = "No such provider", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn link(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    who: Who,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<Response, ApiError> {
    let user = person(&who.who)?.to_string();
    let provider = provider(&app, &id)?;
    let mut fields = body.fields()?;
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    let back = back(&mut fields);
    fields.finish()?;
    super::count(&app, from)?;
    let control = app.control()?;
    control.confirm_password(who.caller(), &password).await.map_err(|e| ApiError::of_control(e, "account"))?;
    let begun = provider.begin(back.unwrap_or_else(|| "/account".to_owned()), None, Some(user)).await;
    away(&app, &control, begun)
}

/// Where a provider sends back to.
///
/// It takes what a provider adds (`code`, `state`, `iss`, `error`; RFC 6749, 4.1.2, RFC 9207), and answers with a redirect: to where the
/// browser wanted to go, logged in, or with `problem` to `/login`.
#[utoipa::path(
    get,
    path = "/auth/oidc/{provider}/callback",
    tag = "access",
    params(("provider" = String, Path, description = "Its id, as `/auth/ways` has it")),
    responses(
        (status = 303, description = "To a page of ours; `Set-Cookie` has the session"),
        (status = 404, description = "No such provider", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn callback(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    from: Option<Extension<From>>,
    request_id: Option<Extension<RequestId>>,
) -> Result<Response, ApiError> {
    let provider = provider(&app, &id)?;
    let control = app.control()?;
    let ip = super::count(&app, from)?;
    let at = super::origin(ip, request_id.as_ref());
    let come = Come { app: &app, control: &control, headers: &headers, at };
    let answer = match come.back(provider, query.as_deref()).await {
        Ok(answer) => answer,
        Err(problem) => told(problem)?,
    };
    // Whatever came of it, it is over.
    with_visit(&app, &control, answer, None)
}

/// A browser that came back.
struct Come<'a> {
    app: &'a App,
    control: &'a Control,
    headers: &'a HeaderMap,
    at: Origin<'a>,
}

impl Come<'_> {
    async fn back(&self, provider: &Provider, query: Option<&str>) -> Result<Response, Problem> {
        let answer = Answer::of(query).ok_or(Problem::Answer)?;
        let sealed = cookie_named(self.headers, VISIT).ok_or(Problem::Answer)?;
        let visit = self.control.open_visit(provider.id(), sealed).ok_or(Problem::Answer)?;
        if !control::same_text(&visit.state, &answer.state) || !answer.is_of(provider) {
            return Err(Problem::Answer);
        }
        let code = answer.code.ok_or(Problem::Refused)?;
        let stranger = provider.finish(&visit, code).await?;
        match &visit.links {
            Some(user) => self.link(&visit, user, &stranger).await,
            None => self.come_in(&visit, &stranger).await,
        }
    }

    /// The person who is logged in gets the identity, if he is who began.
    async fn link(&self, visit: &Visit, user: &str, stranger: &Stranger) -> Result<Response, Problem> {
        let credential = Credential::of(self.headers).ok().flatten().ok_or(Problem::Answer)?;
        let came = credential.who(self.control).await.map_err(|_| Problem::Answer)?;
        if came.who.user().is_none_or(|id| id.as_str() != user) {
            return Err(Problem::Answer);
        }
        let by = Caller { who: &came.who, ip: self.at.ip, request_id: self.at.request_id };
        let linked = self.control.link_identity(by, &stranger.issuer, &stranger.subject).await;
        match linked.map_err(failed)? {
            true => see(&visit.back).map_err(|_| Problem::Answer),
            false => Err(Problem::Linked),
        }
    }

    async fn come_in(&self, visit: &Visit, stranger: &Stranger) -> Result<Response, Problem> {
        let known = self.control.person_of_identity(&stranger.issuer, &stranger.subject).await.map_err(failed)?;
        let (user, organisation) = match (known, &visit.invitation) {
            (Some(user), None) => (user, None),
            (Some(user), Some(token)) => {
                let member = self.control.accept_coming_in(self.at, &user, token).await.map_err(failed)?;
                (user, Some(member.organisation.id))
            }
            (None, invitation) => {
                let made = self.sign_up(stranger, invitation.clone()).await?;
                (made.person.id, Some(made.organisation))
            }
        };
        let life = self.app.config.auth.session;
        let begun = self.control.begin_person_session(&user, organisation.as_ref(), life).await.map_err(failed)?;
        let answer = see(&visit.back).map_err(|_| Problem::Answer)?;
        answer::with_cookie(answer, &answer::cookie(&begun, is_secure(self.app))).map_err(|_| Problem::Answer)
    }

    /// Somebody new.
    async fn sign_up(&self, stranger: &Stranger, invitation: Option<String>) -> Result<control::SignedUp, Problem> {
        let email = stranger.email.clone().ok_or(Problem::EmailMissing)?;
        let into = match (self.app.config.auth.sign_up, invitation) {
            (SignUp::Closed, _) | (SignUp::Invitation, None) => return Err(Problem::SignUp),
            (SignUp::Open | SignUp::Invitation, Some(token)) => Joining::Invitation(token),
            (SignUp::Open, None) => {
                let whose = called(stranger, email.split('@').next().unwrap_or_default());
                Joining::Found(format!("{}'s organisation", whose.chars().take(60).collect::<String>()))
            }
        };
        let name = called(stranger, &email);
        let identity = Some((stranger.issuer.clone(), stranger.subject.clone()));
        let new = NewPerson { email, name, password: None, verified: true, identity };
        self.control.sign_up(self.at, new, into).await.map_err(failed)
    }
}

/// What somebody is called, as a name of ours may be; `else_so` where the provider has no such name.
fn called(stranger: &Stranger, else_so: &str) -> String {
    let said = stranger.name.as_deref().unwrap_or_default();
    let name: String = said.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
    let name = if name.trim().is_empty() { else_so.to_owned() } else { name };
    name.trim().chars().take(NAME_CHARACTERS).collect()
}

/// What a refusal of the control store means to who comes in.
fn failed(error: Error) -> Problem {
    match error {
        Error::EmailTaken => Problem::EmailTaken,
        Error::NoInvitation => Problem::Invitation,
        Error::NotFound | Error::NoOrganisation => Problem::Account,
        Error::Invalid(_) => Problem::EmailMissing,
        Error::Full { .. } => Problem::Linked,
        Error::TooOften { .. } => Problem::Later,
        Error::SessionOver => Problem::Answer,
        error => {
            tracing::warn!(%error, "somebody could not come in by a provider");
            Problem::Away
        }
    }
}

/// What a provider's answer says; what it says twice is not taken.
struct Answer {
    state: String,
    code: Option<String>,
    issuer: Option<String>,
}

impl Answer {
    fn of(query: Option<&str>) -> Option<Self> {
        let query = query.filter(|query| query.len() <= limits::PROVIDER_ANSWER)?;
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let one = |name: &str| -> Option<Option<String>> {
            let mut found = pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone().into_owned());
            let first = found.next();
            found.next().is_none().then_some(first)
        };
        let refused = one("error")?.is_some();
        Some(Self { state: one("state")??, code: one("code")?.filter(|_| !refused), issuer: one("iss")? })
    }

    /// RFC 9207: a provider that names itself is the one that was asked.
    fn is_of(&self, provider: &Provider) -> bool {
        self.issuer.as_deref().is_none_or(|issuer| issuer == provider.issuer())
    }
}

/// One of the configuration's, where there are accounts.
fn provider<'a>(app: &'a App, id: &str) -> Result<&'a Provider, ApiError> {
    let found = app.oidc.get(id).filter(|_| app.config.control.mode() == Mode::Accounts);
    found.ok_or(ApiError::NotHere { what: "provider" })
}

/// A path of our own pages, as a browser reads it; `None`: it leads to another site, or is none.
fn local(text: &str) -> Option<String> {
    let plain = text.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\');
    let rooted = text.starts_with('/') && !text.starts_with("//");
    if !plain || !rooted || text.len() > limits::BACK {
        return None;
    }
    let base = Url::parse("https://pages.invalid/").ok()?;
    let url = base.join(text).ok()?;
    // The API's own addresses are no pages.
    (url.origin() == base.origin() && !url.path().starts_with("/api/")).then(|| text.to_owned())
}

/// On to another page, by `GET`.
fn see(place: &str) -> Result<Response, ApiError> {
    let place = HeaderValue::from_str(place).map_err(|_| ApiError::Internal)?;
    let headers = [
        (header::LOCATION, place),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address that the browser comes from has a code in it.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

fn told(problem: Problem) -> Result<Response, ApiError> {
    see(&format!("/login?problem={}", problem.as_str()))
}

/// Whether people reach us over TLS: providers send them to `[api] public_url`.
fn is_secure(app: &App) -> bool {
    app.config.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

/// Adds the cookie of a visit, or takes it away.
fn with_visit(app: &App, control: &Control, answer: Response, visit: Option<&Visit>) -> Result<Response, ApiError> {
    let sealed = visit.map(|visit| control.seal_visit(visit)).transpose();
    let sealed = sealed.map_err(|e| ApiError::of_control(e, "provider"))?;
    let (value, seconds) = sealed.as_ref().map_or(("", 0), |s| (s.expose(), limits::PROVIDER_VISIT.as_secs()));
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let cookie = format!("{VISIT}={value}; Path={VISIT_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    answer::with_cookie(answer, &cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_our_own_pages_are_gone_back_to() {
        for good in ["/", "/overview", "/alerts?x=1#a", "/a//b", "/login", "/%2F%2Fevil.example"] {
            assert_eq!(local(good).as_deref(), Some(good));
        }
        let long = format!("/{}", "a".repeat(limits::BACK));
        for wrong in [
            "",
            "overview",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "/ü",
            "/a b",
            "/api/v1/auth/logout",
            "/x/../api/v1/keys",
            &long,
        ] {
            assert_eq!(local(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_provider_says_twice_is_not_taken() {
        let of = |query: &str| Answer::of(Some(query)).map(|a| (a.state, a.code, a.issuer));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("state=s&code=c&scope=x&iss=i"), Some(("s".to_owned(), some("c"), some("i"))));
        assert_eq!(of("state=s&error=access_denied"), Some(("s".to_owned(), None, None)));
        assert_eq!(of("state=s&code=c&error=x"), Some(("s".to_owned(), None, None)));
        for wrong in ["", "code=c", "state=s&state=t&code=c", "state=s&code=c&code=d", "state=s&code=c&iss=i&iss=j"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(of(&format!("state={}", "s".repeat(limits::PROVIDER_ANSWER))), None);
    }
}
