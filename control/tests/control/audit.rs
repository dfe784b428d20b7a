//! The audit.

use std::net::IpAddr;

use control::{Action, Caller, ContractPatch, Expected, Filter, Mode, Outcome, Paging, Subject, Trust, Verified};

use crate::common::{Store, both, contract, key, new_key};

async fn entries(store: &Store, count: i64) -> String {
    let operator = store.operator().await;
    let verified = operator.control().verify_audit(operator.at_home().tenant()).await.expect("verified");
    operator.control().close().await;
    match verified {
        Verified::Fits { entries, head } => {
            assert_eq!(entries, count);
            head
        }
        Verified::Misfit(m) => panic!("{m}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_says_who_from_where_and_what() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let fresh = key(control, &home, new_key("deploy", &["contracts:write", "contracts:read"])).await;
        let who = control.authenticate(fresh.text.expose()).await.expect("let in");
        let ip: IpAddr = "192.0.2.7".parse().expect("an address");
        let by = Caller { who: &who, ip: Some(ip), request_id: Some("req-1") };
        let made = control.create_contract(by, &contract("a", 1), None).await.expect("made").made;
        let patch = ContractPatch { name: Some("renamed".to_owned()), ..ContractPatch::default() };
        control.patch_contract(by, &made.id, &Expected::version(1), &patch).await.expect("changed");
        control
            .patch_contract(by, &made.id, &Expected::version(1), &patch)
            .await
            .expect_err("stale: nothing is written down");
        let subject = Subject { kind: "key", id: fresh.key.id.to_string(), name: None };
        control.note(by, Action::KeyRevoke, &subject, Outcome::Denied).await.expect("noted");
        control.delete_contract(by, &made.id, &Expected::Any).await.expect("removed");

        let all = control.audit(home.tenant(), &Filter::default(), &Paging::default()).await.expect("a page").items;
        let actions: Vec<&str> = all.iter().map(|e| e.action.as_str()).collect();
        assert_eq!(actions, ["contract.delete", "key.revoke", "contract.change", "contract.create", "key.create"]);
        let change = &all[2];
        assert_eq!((change.actor_kind.as_str(), change.actor_id.as_str()), ("key", fresh.key.id.as_str()));
        assert_eq!((change.ip.as_deref(), change.request_id.as_deref()), (Some("192.0.2.7"), Some("req-1")));
        assert_eq!(change.acting_as, "contracts:read contracts:write");
        assert_eq!(change.before.as_ref().expect("before")["name"], "contract 1");
        assert_eq!(change.after.as_ref().expect("after")["name"], "renamed");
        assert_eq!((all[1].outcome.as_str(), all[0].after.is_none()), ("denied", true));
        let made_key = all[4].after.as_ref().expect("after");
        assert_eq!(made_key["secret"], serde_json::json!({"set": true}));
        assert_eq!(
            (all[4].actor_kind.as_str(), all[4].actor_name.as_str(), all[4].ip.is_none()),
            ("operator", "test", true)
        );

        let count = async |filter: Filter| {
            control.audit(home.tenant(), &filter, &Paging::default()).await.expect("a page").items.len()
        };
        let with = Filter::default;
        assert_eq!(count(Filter { actor: Some(fresh.key.id.to_string()), ..with() }).await, 4);
        assert_eq!(count(Filter { action: Some("contract.create".to_owned()), ..with() }).await, 1);
        assert_eq!(count(Filter { resource: Some(made.id.to_string()), ..with() }).await, 3);
        assert_eq!(count(Filter { resource: Some("key".to_owned()), ..with() }).await, 2);
        let both_of = Filter { actor: Some("operator".to_owned()), resource: Some("key".to_owned()), ..with() };
        assert_eq!(count(both_of).await, 1);
        let (first, last) = (all[4].at, all[0].at);
        assert_eq!(count(Filter { to: Some(first), ..with() }).await, 0);
        assert_eq!(count(Filter { from: Some(first), ..with() }).await, 5);
        assert_eq!(count(Filter { from: Some(schemas::TimeMs(last.0 + 1)), ..with() }).await, 0);
        let page = control
            .audit(home.tenant(), &with(), &Paging { limit: Some(2), ..Paging::default() })
            .await
            .expect("a page");
        let rest = Paging { limit: Some(50), after: page.next };
        let rest = control.audit(home.tenant(), &with(), &rest).await.expect("a page");
        assert_eq!((page.items.len(), rest.items.len(), rest.next), (2, 3, None));
        control.close().await;
        entries(&store, 5).await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_at_the_same_time_are_one_chain() {
    both(async |store| {
        let (one, two) =
            (store.open_with(Mode::None, Trust::default()).await, store.open_with(Mode::None, Trust::default()).await);
        let work = async |control: &control::Control, from: u64| {
            let who = control.anyone().expect("anyone");
            for n in from..from + 15 {
                control.create_contract(Caller::here(&who), &contract("a", n), None).await.expect("made");
            }
        };
        tokio::join!(work(&one, 0), work(&one, 100), work(&two, 200), work(&two, 300));
        one.close().await;
        two.close().await;
        entries(&store, 60).await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_removed_added_or_swapped_is_found() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        for n in 0..8 {
            control.create_contract(Caller::here(&home), &contract("a", n), None).await.expect("made");
        }
        let head = entries(&store, 8).await;
        let misfit = async || match control.verify_audit(home.tenant()).await.expect("verified") {
            Verified::Misfit(m) => m,
            Verified::Fits { .. } => panic!("it was not found"),
        };
        if store.is_sqlite() {
            for sql in ["UPDATE audit_logs SET outcome = 'x'", "DELETE FROM audit_logs"] {
                let sqlx_error = match &store.raw {
                    crate::common::Raw::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.expect_err(sql),
                    crate::common::Raw::Postgres(_) => unreachable!("it is SQLite"),
                };
                assert!(sqlx_error.to_string().contains("never"), "{sqlx_error}");
            }
            store.raw.run("DROP TRIGGER audit_logs_stay").await;
            store.raw.run("DROP TRIGGER audit_logs_stay_there").await;
        }
        store.raw.run("CREATE TABLE spare AS SELECT * FROM audit_logs").await;
        let restore = async || {
            store.raw.run("DELETE FROM audit_logs").await;
            store.raw.run("INSERT INTO audit_logs SELECT * FROM spare").await;
        };
        // One character of each column, the first, middle and newest entry.
        let texts = [
            "id", "actor_kind", "actor_id", "actor_name", "acting_as", "action", "resource_kind", "resource_id", "resource_name",
            "after", "outcome", "previous", "hash",
        ];
        for entry in [1, 4, 8] {
            for column in texts {
                if entry == 1 && column == "previous" {
                    continue; // it is empty
                }
                let sql = format!(
                    "UPDATE audit_logs SET {column} = SUBSTR({column}, 1, 3) || \
                     CASE WHEN SUBSTR({column}, 4, 1) = '1' THEN '2' ELSE '1' END || SUBSTR({column}, 5) WHERE entry = {entry}"
                );
                assert_eq!(store.raw.run(&sql).await, 1);
                assert_eq!(misfit().await.entry, entry, "{column}");
                restore().await;
            }
            for sql in [
                format!("UPDATE audit_logs SET at = at + 1 WHERE entry = {entry}"),
                format!("UPDATE audit_logs SET ip = '192.0.2.1' WHERE entry = {entry}"),
                format!("UPDATE audit_logs SET before = '{{}}' WHERE entry = {entry}"),
                format!("UPDATE audit_logs SET entry = 99 WHERE entry = {entry}"),
                format!("DELETE FROM audit_logs WHERE entry = {entry}"),
            ] {
                store.raw.run(&sql).await;
                assert_eq!(misfit().await.entry, entry, "{sql}");
                restore().await;
            }
        }
        // Two swapped.
        for sql in ["entry = 99 WHERE entry = 3", "entry = 3 WHERE entry = 4", "entry = 4 WHERE entry = 99"] {
            store.raw.run(&format!("UPDATE audit_logs SET {sql}")).await;
        }
        assert_eq!(misfit().await.entry, 3);
        restore().await;
        // The newest removed, and the head set back to what there is: only a head that somebody kept tells.
        store.raw.run("DELETE FROM audit_logs WHERE entry = 8").await;
        store
            .raw
            .run(
                "UPDATE audit_heads SET entries = 7, at = (SELECT at FROM audit_logs WHERE entry = 7), \
                 hash = (SELECT hash FROM audit_logs WHERE entry = 7)",
            )
            .await;
        assert_ne!(entries(&store, 7).await, head);
        store.raw.run("UPDATE audit_heads SET hash = 'x'").await;
        assert_eq!(misfit().await.entry, 7);
        control.close().await;
        store
    })
    .await;
}
