//! The publisher: what changed in the store, in the topics, on both databases.

use std::{sync::Arc, time::Duration};

use control::{
    Bounds, Caller, Mode, NewContract, Trust,
    publisher::{Pace, TRANSACTIONAL_ID},
};
use runtime::config;
use schemas::records::DefinitionKind;

use crate::{
    common::{Store, both, contract, until},
    definitions::{channel, rule},
    topics::{Running, Topics, address, create, key, opened, pace, remove, rename, unpublished, until_named},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_in_the_topics_with_nothing_of_the_tenant_where_everybody_reads() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        // Woken by the change itself: nobody looks meanwhile.
        let slow = Pace { look: Duration::from_secs(3_600), ..pace() };
        let running = Running::start(topics.publisher(&control, "one").at(slow));
        running.until_publishes().await;
        let mut follower = topics.follower();
        follower.ready().await;
        let network = "a".parse().expect("a slug");

        let (mine, theirs) = (create(&control, &home, "a", 1).await, create(&control, &second, "a", 1).await);
        let watched = format!("watched/a/{}", address(1));
        let took = until_named(&topics, &key(&second, &theirs), Some("contract 1")).await;
        eprintln!("a change was in the topic {took:?} after it was made (sqlite: {})", store.is_sqlite());
        until_named(&topics, &key(&home, &mine), Some("contract 1")).await;
        until_named(&topics, &watched, Some("")).await;
        rename(&control, &home, &mine, "mine").await;
        until_named(&topics, &key(&home, &mine), Some("mine")).await;
        until("a stage knows it", async || follower.watched(&network).contains_key(&address(1))).await;

        // One of two goes: the address stays watched. The other goes.
        remove(&control, &home, &mine).await;
        until_named(&topics, &key(&home, &mine), None).await;
        assert_eq!(topics.now().await.name(&watched).as_deref(), Some(""));
        remove(&control, &second, &theirs).await;
        until_named(&topics, &watched, None).await;
        until("a stage knows it", async || follower.watched(&network).is_empty()).await;
        until_named(&topics, &key(&second, &theirs), None).await;
        topics.now().await.assert_no_older_row();

        // Nothing of a tenant where everybody reads.
        let said = topics.all_of_config().await;
        for word in ["contract 1", "mine", "test", second.tenant().id().as_str()] {
            assert!(!said.contains(word), "{word}: {said}");
        }
        until("all is marked", async || unpublished(&store).await.is_empty()).await;
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

/// Whoever comes and goes, while somebody has it; over a change of publishers, too. After nobody had it, it begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_when_an_address_is_watched_stays_while_anybody_has_it() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        let watched = format!("watched/a/{}", address(1));
        let revision = async || topics.now().await.revision(&watched);
        // The next record of the address, whoever's doing it is.
        let until_behind = async |before: Option<u64>| {
            until("its next record is there", async || revision().await > before).await;
            topics.since(&watched).await
        };

        let mine = create(&control, &home, "a", 1).await;
        let first = until_behind(None).await.expect("it says since when");
        let before = revision().await;
        let theirs = create(&control, &second, "a", 1).await;
        assert_eq!(until_behind(before).await, Some(first), "another one has it, too");
        let before = revision().await;
        remove(&control, &home, &mine).await;
        assert_eq!(until_behind(before).await, Some(first), "who had it first goes");
        running.stop().await;

        let running = Running::start(topics.publisher(&control, "two"));
        running.until_publishes().await;
        let before = revision().await;
        let mine = create(&control, &home, "a", 1).await;
        assert_eq!(until_behind(before).await, Some(first), "another process publishes");
        remove(&control, &home, &mine).await;
        remove(&control, &second, &theirs).await;
        until_named(&topics, &watched, None).await;
        create(&control, &second, "a", 1).await;
        until_named(&topics, &watched, Some("")).await;
        assert!(topics.since(&watched).await > Some(first), "nobody had it meanwhile");
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_contracts_are_everybodys_and_what_others_change_is_looked_for() {
    both(async |store| {
        let (operator, control, home, _) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        running.until_publishes().await;
        let of_file = |n: u64, name: &str| {
            let NewContract { address, labels, .. } = contract("a", n);
            let network = "a".parse().expect("a slug");
            config::Contract { network, address, name: name.to_owned(), labels, abi: None }
        };
        // Another process changes it: this one is not woken.
        let other = operator.control();
        let put = async |file: &[config::Contract]| other.put_operator_contracts(file).await.expect("put");
        let began = std::time::Instant::now();
        put(&[of_file(1, "one"), of_file(2, "two")]).await;
        let keys = |n: u64| (format!("contract/a/{}", address(n)), format!("watched/a/{}", address(n)));
        let ((one, watch_one), (two, watch_two)) = (keys(1), keys(2));
        until_named(&topics, &two, Some("two")).await;
        eprintln!("another process's change took {:?} (sqlite: {})", began.elapsed(), store.is_sqlite());
        until_named(&topics, &watch_two, Some("")).await;
        let mine = create(other, &home, "a", 3).await;
        put(&[of_file(1, "uno")]).await;
        until_named(&topics, &one, Some("uno")).await;
        until_named(&topics, &two, None).await;
        until_named(&topics, &watch_two, None).await;
        until_named(&topics, &watch_one, Some("")).await;
        until_named(&topics, &key(&home, &mine), Some("contract 3")).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

/// While the door lets in everybody, what is added is everybody's (rule 14); when it no longer does, that is taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anyone_adds_is_everybodys_while_the_door_is_open() {
    both(async |store| {
        let topics = Topics::new().await;
        let of = |n: u64| format!("contract/a/{}", address(n));
        let open = async |mode| Arc::new(store.open_with(mode, Trust::default()).await);

        // Added by a key, so it is the tenant's alone.
        let control = open(Mode::Keys).await;
        let home = store.operator().await.at_home();
        create(&control, &home, "a", 1).await;
        let running = Running::start(topics.publisher(&control, "one"));
        until_named(&topics, &format!("watched/a/{}", address(1)), Some("")).await;
        assert_eq!(topics.now().await.name(&of(1)), None);
        running.stop().await;
        control.close().await;

        let control = open(Mode::None).await;
        let anyone = control.anyone().expect("everybody is let in");
        let running = Running::start(topics.publisher(&control, "two"));
        until_named(&topics, &of(1), Some("contract 1")).await;
        let second = create(&control, &anyone, "a", 2).await;
        until_named(&topics, &of(2), Some("contract 2")).await;
        rename(&control, &anyone, &second, "two").await;
        until_named(&topics, &of(2), Some("two")).await;
        let third = create(&control, &anyone, "a", 3).await;
        until_named(&topics, &of(3), Some("contract 3")).await;
        remove(&control, &anyone, &third).await;
        until_named(&topics, &of(3), None).await;
        running.stop().await;
        control.close().await;

        let control = open(Mode::Keys).await;
        let running = Running::start(topics.publisher(&control, "three"));
        until_named(&topics, &of(1), None).await;
        until_named(&topics, &of(2), None).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_publishers_one_publishes_and_whoever_takes_over_writes_nothing_older() {
    both(async |store| two_publishers(store, Topics::new().await).await).await;
}

/// The same over Kafka, where fencing is the cluster's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_publishers_over_kafka_one_publishes_and_whoever_takes_over_writes_nothing_older() {
    let Some(topics) = Topics::kafka().await else { return };
    let store = two_publishers(Store::sqlite().await, topics).await;
    store.end().await;
}

async fn two_publishers(store: Store, topics: Topics) -> Store {
    let (_operator, writer, home, _) = opened(&store).await;
    let controls = [Arc::new(store.open().await), Arc::new(store.open().await)];
    let start = |n: usize| Running::start(topics.publisher(&controls[n], ["one", "two"][n]).at(pace()));
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(create(&writer, &home, "a", n).await);
    }
    // Somebody changes things all the time, whoever publishes.
    let changing = async {
        let mut round = 0u64;
        loop {
            for id in &ids {
                rename(&writer, &home, id, &format!("round {round}")).await;
            }
            round += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let turns = async {
        let first = start(0);
        first.until_publishes().await;
        let second = start(1);
        tokio::time::sleep(pace().lease * 2).await;
        assert!(first.publishes() && !second.publishes(), "who has the lease keeps it");
        // As `kill -9` would: nothing is let go of.
        first.kill().await;
        second.until_publishes().await;
        // It comes back, and stands by. It had the lease under its name, but has it no more.
        let first = start(0);
        tokio::time::sleep(pace().lease * 2).await;
        assert!(second.publishes() && !first.publishes(), "no turn is taken from who has it");
        // Somebody who has not the lease takes the log: the holder is fenced, and takes it back.
        let _rogue = topics.log.producer(TRANSACTIONAL_ID).await.expect("a producer");
        let before = topics.written().await;
        until("it goes on", async || topics.written().await > before + 10).await;
        assert!(!first.publishes());
        // An orderly end lets go: the other need not wait.
        second.stop().await;
        first.until_publishes().await;
        // The lease is taken from it while it lives: it stands by until that one is gone.
        let taken = "UPDATE control_leases SET holder = 'three', beat = beat + 1";
        store.raw.run(taken).await;
        until("it stands by", async || !first.publishes()).await;
        first.until_publishes().await;
        first
    };
    let last = tokio::select! {
        last = turns => last,
        () = changing => unreachable!("it changes for ever"),
    };
    for id in &ids {
        rename(&writer, &home, id, "last").await;
        until_named(&topics, &key(&home, id), Some("last")).await;
    }
    topics.now().await.assert_no_older_row();
    until("all is marked", async || unpublished(&store).await.is_empty()).await;
    last.stop().await;
    for control in controls.iter().chain([&writer]) {
        control.close().await;
    }
    store
}

/// Rules, monitors, channels and silences, with what is sealed of them and nothing that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_are_told_as_they_are_and_secrets_only_sealed() {
    both(async |store| {
        let (_operator, control, home, _) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        running.until_publishes().await;
        let (by, bounds) = (Caller::here(&home), Bounds::default());
        let tenant = home.tenant().id();
        let kind = DefinitionKind::Channel;
        let made = control.create_definition(by, kind, &channel("hook"), None, &bounds).await.expect("made");
        let (id, secret) = (made.made.id, made.secrets.expect("it was made here"));
        let at = |kind: &str, id: &control::Id| format!("{tenant}/{kind}/{id}");
        until_named(&topics, &at("channel", &id), Some("hook")).await;
        let told = topics.definition(&at("channel", &id)).await.expect("a definition");
        assert_eq!((told.version, told.disabled), (1, None));
        assert!(told.definition.contains("{\"set\":true}"), "{}", told.definition);
        let published = async || control.is_published(home.tenant(), kind, &id).await.expect("asked");
        until("it is marked", async || published().await).await;
        let sealer = control::Sealer::of(&store.settings).expect("a sealer");
        let sealed = told.sealed.expect("it has a secret");
        assert_eq!(
            sealer.open(tenant.as_str(), kind, id.as_str(), &sealed).expect("opened")["secret"],
            secret["secret"]
        );
        let mut of_rule = rule("busy", "a");
        of_rule["channels"] = serde_json::json!(["hook"]);
        let of_rule =
            control.create_definition(by, DefinitionKind::Rule, &of_rule, None, &bounds).await.expect("made").made;
        until_named(&topics, &at("rule", &of_rule.id), Some("busy")).await;
        let told = topics.definition(&at("rule", &of_rule.id)).await.expect("a definition");
        assert!(told.definition.contains(&id.to_string()) && told.sealed.is_none(), "{}", told.definition);
        let later = schemas::TimeMs(schemas::TimeMs::now().0 + 1_000);
        assert!(control.disable_channel(tenant.as_str(), id.as_str(), later, "410").await.expect("done"));
        until("it is told", async || {
            topics.definition(&at("channel", &id)).await.is_some_and(|told| told.disabled.as_deref() == Some("410"))
        })
        .await;

        // A log that was made anew gets all of it, and what was removed is removed there.
        let (lost, gone) = (Topics::new().await, at("rule", &of_rule.id));
        running.stop().await;
        let running = Running::start(lost.publisher(&control, "two"));
        until_named(&lost, &at("channel", &id), Some("hook")).await;
        until_named(&lost, &gone, Some("busy")).await;
        let any = control::Expected::Any;
        control.delete_definition(by, DefinitionKind::Rule, &of_rule.id, &any).await.expect("removed");
        until_named(&lost, &gone, None).await;
        lost.now().await.assert_no_older_row();
        until("all is marked", async || unpublished(&store).await.is_empty()).await;
        running.stop().await;
        // While nobody publishes, the stages do not know of a change.
        assert!(published().await);
        let patch = serde_json::json!({"per_hour": 9});
        control.patch_definition(by, kind, &id, &any, &patch, &bounds).await.expect("changed");
        assert!(!published().await);
        control.close().await;
        store
    })
    .await;
}
