//! Rules, monitors, channels and silences.

use control::{Actor, Bounds, Caller, Defined, Error, Expected, MadeDefinition, Networks, NewKey, Paging};
use schemas::records::DefinitionKind;
use serde_json::{Value, json};

use crate::common::{both, contract, key, new_key};

const KINDS: [DefinitionKind; 4] = DefinitionKind::ALL;

pub fn rule(name: &str, network: &str) -> Value {
    json!({"name": name, "network": network, "metric": "failure_rate", "operator": ">", "threshold": 0.05})
}

fn monitor(name: &str, network: &str) -> Value {
    let address = json!({"address": format!("0x{:040x}", 7)});
    json!({"name": name, "networks": [network], "addresses": [address], "match_conditions": {"transactions": [{"status": "Failure"}]}})
}

pub fn channel(name: &str) -> Value {
    json!({"name": name, "type": "webhook", "config": {"url": "https://1.1.1.1/hook"}})
}

fn silence(name: &str) -> Value {
    json!({"name": name, "match": {"severity": "info"}, "ends_at": "2100-01-01T00:00:00Z", "reason": "works"})
}

/// One of a kind, as it is sent.
fn sent(kind: DefinitionKind, name: &str) -> Value {
    match kind {
        DefinitionKind::Rule => rule(name, "a"),
        DefinitionKind::Monitor => monitor(name, "a"),
        DefinitionKind::Channel => channel(name),
        DefinitionKind::Silence => silence(name),
    }
}

pub fn paths(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(mistakes) => {
            assert!(mistakes.iter().all(|m| !m.problem.is_empty() && !m.cure.is_empty()), "{mistakes:?}");
            mistakes.into_iter().map(|m| m.path).collect()
        }
        e => panic!("{e}"),
    }
}

fn same(a: &Defined, b: &Defined) -> bool {
    a == b
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_made_found_changed_and_removed() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        let (by, bounds) = (Caller::here(&home), Bounds::default());
        for kind in KINDS {
            let word = kind.as_str();
            let made: MadeDefinition =
                control.create_definition(by, kind, &sent(kind, "one"), None, &bounds).await.expect(word);
            let thing = made.made;
            assert_eq!((thing.name.as_str(), thing.version, thing.kind), ("one", 1, kind));
            assert_eq!((thing.created_by_kind.as_str(), thing.disabled.as_ref()), ("operator", None));
            assert_eq!(thing.definition["name"], "one", "{word}");
            assert!(same(&control.definition(home.tenant(), kind, &thing.id).await.expect(word), &thing));
            // Another kind's, and another tenant's, are not there.
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                let e = control.definition(home.tenant(), other, &thing.id).await.unwrap_err();
                assert!(matches!(e, Error::NotFound), "{word}: {e}");
            }
            let e = control.definition(second.tenant(), kind, &thing.id).await.unwrap_err();
            assert!(matches!(e, Error::NotFound), "{word}: {e}");
            let theirs = Caller::here(&second);
            let e = control.delete_definition(theirs, kind, &thing.id, &Expected::Any).await.unwrap_err();
            assert!(matches!(e, Error::NotFound), "{word}: {e}");
            control
                .create_definition(theirs, kind, &sent(kind, "one"), None, &bounds)
                .await
                .expect("a name of their own");

            // A name is once.
            let e = control.create_definition(by, kind, &sent(kind, "one"), None, &bounds).await.unwrap_err();
            assert!(matches!(&e, Error::Taken { id } if *id == thing.id), "{word}: {e}");
            let two = control.create_definition(by, kind, &sent(kind, "two"), None, &bounds).await.expect(word).made;
            let rename = json!({"name": "one"});
            let e = control.patch_definition(by, kind, &two.id, &Expected::Any, &rename, &bounds).await.unwrap_err();
            assert!(matches!(&e, Error::Taken { id } if *id == thing.id), "{word}: {e}");

            // A change names its version.
            let patch = json!({"name": "three"});
            let stale = control.patch_definition(by, kind, &two.id, &Expected::version(7), &patch, &bounds).await;
            assert!(matches!(stale.unwrap_err(), Error::Stale { version: 1 }), "{word}");
            let changed = control.patch_definition(by, kind, &two.id, &Expected::version(1), &patch, &bounds).await;
            let changed = changed.expect(word).made;
            assert_eq!((changed.name.as_str(), changed.version, changed.id), ("three", 2, two.id));
            let mut expected = two.definition.clone();
            expected["name"] = "three".into();
            assert_eq!(changed.definition, expected, "{word}: what is left out stays");
            let e = control.delete_definition(by, kind, &two.id, &Expected::version(1)).await.unwrap_err();
            assert!(matches!(e, Error::Stale { version: 2 }), "{word}: {e}");

            let all = control.definitions(home.tenant(), kind, &Paging::default()).await.expect(word);
            assert_eq!(all.items.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["one", "three"]);
            let first =
                control.definitions(home.tenant(), kind, &Paging { after: None, limit: Some(1) }).await.expect(word);
            assert_eq!(first.items.len(), 1);
            let rest = Paging { after: first.next, limit: Some(1) };
            let rest = control.definitions(home.tenant(), kind, &rest).await.expect(word);
            assert_eq!((rest.items[0].name.as_str(), rest.next), ("three", None));

            control.delete_definition(by, kind, &two.id, &Expected::version(2)).await.expect(word);
            let e = control.definition(home.tenant(), kind, &two.id).await.unwrap_err();
            assert!(matches!(e, Error::NotFound), "{word}: {e}");
            // What the stages are to be told: each thing as often as it changed.
            let told = format!("SELECT CAST(revision AS TEXT) FROM outbox WHERE kind = '{word}' AND id = '{}'", two.id);
            assert_eq!(store.raw.texts(&told).await, ["3"], "{word}");
            let audit = format!("SELECT action FROM audit_logs WHERE resource_id = '{}' ORDER BY entry", two.id);
            assert_eq!(
                store.raw.texts(&audit).await,
                [format!("{word}.create"), format!("{word}.change"), format!("{word}.delete")]
            );
        }
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_with_a_mistake_changes_nothing_and_every_mistake_has_its_path() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds) = (Caller::here(&home), Bounds::default());
        for (kind, body, path) in [
            (DefinitionKind::Rule, json!([]), "body"),
            (DefinitionKind::Rule, json!({"name": "x", "id": "y"}), "id"),
            (DefinitionKind::Silence, json!({"name": "x", "created_by": "me"}), "created_by"),
            (DefinitionKind::Channel, json!({"name": "x", "state": "asleep"}), "state"),
            (DefinitionKind::Channel, json!({"name": "x", "disabled_reason": "none"}), "disabled_reason"),
        ] {
            let e = control.create_definition(by, kind, &body, None, &bounds).await.unwrap_err();
            assert_eq!(paths(e), [path], "{body}");
        }
        for kind in KINDS {
            let mut body = sent(kind, "one");
            body["nonsense"] = 1.into();
            let e = control.create_definition(by, kind, &body, None, &bounds).await.unwrap_err();
            assert_eq!(paths(e), ["nonsense"], "{kind:?}");
            body["nonsense"].take();
        }
        // What is named has to be there: by name or by id, and it is kept by id.
        let ops = control.create_definition(by, DefinitionKind::Channel, &channel("ops"), None, &bounds).await;
        let ops = ops.expect("made").made.id.to_string();
        let mut body = rule("r", "a");
        body["channels"] = json!(["ops", "nobody", ops]);
        body["escalate"] = json!({"after": "5m", "channels": ["ghosts"]});
        let e = control.create_definition(by, DefinitionKind::Rule, &body, None, &bounds).await.unwrap_err();
        assert!(e.to_string().contains("`ops`"), "it says which there are: {e}");
        assert_eq!(paths(e), ["channels.1", "escalate.channels.0"]);
        body["channels"] = json!(["ops", ops]);
        body["escalate"] = Value::Null;
        let made = control.create_definition(by, DefinitionKind::Rule, &body, None, &bounds).await.expect("made").made;
        assert_eq!(made.definition["channels"], json!([ops]));
        // And stays: whoever removes it is told what names it.
        let id = ops.parse().expect("an id");
        let e = control.delete_definition(by, DefinitionKind::Channel, &id, &Expected::Any).await.unwrap_err();
        assert!(matches!(&e, Error::InUse { by, .. } if *by == ["rule r"]), "{e}");
        let patch = json!({"channels": []});
        control
            .patch_definition(by, DefinitionKind::Rule, &made.id, &Expected::Any, &patch, &bounds)
            .await
            .expect("changed");
        control.delete_definition(by, DefinitionKind::Channel, &id, &Expected::Any).await.expect("removed");
        // A silence names by name, too.
        let mut body = silence("s");
        body["match"] = json!({"rule": "r"});
        let quiet = control.create_definition(by, DefinitionKind::Silence, &body, None, &bounds).await.expect("made");
        assert_eq!(quiet.made.definition["match"]["rule"], json!(made.id.to_string()));
        assert!(quiet.made.definition["starts_at"].is_string(), "{}", quiet.made.definition);
        let again = json!({"starts_at": null, "match": {"rule": null, "severity": "info"}});
        let again = control
            .patch_definition(by, DefinitionKind::Silence, &quiet.made.id, &Expected::Any, &again, &bounds)
            .await;
        assert!(again.expect("changed").made.definition["starts_at"].is_string());
        body["match"] = json!({"rule": "none"});
        body["name"] = "t".into();
        let e = control.create_definition(by, DefinitionKind::Silence, &body, None, &bounds).await.unwrap_err();
        assert_eq!(paths(e), ["match.rule"]);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reaches_some_networks_finds_nothing_of_the_others() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds) = (Caller::here(&home), Bounds::default());
        let only = NewKey { networks: Networks::Only(vec!["a".parse().expect("a slug")]), ..new_key("a", &["*:*"]) };
        let limited = key(control, &home, only).await;
        let limited = control.authenticate(limited.text.expose()).await.expect("let in");
        let theirs = Caller::here(&limited);
        let kind = DefinitionKind::Rule;
        let mut both_networks = rule("both", "a");
        both_networks.as_object_mut().expect("an object").remove("network");
        both_networks["networks"] = json!(["a", "b"]);
        let mut hidden = Vec::new();
        for body in [rule("of b", "b"), both_networks] {
            let e = control.create_definition(theirs, kind, &body, None, &bounds).await.unwrap_err();
            assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
            hidden.push(control.create_definition(by, kind, &body, None, &bounds).await.expect("made").made);
        }
        let own = control.create_definition(theirs, kind, &rule("of a", "a"), None, &bounds).await.expect("made").made;
        assert!(matches!(limited.actor(), Actor::Key { .. }));
        assert_eq!(own.created_by_kind, "key");
        for thing in &hidden {
            let e = control.definition(limited.tenant(), kind, &thing.id).await.unwrap_err();
            assert!(matches!(e, Error::NotFound), "{e}");
            let e = control.delete_definition(theirs, kind, &thing.id, &Expected::Any).await.unwrap_err();
            assert!(matches!(e, Error::NotFound), "{e}");
        }
        let paging = Paging { after: None, limit: Some(1) };
        let seen = control.definitions(limited.tenant(), kind, &paging).await.expect("a page");
        assert_eq!(seen.items.iter().map(|d| d.id).collect::<Vec<_>>(), [own.id]);
        let patch = json!({"network": "b"});
        let e = control.patch_definition(theirs, kind, &own.id, &Expected::Any, &patch, &bounds).await.unwrap_err();
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
        // A silence of every network is more than they may.
        let e = control.create_definition(theirs, DefinitionKind::Silence, &silence("s"), None, &bounds).await;
        assert!(matches!(e.unwrap_err(), Error::MoreThanMaker(_)));
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_rule_is_watched_and_stays_while_it_is_wanted() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds, kind) = (Caller::here(&home), Bounds::default(), DefinitionKind::Rule);
        let address = contract("a", 5).address;
        let mut body = rule("r", "a");
        body["contract"] = address.to_uppercase().replace("0X", "0x").into();
        let made = control.create_definition(by, kind, &body, None, &bounds).await.expect("made").made;
        assert_eq!(made.definition["contract"], json!(address));
        let network = "a".parse().expect("a slug");
        let found = control.contracts_at(home.tenant(), &network, &[&address]).await.expect("found");
        assert_eq!(found.len(), 1);
        let watched = format!("SELECT kind FROM config_outbox WHERE network = 'a' AND address = '{address}'");
        assert_eq!(store.raw.texts(&watched).await, ["watched"]);
        let e = control.delete_contract(by, &found[0].id, &Expected::Any).await.unwrap_err();
        assert!(matches!(&e, Error::InUse { by, .. } if *by == ["rule r"]), "{e}");
        // The same address of another network is nobody's.
        let other = control.create_contract(by, &contract("b", 5), None).await.expect("made").made;
        control.delete_contract(by, &other.id, &Expected::Any).await.expect("removed");
        control.delete_definition(by, kind, &made.id, &Expected::Any).await.expect("removed");
        control.delete_contract(by, &found[0].id, &Expected::Any).await.expect("removed");
        control.close().await;
        store
    })
    .await;
}
