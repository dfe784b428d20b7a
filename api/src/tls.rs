//! TLS of the API's listener (`[api.tls]`), by rustls with ring.
//!
//! Guarantee: certificate and key are those of the files, which are looked at every two seconds; a pair that does not fit, or cannot be read,
//! is said once and leaves the former one in force. TLS 1.2 and 1.3, HTTP/1.1. Who speaks plain HTTP to the port is told so.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::metrics;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// First byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
pub const HANDSHAKE: u8 = 22;
/// What who speaks plain HTTP is told.
pub const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 44\r\nconnection: close\r\n\r\n\
    this port speaks TLS: call it with https://\n";

/// A certificate that is in force, and its files.
#[derive(Clone)]
pub struct Certificate(Arc<Files>);

struct Files {
    cert: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<ServerConfig>>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.cert).finish()
    }
}

/// Why files are no certificate with its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them cannot be read as what it should be.
    #[error("{}: {problem}; write PEM: {wanted}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        problem: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// They do not fit together, or are of a kind that is not known.
    #[error("{} and {} cannot be used together: {source}; the first certificate must be the one of that key", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, or do not fit together.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let now = RwLock::new(Arc::new(read(cert, key)?));
        Ok(Self(Arc::new(Files { cert: cert.to_owned(), key: key.to_owned(), now })))
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let now = self.0.now.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&now))
    }

    /// Follows the files, until dropped.
    pub async fn follow(&self) {
        let Files { cert, key, .. } = &*self.0;
        let mut before = stamps(cert, key);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamps(cert, key);
            if now == before {
                continue;
            }
            before = now;
            match read(cert, key) {
                Ok(config) => {
                    *self.0.now.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(config);
                    metrics::certificate(true);
                    tracing::info!(cert = %cert.display(), "the new certificate is in force");
                }
                Err(error) => {
                    metrics::certificate(false);
                    tracing::error!("the new certificate is not used, the former one stays: {error}");
                }
            }
        }
    }
}

/// What tells that a file is another one.
type Stamp = Option<(SystemTime, u64)>;

fn stamps(cert: &Path, key: &Path) -> [Stamp; 2] {
    [cert, key].map(|file| std::fs::metadata(file).ok().and_then(|m| Some((m.modified().ok()?, m.len()))))
}

fn read(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let wrong = |file: &Path, problem: String, wanted| TlsError::File { file: file.to_owned(), problem, wanted };
    const CHAIN: &str = "the certificate and, behind it, those that it is signed by";
    const KEY: &str = "the certificate's private key, without a password";
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| wrong(cert, e.to_string(), CHAIN))?;
    if chain.is_empty() {
        return Err(wrong(cert, "there is no certificate in it".to_owned(), CHAIN));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, e.to_string(), KEY))?;
    let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_to_plain_http_has_its_length() {
        let text = std::str::from_utf8(PLAIN).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
    }

    #[test]
    fn files_that_are_no_certificate_are_told() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let told = |words: &str| {
            let error = Certificate::load(&cert, &key).expect_err("no pair").to_string();
            assert!(error.contains(words), "{error}");
        };
        told("c.pem");
        std::fs::write(&cert, "nothing").expect("write");
        told("no certificate in it");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let other = rcgen::KeyPair::generate().expect("a key");
        std::fs::write(&cert, made.cert.pem()).expect("write");
        told("k.pem");
        std::fs::write(&key, other.serialize_pem()).expect("write");
        told("cannot be used together");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("write");
        Certificate::load(&cert, &key).expect("a pair");
    }
}
