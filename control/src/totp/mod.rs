//! A second factor: a one-time code of an authenticator, or one of the codes that were written down.
//!
//! Guarantee: a code is good once (its step and all before it are spent in the statement that takes it), and so is a code that was written
//! down. Nothing is kept before somebody has shown that the authenticator works: until then the secret is in what he holds, sealed, for ten
//! minutes, and for this generation of sessions alone. The secret is sealed for its person; of codes that were written down there are keyed hashes. Whoever wants to set or lift a second
//! factor knows the password, or has a code, and wrong ones are counted as attempts to log in.

mod code;

use runtime::{config::Secret, private};
use schemas::{Mistake, TimeMs, limits::people as limits};
use serde_json::{Value as Json, json};

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    random,
    sealer::Sealer,
    sessions::person,
    sql::SystemSql,
    tenant::Caller,
};

const LOOK: SystemSql = SystemSql("SELECT totp, totp_step FROM users WHERE user_id = $1");
/// Takes a step, if none as late was taken.
const TAKE: SystemSql = SystemSql(
    "UPDATE users SET totp_step = $2 WHERE user_id = $1 AND totp_step < $2 AND totp IS NOT NULL RETURNING user_id",
);
/// Changes what is sealed, if nobody else did meanwhile.
const SWAP: SystemSql = SystemSql("UPDATE users SET totp = $2 WHERE user_id = $1 AND totp = $3 RETURNING user_id");
const SET: SystemSql = SystemSql(
    "UPDATE users SET totp = $2, totp_step = $3, updated_at = $4, version = version + 1 WHERE user_id = $1 AND totp IS NULL \
     RETURNING user_id",
);
const LIFT: SystemSql = SystemSql(
    "UPDATE users SET totp = NULL, updated_at = $2, version = version + 1 WHERE user_id = $1 RETURNING user_id",
);

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("totp: look", LOOK),
    ("totp: take a step", TAKE),
    ("totp: take a code", SWAP),
    ("totp: set", SET),
    ("totp: lift", LIFT),
];

/// What a second factor is sealed as.
pub(crate) const SEALED: &str = "totp";

/// What somebody's authenticator is told; nothing of it is kept yet.
pub struct Enrolment {
    /// The secret in base 32, to be typed.
    pub secret: Secret,
    /// The same as an `otpauth:` address, to be shown as a picture.
    pub uri: Secret,
    /// What is to be sent back with the first code: the secret, sealed for this person, and until when.
    pub sealed: Secret,
}

/// What is sealed for a person.
struct Factor {
    secret: Vec<u8>,
    recovery: Vec<String>,
}

impl Factor {
    fn of(json: &Json) -> Option<Self> {
        let secret = const_hex::decode(json.get("secret")?.as_str()?).ok()?;
        let recovery = json.get("recovery")?.as_array()?.iter().filter_map(|hash| hash.as_str().map(str::to_owned));
        Some(Self { secret, recovery: recovery.collect() })
    }

    fn json(&self) -> Json {
        json!({"secret": const_hex::encode(&self.secret), "recovery": self.recovery})
    }
}

impl Control {
    /// A secret for an authenticator, for a person who knows his password.
    ///
    /// # Errors
    /// The password is wrong, there is none, or there is a second factor already ([`Error::Invalid`]); too many attempts ([`Error::Wait`]);
    /// the store is away.
    pub async fn begin_second_factor(&self, by: Caller<'_>, password: &Secret) -> Result<Enrolment, Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let mut tx = self.db.system(false).await?;
        let found = person(&mut tx, &user).await;
        let found = tx.end(found).await?;
        if found.totp {
            return Err(wrong("code", "there is a second factor already", "lift it first: DELETE /api/v1/auth/totp"));
        }
        if found.password.is_none() {
            let cure = "the provider that you log in by is who asks for a second factor";
            return Err(wrong("password", "this account has none", cure));
        }
        self.attempt(&found.email, by.ip, TimeMs::now()).await?;
        if !self.passwords.check(password, found.password.as_deref()).await? {
            return Err(wrong("password", "is wrong", "write the password that you log in with"));
        }
        self.attempt_succeeded(&found.email, by.ip).await;
        let secret = private::random::<{ code::SECRET }>().map_err(no_random)?;
        let until = TimeMs::now().0 + limits::PROVIDER_VISIT.as_millis() as i64;
        let sealed = Sealer::new(&self.pepper).seal_for(
            &["totp enrolment", user.as_str(), &found.generation.to_string()],
            &json!({"secret": const_hex::encode(secret), "until": until}),
        )?;
        Ok(Enrolment {
            secret: Secret::new(code::base32(&secret)),
            uri: Secret::new(code::uri(&secret, &found.email)),
            sealed: Secret::new(sealed),
        })
    }

    /// Sets the second factor of whoever asks: the authenticator has shown that it has the secret. What is given back are the codes to be
    /// written down, which are kept nowhere.
    ///
    /// # Errors
    /// The code is wrong, the enrolment is not good (any more), or there is a second factor already ([`Error::Invalid`]); as of every change.
    pub async fn set_second_factor(&self, by: Caller<'_>, sealed: &str, given: &str) -> Result<Vec<Secret>, Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let now = TimeMs::now();
        let over = || wrong("enrolment", "is not good (any more)", "begin again: POST /api/v1/auth/totp");
        let mut tx = self.db.system(false).await?;
        let found = person(&mut tx, &user).await;
        // Begun before a password was changed, it may be of whom that shut out.
        let generation = tx.end(found).await?.generation.to_string();
        let of = ["totp enrolment", user.as_str(), &generation];
        let opened = Sealer::new(&self.pepper).open_for(&of, sealed).map_err(|_| over())?;
        if opened.get("until").and_then(Json::as_i64).is_none_or(|until| until <= now.0) {
            return Err(over());
        }
        let secret = opened.get("secret").and_then(Json::as_str).and_then(|hex| const_hex::decode(hex).ok());
        let secret = secret.ok_or_else(over)?;
        let Some(step) = code::step_of(&secret, given, now.0) else {
            let cure = "write what the authenticator shows now; the clock of its device has to be right";
            return Err(wrong("code", "is not the code of now", cure));
        };
        let mut codes = Vec::with_capacity(limits::RECOVERY_CODES);
        for _ in 0..limits::RECOVERY_CODES {
            let text = random::base62(limits::RECOVERY_CHARACTERS).map_err(no_random)?;
            let (first, last) = text.split_at(limits::RECOVERY_CHARACTERS / 2);
            codes.push(Secret::new(format!("{first}-{last}")));
        }
        let recovery = codes.iter().map(|code| self.hash_of_recovery(&user, code.expose())).collect();
        let sealed =
            Sealer::new(&self.pepper).seal_for(&[SEALED, user.as_str()], &Factor { secret, recovery }.json())?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let values = [Value::from(&user), sealed.into(), step.into(), change.at().0.into()];
            if change.system(SET, &values).await?.is_empty() {
                return Err(wrong(
                    "code",
                    "there is a second factor already",
                    "lift it first: DELETE /api/v1/auth/totp",
                ));
            }
            audit(&mut change, Action::FactorSet).await?;
            Ok(codes)
        };
        let done = done.await;
        change.end(done).await
    }

    /// Lifts the second factor of whoever asks and has a code.
    ///
    /// # Errors
    /// The code is wrong ([`Error::Invalid`]), there is no second factor ([`Error::NotFound`]), too many attempts ([`Error::Wait`]); as of
    /// every change.
    pub async fn lift_second_factor(&self, by: Caller<'_>, given: &str) -> Result<(), Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let mut tx = self.db.system(false).await?;
        let found = person(&mut tx, &user).await;
        let found = tx.end(found).await?;
        if !found.totp {
            return Err(Error::NotFound);
        }
        self.attempt(&found.email, by.ip, TimeMs::now()).await?;
        if !self.second_factor(&user, given).await? {
            return Err(wrong(
                "code",
                "is wrong, or was used",
                "write what the authenticator shows now, or a code that you wrote down",
            ));
        }
        self.attempt_succeeded(&found.email, by.ip).await;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let at = change.at().0;
            change.system(LIFT, &[Value::from(&user), at.into()]).await?;
            audit(&mut change, Action::FactorLift).await
        };
        let done = done.await;
        change.end(done).await
    }

    /// Whether it is a code of this person's, which it is once.
    pub(crate) async fn second_factor(&self, user: &Id, given: &str) -> Result<bool, Error> {
        let mut tx = self.db.system(true).await?;
        let done = self.take_code(&mut tx, user, given).await;
        tx.end(done).await
    }

    async fn take_code(&self, tx: &mut Tx, user: &Id, given: &str) -> Result<bool, Error> {
        let rows = tx.system(LOOK, &[Value::from(user)]).await?;
        let Some(sealed) = rows.first().map(|row| row.opt_text("totp")).transpose()?.flatten() else {
            return Ok(false);
        };
        let opened = Sealer::new(&self.pepper).open_for(&[SEALED, user.as_str()], &sealed)?;
        let mut factor = Factor::of(&opened).ok_or_else(|| Error::Corrupt(format!("the second factor of {user}")))?;
        if let Some(step) = code::step_of(&factor.secret, given, TimeMs::now().0) {
            return Ok(!tx.system(TAKE, &[Value::from(user), step.into()]).await?.is_empty());
        }
        let hash = self.hash_of_recovery(user, given);
        let Some(at) = factor.recovery.iter().position(|kept| crate::secret::same_text(kept, &hash)) else {
            return Ok(false);
        };
        factor.recovery.remove(at);
        let fewer = Sealer::new(&self.pepper).seal_for(&[SEALED, user.as_str()], &factor.json())?;
        Ok(!tx.system(SWAP, &[Value::from(user), fewer.into(), sealed.into()]).await?.is_empty())
    }

    fn hash_of_recovery(&self, user: &Id, code: &str) -> String {
        let bare: String =
            code.chars().filter(char::is_ascii_alphanumeric).take(limits::RECOVERY_CHARACTERS * 2).collect();
        const_hex::encode(self.pepper.of_kept([&b"recovery"[..], user.as_str().as_bytes(), bare.as_bytes()]))
    }
}

async fn audit(change: &mut Change<'_>, action: Action) -> Result<(), Error> {
    let actor = change.by().who.actor();
    let subject = Subject { kind: "user", id: actor.id().to_owned(), name: Some(actor.name().to_owned()) };
    change.audit(action, &subject, None, None, Outcome::Done).await
}

fn wrong(path: &'static str, problem: &str, cure: &str) -> Error {
    Error::Invalid(vec![Mistake::new(path, problem, cure)])
}

fn no_random(e: std::io::Error) -> Error {
    Error::Settings(format!("no random numbers: {e}"))
}
