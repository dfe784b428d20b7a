//! Liars are found out, named, and come back when they agree (rule 24).

use std::time::Duration;

use schemas::records::{ProviderSample, ProviderState, Seen};

use super::{
    super::{FleetConfig, Lie},
    toy::{Fault, shop},
};

const QUARANTINE: Duration = Duration::from_secs(300);

fn config() -> FleetConfig {
    FleetConfig { quarantine: QUARANTINE, ..FleetConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_contradicts_itself_names_a_liar_once_somebody_gives_a_good_one() {
    let shop = shop("ingest/a", &["a", "b"], |_| {}, config());
    shop.lamps[0].set(Fault::Contradicts);
    for _ in 0..5 {
        assert_eq!(shop.newest().await.1.as_deref().ok(), Some("b"));
    }
    let state = shop.state("a");
    assert_eq!(state.state, ProviderState::Quarantined);
    let lie = state.lie.expect("named");
    assert!(lie.said.contains("no wavelength") && lie.right.contains('b') && lie.found_by == "ingest/a", "{lie:?}");
    assert!(
        state.reason.is_some_and(|r| r.contains("no wavelength") && r.contains("agreed with the others for 5 min"))
    );
    assert_eq!(shop.fleet.operators(), 1);
    assert_eq!(shop.lamps[0].asked(), 1, "it is not asked again");
    // Nor is it where nobody else can be asked.
    shop.fleet.unusable("b", "It is of another chain.");
    let error = shop.newest().await.1.expect_err("nobody");
    assert!(error.to_string().contains("a: It said") && shop.fleet.primary().is_none(), "{error}");
    assert_eq!(shop.lamps[0].asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_nobody_passes_condemns_nobody() {
    let shop = shop("ingest/a", &["a", "b"], |_| {}, config());
    shop.lamps.iter().for_each(|l| l.set(Fault::Contradicts));
    for _ in 0..5 {
        let error = shop.newest().await.1.expect_err("nobody gave a good answer");
        assert!(error.to_string().contains("not to be believed"), "{error}");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(shop.fleet.operators(), 2);
    let company = super::toy::shop("ingest/a", &["a", "b"], |m| m.operator = "one".into(), config());
    company.lamps[0].set(Fault::Contradicts);
    assert_eq!(company.newest().await.1.as_deref().ok(), Some("b"));
    assert!(!company.fleet.quarantine("a", Lie { said: "x".into(), right: "y".into() }), "nobody else could tell");
    assert_eq!(company.state("a").lie, None);
}

#[tokio::test(start_paused = true)]
async fn comparing_finds_the_minority_and_agreement_ends_it() {
    let shop = shop("ingest/a", &["a", "b", "c"], |_| {}, config());
    let mut samples = shop.fleet.samples();
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    shop.lamps[1].set(Fault::Lies);
    tokio::time::sleep(Duration::from_secs(35)).await;
    let state = shop.state("b");
    let lie = state.lie.clone().expect("found out");
    assert!(lie.said.contains("of another lamp") && lie.right.contains("say a and c"), "{lie:?}");
    assert_eq!(state.state, ProviderState::Quarantined);
    // No request of it failed; what it said is its last error, with when that was found out.
    let error = state.last_error.expect("the lie");
    assert!(error.contains(&lie.said) && error.contains(&lie.right), "{error}");
    assert_eq!(state.last_error_at, Some(lie.at));
    for _ in 0..20 {
        assert_ne!(shop.newest().await.1.as_deref().ok(), Some("b"));
    }
    shop.lamps[1].set(Fault::None);
    tokio::time::sleep(QUARANTINE - Duration::from_secs(40)).await;
    let state = shop.state("b");
    assert_eq!(state.state, ProviderState::Quarantined, "not yet");
    assert!(state.reason.is_some_and(|r| r.contains("It has agreed with the others for")));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((shop.state("b").state, shop.state("b").lie), (ProviderState::Ok, None));
    task.abort();
    // What was written down tells the whole story, in order.
    let mut words = Vec::new();
    while let Ok(sample) = samples.try_recv() {
        if let (Seen::State(s), "b") = (&sample.seen, sample.endpoint.as_str())
            && words.last() != Some(&s.state)
        {
            words.push(s.state);
        }
    }
    assert_eq!(words, [ProviderState::Ok, ProviderState::Quarantined, ProviderState::Ok], "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn where_all_are_in_quarantine_those_who_agree_leave_it() {
    let shop = shop("ingest/a", &["a", "b", "c"], |_| {}, config());
    for name in ["a", "b", "c"] {
        assert!(shop.fleet.quarantine(name, Lie { said: "that its chain is 1".into(), right: "2".into() }));
    }
    shop.lamps[2].set(Fault::Lies);
    let task = shop.probed();
    tokio::time::sleep(QUARANTINE + Duration::from_secs(70)).await;
    assert_eq!((shop.state("a").lie, shop.state("b").lie), (None, None));
    assert!(shop.state("c").lie.is_some(), "who does not agree stays");
    shop.lamps[2].set(Fault::None);
    tokio::time::sleep(QUARANTINE + Duration::from_secs(70)).await;
    assert_eq!(shop.state("c").lie, None);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn liars_in_quarantine_do_not_outvote_those_who_are_believed() {
    let shop = shop("ingest/a", &["a", "b", "c", "d", "e"], |_| {}, config());
    for (lamp, name) in shop.lamps[2..].iter().zip(["c", "d", "e"]) {
        lamp.set(Fault::Lies);
        assert!(shop.fleet.quarantine(name, Lie { said: "x".into(), right: "y".into() }));
    }
    let task = shop.probed();
    tokio::time::sleep(QUARANTINE + Duration::from_secs(120)).await;
    let lied: Vec<bool> = shop.fleet.snapshot().iter().map(|(_, s)| s.lie.is_some()).collect();
    assert_eq!(lied, [false, false, true, true, true]);
    // One voice that is believed is the measure for them.
    shop.fleet.quarantine("b", Lie { said: "x".into(), right: "y".into() });
    tokio::time::sleep(QUARANTINE + Duration::from_secs(70)).await;
    let lied: Vec<bool> = shop.fleet.snapshot().iter().map(|(_, s)| s.lie.is_some()).collect();
    assert_eq!(lied, [false, false, true, true, true]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_decide_nobody_is_named() {
    let shop = shop("ingest/a", &["a", "b"], |_| {}, config());
    shop.lamps[1].set(Fault::Lies);
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(shop.fleet.snapshot().iter().all(|(_, s)| s.lie.is_none()));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn other_observers_take_a_lie_over_once() {
    let finder = shop("ingest/a", &["a", "b", "c"], |_| {}, config());
    let hearer = shop("causes/b", &["a", "b", "c"], |_| {}, config());
    let told = |observer: &str, s: &super::toy::Shop| ProviderSample {
        network: "lamps".parse().unwrap(),
        endpoint: "b".into(),
        at: s.state("b").since,
        observer: observer.into(),
        seen: Seen::State(Box::new(s.state("b"))),
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(finder.fleet.quarantine("b", Lie { said: "block 5 is 0xab".into(), right: "0xcd, say a and c".into() }));
    assert!(!finder.fleet.quarantine("b", Lie { said: "again".into(), right: String::new() }), "known already");
    hearer.fleet.hear(&told("ingest/a", &finder));
    let heard = hearer.state("b");
    assert_eq!((heard.state, heard.lie.clone()), (ProviderState::Quarantined, finder.state("b").lie), "word for word");
    // It ends there when it has agreed there; what is told later of the same lie changes nothing.
    let task = hearer.probed();
    tokio::time::sleep(QUARANTINE + Duration::from_secs(70)).await;
    assert_eq!(hearer.state("b").lie, None);
    hearer.fleet.hear(&told("ingest/a", &finder));
    assert_eq!(hearer.state("b").lie, None);
    finder.fleet.hear(&told("causes/b", &hearer));
    assert!(finder.state("b").lie.is_some(), "nor does another one's trust end it here");
    // What an observer that is gone said last ends with the quarantine; what this one said itself does not.
    let late = shop("causes/c", &["a", "b", "c"], |_| {}, config());
    for (observer, ago, held) in [("ingest/a", 400_000, false), ("causes/c", 400_000, true)] {
        let mut old = told(observer, &finder);
        old.at.0 -= ago;
        late.fleet.hear(&old);
        assert_eq!(late.state("b").lie.is_some(), held, "{observer}");
    }
    // After a restart it is what it was.
    let again = shop("ingest/a", &["a", "b", "c"], |_| {}, config());
    let mut before = told("ingest/a", &finder);
    before.at.0 -= 5_000;
    again.fleet.hear(&before);
    assert!(again.state("b").lie.is_some());
    // One that was taken out of the file meanwhile is taken back, once, by who said it.
    let mut samples = again.fleet.samples();
    let taken_out = ProviderSample { endpoint: "nobody".into(), ..before };
    again.fleet.hear(&ProviderSample { observer: "causes/b".into(), ..taken_out.clone() });
    again.fleet.hear(&taken_out);
    let last = samples.try_recv().expect("a last word");
    assert!(last.endpoint == "nobody" && last.observer == "ingest/a" && last.at > taken_out.at);
    assert!(matches!(&last.seen, Seen::State(state) if state.is_gone()));
    again.fleet.hear(&last);
    assert!(samples.try_recv().is_err(), "said once, and of nobody else's");
    task.abort();
}
