//! What can go wrong, sorted once: whose fault it is, and what to do.

pub use schemas::Mistake;
use schemas::limits::control as limits;

use crate::id::Id;

fn listed(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|m| format!("{}: {}; {}", m.path, m.problem, m.cure)).collect();
    lines.join("\n")
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is busy, or did not answer in time. Nothing was changed, or it is not known (a commit whose answer
    /// was lost); an idempotency key tells.
    #[error("the control store is away ({0}); try again when it is back")]
    Away(String),
    /// The database has another shape than this version wants.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Start-up cannot go on with these settings.
    #[error("{0}")]
    Settings(String),
    /// Not there, or not this tenant's.
    #[error("there is no such thing here")]
    NotFound,
    /// What a request with this idempotency key made was removed since.
    #[error("what this request made before was removed since; use a new idempotency key to make another")]
    MadeAndGone,
    /// It stands in the configuration file, and is changed there.
    #[error("this contract stands in the operator's configuration file: change it there and run `headwater reload`")]
    ReadOnly,
    /// Something else with the same name or address is there already.
    #[error("it is there already, with the id {id}")]
    Taken {
        /// Its id.
        id: Id,
    },
    /// Something else names it.
    #[error("this {what} is named by {}; take it out there first", by.join(", "))]
    InUse {
        /// What it is.
        what: &'static str,
        /// Kinds and names of those that name it; some, where there are many.
        by: Vec<String>,
    },
    /// Somebody else changed it since it was read.
    #[error("it was changed since you read it: its version is {version}; read it again")]
    Stale {
        /// The present version.
        version: i64,
    },
    /// What was sent has mistakes.
    #[error("{}", listed(.0))]
    Invalid(Vec<Mistake>),
    /// An idempotency key was used for another request.
    #[error("this idempotency key was used for another request in the last 24 hours; use a new one for each request")]
    Reused,
    /// No more of these.
    #[error("there are {most} {what} already, which is the most; remove what is not needed")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// It would be more than the tenant's plan gives.
    #[error(
        "the plan of this organisation gives {limit} {}, and {used} are taken; remove what is not needed, or ask who runs this for another plan",
        name.as_str()
    )]
    Quota {
        /// Of what.
        name: schemas::Quota,
        /// The most.
        limit: i64,
        /// How many there are.
        used: i64,
    },
    /// There is an account of this address, or of this identity at a provider.
    #[error("there is an account of this e-mail address already; log in, or have its password set anew")]
    EmailTaken,
    /// An invitation that is not known, was used, is over, or was written to another address: one answer.
    #[error("this invitation is not good (any more), or was written to another address; ask for a new one")]
    NoInvitation,
    /// An organisation has an owner.
    #[error("this is the last owner; make somebody else owner first")]
    LastOwner,
    /// Owners are changed by owners, and by no key.
    #[error("who is an owner is said by owners alone, and by no key")]
    OwnersOnly,
    /// What is of the whole platform is its operators'.
    #[error("this is for operators of the platform")]
    OperatorsOnly,
    /// It wants a person.
    #[error("this is for people who signed in, and for no key")]
    PeopleOnly,
    /// The caller would give more than it has.
    #[error("nobody gives more than he has: {0}")]
    MoreThanMaker(String),
    /// Too much of this at once; nothing was done.
    #[error("too many {what} at the same time; try again")]
    Busy {
        /// Of what.
        what: &'static str,
    },
    /// Too many attempts failed; how long the next has to wait.
    #[error("too many attempts failed; the next one is looked at {} s from now", .0.as_secs() + 1)]
    Wait(std::time::Duration),
    /// As much as one address may have done in a day was done.
    #[error("{most} {what} a day are let through from one address; the next one is {} s from now", .wait.as_secs() + 1)]
    TooOften {
        /// Of what.
        what: &'static str,
        /// How many.
        most: i64,
        /// Until the next one.
        wait: std::time::Duration,
    },
    /// No such account, or another password: one answer.
    #[error("e-mail address or password is wrong")]
    WrongPassword,
    /// The password is right, and the account wants a code besides.
    #[error("this account wants the code of its authenticator besides the password")]
    CodeWanted,
    /// The password is right, and the code is not.
    #[error("this code is wrong, or was used before")]
    CodeWrong,
    /// The session that somebody came with was ended since.
    #[error("this session was ended since; log in again")]
    SessionOver,
    /// A person who is in no organisation, or not in this one.
    #[error("this account is in no organisation that it could work in; an invitation brings it into one")]
    NoOrganisation,
    /// The database refused, or said what cannot be understood.
    #[error("the control store failed: {0}")]
    Database(String),
    /// What was read of the database cannot be right.
    #[error("the control store holds what cannot be read: {0}")]
    Corrupt(String),
}

/// The database's shape is not this version's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// A later version of Headwater changed it.
    #[error(
        "the control store has migration {found} ({name}), and this version of headwater knows only up to {known}: it was changed by a \
         later version; run that version or a later one, nothing was touched"
    )]
    Newer {
        /// The number that is not known.
        found: i64,
        /// Its name.
        name: String,
        /// The last one of this version.
        known: i64,
    },
    /// A migration is not what it was when it was applied.
    #[error(
        "migration {number} ({name}) of the control store was applied with the checksum {applied}, and this version has {ours}: the two \
         were not built from the same files; run the version that made this database, nothing was touched"
    )]
    Changed {
        /// Its number.
        number: i64,
        /// Its name.
        name: String,
        /// As it was applied.
        applied: String,
        /// As it is here.
        ours: String,
    },
    /// It has to be migrated first.
    #[error(
        "the control store lacks {missing} migrations; run `headwater control migrate` (with `--dry-run` it only says what it would do)"
    )]
    Behind {
        /// How many.
        missing: usize,
    },
}

/// Why somebody is not let in. What comes from outside is told no more than that (401); only [`Denied::Away`] and [`Denied::Busy`] are
/// nobody's fault (503).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It has not the form of a key.
    #[error("this is no key: one looks like hw_XXXXXXXX_… and was shown once when it was made")]
    Malformed,
    /// There is no such key.
    #[error("this key is not known")]
    Unknown,
    /// It was revoked, or who made it was.
    #[error("this key was revoked")]
    Revoked,
    /// Its time is over, or that of who made it.
    #[error("this key has expired")]
    Expired,
    /// Its tenant is suspended.
    #[error("this key's organisation is suspended")]
    Suspended,
    /// The store cannot be asked, and this key is not known here, or has not been confirmed for too long.
    #[error("keys cannot be looked up: the control store is away")]
    Away,
    /// Too many unknown keys are being looked up.
    #[error("more than {} keys are being looked up at once; try again", limits::KEY_LOOK_UPS)]
    Busy,
}
