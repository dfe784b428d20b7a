//! Organisations, members and invitations over HTTP, and what operators of the platform see of them.

use control::Role;
use serde_json::{Value, json};

use super::{
    Accounts, JSON, LoggedIn,
    accounts::{HOME, PASSWORD, SECOND},
};
use crate::http::{self, Answer};

/// Somebody with an access token.
struct Person<'a> {
    accounts: &'a Accounts,
    bearer: String,
}

impl<'a> Person<'a> {
    fn of(accounts: &'a Accounts, session: &LoggedIn) -> Self {
        Self { accounts, bearer: format!("Bearer {}", session.access) }
    }

    async fn logged_in(accounts: &'a Accounts, number: u32) -> Self {
        Self::of(accounts, &accounts.log_in(number).await)
    }

    async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        let mut headers = vec![("Authorization", self.bearer.as_str()), ("If-Match", "*")];
        headers.extend(body.as_ref().map(|_| JSON));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let target = format!("/api/v1{target}");
        http::exchange(self.accounts.keyed.api.at, method, &target, &headers, body.as_bytes()).await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, None).await
    }
}

fn kind(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, name: &str) -> (u16, String) {
    (status, format!("/problems/{name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_invited_comes_in_gets_another_role_and_leaves() {
    let accounts = Accounts::start(&[]).await;
    let owner_id = accounts.person(1, Role::Owner, HOME).await;
    let owner = Person::logged_in(&accounts, 1).await;
    let invite = async |email: &str, role: &str| {
        owner.ask("POST", "/members", Some(json!({"email": email, "role": role}))).await
    };
    // Who has an account, and who has none: one answer, in everything that does not name the address.
    accounts.person(2, Role::Owner, SECOND).await;
    let (known, unknown) = (invite("p2@example.org", "editor").await, invite("new@example.org", "editor").await);
    assert_eq!((known.status, unknown.status), (201, 201), "{}", known.text());
    let keys = |answer: &Answer| answer.json().as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&known), keys(&unknown));
    assert_eq!((&known.json()["state"], &known.json()["sent"]), (&json!("invited"), &json!(false)));
    assert_eq!(known.header("cache-control"), Some("no-store"));
    let token = unknown.json()["invitation"].as_str().expect("a token").to_owned();

    // The one without signs up with it; the other accepts it.
    let body = json!({"email": "new@example.org", "password": PASSWORD, "invitation": token});
    let new = LoggedIn::of(&accounts.post("/api/v1/auth/sign-up", &[], &body).await);
    let new = Person::of(&accounts, &new);
    let me = new.get("/auth/me").await.json();
    assert_eq!((&me["current"], &me["role"]), (&json!(HOME), &json!("editor")));
    let second = Person::logged_in(&accounts, 2).await;
    let accept = json!({"invitation": known.json()["invitation"]});
    assert_eq!(kind(&new.ask("POST", "/auth/accept", Some(accept.clone())).await), is(404, "no-invitation"));
    let joined = second.ask("POST", "/auth/accept", Some(accept.clone())).await;
    assert_eq!((joined.status, &joined.json()["id"], &joined.json()["role"]), (200, &json!(HOME), &json!("editor")));
    assert_eq!(kind(&second.ask("POST", "/auth/accept", Some(accept)).await), is(404, "no-invitation"));
    assert_eq!(second.get("/organisations").await.json()["items"].as_array().map(Vec::len), Some(2));

    // The list, and what may be changed of it.
    let list = owner.get("/members").await.json();
    let states: Vec<_> = list["items"].as_array().expect("items").iter().map(|m| m["state"].clone()).collect();
    assert_eq!(states, ["member", "member", "member"]);
    let new_id = me["user"]["id"].as_str().expect("an id").to_owned();
    let of = |id: &str| format!("/members/{id}");
    assert_eq!(kind(&new.get("/members").await), is(403, "forbidden"), "an editor sees no members");
    let changed = owner.ask("PATCH", &of(&new_id), Some(json!({"role": "viewer"}))).await;
    assert_eq!(
        (changed.status, &changed.json()["role"], &changed.json()["version"]),
        (200, &json!("viewer"), &json!(2))
    );
    for (body, status) in
        [(json!({"role": "king"}), 422), (json!({"role": "viewer", "platform": true}), 422), (json!({}), 422)]
    {
        assert_eq!(owner.ask("PATCH", &of(&new_id), Some(body.clone())).await.status, status, "{body}");
    }
    let demote = owner.ask("PATCH", &of(&owner_id), Some(json!({"role": "admin"}))).await;
    assert_eq!(kind(&demote), is(409, "last-owner"));
    assert_eq!(kind(&owner.ask("DELETE", &of(&owner_id), None).await), is(409, "last-owner"));
    // A key, whatever it may, is no person, and makes no owner.
    let key = Person {
        accounts: &accounts,
        bearer: format!("Bearer {}", accounts.keyed.key(&["members:write"]).await.text.expose()),
    };
    assert_eq!(kind(&key.ask("POST", "/organisations", Some(json!({"name": "x"}))).await), is(403, "forbidden"));
    let more = key.ask("POST", "/members", Some(json!({"email": "x@example.org", "role": "viewer"}))).await;
    assert_eq!(kind(&more), is(403, "more-than-yours"));
    // Anybody leaves, and removes nobody else.
    assert_eq!(kind(&new.ask("DELETE", &of(&owner_id), None).await), is(403, "more-than-yours"));
    assert_eq!(new.ask("DELETE", &of(&new_id), None).await.status, 204);
    // Handed on.
    let second_id = second.get("/auth/me").await.json()["user"]["id"].clone();
    let path = format!("/organisations/{HOME}/transfer");
    let handed = owner.ask("POST", &path, Some(json!({"member": second_id}))).await;
    assert_eq!((handed.status, &handed.json()["role"]), (200, &json!("owner")), "{}", handed.text());
    assert_eq!(owner.ask("DELETE", &of(&owner_id), None).await.status, 204);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_founded_named_and_nobody_elses() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    accounts.person(2, Role::Owner, SECOND).await;
    let (one, two) = (Person::logged_in(&accounts, 1).await, Person::logged_in(&accounts, 2).await);
    let founded = one.ask("POST", "/organisations", Some(json!({"name": " Mine "}))).await;
    assert_eq!(
        (founded.status, &founded.json()["name"], &founded.json()["role"]),
        (201, &json!("Mine"), &json!("owner"))
    );
    let id = founded.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/organisations/{id}");
    assert_eq!(founded.header("location"), Some(format!("/api/v1{path}").as_str()));
    assert_eq!(one.get(&path).await.status, 200);
    assert_eq!(kind(&two.get(&path).await), is(404, "no-such-thing"));
    // The one that one works in is changed, and by who may.
    assert_eq!(
        kind(&one.ask("PATCH", &path, Some(json!({"name": "x"}))).await),
        is(403, "forbidden"),
        "a viewer, here"
    );
    assert_eq!(kind(&two.ask("PATCH", &path, Some(json!({"name": "x"}))).await), is(404, "no-such-thing"));
    let own = format!("/organisations/{SECOND}");
    let renamed = two.ask("PATCH", &own, Some(json!({"name": "Renamed"}))).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("Renamed")));
    for (name, value) in
        [("plan", json!("big")), ("networks", json!([])), ("suspended_at", json!(null)), ("slug", json!("x"))]
    {
        let mut body = json!({"name": "x"});
        body[name] = value;
        assert_eq!(two.ask("PATCH", &own, Some(body)).await.status, 422, "{name}");
    }
    for body in [json!({}), json!({"name": ""}), json!({"name": "x", "owner": "y"}), json!({"name": 7})] {
        assert_eq!(one.ask("POST", "/organisations", Some(body.clone())).await.status, 422, "{body}");
    }
    imported(&accounts, &one).await;
    accounts.stop().await;
}

/// A document comes inside of JSON, or as it is and then larger; what is wrong in it is told with its line.
async fn imported(accounts: &Accounts, one: &Person<'_>) {
    let (channel, rule) = ("01J0000000000000000000000A", "01J0000000000000000000000B");
    let lines = |threshold: Value| {
        let lines = [
            json!({"kind": "headwater.organisation", "version": 1}),
            json!({"kind": "channel", "id": channel, "definition": {"name": "hook", "type": "webhook", "config": {"url": "https://1.1.1.1/hook"}}}),
            json!({"kind": "rule", "id": rule, "definition": {
                "name": "fails", "network": "a", "metric": "failure_rate", "operator": ">", "threshold": threshold, "channels": [channel],
            }}),
            json!({"kind": "history"}),
            json!({"kind": "alert"}),
        ];
        lines.map(|line| format!("{line}\n")).concat()
    };
    let send = async |target: &str, form: &str, document: &str| {
        let headers = [("Authorization", one.bearer.as_str()), ("Content-Type", form)];
        http::exchange(accounts.keyed.api.at, "POST", target, &headers, document.as_bytes()).await
    };
    let (path, form) = ("/api/v1/organisations/import?name=Moved", "application/x-ndjson");
    let wide = lines(json!(0.05)) + &format!("{}\n", " ".repeat(1_000)).repeat(2_000);
    assert!(wide.len() > schemas::limits::HTTP_BODY_BYTES);
    let made = send(path, form, &wide).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!((&made["channels"], &made["rules"], &made["contracts"]), (&json!(1), &json!(1), &json!(0)), "{made}");
    let mine = one.get("/organisations").await.json();
    let new = mine["items"].as_array().expect("items").iter().find(|of| of["id"] == made["organisation"]);
    assert_eq!(new.map(|of| (&of["name"], &of["state"])), Some((&json!("Moved"), &json!("active"))), "{mine}");

    let wrong = send(path, form, &lines(json!("much"))).await;
    assert_eq!(
        (wrong.status, &wrong.json()["errors"][0]["path"]),
        (422, &json!("line 3: threshold")),
        "{}",
        wrong.text()
    );
    let cut = send(path, form, lines(json!(0.05)).split("{\"kind\":\"history").next().expect("a part")).await;
    assert_eq!((cut.status, &cut.json()["errors"][0]["path"]), (422, &json!("line 4")), "{}", cut.text());
    assert_eq!(send("/api/v1/organisations/import", form, &wide).await.status, 400, "without a name");
    assert_eq!(send(path, "text/plain", &wide).await.status, 415);
    assert_eq!(send("/api/v1/organisations/import", "application/json", &wide).await.status, 413, "inside of JSON");
    let inside = json!({"name": "Inside", "document": lines(json!(0.05))}).to_string();
    let inside = send("/api/v1/organisations/import", "application/json", &inside).await;
    assert_eq!((inside.status, &inside.json()["rules"]), (201, &json!(1)), "{}", inside.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_the_platform_see_that_there_are_organisations_and_shut_one_out() {
    let accounts = Accounts::start(&["ethereum"]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    accounts.person(2, Role::Owner, SECOND).await;
    accounts.keyed.operator.set_platform("p1@example.org", true).await.expect("an operator");
    let (root, owner) = (Person::logged_in(&accounts, 1).await, Person::logged_in(&accounts, 2).await);
    let (list, of) = ("/platform/organisations", format!("/platform/organisations/{SECOND}"));
    for refused in [owner.get(list).await, owner.get(&of).await, owner.ask("PATCH", &of, Some(json!({}))).await] {
        assert_eq!(kind(&refused), is(403, "forbidden"));
    }
    let suspend = format!("/organisations/{SECOND}/suspend");
    assert_eq!(kind(&owner.ask("POST", &suspend, Some(json!({"reason": "x"}))).await), is(403, "forbidden"));
    let seen = root.get(list).await.json();
    let members: Vec<_> = seen["items"].as_array().expect("items").iter().map(|o| o["members"].clone()).collect();
    assert_eq!(members, [1, 1], "{seen}");
    let changed = root.ask("PATCH", &of, Some(json!({"networks": ["ethereum"]}))).await;
    assert_eq!((changed.status, &changed.json()["networks"]), (200, &json!(["ethereum"])), "{}", changed.text());
    for body in [json!({"networks": ["nowhere"]}), json!({"plan": "none-such"}), json!({"name": "x"})] {
        assert_eq!(root.ask("PATCH", &of, Some(body.clone())).await.status, 422, "{body}");
    }
    let shut = root.ask("POST", &suspend, Some(json!({"reason": "unpaid"}))).await.json();
    assert_eq!((&shut["state"], &shut["suspended_reason"]), (&json!("suspended"), &json!("unpaid")), "{shut}");
    let begun = std::time::Instant::now();
    while owner.get("/auth/me").await.status != 401 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "shut out within 5 s");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let resumed = root.ask("POST", &format!("/organisations/{SECOND}/resume"), Some(json!({}))).await.json();
    assert_eq!(resumed["state"], "active", "{resumed}");
    let not_the_own = root.ask("POST", &format!("/organisations/{HOME}/suspend"), Some(json!({}))).await;
    assert_eq!(not_the_own.status, 422, "{}", not_the_own.text());
    accounts.stop().await;
}
