//! Sessions of the page: a cookie that names a key, and is no key.
//!
//! Guarantee: a session is `PREFIX.ENDS.NONCE.MAC`, the MAC (HMAC-SHA-256 under a key that is derived from the control store's secret) being
//! over the rest and over the *hash of the key's secret*. So nothing has to be kept: every process with the same secret knows a session
//! again, after a restart too; it ends with its key (revoked, expired, suspended: within 5 s, as the key itself), with that key's secret
//! (rotated), or with its time; and who reads the cookie does not have the key. The value that proves a change to be the page's own is
//! another MAC over the session.

use std::{sync::Arc, time::Duration};

use runtime::private;
use schemas::TimeMs;

use super::{
    door::{Prefix, Proof},
    text,
};
use crate::{
    error::Denied,
    open::Control,
    secret::{self, Hash, Which},
    tenant::Authenticated,
};

/// A session that was begun or came back.
#[derive(Clone)]
pub struct Session {
    /// The cookie's value: a secret.
    pub cookie: String,
    /// What a change by it has to say in a header: a secret of the page.
    pub csrf: String,
    /// The session's own number, by which it can be ended before its time.
    pub nonce: [u8; 16],
    /// When it ends at the latest.
    pub ends: TimeMs,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Control {
    /// Begins a session with a key.
    ///
    /// # Errors
    /// As of [`Control::authenticate`].
    pub async fn begin_session(
        &self,
        presented: &str,
        life: Duration,
    ) -> Result<(Arc<Authenticated>, Session), Denied> {
        let who = self.authenticate(presented).await?;
        let prefix = text::prefix(presented).ok_or(Denied::Malformed)?;
        let nonce = private::random::<16>().map_err(|_| Denied::Busy)?;
        let ends = TimeMs(TimeMs::now().0 + life.as_millis() as i64);
        Ok((who, self.session(Which::Present, &self.pepper.of_key(presented), prefix, ends, nonce)))
    }

    /// Takes a session up again by its cookie.
    ///
    /// # Errors
    /// It is none of ours, its time is over, or as of [`Control::authenticate`].
    pub async fn resume_session(&self, cookie: &str) -> Result<(Arc<Authenticated>, Session), Denied> {
        let (prefix, ends, nonce) = parts(cookie).ok_or(Denied::Malformed)?;
        if ends <= TimeMs::now() {
            return Err(Denied::Expired);
        }
        // One that was begun before the secret was changed goes on while the former one is known.
        let session_of = |key: &Hash| {
            let mut sessions = self.pepper.good().map(|which| self.session(which, key, prefix, ends, nonce));
            sessions.find(|session| secret::same_text(&session.cookie, cookie))
        };
        let proof = |key: &Hash| session_of(key).is_some();
        let (who, key) = self.let_in(prefix, Proof::Session(&proof)).await?;
        Ok((who, session_of(&key).ok_or(Denied::Unknown)?))
    }

    fn session(&self, which: Which, key: &Hash, prefix: Prefix, ends: TimeMs, nonce: [u8; 16]) -> Session {
        let time = ends.0.to_be_bytes();
        let of = |what: &[u8]| {
            let mac = self.pepper.of_session(which, [what, &key[..], &prefix[..], &time[..], &nonce[..]]);
            const_hex::encode(mac)
        };
        let prefix_text = String::from_utf8_lossy(&prefix);
        let cookie = format!("{prefix_text}.{}.{}.{}", ends.0, const_hex::encode(nonce), of(b"session"));
        Session { cookie, csrf: of(b"csrf"), nonce, ends }
    }
}

/// Prefix, end and nonce of what has the form of a session.
fn parts(cookie: &str) -> Option<(Prefix, TimeMs, [u8; 16])> {
    let mut parts = cookie.split('.');
    let (prefix, ends, nonce, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut number = [0; 16];
    const_hex::decode_to_slice(nonce, &mut number).ok()?;
    let good = parts.next().is_none() && mac.len() == 64 && ends.len() <= 15;
    good.then_some((prefix.as_bytes().try_into().ok()?, TimeMs(ends.parse().ok()?), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_is_looked_at() {
        let mac = "a".repeat(64);
        let nonce = "0".repeat(32);
        assert!(parts(&format!("abcdefgh.1234.{nonce}.{mac}")).is_some());
        for wrong in [
            String::new(),
            "...".to_owned(),
            format!("abcdefg.1234.{nonce}.{mac}"),
            format!("abcdefgh.x.{nonce}.{mac}"),
            format!("abcdefgh.1234.0.{mac}"),
            format!("abcdefgh.1234.{nonce}.{mac}.{mac}"),
            format!("abcdefgh.1234.{nonce}.{}", &mac[1..]),
            format!("abcdefgh.{}.{nonce}.{mac}", "9".repeat(16)),
        ] {
            assert!(parts(&wrong).is_none(), "{wrong}");
        }
    }
}
