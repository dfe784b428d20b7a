//! Passwords of people.
//!
//! Guarantee: what is kept is argon2id (RFC 9106) with OWASP's parameters, a salt of its own and a pepper that is derived from the control
//! store's secret, so that the database alone lets nobody try any. It is computed beside the tasks that serve requests, for a bounded number
//! at a time, and what waits is bounded too: whoever sends many passwords takes neither memory nor the cores of others. Whoever has no
//! password costs the same time as whoever has one ([`Passwords::check`] of `None`).

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};
use runtime::{config::Secret, private};
use schemas::limits::accounts as limits;
use tokio::sync::{OnceCell, Semaphore};

use crate::{
    error::{Error, Mistake},
    open::Control,
};

/// Hashes and checks passwords, in one process.
pub(crate) struct Passwords {
    key: Arc<Key>,
    /// Those that are computed.
    turns: Arc<Semaphore>,
    /// Those that are computed or wait.
    places: Semaphore,
    /// The hash of nobody's password, made when it is first wanted.
    nobody: OnceCell<String>,
}

/// The pepper.
struct Key([u8; 32]);

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl Passwords {
    pub(crate) fn new(pepper: [u8; 32]) -> Self {
        let (turns, waiting) = limits::PASSWORD_TURNS;
        Self {
            key: Arc::new(Key(pepper)),
            turns: Arc::new(Semaphore::new(turns)),
            places: Semaphore::new(turns + waiting),
            nobody: OnceCell::new(),
        }
    }

    /// The hash that is kept, as a PHC string.
    ///
    /// # Errors
    /// Too many wait ([`Error::Busy`]), or the system gives no random numbers.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String, Error> {
        let password = password.clone();
        self.in_turn(move |key| hash(key, password.expose().as_bytes())).await?
    }

    /// Whether it is the password of this hash; without a hash it never is, and takes as long.
    ///
    /// # Errors
    /// Too many wait ([`Error::Busy`]); what is kept is no hash ([`Error::Corrupt`]).
    pub(crate) async fn check(&self, password: &Secret, kept: Option<&str>) -> Result<bool, Error> {
        // No password is that long; nobody has one hashed for nothing.
        if password.expose().len() > limits::PASSWORD_CHARACTERS.1 * 4 {
            return Ok(false);
        }
        let known = kept.is_some();
        let text = match kept {
            Some(text) => text.to_owned(),
            None => self.of_nobody().await?,
        };
        let password = password.clone();
        let good = self.in_turn(move |key| check(key, password.expose().as_bytes(), &text)).await??;
        Ok(good && known)
    }

    async fn of_nobody(&self) -> Result<String, Error> {
        let make = async || {
            let random = private::random::<16>().map_err(no_random)?;
            self.in_turn(move |key| hash(key, &random)).await?
        };
        self.nobody.get_or_try_init(make).await.cloned()
    }

    /// Runs it beside the tasks that serve, when its turn has come.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce(&Key) -> T + Send + 'static) -> Result<T, Error> {
        let busy = || Error::Busy { what: "passwords to be checked" };
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let turn = tokio::time::timeout(limits::PASSWORD_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let key = Arc::clone(&self.key);
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, whether or not anybody still waits for it.
            let _turn = turn;
            work(&key)
        });
        done.await.map_err(|e| Error::Settings(format!("a password was not hashed: {e}")))
    }
}

fn no_random(e: std::io::Error) -> Error {
    Error::Settings(format!("no random numbers: {e}"))
}

fn argon(key: &Key) -> Result<Argon2<'_>, Error> {
    let (memory, passes, lanes) = limits::PASSWORD_COST;
    let wrong = |e: argon2::Error| Error::Settings(format!("argon2id cannot be used: {e}"));
    let params = Params::new(memory, passes, lanes, None).map_err(wrong)?;
    Argon2::new_with_secret(&key.0, Algorithm::Argon2id, Version::V0x13, params).map_err(wrong)
}

fn hash(key: &Key, password: &[u8]) -> Result<String, Error> {
    let salt = private::random::<16>().map_err(no_random)?;
    let wrong = |e: argon2::password_hash::Error| Error::Settings(format!("a password cannot be hashed: {e}"));
    let salt = SaltString::encode_b64(&salt).map_err(wrong)?;
    Ok(argon(key)?.hash_password(password, &salt).map_err(wrong)?.to_string())
}

fn check(key: &Key, password: &[u8], kept: &str) -> Result<bool, Error> {
    let wrong = |e: &dyn fmt::Display| Error::Corrupt(format!("a password's hash: {e}"));
    let hash = PasswordHash::new(kept).map_err(|e| wrong(&e))?;
    let params = Params::try_from(&hash).map_err(|e| wrong(&e))?;
    let (memory, passes, lanes) = limits::PASSWORD_COST;
    let most = limits::PASSWORD_COST_MOST;
    if params.m_cost() > memory * most || params.t_cost() > passes * most || params.p_cost() > lanes * most {
        return Err(wrong(&"it asks for more than any of ours"));
    }
    match argon(key)?.verify_password(password, &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(e) => Err(wrong(&e)),
    }
}

impl Control {
    /// The hash of a password that somebody chooses; `not` is what it may not be, such as the address of the account.
    ///
    /// # Errors
    /// It will not do ([`Error::Invalid`]), or as of hashing.
    pub async fn hash_password(&self, password: &Secret, not: &[&str]) -> Result<String, Error> {
        let mistakes = mistakes("password", password, not);
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        self.passwords.hash(password).await
    }
}

/// What is wrong with a password that somebody chooses; `not` is what it may not be.
pub(crate) fn mistakes(path: &'static str, password: &Secret, not: &[&str]) -> Vec<Mistake> {
    let text = password.expose();
    let (least, most) = limits::PASSWORD_CHARACTERS;
    let long = text.chars().count();
    let mut found = Vec::new();
    if long < least || long > most {
        let cure = format!("write {least} to {most} characters; a sentence is good");
        found.push(Mistake::new(path, format!("has {long} characters"), cure));
        return found;
    }
    let mut different: Vec<char> = text.chars().collect();
    different.sort_unstable();
    different.dedup();
    let lower = text.to_lowercase();
    let guessed = ["password", "passwort", "1234567890", "qwertyuiop", "headwater"];
    let is_theirs = not.iter().any(|word| !word.is_empty() && lower == word.to_lowercase());
    if different.len() < 5
        || is_theirs
        || guessed.iter().any(|word| lower.trim_end_matches(|c: char| !c.is_alphabetic()) == *word || lower == *word)
    {
        found.push(Mistake::new(
            path,
            "is easily guessed",
            "write a sentence that nobody else would, or have one made",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn passwords(pepper: u8) -> Passwords {
        Passwords::new([pepper; 32])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_password_is_good_for_its_own_hash_under_its_own_pepper() {
        let ours = passwords(1);
        let right = Secret::new("the horse stands in the rain");
        let kept = ours.hash(&right).await.expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, ours.hash(&right).await.expect("hashed"), "a salt of its own");
        assert!(ours.check(&right, Some(&kept)).await.expect("checked"));
        for wrong in ["", "the horse stands in the rain ", "The horse stands in the rain"] {
            assert!(!ours.check(&Secret::new(wrong), Some(&kept)).await.expect("checked"), "{wrong}");
        }
        assert!(!passwords(2).check(&right, Some(&kept)).await.expect("checked"), "another pepper");
        assert!(!ours.check(&right, None).await.expect("checked"), "nobody");
        assert!(!ours.check(&Secret::new("x".repeat(10_000)), Some(&kept)).await.expect("checked"));
        for broken in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", &kept.replace("m=19456", "m=1945600")] {
            assert!(matches!(ours.check(&right, Some(broken)).await, Err(Error::Corrupt(_))), "{broken}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobodys_password_takes_as_long_as_somebodys() {
        let ours = passwords(1);
        let kept = ours.hash(&Secret::new("the horse stands in the rain")).await.expect("hashed");
        let wrong = Secret::new("the cow stands in the rain");
        ours.check(&wrong, None).await.expect("the hash of nobody is made");
        let time = async |kept: Option<&str>| {
            let mut times = Vec::new();
            for _ in 0..7 {
                let began = Instant::now();
                assert!(!ours.check(&wrong, kept).await.expect("checked"));
                times.push(began.elapsed());
            }
            times.sort_unstable();
            times[3].as_secs_f64()
        };
        let (known, unknown) = (time(Some(&kept)).await, time(None).await);
        let ratio = known / unknown;
        assert!((0.5..2.0).contains(&ratio), "{known} {unknown}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_is_bounded() {
        let ours = Arc::new(passwords(1));
        let kept = ours.hash(&Secret::new("the horse stands in the rain")).await.expect("hashed");
        let many = limits::PASSWORD_TURNS.0 + limits::PASSWORD_TURNS.1 + 40;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..many {
            let (ours, kept) = (Arc::clone(&ours), kept.clone());
            tasks.spawn(async move { ours.check(&Secret::new("wrong wrong wrong"), Some(&kept)).await });
        }
        let done = tasks.join_all().await;
        let busy = done.iter().filter(|d| matches!(d, Err(Error::Busy { .. }))).count();
        assert!(busy >= 1 && busy < many, "{busy}");
    }

    #[test]
    fn what_is_easily_guessed_is_refused() {
        let wrong = |text: &str| !mistakes("password", &Secret::new(text), &["someone@example.org"]).is_empty();
        for text in [
            "",
            "short",
            &"x".repeat(129),
            "aaaaaaaaaaaa",
            "someone@example.org",
            "Password1234",
            "1234567890",
            "abababababab",
        ] {
            assert!(wrong(text), "{text}");
        }
        for text in ["the horse stands in the rain", "dq4!Yp0vZ1", "пароль из слов"] {
            assert!(!wrong(text), "{text}");
        }
    }
}
