//! What the documents promise to roles, said a second time and without the table of permissions.
//!
//! `owner` everything; `admin` all but deleting the organisation and changing owners; `editor` contracts, rules, monitors, channels,
//! silences, alerts, deliveries, back-tests; `viewer` reads, no keys, members or audit; what is of the whole platform is its operators'.

use api::permissions::Row;
use control::Role;

/// Families of routes that show chains, which everybody reads.
const CHAINS: [&str; 10] =
    ["blocks", "txs", "metrics", "diagnosis", "failures", "search", "networks", "providers", "sql", "ws"];
/// What an editor changes.
const EDITED: [&str; 9] =
    ["contracts", "rules", "monitors", "channels", "silences", "alerts", "annotations", "deliveries", "backtests"];

/// Whether a person of this role, who may be an operator of the platform besides, is let in.
pub fn lets_in(role: Role, platform: bool, row: &Row) -> bool {
    let Some(route) = row.route.strip_prefix("/api/v1/") else { return true };
    let (family, rest) = route.split_once('/').unwrap_or((route, ""));
    let owner = role == Role::Owner || platform;
    let tries = rest == "preview" || rest == "abi";
    match (family, row.method, rest) {
        ("health" | "openapi.json" | "asyncapi.json" | "auth", _, _) => true,
        ("platform", _, _) => platform,
        // To found one, to see those that one is in, and to bring one along from elsewhere.
        ("organisations", "GET" | "POST", "") | ("organisations", "GET", "{id}") => true,
        ("organisations", "POST", "import") => true,
        ("organisations", "DELETE", "{id}") | ("organisations", "POST", "{id}/transfer") => owner,
        ("organisations", "POST", "{id}/suspend" | "{id}/resume") => platform,
        ("organisations", _, _) => role >= Role::Admin,
        // Anybody may leave.
        ("members", "DELETE", "{id}") => true,
        ("keys" | "members" | "audit", _, _) => role >= Role::Admin,
        ("usage", "GET", _) => true,
        (family, method, _) if EDITED.contains(&family) => method == "GET" || tries || role >= Role::Editor,
        (family, "GET", _) if CHAINS.contains(&family) => true,
        _ => panic!("{} {}: say here who may that, as docs/access.md promises it", row.method, row.route),
    }
}
