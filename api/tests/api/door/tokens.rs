//! Access and refresh tokens over HTTP: confusions, replays, and what others check them with.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use control::Role;
use serde_json::{Value, json};

use super::{
    Accounts, LoggedIn,
    accounts::{HOME, SECOND},
};

const REFRESH: &str = "/api/v1/auth/refresh";

fn encode(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("json")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_but_ours_as_it_was_lets_anybody_in() {
    let accounts = Accounts::start(&[]).await;
    let id = accounts.person(1, Role::Viewer, HOME).await;
    let session = accounts.log_in(1).await;
    let parts: Vec<&str> = session.access.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts: {}", session.access) };
    let (head, body) = (decode(header), decode(claims));
    assert_eq!((&head["alg"], &head["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    assert_eq!((&body["aud"], &body["sub"], &body["org"]), (&json!("headwater"), &json!(id), &json!(HOME)));
    let life = body["exp"].as_i64().expect("exp") - body["iat"].as_i64().expect("iat");
    assert_eq!(life, 600);
    let status = async |token: &str| {
        let bearer = format!("Bearer {token}");
        accounts.me(&[("Authorization", &bearer)]).await.status
    };
    assert_eq!(status(&session.access).await, 200);
    let with = |part: &Value, name: &str, value: Value| {
        let mut part = part.clone();
        part[name] = value;
        encode(&part)
    };
    let mut wrong = vec![
        ("no signature", format!("{header}.{claims}.")),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{}.{signature}", session.access)),
        ("another organisation", format!("{header}.{}.{signature}", with(&body, "org", json!(SECOND)))),
        ("another person", format!("{header}.{}.{signature}", with(&body, "sub", json!("01J0000000000000000000P002")))),
        ("longer", format!("{header}.{}.{signature}", with(&body, "exp", json!(9_999_999_999i64)))),
        ("another key's name", format!("{}.{claims}.{signature}", with(&head, "kid", json!("0000000000000000")))),
        ("a path for a key's name", format!("{}.{claims}.{signature}", with(&head, "kid", json!("../../secret")))),
        ("SQL for a key's name", format!("{}.{claims}.{signature}", with(&head, "kid", json!("' OR 1=1 --")))),
    ];
    for alg in ["none", "None", "HS256", "RS256", "ES256"] {
        wrong.push(("another algorithm", format!("{}.{claims}.{signature}", with(&head, "alg", json!(alg)))));
        wrong.push(("another algorithm, unsigned", format!("{}.{claims}.", with(&head, "alg", json!(alg)))));
    }
    for (name, token) in wrong {
        assert_eq!(status(&token).await, 401, "{name}: {token}");
    }
    // A token is no refresh token, no cookie and no key, and the other way round.
    assert_eq!(accounts.post(REFRESH, &[], &json!({"refresh_token": session.access})).await.status, 401);
    assert_eq!(accounts.me(&[("Cookie", &format!("hw_session={}", session.access))]).await.status, 401);
    let (_, cookie) = session.cookie.split_once('=').expect("a value");
    for text in [session.refresh.as_str(), cookie] {
        assert_eq!(status(text).await, 401, "{text}");
    }
    assert_eq!(status(&session.access).await, 200, "and it is still good");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_are_public_and_check_what_we_signed() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    let session = accounts.log_in(1).await;
    let answer = accounts.keyed.api.get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
    let keys = answer.json();
    let (signed, signature) = session.access.rsplit_once('.').expect("a signature");
    let kid = decode(signed.split('.').next().expect("a header"))["kid"].clone();
    let key = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == kid).expect("the key");
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(key.get("d").is_none(), "the private half stays here");
    let public = BASE64_URL_SAFE_NO_PAD.decode(key["x"].as_str().expect("x")).expect("base64url");
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    public.verify(signed.as_bytes(), &signature).expect("another program checks it");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_comes_late_ends_the_session() {
    let accounts = Accounts::start(&[]).await;
    accounts.person(1, Role::Viewer, HOME).await;
    let first = accounts.log_in(1).await;
    let refresh = async |token: &str| accounts.post(REFRESH, &[], &json!({"refresh_token": token})).await;
    let second = LoggedIn::of(&refresh(&first.refresh).await);
    assert!(second.cookie.is_empty(), "the cookie goes on as it is");
    let again = LoggedIn::of(&refresh(&first.refresh).await);
    assert_eq!(again.refresh, second.refresh, "two tabs");
    let third = LoggedIn::of(&refresh(&second.refresh).await);
    assert_eq!(refresh(&first.refresh).await.status, 401);
    assert_eq!(refresh(&third.refresh).await.status, 401, "it ended for the thief and for the other");
    for token in [&first.access, &third.access] {
        let bearer = format!("Bearer {token}");
        assert_eq!(accounts.me(&[("Authorization", &bearer)]).await.status, 401);
    }
    assert_eq!(accounts.me(&[("Cookie", &first.cookie)]).await.status, 401);
    for wrong in ["", "hwr_", "hwr_x.1.y", "' OR 1=1", &"x".repeat(10_000)] {
        assert_eq!(refresh(wrong).await.status, 401, "{wrong}");
    }
    accounts.stop().await;
}
