//! Access tokens: JWTs (RFC 7519) in the profile of RFC 9068, as RFC 8725 wants them.
//!
//! Guarantee: one algorithm, EdDSA over Ed25519 (RFC 8037), and one form of header: `alg`, `kid`, `typ`, and nothing else, each once. So there
//! is no `none`, no other algorithm and no key that a token brings along (`jwk`, `jku`, `x5u`, `crit` are not known fields, and refused). The
//! signature is looked at before any claim; then issuer, audience and times. Pure: keys and the clock are given.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use schemas::{TimeMs, limits::accounts as limits};
use serde::{Deserialize, Serialize};

use crate::error::Denied;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "at+jwt";
/// Whom our tokens are for.
pub(super) const AUDIENCE: &str = "headwater";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// What a token says. Times are whole seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    /// The person.
    pub(super) sub: String,
    /// The organisation.
    pub(super) org: String,
    /// The session.
    pub(super) sid: String,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
}

/// Makes a token.
pub(super) fn sign(kid: &str, key: &Ed25519KeyPair, claims: &Claims) -> Result<String, serde_json::Error> {
    let header = Header { alg: ALGORITHM.to_owned(), kid: kid.to_owned(), typ: TYPE.to_owned() };
    let encode = |json: Vec<u8>| BASE64_URL_SAFE_NO_PAD.encode(json);
    let mut text = format!("{}.{}", encode(serde_json::to_vec(&header)?), encode(serde_json::to_vec(claims)?));
    let signature = key.sign(text.as_bytes());
    text.push('.');
    text.push_str(&BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()));
    Ok(text)
}

/// A token that has the form of ours, of which nothing is believed yet.
pub(super) struct Unproven<'t> {
    /// The key that it says to be signed with.
    pub(super) kid: String,
    signed: &'t str,
    claims: &'t str,
    signature: Vec<u8>,
}

/// Takes a token apart.
pub(super) fn read(token: &str) -> Result<Unproven<'_>, Denied> {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::Malformed);
    if token.len() > limits::ACCESS_TOKEN_CHARACTERS {
        return Err(Denied::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Denied::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Denied::Malformed)?;
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Denied::Malformed)?;
    if header.alg != ALGORITHM || header.typ != TYPE || claims.contains('.') {
        return Err(Denied::Malformed);
    }
    Ok(Unproven { kid: header.kid, signed, claims, signature: decode(signature)? })
}

impl Unproven<'_> {
    /// Its claims, if this key signed them, for us, and now is their time.
    pub(super) fn prove(&self, public: &[u8; 32], issuer: &str, now: TimeMs) -> Result<Claims, Denied> {
        let key = UnparsedPublicKey::new(&ED25519, public);
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| Denied::Unknown)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(self.claims).map_err(|_| Denied::Malformed)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Denied::Malformed)?;
        if claims.iss != issuer || claims.aud != AUDIENCE {
            return Err(Denied::Unknown);
        }
        let skew = limits::CLOCK_SKEW.as_secs() as i64;
        let longest = limits::ACCESS_TOKEN_LIFE.1.as_secs() as i64;
        let now = now.0.div_euclid(1_000);
        if claims.iat > now + skew || claims.exp.saturating_sub(claims.iat) > longest {
            return Err(Denied::Unknown);
        }
        if claims.exp <= now {
            return Err(Denied::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac};
    use proptest::prelude::*;
    use ring::signature::KeyPair;
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::*;

    const NOW: TimeMs = TimeMs(1_800_000_000_000);
    const ISSUER: &str = "https://hw.example";

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
    }

    fn public(key: &Ed25519KeyPair) -> [u8; 32] {
        key.public_key().as_ref().try_into().expect("32 bytes")
    }

    fn claims() -> Claims {
        let text = |text: &str| text.to_owned();
        Claims {
            iss: text(ISSUER),
            aud: text(AUDIENCE),
            sub: text("01J0000000000000000000000U"),
            org: text("01J0000000000000000000000T"),
            sid: text("01J0000000000000000000000S"),
            iat: 1_800_000_000,
            exp: 1_800_000_600,
            jti: text("1"),
        }
    }

    fn prove(token: &str, at: TimeMs) -> Result<Claims, Denied> {
        read(token)?.prove(&public(&key(1)), ISSUER, at)
    }

    fn encode(json: &Value) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
    }

    /// Signed with our own key, whatever it says.
    fn signed(header: &str, claims: &str) -> String {
        let text = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key(1).sign(text.as_bytes()).as_ref());
        format!("{text}.{signature}")
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let token = sign("k", &key(1), &claims()).expect("signed");
        assert!(token.len() < limits::ACCESS_TOKEN_CHARACTERS / 2, "{}", token.len());
        assert_eq!(read(&token).map(|t| t.kid), Ok("k".to_owned()));
        assert_eq!(prove(&token, NOW), Ok(claims()));
        assert_eq!(prove(&token, TimeMs(NOW.0 - 5_000)), Ok(claims()), "clocks differ a little");
        assert_eq!(prove(&token, TimeMs(NOW.0 - 6_000)), Err(Denied::Unknown), "of the future");
        assert_eq!(prove(&token, TimeMs(NOW.0 + 599_999)), Ok(claims()));
        assert_eq!(prove(&token, TimeMs(NOW.0 + 600_000)), Err(Denied::Expired));
    }

    #[test]
    fn another_key_issuer_or_audience_is_nobodys() {
        assert_eq!(prove(&sign("k", &key(2), &claims()).expect("signed"), NOW), Err(Denied::Unknown));
        for change in [
            |c: &mut Claims| c.iss = "https://evil.example".to_owned(),
            |c: &mut Claims| c.aud = "another".to_owned(),
            |c: &mut Claims| c.aud = String::new(),
            |c: &mut Claims| c.exp = c.iat + 86_400,
            |c: &mut Claims| c.iat = i64::MIN / 2,
            |c: &mut Claims| c.iat += 3_600,
        ] {
            let mut changed = claims();
            change(&mut changed);
            assert_eq!(prove(&sign("k", &key(1), &changed).expect("signed"), NOW), Err(Denied::Unknown), "{changed:?}");
        }
    }

    #[test]
    fn no_other_algorithm_and_no_key_of_its_own() {
        let good = json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"});
        let claims = serde_json::to_value(claims()).expect("json");
        assert!(prove(&signed(&encode(&good), &encode(&claims)), NOW).is_ok(), "the form is right");
        for alg in
            ["none", "None", "NONE", "", "HS256", "HS384", "RS256", "ES256", "PS256", "EdDSA ", "eddsa", "Ed25519"]
        {
            let header = encode(&json!({"alg": alg, "kid": "k", "typ": "at+jwt"}));
            assert!(prove(&signed(&header, &encode(&claims)), NOW).is_err(), "{alg}");
            assert!(prove(&format!("{header}.{}.", encode(&claims)), NOW).is_err(), "{alg} without a signature");
        }
        // The public key as the secret of an HMAC.
        for alg in ["HS256", "EdDSA"] {
            let text = format!("{}.{}", encode(&json!({"alg": alg, "kid": "k", "typ": "at+jwt"})), encode(&claims));
            let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&public(&key(1))).expect("a key");
            mac.update(text.as_bytes());
            let mac = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            assert!(prove(&format!("{text}.{mac}"), NOW).is_err(), "{alg}");
        }
        for header in [
            json!({"alg": "EdDSA", "kid": "k"}),
            json!({"alg": "EdDSA", "typ": "at+jwt"}),
            json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"}),
            json!({"alg": "EdDSA", "kid": ["k"], "typ": "at+jwt"}),
            json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA"}}),
            json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt", "jku": "https://evil.example/jwks.json"}),
            json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt", "x5u": "https://evil.example/x"}),
            json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt", "crit": ["exp"]}),
        ] {
            assert!(prove(&signed(&encode(&header), &encode(&claims)), NOW).is_err(), "{header}");
        }
        let twice = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"EdDSA","kid":"k","typ":"at+jwt"}"#);
        assert!(prove(&signed(&twice, &encode(&claims)), NOW).is_err());
    }

    #[test]
    fn claims_are_all_there_once_and_no_others() {
        let header = encode(&json!({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}));
        let good = serde_json::to_value(claims()).expect("json");
        for name in ["iss", "aud", "sub", "org", "sid", "iat", "exp", "jti"] {
            let mut less = good.clone();
            less.as_object_mut().expect("an object").remove(name);
            assert!(prove(&signed(&header, &encode(&less)), NOW).is_err(), "without {name}");
        }
        for (name, value) in [
            ("exp", json!("1800000600")),
            ("exp", json!(1.8e9)),
            ("aud", json!(["headwater"])),
            ("nbf", json!(1)),
            ("role", json!("owner")),
        ] {
            let mut other = good.clone();
            other[name] = value;
            assert!(prove(&signed(&header, &encode(&other)), NOW).is_err(), "{name}");
        }
        let whole = good.to_string();
        let twice = format!(r#"{},"org":"01J0000000000000000000000X"}}"#, whole.trim_end_matches('}'));
        assert!(prove(&signed(&header, &BASE64_URL_SAFE_NO_PAD.encode(twice)), NOW).is_err());
        for wrong in ["", ".", "..", "a.b.c", "hw_abcdefgh_0123456789", &"a".repeat(10_000)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_token_that_was_changed_is_good(at: usize, to in proptest::char::range('!', '~')) {
            let token = sign("k", &key(1), &claims()).expect("signed");
            let at = at % token.len();
            let mut changed: Vec<char> = token.chars().collect();
            prop_assume!(changed[at] != to);
            changed[at] = to;
            let changed: String = changed.into_iter().collect();
            prop_assert!(prove(&changed, NOW).is_err());
        }
    }
}
