//! What can go wrong, and the one map from it to HTTP: RFC 9457 problems with stable `type` URIs that this API serves itself
//! (`/problems/NAME`). Every refusal of REST and of the WebSocket is an [`ApiError`], and [`ApiError::kind`] is exhaustive, so
//! nothing leaves without a type, a status and words on what to do.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemas::Mistake;
use serde::Serialize;
use utoipa::ToSchema;

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
        /// What was removed, among which it may have been.
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
        /// What was removed, among which it may have been.
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
    /// A WebSocket topic of a later version.
    #[error("topic `{topic}` is not available yet")]
    NotAvailableYet {
        /// The topic.
        topic: String,
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

/// Words on what was removed, behind those on what is not there: that it does not exist cannot be said (rule 31).
struct Doubt<'d>(&'d Option<String>);

impl std::fmt::Display for Doubt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(removed) => write!(f, "; it may have been among what was removed: {removed}"),
            None => Ok(()),
        }
    }
}

/// The stable names of problems. `type` is `/problems/` and the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Last part of the `type` URI.
    pub name: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// Summary that is the same at every occurrence.
    pub title: &'static str,
    /// What it means and what to do, for the page at the `type` URI.
    pub explanation: &'static str,
}

macro_rules! kinds {
    ($($ident:ident = $name:literal, $status:ident, $title:literal, $explanation:literal;)*) => {
        impl Kind {
            $(#[doc = $title] pub const $ident: Kind =
                Kind { name: $name, status: StatusCode::$status, title: $title, explanation: $explanation };)*
            /// Every kind, for the pages.
            pub const ALL: &'static [Kind] = &[$(Kind::$ident),*];
        }
    };
}

kinds! {
    UNKNOWN_PARAMETER = "unknown-parameter", BAD_REQUEST, "Unknown query parameter",
        "The route does not have this query parameter. It is refused rather than ignored, so that a misspelt filter never \
         looks like an unfiltered list. `expected` names the parameters that there are.";
    INVALID_PARAMETER = "invalid-parameter", BAD_REQUEST, "Invalid parameter",
        "A parameter's value is not what it should be. `parameter` and `value` say which, `expected` what to write instead.";
    INVALID_CURSOR = "invalid-cursor", BAD_REQUEST, "Invalid cursor",
        "A cursor is only good for the list and the filters that it came from, as it came. Start the list again without it.";
    ROUTE_NOT_FOUND = "not-found", NOT_FOUND, "No such route",
        "There is nothing at this path. /docs lists what there is.";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The path is there, but not for this method. The header `Allow` names those that are possible.";
    UNAUTHENTICATED = "unauthenticated", UNAUTHORIZED, "A credential is wanted",
        "This server lets in who has a key: send `Authorization: Bearer hw_…`, or log in on the page. A key that was revoked, has expired or was          never given gets this answer too. `headwater keys new` makes one on the machine; the first start printed one.";
    FORBIDDEN = "forbidden", FORBIDDEN, "Not among your scopes",
        "The credential is good, and may not do this. `x-permission` in /api/v1/openapi.json names the scope that each route wants; a key with          that scope is made by who has it.";
    TOO_FAST = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "Requests are counted by key, and by address for callers without one (`[api] rate_limit`). `RateLimit-Limit`, `-Remaining` and `-Reset` \
         on each answer say how you stand, `Retry-After` when the next one is let in.";
    CSRF = "csrf", FORBIDDEN, "The page's proof is missing",
        "A change that comes by the page's session must show that the page itself sent it: by the header `X-Headwater-Csrf` with the value of \
         GET /api/v1/auth/me's `csrf`. Programs use a key in `Authorization: Bearer` instead, and need none.";
    NOT_JSON = "not-json", UNSUPPORTED_MEDIA_TYPE, "Not JSON",
        "What changes something is sent with `Content-Type: application/json`, so that no form of another site can send it. DELETE may come \
         without a body.";
    CONTROL_AWAY = "control-unavailable", SERVICE_UNAVAILABLE, "The control store is not available",
        "Keys, contracts and the audit are kept in a database of their own, which does not answer. Blocks and reads go on, and keys that this          process knows work for a while. Try again after the time in `Retry-After`.";
    NETWORK_NOT_FOUND = "network-not-found", NOT_FOUND, "Unknown network",
        "No network of this slug is configured or stored. GET /api/v1/health lists the networks.";
    BLOCK_NOT_FOUND = "block-not-found", NOT_FOUND, "No such block",
        "The store holds no canonical block of this height or hash. It may not have arrived yet, lie before the first held \
         block, or have been removed by a reorg.";
    PRUNED = "pruned", GONE, "No longer kept",
        "The operator keeps rows for a time, or up to a size (`[store] keep`, `max_bytes`), and what lies at this height was removed. \
         GET /api/v1/networks/{network}/completeness says from which height on rows are held.";
    TRANSACTION_NOT_FOUND = "transaction-not-found", NOT_FOUND, "No such transaction",
        "The store holds no canonical transaction of this hash. It may not be in a block yet, lie before the first held \
         block, or have been removed by a reorg.";
    PROVIDER_NOT_FOUND = "provider-not-found", NOT_FOUND, "No such endpoint",
        "No stage has said anything of an endpoint of this name for a day. GET /api/v1/providers/health lists those that are \
         known; a name is the one in the configuration.";
    FOREIGN_HOST = "foreign-host", MISDIRECTED_REQUEST, "Unknown host name",
        "The header `Host` names a host that is not this server's, as it does when a web page points a name of its own at this \
         machine. Call it by localhost or by the address that it listens on; other names are added to `[api] hosts` in the \
         configuration.";
    FOREIGN_ORIGIN = "foreign-origin", FORBIDDEN, "Foreign origin",
        "Web pages of other origins may not change anything or open the WebSocket unless the operator adds their origin to `[api] \
         allowed_origins` in the configuration.";
    NOT_A_WEBSOCKET = "not-a-websocket", UPGRADE_REQUIRED, "WebSocket handshake expected",
        "This path speaks the WebSocket protocol (RFC 6455) only. Connect with a WebSocket client, with ws:// or wss://.";
    URI_TOO_LONG = "uri-too-long", URI_TOO_LONG, "Path and query too long",
        "Path and query together are longer than the limit. No parameter of this API needs that much.";
    BODY_TOO_LARGE = "body-too-large", PAYLOAD_TOO_LARGE, "Body too large",
        "The request's body is larger than the limit.";
    STORE_AWAY = "store-unavailable", SERVICE_UNAVAILABLE, "The store is not available",
        "The store is starting, restarting or overloaded. Nothing is lost; try again after the time in `Retry-After`. The \
         WebSocket's live frames do not depend on it.";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "Too much at once",
        "The server already works on as many requests or connections as it may. Try again after the time in `Retry-After`.";
    DEADLINE = "deadline-exceeded", SERVICE_UNAVAILABLE, "Deadline exceeded",
        "The answer was not ready in time. Ask for less (a smaller `limit`, a narrower range) or try again later.";
    INVALID_OPERATION = "invalid-operation", BAD_REQUEST, "Invalid WebSocket operation",
        "A frame was no operation. Send JSON text such as {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"blocks\"]}. The \
         connection stays open.";
    NOT_AVAILABLE_YET = "not-available-yet", NOT_IMPLEMENTED, "Not available yet",
        "This WebSocket topic is reserved for a later version. `blocks`, `transactions` and `providers` are available.";
    TOO_MANY_SUBSCRIPTIONS = "too-many-subscriptions", TOO_MANY_REQUESTS, "Too many subscriptions",
        "The connection has as many subscriptions as it may. Unsubscribe from one, or leave `network` out to follow all.";
    SUBSCRIPTION_CONFLICT = "subscription-conflict", CONFLICT, "Subscription in the way",
        "The id is taken or unknown, or the network is already followed on this connection, so that its position could not be \
         set back. Unsubscribe first, or use another connection.";
    POSITION_UNKNOWN = "position-unknown", CONFLICT, "Position ahead of the network",
        "The resume token lies ahead of everything that this server knows of the network: it comes from another deployment, or \
         the data was replaced. Read the present state by REST and subscribe without `after`.";
    NOT_HERE = "no-such-thing", NOT_FOUND, "Not here",
        "There is nothing of this id that you can reach: it was never there, was removed, is another organisation's, or of a network that \
         your key does not reach.";
    TAKEN = "taken", CONFLICT, "There already",
        "Something else has this place already, such as a contract at this address of this network. `id` names it.";
    FULL = "full", CONFLICT, "No more of these",
        "There are as many of these as there may be. Remove what is not needed.";
    IF_MATCH_MISSING = "precondition-required", PRECONDITION_REQUIRED, "If-Match is missing",
        "A change says which version it was made from, so that nobody's change is lost: send the `ETag` that came with what you read as \
         the header `If-Match`, or `*` for whatever there is.";
    CHANGED_SINCE = "changed-since", PRECONDITION_FAILED, "Changed since you read it",
        "Somebody else changed it after you read it; nothing was changed now. `version` is the present one: read it again, look at what is \
         different, and send the change with the new `ETag`.";
    INVALID_BODY = "invalid-body", UNPROCESSABLE_ENTITY, "Mistakes in the body",
        "The body has mistakes, and nothing of it was kept. Each of `errors` has the path of a field, what is wrong with it, and what to write \
         instead. Fields that are not known, or that only the server sets, are mistakes, and so is a field that stands twice.";
    KEY_REUSED = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "Idempotency key of another request",
        "This `Idempotency-Key` came with another request in the last 24 hours. Each request has a key of its own; the same key is for the \
         same request sent again.";
    MADE_AND_GONE = "made-and-gone", CONFLICT, "Made, and removed since",
        "A request with this `Idempotency-Key` was carried out, and what it made was removed since. To make another, send another key.";
    MORE_THAN_YOURS = "more-than-yours", FORBIDDEN, "More than you may",
        "A key never does more than whoever makes it, and nobody changes a key that may more than he does: scopes, networks and end of life \
         count. So does the network of a contract.";
    READ_ONLY = "read-only", FORBIDDEN, "Changed in the configuration file",
        "Contracts of the operator (`source` is `operator`) stand in the configuration file as `[[contract]]`. Change the file, and run \
         `headwater reload`.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "A fault of the server. Its log has the details.";
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
            Self::Forbidden { .. } => Kind::FORBIDDEN,
            Self::TooFast { .. } => Kind::TOO_FAST,
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
            Self::Deadline { .. } => Kind::DEADLINE,
            Self::InvalidOperation { .. } => Kind::INVALID_OPERATION,
            Self::NotAvailableYet { .. } => Kind::NOT_AVAILABLE_YET,
            Self::TooManySubscriptions { .. } => Kind::TOO_MANY_SUBSCRIPTIONS,
            Self::SubscriptionConflict { .. } => Kind::SUBSCRIPTION_CONFLICT,
            Self::PositionUnknown { .. } => Kind::POSITION_UNKNOWN,
            Self::NotHere { .. } => Kind::NOT_HERE,
            Self::Taken { .. } => Kind::TAKEN,
            Self::Full { .. } => Kind::FULL,
            Self::IfMatchMissing => Kind::IF_MATCH_MISSING,
            Self::ChangedSince { .. } => Kind::CHANGED_SINCE,
            Self::InvalidBody { .. } => Kind::INVALID_BODY,
            Self::KeyReused => Kind::KEY_REUSED,
            Self::MadeAndGone => Kind::MADE_AND_GONE,
            Self::MoreThanYours { .. } => Kind::MORE_THAN_YOURS,
            Self::ReadOnly => Kind::READ_ONLY,
            Self::Internal => Kind::INTERNAL,
        }
    }

    /// Seconds until trying again may help.
    fn retry_after(&self) -> Option<u64> {
        if let Self::TooFast { wait, .. } = self {
            return Some(crate::door::up(*wait).max(1));
        }
        match self.kind() {
            Kind::STORE_AWAY | Kind::CONTROL_AWAY => Some(2),
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
            E::Stale { version } => Self::ChangedSince { version },
            E::Invalid(mistakes) => Self::InvalidBody { mistakes },
            E::Reused => Self::KeyReused,
            E::MadeAndGone => Self::MadeAndGone,
            E::MoreThanMaker(problem) => Self::MoreThanYours { problem },
            E::ReadOnly => Self::ReadOnly,
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

/// An RFC 9457 problem (`application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// URI reference of the kind of problem; a page of this API explains it.
    #[schema(example = "/problems/invalid-parameter")]
    pub r#type: String,
    /// Summary of the kind.
    pub title: String,
    /// HTTP status code (on the WebSocket: the code that a request would have got).
    #[schema(example = 400)]
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Its value as it came, cut to 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The id of what is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The present version of what was to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Every mistake of the body, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<BodyError>>,
}

/// A mistake of a body.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BodyError {
    /// Where: names and places with dots between them, or line and column of a text that is no JSON.
    #[schema(example = "abi.3.inputs.0.type")]
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        crate::metrics::refused(self.kind().name);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.kind().status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::TooFast { standing, .. } = &self {
            standing.tell(headers);
        }
        if let Self::Unauthenticated { .. } = &self {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::MethodNotAllowed { allow, .. } = &self
            && let Ok(allow) = HeaderValue::from_str(allow)
            && !allow.is_empty()
        {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_kind_has_a_page() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|k| k.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|k| k.explanation.len() > 20 && k.status.as_u16() >= 400));
    }

    #[test]
    fn a_hostile_value_is_cut() {
        let e = ApiError::invalid("limit", &"9".repeat(10_000), "a number");
        assert_eq!(e.problem().value.map(|v| v.len()), Some(80));
    }
}
