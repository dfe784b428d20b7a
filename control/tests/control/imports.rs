//! An import, and a deletion, that are cut off at any statement: whole or nothing, and everything gone.

use std::{future::poll_fn, pin::pin, task::Poll};

use control::{Bounds, Caller, Control, Error, Leaving, Paging};
use schemas::{TimeMs, records::DefinitionKind};
use serde_json::{Value, json};
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    common::{Store, both, until},
    definitions::{channel, rule},
    life::{brought, document, emptied, everything, rows, tables, text},
    people::{founder, open, who},
    topics::{Running, Topics, address, opened, until_named},
};

/// Lets something go on until it has waited so many times, and drops it; `None`: it had not come to its end. Whoever waits here waits for a
/// statement.
async fn cut<T>(waits: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = waits;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// A channel, and two rules that name it.
fn three() -> String {
    let ids = ["01J0000000000000000000000A", "01J0000000000000000000000B", "01J0000000000000000000000C"];
    let named = |name: &str| {
        let mut rule = rule(name, "a");
        rule["channels"] = json!([ids[0]]);
        rule
    };
    let lines: [Value; 5] = [
        json!({"kind": "headwater.organisation", "version": 1}),
        json!({"kind": "channel", "id": ids[0], "definition": channel("hook")}),
        json!({"kind": "rule", "id": ids[1], "definition": named("fails")}),
        json!({"kind": "rule", "id": ids[2], "definition": named("fails too")}),
        json!({"kind": "history"}),
    ];
    text(&lines)
}

/// As if the stages had been told.
async fn told(store: &Store) {
    store.raw.run("UPDATE outbox SET published = revision").await;
}

/// Waits for the end of whatever was still at work in what was cut off.
async fn settled(store: &Store) {
    let all = match store.is_sqlite() {
        true => "BEGIN EXCLUSIVE; COMMIT",
        false => "BEGIN; LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE; COMMIT",
    };
    store.raw.run(all).await;
}

/// The one organisation that is to go.
async fn going(control: &Control) -> Leaving {
    let all = control.leaving().await.expect("a list");
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().expect("one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_cut_off_at_any_statement_is_whole_or_nothing() {
    both(async |store| {
        let control = open(&store).await;
        let ada = founder(&control, "ada@example.org", "first").await;
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let (by, bounds) = (Caller::here(&owner), Bounds::default());
        let (mut nothing, mut halves, mut whole) = (0, 0, Vec::new());
        // PostgreSQL waits more than once for a statement.
        let mut waits = (1..2_000).step_by(if store.is_sqlite() { 1 } else { 3 });
        // How often it waits is not the same each time: so not the first that is whole ends it.
        while whole.len() < 3 {
            let waits = waits.next().expect("it comes to an end");
            // A transaction for each of the three.
            let three = brought(&three()).await.expect("without mistakes").at_once(1);
            let done = cut(waits, control.import_organisation(by, "moved", three, &bounds, |_| ())).await;
            settled(&store).await;
            let mut new = control.organisations_of(&ada.person.id).await.expect("a list");
            new.retain(|of| of.organisation.id != ada.organisation && !whole.contains(&of.organisation.id));
            let Some(of) = new.first().map(|of| &of.organisation) else {
                assert!(done.is_none(), "{waits}: {done:?}");
                nothing += 1;
                continue;
            };
            assert_eq!(new.len(), 1, "{new:?}");
            match (done, of.state()) {
                (Some(done), state) => {
                    let (id, imported) = done.expect("imported");
                    assert_eq!((id, state, imported.channels, imported.rules), (of.id, "active", 1, 2));
                    whole.push(id);
                }
                // The last transaction was committed, and nobody heard of it.
                (None, "active") => whole.push(of.id),
                (None, state) => {
                    halves += 1;
                    assert_eq!(state, "importing");
                    let e = control.begin_person_session(&ada.person.id, Some(&of.id), crate::people::LIFE).await;
                    assert!(e.is_err(), "nobody is let in");
                    // Nobody else works on it for some time, and then it goes.
                    assert_eq!(control.give_up_imports().await.expect("looked"), 0, "not yet");
                    assert_eq!(control.give_up_before(TimeMs(i64::MAX)).await.expect("given up"), 1);
                    let leaving = going(&control).await;
                    told(&store).await;
                    assert_eq!(control.empty(&leaving).await.expect("emptied").untold, 0);
                    control.bury(&leaving, &json!({})).await.expect("buried");
                }
            }
        }
        let of = who(&control, &ada.person.id, &whole[0]).await;
        for (kind, many) in [(DefinitionKind::Channel, 1), (DefinitionKind::Rule, 2)] {
            let page = control.definitions(of.tenant(), kind, &Paging::default()).await.expect("a list");
            assert_eq!(page.items.len(), many, "{kind:?}");
        }
        crate::people::fits(&control, &of).await;
        // What was cut off has left nothing anywhere.
        let there = whole.iter().chain([&ada.organisation, &control::Id::DEFAULT_TENANT]).map(ToString::to_string);
        let there: Vec<String> = there.collect();
        for table in tables(&store).await {
            let tenants = store.raw.texts(&format!("SELECT DISTINCT tenant_id FROM {table}")).await;
            assert!(tenants.iter().all(|id| there.contains(id)), "{table}: {tenants:?}");
        }
        eprintln!("{nothing} left nothing, {halves} a half (sqlite: {})", store.is_sqlite());
        // A statement that is answered at once is not waited for: under load there are fewer.
        assert!(nothing > 0 && halves > 0, "{nothing} {halves}");

        // Who is logged out in the middle of it makes nothing more, and what there is goes; and he begins none.
        let log_out = || Handle::current().block_on(store.raw.run("UPDATE sessions SET revoked_at = 1"));
        for _ in 0..2 {
            let three = brought(&three()).await.expect("without mistakes").at_once(1);
            let late = control.import_organisation(by, "late", three, &bounds, |_| {
                block_in_place(log_out);
            });
            let late = late.await;
            assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
            going(&control).await;
        }
        control.close().await;
        store
    })
    .await;
}

/// By the log alone, whoever publishes: before it is whole nothing of it is told, not even that its address is watched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stages_hear_of_an_import_when_it_is_whole() {
    both(async |store| {
        let (operator, control, home, _) = opened(&store).await;
        everything(&control, &home).await;
        // The same at another address.
        let lines = text(&document(&control, &home).await).replace(&address(7), &address(8));
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        running.until_publishes().await;
        let bounds = Bounds::default();
        let import = async |waits| {
            let brought = brought(&lines).await.expect("without mistakes").at_once(1);
            cut(waits, operator.import_organisation("moved", None, brought, &bounds, |_| ())).await
        };
        let importing = async || {
            let all = operator.tenants().await.expect("a list");
            all.into_iter().find(|tenant| tenant.state() == "importing").map(|tenant| tenant.id)
        };
        let (mut waits, mut half) = (8, None);
        while half.is_none() {
            assert!(import(waits).await.is_none(), "{waits} is all of it");
            settled(&store).await;
            (waits, half) = (waits + 2, importing().await);
        }
        let half = half.expect("a half");
        assert_eq!(rows(&store, "tenant_contracts", &half).await, 1);
        until("all is told", async || crate::topics::unpublished(&store).await.is_empty()).await;
        let watched = format!("watched/a/{}", address(8));
        let ids = store.raw.texts(&format!("SELECT kind || '/' || id FROM outbox WHERE tenant_id = '{half}'")).await;
        let now = topics.now().await;
        assert!(!ids.is_empty() && now.name(&watched).is_none(), "{ids:?}");
        for id in &ids {
            assert_eq!(now.name(&format!("{half}/{id}")), None, "{id}");
        }
        // Nobody suspends or resumes it; what is given up is gone everywhere.
        let by = Caller::here(&home);
        for reason in [Some("bills"), None] {
            control.suspend_organisation(by, &half, reason).await.expect_err("it is being imported");
        }
        // One that cannot be given up, since its audit has no head, is told, and holds up no other.
        let stuck = "INSERT INTO tenants (tenant_id, slug, name, created_at, importing_at, version) \
                     VALUES ('01J0000000000000000000000X', 'stuck', 'stuck', 1, 0, 1)";
        store.raw.run(stuck).await;
        let given_up = control.give_up_before(TimeMs(i64::MAX)).await;
        assert!(matches!(given_up, Err(Error::NotFound)), "{given_up:?}");
        let leaving = going(&control).await;
        emptied(&control, &leaving).await;
        control.bury(&leaving, &json!({})).await.expect("buried");
        for table in tables(&store).await {
            assert_eq!(rows(&store, &table, &half).await, 0, "{table}");
        }
        assert_eq!(topics.now().await.name(&watched), None);

        let (id, imported) = import(usize::MAX).await.expect("whole").expect("imported");
        assert_eq!((imported.contracts, imported.channels, imported.rules, imported.monitors), (1, 1, 1, 1));
        until_named(&topics, &watched, Some("")).await;
        for kind in ["channel", "rule", "monitor", "silence"] {
            let sql = format!("SELECT id FROM tenant_definitions WHERE tenant_id = '{id}' AND kind = '{kind}'");
            let made = store.raw.texts(&sql).await;
            until("it is told", async || topics.now().await.name(&format!("{id}/{kind}/{}", made[0])).is_some()).await;
        }
        running.stop().await;
        operator.control().close().await;
        control.close().await;
        store
    })
    .await;
}

/// Asked for, emptied, buried: cut off at any statement, each is done again, and in the end all of it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_cut_off_at_any_statement_ends_in_everything_gone() {
    both(async |store| {
        let (operator, control, home, second) = opened(&store).await;
        everything(&control, &home).await;
        everything(&control, &second).await;
        let id = *second.tenant().id();
        // PostgreSQL waits more than once for a statement.
        let (step, proof) = (if store.is_sqlite() { 1 } else { 2 }, json!({}));
        let mut cuts = [0; 3];
        for waits in (1..).step_by(step) {
            assert!(waits < 2_000, "it comes to an end");
            let asked = cut(waits, control.delete_organisation(Caller::here(&second), &id)).await;
            settled(&store).await;
            let leaving = control.leaving().await.expect("a list");
            assert_eq!(rows(&store, "tenant_definitions", &id).await, 4, "nothing goes before the stages know");
            if leaving.is_empty() {
                assert!(asked.is_none(), "what was answered is so");
                cuts[0] += 1;
                continue;
            }
            break;
        }
        let leaving = going(&control).await;
        told(&store).await;
        for waits in (1..).step_by(step) {
            if let Some(done) = cut(waits, control.empty(&leaving)).await {
                assert_eq!(done.expect("emptied").untold, 0);
                break;
            }
            cuts[1] += 1;
            settled(&store).await;
            let left = rows(&store, "tenant_definitions", &id).await;
            assert!(left == 4 || left == 0, "{left}: one transaction");
            assert_eq!(going(&control).await, leaving, "it is gone on with");
        }
        for waits in (1..).step_by(step) {
            if let Some(done) = cut(waits, control.bury(&leaving, &proof)).await {
                done.expect("buried");
                break;
            }
            cuts[2] += 1;
            settled(&store).await;
            // As long as anything is there of it, it is gone on with, or its last row went.
            let left = control.leaving().await.expect("a list");
            let tombstone = control.tombstone(&id).await.expect("looked");
            assert!(!left.is_empty() || tombstone.is_some());
            assert!(rows(&store, "audit_logs", &id).await > 0 || tombstone.is_some(), "no audit goes without it");
        }
        for table in tables(&store).await {
            assert_eq!(rows(&store, &table, &id).await, 0, "{table}");
        }
        assert!(control.leaving().await.expect("a list").is_empty());
        assert!(control.tombstone(&id).await.expect("looked").is_some());
        assert_eq!(rows(&store, "tenant_definitions", home.tenant().id()).await, 4, "the other has all of his");
        eprintln!("cut off: {cuts:?} (sqlite: {})", store.is_sqlite());
        assert!(cuts.iter().all(|cuts| *cuts > 0), "{cuts:?}");
        operator.control().close().await;
        control.close().await;
        store
    })
    .await;
}
