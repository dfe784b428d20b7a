//! The matrix: every route and method, every topic and filter of the WebSocket, and the analysts' SQL, by everybody that there can be.
//!
//! What is asked is made from the table of permissions, so that a new route is in it by itself. What is expected comes from two places: the
//! table, and [`promise`], which says for roles what the documents promise without looking at the table; so a row that is wrong is found as
//! well as a door that does not keep one.

mod analyst;
mod callers;
mod foreign;
mod live;
mod promise;
mod table;
mod twins;

use api::permissions::Row;

use super::Keyed;
use crate::http::{self, Answer};
use callers::Proof;

/// An id that nothing has.
const NOTHING: &str = "01J0000000000000000000000A";

/// The path of a route, with this id; where it has two, with these.
fn path(route: &str, id: &str, export: &str) -> String {
    route
        .replace("{network}", "ethereum")
        .replace("{block}", "1")
        .replace("{hash}", &"0".repeat(64))
        .replace("{name}", "unauthenticated")
        .replace("{provider}", "nowhere")
        .replace("{token}", "none")
        .replace("{subject}", "x")
        .replace("{version}", "1")
        .replace("{export}", export)
        .replace("{id}", id)
}

/// A request as the row has it, with a body that is let in and changes nothing.
async fn ask(keyed: &Keyed, row: &Row, target: &str, proof: &Proof, body: &str) -> Answer {
    let method = if row.method == "*" { "DELETE" } else { row.method };
    let proof = proof.headers();
    let mut headers = vec![("If-Match", "*")];
    headers.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
    let body: &[u8] = if matches!(method, "GET" | "DELETE") { b"" } else { body.as_bytes() };
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    http::exchange(keyed.api.at, method, target, &headers, body).await
}

/// What the door said: let in, or the kind of refusal.
fn verdict(answer: &Answer) -> &'static str {
    let problem = String::from_utf8_lossy(&answer.body).contains("/problems/forbidden");
    match answer.status {
        401 => "401",
        403 if problem => "403",
        _ => "in",
    }
}
