//! An organisation suspended, exported, imported into another, and deleted.

use std::collections::HashMap;

use control::{Authenticated, Bounds, Caller, Control, Error, Id, ImportReader, Leaving, Paging, ToImport, Verified};
use schemas::{TimeMs, limits::control as limits, records::DefinitionKind};
use serde_json::{Value, json};

use crate::{
    common::{Store, both, key, new_key, until},
    definitions::{channel, rule},
    topics::{Running, Topics, address, create, opened, until_named},
};

const ABI: &str =
    r#"[{"type":"event","name":"Moved","inputs":[{"name":"to","type":"address","indexed":true}],"anonymous":false}]"#;

/// One of everything that can be defined, each naming others. Their ids, by what they are.
pub async fn everything(control: &Control, who: &Authenticated) -> HashMap<&'static str, Id> {
    let (by, bounds) = (Caller::here(who), Bounds::default());
    let make = async |kind, body: Value| {
        control.create_definition(by, kind, &body, None, &bounds).await.expect("made").made.id
    };
    let mut ids = HashMap::new();
    let new =
        control::NewContract { abi: Some(serde_json::from_str(ABI).expect("JSON")), ..crate::common::contract("a", 7) };
    ids.insert("contract", control.create_contract(by, &new, None).await.expect("made").made.id);
    ids.insert("hook", make(DefinitionKind::Channel, channel("hook")).await);
    let mut of_rule = rule("fails", "a");
    of_rule["contract"] = address(7).into();
    of_rule["channels"] = json!([ids["hook"]]);
    ids.insert("rule", make(DefinitionKind::Rule, of_rule).await);
    let monitor = json!({
        "name": "moves", "networks": ["a"], "addresses": [{"address": address(7)}],
        "match_conditions": {"transactions": [{"status": "Failure"}]}, "channels": [ids["hook"]],
    });
    ids.insert("monitor", make(DefinitionKind::Monitor, monitor).await);
    let silence = json!({
        "name": "works", "match": {"rule": ids["rule"]}, "ends_at": "2100-01-01T00:00:00Z", "reason": "works",
    });
    ids.insert("silence", make(DefinitionKind::Silence, silence).await);
    ids
}

/// The document, as it would be fetched, without what the store of chains has.
pub async fn document(control: &Control, who: &Authenticated) -> Vec<Value> {
    let mut exporter = control.exporter(who, who.tenant().id()).expect("his");
    let mut all = Vec::new();
    while let Some(lines) = exporter.next().await.expect("lines") {
        all.extend(lines);
    }
    all
}

pub fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What a document defines, read in pieces that end anywhere.
pub async fn brought(document: &str) -> Result<ToImport, Error> {
    let bounds = Bounds::default();
    let mut reader = ImportReader::new(&bounds);
    for piece in document.as_bytes().chunks(997) {
        reader.take(piece).await?;
    }
    reader.end().await
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

async fn only(control: &Control, who: &Authenticated, kind: DefinitionKind) -> control::Defined {
    let page = control.definitions(who.tenant(), kind, &Paging::default()).await.expect("a list");
    assert_eq!(page.items.len(), 1, "{kind:?}");
    page.items.into_iter().next().expect("one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_imported_with_new_ids_the_references_kept_and_no_secret() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let ids = everything(&control, &home).await;
        let secret = key(&control, &home, new_key("ops", &["*:read"])).await;
        let asked = control.ask_for_export(Caller::here(&home), home.tenant().id()).await.expect("asked");
        assert_eq!((asked.state.as_str(), asked.finished_at), ("done", None));

        let lines = document(&control, &home).await;
        assert_eq!(
            (lines[0]["kind"].as_str(), lines[0]["version"].as_u64()),
            (Some("headwater.organisation"), Some(1))
        );
        for kind in ["contract", "channel", "rule", "monitor", "silence", "history", "key"] {
            assert_eq!(of_kind(&lines, kind).len(), 1, "{kind}");
        }
        let entries = of_kind(&lines, "entry");
        assert!(entries.iter().any(|entry| entry["action"] == "organisation.export"), "{entries:?}");
        assert_eq!(entries.len(), entries.last().expect("one")["entry"].as_u64().expect("a number") as usize);
        let whole = text(&lines);
        let words = secret.text.expose();
        assert!(!whole.contains(words) && !whole.contains(words.rsplit('_').next().expect("its secret half")));
        for column in
            ["SELECT hash FROM api_key_secrets", "SELECT sealed FROM tenant_definitions WHERE sealed IS NOT NULL"]
        {
            for secret in store.raw.texts(column).await {
                assert!(!whole.contains(&secret), "{column}");
            }
        }

        // Into another one; what it was before is left out of it.
        let by = Caller::here(&second);
        let cut = lines.iter().position(|line| line["kind"] == "history").expect("it is there");
        let brought = brought(&text(&lines[..=cut])).await.expect("without mistakes");
        let imported = control.import(by, brought, &Bounds::default()).await.expect("imported");
        let counts = (imported.contracts, imported.channels, imported.rules, imported.monitors, imported.silences);
        assert_eq!((counts, imported.without_secrets.as_slice()), ((1, 1, 1, 1, 1), &["hook".to_owned()][..]));
        let hook = only(&control, &second, DefinitionKind::Channel).await;
        assert!(hook.disabled.as_ref().is_some_and(|why| why.contains("without its secrets")), "{:?}", hook.disabled);
        let new_rule = only(&control, &second, DefinitionKind::Rule).await;
        assert_eq!(new_rule.definition["channels"], json!([hook.id]));
        assert_eq!(new_rule.definition["contract"], address(7));
        assert_eq!(only(&control, &second, DefinitionKind::Monitor).await.definition["channels"], json!([hook.id]));
        assert_eq!(
            only(&control, &second, DefinitionKind::Silence).await.definition["match"]["rule"],
            json!(new_rule.id)
        );
        assert!(!ids.values().any(|id| *id == hook.id || *id == new_rule.id), "ids are new");
        let contracts = control.contracts(second.tenant(), None, &Paging::default()).await.expect("a list");
        assert_eq!(contracts.items.len(), 1);
        let (abi, sent) = (contracts.items[0].abi.as_ref().expect("it came along"), of_kind(&lines, "contract"));
        assert_eq!(serde_json::from_str::<Value>(abi.get()).expect("JSON"), sent[0]["abi"]);
        assert!(control.keys(second.tenant(), &Paging::default()).await.expect("a list").items.is_empty());

        // Its secrets set again, the channel is used again.
        // Without `secret` the one that did not come along would be missed.
        let patch = json!({"config": {"url": "https://1.1.1.1/hook", "secret": null}});
        let any = control::Expected::Any;
        let set =
            control.patch_definition(by, DefinitionKind::Channel, &hook.id, &any, &patch, &Bounds::default()).await;
        assert_eq!(set.expect("set").made.disabled, None);

        // What comes out of it again is the same, but for ids, times and the channel's state.
        let again = document(&control, &second).await;
        for (kind, field) in
            [("rule", "threshold"), ("rule", "metric"), ("monitor", "match_conditions"), ("silence", "ends_at")]
        {
            let of = |lines: &[Value]| of_kind(lines, kind)[0]["definition"][field].clone();
            assert_eq!(of(&again), of(&lines), "{kind}.{field}");
            assert!(!of(&again).is_null(), "{kind}.{field}");
        }
        let verified = control.verify_audit(second.tenant()).await.expect("verified");
        assert!(matches!(verified, Verified::Fits { .. }), "{verified:?}");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_with_mistakes_makes_nothing_and_each_is_told_with_its_line() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        everything(&control, &home).await;
        let lines = document(&control, &home).await;
        let broken = |at: &str, change: &dyn Fn(&mut Value)| {
            let mut lines = lines.clone();
            change(lines.iter_mut().find(|line| line["kind"] == at).expect("it is there"));
            text(&lines)
        };
        let mut doubled = lines.clone();
        let mut again = lines[3].clone();
        again["id"] = "01J0000000000000000000000A".into();
        doubled.insert(4, again);
        for (what, document, wanted) in [
            ("nothing", String::new(), "line 1"),
            ("no JSON", "{".to_owned(), "line 1"),
            ("another file", text(&lines[1..]), "line 1"),
            ("of later", broken("headwater.organisation", &|line| line["version"] = 2.into()), "line 1"),
            ("a contract", broken("contract", &|line| line["address"] = "0x1".into()), "line 2: address"),
            ("a rule", broken("rule", &|line| line["definition"]["threshold"] = "much".into()), "line 4: threshold"),
            ("no text", broken("contract", &|line| line["name"] = 7.into()), "line 2: name"),
            ("the same id", broken("rule", &|line| line["id"] = lines[2]["id"].clone()), "line 4"),
            (
                "a channel that is not there",
                broken("rule", &|line| line["definition"]["channels"] = json!(["ops"])),
                "line 4: channels",
            ),
            ("a name twice", text(&doubled), "line 5: name"),
            (
                "cut off",
                text(&lines[..lines.iter().position(|line| line["kind"] == "history").expect("there")]),
                "line 7",
            ),
            ("a long line", format!("{}\n{}", lines[0], " ".repeat(limits::IMPORT_LINE_BYTES + 1)), "line 2"),
            ("an id", broken("rule", &|line| line["id"] = "1".into()), "line 4"),
            ("a kind", broken("rule", &|line| line["kind"] = "wish".into()), "line 4"),
            (
                "a target",
                broken("channel", &|line| line["definition"]["config"] = json!({"url": "http://127.0.0.1/"})),
                "line 3: ",
            ),
        ] {
            let e = match brought(&document).await {
                Ok(brought) => {
                    control.import(Caller::here(&second), brought, &Bounds::default()).await.expect_err(what)
                }
                Err(e) => e,
            };
            let Error::Invalid(mistakes) = &e else { panic!("{what}: {e}") };
            assert!(mistakes[0].path.starts_with(wanted), "{what}: {mistakes:?}");
        }
        for table in ["tenant_contracts", "tenant_definitions", "audit_logs"] {
            assert_eq!(rows(&store, table, second.tenant().id()).await, 0, "{table}");
        }
        control.close().await;
        store
    })
    .await;
}

pub async fn rows(store: &Store, table: &str, tenant: &Id) -> usize {
    store.raw.texts(&format!("SELECT tenant_id FROM {table} WHERE tenant_id = '{tenant}'")).await.len()
}

/// Every table with rows of tenants, whoever made it.
pub async fn tables(store: &Store) -> Vec<String> {
    let sql = match store.is_sqlite() {
        true => {
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'tenant_id'"
        }
        false => {
            "SELECT table_name::text FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
        }
    };
    let mut all = store.raw.texts(sql).await;
    all.retain(|table| table != "tenant_tombstones");
    assert!(all.len() > 12, "{all:?}");
    all
}

/// Empties it once the stages know.
pub async fn emptied(control: &Control, leaving: &Leaving) {
    let done = until("the stages know", async || control.empty(leaving).await.expect("emptied").untold == 0).await;
    eprintln!("the stages knew after {done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_organisation_is_gone_everywhere_and_the_head_of_its_audit_is_kept() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        let ours = everything(&control, &home).await;
        let theirs = everything(&control, &second).await;
        let secret = key(&control, &second, new_key("k", &["*:*"])).await;
        let at = |who: &Authenticated, kind: &str, id: &Id| format!("{}/{kind}/{id}", who.tenant().id());
        until_named(&topics, &at(&second, "monitor", &theirs["monitor"]), Some("moves")).await;

        // Not by a key, not by another, and never `default`.
        let with_key = control.authenticate(secret.text.expose()).await.expect("let in");
        let e = control.delete_organisation(Caller::here(&with_key), second.tenant().id()).await.expect_err("a key");
        assert!(matches!(e, Error::OwnersOnly), "{e}");
        let e = control.delete_organisation(Caller::here(&with_key), home.tenant().id()).await.expect_err("not his");
        assert!(matches!(e, Error::NotFound), "{e}");
        let e = control.delete_organisation(Caller::here(&home), home.tenant().id()).await.expect_err("it stays");
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
        assert!(control.leaving().await.expect("a list").is_empty());

        let leaving =
            control.delete_organisation(Caller::here(&second), second.tenant().id()).await.expect("asked for");
        assert_eq!(control.leaving().await.expect("a list"), std::slice::from_ref(&leaving));
        assert!(!leaving.is_shut(leaving.asked_at()));
        // Told by the log alone, before any row is removed.
        for (kind, name) in [
            ("contract", "contract"),
            ("channel", "hook"),
            ("rule", "rule"),
            ("monitor", "monitor"),
            ("silence", "silence"),
        ] {
            until_named(&topics, &at(&second, kind, &theirs[name]), None).await;
        }
        assert_eq!(rows(&store, "tenant_definitions", second.tenant().id()).await, 4);
        emptied(&control, &leaving).await;
        emptied(&control, &leaving).await;
        let head = format!("SELECT hash FROM audit_heads WHERE tenant_id = '{}'", second.tenant().id());
        let before = store.raw.texts(&head).await;
        assert!(store.raw.texts("SELECT tenant_id FROM tenant_tombstones").await.is_empty());
        let proof = json!({"store": {"left": 0}});
        let tombstone = control.bury(&leaving, &proof).await.expect("buried");
        let again = control.bury(&leaving, &proof).await.expect("once more");
        assert_eq!((&tombstone.audit_hash, tombstone.audit_entries), (&again.audit_hash, again.audit_entries));
        assert!(
            tombstone.audit_hash.len() == 64 && before[0] != tombstone.audit_hash,
            "the last entry says that it is gone"
        );
        assert_eq!(tombstone.proof["removed"], proof);
        assert_eq!(control.tombstones(TimeMs(0)).await.expect("a list").len(), 1);
        for table in tables(&store).await {
            assert_eq!(rows(&store, &table, second.tenant().id()).await, 0, "{table}");
        }
        assert!(control.leaving().await.expect("a list").is_empty());

        // The other, which looks like it, has all of his; the address is watched for him.
        assert_eq!(rows(&store, "tenant_definitions", home.tenant().id()).await, 4);
        assert_eq!(topics.now().await.name(&at(&home, "monitor", &ours["monitor"])).as_deref(), Some("moves"));
        assert_eq!(topics.now().await.name(&format!("watched/a/{}", address(7))).as_deref(), Some(""));
        let fits = control.verify_audit(home.tenant()).await.expect("verified");
        assert!(matches!(fits, Verified::Fits { .. }), "{fits:?}");

        // Whoever publishes next finds what the log has of it, and says nothing anew.
        running.stop().await;
        let written = topics.written().await;
        let running = Running::start(topics.publisher(&control, "two"));
        running.until_publishes().await;
        create(&control, &home, "a", 9).await;
        until_named(&topics, &format!("watched/a/{}", address(9)), Some("")).await;
        until("all is told", async || crate::topics::unpublished(&store).await.is_empty()).await;
        assert_eq!(topics.written().await, written + 2, "the new contract and its address");
        assert!(
            store.raw.texts("SELECT id FROM outbox WHERE tenant_id <> '00000000000000000000000000'").await.is_empty()
        );
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

/// What is kept of a deleted organisation cannot be taken away by who works, and an audit without a tombstone cannot be deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_audit_goes_without_a_tombstone_and_no_tombstone_goes() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        create(&control, &second, "a", 1).await;
        let leaving =
            control.delete_organisation(Caller::here(&second), second.tenant().id()).await.expect("asked for");
        create(&control, &home, "a", 1).await;
        let refused: Vec<String> = match &store.settings.place {
            runtime::config::ControlPlace::Sqlite(_) => vec![
                "DELETE FROM audit_logs".to_owned(),
                format!("DELETE FROM audit_logs WHERE tenant_id = '{}'", second.tenant().id()),
            ],
            runtime::config::ControlPlace::Postgres { .. } => vec![
                "DELETE FROM audit_logs".to_owned(),
                format!("SET LOCAL headwater.tenant = '{0}'; SELECT bury_tenant('{0}', 10)", second.tenant().id()),
            ],
        };
        for sql in &refused {
            let e = as_worker(&store, sql).await.expect_err(sql);
            assert!(e.contains("permission denied") || e.contains("never deleted"), "{sql}: {e}");
        }
        control.bury(&leaving, &json!({})).await.expect("buried");
        for sql in ["DELETE FROM tenant_tombstones", "UPDATE tenant_tombstones SET audit_hash = 'x'"] {
            let e = as_worker(&store, sql).await.expect_err(sql);
            assert!(e.contains("permission denied") || e.contains("never"), "{sql}: {e}");
        }
        let ours = format!("SET LOCAL headwater.tenant = '{0}'; SELECT bury_tenant('{0}', 10)", home.tenant().id());
        if !store.is_sqlite() {
            let e = as_worker(&store, &ours).await.expect_err("it stays");
            assert!(e.contains("permission denied"), "{e}");
        }
        control.close().await;
        store
    })
    .await;
}

/// A statement of the role that works, past every type.
async fn as_worker(store: &Store, sql: &str) -> Result<(), String> {
    let text = format!("BEGIN; {sql}; COMMIT");
    match &store.settings.place {
        runtime::config::ControlPlace::Sqlite(file) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let pool = sqlx::SqlitePool::connect_with(options).await.expect("the file");
            let done = sqlx::raw_sql(&text).execute(&pool).await;
            pool.close().await;
            done.map(drop).map_err(|e| e.to_string())
        }
        runtime::config::ControlPlace::Postgres { url, .. } => {
            let pool = sqlx::PgPool::connect(url.expose()).await.expect("the role");
            let done = sqlx::raw_sql(&text).execute(&pool).await;
            pool.close().await;
            done.map(drop).map_err(|e| e.to_string())
        }
    }
}

/// Where a network is taken from an organisation its rules and monitors stand still there, for the stages by the log alone; they are its own
/// still, say so, and go on when it is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_a_network_that_was_taken_away_stands_still_and_is_told_so() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        let ids = everything(&control, &second).await;
        let (by, bounds, any) = (Caller::here(&second), Bounds::default(), control::Expected::Any);
        let mut of_two = rule("both", "a");
        of_two.as_object_mut().expect("an object").remove("network");
        of_two["networks"] = json!(["a", "b"]);
        let both = control.create_definition(by, DefinitionKind::Rule, &of_two, None, &bounds).await;
        let both = both.expect("made").made.id;
        let secret = key(&control, &second, new_key("k", &["*:*"])).await;
        let (id, only_b) = (second.tenant().id(), control::Networks::Only(vec!["b".parse().expect("a slug")]));
        let at = |kind: &str, thing: &Id| format!("{id}/{kind}/{thing}");
        let told = async |kind: &str, thing: &Id| {
            let told = topics.definition(&at(kind, thing)).await?;
            let what: Value = serde_json::from_str(&told.definition).expect("JSON");
            let networks = what.get("network").map_or_else(|| what["networks"].clone(), |one| json!([one]));
            Some((networks, what["paused"] == true, told.version))
        };
        let until_told = async |kind: &str, thing: &Id, networks: Value, paused: bool| {
            let expected = Some((networks, paused, 1));
            let took = until(kind, async || told(kind, thing).await == expected).await;
            assert!(took < std::time::Duration::from_secs(5), "{took:?}");
        };
        until_told("rule", &both, json!(["a", "b"]), false).await;
        control.entitle(Caller::here(&home), id, &only_b).await.expect("entitled");
        until_told("rule", &ids["rule"], json!(["a"]), true).await;
        until_told("monitor", &ids["monitor"], json!(["a"]), true).await;
        until_told("rule", &both, json!(["b"]), false).await;
        until_named(&topics, &at("channel", &ids["hook"]), Some("hook")).await;

        // Its people find it, and may pause it, change it and remove it; they make nothing new there.
        let who = async || control.authenticate(secret.text.expose()).await.expect("let in");
        until("it holds", async || *who().await.tenant().reach() == only_b).await;
        let who = who().await;
        let found = control.definition(who.tenant(), DefinitionKind::Rule, &both).await.expect("his");
        assert_eq!((found.stopped, found.definition["networks"].clone()), (vec!["a".to_owned()], json!(["a", "b"])));
        let by_key = Caller::here(&who);
        let patch = json!({"name": "moved on"});
        let made =
            control.patch_definition(by_key, DefinitionKind::Monitor, &ids["monitor"], &any, &patch, &bounds).await;
        assert_eq!(made.expect("changed").made.stopped, ["a"]);
        let e = control.create_definition(by_key, DefinitionKind::Rule, &rule("new", "a"), None, &bounds).await;
        assert!(matches!(e, Err(Error::MoreThanMaker(_))), "{e:?}");
        let patch = json!({"per_hour": 9});
        control
            .patch_definition(by_key, DefinitionKind::Channel, &ids["hook"], &any, &patch, &bounds)
            .await
            .expect("its own");

        // Whoever takes over says the same.
        running.stop().await;
        let running = Running::start(topics.publisher(&control, "two"));
        running.until_publishes().await;
        until("all is told", async || crate::topics::unpublished(&store).await.is_empty()).await;
        until_told("rule", &ids["rule"], json!(["a"]), true).await;

        control.entitle(Caller::here(&home), id, &control::Networks::All).await.expect("entitled");
        until_told("rule", &ids["rule"], json!(["a"]), false).await;
        until_told("rule", &both, json!(["a", "b"]), false).await;
        topics.now().await.assert_no_older_row();
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}

/// The stages hear of it by the log alone; nothing of it is lost, and it comes back as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_suspended_is_gone_for_the_stages_and_comes_back_whole() {
    both(async |store| {
        let (_operator, control, home, second) = opened(&store).await;
        let topics = Topics::new().await;
        let running = Running::start(topics.publisher(&control, "one"));
        let ids = everything(&control, &second).await;
        let secret = key(&control, &second, new_key("k", &["*:*"])).await;
        control.authenticate(secret.text.expose()).await.expect("let in");
        let things = [
            ("contract", "contract"),
            ("channel", "hook"),
            ("rule", "rule"),
            ("monitor", "monitor"),
            ("silence", "silence"),
        ];
        let names = [
            ("contract", "contract 7"),
            ("channel", "hook"),
            ("rule", "fails"),
            ("monitor", "moves"),
            ("silence", "works"),
        ];
        let at = |kind: &str, id: &Id| format!("{}/{kind}/{id}", second.tenant().id());
        let until_all = async |there: bool| {
            for ((kind, id), (_, name)) in things.iter().zip(names) {
                until_named(&topics, &at(kind, &ids[id]), there.then_some(name)).await;
            }
        };
        until_all(true).await;
        let id = second.tenant().id();
        control.suspend_organisation(Caller::here(&home), id, Some("bills")).await.expect("suspended");
        until_all(false).await;
        let shut = until("its door is shut", async || control.authenticate(secret.text.expose()).await.is_err()).await;
        assert!(shut < std::time::Duration::from_secs(5), "{shut:?}");
        assert_eq!(rows(&store, "tenant_definitions", id).await, 4, "its rows stay");
        let watched = format!("watched/a/{}", address(7));
        assert_eq!(topics.now().await.name(&watched).as_deref(), Some(""), "figures go on");

        // Whoever takes over meanwhile says nothing of it, and what is changed meanwhile is not told either.
        running.stop().await;
        let running = Running::start(topics.publisher(&control, "two"));
        running.until_publishes().await;
        let (by, bounds) = (Caller::here(&second), Bounds::default());
        let made = control.create_definition(by, DefinitionKind::Rule, &rule("later", "a"), None, &bounds).await;
        let later = made.expect("the operator may").made.id;
        until("all is told", async || crate::topics::unpublished(&store).await.is_empty()).await;
        assert_eq!(topics.now().await.name(&at("rule", &later)), None);
        for (kind, id) in things {
            assert_eq!(topics.now().await.name(&at(kind, &ids[id])), None, "{kind}");
        }

        control.suspend_organisation(Caller::here(&home), id, None).await.expect("resumed");
        until_all(true).await;
        until_named(&topics, &at("rule", &later), Some("later")).await;
        until("its door is open", async || control.authenticate(secret.text.expose()).await.is_ok()).await;
        topics.now().await.assert_no_older_row();
        // Who is being deleted is not resumed.
        control.delete_organisation(Caller::here(&second), id).await.expect("asked for");
        let e = control.suspend_organisation(Caller::here(&home), id, None).await.expect_err("it goes");
        assert!(matches!(e, Error::NotFound), "{e}");
        running.stop().await;
        control.close().await;
        store
    })
    .await;
}
