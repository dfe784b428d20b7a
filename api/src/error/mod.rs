//! What can go wrong, and the one map from it to HTTP: RFC 9457 problems with stable `type` URIs that this API serves itself
//! (`/problems/NAME`). Every refusal of REST and of the WebSocket is an [`ApiError`], and [`ApiError::kind`] is exhaustive, so
//! nothing leaves without a type, a status and words on what to do.

mod kinds;
mod problem;

use schemas::Mistake;

pub use self::{
    kinds::Kind,
    problem::{BodyError, Problem},
};

/// Why the stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listening socket failed.
    #[error("the API's listener failed: {0}")]
    Listener(#[source] std::io::Error),
    /// The log refused to be read.
    #[error("the API cannot read the log: {0}")]
    Log(#[from] runtime::log::LogError),
    /// A task of the stage ended by a fault of ours.
    #[error("a task of the API ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Why one request, or one WebSocket operation, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// A query parameter that the route does not have.
    #[error("there is no query parameter `{parameter}` here")]
    UnknownParameter {
        /// As it was written.
        parameter: String,
        /// What there is.
        known: String,
    },
    /// A query or path parameter whose value is not what it should be.
    #[error("`{value}` is no value for `{parameter}`")]
    InvalidParameter {
        /// Its name.
        parameter: String,
        /// What came.
        value: String,
        /// What to write instead.
        expected: String,
    },
    /// A cursor that we did not make, or made for other filters.
    #[error("`{value}` is no cursor of this list")]
    InvalidCursor {
        /// What came.
        value: String,
    },
    /// No such route.
    #[error("there is nothing at {path}{hint}")]
    RouteNotFound {
        /// What was asked for.
        path: String,
        /// Where it is, if it is near; begins with `; `.
        hint: &'static str,
    },
    /// The route is there, the method is not.
    #[error("{method} is not possible here")]
    MethodNotAllowed {
        /// What was tried.
        method: String,
        /// What is possible, as the header `Allow` lists it; empty where the router says it.
        allow: String,
    },
    /// Nobody that is known.
    #[error("{problem}")]
    Unauthenticated {
        /// What is missing or wrong, and no more of it than who came may know.
        problem: &'static str,
    },
    /// The password is right, and a code is wanted.
    #[error("this account wants the code of its authenticator besides the password")]
    CodeRequired,
    /// The password is right, and the code is not.
    #[error("this code is wrong, or was used before")]
    CodeWrong,
    /// Too many attempts to log in failed.
    #[error("too many attempts failed; the next one is looked at {} s from now", crate::door::up(*wait))]
    TooManyAttempts {
        /// Until the next is looked at.
        wait: std::time::Duration,
    },
    /// A person who is in no organisation that works.
    #[error("this account is in no organisation that it could work in")]
    NoOrganisation,
    /// Accounts are not made like that.
    #[error("{problem}")]
    SignUpClosed {
        /// Why, and what to do.
        problem: &'static str,
    },
    /// What only a person may, by a session of his.
    #[error("this is for people who signed in; a key has no account")]
    NoPerson,
    /// There is an account of this address already.
    #[error("there is an account of this e-mail address already; log in, or have its password set anew")]
    EmailTaken,
    /// An invitation that is not good.
    #[error("this invitation is not good (any more), or was written to another address; ask for a new one")]
    NoInvitation,
    /// An organisation has an owner.
    #[error("this is the last owner; make somebody else owner first")]
    LastOwner,
    /// What only an owner may, or an operator of the platform.
    #[error("{problem}")]
    NotForYou {
        /// Whose it is.
        problem: String,
    },
    /// Somebody who may not do this.
    #[error("this needs the scope `{needs}`, and the credential has: {has}")]
    Forbidden {
        /// The scope.
        needs: String,
        /// Those that are there.
        has: String,
    },
    /// More than is allowed.
    #[error("that was more than {} requests; the next one is let in {} s from now", standing.limit(), crate::door::up(*wait))]
    TooFast {
        /// How the caller stands.
        standing: crate::door::Standing,
        /// Until the next one.
        wait: std::time::Duration,
    },
    /// As much as may come from one address in a day.
    #[error("{problem}")]
    TooOften {
        /// Of what, how much, and when the next one is let through.
        problem: String,
        /// Until the next one.
        wait: std::time::Duration,
    },
    /// A change by a session without the page's proof.
    #[error("changes by a session want the header `X-Headwater-Csrf` with the value of GET /api/v1/auth/me's `csrf`")]
    Csrf,
    /// What changes something is not JSON.
    #[error("what changes something is sent as JSON, and this came as {given}")]
    NotJson {
        /// What it said to be.
        given: String,
    },
    /// The control store is not open, or did not answer.
    #[error("the control store is away at the moment: {problem}")]
    ControlAway {
        /// In words, without addresses and secrets.
        problem: String,
    },
    /// A network that is neither configured nor stored.
    #[error("network `{network}` is not known here")]
    NetworkNotFound {
        /// The slug.
        network: String,
    },
    /// No canonical block of this height or hash is stored.
    #[error("network {network} has no block {block} in the store{}", Doubt(doubt))]
    BlockNotFound {
        /// The slug.
        network: String,
        /// Height or hash.
        block: String,
        /// Why it may be there all the same: what was removed.
        doubt: Option<String>,
    },
    /// What lies at this height was removed.
    #[error(
        "rows of network {network} below height {below} were removed by `[store] {reason}`, those of {height} among them"
    )]
    Pruned {
        /// The slug.
        network: String,
        /// The height.
        height: u64,
        /// Nothing is held below this one.
        below: u64,
        /// Which key of the configuration removed it.
        reason: String,
    },
    /// No endpoint of this name was heard of.
    #[error("network {network} has no endpoint `{name}` that anybody was heard to call")]
    ProviderNotFound {
        /// The slug.
        network: String,
        /// The endpoint.
        name: String,
    },
    /// No canonical transaction of this hash is stored.
    #[error("network {network} has no transaction {hash} in the store{}", Doubt(doubt))]
    TransactionNotFound {
        /// The slug.
        network: String,
        /// The hash.
        hash: String,
        /// Why it may be there all the same: what was removed, or is held as headers alone.
        doubt: Option<String>,
    },
    /// The request names a host that is not ours.
    #[error(
        "this API is not called `{host}`: call it by localhost or its listen address, or add the name to `[api] hosts`"
    )]
    ForeignHost {
        /// The `Host` header.
        host: String,
    },
    /// A browser's page of another origin wants a WebSocket.
    #[error("pages of {origin} may not do this; `[api] allowed_origins` names those that may")]
    ForeignOrigin {
        /// The `Origin` header.
        origin: String,
    },
    /// `/ws` was asked for without a WebSocket handshake.
    #[error("this is a WebSocket: {problem}")]
    NotAWebSocket {
        /// What is missing.
        problem: String,
    },
    /// Path and query are too long.
    #[error("the request's path and query are {bytes} bytes long")]
    UriTooLong {
        /// Length.
        bytes: usize,
    },
    /// The body is too large.
    #[error("the request's body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The store cannot be reached or does not answer in time.
    #[error("the store does not answer at the moment: {problem}")]
    StoreAway {
        /// In words, without addresses and secrets.
        problem: String,
    },
    /// Too much at once.
    #[error("too many {what} at the same time")]
    Overloaded {
        /// Of what.
        what: &'static str,
    },
    /// More exports of one caller than there may be.
    #[error("{most} exports of yours are running, which is the most: let one of them end")]
    TooManyExports {
        /// How many there may be.
        most: usize,
    },
    /// The request's deadline passed.
    #[error("the answer was not ready within {seconds} s")]
    Deadline {
        /// The deadline.
        seconds: u64,
    },
    /// A WebSocket frame that is no operation.
    #[error("{problem}")]
    InvalidOperation {
        /// What is wrong with it and what to write.
        problem: String,
    },
    /// More subscriptions than one connection may have.
    #[error("this connection already has {limit} subscriptions")]
    TooManySubscriptions {
        /// The limit.
        limit: usize,
    },
    /// The subscription's id is in use, or its network is already followed, so that `after` cannot be kept.
    #[error("{problem}")]
    SubscriptionConflict {
        /// With what, and what to do.
        problem: String,
    },
    /// `after` lies far ahead of the network.
    #[error("sequence {after} of {network} is ahead of what there is (newest: {newest})")]
    PositionUnknown {
        /// The slug.
        network: String,
        /// The token.
        after: u64,
        /// The newest sequence.
        newest: u64,
    },
    /// Not there, or not whose key was shown: one answer, word for word.
    #[error("there is no such {what} here")]
    NotHere {
        /// What was asked for.
        what: &'static str,
    },
    /// Something else has its place already.
    #[error("it is there already, with the id {id}")]
    Taken {
        /// The other's id.
        id: String,
    },
    /// No more of these.
    #[error("there are {most} {what} already, which is the most; remove what is not needed")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// More than the organisation's plan gives.
    #[error(
        "the plan of this organisation gives {limit} {}, and {used} are taken; remove what is not needed, wait until it begins anew, or ask \
         who runs this for another plan",
        name.as_str()
    )]
    Quota {
        /// Of what.
        name: schemas::Quota,
        /// The most.
        limit: i64,
        /// How much there is.
        used: i64,
    },
    /// Something else names it.
    #[error("this {what} is named by {}; take it out there first", by.join(", "))]
    InUse {
        /// What it is.
        what: &'static str,
        /// Kinds and names of those that name it; some, where there are many.
        by: Vec<String>,
    },
    /// A change that does not say what it changes.
    #[error("a change has to say what it was made from: send the `ETag` of what you read as `If-Match`")]
    IfMatchMissing,
    /// Somebody else changed it meanwhile.
    #[error("it was changed since you read it: its version is {version}")]
    ChangedSince {
        /// The present version.
        version: i64,
    },
    /// A body with mistakes.
    #[error("{}", listed(mistakes))]
    InvalidBody {
        /// One at least.
        mistakes: Vec<Mistake>,
    },
    /// An idempotency key that was another request's.
    #[error("this idempotency key was used for another request in the last 24 hours")]
    KeyReused,
    /// What a repeated request made is gone.
    #[error("what this request made before was removed since")]
    MadeAndGone,
    /// A key would do more than who makes or changes it.
    #[error("a key never does more than whoever made it: {problem}")]
    MoreThanYours {
        /// What of it.
        problem: String,
    },
    /// What stands in the configuration file is changed there.
    #[error(
        "this contract stands in the operator's configuration file: it is changed there, and `headwater reload` takes it over"
    )]
    ReadOnly,
    /// The alert is over: nobody can take it on any more.
    #[error("the alert is over: it is {state}")]
    AlertOver {
        /// How it ended.
        state: &'static str,
    },
    /// The log does not take a command.
    #[error("the log does not take anything at the moment, and nothing was changed")]
    LogAway,
    /// A provider of logins does not answer.
    #[error("the provider does not answer, or not as it should; try again")]
    ProviderAway,
    /// A place in the alerts' topic that lies behind its end.
    #[error("`alerts_after` is ahead of what there is")]
    AlertsAhead,
    /// A fault of ours; the details are in our log.
    #[error("the request failed by a fault of the server")]
    Internal,
}

/// The first mistake, and how many more there are.
fn listed(mistakes: &[Mistake]) -> String {
    let first = mistakes.first().map(|m| format!("`{}` {}: {}", m.path, m.problem, m.cure)).unwrap_or_default();
    match mistakes.len() {
        0 | 1 => first,
        n => format!("{first} (and {} more)", n - 1),
    }
}

/// Why it may be there all the same, behind words on what is not: that it does not exist cannot be said (rule 31).
struct Doubt<'d>(&'d Option<String>);

impl std::fmt::Display for Doubt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(doubt) => write!(f, "; {doubt}"),
            None => Ok(()),
        }
    }
}

impl ApiError {
    /// The one map.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownParameter { .. } => Kind::UNKNOWN_PARAMETER,
            Self::InvalidParameter { .. } => Kind::INVALID_PARAMETER,
            Self::InvalidCursor { .. } => Kind::INVALID_CURSOR,
            Self::RouteNotFound { .. } => Kind::ROUTE_NOT_FOUND,
            Self::MethodNotAllowed { .. } => Kind::METHOD_NOT_ALLOWED,
            Self::Unauthenticated { .. } => Kind::UNAUTHENTICATED,
            Self::CodeRequired => Kind::CODE_REQUIRED,
            Self::CodeWrong => Kind::CODE_WRONG,
            Self::TooManyAttempts { .. } => Kind::TOO_MANY_ATTEMPTS,
            Self::NoOrganisation => Kind::NO_ORGANISATION,
            Self::SignUpClosed { .. } => Kind::SIGN_UP_CLOSED,
            Self::EmailTaken => Kind::EMAIL_TAKEN,
            Self::NoInvitation => Kind::NO_INVITATION,
            Self::LastOwner => Kind::LAST_OWNER,
            Self::Forbidden { .. } | Self::NoPerson | Self::NotForYou { .. } => Kind::FORBIDDEN,
            Self::TooFast { .. } => Kind::TOO_FAST,
            Self::TooOften { .. } => Kind::TOO_OFTEN,
            Self::Csrf => Kind::CSRF,
            Self::NotJson { .. } => Kind::NOT_JSON,
            Self::ControlAway { .. } => Kind::CONTROL_AWAY,
            Self::NetworkNotFound { .. } => Kind::NETWORK_NOT_FOUND,
            Self::BlockNotFound { .. } => Kind::BLOCK_NOT_FOUND,
            Self::Pruned { .. } => Kind::PRUNED,
            Self::ProviderNotFound { .. } => Kind::PROVIDER_NOT_FOUND,
            Self::TransactionNotFound { .. } => Kind::TRANSACTION_NOT_FOUND,
            Self::ForeignHost { .. } => Kind::FOREIGN_HOST,
            Self::ForeignOrigin { .. } => Kind::FOREIGN_ORIGIN,
            Self::NotAWebSocket { .. } => Kind::NOT_A_WEBSOCKET,
            Self::UriTooLong { .. } => Kind::URI_TOO_LONG,
            Self::BodyTooLarge { .. } => Kind::BODY_TOO_LARGE,
            Self::StoreAway { .. } => Kind::STORE_AWAY,
            Self::Overloaded { .. } => Kind::OVERLOADED,
            Self::TooManyExports { .. } => Kind::TOO_MANY_EXPORTS,
            Self::Deadline { .. } => Kind::DEADLINE,
            Self::InvalidOperation { .. } => Kind::INVALID_OPERATION,
            Self::TooManySubscriptions { .. } => Kind::TOO_MANY_SUBSCRIPTIONS,
            Self::SubscriptionConflict { .. } => Kind::SUBSCRIPTION_CONFLICT,
            Self::PositionUnknown { .. } => Kind::POSITION_UNKNOWN,
            Self::NotHere { .. } => Kind::NOT_HERE,
            Self::Taken { .. } => Kind::TAKEN,
            Self::Full { .. } => Kind::FULL,
            Self::Quota { .. } => Kind::QUOTA_EXCEEDED,
            Self::InUse { .. } => Kind::IN_USE,
            Self::IfMatchMissing => Kind::IF_MATCH_MISSING,
            Self::ChangedSince { .. } => Kind::CHANGED_SINCE,
            Self::InvalidBody { .. } => Kind::INVALID_BODY,
            Self::KeyReused => Kind::KEY_REUSED,
            Self::MadeAndGone => Kind::MADE_AND_GONE,
            Self::MoreThanYours { .. } => Kind::MORE_THAN_YOURS,
            Self::ReadOnly => Kind::READ_ONLY,
            Self::AlertOver { .. } => Kind::ALERT_OVER,
            Self::LogAway => Kind::LOG_AWAY,
            Self::ProviderAway => Kind::PROVIDER_AWAY,
            Self::AlertsAhead => Kind::POSITION_UNKNOWN,
            Self::Internal => Kind::INTERNAL,
        }
    }

    /// Seconds until trying again may help.
    fn retry_after(&self) -> Option<u64> {
        if let Self::TooFast { wait, .. } | Self::TooOften { wait, .. } | Self::TooManyAttempts { wait } = self {
            return Some(crate::door::up(*wait).max(1));
        }
        match self.kind() {
            Kind::STORE_AWAY | Kind::CONTROL_AWAY | Kind::LOG_AWAY | Kind::PROVIDER_AWAY => Some(2),
            Kind::TOO_MANY_EXPORTS => Some(10),
            Kind::OVERLOADED | Kind::DEADLINE => Some(1),
            _ => None,
        }
    }

    /// As it is sent.
    pub fn problem(&self) -> Problem {
        let kind = self.kind();
        let (parameter, value, expected) = match self {
            Self::UnknownParameter { parameter, known } => {
                (Some(parameter.clone()), None, Some(format!("one of: {known}")))
            }
            Self::InvalidParameter { parameter, value, expected } => {
                (Some(parameter.clone()), Some(value.clone()), Some(expected.clone()))
            }
            Self::InvalidCursor { value } => (
                Some("cursor".to_owned()),
                Some(value.clone()),
                Some("the `next` of a page of the same list with the same filters".to_owned()),
            ),
            _ => (None, None, None),
        };
        Problem {
            r#type: format!("/problems/{}", kind.name),
            title: kind.title.to_owned(),
            status: kind.status.as_u16(),
            detail: self.to_string(),
            parameter,
            value,
            expected,
            id: match self {
                Self::Taken { id } => Some(id.clone()),
                _ => None,
            },
            version: match self {
                Self::ChangedSince { version } => Some(*version),
                _ => None,
            },
            errors: match self {
                Self::InvalidBody { mistakes } => {
                    let of = |m: &Mistake| BodyError {
                        path: m.path.clone(),
                        position: m.position,
                        problem: m.problem.clone(),
                        cure: m.cure.clone(),
                    };
                    Some(mistakes.iter().map(of).collect())
                }
                _ => None,
            },
        }
    }

    /// What a failure of the store means for the request. Addresses and SQL stay in our log.
    pub fn from_store(error: &store::StoreError) -> Self {
        let problem = Self::of_store(error);
        match problem {
            Self::Internal => tracing::error!(%error, "the store failed a question"),
            _ => tracing::warn!(%error, "the store did not answer a question"),
        }
        problem
    }

    /// The same without a line in the log, for a store that may just be starting.
    pub fn of_store(error: &store::StoreError) -> Self {
        use store::StoreErrorKind as K;
        let problem = match error.kind {
            K::Unreachable => "nothing answers at its address",
            K::Timeout => "it did not answer in time",
            K::Busy => "it has too much to do",
            K::Full => "its disk is full",
            K::TooLarge => "the question passes its limits; ask for less",
            K::Denied => "it refuses our user or password",
            K::Version => "its tables are not those of this version",
            K::BadRequest | K::Internal => return Self::Internal,
        };
        Self::StoreAway { problem: problem.to_owned() }
    }

    /// What a refusal of the control store means for a request about a `what`. Addresses and SQL stay in our log.
    pub fn of_control(error: control::Error, what: &'static str) -> Self {
        use control::Error as E;
        match error {
            E::NotFound => Self::NotHere { what },
            E::Taken { id } => Self::Taken { id: id.to_string() },
            E::Full { what, most } => Self::Full { what, most },
            E::Quota { name, limit, used } => Self::Quota { name, limit, used },
            E::InUse { what, by } => Self::InUse { what, by },
            E::Stale { version } => Self::ChangedSince { version },
            E::Invalid(mistakes) => Self::InvalidBody { mistakes },
            E::Reused => Self::KeyReused,
            E::MadeAndGone => Self::MadeAndGone,
            E::MoreThanMaker(problem) => Self::MoreThanYours { problem },
            E::ReadOnly => Self::ReadOnly,
            E::Busy { what } => Self::Overloaded { what },
            E::Wait(wait) => Self::TooManyAttempts { wait },
            E::TooOften { wait, .. } => Self::TooOften { problem: error.to_string(), wait },
            E::WrongPassword => Self::Unauthenticated { problem: "e-mail address or password is wrong" },
            E::SessionOver => Self::Unauthenticated { problem: "this session was ended; log in again" },
            E::CodeWanted => Self::CodeRequired,
            E::CodeWrong => Self::CodeWrong,
            E::NoOrganisation => Self::NoOrganisation,
            E::EmailTaken => Self::EmailTaken,
            E::NoInvitation => Self::NoInvitation,
            E::LastOwner => Self::LastOwner,
            E::PeopleOnly => Self::NoPerson,
            error @ (E::OwnersOnly | E::OperatorsOnly) => Self::NotForYou { problem: error.to_string() },
            E::Away(_) => {
                tracing::warn!(%error, "the control store did not answer");
                Self::ControlAway { problem: "it does not answer".to_owned() }
            }
            E::Schema(_) | E::Settings(_) | E::Database(_) | E::Corrupt(_) => {
                tracing::error!(%error, "the control store failed a question");
                Self::Internal
            }
        }
    }

    /// A parameter that cannot be used. Long values are cut.
    pub fn invalid(parameter: &str, value: &str, expected: impl Into<String>) -> Self {
        Self::InvalidParameter { parameter: parameter.to_owned(), value: cut(value), expected: expected.into() }
    }
}

/// At most 80 characters of what came from outside.
pub fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_value_is_cut() {
        let e = ApiError::invalid("limit", &"9".repeat(10_000), "a number");
        assert_eq!(e.problem().value.map(|v| v.len()), Some(80));
    }
}
