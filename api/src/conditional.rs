//! Versions and repetitions in headers: `ETag`, `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1), `Idempotency-Key`.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Expected, IdempotencyKey};
use serde::Serialize;

use crate::error::ApiError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The tag of a version: `"3"`.
pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Which versions `If-Match` names; `None`: it is not there.
///
/// # Errors
/// It is no list of entity tags.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Expected>, ApiError> {
    let mut versions = Vec::new();
    let mut there = false;
    for value in headers.get_all(header::IF_MATCH) {
        there = true;
        let refuse = |text: &str| {
            ApiError::invalid(
                "If-Match",
                text,
                "the `ETag` of what you read, as it came with its quotes: `\"3\"`; or `*`",
            )
        };
        let text = value.to_str().map_err(|_| refuse("bytes that are no text"))?;
        if text.trim() == "*" {
            return Ok(Some(Expected::Any));
        }
        for one in text.split(',').map(str::trim) {
            // A weak tag is good, and matches nothing here.
            let quoted = one.strip_prefix("W/").unwrap_or(one);
            let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"')).filter(|t| !t.contains('"'));
            let inner = inner.ok_or_else(|| refuse(one))?;
            let ours = inner.parse::<i64>().ok().filter(|n| n.to_string() == inner && quoted == one);
            versions.extend(ours);
        }
    }
    Ok(there.then_some(Expected::OneOf(versions)))
}

/// The same where it has to be there.
///
/// # Errors
/// It is not there, or no list of entity tags.
pub fn must_match(headers: &HeaderMap) -> Result<Expected, ApiError> {
    if_match(headers)?.ok_or(ApiError::IfMatchMissing)
}

/// The key of a request that may come twice.
///
/// # Errors
/// It is none, or there are two.
pub fn once(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut all = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = String::from_utf8_lossy(first.as_bytes());
    let expected = || {
        let most = schemas::limits::control::IDEMPOTENCY_CHARACTERS;
        ApiError::invalid(
            "Idempotency-Key",
            &text,
            format!("1 to {most} visible ASCII characters, once, such as a UUID"),
        )
    };
    match (IdempotencyKey::read(&text), all.next()) {
        (Ok(key), None) => Ok(Some(key)),
        _ => Err(expected()),
    }
}

/// A thing as it is now, which nobody may keep.
pub fn shown<T: Serialize>(version: i64, thing: T) -> Response {
    ([(header::ETAG, tag(version)), (header::CACHE_CONTROL, "no-store".to_owned())], Json(thing)).into_response()
}

/// A thing that was made, and where it is from now on.
pub fn made<T: Serialize>(version: i64, location: String, thing: T) -> Response {
    (StatusCode::CREATED, [(header::LOCATION, location)], shown(version, thing)).into_response()
}

/// It is gone.
pub fn gone() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<Expected>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).expect("a value"));
        }
        if_match(&headers)
    }

    #[test]
    fn only_strong_tags_of_ours_match() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Expected::Any)));
        for (values, versions) in [
            (&["\"3\""][..], vec![3]),
            (&["\"3\", \"4\"", "\"5\""], vec![3, 4, 5]),
            (&["W/\"3\""], vec![]),
            (&["\"03\""], vec![]),
            (&["\"x\",\"7\""], vec![7]),
        ] {
            assert_eq!(read(values), Ok(Some(Expected::OneOf(versions))), "{values:?}");
        }
        for wrong in ["3", "", "\"3", "3\"", "\"3\"\"", "\"3\";", "*, \"3\""] {
            let problem = read(&[wrong]).expect_err(wrong).problem();
            assert_eq!((problem.status, problem.parameter.as_deref()), (400, Some("If-Match")), "{wrong}");
        }
    }

    #[test]
    fn an_idempotency_key_comes_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(once(&headers), Ok(None));
        headers.append("idempotency-key", HeaderValue::from_static("a-1"));
        assert!(once(&headers).expect("one").is_some());
        headers.append("idempotency-key", HeaderValue::from_static("a-1"));
        assert!(once(&headers).is_err());
        headers.insert("idempotency-key", HeaderValue::from_static("a b"));
        assert!(once(&headers).is_err());
    }
}
