//! Which certificate an Electrum server may show. Most servers sign their own.
//!
//! Guarantee: with a configured fingerprint nothing else is accepted. Without one the certificate that was seen first is, and whatever one
//! of the system's authorities vouches for under the server's name; another one is refused until an operator says so, loudly. What was
//! seen first outlives the process where there is a folder for it; where its file cannot be read, nothing is accepted. Of several first
//! connections the first one that is proved decides.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::metrics;

/// A fingerprint as people write it: 64 hex digits, with or without colons.
///
/// # Errors
///
/// What to write instead.
pub fn parse_fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let mut bytes = [0; 32];
    match const_hex::decode_to_slice(&digits, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(format!(
            "`{text}` is no fingerprint: write the certificate's SHA-256 as 64 hex digits, with colons or without"
        )),
    }
}

/// A certificate's fingerprint: SHA-256 of its DER form.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// The judge of one endpoint's certificates.
pub(super) struct Certificates {
    endpoint: Arc<str>,
    configured: Option<[u8; 32]>,
    /// The one that is believed.
    known: Mutex<Option<[u8; 32]>>,
    /// Why what was seen first is not known.
    unreadable: Option<String>,
    file: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("endpoint", &self.endpoint).field("file", &self.file).finish()
    }
}

/// The system's authorities; `None` where there are none.
fn authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    static AUTHORITIES: OnceLock<Option<Arc<WebPkiServerVerifier>>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok()
    };
    AUTHORITIES.get_or_init(make).clone()
}

impl Certificates {
    /// Of an endpoint at a place (`host:port`). What was seen of it before is read.
    pub fn new(endpoint: Arc<str>, configured: Option<[u8; 32]>, folder: Option<&Path>, place: &str) -> Self {
        let name: String =
            place.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' }).collect();
        let file = folder.map(|folder| folder.join(format!("{name}.sha256")));
        let (known, unreadable) = match file.as_deref().map_or(Ok(None), read) {
            Ok(known) => (Mutex::new(known), None),
            Err(why) => (Mutex::default(), Some(why)),
        };
        Self { endpoint, configured, known, unreadable, file, provider: Arc::new(ring::default_provider()) }
    }

    fn known(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has proved that it holds the key of an accepted certificate: from now on that one is believed. True where it is to be
    /// [remembered](Self::remember).
    ///
    /// # Errors
    /// Another connection was first meanwhile, and was shown another certificate.
    pub fn proved(&self, shown: [u8; 32], vouched_for: impl FnOnce() -> bool) -> Result<bool, String> {
        if self.configured.is_some() {
            return Ok(false);
        }
        let now = const_hex::encode(shown);
        let mut known = self.known();
        match *known {
            Some(former) if former == shown => return Ok(false),
            Some(former) => {
                if !vouched_for() {
                    return Err(self.changed(former, shown));
                }
                metrics::certificate_changed(&self.endpoint);
                tracing::warn!(endpoint = %self.endpoint, was = const_hex::encode(former), now, "a server shows another certificate than before, for which an authority vouches");
            }
            None => {
                tracing::info!(endpoint = %self.endpoint, now, "a server's certificate was seen for the first time and is believed from now on");
            }
        }
        *known = Some(shown);
        Ok(true)
    }

    /// Writes down what is believed from now on.
    pub async fn remember(&self, shown: [u8; 32]) {
        let Some(file) = &self.file else { return };
        if let Err(error) = write(file, &shown).await {
            tracing::warn!(endpoint = %self.endpoint, file = %file.display(), %error, "a server's certificate cannot be remembered: whoever is there after a restart is believed");
        }
    }

    /// Whether an authority vouches for these certificates, the server's own first, under its name.
    pub fn vouched_for(&self, certificates: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let Some((own, others)) = certificates.split_first() else { return false };
        authorities(&self.provider)
            .is_some_and(|authorities| authorities.verify_server_cert(own, others, name, &[], UnixTime::now()).is_ok())
    }

    /// Whether a certificate is accepted; why not.
    fn decide(&self, shown: [u8; 32], vouched_for: impl FnOnce() -> bool) -> Result<(), String> {
        let now = const_hex::encode(shown);
        if let Some(configured) = self.configured {
            if configured == shown {
                return Ok(());
            }
            metrics::certificate_changed(&self.endpoint);
            let configured = const_hex::encode(configured);
            tracing::error!(endpoint = %self.endpoint, now, configured, "the server shows another certificate than the configured one and is not used");
            return Err(format!(
                "its certificate is {now}, and `fingerprint` says another; is it the server that is meant?"
            ));
        }
        if let Some(why) = &self.unreadable {
            metrics::certificate_changed(&self.endpoint);
            tracing::error!(endpoint = %self.endpoint, now, why, "a server's certificate cannot be compared and the server is not used");
            return Err(why.clone());
        }
        let known = *self.known();
        let Some(known) = known.filter(|known| *known != shown) else { return Ok(()) };
        if vouched_for() {
            return Ok(());
        }
        Err(self.changed(known, shown))
    }

    /// Tells of another certificate than the one that is believed; gives why it is refused.
    fn changed(&self, known: [u8; 32], shown: [u8; 32]) -> String {
        let now = const_hex::encode(shown);
        metrics::certificate_changed(&self.endpoint);
        let was = const_hex::encode(known);
        tracing::error!(endpoint = %self.endpoint, was, now, "A SERVER'S CERTIFICATE CHANGED: somebody may be listening. It is not used until `fingerprint` says the new one");
        let file = self.file.as_ref().map(|file| format!(", or remove {} and restart", file.display()));
        let file = file.unwrap_or_default();
        format!("its certificate changed from {was} to {now}: if that is meant, write `fingerprint = \"{now}\"`{file}")
    }
}

/// Writes a fingerprint so that a reader finds all of it or what was there before.
async fn write(file: &Path, fingerprint: &[u8; 32]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let new = file.with_extension(format!("new-{}", std::process::id()));
    let mut writing = tokio::fs::File::create(&new).await?;
    writing.write_all(format!("{}\n", const_hex::encode(fingerprint)).as_bytes()).await?;
    // Else it may be an empty one after the power was lost.
    writing.sync_all().await?;
    tokio::fs::rename(&new, file).await?;
    match file.parent() {
        Some(folder) => tokio::fs::File::open(folder).await?.sync_all().await,
        None => Ok(()),
    }
}

/// What was seen first, where there is anything.
///
/// # Errors
/// Something is there that cannot be read: what to do.
fn read(file: &Path) -> Result<Option<[u8; 32]>, String> {
    let cure = |what: String| {
        let file = file.display();
        format!(
            "which certificate it had cannot be read from {file} ({what}): write `fingerprint`, or remove that file and restart"
        )
    };
    match std::fs::read_to_string(file) {
        Ok(text) => match parse_fingerprint(text.trim()) {
            Ok(known) => Ok(Some(known)),
            Err(_) => Err(cure("it holds no fingerprint".to_owned())),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(cure(e.to_string())),
    }
}

impl ServerCertVerifier for Certificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let vouched_for = || {
            authorities(&self.provider).is_some_and(|authorities| {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).is_ok()
            })
        };
        if end_entity.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        match self.decide(fingerprint(end_entity), vouched_for) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(why) => Err(Error::General(why)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_prints_it() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(parse_fingerprint(&plain), Ok([0xab; 32]));
        assert_eq!(parse_fingerprint(&colons), Ok([0xab; 32]));
        for wrong in ["", "abc", &"ab".repeat(31), &"xy".repeat(32)] {
            assert!(parse_fingerprint(wrong).unwrap_err().contains("64 hex digits"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_was_seen_first_is_believed_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("headwater-certificates-{}", fastrand::u64(..)));
        let of = |configured| Certificates::new("a".into(), configured, Some(&folder), "e.example:50002");
        let (one, other) = ([1; 32], [2; 32]);
        let judge = of(None);
        assert_eq!(judge.decide(one, || false), Ok(()));
        assert_eq!(judge.decide(other, || false), Ok(()), "nobody has proved anything yet");
        assert_eq!(judge.proved(one, || false), Ok(true));
        judge.remember(one).await;
        assert_eq!(judge.proved(one, || false), Ok(false), "that is known");
        assert!(judge.proved(other, || false).is_err(), "of two first connections one was first");
        assert_eq!(judge.decide(one, || panic!("nobody needs to vouch")), Ok(()));
        let refused = judge.decide(other, || false).unwrap_err();
        assert!(refused.contains(&const_hex::encode(other)) && refused.contains("e.example_50002.sha256"), "{refused}");
        // Another process, later.
        let later = of(None);
        assert!(later.decide(other, || false).is_err());
        assert_eq!(later.decide(other, || true), Ok(()), "an authority vouches for the new one");
        assert_eq!(later.proved(other, || true), Ok(true));
        later.remember(other).await;
        assert!(of(None).decide(one, || false).is_err());
        // What cannot be read is not the same as nothing.
        std::fs::write(folder.join("e.example_50002.sha256"), "").unwrap();
        assert!(of(None).decide(other, || true).unwrap_err().contains("remove that file"));
        assert_eq!(of(Some(one)).decide(one, || false), Ok(()));
        // What is configured beats both.
        let configured = of(Some(one));
        assert_eq!(configured.decide(one, || false), Ok(()));
        assert!(configured.decide(other, || true).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
