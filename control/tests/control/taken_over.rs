//! What a publisher finds when it begins, and what is in its way: stores and logs that were put back or made anew, other programs' keys,
//! changes that are committed late, a database that is away.

use std::time::Duration;

use schemas::{
    TimeMs,
    codec::Record as _,
    records::{Asks, ControlConfig, NetworkPartition, Request, Wanted, WatchedAddress},
};
use sqlx::PgPool;

use crate::{
    common::{Raw, both, postgres, until},
    topics::{Running, Topics, address, create, key, opened, pace, rename, unpublished, until_named},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_put_back_counts_and_a_log_that_was_made_anew_gets_all() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one").at(pace()));
        let (a, b) = (create(&control, &home, "a", 1).await, create(&control, &second, "a", 2).await);
        for n in 0..5 {
            rename(&control, &home, &a, &format!("name {n}")).await;
        }
        until_named(&topics, &key(&home, &a), Some("name 4")).await;
        until_named(&topics, &key(&second, &b), Some("contract 2")).await;
        until("all is marked", async || unpublished(&store).await.is_empty()).await;
        running.stop().await;
        let before = topics.now().await.revision(&key(&home, &a)).expect("a revision");

        // As a backup would have it: fewer changes, another name, one thing less, and one that is not known yet.
        store.raw.run("UPDATE tenant_contracts SET name = 'put back' WHERE name = 'name 4'").await;
        store.raw.run("UPDATE outbox SET revision = 1, published = 1").await;
        store.raw.run("DELETE FROM tenant_contracts WHERE name = 'contract 2'").await;
        store.raw.run("DELETE FROM outbox WHERE tenant_id <> '00000000000000000000000000'").await;
        store.raw.run("DELETE FROM config_outbox").await;
        let running = Running::start(topics.publisher(&control, "one").at(pace()));
        until_named(&topics, &key(&home, &a), Some("put back")).await;
        until_named(&topics, &key(&second, &b), None).await;
        until_named(&topics, &format!("watched/a/{}", address(2)), None).await;
        let now = topics.now().await;
        assert!(now.revision(&key(&home, &a)) > Some(before));
        assert_eq!(now.name(&format!("watched/a/{}", address(1))).as_deref(), Some(""), "it was right, and is");
        now.assert_no_older_row();
        // A removed address that is added again has a higher revision than its removal.
        let again = create(&control, &second, "a", 2).await;
        until_named(&topics, &key(&second, &again), Some("contract 2")).await;
        until_named(&topics, &format!("watched/a/{}", address(2)), Some("")).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;

        // Another log, which knows nothing.
        let anew = Topics::new().await;
        let running = Running::start(anew.publisher(&control, "one").at(pace()));
        until_named(&anew, &key(&home, &a), Some("put back")).await;
        until_named(&anew, &key(&second, &again), Some("contract 2")).await;
        until_named(&anew, &format!("watched/a/{}", address(2)), Some("")).await;
        assert_eq!(anew.now().await.name(&key(&second, &b)), None);
        until("all is marked", async || unpublished(&store).await.is_empty()).await;
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_requests_and_kinds_of_others_stay_as_they_are() {
    both(async |store| {
        let (_operator, control, home, _) = opened(&store).await;
        let topics = Topics::new().await;
        let network: schemas::Network = "a".parse().expect("a slug");
        let partition = NetworkPartition { network: network.clone(), partition: 5, decided_at: TimeMs(7) };
        let partition = ControlConfig::NetworkPartition(partition);
        let asks = Asks::AcceptGap { first: 1, last: 2 };
        let asked = Request { id: "r".into(), network, asks, wanted: Wanted::Run, asked_at: TimeMs(1) };
        let asked = ControlConfig::Request(asked);
        topics.put(&partition.key(), Some(&partition), None).await;
        topics.put(&asked.key(), Some(&asked), None).await;
        topics.put("later/kind", None, None).await;
        // What was watched in a former life of the store, and is no more.
        let (network, address) = ("a".parse().expect("a slug"), "0xdead".into());
        let gone = WatchedAddress { network, address, revision: 9, since: None };
        topics.put("watched/a/0xdead", Some(&ControlConfig::Watched(gone)), Some(9)).await;
        topics.put("watched/a/0xbeef", None, Some(4)).await;
        let running = Running::start(topics.publisher(&control, "one").at(pace()));
        let mine = create(&control, &home, "a", 1).await;
        until_named(&topics, &key(&home, &mine), Some("contract 1")).await;
        until_named(&topics, "watched/a/0xdead", None).await;
        let now = topics.now().await;
        assert_eq!(now.revision("watched/a/0xdead"), Some(10));
        assert_eq!(now.revision("watched/a/0xbeef"), Some(4), "what is gone already is not removed again");
        let config = topics.all_of_config().await;
        for key in ["network/a", "request/r", "later/kind"] {
            assert_eq!(
                config.matches(&format!("\"{key}\"")).count(),
                1,
                "{key} is written once, by whoever did: {config}"
            );
        }
        assert_eq!((now.name("network/a").is_some(), now.revision("network/a")), (true, None));
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_committed_late_is_published_then_and_keeps_nobody_waiting() {
    postgres(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let late = create(&control, &home, "a", 1).await;
        let Raw::Postgres(raw) = &store.raw else { panic!("it is PostgreSQL") };
        let change = format!(
            "BEGIN; UPDATE tenant_contracts SET name = 'late' WHERE id = '{late}'; \
             UPDATE outbox SET revision = revision + 1 WHERE id = '{late}'; \
             UPDATE config_outbox SET revision = revision + 1"
        );
        let mut open = raw.acquire().await.expect("a connection");
        // Unpublished as it is, and being changed: what it was is published, and cannot be marked.
        sqlx::raw_sql(&change).execute(&mut *open).await.expect("changed");
        let running = Running::start(topics.publisher(&control, "one").at(pace()));
        until_named(&topics, &key(&home, &late), Some("contract 1")).await;
        // Changes of others, begun later and committed earlier, do not wait for it.
        let other = create(&control, &second, "b", 2).await;
        until_named(&topics, &key(&second, &other), Some("contract 2")).await;
        until_named(&topics, &format!("watched/b/{}", address(2)), Some("")).await;
        assert!(running.standing.borrow().trouble.is_none(), "{:?}", running.standing.borrow());
        sqlx::raw_sql("COMMIT").execute(&mut *open).await.expect("committed");
        drop(open);
        until_named(&topics, &key(&home, &late), Some("late")).await;
        until("all is marked", async || unpublished(&store).await.is_empty()).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_it_waits_with_words_and_nothing_is_lost() {
    postgres(async |store| {
        let (_operator, control, home, _) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one").at(pace()));
        let first = create(&control, &home, "a", 1).await;
        until_named(&topics, &key(&home, &first), Some("contract 1")).await;
        let (server, name) = store.server.as_ref().expect("it is PostgreSQL");
        let away = async |server: &PgPool| {
            for sql in [
                format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            ] {
                sqlx::raw_sql(&sql).execute(server).await.expect(&sql);
            }
        };
        away(server).await;
        until("it says so", async || {
            let trouble = running.standing.borrow().trouble.clone();
            trouble.is_some_and(|words| words.contains("changes wait") && words.contains("control store"))
        })
        .await;
        sqlx::raw_sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).execute(server).await.expect("back");
        let second = async {
            loop {
                let new = crate::common::contract("a", 2);
                let made = control.create_contract(control::Caller::here(&home), &new, None).await;
                match made {
                    Ok(made) => break made.made.id,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let second = tokio::time::timeout(crate::common::DEADLINE, second).await.expect("it is back");
        until_named(&topics, &key(&home, &second), Some("contract 2")).await;
        until("it says no more", async || running.standing.borrow().trouble.is_none()).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}
