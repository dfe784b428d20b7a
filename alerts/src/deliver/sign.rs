//! Signatures of Standard Webhooks (standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`).
//!
//! Guarantee: what is signed is `id.timestamp.body`, the bytes that are sent. While a secret is being replaced both sign, the new one first.

use base64::Engine as _;
use conditions::channel::BASE64;
use hmac::{Hmac, Mac};
use ring::signature::Ed25519KeyPair;
use sha2::Sha256;

/// A key that signs.
enum Key {
    /// `v1`: HMAC-SHA-256.
    Shared(Hmac<Sha256>),
    /// `v1a`: Ed25519.
    Pair(Box<Ed25519KeyPair>),
}

/// What a webhook is signed with.
pub struct Signer {
    keys: Vec<Key>,
}

impl Signer {
    /// With these secrets (`whsec_…`, whose prefix may be missing, or `whsk_…`), the newest first.
    ///
    /// # Errors
    /// One of them is none; it is not shown.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, &'static str> {
        let keys = secrets.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err("the channel has no signing secret") } else { Ok(Self { keys }) }
    }

    /// `webhook-signature` of a message at a time in Unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        let of = |key: &Key| match key {
            Key::Shared(mac) => {
                let mut mac = mac.clone();
                mac.update(&signed);
                format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
            }
            Key::Pair(pair) => format!("v1a,{}", BASE64.encode(pair.sign(&signed))),
        };
        self.keys.iter().map(of).collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Result<Key, &'static str> {
    const NONE: &str = "the channel's signing secret cannot be used";
    if let Some(private) = text.strip_prefix("whsk_") {
        let bytes = BASE64.decode(private).map_err(|_| NONE)?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(NONE),
        };
        return pair.map(|pair| Key::Pair(Box::new(pair))).map_err(|_| NONE);
    }
    let bytes = BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| NONE)?;
    if bytes.is_empty() {
        return Err(NONE);
    }
    Hmac::new_from_slice(&bytes).map(Key::Shared).map_err(|_| NONE)
}
