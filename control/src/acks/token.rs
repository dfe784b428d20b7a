//! Tokens of links that acknowledge one alert. Pure.
//!
//! Guarantee: a token says for which alert of which tenant it is, in which message it stands, and how long it is good; whoever has not the
//! control store's secret can neither make one nor change one (HMAC-SHA-256, RFC 2104, of which 128 bits are kept, under a key that is for
//! this purpose alone). The same message has the same token, on every attempt.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use runtime::config;
use schemas::{TimeMs, limits::control as limits};
use sha2::Sha256;

use crate::{
    error::Error,
    id::Id,
    scopes::{Allowed, Resource, Scopes},
    secret::{self, Pepper},
    tenant::{Actor, Authenticated, Tenant},
};

/// First byte of a token as it is here.
const VERSION: u8 = 1;
const TAG: usize = 16;
const TIME: usize = 8;

/// Makes and reads tokens.
#[derive(Clone)]
pub struct AckTokens {
    key: Hmac<Sha256>,
    /// Links that went out before the secret was changed are good still, where the former secret is known.
    former: Option<Hmac<Sha256>>,
}

/// A token that is good: the way to one alert.
#[derive(Debug, Clone)]
pub struct AckToken {
    /// The alert's id.
    pub(super) alert: String,
    /// The message that it stands in.
    pub(super) message: String,
    /// Until when it is good.
    pub(super) expires_at: TimeMs,
    /// What it is known by once it was used.
    pub(super) mark: String,
    /// Whoever comes with it.
    pub(super) who: Authenticated,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAckToken {
    /// It is none of ours, or was changed: 404.
    #[error("this is no link of a message")]
    Altered,
    /// Its time is over: 410.
    #[error("this link was good for {} hours", limits::ACK_TOKEN_GOOD.as_secs() / 3_600)]
    Expired,
}

impl AckTokens {
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
        let (key, former) = pepper.acknowledging();
        Self { key, former }
    }

    /// The token for a message about an alert, good for [`limits::ACK_TOKEN_GOOD`] from `made_at` on, which is the message's own time: so a
    /// message that is sent again is the same. `tenant` is a ULID as text; `alert` and `message` are any ids without `/`.
    pub fn sign(&self, tenant: &str, alert: &str, message: &str, made_at: TimeMs) -> String {
        let good = i64::try_from(limits::ACK_TOKEN_GOOD.as_millis()).unwrap_or(i64::MAX);
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&made_at.0.saturating_add(good).to_be_bytes());
        bytes.extend_from_slice(format!("{tenant}/{alert}/{message}").as_bytes());
        let tag = tag(&self.key, &bytes);
        bytes.extend_from_slice(&tag);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that came back.
    ///
    /// # Errors
    /// It was altered, or its time is over.
    pub fn verify(&self, token: &str, now: TimeMs) -> Result<AckToken, NoAckToken> {
        let altered = NoAckToken::Altered;
        if token.len() > limits::ACK_TOKEN_CHARACTERS {
            return Err(altered);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| altered)?;
        let (body, mark) = bytes.split_last_chunk::<TAG>().ok_or(altered)?;
        let mut keys = [Some(&self.key), self.former.as_ref()].into_iter().flatten();
        if !keys.any(|key| secret::same_bytes(&tag(key, body), mark)) {
            return Err(altered);
        }
        let (&VERSION, rest) = body.split_first().ok_or(altered)? else { return Err(altered) };
        let (time, rest) = rest.split_first_chunk::<TIME>().ok_or(altered)?;
        let rest = std::str::from_utf8(rest).map_err(|_| altered)?;
        let mut parts = rest.split('/');
        let (Some(tenant), Some(alert), Some(message), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(altered);
        };
        let tenant: Id = tenant.parse().map_err(|_| altered)?;
        let expires_at = TimeMs(i64::from_be_bytes(*time));
        if expires_at <= now {
            return Err(NoAckToken::Expired);
        }
        Ok(AckToken {
            alert: alert.to_owned(),
            message: message.to_owned(),
            expires_at,
            mark: const_hex::encode(mark),
            who: link(tenant, expires_at),
        })
    }
}

fn tag(key: &Hmac<Sha256>, body: &[u8]) -> [u8; TAG] {
    let mut mac = key.clone();
    mac.update(body);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut tag = [0; TAG];
    tag.copy_from_slice(whole.split_at(TAG).0);
    tag
}

impl AckToken {
    /// The alert's id.
    pub fn alert(&self) -> &str {
        &self.alert
    }
    /// The id of the message that the link stood in.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// Until when it is good.
    pub fn expires_at(&self) -> TimeMs {
        self.expires_at
    }
    /// Whoever comes with it: he may look at this tenant's alerts and acknowledge, and is shown nothing but this one.
    pub fn who(&self) -> &Authenticated {
        &self.who
    }
}

/// Whoever follows a link of a message of this tenant.
fn link(id: Id, expires_at: TimeMs) -> Authenticated {
    let tenant = Tenant::whole(id);
    let scopes = Scopes::of(&[(Resource::Alerts, Allowed::Read), (Resource::Alerts, Allowed::Write)]);
    let expires_at = Some(expires_at);
    Authenticated { tenant, actor: Actor::Link, scopes, role: None, platform: false, expires_at, session: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime::config::Secret;

    use super::*;

    const TENANT: &str = "00000000000000000000000000";
    const ALERT: &str = "01J0000000000000000000000A";

    fn tokens(secret: &str) -> AckTokens {
        AckTokens::new(&Pepper::new(&Secret::new(secret.repeat(32))))
    }

    #[test]
    fn a_token_is_good_for_a_day_and_for_one_alert() {
        let (ours, at) = (tokens("a"), TimeMs(1_795_860_000_000));
        let token = ours.sign(TENANT, ALERT, "m1", at);
        assert_eq!(token, ours.sign(TENANT, ALERT, "m1", at), "an attempt more is the same message");
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{token}");
        let read = ours.verify(&token, at).unwrap();
        assert_eq!((read.alert(), read.message(), read.expires_at().0 - at.0), (ALERT, "m1", 24 * 3_600_000));
        assert_eq!(read.who().tenant().id().as_str(), TENANT);
        assert!(
            read.who().allows(Resource::Alerts, Allowed::Write) && !read.who().allows(Resource::Keys, Allowed::Read)
        );
        assert_eq!(ours.verify(&token, TimeMs(at.0 + 24 * 3_600_000)).unwrap_err(), NoAckToken::Expired);
        assert_eq!(tokens("b").verify(&token, at).unwrap_err(), NoAckToken::Altered);
        let other = ours.verify(&ours.sign(TENANT, ALERT, "m2", at), at).unwrap();
        assert_ne!(other.mark, read.mark, "each message's link is good once");
        for none in ["", "x", "AAAA", &"A".repeat(10_000)] {
            assert_eq!(ours.verify(none, at).unwrap_err(), NoAckToken::Altered, "{none}");
        }
        // A day is over, and it was altered, too: no word of the time.
        let mut altered = token.into_bytes();
        altered[20] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(ours.verify(&altered, TimeMs(i64::MAX)).unwrap_err(), NoAckToken::Altered);
    }

    proptest! {
        #[test]
        fn what_was_altered_is_none(alert in "[0-9A-Z]{26}", at: usize, to in "[A-Za-z0-9_-]") {
            let ours = tokens("a");
            let token = ours.sign(TENANT, &alert, "m", TimeMs(0));
            let at = at % token.len();
            let mut altered = token.clone();
            altered.replace_range(at..=at, &to);
            prop_assert_eq!(ours.verify(&altered, TimeMs(1)).is_ok(), altered == token);
        }
    }
}
