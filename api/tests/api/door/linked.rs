//! Invitations that go along to a provider, and identities that a person has.

use control::{Caller, Role};
use runtime::config::SignUp;
use serde_json::{Value, json};

use super::{
    LoggedIn,
    accounts::{HOME, PASSWORD},
    provider::{Provider, Sent, Signed, accounts, come, outcome, refused, somewhere, try_it, value_of},
};
use crate::http::{self, Answer};

/// Where a browser is sent, as the page is told.
fn sent(answer: &Answer) -> Sent {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let to = answer.json()["url"].as_str().expect("a URL").parse().expect("a URL");
    Sent { to, visit: value_of(answer, "hw_visit").expect("a cookie") }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_goes_along_to_a_provider_and_stands_in_no_address() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Invitation).await;
    let who = accounts.keyed.operator.at_home();
    let control = accounts.keyed.operator.control();
    let invited = control.invite(Caller::here(&who), "ann@example.org", Role::Editor).await.expect("invited");
    let token = invited.token.expose();
    let in_query = format!("/api/v1/auth/oidc/here?back=/&invitation={token}");
    let answer = accounts.keyed.api.get_with(&in_query, &[("X-Forwarded-For", &somewhere())]).await;
    assert_eq!((answer.status, answer.has("location"), answer.has("set-cookie")), (400, false, false));
    let begin = async |body: Value| {
        let at = somewhere();
        accounts.post("/api/v1/auth/oidc/here/begin", &[("X-Forwarded-For", &at)], &body).await
    };
    for (wrong, path) in [
        (json!({"invitation": token, "back": "https://evil.example"}), "back"),
        (json!({"invitation": "x".repeat(1_000)}), "invitation"),
        (json!({"invitation": token, "role": "owner"}), "role"),
    ] {
        let answer = begin(wrong).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["path"]), (422, &json!(path)));
    }
    let sent = sent(&begin(json!({"invitation": token, "back": "/organisation"})).await);
    assert!(!sent.to.as_str().contains(token) && !sent.visit.contains(token), "it is sealed");
    let code = provider.agree(&sent.to, "ann", &json!({}), Signed::Well);
    let answer =
        come(&accounts, &format!("code={code}&state={}", sent.state()), &format!("hw_visit={}", sent.visit)).await;
    assert_eq!(outcome(&answer), ("/organisation".to_owned(), true));
    let cookie = format!("hw_session={}", value_of(&answer, "hw_session").expect("a cookie"));
    let me = accounts.me(&[("Cookie", &cookie)]).await.json();
    assert_eq!((&me["current"], &me["role"]), (&json!(HOME), &json!("editor")));
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_are_listed_and_taken_away_with_the_password() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    let id = accounts.person(1, Role::Owner, HOME).await;
    accounts.person(2, Role::Viewer, HOME).await;
    let issuer = format!("http://{}", provider.at);
    for (issuer, subject) in [(issuer.as_str(), "p1"), ("https://gone.example", "x")] {
        let values = format!("('{issuer}', '{subject}', '{id}', 1)");
        accounts
            .keyed
            .sql(&format!("INSERT INTO identities (issuer, subject, user_id, created_at) VALUES {values}"))
            .await;
    }
    let (one, two) = (accounts.log_in(1).await, accounts.log_in(2).await);
    let list = async |session: &LoggedIn| {
        let headers = [("Cookie", session.cookie.as_str())];
        accounts.keyed.api.get_with("/api/v1/auth/identities", &headers).await.json()["items"].clone()
    };
    let items = list(&one).await;
    let of = |name: &str| -> Vec<Value> {
        items.as_array().expect("a list").iter().map(|item| item[name].clone()).collect()
    };
    assert_eq!(of("issuer"), [json!(issuer), json!("https://gone.example")]);
    assert_eq!((of("provider"), of("name")), (vec![json!("here"), json!(null)], vec![json!("Here"), json!(null)]));
    assert_eq!(list(&two).await, json!([]));
    let target = format!("/api/v1/auth/identities/{}", items[0]["id"].as_str().expect("an id"));
    let unlink = async |session: &LoggedIn, csrf: &str, body: Value| {
        let at = somewhere();
        let headers = [
            ("Cookie", session.cookie.as_str()),
            ("X-Headwater-Csrf", csrf),
            ("X-Forwarded-For", &at),
            ("Content-Type", "application/json"),
        ];
        http::exchange(accounts.keyed.api.at, "DELETE", &target, &headers, body.to_string().as_bytes()).await
    };
    let good = json!({ "password": PASSWORD });
    // By a page of another site, without the password, by another person.
    assert_eq!(unlink(&one, "x", good.clone()).await.status, 403);
    assert_eq!(unlink(&one, &one.csrf, json!({})).await.status, 422);
    assert_eq!(unlink(&one, &one.csrf, json!({"password": "wrong wrong wrong"})).await.status, 422);
    assert_eq!(unlink(&two, &two.csrf, good.clone()).await.status, 404);
    assert!(try_it(&accounts, &provider, "p1", &json!({}), Signed::Well).await.1, "it is there still");
    assert_eq!(unlink(&one, &one.csrf, good.clone()).await.status, 204);
    assert_eq!(unlink(&one, &one.csrf, good).await.status, 404);
    assert_eq!(try_it(&accounts, &provider, "p1", &json!({}), Signed::Well).await, refused("email-taken"));
    let audit = accounts.keyed.api.get_with("/api/v1/audit", &[("Cookie", &one.cookie)]).await.text();
    assert!(audit.contains("user.identity_unlink"), "{audit}");
    accounts.stop().await;
}
