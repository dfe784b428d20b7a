//! What the door costs.

use std::time::{Duration, Instant};

use control::{Control, Mode, Trust};

use super::Keyed;

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
