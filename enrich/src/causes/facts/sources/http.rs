//! One question to a contract source over HTTP.
//!
//! Guarantee: an answer is read within its deadline, up to a limit, whole or not at all. A redirect is followed within the host that the
//! operator named, and nowhere else: what a source answers never makes us ask another machine. A page where JSON was to come is an
//! outage, whatever its status. No key of a source is in a message, and none is longer than a line.

use std::{borrow::Cow, time::Duration};

use futures::StreamExt;
use nodes::with_causes;
use reqwest::{
    Client, StatusCode,
    header::RETRY_AFTER,
    redirect::{Attempt, Policy},
};
use schemas::limits::facts as limits;
use url::Url;

/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It wants to be asked more slowly, and says for how long where it does.
    #[error("it wants to be asked more slowly: {1}")]
    Throttled(Option<Duration>, String),
    /// Nothing that could be read came in time.
    #[error("{0}")]
    Away(String),
    /// It will not answer until an operator changes something.
    #[error("{0}")]
    Refused(String),
}

/// What came.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, which is no page.
    pub body: String,
}

/// A client for all sources.
pub fn client() -> Result<Client, String> {
    // Taken when somebody else was first: any provider will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(limits::SOURCE_DEADLINE / 2)
        .timeout(limits::SOURCE_DEADLINE)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(Policy::custom(within_the_host))
        .referer(false)
        .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| format!("cannot make an HTTP client: {}", e.without_url()))
}

fn within_the_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let stays = attempt.previous().first().is_some_and(|first| {
        let place =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        place(first) == place(attempt.url())
    });
    if stays && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

/// Asks.
///
/// # Errors
/// [`Trouble`]; of an answer with a status that says that the source is away or wants no more, that.
pub async fn get(client: &Client, url: Url, key: Option<&str>) -> Result<Answer, Trouble> {
    let away = |e: reqwest::Error| Trouble::Away(shown(&with_causes(&e.without_url()), key));
    let answer = client.get(url).header("accept", "application/json").send().await.map_err(away)?;
    let status = answer.status();
    let wait = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let wait = wait.map(|seconds: u64| Duration::from_secs(seconds.min(24 * 3_600)));
    let mut body = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(away)?;
        if body.len() + piece.len() > limits::SOURCE_ANSWER_BYTES {
            return Err(Trouble::Away(format!("it sent more than {} bytes", limits::SOURCE_ANSWER_BYTES)));
        }
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).map_err(|_| Trouble::Away("it sent no text".to_owned()))?;
    let shown = || shown(body.trim(), key);
    match status {
        StatusCode::TOO_MANY_REQUESTS => Err(Trouble::Throttled(wait, shown())),
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED => {
            Err(Trouble::Refused(format!("status {status}: {}", shown())))
        }
        status if status.is_server_error() && wait.is_some() => Err(Trouble::Throttled(wait, shown())),
        _ if body.trim_start().starts_with('<') => Err(Trouble::Away(format!("status {status}, a page: {}", shown()))),
        status if status.is_redirection() => Err(Trouble::Away(format!("status {status}: it points to another host"))),
        status if status.is_server_error() => Err(Trouble::Away(format!("status {status}: {}", shown()))),
        status => Ok(Answer { status: status.as_u16(), body }),
    }
}

/// Characters of a source's words that are shown.
const SHOWN: usize = 120;

/// A source's words as they may be shown: without the key, and cut.
pub fn shown(text: &str, key: Option<&str>) -> String {
    scrub(text, key).chars().take(SHOWN).collect()
}

/// The text without the key, as it is and as it stands in a URL.
pub fn scrub<'t>(text: &'t str, key: Option<&str>) -> Cow<'t, str> {
    let Some(key) = key.filter(|key| !key.is_empty()) else { return text.into() };
    let in_url: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let mut text = Cow::Borrowed(text);
    for key in [key, &in_url] {
        if text.contains(key) {
            text = text.replace(key, "***").into();
        }
    }
    text
}
