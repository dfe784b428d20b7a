//! The kinds of problems: their names, which never change, and what the page at each name says.

use axum::http::StatusCode;

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
        "This server lets in who has a key: send `Authorization: Bearer hw_…`, or log in on the page. A key that was revoked, has expired or was \
         never given gets this answer too. `headwater keys new` makes one on the machine; the first start printed one.";
    CODE_REQUIRED = "code-required", UNAUTHORIZED, "A code is wanted besides",
        "The password is right, and this account has a second factor: send the six digits that the authenticator shows now, or one of the \
         recovery codes, as `code` with e-mail address and password.";
    CODE_WRONG = "code-wrong", UNAUTHORIZED, "The code is wrong",
        "The password is right, and the code is not, or was used before: each is good once. Wait for the next one of the authenticator.";
    TOO_MANY_ATTEMPTS = "too-many-attempts", TOO_MANY_REQUESTS, "Too many failed attempts",
        "Too many attempts to log in failed, of this account or from this address. Each further one has to wait longer; `Retry-After` says how \
         long now. A password that was forgotten is set anew by a link that is sent to the account's address.";
    NO_ORGANISATION = "no-organisation", FORBIDDEN, "In no organisation",
        "This account is in no organisation, or only in such that are suspended. An invitation brings it into one.";
    SIGN_UP_CLOSED = "sign-up-closed", FORBIDDEN, "Nobody can sign up like that",
        "The operator decides who may make an account (`[auth] sign_up`): whoever comes, whoever was invited, or nobody. \
         GET /api/v1/auth/ways says which.";
    EMAIL_TAKEN = "email-taken", CONFLICT, "There is an account already",
        "There is an account of this e-mail address, or of this identity at a provider. Log in with it; a password that was forgotten is set \
         anew by a link that is sent to the address.";
    NO_INVITATION = "no-invitation", NOT_FOUND, "No such invitation",
        "The invitation is not known, was used or taken back, its time is over, or it was written to another address than the account's. Who \
         wrote it can write another.";
    LAST_OWNER = "last-owner", CONFLICT, "The last owner stays",
        "An organisation always has an owner. Make another member owner first (PATCH /api/v1/members/{id}), or delete the organisation.";
    FORBIDDEN = "forbidden", FORBIDDEN, "Not among your scopes",
        "The credential is good, and may not do this. `x-permission` in /api/v1/openapi.json names the scope that each route wants; a key with \
         that scope is made by who has it.";
    TOO_FAST = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "Requests are counted by key, and by address for callers without one (`[api] rate_limit`). `RateLimit-Limit`, `-Remaining` and `-Reset` \
         on each answer say how you stand, `Retry-After` when the next one is let in.";
    TOO_OFTEN = "too-many-a-day", TOO_MANY_REQUESTS, "Too many in a day",
        "Sign-ups, and organisations that are founded, are counted by the address that they come from (of IPv6 by the /64), for a day from the \
         first. `Retry-After` says when the next one is let through. Whoever runs this Headwater makes organisations without that bound.";
    TOO_MANY_EXPORTS = "too-many-exports", TOO_MANY_REQUESTS, "Too many exports at the same time",
        "One caller may run two exports at the same time, so that others have a turn. Read one of them to its end, or close its connection: \
         the next one is let in at once.";
    CSRF = "csrf", FORBIDDEN, "The page's proof is missing",
        "A change that comes by the page's session must show that the page itself sent it: by the header `X-Headwater-Csrf` with the value of \
         GET /api/v1/auth/me's `csrf`. Programs use a key in `Authorization: Bearer` instead, and need none.";
    NOT_JSON = "not-json", UNSUPPORTED_MEDIA_TYPE, "Not JSON",
        "What changes something is sent with `Content-Type: application/json`, so that no form of another site can send it. DELETE may come \
         without a body.";
    CONTROL_AWAY = "control-unavailable", SERVICE_UNAVAILABLE, "The control store is not available",
        "Keys, contracts and the audit are kept in a database of their own, which does not answer. Blocks and reads go on, and keys that this \
         process knows work for a while. Try again after the time in `Retry-After`.";
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
    TOO_MANY_SUBSCRIPTIONS = "too-many-subscriptions", TOO_MANY_REQUESTS, "Too many subscriptions",
        "The connection has as many subscriptions as it may. Unsubscribe from one, or leave `network` out to follow all.";
    SUBSCRIPTION_CONFLICT = "subscription-conflict", CONFLICT, "Subscription in the way",
        "The id is taken or unknown, or the network is already followed on this connection, so that its position could not be \
         set back. Unsubscribe first, or use another connection.";
    POSITION_UNKNOWN = "position-unknown", CONFLICT, "Position ahead of the network",
        "The resume token lies ahead of everything that this server knows of the network, or of alerts: it comes from another deployment, or \
         the data was replaced. Read the present state by REST and subscribe without `after` and `alerts_after`.";
    NOT_HERE = "no-such-thing", NOT_FOUND, "Not here",
        "There is nothing of this id that you can reach: it was never there, was removed, is another organisation's, or of a network that \
         your key does not reach.";
    TAKEN = "taken", CONFLICT, "There already",
        "Something else has this place already, such as a contract at this address of this network, or a rule of \
         this name. `id` names it.";
    FULL = "full", CONFLICT, "No more of these",
        "There are as many of these as there may be. Remove what is not needed.";
    QUOTA_EXCEEDED = "quota-exceeded", FORBIDDEN, "More than the plan gives",
        "The organisation's plan gives so many of these, or so much of it in a time. GET /api/v1/usage shows every quota, what is used of it, \
         and when it begins anew. Remove what is not needed, or ask who runs this for another plan.";
    IN_USE = "in-use", CONFLICT, "Named by something else",
        "Something else rests on this: a rule or monitor that names the channel, or a rule over the contract. The detail says which. Take it \
         out there first.";
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
    ALERT_OVER = "alert-is-over", CONFLICT, "The alert is over",
        "What it told of is over, or was taken back by the chain: nobody has to take it on any more. A new crossing is a new alert.";
    LOG_AWAY = "log-unavailable", SERVICE_UNAVAILABLE, "The log is not available",
        "What people ask of alerts goes through the log, which does not take it at the moment. Nothing was changed; try again after the time in \
         `Retry-After`.";
    PROVIDER_AWAY = "provider-unavailable", SERVICE_UNAVAILABLE, "The provider is not available",
        "Who was asked who somebody is does not answer, or is at a place where nothing may be sent (`[auth] allow_targets`). The log has the \
         details; try again after the time in `Retry-After`.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "A fault of the server. Its log has the details.";
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
        let in_words = |k: &Kind| k.explanation.len() > 20 && !k.explanation.contains("  ");
        assert!(Kind::ALL.iter().all(|k| in_words(k) && k.status.as_u16() >= 400));
    }
}
