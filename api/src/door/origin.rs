//! Pages of other sites: who may change something or open the WebSocket from a browser.
//!
//! Guarantee: a browser says by `Origin` (on every change and every WebSocket) which site's page asks; what names another site than ours and
//! those of `[api] allowed_origins` is refused. A browser that leaves it out says `Sec-Fetch-Site`. Programs send neither. What changes
//! something must be JSON besides, which a page may not send to another site unasked (Fetch standard: no simple request).

use axum::http::{HeaderMap, Method, header};

use crate::{
    body::lines,
    error::{ApiError, cut},
};

/// Whether a method only reads (RFC 9110, section 9.2.1).
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses pages of other sites. `own` is the origin of `[api] public_url`.
pub fn check(headers: &HeaderMap, allowed: &[String], own: Option<&str>) -> Result<(), ApiError> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return match runtime::hosts::names_another_site(headers) {
            true => Err(ApiError::ForeignOrigin { origin: "another site".to_owned() }),
            false => Ok(()),
        };
    };
    let origin = origin.to_str().unwrap_or_default();
    let alone = origins.next().is_none();
    let known = runtime::hosts::is_own_page(headers) || own == Some(origin) || allowed.iter().any(|a| a == origin);
    if alone && known { Ok(()) } else { Err(ApiError::ForeignOrigin { origin: cut(origin) }) }
}

/// Refuses bodies that are not JSON: one text, or lines of it where the path takes these. Only `DELETE` may come without any.
pub fn check_json(method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let bodiless = |headers: &HeaderMap| {
        let length = headers.get(header::CONTENT_LENGTH).is_none_or(|l| l == "0");
        length && !headers.contains_key(header::TRANSFER_ENCODING)
    };
    if *method == Method::DELETE && bodiless(headers) {
        return Ok(());
    }
    let given = headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or_default());
    let essence = lines::essence(headers);
    let good = essence == "application/json"
        || *method == Method::PATCH && essence == "application/merge-patch+json"
        || lines::is_streamed(method, path, headers);
    match good && headers.get_all(header::CONTENT_TYPE).iter().count() == 1 {
        true => Ok(()),
        false => Err(ApiError::NotJson { given: cut(given.unwrap_or("nothing")) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().expect("value"));
        }
        headers
    }

    #[test]
    fn foreign_pages_are_refused() {
        let check = |list: &[(&'static str, &str)]| {
            let mut all = vec![("host", "127.0.0.1:8080")];
            all.extend(list);
            check(&headers(&all), &["https://ops.example".to_owned()], Some("https://hw.example")).is_ok()
        };
        assert!(check(&[]), "programs");
        for good in ["http://127.0.0.1:8080", "https://ops.example", "https://hw.example"] {
            assert!(check(&[("origin", good)]), "{good}");
        }
        for foreign in [
            "null",
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8080.evil.example",
            "",
            "https://hw.example:1",
        ] {
            assert!(!check(&[("origin", foreign)]), "{foreign}");
        }
        assert!(!check(&[("origin", "https://ops.example"), ("origin", "http://evil.example")]), "two");
        assert!(!check(&[("sec-fetch-site", "cross-site")]) && !check(&[("sec-fetch-site", "same-site")]));
        assert!(check(&[("sec-fetch-site", "same-origin")]) && check(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn only_json_changes_something() {
        let check = |method: &str, list: &[(&'static str, &str)]| {
            check_json(&method.parse().expect("method"), "/api/v1/channels", &headers(list)).is_ok()
        };
        // Lines of it are for a document alone, and may not be sent to another site unasked either.
        let lines = headers(&[("content-type", "application/x-ndjson")]);
        assert!(check_json(&Method::POST, "/api/v1/organisations/import", &lines).is_ok());
        assert!(!check("POST", &[("content-type", "application/x-ndjson")]));
        assert!(check("POST", &[("content-type", "application/json")]));
        assert!(check("POST", &[("content-type", "Application/JSON; charset=utf-8")]));
        assert!(check("PATCH", &[("content-type", "application/merge-patch+json")]) && check("DELETE", &[]));
        for simple in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "text/plain;application/json",
        ] {
            assert!(!check("POST", &[("content-type", simple)]), "{simple}");
        }
        assert!(
            !check("POST", &[])
                && !check("DELETE", &[("content-length", "2")])
                && !check("PUT", &[("content-length", "0")])
        );
        assert!(!check("POST", &[("content-type", "application/json"), ("content-type", "text/plain")]));
    }
}
