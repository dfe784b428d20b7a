//! Two organisations that look alike, and their ids exchanged: whatever is asked, what is another's and what is not there are one answer.

use api::permissions::{Is, Needs, Row, TABLE};
use control::{Role, Scopes};
use serde_json::{Value, json};

use super::{
    NOTHING, ask,
    callers::People,
    path,
    twins::{NOBODYS, SHARED, THEIRS, Twin, Twins},
};
use crate::http::Answer;

/// A body that a row takes, so that it is the id which decides.
fn body(row: &Row) -> &'static str {
    match (row.method, row.route) {
        ("PATCH", "/api/v1/members/{id}") => r#"{"role":"viewer"}"#,
        ("POST", "/api/v1/organisations/{id}/transfer") => r#"{"member":"01J0000000000000000000P002"}"#,
        _ => "{}",
    }
}

/// Status and text, without the id that was asked for.
fn told(answer: &Answer, ids: &[&str]) -> (u16, String) {
    let text = ids.iter().fold(answer.text(), |text, id| text.replace(id, "ID"));
    (answer.status, text)
}

/// Pairs of what is another's and what is not there, as targets of a row.
fn targets(row: &Row, mine: &Twin, theirs: &Twin) -> Vec<(String, String)> {
    if row.route.contains("{export}") {
        let of = |id: &str, export: &str| path(row.route, id, export);
        return vec![
            (of(theirs.id, &theirs.export), of(NOTHING, NOTHING)),
            (of(mine.id, &theirs.export), of(mine.id, NOTHING)),
        ];
    }
    let things = theirs.things.iter().filter(|(list, _)| row.route.starts_with(&format!("{list}/{{id}}")));
    things.map(|(_, id)| (path(row.route, id, ""), path(row.route, NOTHING, ""))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_anothers_and_what_is_not_there_are_one_answer_on_every_route() {
    let twins = Twins::start().await;
    let people = People { keyed: &twins.keyed };
    let operator = people.person(50, Role::Owner, super::super::accounts::HOME).await;
    twins.keyed.sql(&format!("UPDATE users SET platform = 1 WHERE user_id = '{operator}'")).await;
    let operator = people.token(&operator).await;
    let owner = Is { role: Some(Role::Owner), platform: false };
    let (one, other) = (&twins.one, &twins.other);
    let askers = [
        ("the owner of one", &one.owner, owner, one, other),
        ("the owner of the other", &other.owner, owner, other, one),
        ("a key of one", &one.key, Is::default(), one, other),
        ("a key of the other", &other.key, Is::default(), other, one),
        // What is in an organisation is no operator's either.
        ("an operator of the platform", &operator, Is { platform: true, ..owner }, one, other),
    ];
    let (mut looked, mut wrong) = (0, Vec::new());
    for row in TABLE.iter().filter(|row| row.route.starts_with("/api/v1/") && row.route.contains("{id}")) {
        let of_organisation = row.route.contains("/organisations/");
        for (name, proof, is, mine, theirs) in askers {
            // Whose an organisation is, an operator may see, say and end.
            if is.platform && of_organisation {
                continue;
            }
            let targets = targets(row, mine, theirs);
            assert!(!targets.is_empty(), "{}: the twins have none of it; make one in twins.rs", row.route);
            for (foreign, nothing) in targets {
                let there = ask(&twins.keyed, row, &foreign, proof, body(row)).await;
                let not_there = ask(&twins.keyed, row, &nothing, proof, body(row)).await;
                let ids: Vec<&str> = theirs.ids().chain([NOTHING]).collect();
                let met = row.needs.is_met(is, |resource, action| Scopes::ALL.allows(resource, action));
                let expected = if met { 404 } else { 403 };
                if told(&there, &ids) != told(&not_there, &ids) || there.status != expected {
                    wrong.push(format!(
                        "{} {foreign} by {name}: {} {}, and of what is not there {} {}",
                        row.method,
                        there.status,
                        there.text(),
                        not_there.status,
                        not_there.text()
                    ));
                }
                looked += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {looked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(looked >= 150, "{looked}");
    // Nothing was done by that, and all of it is there for whom it is.
    for twin in [one, other] {
        for (list, id) in twin.things.iter().filter(|(list, _)| !list.contains("/platform/")) {
            let alone = !["/api/v1/members", "/api/v1/auth/sessions", "/api/v1/auth/identities"].contains(list);
            let target = if alone { format!("{list}/{id}") } else { (*list).to_owned() };
            let seen = twins.get(&target, &twin.owner).await;
            assert!(seen.status == 200 && seen.text().contains(id.as_str()), "{target}: {}", seen.text());
        }
    }
    twins.keyed.api.stop().await;
}

/// Lists, filters, cursors and bodies that name what is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_filter_cursor_or_body_reaches_what_is_anothers() {
    let twins = Twins::start().await;
    for (mine, theirs) in [(&twins.one, &twins.other), (&twins.other, &twins.one)] {
        let of = |twin: &Twin, name: &str| -> String {
            let found = twin.things.iter().find(|(list, _)| list.ends_with(name));
            found.expect("one of each").1.clone()
        };
        let (rule, channel, alert) = (of(theirs, "/rules"), of(theirs, "/channels"), of(theirs, "/alerts"));
        let member = of(theirs, "/members");
        for list in [
            "/api/v1/contracts",
            "/api/v1/rules",
            "/api/v1/monitors",
            "/api/v1/channels",
            "/api/v1/silences",
            "/api/v1/keys",
            "/api/v1/members",
            "/api/v1/alerts",
            "/api/v1/deliveries",
            "/api/v1/annotations?network=ethereum",
            "/api/v1/audit?limit=1000",
            "/api/v1/usage",
            "/api/v1/organisations",
            "/api/v1/auth/sessions",
            "/api/v1/auth/identities",
            "/api/v1/auth/me",
            "/api/v1/search?q=one",
            &format!("/api/v1/search?q={SHARED}"),
            &format!("/api/v1/audit?resource={rule}"),
            &format!("/api/v1/audit?actor={member}"),
            &format!("/api/v1/deliveries?channel={channel}"),
            &format!("/api/v1/deliveries?alert={alert}"),
        ] {
            let seen = twins.get(list, &mine.owner).await;
            assert_eq!(seen.status, 200, "{list}: {}", seen.text());
            for id in theirs.ids() {
                // What was asked for may be said again.
                assert!(list.contains(id) || !seen.text().contains(id), "{list} tells of {id}: {}", seen.text());
            }
            if list.contains('=') && theirs.ids().any(|id| list.contains(id)) {
                assert_eq!(seen.json()["items"], json!([]), "{list}");
            }
        }
        // A page of theirs, gone on with by somebody else.
        let page = twins.get("/api/v1/keys?limit=1", &theirs.owner).await.json();
        let cursor = page["next"].as_str().expect("a second page");
        let seen = twins.get(&format!("/api/v1/keys?limit=100&cursor={cursor}"), &mine.owner).await;
        assert!(theirs.ids().all(|id| !seen.text().contains(id)), "{}", seen.text());
        // Ids in bodies.
        let rule = |channel: &str| json!({"name": "two", "network": "ethereum", "metric": "failure_rate", "operator": ">", "threshold": 0.1, "channels": [channel]});
        let monitor = |channel: &str| json!({"name": "two", "networks": ["ethereum"], "channels": [channel], "match_conditions": {"transactions": [{"status": "Failure"}]}});
        let transfer = format!("/api/v1/organisations/{}/transfer", mine.id);
        let bodies: [(&str, Value, Value); 4] = [
            ("/api/v1/rules", rule(&channel), rule(NOTHING)),
            ("/api/v1/monitors", monitor(&channel), monitor(NOTHING)),
            (&transfer, json!({"member": member}), json!({"member": NOTHING})),
            ("/api/v1/auth/switch", json!({"organisation": theirs.id}), json!({"organisation": NOTHING})),
        ];
        for (target, foreign, nothing) in bodies {
            let there = twins.send("POST", target, &mine.owner, &foreign).await;
            let not_there = twins.send("POST", target, &mine.owner, &nothing).await;
            let ids: Vec<&str> = theirs.ids().chain([NOTHING]).collect();
            assert_eq!(told(&there, &ids), told(&not_there, &ids), "{target}");
            assert!([404, 422].contains(&there.status), "{target}: {}", there.text());
        }
    }
    // Whether somebody watches an address is not told to who does not.
    for target in [
        "/api/v1/metrics/series?metric=tps&network=ethereum&contract=",
        "/api/v1/metrics/causes?network=ethereum&contract=",
        "/api/v1/txs?network=ethereum&contract=",
        "/api/v1/search?q=",
    ] {
        let ask = async |address: &str| {
            let answer = twins.get(&format!("{target}{address}"), &twins.one.owner).await;
            told(&answer, &[address])
        };
        let (theirs, nobodys) = (ask(THEIRS).await, ask(NOBODYS).await);
        assert_eq!(without_times(&theirs), without_times(&nobodys), "{target}");
    }
    twins.keyed.api.stop().await;
}

/// Figures carry the moment in which they were asked for.
fn without_times(told: &(u16, String)) -> (u16, String) {
    let text: String = told.1.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    (told.0, text)
}

/// The table says nothing of a route with an id that no organisation has, but for those that are asked without one.
#[test]
fn every_route_with_an_id_wants_somebody() {
    for row in TABLE.iter().filter(|row| row.route.starts_with("/api/v1/") && row.route.contains("{id}")) {
        assert_ne!(row.needs, Needs::Nothing, "{row:?}");
        assert_ne!(row.needs, Needs::Somebody, "{row:?}: a key with no scope at all would be let in");
    }
}
