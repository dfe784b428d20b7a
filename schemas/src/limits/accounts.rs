//! People: passwords, attempts, sessions, tokens (`[auth] mode = "accounts"`).

use std::time::Duration;

/// A password, in characters: the least (OWASP's and NIST SP 800-63B's eight, and two), and the most, so that nobody has a novel hashed.
pub const PASSWORD_CHARACTERS: (usize, usize) = (10, 128);
/// argon2id as OWASP recommends it: memory in KiB, passes, lanes.
pub const PASSWORD_COST: (u32, u32, u32) = (19_456, 2, 1);
/// What a stored hash may ask at most, as a multiple of [`PASSWORD_COST`]: one that was written by somebody else would take all memory.
pub const PASSWORD_COST_MOST: u32 = 8;
/// Passwords that one process hashes at the same time (19 MiB and one core each), and that wait for it; more are told to come again.
pub const PASSWORD_TURNS: (usize, usize) = (2, 64);
/// How long one may wait for its turn.
pub const PASSWORD_WAIT: Duration = Duration::from_secs(5);
/// An e-mail address, in characters (RFC 5321, section 4.5.3.1.3).
pub const EMAIL_CHARACTERS: usize = 254;
/// Failed attempts of one account, and of one address, before each further one has to wait.
pub const ATTEMPTS_FREE: (i64, i64) = (5, 20);
/// The wait after the first attempt that is not free; it doubles with each.
pub const ATTEMPT_WAIT: Duration = Duration::from_secs(1);
/// The longest wait of an account: nobody is locked out for good by who guesses.
pub const ATTEMPT_WAIT_ACCOUNT: Duration = Duration::from_secs(60);
/// The longest wait of an address.
pub const ATTEMPT_WAIT_ADDRESS: Duration = Duration::from_secs(900);
/// After so long without one, failed attempts are forgotten.
pub const ATTEMPTS_KEPT: Duration = Duration::from_secs(86_400);
/// Rows of forgotten attempts that one attempt sweeps away.
pub const ATTEMPTS_SWEPT: i64 = 100;
/// How long a session of a person lasts (`[auth] session`): the default, and from when to when.
pub const SESSION: Duration = Duration::from_secs(7 * 86_400);
/// The least and the most of it.
pub const SESSION_LIFE: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(90 * 86_400));
/// How long an access token lasts (`[auth] access_token`).
pub const ACCESS_TOKEN: Duration = Duration::from_secs(600);
/// The least and the most of it.
pub const ACCESS_TOKEN_LIFE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
/// How much clocks of processes may differ, where a token's times are looked at.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
/// An access token, in characters.
pub const ACCESS_TOKEN_CHARACTERS: usize = 1_024;
/// For so long the refresh token before the present one is given the present one again: two tabs that refresh at once.
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);
/// Live sessions of one person; one more ends the oldest.
pub const SESSIONS: i64 = 100;
/// Sessions that one process remembers, and that it remembers as nobody's.
pub const KNOWN_SESSIONS: (usize, usize) = (20_000, 10_000);
/// Access tokens whose signature one process remembers to have checked.
pub const KNOWN_TOKENS: usize = 20_000;
/// Look-ups of unknown sessions that one process makes at the same time; more are told to come again.
pub const SESSION_LOOK_UPS: usize = 16;
/// How long a key signs before another does.
pub const SIGNING_KEY_LIFE: Duration = Duration::from_secs(86_400);
/// Signing keys that are read at most: those that may still verify.
pub const SIGNING_KEYS: i64 = 64;
/// A key that is not known is looked for no more often than this.
pub const SIGNING_KEYS_EVERY: Duration = Duration::from_secs(1);
/// Organisations of one person.
pub const ORGANISATIONS: i64 = 100;
/// Organisations that one person may own, to found another.
pub const FOUNDED: i64 = 10;
/// Organisations that one address (an IPv6 /64 is one) may found, whoever does it there, and in what time: by a sign-up, or with an account.
pub const FOUNDED_OF_ADDRESS: (i64, Duration) = (20, Duration::from_secs(86_400));
/// Accounts that one address may ask for where a letter is sent for each, and in what time.
pub const SIGN_UPS_OF_ADDRESS: (i64, Duration) = (50, Duration::from_secs(86_400));
// Both are counted in the rows of attempts: where those are swept away before it is over, the time begins anew.
const _: () = assert!(FOUNDED_OF_ADDRESS.1.as_secs() <= ATTEMPTS_KEPT.as_secs());
const _: () = assert!(SIGN_UPS_OF_ADDRESS.1.as_secs() <= ATTEMPTS_KEPT.as_secs());
/// Members of one organisation.
pub const MEMBERS: i64 = 1_000;
/// Invitations of one organisation that are kept, the used ones among them.
pub const INVITATIONS: i64 = 1_000;
/// How long an invitation is good.
pub const INVITATION_GOOD: Duration = Duration::from_secs(7 * 86_400);
/// How long one whose time is over is kept, for those who look for it.
pub const INVITATION_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// An invitation's token, in characters.
pub const INVITATION_CHARACTERS: usize = 64;
/// Why an organisation is suspended, in characters.
pub const REASON_CHARACTERS: usize = 500;
/// Operators of the platform that are listed.
pub const OPERATORS: i64 = 1_000;
