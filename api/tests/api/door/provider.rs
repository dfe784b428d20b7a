//! Coming in by a provider: a real one, which is the other side, and what it or somebody in between may try.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::Config;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use control::{Mode, Role};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use runtime::config::{Auth, AuthMode, Provider as Settings, Secret, SignUp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::{
    Accounts, Keyed, LoggedIn,
    accounts::{HOME, PASSWORD},
};
use crate::http::{self, Answer};

const CLIENT: &str = "hw";
const SECRET: &str = "a secret of the client";
const CALLBACK: &str = "https://hw.example/api/v1/auth/oidc/here/callback";

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    Well,
    NotAtAll,
    WithTheClientsSecret,
    WithThePublicKey,
    ByAnother,
}

struct Inner {
    issuer: String,
    keys: Ed25519KeyPair,
    kid: String,
    /// Where codes are changed into tokens, as it is told.
    token_endpoint: String,
    /// Challenge and token by code.
    codes: HashMap<String, (String, String)>,
    asked: usize,
}

/// A provider that listens.
pub(super) struct Provider {
    pub(super) at: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

fn keys() -> Ed25519KeyPair {
    let seed: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key")
}

fn coded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let issuer = format!("http://{at}");
        let token_endpoint = format!("{issuer}/token");
        let (keys, codes) = (keys(), HashMap::new());
        let inner = Arc::new(Mutex::new(Inner { issuer, keys, kid: "1".to_owned(), token_endpoint, codes, asked: 0 }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(itself))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { at, inner }
    }

    fn settings(&self) -> Settings {
        Settings {
            id: "here".to_owned(),
            name: "Here".to_owned(),
            issuer: format!("http://{}", self.at),
            client_id: CLIENT.to_owned(),
            client_secret: Some(Secret::new(SECRET)),
            scopes: vec!["profile".to_owned()],
            trust_email: false,
        }
    }

    /// Somebody agrees: a code for who was sent there, whose token says this besides.
    pub(super) fn agree(&self, sent: &Url, subject: &str, more: &Value, signed: Signed) -> String {
        let asked: HashMap<String, String> = sent.query_pairs().into_owned().collect();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let mut inner = self.inner.lock().expect("unpoisoned");
        let mut claims = json!({"iss": inner.issuer, "aud": CLIENT, "sub": subject, "nonce": asked["nonce"], "iat": now, "exp": now + 300,
            "email": format!("{subject}@example.org"), "email_verified": true, "name": "Some Body"});
        let all = claims.as_object_mut().expect("an object");
        for (name, value) in more.as_object().expect("an object") {
            match value {
                Value::Null => drop(all.remove(name)),
                value => drop(all.insert(name.clone(), value.clone())),
            }
        }
        let algorithm = match signed {
            Signed::Well | Signed::ByAnother => "EdDSA",
            Signed::NotAtAll => "none",
            Signed::WithTheClientsSecret | Signed::WithThePublicKey => "HS256",
        };
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": inner.kid});
        let text = format!("{}.{}", coded(header.to_string()), coded(claims.to_string()));
        let by_secret = |secret: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
        };
        let signature = match signed {
            Signed::Well => inner.keys.sign(text.as_bytes()).as_ref().to_vec(),
            Signed::ByAnother => keys().sign(text.as_bytes()).as_ref().to_vec(),
            Signed::NotAtAll => Vec::new(),
            Signed::WithTheClientsSecret => by_secret(SECRET.as_bytes()),
            Signed::WithThePublicKey => by_secret(inner.keys.public_key().as_ref()),
        };
        let code = format!("code-{}", fastrand::u64(..));
        let token = format!("{text}.{}", coded(signature));
        inner.codes.insert(code.clone(), (asked["code_challenge"].clone(), token));
        code
    }
}

async fn itself(State(inner): State<Arc<Mutex<Inner>>>) -> Json<Value> {
    let inner = inner.lock().expect("unpoisoned");
    let issuer = &inner.issuer;
    Json(
        json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": inner.token_endpoint,
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256"]}),
    )
}

async fn jwks(State(inner): State<Arc<Mutex<Inner>>>) -> Json<Value> {
    let inner = inner.lock().expect("unpoisoned");
    let x = coded(inner.keys.public_key());
    Json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": inner.kid, "x": x}]}))
}

/// Changes a code into its token, once, for the client and for who has the verifier.
async fn token(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut inner = inner.lock().expect("unpoisoned");
    inner.asked += 1;
    let id_and_secret: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{id_and_secret}")));
    let known = headers.get("authorization").is_some_and(|value| value == basic.as_str());
    let found = form.get("code").and_then(|code| inner.codes.remove(code));
    let proven = form.get("code_verifier").map(|verifier| coded(Sha256::digest(verifier)));
    match found {
        Some((challenge, token))
            if known && proven.as_ref() == Some(&challenge) && form["redirect_uri"] == CALLBACK =>
        {
            Json(json!({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token}))
                .into_response()
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
    }
}

/// An API with accounts whose people may come by this provider.
pub(super) async fn accounts(provider: &Provider, sign_up: SignUp) -> Accounts {
    let auth = Auth {
        mode: AuthMode::Accounts,
        sign_up,
        providers: vec![provider.settings()],
        allow_targets: vec!["127.0.0.1".to_owned()],
        ..Auth::default()
    };
    let public_url = Some("https://hw.example".parse().expect("a URL"));
    // Each request of a test comes from an address of its own: attempts of one address are few.
    let trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let set = |config: Config| Config { auth, public_url, trusted_proxies, ..config };
    let keyed = Keyed::start_in(Mode::Accounts, &[], set).await;
    keyed.second_tenant().await;
    Accounts { keyed }
}

/// A browser that was sent to the provider: where, and what it has to bring back.
pub(super) struct Sent {
    pub(super) to: Url,
    pub(super) visit: String,
}

impl Sent {
    pub(super) fn state(&self) -> String {
        self.to.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned()
    }
}

pub(super) fn value_of(answer: &Answer, cookie: &str) -> Option<String> {
    cookies(answer).remove(cookie)
}

/// Each cookie that an answer sets, as it was written.
fn cookies(answer: &Answer) -> HashMap<String, String> {
    answer
        .lines("set-cookie")
        .iter()
        .filter_map(|line| line.split(';').next()?.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
}

pub(super) fn somewhere() -> String {
    format!("203.0.{}.{}", fastrand::u8(..), fastrand::u8(..))
}

async fn go(accounts: &Accounts, more: &str) -> Sent {
    let target = format!("/api/v1/auth/oidc/here{more}");
    let answer = accounts.keyed.api.get_with(&target, &[("X-Forwarded-For", &somewhere())]).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location").expect("a place").parse().expect("a URL");
    Sent { to, visit: value_of(&answer, "hw_visit").expect("a cookie") }
}

pub(super) async fn come(accounts: &Accounts, query: &str, cookie: &str) -> Answer {
    let target = format!("/api/v1/auth/oidc/here/callback?{query}");
    accounts.keyed.api.get_with(&target, &[("Cookie", cookie), ("X-Forwarded-For", &somewhere())]).await
}

/// Where the browser is sent on to, and whether it is logged in.
pub(super) fn outcome(answer: &Answer) -> (String, bool) {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let session = cookies(answer).get("hw_session").is_some_and(|value| !value.is_empty());
    (answer.header("location").expect("a place").to_owned(), session)
}

/// The whole way, with a token that is good but for this.
pub(super) async fn try_it(
    accounts: &Accounts,
    provider: &Provider,
    subject: &str,
    more: &Value,
    signed: Signed,
) -> (String, bool) {
    let sent = go(accounts, "").await;
    let code = provider.agree(&sent.to, subject, more, signed);
    let query = format!("code={code}&state={}", sent.state());
    outcome(&come(accounts, &query, &format!("hw_visit={}", sent.visit)).await)
}

pub(super) fn refused(problem: &str) -> (String, bool) {
    (format!("/login?problem={problem}"), false)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_comes_by_a_provider_and_is_known_again_by_his_subject() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    let ways = accounts.keyed.api.get("/api/v1/auth/ways").await.json();
    assert_eq!(ways["providers"], json!([{"id": "here", "name": "Here"}]));
    let sent = go(&accounts, "?back=/alerts%3Fx%3D1").await;
    let asked: HashMap<_, _> = sent.to.query_pairs().into_owned().collect();
    assert_eq!(sent.to.path(), "/authorize");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value);
    }
    assert_eq!(asked["scope"], "openid email profile");
    assert!(!sent.visit.contains(&asked["nonce"]) && !sent.visit.contains(&asked["state"]), "it is sealed");
    let code = provider.agree(&sent.to, "ann", &json!({}), Signed::Well);
    // A provider adds what it likes.
    let query = format!("code={code}&state={}&session_state=x&scope=openid", sent.state());
    let answer = come(&accounts, &query, &format!("hw_visit={}", sent.visit)).await;
    assert_eq!(outcome(&answer), ("/alerts?x=1".to_owned(), true));
    for line in answer.lines("set-cookie") {
        assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Secure"), "{line}");
    }
    assert_eq!(cookies(&answer)["hw_visit"], "", "it is used up");
    assert_eq!(
        (answer.header("cache-control"), answer.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    let cookie = format!("hw_session={}", cookies(&answer)["hw_session"]);
    let me = accounts.me(&[("Cookie", &cookie)]).await.json();
    assert_eq!((&me["user"]["email"], &me["role"]), (&json!("ann@example.org"), &json!("owner")));
    assert_eq!(me["user"]["verified"], true);
    // The same subject is the same person, whatever the address is by now.
    let sent = go(&accounts, "").await;
    let code = provider.agree(&sent.to, "ann", &json!({"email": "other@example.org"}), Signed::Well);
    let answer =
        come(&accounts, &format!("code={code}&state={}", sent.state()), &format!("hw_visit={}", sent.visit)).await;
    assert_eq!(outcome(&answer), ("/".to_owned(), true));
    let cookie = format!("hw_session={}", cookies(&answer)["hw_session"]);
    let again = accounts.me(&[("Cookie", &cookie)]).await.json();
    assert_eq!((&again["user"]["id"], &again["user"]["email"]), (&me["user"]["id"], &json!("ann@example.org")));
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_of_the_provider_for_us_for_this_visit_and_of_now() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    for (what, more) in [
        ("another issuer", json!({"iss": "https://accounts.example"})),
        ("another client", json!({"aud": "other"})),
        ("another client too", json!({"aud": [CLIENT, "other"]})),
        ("another visit", json!({"nonce": "n"})),
        ("no nonce", json!({"nonce": null})),
        ("over", json!({"exp": 1_000, "iat": 900})),
        ("no subject", json!({"sub": ""})),
        ("too long a subject", json!({"sub": "s".repeat(300)})),
    ] {
        assert_eq!(
            try_it(&accounts, &provider, "eve", &more, Signed::Well).await,
            refused("provider-answer"),
            "{what}"
        );
    }
    for (what, signed) in [
        ("no signature", Signed::NotAtAll),
        ("the client's secret", Signed::WithTheClientsSecret),
        ("the public key as a secret", Signed::WithThePublicKey),
        ("another key", Signed::ByAnother),
    ] {
        assert_eq!(try_it(&accounts, &provider, "eve", &json!({}), signed).await, refused("provider-answer"), "{what}");
    }
    // The same with nothing wrong comes in.
    assert_eq!(try_it(&accounts, &provider, "eve", &json!({}), Signed::Well).await, ("/".to_owned(), true));
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_of_the_browser_that_began() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    let (mine, theirs) = (go(&accounts, "").await, go(&accounts, "").await);
    let visit = |sent: &Sent| format!("hw_visit={}", sent.visit);
    let code = |sent: &Sent| provider.agree(&sent.to, "bob", &json!({}), Signed::Well);
    let answered = refused("provider-answer");
    for (what, query, cookie) in [
        ("no cookie", format!("code={}&state={}", code(&mine), mine.state()), String::new()),
        ("another browser", format!("code={}&state={}", code(&mine), mine.state()), visit(&theirs)),
        ("another state", format!("code={}&state={}", code(&mine), theirs.state()), visit(&mine)),
        ("another's code (PKCE)", format!("code={}&state={}", code(&theirs), mine.state()), visit(&mine)),
        ("a code that is none", format!("code=x&state={}", mine.state()), visit(&mine)),
        ("no state", format!("code={}", code(&mine)), visit(&mine)),
        ("two states", format!("code={}&state={1}&state={1}", code(&mine), mine.state()), visit(&mine)),
        (
            "another provider",
            format!("code={}&state={}&iss=https://other.example", code(&mine), mine.state()),
            visit(&mine),
        ),
        ("two cookies", format!("code={}&state={}", code(&mine), mine.state()), format!("{0}; {0}", visit(&mine))),
        ("a changed cookie", format!("code={}&state={}", code(&mine), mine.state()), format!("{}A", visit(&mine))),
    ] {
        assert_eq!(outcome(&come(&accounts, &query, &cookie).await), answered, "{what}");
    }
    let no = format!("error=access_denied&state={}", mine.state());
    assert_eq!(outcome(&come(&accounts, &no, &visit(&mine)).await), refused("provider-refused"));
    // A code is good once.
    let once = format!("code={}&state={}", code(&mine), mine.state());
    assert!(outcome(&come(&accounts, &once, &visit(&mine)).await).1);
    assert_eq!(outcome(&come(&accounts, &once, &visit(&mine)).await), answered);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_opens_no_account_and_makes_one_only_where_it_may() {
    let provider = Provider::start().await;
    let open = accounts(&provider, SignUp::Open).await;
    open.person(1, Role::Owner, HOME).await;
    // The provider says that this is p1@example.org: there is such an account, which stays shut.
    assert_eq!(try_it(&open, &provider, "p1", &json!({}), Signed::Well).await, refused("email-taken"));
    assert_eq!(
        try_it(&open, &provider, "x", &json!({"email": "P1@EXAMPLE.org"}), Signed::Well).await,
        refused("email-taken")
    );
    for more in [json!({"email_verified": false}), json!({"email_verified": null}), json!({"email": null})] {
        assert_eq!(try_it(&open, &provider, "cat", &more, Signed::Well).await, refused("email-missing"), "{more}");
    }
    open.stop().await;
    for sign_up in [SignUp::Invitation, SignUp::Closed] {
        let shut = accounts(&provider, sign_up).await;
        assert_eq!(try_it(&shut, &provider, "dan", &json!({}), Signed::Well).await, refused("sign-up"));
        shut.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_linked_by_its_person_alone() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    accounts.person(1, Role::Owner, HOME).await;
    accounts.person(2, Role::Viewer, HOME).await;
    let (one, two) = (accounts.log_in(1).await, accounts.log_in(2).await);
    let begin = async |session: &LoggedIn, csrf: &str| {
        let at = somewhere();
        let headers = [("Cookie", session.cookie.as_str()), ("X-Headwater-Csrf", csrf), ("X-Forwarded-For", &at)];
        let body = json!({"password": PASSWORD, "back": "/account"});
        accounts.post("/api/v1/auth/oidc/here", &headers, &body).await
    };
    // A session alone, which may be stolen, begins nothing.
    for body in [json!({"back": "/account"}), json!({"password": "wrong wrong wrong"})] {
        let at = somewhere();
        let headers =
            [("Cookie", one.cookie.as_str()), ("X-Headwater-Csrf", one.csrf.as_str()), ("X-Forwarded-For", &at)];
        let refused = accounts.post("/api/v1/auth/oidc/here", &headers, &body).await;
        assert_eq!((refused.status, refused.has("set-cookie")), (422, false), "{}", refused.text());
    }
    assert_eq!(begin(&one, "x").await.status, 403, "a page of another site does not begin it");
    let sent = |answer: &Answer| Sent {
        to: answer.json()["url"].as_str().expect("a URL").parse().expect("a URL"),
        visit: value_of(answer, "hw_visit").expect("a cookie"),
    };
    let back = async |sent: &Sent, subject: &str, session: Option<&LoggedIn>| {
        let code = provider.agree(&sent.to, subject, &json!({}), Signed::Well);
        let cookie = session.map(|s| format!("; {}", s.cookie)).unwrap_or_default();
        let query = format!("code={code}&state={}", sent.state());
        outcome(&come(&accounts, &query, &format!("hw_visit={}{cookie}", sent.visit)).await)
    };
    let begun = sent(&begin(&one, &one.csrf).await);
    // Whoever is not the one that began gets nothing, and neither does the one.
    assert_eq!(back(&begun, "p1", Some(&two)).await, refused("provider-answer"));
    assert_eq!(back(&begun, "p1", None).await, refused("provider-answer"));
    assert_eq!(
        try_it(&accounts, &provider, "p1", &json!({}), Signed::Well).await,
        refused("email-taken"),
        "nothing is linked"
    );
    assert_eq!(back(&begun, "p1", Some(&one)).await, ("/account".to_owned(), false));
    assert_eq!(try_it(&accounts, &provider, "p1", &json!({}), Signed::Well).await, ("/".to_owned(), true));
    // It is nobody else's from then on.
    let begun = sent(&begin(&two, &two.csrf).await);
    assert_eq!(back(&begun, "p1", Some(&two)).await, refused("linked"));
    let wrong = json!({"password": PASSWORD, "back": "https://evil.example"});
    let headers = [("Cookie", one.cookie.as_str()), ("X-Headwater-Csrf", one.csrf.as_str())];
    assert_eq!(accounts.post("/api/v1/auth/oidc/here", &headers, &wrong).await.status, 422);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_on_to_another_site() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    for back in [
        "//evil.example",
        "/%5Cevil.example",
        "https://evil.example",
        "/%09/evil.example",
        "javascript:x",
        "/api/v1/keys",
        "",
    ] {
        let target = format!("/api/v1/auth/oidc/here?back={back}");
        let answer = accounts.keyed.api.get_with(&target, &[("X-Forwarded-For", &somewhere())]).await;
        assert_eq!((answer.status, answer.has("location")), (400, false), "{back}");
    }
    for target in ["/api/v1/auth/oidc/other", "/api/v1/auth/oidc/other/callback?state=x", "/api/v1/auth/oidc/..%2Fhere"]
    {
        let answer = accounts.keyed.api.get_with(target, &[("X-Forwarded-For", &somewhere())]).await;
        assert_eq!((answer.status, answer.has("location")), (404, false), "{target}");
    }
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_names_is_looked_at_like_its_issuer() {
    let (provider, inner) = (Provider::start().await, Provider::start().await);
    // A place of this machine that the operator did not list, as `169.254.169.254` would be one.
    let private = format!("http://127.0.0.2:{}/token", inner.at.port());
    provider.inner.lock().expect("unpoisoned").token_endpoint = private;
    let accounts = accounts(&provider, SignUp::Open).await;
    assert_eq!(try_it(&accounts, &provider, "fox", &json!({}), Signed::Well).await, refused("provider-away"));
    assert_eq!(inner.inner.lock().expect("unpoisoned").asked, 0, "nothing was sent there");
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_change_its_keys_and_may_be_away() {
    let provider = Provider::start().await;
    let accounts = accounts(&provider, SignUp::Open).await;
    assert!(try_it(&accounts, &provider, "gus", &json!({}), Signed::Well).await.1);
    {
        let mut inner = provider.inner.lock().expect("unpoisoned");
        (inner.keys, inner.kid) = (keys(), "2".to_owned());
    }
    // It is not asked again and again, whatever comes.
    assert_eq!(try_it(&accounts, &provider, "gus", &json!({}), Signed::Well).await, refused("provider-answer"));
    tokio::time::sleep(schemas::limits::people::PROVIDER_EVERY + Duration::from_millis(100)).await;
    assert!(try_it(&accounts, &provider, "gus", &json!({}), Signed::Well).await.1);
    accounts.stop().await;
    let mut away = Provider::start().await;
    away.at = SocketAddr::from(([127, 0, 0, 1], http::free_port()));
    let accounts = self::accounts(&away, SignUp::Open).await;
    let answer = accounts.keyed.api.get("/api/v1/auth/oidc/here").await;
    assert_eq!(outcome(&answer), refused("provider-away"));
    accounts.stop().await;
}
