//! `/ack/TOKEN`: the link in a message. It takes an alert on without a login.
//!
//! Guarantee: `GET` changes nothing, whoever follows it (scanners of mail do); `POST`, which the page's button sends, takes the alert on, once
//! for each link ([`control::AckTokens`]). A link shows its own alert and nothing else. The page has no script, and what it shows of names is
//! text. A browser sends the button's form only from our own page (door/origin.rs).

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{AckToken, Caller, Control, NoAckToken};
use schemas::{TimeMs, records::AlertPhase};

use crate::{
    alerts::{self, Acknowledged, Shown, by, whose},
    app::App,
    door::{From, RequestId},
    error::ApiError,
};

/// The page's own headers. The address is a secret of a kind: it goes to no other site, and nobody keeps it.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    // With `no-referrer` a browser would not say that the form is our page's.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Asks.
pub async fn ask(State(app): State<Arc<App>>, Path(token): Path<String>) -> Response {
    let asked = async {
        let control = app.control()?;
        let (_, shown) = found(&app, &control, &token).await?;
        Ok::<_, Page>(match shown.alert.state {
            AlertPhase::Acknowledged => {
                Page::new(StatusCode::OK, "Acknowledged already", said(&shown)).of(&app, &shown)
            }
            _ => Page { button: true, ..Page::new(StatusCode::OK, "Acknowledge this alert?", said(&shown)) }
                .of(&app, &shown),
        })
    };
    asked.await.unwrap_or_else(|page| page).into_response()
}

/// Does.
pub async fn take_on(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    from: Option<Extension<From>>,
    request_id: Option<Extension<RequestId>>,
) -> Response {
    let done = async {
        let control = app.control()?;
        let (token, shown) = found(&app, &control, &token).await?;
        let caller = Caller {
            who: token.who(),
            ip: from.map(|Extension(from)| from.0),
            request_id: request_id.as_ref().map(|Extension(id)| &*id.0),
        };
        if !control.use_ack_token(caller, &token).await.map_err(refused)? {
            return Err(used());
        }
        let whose = whose(token.who().tenant());
        match alerts::acknowledge(&app, &whose, token.alert(), by(token.who()), None).await {
            Ok(Acknowledged::Done(now)) => Ok(Page::new(StatusCode::OK, "Acknowledged", said(&now)).of(&app, &now)),
            Ok(Acknowledged::Later(_)) => {
                let words = "It was asked for, and takes a moment longer. Look at the alert's page.".to_owned();
                Ok(Page::new(StatusCode::OK, "Being acknowledged", words).of(&app, &shown))
            }
            Err(error) => {
                if let Err(error) = control.give_back_ack_token(caller, &token).await {
                    tracing::warn!(%error, "a link that could not be followed is used up");
                }
                Err(error.into())
            }
        }
    };
    done.await.unwrap_or_else(|page: Page| page).into_response()
}

/// The alert of a link that is good, and not over.
async fn found(app: &App, control: &Control, token: &str) -> Result<(AckToken, Shown), Page> {
    let token = control.ack_tokens().verify(token, TimeMs::now()).map_err(|no| match no {
        NoAckToken::Altered => not_here(),
        NoAckToken::Expired => {
            let words = "A link in a message is good for a day. Log in, and acknowledge the alert on its page.";
            Page::new(StatusCode::GONE, "This link is too old", words.to_owned())
        }
    })?;
    if control.ack_token_used(&token).await.map_err(refused)? {
        return Err(used());
    }
    let shown = alerts::shown(app, &whose(token.who().tenant()), token.alert()).await?.ok_or_else(not_here)?;
    if shown.alert.state.is_over() {
        let words = format!("It is {}: nobody has to take it on any more. {}", shown.alert.state, said(&shown));
        return Err(Page::new(StatusCode::GONE, "This alert is over", words).of(app, &shown));
    }
    Ok((token, shown))
}

fn not_here() -> Page {
    let words = "There is no alert behind it. Was it copied whole?".to_owned();
    Page::new(StatusCode::NOT_FOUND, "This is no link of a message", words)
}

fn used() -> Page {
    let words = "It was good once, and somebody has pressed it.".to_owned();
    Page::new(StatusCode::GONE, "This link was used", words)
}

fn refused(error: control::Error) -> Page {
    ApiError::of_control(error, "alert").into()
}

/// What an alert says, in a sentence.
fn said(shown: &Shown) -> String {
    let alert = &shown.alert;
    let about = alert.contract.as_ref().map(|contract| format!(", contract {contract}")).unwrap_or_default();
    format!(
        "{} ({}), {}{about}: {} since {}.",
        alert.source.name,
        alert.severity,
        alert.network,
        alert.state,
        alert.fired_at.unwrap_or(alert.started_at).rfc3339()
    )
}

/// A page.
struct Page {
    status: StatusCode,
    title: &'static str,
    words: String,
    button: bool,
    /// The alert's own page.
    link: Option<String>,
}

impl Page {
    fn new(status: StatusCode, title: &'static str, words: String) -> Self {
        Self { status, title, words, button: false, link: None }
    }

    /// With the way to the alert.
    fn of(self, app: &App, shown: &Shown) -> Self {
        Self { link: Some(format!("{}/alerts/{}", app.alerts.base(), shown.alert.id)), ..self }
    }
}

impl std::convert::From<ApiError> for Page {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotHere { .. } => not_here(),
            ApiError::AlertOver { state } => {
                let words = format!("It is {state}: nobody has to take it on any more.");
                Self::new(StatusCode::GONE, "This alert is over", words)
            }
            other => Self::new(other.kind().status, other.kind().title, format!("{other}. Try again in a moment.")),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let (title, words) = (html(self.title), html(&self.words));
        // To the address that it stands at.
        let button = match self.button {
            true => "<form method=\"post\"><button type=\"submit\">Acknowledge</button></form>",
            false => "",
        };
        let link = self.link.map(|link| format!("<p><a href=\"{}\">The alert's page</a></p>", html(&link)));
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/docs/docs.css\">\
             <main><h1>{title}</h1><p>{words}</p>{button}{}</main></html>",
            link.unwrap_or_default()
        );
        let mut response = (self.status, body).into_response();
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Text as HTML shows it.
fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
