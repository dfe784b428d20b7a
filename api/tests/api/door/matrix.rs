//! Every route and method, by everybody: made from the table of permissions, and let in exactly where that says so.

use std::{fmt::Write as _, time::Duration};

use api::{
    Config,
    permissions::{Is, Needs, Row, TABLE},
};
use control::{Caller, Networks, NewKey, Resource, Scopes};
use runtime::config::Rate;

use super::Keyed;
use crate::http::{self, Answer};

/// An id that nothing has.
pub const NOTHING: &str = "01J0000000000000000000000A";

/// The path of a route, with this id.
fn path(route: &str, id: &str) -> String {
    route
        .replace("{network}", "ethereum")
        .replace("{block}", "1")
        .replace("{hash}", &"0".repeat(64))
        .replace("{name}", "unauthenticated")
        .replace("{token}", "none")
        .replace("{subject}", "x")
        .replace("{version}", "1")
        .replace("{export}", id)
        .replace("{id}", id)
}

pub async fn ask(keyed: &Keyed, row: &Row, id: &str, key: Option<&str>) -> Answer {
    let method = if row.method == "*" { "DELETE" } else { row.method };
    let authorization = format!("Bearer {}", key.unwrap_or_default());
    let mut headers = vec![("If-Match", "*")];
    headers.extend(key.map(|_| ("Authorization", authorization.as_str())));
    let body: &[u8] = if matches!(method, "GET" | "DELETE") { b"" } else { b"{}" };
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    http::exchange(keyed.api.at, method, &path(row.route, id), &headers, body).await
}

/// What the door said: let in, or the kind of refusal.
pub fn verdict(answer: &Answer) -> &'static str {
    let problem = String::from_utf8_lossy(&answer.body).contains("/problems/forbidden");
    match answer.status {
        401 => "401",
        403 if problem => "403",
        _ => "in",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_let_in_exactly_where_the_table_says() {
    // So many that none is refused for being one too many.
    let rate_limit = Rate { requests: 1_000_000, per: Duration::from_secs(60) };
    let keyed = Keyed::start_with(&["ethereum"], |config| Config { rate_limit, ..config }).await;
    let (expired, revoked) = (keyed.key(&["*:*"]).await, keyed.key(&["*:*"]).await);
    keyed.sql(&format!("UPDATE api_keys SET expires_at = 1 WHERE id = '{}'", expired.key.id)).await;
    keyed.revoke(&revoked).await;
    let wrong =
        format!("{}{}", &expired.text.expose()[..33], if expired.text.expose().ends_with('a') { 'b' } else { 'a' });
    let unknown = format!("hw_{}_{}", "a".repeat(8), "b".repeat(22));
    let mut callers: Vec<(String, Option<String>, Scopes)> = vec![
        ("nothing".to_owned(), None, Scopes::default()),
        ("malformed".to_owned(), Some("hw_x".to_owned()), Scopes::default()),
        ("unknown".to_owned(), Some(unknown), Scopes::default()),
        ("wrong".to_owned(), Some(wrong), Scopes::default()),
        ("expired".to_owned(), Some(expired.text.expose().to_owned()), Scopes::default()),
        ("revoked".to_owned(), Some(revoked.text.expose().to_owned()), Scopes::default()),
    ];
    let strangers = callers.len();
    let each = Resource::ALL.into_iter().flat_map(|r| ["read", "write"].map(|a| format!("{}:{a}", r.as_str())));
    for scope in each.chain(["*:read".to_owned(), "*:*".to_owned()]) {
        let key = keyed.key(&[&scope]).await;
        let scopes = Scopes::read(&[&scope]).expect("a scope");
        callers.push((scope, Some(key.text.expose().to_owned()), scopes));
    }

    let (mut asked, mut let_in, mut wrong) = (0, 0, Vec::new());
    let mut report = "| route | needs | let in | 401 | 403 |\n|---|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let mut counts = [0, 0, 0];
        for (i, (name, key, scopes)) in callers.iter().enumerate() {
            let answer = ask(&keyed, row, NOTHING, key.as_deref()).await;
            let expected = match row.needs {
                Needs::Nothing => "in",
                _ if i < strangers => "401",
                // Of these keys, which the operator made, the one that may everything is an operator's of the platform.
                needs
                    if needs.is_met(Is { role: None, platform: *scopes == Scopes::ALL }, |resource, action| {
                        scopes.allows(resource, action)
                    }) =>
                {
                    "in"
                }
                _ => "403",
            };
            let said = verdict(&answer);
            if said != expected {
                wrong.push(format!(
                    "{} {} by {name}: {} ({said}, not {expected})",
                    row.method, row.route, answer.status
                ));
            }
            counts[["in", "401", "403"].iter().position(|v| *v == said).expect("one of them")] += 1;
            asked += 1;
        }
        let_in += counts[0];
        let needs = row.needs.word();
        let _ = writeln!(
            report,
            "| {} {} | {needs} | {} | {} | {} |",
            row.method, row.route, counts[0], counts[1], counts[2]
        );
    }
    let _ = writeln!(
        report,
        "\n{} rows × {} callers = {asked} requests, {let_in} let in, {} against the table",
        TABLE.len(),
        callers.len(),
        wrong.len()
    );
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("permissions.md");
    std::fs::write(&file, &report).expect("the report");
    eprintln!("{report}(in {})", file.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    keyed.api.stop().await;
}

/// What is another tenant's and what is not there are one answer, for every route that takes an id.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_tenant_is_not_there() {
    let keyed = Keyed::start(&["ethereum"]).await;
    let other = keyed.second_tenant().await;
    let new = NewKey { name: "theirs".to_owned(), scopes: Scopes::ALL, networks: Networks::All, expires_in: None };
    let theirs = keyed.operator.control().create_key(Caller::here(&other), new).await.expect("a key");
    let address = "0xabcdef0000000000000000000000000000000001";
    let contract = format!("{{\"network\":\"ethereum\",\"address\":\"{address}\",\"name\":\"theirs\"}}");
    let made = keyed.send("POST", "/api/v1/contracts", theirs.text.expose(), &[], &contract).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let contract = made.json()["id"].as_str().expect("an id").to_owned();
    let key = theirs.key.id.to_string();
    let mut things = Vec::new();
    for (list, new) in crate::created::definitions::one_of_each() {
        let new = new.to_string().replace("\"a\"", "\"ethereum\"").replace("\"one\"", "\"theirs\"");
        let made = keyed.send("POST", list, theirs.text.expose(), &[], &new).await;
        assert_eq!(made.status, 201, "{list}: {}", made.text());
        things.push((list, made.json()["id"].as_str().expect("an id").to_owned()));
    }
    let mine = keyed.key(&["*:*"]).await;
    let mut looked = 0;
    for row in TABLE
        .iter()
        .filter(|row| row.route.starts_with("/api/v1/") && row.route.contains("{id}") && row.needs != Needs::Person)
    {
        let thing = things.iter().find(|(list, _)| row.route.starts_with(list)).map(|(_, id)| id);
        let id = thing.unwrap_or(if row.route.contains("/keys/") { &key } else { &contract });
        let there = ask(&keyed, row, id, Some(mine.text.expose())).await;
        let not_there = ask(&keyed, row, NOTHING, Some(mine.text.expose())).await;
        let told = |answer: &Answer, id: &str| (answer.status, answer.text().replace(id, "ID"));
        assert_eq!(told(&there, id), told(&not_there, NOTHING), "{} {}", row.method, row.route);
        assert_eq!(there.status, 404, "{} {}: {}", row.method, row.route, there.text());
        looked += 1;
    }
    assert!(looked >= 19, "{looked}");
    // And it is there all the same, for who it belongs to.
    let mine_of_them = [format!("/api/v1/keys/{key}"), format!("/api/v1/contracts/{contract}")];
    for path in mine_of_them.into_iter().chain(things.iter().map(|(list, id)| format!("{list}/{id}"))) {
        assert_eq!(keyed.ask("GET", &path, theirs.text.expose()).await.status, 200, "{path}");
    }
    for list in ["/api/v1/keys", "/api/v1/contracts", "/api/v1/audit"].into_iter().chain(things.iter().map(|(l, _)| *l))
    {
        let seen = keyed.ask("GET", list, mine.text.expose()).await;
        assert!(seen.status == 200 && !seen.text().contains("theirs"), "{list}: {}", seen.text());
    }
    keyed.api.stop().await;
}
