//! The dashboard: `dashboard/build`, inside the binary. Its own paths ([`PAGES`]) get the pages that were built for them; of what
//! one can be looked at alone ([`THINGS`]) there is one page, which finds out by its address what it is of.
//!
//! Guarantee: what is neither a page nor a file is a 404, so that a program that asks the wrong port does not take the page for
//! its answer; only scripts that were built in run (`script-src` names our files and the hashes of the page's inline scripts);
//! files whose names carry their hash are kept for ever by browsers, all others are asked for again each time.

use std::sync::{Arc, OnceLock};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::answer::matches_tag;
use crate::{app::App, error::ApiError};

#[derive(RustEmbed)]
#[folder = "../dashboard/build"]
struct Files;

const NOT_BUILT: &str = include_str!("../assets/not-built.html");

/// The paths that the app answers itself: the folders of `dashboard/src/routes`.
const PAGES: [&str; 19] = [
    "",
    "account",
    "alerts",
    "audit",
    "channels",
    "contracts",
    "failures",
    "keys",
    "login",
    "monitors",
    "operator",
    "organisation",
    "providers",
    "rules",
    "sign-up",
    "silences",
    "sql",
    "txs",
    "usage",
];

/// The same with names in brackets, where anything may stand but nothing. They get [`ANY`].
const THINGS: [&str; 3] = ["alerts/[id]", "blocks/[network]/[block]", "txs/[network]/[hash]"];

/// The page of every path that the app knows: it begins empty (`fallback` in `dashboard/svelte.config.js`).
const ANY: &str = "any.html";

/// What the admin port serves, which people look for here.
const ADMIN: [&str; 5] = ["metrics", "healthz", "readyz", "lag", "log"];

/// Anything that no other route answers.
pub async fn serve(State(_): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    let missing = |hint| ApiError::RouteNotFound { path: crate::error::cut(uri.path()), hint }.into_response();
    if ["api", "docs", "problems", "registry"].contains(&first) {
        return missing("");
    }
    let thing = is_thing(path);
    let page = thing || PAGES.contains(&path);
    let file = match path {
        "favicon.ico" => "favicon.svg".to_owned(),
        "" => "index.html".to_owned(),
        _ if thing => ANY.to_owned(),
        app if page => format!("{app}.html"),
        other => other.to_owned(),
    };
    let found = Files::get(&file);
    if found.is_none() && !page {
        return missing(match ADMIN.contains(&first) {
            true => "; health, metrics and topics are on the admin port (`[admin] listen`, 127.0.0.1:9090 by default)",
            false => "; the page is at /, the API at /api/v1, described at /docs",
        });
    }
    if method != Method::GET && method != Method::HEAD {
        let method = crate::error::cut(method.as_str());
        return ApiError::MethodNotAllowed { method, allow: "GET,HEAD".to_owned() }.into_response();
    }
    match found {
        Some(found) => send(&file, &found, &headers),
        None => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, kind, NOT_BUILT).into_response()
        }
    }
}

fn is_thing(path: &str) -> bool {
    let fits =
        |(pattern, part): (&str, &str)| if pattern.starts_with('[') { !part.is_empty() } else { pattern == part };
    let parts: Vec<&str> = path.split('/').collect();
    THINGS.iter().any(|t| t.split('/').count() == parts.len() && t.split('/').zip(parts.iter().copied()).all(fits))
}

fn send(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", const_hex::encode(&file.metadata.sha256_hash()[..16]));
    let kept = match path.starts_with("_app/immutable/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let mut response = match matches_tag(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(file.data.clone().into_owned()).into_response(),
    };
    let out = response.headers_mut();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mime = match mime.type_() == "text" && mime.get_param("charset").is_none() {
        true => format!("{mime}; charset=utf-8"),
        false => mime.to_string(),
    };
    for (name, value) in [(header::CONTENT_TYPE, mime.as_str()), (header::ETAG, &tag), (header::CACHE_CONTROL, kept)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    }
    if path.ends_with(".html")
        && let Ok(policy) = HeaderValue::from_str(policy())
    {
        out.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The pages' content security policy, with the hashes of the inline scripts that the build put into them.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let pages = Files::iter().filter(|name| name.ends_with(".html")).filter_map(|name| Files::get(&name));
        let pages: Vec<String> = pages.map(|f| String::from_utf8_lossy(&f.data).into_owned()).collect();
        let scripts = pages.iter().flat_map(|page| inline_scripts(page));
        let hashes: String = scripts.map(|script| format!(" 'sha256-{}'", sha256_base64(script))).collect();
        format!(
            "default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    })
}

/// The text of each `<script>` without `src`.
fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    html.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (text, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=") && !text.is_empty()).then_some(text)
    })
}

fn sha256_base64(text: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a page is a path of the app.
    #[test]
    fn the_pages_are_those_of_the_dashboard() {
        fn pages(folder: &std::path::Path, path: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let entry = entry.expect("an entry");
                let name = entry.file_name().into_string().expect("a name");
                if entry.path().is_dir() {
                    pages(&entry.path(), format!("{path}/{name}").trim_start_matches('/'), found);
                } else if name == "+page.svelte" {
                    found.push(path.to_owned());
                }
            }
        }
        let mut found = Vec::new();
        pages(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard/src/routes"), "", &mut found);
        found.sort_unstable();
        let (things, pages): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.contains('['));
        assert_eq!((pages, things), (PAGES.map(str::to_owned).to_vec(), THINGS.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_thing_has_a_path_of_its_own() {
        for path in ["txs/op-mainnet/0xab", "blocks/op-mainnet/7", "blocks/op-mainnet/0xab", "alerts/01J0"] {
            assert!(is_thing(path), "{path}");
        }
        for path in [
            "alerts",
            "alerts/",
            "alerts/a/b",
            "txs",
            "txs/op-mainnet",
            "txs//0xab",
            "txs/op-mainnet/",
            "txs/a/b/c",
            "blocks",
            "tx/a/b",
            "",
        ] {
            assert!(!is_thing(path), "{path}");
        }
    }

    #[test]
    fn inline_scripts_are_found_and_hashed() {
        let html = "<script type=module src=a.js></script><script>\nlet a = 1;\n</script><script>b</script>";
        assert_eq!(inline_scripts(html).collect::<Vec<_>>(), ["\nlet a = 1;\n", "b"]);
        // The example of the Content Security Policy specification, section 2.3.1 (source lists).
        assert_eq!(sha256_base64("alert('Hello, world.');"), "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }
}
