//! What the door costs.

use std::time::{Duration, Instant};

use control::{Control, Mode, Role, Trust};

use super::{Accounts, Keyed, accounts::HOME};

/// A key that is known costs at most 50 µs a request, a session likewise. Prints what it costs; the figure is for a quiet machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test api cost -- --ignored --nocapture"]
async fn a_known_key_costs_at_most_fifty_microseconds() {
    let keyed = Keyed::start(&[]).await;
    let key = keyed.key(&["*:read"]).await;
    let trust = Trust { fresh: Duration::from_secs(3_600), ..Trust::default() };
    let control = Control::open(&keyed.settings, Mode::Keys, trust).await.expect("opens");
    let (_, session) = control.begin_session(key.text.expose(), Duration::from_secs(3_600)).await.expect("a session");
    const TIMES: u32 = 20_000;
    let began = Instant::now();
    for _ in 0..TIMES {
        control.authenticate(key.text.expose()).await.expect("good");
    }
    let by_key = began.elapsed() / TIMES;
    let began = Instant::now();
    for _ in 0..TIMES {
        control.resume_session(&session.cookie).await.expect("good");
    }
    let by_session = began.elapsed() / TIMES;
    eprintln!("a known key {by_key:?}, a session {by_session:?} a request");
    assert!(by_key < Duration::from_micros(50) && by_session < Duration::from_micros(50), "{by_key:?} {by_session:?}");
    keyed.api.stop().await;
}

/// A person's session that is known costs at most 50 µs a request by cookie and by token, and a token whose signature is looked at 200 µs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test api cost -- --ignored --nocapture"]
async fn a_persons_session_costs_at_most_fifty_microseconds() {
    let accounts = Accounts::start(&[]).await;
    let id = accounts.person(1, Role::Owner, HOME).await.parse().expect("an id");
    let trust = Trust { fresh: Duration::from_secs(3_600), ..Trust::default() };
    let control = Control::open(&accounts.keyed.settings, Mode::Accounts, trust).await.expect("opens");
    let life = Duration::from_secs(3_600);
    let begun = control.begin_person_session(&id, None, life).await.expect("a session");
    let token = control.access_token(&begun.who, &begun.session, life).await.expect("a token");
    const TIMES: u32 = 20_000;
    let began = Instant::now();
    for _ in 0..TIMES {
        control.resume_person(begun.cookie.expose()).await.expect("good");
    }
    let by_cookie = began.elapsed() / TIMES;
    let began = Instant::now();
    for _ in 0..TIMES {
        control.resume_token(token.text.expose()).await.expect("good");
    }
    let by_token = began.elapsed() / TIMES;
    const COLD: u32 = 500;
    let mut tokens = Vec::new();
    for _ in 0..COLD {
        tokens.push(control.access_token(&begun.who, &begun.session, life).await.expect("a token"));
    }
    let began = Instant::now();
    for token in &tokens {
        control.resume_token(token.text.expose()).await.expect("good");
    }
    let cold = began.elapsed() / COLD;
    eprintln!("a cookie {by_cookie:?}, a known token {by_token:?}, a new token {cold:?} a request");
    assert!(
        by_cookie < Duration::from_micros(50) && by_token < Duration::from_micros(50),
        "{by_cookie:?} {by_token:?}"
    );
    assert!(cold < Duration::from_micros(200), "{cold:?}");
    accounts.stop().await;
}
