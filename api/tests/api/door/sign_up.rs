//! Accounts that are made: by whom the operator lets, and with nothing but what they are for.

use control::{Caller, Joining, NewPerson, Role, SignUpLetter};
use runtime::config::{Secret, SignUp};
use serde_json::{Value, json};

use super::{
    Accounts, LoggedIn,
    accounts::{HOME, PASSWORD, SECOND},
};
use crate::http::Answer;

async fn sign_up(accounts: &Accounts, body: Value) -> Answer {
    accounts.post("/api/v1/auth/sign-up", &[], &body).await
}

fn kind(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_gets_an_organisation_of_its_own_where_that_is_open() {
    let accounts = Accounts::start(&[]).await;
    let new = json!({"email": "New@Example.org", "password": PASSWORD, "name": "New", "organisation": "New & Sons"});
    let answer = sign_up(&accounts, new.clone()).await;
    let session = LoggedIn::of(&answer);
    assert!(session.cookie.starts_with("hw_session=s."));
    let me = accounts.me(&[("Cookie", &session.cookie)]).await.json();
    assert_eq!((&me["user"]["email"], &me["user"]["name"]), (&json!("new@example.org"), &json!("New")));
    assert_eq!(
        (&me["role"], &me["platform"], &me["user"]["verified"]),
        (&json!("owner"), &json!(false), &json!(false))
    );
    assert_eq!(me["organisations"].as_array().map(Vec::len), Some(1));
    assert_eq!(me["organisations"][0]["name"], "New & Sons");
    assert!(me["current"] != HOME && me["current"] != SECOND, "an organisation of its own: {me}");
    // It sees nothing of the others'.
    let contracts = accounts.keyed.api.get_with("/api/v1/contracts", &[("Cookie", &session.cookie)]).await.json();
    assert_eq!(contracts["items"], json!([]));
    let body = json!({"email": "new@example.org", "password": PASSWORD});
    LoggedIn::of(&accounts.post("/api/v1/auth/login", &[], &body).await);
    // The same address again: without letters there is no other way to tell it.
    assert_eq!(sign_up(&accounts, new.clone()).await.status, 409);
    // Of organisations that are founded from one address there are so many a day.
    accounts.keyed.sql("UPDATE sign_in_attempts SET failures = 1000000 WHERE kind = 'founding'").await;
    let mut another = new.clone();
    another["email"] = json!("another@example.org");
    let late = sign_up(&accounts, another.clone()).await;
    assert_eq!(kind(&late), (429, "/problems/too-many-a-day".to_owned()));
    let wait: u64 = late.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    let headers = [("Cookie", session.cookie.as_str()), ("X-Headwater-Csrf", session.csrf.as_str())];
    let late = accounts.post("/api/v1/organisations", &headers, &json!({"name": "second"})).await;
    assert_eq!(kind(&late), (429, "/problems/too-many-a-day".to_owned()));
    // Nothing but what it is for.
    for (name, value) in [
        ("role", json!("owner")),
        ("platform", json!(1)),
        ("user_id", json!("01J0000000000000000000P001")),
        ("verified", json!(true)),
        ("tenant_id", json!(HOME)),
    ] {
        let mut body = new.clone();
        (body["email"], body[name]) = (json!("other@example.org"), value);
        assert_eq!(sign_up(&accounts, body).await.status, 422, "{name}");
    }
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_a_sign_up_are_told_at_their_fields() {
    let accounts = Accounts::start(&[]).await;
    for (body, path) in [
        (json!({"email": "x", "password": PASSWORD, "organisation": "O"}), "email"),
        (json!({"email": "a@example.org", "password": "short", "organisation": "O"}), "password"),
        (json!({"email": "a@example.org", "password": "A@Example.org", "organisation": "O"}), "password"),
        (json!({"email": "a@example.org", "password": PASSWORD}), "organisation"),
        (
            json!({"email": "a@example.org", "password": PASSWORD, "organisation": "O", "invitation": "x"}),
            "organisation",
        ),
        (json!({"password": PASSWORD, "organisation": "O"}), "email"),
    ] {
        let answer = sign_up(&accounts, body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        assert!(errors.as_array().is_some_and(|e| e.iter().any(|e| e["path"] == path)), "{body}: {errors}");
    }
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_invited_joins_and_nobody_else_where_that_is_said() {
    let accounts = Accounts::start_with(&[], SignUp::Invitation).await;
    let closed = (403, "/problems/sign-up-closed".to_owned());
    let alone = json!({"email": "new@example.org", "password": PASSWORD, "organisation": "O"});
    let alone = sign_up(&accounts, alone).await;
    assert_eq!(kind(&alone), closed);
    let who = accounts.keyed.operator.at_home();
    let control = accounts.keyed.operator.control();
    let invited = control.invite(Caller::here(&who), "new@example.org", Role::Viewer).await.expect("invited");
    let token = invited.token.expose().to_owned();
    let join = |email: &str, token: &str| json!({"email": email, "password": PASSWORD, "invitation": token});
    assert_eq!(sign_up(&accounts, join("new@example.org", "made-up")).await.status, 404);
    let session = LoggedIn::of(&sign_up(&accounts, join("new@example.org", &token)).await);
    let me = accounts.me(&[("Cookie", &session.cookie)]).await.json();
    assert_eq!((&me["current"], &me["role"]), (&json!(HOME), &json!("viewer")));
    // It is good once.
    assert_eq!(sign_up(&accounts, join("third@example.org", &token)).await.status, 404);
    // The same by a letter's link that was sent when it was open; one that an invitation led to is good.
    let hash = control.hash_password(&Secret::new(PASSWORD), &[]).await.expect("a hash");
    let follow = async |email: &str, into: Joining| {
        let (email, password) = (email.to_owned(), Some(hash.clone()));
        let new = NewPerson { email, name: String::new(), password, verified: false, identity: None };
        let letter = control.begin_sign_up_by_letter(new, into).await.expect("asked");
        let SignUpLetter::Link(link) = letter else { panic!("there is no account") };
        let body = json!({"token": link.expose(), "password": PASSWORD});
        accounts.post("/api/v1/auth/sign-up/confirm", &[], &body).await
    };
    let late = follow("late@example.org", Joining::Found("O".to_owned())).await;
    assert_eq!((kind(&late), &late.json()["detail"]), (closed.clone(), &alone.json()["detail"]));
    let invited = control.invite(Caller::here(&who), "guest@example.org", Role::Viewer).await.expect("invited");
    let guest = follow("guest@example.org", Joining::Invitation(invited.token.expose().to_owned())).await;
    LoggedIn::of(&guest);
    accounts.stop().await;

    let accounts = Accounts::start_with(&[], SignUp::Closed).await;
    for body in
        [join("new@example.org", &token), json!({"email": "a@example.org", "password": PASSWORD, "organisation": "O"})]
    {
        assert_eq!(kind(&sign_up(&accounts, body).await), closed);
    }
    accounts.stop().await;
}

/// Who is in no organisation any more has an account, and cannot sign up again: an invitation brings him in at the login.
#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_brings_whoever_is_in_no_organisation_back_in() {
    let accounts = Accounts::start(&[]).await;
    let id = accounts.person(1, Role::Editor, HOME).await;
    accounts.keyed.sql(&format!("DELETE FROM tenant_users WHERE user_id = '{id}'")).await;
    let login = json!({"email": "p1@example.org", "password": PASSWORD});
    let answer = accounts.post("/api/v1/auth/login", &[], &login).await;
    assert_eq!(kind(&answer), (403, "/problems/no-organisation".to_owned()));
    let who = accounts.keyed.operator.at_home();
    let control = accounts.keyed.operator.control();
    let invited = control.invite(Caller::here(&who), "p1@example.org", Role::Viewer).await.expect("invited");
    let mut with = login.clone();
    with["invitation"] = json!("made-up");
    assert_eq!(accounts.post("/api/v1/auth/login", &[], &with).await.status, 404);
    with["invitation"] = json!(invited.token.expose());
    let session = LoggedIn::of(&accounts.post("/api/v1/auth/login", &[], &with).await);
    assert_eq!(accounts.me(&[("Cookie", &session.cookie)]).await.json()["role"], "viewer");
    accounts.stop().await;
}
