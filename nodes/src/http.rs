//! HTTP as nodes of every family are asked by it.
//!
//! Guarantee: a body is read up to its limit, whole or not at all; who asks to be left alone is, for as long as it says; no message holds a
//! credential.

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use reqwest::{
    Client, Response,
    header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use schemas::limits;

use crate::{
    error::{NodeErrorKind, with_causes},
    mask::Mask,
};

/// How an exchange ended, and the bytes of its answer.
pub struct Exchanged<T> {
    /// What came of it.
    pub outcome: Result<T, NodeErrorKind>,
    /// Bytes of the answer's body, as far as it was read.
    pub bytes: usize,
}

/// Headers that go with every request to an endpoint.
///
/// # Errors
/// Names or values that HTTP does not allow.
pub fn headers(endpoint: &str, configured: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let bad = |what| format!("endpoint `{endpoint}`: header `{name}` has a {what} that HTTP does not allow");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad("value"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// A client with its own connection pool, which keeps a connection for so long that nobody uses; nothing is connected yet.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(
    headers: HeaderMap,
    connect_timeout: Duration,
    idle_timeout: Duration,
    mask: &Mask,
) -> Result<Client, String> {
    // Taken when somebody else was first: any provider will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(idle_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| mask.scrub(format!("cannot make an HTTP client: {}", with_causes(&e))))
}

/// An answer's body of at most so many bytes; `read` is what has come of it, also where it fails.
///
/// # Errors
/// It is larger, or breaks off.
pub async fn body(
    response: Response,
    most: usize,
    read: &mut usize,
    scrub: impl Fn(String) -> String,
) -> Result<Vec<u8>, NodeErrorKind> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > most {
        return Err(NodeErrorKind::TooLarge(most));
    }
    let mut bytes = Vec::with_capacity(announced);
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| broke_off(e, bytes.len(), &scrub))?;
        if bytes.len() + chunk.len() > most {
            return Err(NodeErrorKind::TooLarge(most));
        }
        bytes.extend_from_slice(&chunk);
        *read = bytes.len();
    }
    Ok(bytes)
}

/// A body broke off after so many bytes.
pub fn broke_off(e: reqwest::Error, after: usize, scrub: impl Fn(String) -> String) -> NodeErrorKind {
    let text = scrub(with_causes(&e.without_url()));
    NodeErrorKind::Malformed(format!("the body broke off after {after} bytes: {text}"))
}

/// How long a node asks to wait: seconds, or an HTTP date (RFC 9110, section 10.2.3), which is measured by the node's own clock
/// where the answer says what that shows. At most [`limits::NODE_RETRY_AFTER`]; what is neither is a second.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let wait = match (value.parse::<f64>(), date(value)) {
        (Ok(seconds), _) if seconds.is_finite() && seconds >= 0.0 => Duration::from_secs_f64(seconds.min(1e6)),
        (_, Some(until)) => {
            let its_now = headers.get(DATE).and_then(|v| v.to_str().ok()).and_then(|v| date(v.trim())).unwrap_or(now);
            until.duration_since(its_now).unwrap_or_default()
        }
        _ => Duration::from_secs(1),
    };
    Some(wait.min(limits::NODE_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_by_the_nodes_clock() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let wait = |value: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_str(date).unwrap());
            }
            retry_after(&headers, now).unwrap().as_millis()
        };
        assert_eq!(wait("7", None), 7_000);
        assert_eq!(wait(" 0.25 ", None), 250);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:49 GMT", None), 12_000);
        // Its clock is an hour ahead of ours; all three forms of RFC 9110 are read.
        assert_eq!(wait("Sun, 06 Nov 1994 09:49:40 GMT", Some("Sun, 06 Nov 1994 09:49:37 GMT")), 3_000);
        assert_eq!(wait("Sunday, 06-Nov-94 08:49:38 GMT", None), 1_000);
        assert_eq!(wait("Sun Nov  6 08:49:39 1994", None), 2_000);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:30 GMT", None), 0, "that is over");
        for odd in ["soon", "-3", "NaN", "1e400"] {
            assert_eq!(wait(odd, None), 1_000, "{odd}");
        }
        let longest = limits::NODE_RETRY_AFTER.as_millis();
        assert_eq!(wait("86400", None), longest);
        assert_eq!(wait("Mon, 06 Nov 1995 08:49:37 GMT", None), longest);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
