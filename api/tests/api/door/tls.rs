//! TLS, its certificate's reload, and who speaks without it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use api::{Config, tls::Certificate};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::Keyed;
use crate::http;

/// Writes a new certificate and its key.
fn make(dir: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["hw.example".to_owned()]).expect("a certificate");
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).expect("write");
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("write");
    made.cert.der().clone()
}

/// The answer to a request over TLS, by who trusts this certificate alone.
async fn ask(at: SocketAddr, trusted: &CertificateDer<'static>, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "hw.example".try_into().expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(at).await?).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_taken_over_when_they_change() {
    let dir = tempfile::tempdir().expect("temp dir");
    let first = make(dir.path());
    let certificate = Certificate::load(&dir.path().join("cert.pem"), &dir.path().join("key.pem")).expect("a pair");
    let keyed = Keyed::start_with(&[], |config| Config {
        certificate: Some(certificate),
        hosts: vec!["hw.example".to_owned()],
        ..config
    })
    .await;
    let at = keyed.api.at;
    let get = |host: &str| format!("GET /api/v1/openapi.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = ask(at, &first, &get("hw.example")).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("strict-transport-security: max-age=31536000"),
        "{answer}"
    );
    let near = ask(at, &first, &get("localhost")).await.expect("an answer");
    assert!(near.starts_with("HTTP/1.1 200") && !near.contains("strict-transport-security"), "{near}");
    // A cookie over TLS is for TLS alone.
    let key = keyed.key(&["*:read"]).await;
    let body = format!("{{\"key\":\"{}\"}}", key.text.expose());
    let login = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: hw.example\r\nOrigin: https://hw.example\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(at, &first, &login).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("; Secure"), "{answer}");
    // Who speaks plain HTTP is told.
    let plain = http::exchange(at, "GET", "/api/v1/health", &[], b"").await;
    assert!(plain.status == 400 && plain.text().contains("https://"), "{}", plain.text());
    // A key that does not fit leaves the former pair in force; one that does is taken over.
    let other = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(dir.path().join("key.pem"), other.serialize_pem()).expect("write");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ask(at, &first, &get("hw.example")).await.is_ok());
    let second = make(dir.path());
    let taken = async {
        while ask(at, &second, &get("hw.example")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("the new certificate is in force");
    assert!(ask(at, &first, &get("hw.example")).await.is_err(), "the former one is gone");
    keyed.api.stop().await;
}
