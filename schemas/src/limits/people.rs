//! How people show who they are besides by a password: other providers, one-time codes, letters.

use std::time::Duration;

/// Providers (`[[auth.oidc]]`) of one configuration.
pub const PROVIDERS: usize = 10;
/// A provider's id, in bytes.
pub const PROVIDER_ID: usize = 32;
/// Scopes that one provider is asked for besides ours.
pub const PROVIDER_SCOPES: usize = 16;
/// One request to a provider, with its answer.
pub const PROVIDER_WITHIN: Duration = Duration::from_secs(8);
/// Bytes of a provider's answer.
pub const PROVIDER_BYTES: usize = 256 << 10;
/// Requests to providers at the same time, of one process; more are told to come again.
pub const PROVIDER_REQUESTS: usize = 16;
/// How long what a provider says of itself (endpoints, keys) is believed.
pub const PROVIDER_FRESH: Duration = Duration::from_secs(3_600);
/// What it says of itself is asked no more often than this, whatever comes: a token of a key that is not known asks anew.
pub const PROVIDER_EVERY: Duration = Duration::from_secs(10);
/// How long somebody may take at a provider.
pub const PROVIDER_VISIT: Duration = Duration::from_secs(600);
/// `code` and `state` of a provider's answer, in bytes.
pub const PROVIDER_ANSWER: usize = 4_096;
/// A subject, in bytes (OpenID Connect Core 1.0, section 2: 255).
pub const SUBJECT: usize = 255;
/// A path of our pages to come back to, in bytes.
pub const BACK: usize = 1_024;
/// Identities of one person.
pub const IDENTITIES: usize = 10;

/// A step of a one-time code (RFC 6238).
pub const TOTP_STEP: Duration = Duration::from_secs(30);
/// Steps before and after the present one that are taken: clocks differ, and people type slowly.
pub const TOTP_SKEW: i64 = 1;
/// Recovery codes of one person.
pub const RECOVERY_CODES: usize = 10;
/// Random characters of one, without what parts them: 59 bits.
pub const RECOVERY_CHARACTERS: usize = 10;

/// How long a letter's link to set a new password is good.
pub const RESET_LIFE: Duration = Duration::from_secs(3_600);
/// How long a letter's link to show an address to be one's own is good.
pub const VERIFY_LIFE: Duration = Duration::from_secs(2 * 86_400);
/// How long a letter's link that makes an account is good.
pub const SIGN_UP_LIFE: Duration = Duration::from_secs(2 * 86_400);
/// What such a link has, in characters: the account that is to be, sealed.
pub const SIGN_UP_CHARACTERS: usize = 4_096;
/// Random characters of a letter's link: 190 bits.
pub const LINK_CHARACTERS: usize = 32;
/// Letters that wait to be sent, of one process; more are left out, and the log says so.
pub const LETTERS: usize = 256;
/// Attempts to send one letter, and how long is waited before the next.
pub const LETTER_ATTEMPTS: (u32, Duration) = (3, Duration::from_secs(20));
/// One attempt to send a letter.
pub const LETTER_WITHIN: Duration = Duration::from_secs(20);
/// Letters of one kind that one person gets, and in what time.
pub const LETTERS_OF_ONE: (i64, Duration) = (3, Duration::from_secs(3_600));
/// Addresses of which one process remembers how many letters they got.
pub const LETTER_ADDRESSES: usize = 10_000;
