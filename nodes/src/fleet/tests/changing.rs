//! A changed configuration: what is known of endpoints that stay is kept, those that go say so.

use std::{sync::Arc, time::Duration};

use schemas::records::{ProviderState, Seen};

use super::toy::{BLOCK, Fault, colour, shop};
use crate::fleet::{Account, Ask, FleetConfig, MemberConfig, Role};

fn config() -> FleetConfig {
    FleetConfig { probe_every: Duration::from_secs(5), quarantine: Duration::from_secs(60), ..FleetConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn who_stays_keeps_its_score_its_quarantine_and_its_place() {
    let shop = shop("changing-1", &["a", "b", "c", "liar"], |_| {}, config());
    shop.lamps[3].set(Fault::Lies);
    shop.lamps[1].latency_ms.store(400, std::sync::atomic::Ordering::Relaxed);
    let probed = shop.probed();
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..20 {
        shop.newest().await.1.expect("an answer");
        tokio::time::sleep(BLOCK / 4).await;
    }
    let (before_b, liar) = (shop.state("b"), shop.state("liar"));
    assert_eq!((liar.state, before_b.score.is_some()), (ProviderState::Quarantined, true));
    let primary = shop.fleet.primary().expect("somebody").name();
    assert_eq!(&*primary, "a");

    // `c` goes, `d` comes first; `b` gets another name and credentials, `liar` other roles: their URLs stay.
    let mut samples = shop.fleet.samples();
    let members = |name: &str| -> (MemberConfig, Arc<super::toy::Lamp>) {
        let lamp = shop.lamps.iter().find(|l| l.name == name).expect("there").clone();
        let url = format!("http://{name}");
        let (place, account) = (Account::of(["changing-1", name]), Account::of(["changing-1", name]));
        (MemberConfig { place, account, ..MemberConfig::new(name, &url) }, lamp)
    };
    let new = (MemberConfig::new("d", "http://d"), shop.lamps[0].clone());
    let (mut b, lamp_b) = members("b");
    (b.name, b.account) = ("renamed".into(), Account::of(["other credentials"]));
    let (mut l, lamp_l) = members("liar");
    l.roles = vec![Role::Stream];
    let settings = shop.settings();
    let next = shop.fleet.succeeded_by(vec![new, (b, lamp_b), members("a"), (l, lamp_l)], settings);
    shop.fleet.leave(Some(&next));
    probed.abort();

    let state = |name: &str| next.snapshot().into_iter().find(|(n, _)| &**n == name).map(|(_, s)| s).expect("there");
    assert_eq!((state("renamed").score, state("renamed").height), (before_b.score, before_b.height));
    assert_eq!((state("liar").state, state("liar").lie), (ProviderState::Quarantined, liar.lie));
    assert_eq!((state("d").state, state("d").score), (ProviderState::Unknown, None));
    assert_eq!(next.primary().expect("somebody").name(), primary, "whoever is in use stays so");
    assert_eq!(next.best_height(), shop.fleet.best_height());

    // Those that are gone by name have said so, with their last minutes; the former fleet says nothing more.
    let mut gone = Vec::new();
    while let Ok(sample) = samples.try_recv() {
        if let Seen::State(state) = sample.seen
            && state.is_gone()
        {
            gone.push(sample.endpoint);
        }
    }
    assert_eq!(gone, ["b", "c"]);
    shop.newest().await.1.expect("the former fleet still answers what was under way");
    assert!(samples.try_recv().is_err());
    // And what the next one sees is told where the former one told it, one call a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ask = Ask { height: Some(10_000), ..Ask::new("colour") };
    assert_eq!(&*next.ask(ask, |m| colour(m, 10_000)).await.expect("an answer").endpoint, "a");
    assert!(samples.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_refused_credentials_opened_is_closed_for_others() {
    let shop = shop("changing-2", &["only"], |_| {}, config());
    shop.lamps[0].set(Fault::Refuses);
    for _ in 0..10 {
        assert!(shop.newest().await.1.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(shop.state("only").state, ProviderState::Open);
    let place = Account::of(["changing-2", "only"]);
    let member = |account| MemberConfig { place, account, ..MemberConfig::new("only", "http://only") };
    let next = |account| {
        let members = vec![(member(account), shop.lamps[0].clone())];
        shop.fleet.succeeded_by(members, shop.settings())
    };
    let same = next(Account::of(["changing-2", "only"]));
    assert_eq!(same.snapshot()[0].1.state, ProviderState::Open);
    shop.lamps[0].set(Fault::None);
    let other = next(Account::of(["a new token"]));
    let ask = Ask { height: Some(10_000), ..Ask::new("colour") };
    assert!(other.ask(ask, |m| colour(m, 10_000)).await.is_ok());
}
