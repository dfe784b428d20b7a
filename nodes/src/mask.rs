//! Credentials of endpoints: in URLs (user information, query, labels of the host and segments of the path that look like keys) and
//! in headers.
//!
//! Guarantee: a text that went through [`Mask::scrub`] holds none of them, in none of the ways in which an HTTP client or a node may
//! write them (as configured, decoded, and as the Basic authentication that is made of them); [`masked_url`] shows host and shape only.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

const STARS: &str = "***";
/// Path segments from this length on are taken for keys.
const KEY_LENGTH: usize = 16;
/// What stands for a key in a host's name, which allows no stars.
const HIDDEN_LABEL: &str = "xxx";

/// A URL that may be shown: without user information, query values and what looks like a key in the path.
pub fn masked_url(url: &Url) -> String {
    let mut shown = url.clone();
    if !url.username().is_empty() {
        let _ = shown.set_username(STARS);
    }
    if url.password().is_some() {
        let _ = shown.set_password(Some(STARS));
    }
    if url.query().is_some() {
        shown.set_query(Some(STARS));
    }
    shown.set_fragment(None);
    if let Some(Host::Domain(domain)) = url.host() {
        let labels: Vec<&str> = domain.split('.').map(|l| if is_key_label(l) { HIDDEN_LABEL } else { l }).collect();
        let _ = shown.set_host(Some(&labels.join(".")));
    }
    let path: Vec<&str> = url.path().split('/').map(|s| if is_key(s) { STARS } else { s }).collect();
    shown.set_path(&path.join("/"));
    shown.to_string()
}

fn is_key(segment: &str) -> bool {
    segment.len() >= KEY_LENGTH && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_key_label(label: &str) -> bool {
    label.len() >= KEY_LENGTH && label.bytes().all(|b| b.is_ascii_hexdigit())
}

/// User and password of a URL, decoded, where it has any.
pub fn user_and_password(url: &Url) -> Option<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    (!user.is_empty() || url.password().is_some()).then_some((user, password))
}

/// The secrets of one endpoint.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Vec<String>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} secrets)", self.secrets.len())
    }
}

impl Mask {
    /// Collects the secrets of an endpoint's URLs and header values.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a Url>, headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets = Vec::new();
        for url in urls {
            secrets.extend([url.username().to_owned(), url.password().unwrap_or_default().to_owned()]);
            if let Some((user, password)) = user_and_password(url) {
                secrets.push(STANDARD.encode(format!("{user}:{password}")));
                secrets.extend([user, password]);
            }
            secrets.extend(url.query_pairs().map(|(_, v)| v.into_owned()));
            // As it stands in the URL, where that differs.
            secrets.extend(
                url.query()
                    .into_iter()
                    .flat_map(|q| q.split('&'))
                    .filter_map(|p| Some(p.split_once('=')?.1.to_owned())),
            );
            secrets.extend(url.query().map(str::to_owned));
            secrets.extend(url.path().split('/').filter(|s| is_key(s)).map(str::to_owned));
            secrets.extend(
                url.host_str().into_iter().flat_map(|h| h.split('.')).filter(|l| is_key_label(l)).map(str::to_owned),
            );
        }
        for value in headers {
            secrets.push(value.to_owned());
            // `Bearer TOKEN`: the token alone may be echoed.
            secrets.extend(value.split_whitespace().skip(1).map(str::to_owned));
            // `Basic …`: so may user and password.
            let decoded =
                value.split_whitespace().nth(1).and_then(|basic| String::from_utf8(STANDARD.decode(basic).ok()?).ok());
            if let Some(decoded) = decoded.filter(|_| value.to_ascii_lowercase().starts_with("basic ")) {
                secrets.extend(decoded.splitn(2, ':').map(str::to_owned));
                secrets.push(decoded);
            }
        }
        secrets.retain(|s| s.len() >= 4);
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// The text without secrets, cut to a length that fits a message.
    pub fn scrub(&self, text: impl Into<String>) -> String {
        const CHARS: usize = 300;
        let mut text = text.into();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), STARS);
            }
        }
        let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS).collect();
        if clean.len() < text.len() && text.chars().count() > CHARS {
            clean.push('…');
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        let url: Url = "https://bob:hunter22@rpc.example/v2/abcdef0123456789abcdef?apikey=s3cr3t#x".parse().unwrap();
        let shown = masked_url(&url);
        assert_eq!(shown, "https://***:***@rpc.example/v2/***?***");
        let mask = Mask::new([&url], ["Bearer tok_123456"]);
        let text = mask.scrub(format!("at {url} with tok_123456 and s3cr3t, hunter22, abcdef0123456789abcdef"));
        for secret in ["hunter22", "s3cr3t", "abcdef0123456789abcdef", "tok_123456"] {
            assert!(!text.contains(secret), "{text}");
        }
        let odd: Url =
            "wss://us%40er:pa%3Ass%20word@0123456789abcdef0123.rpc.example/?key=a%2Fb%2Fc%2Fd".parse().unwrap();
        assert_eq!(masked_url(&odd), "wss://***:***@xxx.rpc.example/?***");
        let mask = Mask::new([&odd], ["Basic Ym9iYjpodW50ZXIyMg=="]);
        let basic = STANDARD.encode("us@er:pa:ss word");
        let told = ["us@er", "us%40er", "pa:ss word", "pa%3Ass%20word", &basic, "a/b/c/d", "a%2Fb%2Fc%2Fd"];
        for secret in
            told.into_iter().chain(["0123456789abcdef0123", "bobb:hunter22", "hunter22", "Ym9iYjpodW50ZXIyMg=="])
        {
            let text = mask.scrub(format!("401 for <{secret}>"));
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(format!("{mask:?}"), format!("Mask({} secrets)", mask.secrets.len()));
        assert_eq!(masked_url(&"http://127.0.0.1:8545".parse().unwrap()), "http://127.0.0.1:8545/");
        assert!(mask.scrub("x".repeat(1000)).chars().count() <= 301);
    }
}
