//! Secrets of channels and of people, sealed: readable by who has the control store's secret, and by nobody who has the database, the log or a back-up
//! alone.
//!
//! Guarantee: what was sealed for one thing of one tenant opens for that thing alone, and only as it was: it is ChaCha20-Poly1305 (RFC
//! 8439) with a fresh random nonce, under a key that is derived (HMAC-SHA-256, RFC 2104) from the control store's secret, the tenant, the
//! kind and the id, which are the associated data too. A thing's key seals as often as the thing is changed, so that nonces of 96 random
//! bits never meet.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use runtime::{config, private};
use schemas::records::DefinitionKind;
use serde_json::Value;
use sha2::Sha256;

use crate::{
    error::Error,
    secret::{self, Pepper},
};

/// First byte of what is sealed as it is here.
const VERSION: u8 = 1;
const NONCE: usize = 12;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Sealer {
    root: Hmac<Sha256>,
    /// What was sealed before the secret was changed opens still, where the former secret is known.
    former: Option<Hmac<Sha256>>,
}

impl Sealer {
    /// With the secret of these settings: for a stage that has no connection to the control store.
    ///
    /// # Errors
    /// There is no secret, or its file cannot be read.
    pub fn of(settings: &config::Control) -> Result<Self, Error> {
        let secrets = secret::of_settings(settings)?;
        // What hashes that are kept were made with is not asked here.
        Ok(Self::new(&Pepper::of(&secrets, &secrets.present)))
    }

    pub(crate) fn new(pepper: &Pepper) -> Self {
        let (root, former) = pepper.sealing();
        Self { root, former }
    }

    /// The same without the former secret: opens what needs not be sealed anew.
    pub(crate) fn present(&self) -> Self {
        Self { root: self.root.clone(), former: None }
    }

    /// Seals a thing's secrets, as base64 text. `tenant` and `id` are ULIDs as text.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal(&self, tenant: &str, kind: DefinitionKind, id: &str, secrets: &Value) -> Result<String, Error> {
        self.seal_for(&[tenant, kind.as_str(), id], secrets)
    }

    /// The same for what is no thing of a tenant: `of` says whose it is and what for, and the first part is a word of ours that no tenant's
    /// id can be, such as `totp`.
    ///
    /// # Errors
    /// As of [`Self::seal`].
    pub fn seal_for(&self, of: &[&str], secrets: &Value) -> Result<String, Error> {
        let of_whom = of_whom(of);
        let nonce = private::random::<NONCE>().map_err(|e| Error::Settings(format!("no random numbers: {e}")))?;
        let mut body = secrets.to_string().into_bytes();
        key(&self.root, &of_whom)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&of_whom), &mut body)
            .map_err(|_| Error::Settings("secrets are too long to be sealed".to_owned()))?;
        let mut sealed = Vec::with_capacity(1 + NONCE + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// Opens what was sealed for this thing.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: it was sealed with another secret or for another thing, or was changed.
    pub fn open(&self, tenant: &str, kind: DefinitionKind, id: &str, sealed: &str) -> Result<Value, Error> {
        self.open_for(&[tenant, kind.as_str(), id], sealed)
    }

    /// Opens what was sealed with the same words.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub fn open_for(&self, of: &[&str], sealed: &str) -> Result<Value, Error> {
        let broken = || {
            let of = of.last_chunk::<2>().map_or_else(|| of.concat(), |of| of.join(" "));
            Error::Corrupt(format!(
                "the secrets of the {of} cannot be opened: they were sealed with another `[control] secret`, or changed; put back the \
                 secret that was there, or set them again"
            ))
        };
        let of_whom = of_whom(of);
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| broken())?;
        let (&VERSION, rest) = bytes.split_first().ok_or_else(broken)? else { return Err(broken()) };
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        for root in [Some(&self.root), self.former.as_ref()].into_iter().flatten() {
            // What did not open has garbled its copy.
            let mut body = body.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(text) = key(root, &of_whom)?.open_in_place(nonce, Aad::from(&of_whom), &mut body) {
                return serde_json::from_slice(text).map_err(|_| broken());
            }
        }
        Err(broken())
    }
}

/// The key of one thing.
fn key(root: &Hmac<Sha256>, of_whom: &[u8]) -> Result<LessSafeKey, Error> {
    let mut mac = root.clone();
    mac.update(of_whom);
    let key = UnboundKey::new(&CHACHA20_POLY1305, &mac.finalize().into_bytes());
    key.map(LessSafeKey::new).map_err(|_| Error::Settings("a key to seal with has 32 bytes".to_owned()))
}

/// Whose secrets they are: each part with its length, so that no two things have the same bytes.
fn of_whom(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime::config::Secret;
    use serde_json::json;

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Pepper::new(&Secret::new(secret.repeat(32))))
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_thing_alone() {
        let secrets = json!({"url": "https://hooks.example/very-secret", "headers": {"X": "y"}});
        let ours = sealer("a");
        let sealed = ours.seal("T", DefinitionKind::Channel, "1", &secrets).unwrap();
        assert!(!sealed.contains("secret"), "{sealed}");
        assert_eq!(ours.open("T", DefinitionKind::Channel, "1", &sealed).unwrap(), secrets);
        assert_ne!(sealed, ours.seal("T", DefinitionKind::Channel, "1", &secrets).unwrap(), "a nonce of its own");
        for (tenant, kind, id) in [
            ("U", DefinitionKind::Channel, "1"),
            ("T", DefinitionKind::Rule, "1"),
            ("T", DefinitionKind::Channel, "2"),
            ("", DefinitionKind::Channel, "T1"),
        ] {
            assert!(ours.open(tenant, kind, id, &sealed).is_err(), "{tenant} {kind:?} {id}");
        }
        let e = sealer("b").open("T", DefinitionKind::Channel, "1", &sealed).unwrap_err().to_string();
        assert!(e.contains("channel 1") && e.contains("[control] secret") && !e.contains("hooks"), "{e}");
    }

    proptest! {
        #[test]
        fn what_was_changed_never_opens(text: String, at: usize, flip in 1u8..) {
            let ours = sealer("a");
            let sealed = ours.seal("T", DefinitionKind::Channel, "1", &json!({"url": text})).unwrap();
            let mut bytes = BASE64_STANDARD.decode(&sealed).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(ours.open("T", DefinitionKind::Channel, "1", &BASE64_STANDARD.encode(&bytes)).is_err());
            bytes.truncate(at);
            prop_assert!(ours.open("T", DefinitionKind::Channel, "1", &BASE64_STANDARD.encode(&bytes)).is_err());
        }
    }
}
