//! What somebody tries, and what comes back.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Keyed;
use crate::http;

/// Bytes as they are, and all that comes back until the connection ends.
async fn raw(at: SocketAddr, bytes: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(at).await.expect("connects");
        stream.write_all(bytes.as_bytes()).await.expect("sends");
        let mut all = Vec::new();
        // A reset is an end too.
        drop(stream.read_to_end(&mut all).await);
        String::from_utf8_lossy(&all).into_owned()
    };
    tokio::time::timeout(Duration::from_secs(60), talk).await.expect("it ends")
}

/// A request that hides another one in its body: whatever is made of the lengths, the second is never answered.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_in_another() {
    let keyed = Keyed::start(&[]).await;
    let at = keyed.api.at;
    let hidden = format!("GET /api/v1/health HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    let chunked = format!("0\r\n\r\n{hidden}");
    let long = chunked.len();
    for (name, lengths, body) in [
        ("both, length first", format!("Content-Length: {long}\r\nTransfer-Encoding: chunked"), chunked.clone()),
        ("both, length last", format!("Transfer-Encoding: chunked\r\nContent-Length: {long}"), chunked.clone()),
        ("short length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked".to_owned(), chunked.clone()),
        ("two lengths", format!("Content-Length: 0\r\nContent-Length: {}", hidden.len()), hidden.clone()),
        ("two lengths in one", format!("Content-Length: 0, {}", hidden.len()), hidden.clone()),
        ("a signed length", format!("Content-Length: +{}", hidden.len()), hidden.clone()),
        ("another encoding", format!("Transfer-Encoding: xchunked\r\nContent-Length: {long}"), chunked.clone()),
        ("chunked is not last", "Transfer-Encoding: chunked, identity".to_owned(), chunked.clone()),
        ("a space before the colon", format!("Transfer-Encoding : chunked\r\nContent-Length: {long}"), chunked.clone()),
        ("a folded header", format!("X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: {long}"), chunked.clone()),
        ("a wrong chunk size", "Transfer-Encoding: chunked".to_owned(), format!("-1\r\n\r\n{hidden}")),
    ] {
        let head = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n{lengths}\r\n\r\n"
        );
        let answers = raw(at, &format!("{head}{body}")).await;
        assert!(answers.matches("HTTP/1.1 ").count() <= 1, "{name}: {answers}");
        assert!(!answers.contains("HTTP/1.1 200") && !answers.contains("\"networks\""), "{name}: {answers}");
    }
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_nothing() {
    let keyed = Keyed::start(&["ethereum"]).await;
    let key = keyed.key(&["*:*"]).await;
    let authorization = format!("Bearer {}", key.text.expose());
    let own = format!("http://{}", keyed.api.at);
    let json = ("Content-Type", "application/json");
    let post = async |more: &[(&str, &str)]| {
        let mut headers = vec![("Authorization", authorization.as_str())];
        headers.extend(more);
        let answer = http::exchange(keyed.api.at, "POST", "/api/v1/contracts", &headers, b"{}").await;
        (answer.status, answer.json()["type"].as_str().unwrap_or_default().to_owned())
    };
    let foreign = (403, "/problems/foreign-origin".to_owned());
    for origin in ["http://evil.example", "null", "https://127.0.0.1:1"] {
        assert_eq!(post(&[json, ("Origin", origin)]).await, foreign, "{origin}");
    }
    assert_eq!(post(&[json, ("Sec-Fetch-Site", "cross-site")]).await, foreign);
    // What a form of another site can send without being asked (no preflight) is not JSON.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(post(&[("Content-Type", kind)]).await, (415, "/problems/not-json".to_owned()), "{kind}");
    }
    assert_eq!(post(&[]).await.0, 415);
    assert_eq!(post(&[json, ("Origin", &own)]).await.0, 422, "our own page is let in; the body is empty");
    assert_eq!(post(&[json]).await.0, 422, "and so is a program");
    // A name of the page's own that points here (DNS rebinding): its origin is then the same as the host, which is not ours.
    let rebound = [json, ("Host", "evil.example"), ("Origin", "http://evil.example")];
    let answer = http::exchange(keyed.api.at, "POST", "/api/v1/contracts", &rebound, b"{}").await;
    assert_eq!(answer.status, 421);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_and_headers_open_nothing() {
    let keyed = Keyed::start(&[]).await;
    let at = keyed.api.at;
    for path in [
        "/api/v1/keys",
        "/api/v1/keys/",
        "//api/v1/keys",
        "/api//v1/keys",
        "/api/v1/%6beys",
        "/api/v1/./keys",
        "/api/v1/x/../keys",
        "/docs/../api/v1/keys",
        "/API/V1/KEYS",
        "/api/v1/keys;x",
        "/api/v1/keys%00",
        "/api/v1/keys?x=/docs",
        "/api/v1/keys#/docs",
        "/api/v1/health/../keys",
        "/api/v1/health%2f..%2fkeys",
        "/registry/../api/v1/keys",
        "/api/v1/audit",
        "/api/v1/contracts/1",
    ] {
        let answer = raw(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["401", "404", "400"].contains(&status), "{path}: {answer}");
    }
    for header in [
        "X-Original-URL: /api/v1/health",
        "X-Rewrite-URL: /api/v1/health",
        "X-HTTP-Method-Override: GET",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "X-Headwater-User: owner",
        "Cookie: hw_session=x",
        "Proxy-Authorization: Bearer x",
    ] {
        let answer =
            raw(at, &format!("GET /api/v1/keys HTTP/1.1\r\nHost: {at}\r\n{header}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{header}: {answer}");
    }
    // Methods that are none, or that a proxy would take for itself.
    for line in
        ["TRACE /api/v1/keys", "CONNECT /api/v1/keys", "FOO /api/v1/keys", "OPTIONS /api/v1/keys", "PUT /api/v1/keys"]
    {
        let answer = raw(at, &format!("{line} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{line}: {answer}");
    }
    // The audit has the address of the connection, whatever the headers say.
    let key = keyed.key(&["*:*"]).await;
    let body = "{\"name\":\"x\",\"scopes\":[\"chains:read\"]}";
    let made = keyed.send("POST", "/api/v1/keys", key.text.expose(), &[("X-Forwarded-For", "203.0.113.9")], body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.header("x-request-id").expect("an id").to_owned();
    let audit = keyed.ask("GET", "/api/v1/audit", key.text.expose()).await.text();
    assert!(audit.contains(&id) && audit.contains("127.0.0.1") && !audit.contains("203.0.113.9"), "{audit}");
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_much_are_refused() {
    let keyed = Keyed::start(&[]).await;
    let json = [("Content-Type", "application/json")];
    let post = async |body: &[u8]| http::exchange(keyed.api.at, "POST", "/api/v1/auth/login", &json, body).await.status;
    let deep = format!("{{\"key\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(post(deep.as_bytes()).await, 422);
    assert_eq!(post(format!("{{\"key\":\"{}\"}}", "x".repeat(2 << 20)).as_bytes()).await, 413);
    assert_eq!(post(b"{\"key\":\"\xff\"}").await, 422);
    // It still answers.
    assert_eq!(keyed.api.get("/api/v1/health").await.status, 200);
    keyed.api.stop().await;
}
