//! People at the door: login, sessions, the page's proof, and what somebody tries.

use std::time::{Duration, Instant};

use api::Config;
use control::{Mode, Role};
use runtime::config::{Auth, AuthMode, Secret, SignUp};
use serde_json::{Value, json};

use super::Keyed;
use crate::{
    http::{self, Answer},
    ws::Ws,
};

const ME: &str = "/api/v1/auth/me";
const LOGIN: &str = "/api/v1/auth/login";
pub const PASSWORD: &str = "the horse stands in the rain";
pub const JSON: (&str, &str) = ("Content-Type", "application/json");
pub const HOME: &str = "00000000000000000000000000";
pub const SECOND: &str = "01J00000000000000000000002";

/// An API with accounts, a second organisation, and people.
pub struct Accounts {
    pub keyed: Keyed,
}

/// What a login gave.
pub struct LoggedIn {
    pub cookie: String,
    pub csrf: String,
    pub access: String,
    pub refresh: String,
}

impl LoggedIn {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        let text = |name: &str| json[name].as_str().expect(name).to_owned();
        let cookie = answer.header("set-cookie").map(|c| c.split(';').next().expect("a value").to_owned());
        Self {
            cookie: cookie.unwrap_or_default(),
            csrf: text("csrf"),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl Accounts {
    pub async fn start(networks: &[&str]) -> Self {
        Self::start_with(networks, SignUp::Open).await
    }

    pub async fn start_with(networks: &[&str], sign_up: SignUp) -> Self {
        let auth = Auth { mode: AuthMode::Accounts, sign_up, ..Auth::default() };
        let keyed = Keyed::start_in(Mode::Accounts, networks, |config| Config { auth, ..config }).await;
        keyed.second_tenant().await;
        Self { keyed }
    }

    /// An account, with a role in an organisation.
    pub async fn person(&self, number: u32, role: Role, organisation: &str) -> String {
        let (id, email) = (format!("01J0000000000000000000P{number:03}"), format!("p{number}@example.org"));
        let control = self.keyed.operator.control();
        let hash = control.hash_password(&Secret::new(PASSWORD), &[&email]).await.expect("a hash");
        let insert = format!(
            "INSERT INTO users (user_id, email, name, password, created_at, updated_at, version) \
             VALUES ('{id}', '{email}', 'P {number}', '{hash}', 1, 1, 1)"
        );
        self.keyed.sql(&insert).await;
        self.joins(&id, role, organisation).await;
        id
    }

    pub async fn joins(&self, user: &str, role: Role, organisation: &str) {
        let insert = format!(
            "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) VALUES ('{organisation}', '{user}', '{role}', 1, 1)"
        );
        self.keyed.sql(&insert).await;
    }

    pub async fn post(&self, target: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<_> = [JSON].iter().chain(headers).copied().collect();
        http::exchange(self.keyed.api.at, "POST", target, &headers, body.to_string().as_bytes()).await
    }

    pub async fn log_in(&self, number: u32) -> LoggedIn {
        let body = json!({"email": format!("p{number}@example.org"), "password": PASSWORD});
        LoggedIn::of(&self.post(LOGIN, &[], &body).await)
    }

    pub async fn me(&self, headers: &[(&str, &str)]) -> Answer {
        self.keyed.api.get_with(ME, headers).await
    }

    pub async fn stop(self) {
        self.keyed.api.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_comes_in_by_cookie_and_by_token_and_is_somebody() {
    let accounts = Accounts::start(&["ethereum"]).await;
    let id = accounts.person(1, Role::Editor, HOME).await;
    accounts.joins(&id, Role::Viewer, SECOND).await;
    let ways = accounts.keyed.api.get("/api/v1/auth/ways").await.json();
    assert_eq!(ways, json!({"mode": "accounts", "sign_up": "open", "providers": [], "reset": false}));
    let answer = accounts.post(LOGIN, &[], &json!({"email": "P1@example.org", "password": PASSWORD})).await;
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    for part in ["hw_session=s.", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let session = LoggedIn::of(&answer);
    let bearer = format!("Bearer {}", session.access);
    for headers in [&[("Cookie", session.cookie.as_str())][..], &[("Authorization", bearer.as_str())]] {
        let me = accounts.me(headers).await.json();
        assert_eq!((&me["mode"], &me["role"], &me["current"]), (&json!("accounts"), &json!("editor"), &json!(HOME)));
        assert_eq!((&me["user"]["id"], &me["user"]["email"]), (&json!(id), &json!("p1@example.org")));
        assert_eq!(me["organisations"].as_array().map(Vec::len), Some(2), "{me}");
        assert_eq!(me["organisations"][1]["role"], "viewer");
        assert_eq!(me["actor"]["kind"], "user");
        assert_eq!(me["platform"], false);
        assert_eq!(me["csrf"].is_string(), headers[0].0 == "Cookie", "a token wants no proof");
        let get = async |path: &str| accounts.keyed.api.get_with(path, headers).await.status;
        assert_eq!((get("/api/v1/txs").await, get("/api/v1/keys").await), (200, 403), "an editor sees no keys");
    }
    // A token goes in no URL.
    for target in [format!("{ME}?access_token={}", session.access), format!("{ME}?token={}", session.access)] {
        assert!([400, 401].contains(&accounts.keyed.api.get(&target).await.status), "{target}");
    }
    // Keys go on to work, and have no account.
    let key = accounts.keyed.key(&["*:*"]).await;
    let key = format!("Bearer {}", key.text.expose());
    assert_eq!(accounts.me(&[("Authorization", &key)]).await.json()["user"], Value::Null);
    assert_eq!(accounts.keyed.api.get_with("/api/v1/auth/sessions", &[("Authorization", &key)]).await.status, 403);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cookie_changes_wants_the_pages_proof_and_a_token_none() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Owner, HOME).await;
    let (session, other) = (accounts.log_in(1).await, accounts.log_in(1).await);
    let post = async |headers: &[(&str, &str)]| accounts.post("/api/v1/contracts", headers, &json!({})).await.status;
    let cookie = ("Cookie", session.cookie.as_str());
    for wrong in [&[cookie][..], &[cookie, ("X-Headwater-Csrf", &other.csrf)], &[cookie, ("X-Headwater-Csrf", "")]] {
        assert_eq!(post(wrong).await, 403, "{wrong:?}");
    }
    assert_eq!(post(&[cookie, ("X-Headwater-Csrf", &session.csrf)]).await, 422, "let in; the body is empty");
    let bearer = format!("Bearer {}", session.access);
    assert_eq!(post(&[("Authorization", &bearer)]).await, 422);
    // A page of another site changes nothing with either, nor logs anybody in or out.
    for target in ["/api/v1/contracts", LOGIN, "/api/v1/auth/logout", "/api/v1/auth/refresh", "/api/v1/auth/switch"] {
        let headers = [cookie, ("X-Headwater-Csrf", session.csrf.as_str()), ("Origin", "http://evil.example")];
        let answer = accounts.post(target, &headers, &json!({})).await;
        assert_eq!((answer.status, &answer.json()["type"]), (403, &json!("/problems/foreign-origin")), "{target}");
    }
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_set_nothing_but_what_they_are_for() {
    let accounts = Accounts::start(&[]).await;
    let id = accounts.person(1, Role::Viewer, HOME).await;
    let session = accounts.log_in(1).await;
    let bearer = format!("Bearer {}", session.access);
    let credentials = json!({"email": "p1@example.org", "password": PASSWORD});
    for (name, value) in [
        ("role", json!("owner")),
        ("platform", json!(true)),
        ("organisation", json!(SECOND)),
        ("user_id", json!(id)),
        ("verified_at", json!(1)),
        ("scopes", json!(["*:*"])),
        ("session_id", json!("01J0000000000000000000P00S")),
    ] {
        let mut body = credentials.clone();
        body[name] = value.clone();
        assert_eq!(accounts.post(LOGIN, &[], &body).await.status, 422, "{name}");
        let mut body = json!({"refresh_token": session.refresh});
        body[name] = value.clone();
        assert_eq!(accounts.post("/api/v1/auth/refresh", &[], &body).await.status, 422, "{name}");
        let mut body = json!({"password": PASSWORD, "new": "the goat stands in the sun"});
        body[name] = value;
        let changed = accounts.post("/api/v1/auth/password", &[("Authorization", &bearer)], &body).await;
        assert_eq!(changed.status, 422, "{name}");
    }
    assert_eq!(accounts.me(&[("Authorization", &bearer)]).await.json()["role"], "viewer");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisation_is_another_session() {
    let accounts = Accounts::start(&[]).await;
    let id = accounts.person(1, Role::Owner, HOME).await;
    accounts.joins(&id, Role::Viewer, SECOND).await;
    accounts.person(2, Role::Owner, HOME).await;
    let session = accounts.log_in(1).await;
    let headers = [("Cookie", session.cookie.as_str()), ("X-Headwater-Csrf", session.csrf.as_str())];
    for (organisation, status) in [("01J00000000000000000000009", 404), ("x", 404), ("", 404)] {
        let body = json!({ "organisation": organisation });
        assert_eq!(accounts.post("/api/v1/auth/switch", &headers, &body).await.status, status, "{organisation}");
    }
    let switched =
        LoggedIn::of(&accounts.post("/api/v1/auth/switch", &headers, &json!({"organisation": SECOND})).await);
    assert_ne!((&switched.cookie, &switched.csrf), (&session.cookie, &session.csrf));
    let me = accounts.me(&[("Cookie", &switched.cookie)]).await.json();
    assert_eq!((&me["current"], &me["role"]), (&json!(SECOND), &json!("viewer")));
    // The former cookie is over, and a page that still has its proof changes nothing in the new one.
    assert_eq!(accounts.me(&[("Cookie", &session.cookie)]).await.status, 401);
    let stale = [("Cookie", switched.cookie.as_str()), ("X-Headwater-Csrf", session.csrf.as_str())];
    assert_eq!(accounts.post("/api/v1/contracts", &stale, &json!({})).await.status, 403);
    // A token's session goes on.
    let bearer = format!("Bearer {}", switched.access);
    let back =
        accounts.post("/api/v1/auth/switch", &[("Authorization", &bearer)], &json!({"organisation": HOME})).await;
    assert!(!back.has("set-cookie"));
    LoggedIn::of(&back);
    assert_eq!(accounts.me(&[("Authorization", &bearer)]).await.json()["current"], SECOND);
    // Where one was last one is again.
    assert_eq!(accounts.me(&[("Cookie", &accounts.log_in(1).await.cookie)]).await.json()["current"], HOME);
    // Whoever is not in it finds no such organisation.
    let other = accounts.log_in(2).await;
    let headers = [("Cookie", other.cookie.as_str()), ("X-Headwater-Csrf", other.csrf.as_str())];
    let refused = accounts.post("/api/v1/auth/switch", &headers, &json!({"organisation": SECOND})).await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_their_person_alone() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    accounts.person(2, Role::Owner, HOME).await;
    let (here, there, other) = (accounts.log_in(1).await, accounts.log_in(1).await, accounts.log_in(2).await);
    let list = async |cookie: &str| accounts.keyed.api.get_with("/api/v1/auth/sessions", &[("Cookie", cookie)]).await;
    let mine = list(&here.cookie).await.json();
    let items = mine["items"].as_array().expect("items").clone();
    assert_eq!(items.iter().map(|i| i["current"] == true).collect::<Vec<_>>(), [false, true], "the newest first");
    let theirs = list(&other.cookie).await.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    let end = async |id: &str| {
        let target = format!("/api/v1/auth/sessions/{id}");
        let headers = [JSON, ("Cookie", here.cookie.as_str()), ("X-Headwater-Csrf", here.csrf.as_str())];
        http::exchange(accounts.keyed.api.at, "DELETE", &target, &headers, b"").await
    };
    let (foreign, nothing) = (end(&theirs).await, end("01J0000000000000000000P00S").await);
    assert_eq!((foreign.status, nothing.status), (404, 404));
    assert_eq!(foreign.json()["detail"], nothing.json()["detail"], "not there and not yours are one answer");
    assert_eq!(accounts.me(&[("Cookie", &other.cookie)]).await.status, 200);
    assert_eq!(end(items[0]["id"].as_str().expect("an id")).await.status, 204);
    assert_eq!(accounts.me(&[("Cookie", &there.cookie)]).await.status, 401);
    // Here and everywhere.
    let third = accounts.log_in(1).await;
    let headers = [("Cookie", here.cookie.as_str()), ("X-Headwater-Csrf", here.csrf.as_str())];
    let out = accounts.post("/api/v1/auth/logout", &headers, &json!({"everywhere": true})).await;
    assert_eq!((out.status, out.header("set-cookie").is_some_and(|c| c.contains("Max-Age=0"))), (204, true));
    for session in [&here, &third] {
        assert_eq!(accounts.me(&[("Cookie", &session.cookie)]).await.status, 401);
        let refreshed = accounts.post("/api/v1/auth/refresh", &[], &json!({"refresh_token": session.refresh})).await;
        assert_eq!(refreshed.status, 401);
    }
    assert_eq!(accounts.me(&[("Cookie", &other.cookie)]).await.status, 200, "nobody else's");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_plants_nothing_and_tells_nothing() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    // A cookie that somebody set beforehand is not the session afterwards.
    let planted = accounts.log_in(1).await;
    let body = json!({"email": "p1@example.org", "password": PASSWORD});
    let session = LoggedIn::of(&accounts.post(LOGIN, &[("Cookie", &planted.cookie)], &body).await);
    assert_ne!(session.cookie, planted.cookie);
    // A wrong password and an unknown address are one answer.
    let try_it = async |email: &str, password: &str| {
        let answer = accounts.post(LOGIN, &[], &json!({"email": email, "password": password})).await;
        let mut json = answer.json();
        json["request_id"] = Value::Null;
        (answer.status, json)
    };
    let wrong = try_it("p1@example.org", "wrong wrong wrong").await;
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong, try_it("nobody@example.org", "wrong wrong wrong").await);
    // An address has few attempts, whatever it tries.
    let mut refused = 0;
    for _ in 0..12 {
        refused += u32::from(try_it("nobody@example.org", "wrong").await.0 == 429);
    }
    assert!(refused >= 2, "{refused}");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_end_within_five_seconds_of_what_they_rest_on() {
    let accounts = Accounts::start(&["ethereum"]).await;
    let ends = [
        "UPDATE tenant_users SET role = 'viewer' WHERE user_id = 'USER'",
        "DELETE FROM tenant_users WHERE user_id = 'USER'",
        "UPDATE users SET generation = generation + 1 WHERE user_id = 'USER'",
        "UPDATE sessions SET revoked_at = 1 WHERE user_id = 'USER'",
        "INSERT INTO tenant_networks (tenant_id, network, created_at, version) VALUES ('00000000000000000000000000', 'other', 1, 1)",
    ];
    let mut sockets = Vec::new();
    for (number, sql) in (1..).zip(ends) {
        let id = accounts.person(number, Role::Editor, HOME).await;
        let session = accounts.log_in(number).await;
        let bearer = format!("Bearer {}", session.access);
        let by_cookie = Ws::connect_with(accounts.keyed.api.at, &[("Cookie", &session.cookie)]).await.expect("opens");
        let by_token = Ws::connect_with(accounts.keyed.api.at, &[("Authorization", &bearer)]).await.expect("opens");
        sockets.push((sql.replace("USER", &id), [by_cookie, by_token]));
    }
    for (sql, [mut by_cookie, mut by_token]) in sockets {
        accounts.keyed.sql(&sql).await;
        let changed = Instant::now();
        for socket in [&mut by_cookie, &mut by_token] {
            let closed = tokio::time::timeout(Duration::from_secs(10), async { while socket.next().await.is_ok() {} });
            closed.await.unwrap_or_else(|_| panic!("{sql}: it goes on"));
        }
        assert!(changed.elapsed() < Duration::from_secs(5), "{sql}: {:?}", changed.elapsed());
    }
    accounts.stop().await;
}
