//! Plans, what they bound, and what was used.

use std::{collections::BTreeMap, sync::Arc};

use control::{
    Actor, Authenticated, Bounds, Caller, Control, Error, Expected, Filter, Metered, Mode, Paging, Trust, Used,
};
use runtime::config::Plan;
use schemas::{Quota, TimeMs, records::DefinitionKind};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    common::{Store, both, contract, key, new_key, until},
    definitions::{channel, paths, rule},
    topics::{Running, Topics, opened},
};

fn plan(name: &str, maxima: &[(Quota, u64)]) -> Plan {
    Plan { name: name.to_owned(), maxima: maxima.iter().copied().collect() }
}

async fn of(control: &Control, who: &Authenticated, quota: Quota) -> Used {
    let (_, all) = control.usage(who.tenant()).await.expect("usage");
    all.into_iter().find(|used| used.quota == quota).expect("every quota is there")
}

fn used(used: Used) -> (Option<i64>, i64) {
    (used.limit, used.used)
}

fn refused(error: &Error, quota: Quota) -> bool {
    matches!(error, Error::Quota { name, .. } if *name == quota)
}

/// As often as it takes: writers of SQLite that wait for long are told that it is away.
async fn add(control: &Control, who: &Authenticated, n: u64) -> Result<(), Error> {
    loop {
        match control.create_contract(Caller::here(who), &contract("a", n), None).await {
            Err(Error::Away(_)) => {}
            done => return done.map(drop),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_at_once_fifty_get_in() {
    both(async |store| {
        let operator = store.operator().await;
        let home = operator.at_home();
        let processes = [Arc::new(store.open().await), Arc::new(store.open().await)];
        processes[0].put_plans(&[plan("default", &[(Quota::Contracts, 50)])]).await.expect("put");
        let mut tasks = JoinSet::new();
        for n in 0..100_u64 {
            let (control, home) = (Arc::clone(&processes[(n % 2) as usize]), home.clone());
            tasks.spawn(async move { add(&control, &home, n).await });
        }
        let (mut made, mut not) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            match done.expect("no panic") {
                Ok(()) => made += 1,
                Err(Error::Quota { name: Quota::Contracts, limit: 50, used: 50 }) => not += 1,
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!((made, not), (50, 50));
        let rows = store.raw.texts("SELECT id FROM tenant_contracts").await;
        assert_eq!((rows.len(), used(of(&processes[1], &home, Quota::Contracts).await)), (50, (Some(50), 50)));

        // Where one goes, one more may come, and one only.
        let id = rows[0].parse().expect("an id");
        processes[1].delete_contract(Caller::here(&home), &id, &Expected::Any).await.expect("removed");
        add(&processes[0], &home, 1_000).await.expect("there is room");
        let e = add(&processes[0], &home, 1_001).await.unwrap_err();
        assert!(refused(&e, Quota::Contracts) && e.to_string().contains("50 contracts"), "{e}");
        // What is refused leaves nothing behind.
        assert_eq!(used(of(&processes[0], &home, Quota::Contracts).await), (Some(50), 50));
        for control in processes {
            control.close().await;
        }
        store
    })
    .await;
}

/// A monitor of everything.
fn all(name: &str) -> Value {
    json!({"name": name, "networks": ["a"], "match_conditions": {"transactions": [{"status": "Failure"}]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thing_is_counted_where_it_comes_and_goes() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds) = (Caller::here(&home), Bounds::default());
        let two = |quota: Quota| (quota, 2);
        let maxima: Vec<(Quota, u64)> = [Quota::Rules, Quota::Monitors, Quota::Channels, Quota::Keys].map(two).to_vec();
        control.put_plans(&[plan("default", &maxima)]).await.expect("put");
        let body = |kind: DefinitionKind, name: &str| match kind {
            DefinitionKind::Rule => rule(name, "a"),
            DefinitionKind::Channel => channel(name),
            _ => all(name),
        };
        for (kind, quota) in [
            (DefinitionKind::Rule, Quota::Rules),
            (DefinitionKind::Monitor, Quota::Monitors),
            (DefinitionKind::Channel, Quota::Channels),
        ] {
            let make = async |name: &str| control.create_definition(by, kind, &body(kind, name), None, &bounds).await;
            let one = make("one").await.expect("room").made;
            make("two").await.expect("room");
            let e = make("three").await.unwrap_err();
            assert!(refused(&e, quota), "{e}");
            assert_eq!(used(of(control, &home, quota).await), (Some(2), 2));
            control.delete_definition(by, kind, &one.id, &Expected::Any).await.expect("removed");
            make("three").await.expect("room again");
        }
        // A key that was revoked is none any more, and revoking it again gives nothing.
        let first = key(control, &home, new_key("one", &["*:read"])).await;
        key(control, &home, new_key("two", &["*:read"])).await;
        let e = control.create_key(by, new_key("three", &["*:read"])).await.unwrap_err();
        assert!(refused(&e, Quota::Keys), "{e}");
        for _ in 0..2 {
            control.revoke_key(by, &first.key.id).await.expect("revoked");
        }
        assert_eq!(used(of(control, &home, Quota::Keys).await), (Some(2), 1));

        // Of monitors that look at everything those at work count, by every way to become one.
        control.put_plans(&[plan("default", &[(Quota::UnindexedMonitors, 2)])]).await.expect("put");
        let kind = DefinitionKind::Monitor;
        let mut paused = all("paused");
        paused["paused"] = true.into();
        let paused = control.create_definition(by, kind, &paused, None, &bounds).await.expect("it is not at work").made;
        let go_on = json!({"paused": false});
        let patch =
            async |patch: &Value| control.patch_definition(by, kind, &paused.id, &Expected::Any, patch, &bounds).await;
        let e = patch(&go_on).await.unwrap_err();
        assert!(refused(&e, Quota::UnindexedMonitors), "{e}");
        let others = control.definitions(home.tenant(), kind, &Paging::default()).await.expect("a page").items;
        let other = others.iter().find(|m| m.name == "two").expect("it is there");
        control.delete_definition(by, kind, &other.id, &Expected::Any).await.expect("removed");
        patch(&go_on).await.expect("room");
        patch(&json!({"severity": "critical"})).await.expect("it is one already");
        assert_eq!(used(of(control, &home, Quota::UnindexedMonitors).await), (Some(2), 2));
        patch(&json!({"paused": true})).await.expect("paused");
        assert_eq!(used(of(control, &home, Quota::UnindexedMonitors).await), (Some(2), 1));
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_plans_everybodys_bounds_hold_and_what_was_there_is_counted() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        for quota in Quota::ALL {
            let found = of(control, &home, quota).await;
            assert_eq!(found.limit, quota.most().map(|most| most as i64), "{}", quota.as_str());
        }
        // Rows that came otherwise, as those of a version before.
        let sql = "INSERT INTO tenant_contracts (tenant_id, id, network, address, name, labels, created_at, updated_at, version) \
                   VALUES ('00000000000000000000000000', '01J0000000000000000000000B', 'a', '0x1', 'c', '[]', 1, 1, 1)";
        store.raw.run(sql).await;
        assert_eq!(of(control, &home, Quota::Contracts).await.used, 1);
        add(control, &home, 2).await.expect("added");
        assert_eq!(of(control, &home, Quota::Contracts).await.used, 2);
        assert_eq!(of(control, &second, Quota::Contracts).await.used, 0, "each tenant for itself");

        // A plan that gives less than there is removes nothing.
        control.put_plans(&[plan("default", &[(Quota::Contracts, 1)])]).await.expect("put");
        assert_eq!(used(of(control, &home, Quota::Contracts).await), (Some(1), 2));
        assert!(refused(&add(control, &home, 3).await.unwrap_err(), Quota::Contracts));
        add(control, &second, 3).await.expect("the other has room");
        assert!(refused(&add(control, &second, 4).await.unwrap_err(), Quota::Contracts));
        // What was said of one tenant alone goes before its plan.
        store.raw.run("UPDATE tenant_quotas SET maximum = 2 WHERE tenant_id = '01J00000000000000000000002'").await;
        add(control, &second, 4).await.expect("room");
        assert_eq!(used(of(control, &second, Quota::Contracts).await), (Some(2), 2));
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_come_from_the_file_and_tenants_name_one() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        let file = [plan("default", &[(Quota::Contracts, 1)]), plan("team", &[(Quota::Contracts, 3)])];
        assert!(control.put_plans(&file).await.expect("put"));
        assert!(!control.put_plans(&file).await.expect("put"), "as every other start with the same file");
        assert_eq!(control.plans().await.expect("plans"), ["default", "team"]);

        let e = control.set_plan(Caller::here(&second), "teams").await.unwrap_err();
        assert!(e.to_string().contains("default, team"), "{e}");
        assert_eq!(paths(e), ["plan"]);
        control.set_plan(Caller::here(&second), "team").await.expect("set");
        control.set_plan(Caller::here(&second), "team").await.expect("it has it");
        assert_eq!(of(control, &second, Quota::Contracts).await.limit, Some(3));
        assert_eq!(of(control, &home, Quota::Contracts).await.limit, Some(1));
        let (name, _) = control.usage(second.tenant()).await.expect("usage");
        assert_eq!(name, "team");

        // A plan that is not there any more is the default one.
        control.put_plans(&file[..1]).await.expect("put");
        assert_eq!(of(control, &second, Quota::Contracts).await.limit, Some(1));

        let entries = async |who: &Authenticated, action: &str| {
            let filter = Filter { action: Some(action.to_owned()), ..Filter::default() };
            control.audit(who.tenant(), &filter, &Paging::default()).await.expect("entries").items
        };
        let set = entries(&second, "organisation.plan").await;
        assert_eq!(set.len(), 1);
        assert_eq!(set[0].after, Some(json!({"plan": "team"})));
        let put = entries(&home, "plan.change").await;
        assert_eq!(put.len(), 3);
        assert!(put.iter().all(|e| e.actor_kind == Actor::System.kind()));
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flush_counts_once_however_often_it_is_tried() {
    both(async |store| {
        let operator = store.operator().await;
        let home = operator.at_home();
        let second = store.second_tenant(&operator).await;
        let processes = [Arc::new(store.open().await), Arc::new(store.open_with(Mode::Keys, Trust::default()).await)];
        let day = Control::day_of(TimeMs::now());
        let (one, two) = (*home.tenant().id(), *second.tenant().id());
        let metered = |tenant, used| Metered { tenant, quota: Quota::RequestsPerDay, day, used };
        let counted = vec![metered(one, 5), metered(two, 7)];

        // The same flush, tried by many at once: a process cannot know which of its tries came through.
        let mut tasks = JoinSet::new();
        for n in 0..16_usize {
            let (control, counted) = (Arc::clone(&processes[n % 2]), counted.clone());
            tasks.spawn(async move {
                loop {
                    match control.meter("a", 1, &counted).await {
                        Err(Error::Away(_)) => {}
                        done => return done,
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            let sums = done.expect("no panic").expect("written");
            assert_eq!(sums, BTreeMap::from([((one, Quota::RequestsPerDay), 5), ((two, Quota::RequestsPerDay), 7)]));
        }
        // Another process, the next flush, and one of before that comes late.
        let control = &processes[0];
        control.meter("b", 1, &[metered(one, 10)]).await.expect("written");
        control.meter("a", 2, &[metered(one, 1)]).await.expect("written");
        let late = control.meter("a", 1, &counted).await.expect("answered");
        assert_eq!(late[&(one, Quota::RequestsPerDay)], 16);
        assert_eq!(of(control, &home, Quota::RequestsPerDay).await.used, 16);
        assert_eq!(of(control, &second, Quota::RequestsPerDay).await.used, 7);
        let standing = control.standing(home.tenant()).await.expect("standing");
        assert_eq!(standing.today[&Quota::RequestsPerDay], 16);

        // A tenant that is gone takes nobody's sums along.
        let gone = "01J00000000000000000000003".parse().expect("an id");
        let sums = control.meter("a", 3, &[metered(gone, 9), metered(two, 1)]).await.expect("written");
        assert_eq!(sums, BTreeMap::from([((two, Quota::RequestsPerDay), 8)]));

        // Whoever runs the machine sees all of them, and nobody else does.
        let all = control.usage_of_all(&home).await.expect("all");
        let sums: Vec<i64> = all.iter().map(|used| used.used[&Quota::RequestsPerDay]).collect();
        assert_eq!((sums, all[1].name.as_str(), all[1].state), (vec![16, 8], "second", "active"));
        let key = key(control, &second, new_key("all", &["*:*"])).await;
        let theirs = control.authenticate(key.text.expose()).await.expect("let in");
        assert!(matches!(control.usage_of_all(&theirs).await, Err(Error::NotFound)));
        for control in processes {
            control.close().await;
        }
        store
    })
    .await;
}

/// The stages hear what a plan gives of messages in an hour, from each channel's record, and of nobody else's plan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_say_what_their_plan_gives_of_an_hour() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        running.until_publishes().await;
        let (kind, bounds) = (DefinitionKind::Channel, Bounds::default());
        let mut keys = Vec::new();
        for who in [&home, &second] {
            let by = Caller::here(who);
            let made = control.create_definition(by, kind, &channel("hook"), None, &bounds).await.expect("made").made;
            keys.push(format!("{}/channel/{}", who.tenant().id(), made.id));
        }
        let until_bounded = async |key: &str, most: Option<i64>| {
            until(&format!("{key}: {most:?}"), async || {
                let Some(told) = topics.definition(key).await else { return false };
                let told: Value = serde_json::from_str(&told.definition).expect("JSON");
                told.get("organisation_per_hour").and_then(Value::as_i64) == most
            })
            .await;
        };
        until_bounded(&keys[0], None).await;
        let hour = |most| plan("team", &[(Quota::DeliveriesPerHour, most)]);
        control.put_plans(&[hour(30)]).await.expect("put");
        control.set_plan(Caller::here(&second), "team").await.expect("set");
        until_bounded(&keys[1], Some(30)).await;
        until_bounded(&keys[0], None).await;
        // The file says another number.
        control.put_plans(&[hour(20)]).await.expect("put");
        until_bounded(&keys[1], Some(20)).await;
        control.set_plan(Caller::here(&second), "default").await.expect("set");
        until_bounded(&keys[1], None).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

/// What is counted is what is there, whatever comes and goes in whatever order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_count_is_the_rows() {
    both(async |store: Store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        control.put_plans(&[plan("default", &[(Quota::Contracts, 6)])]).await.expect("put");
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..80 {
            let rows = store.raw.texts("SELECT id FROM tenant_contracts").await;
            if random.bool() && !rows.is_empty() {
                let id = rows[random.usize(..rows.len())].parse().expect("an id");
                control.delete_contract(Caller::here(&home), &id, &Expected::Any).await.expect("removed");
            } else {
                let there = add(control, &home, random.u64(..10)).await;
                match there {
                    Ok(()) => assert!(rows.len() < 6),
                    Err(Error::Taken { .. }) => {}
                    Err(e) => assert!(refused(&e, Quota::Contracts) && rows.len() == 6, "{e}"),
                }
            }
            let rows = store.raw.texts("SELECT id FROM tenant_contracts").await;
            assert_eq!(of(control, &home, Quota::Contracts).await.used, rows.len() as i64, "step {step}");
        }
        store
    })
    .await;
}
