//! Channels: their secrets, where they may send to, and when nothing is sent to them.

use std::{fs, os::unix::fs::PermissionsExt};

use control::{Bounds, Caller, Error, Expected, IdempotencyKey, Networks, NewKey, Sealer};
use runtime::{config::Alerts, scripts::Scripts, targets::Targets};
use schemas::{TimeMs, records::DefinitionKind};
use serde_json::{Value, json};

use crate::{
    common::{both, key, new_key},
    definitions::{channel, paths},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed_and_read_by_nobody_again() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds, kind) = (Caller::here(&home), Bounds::default(), DefinitionKind::Channel);
        let once = IdempotencyKey::read("k-1").expect("a key");
        let made = control.create_definition(by, kind, &channel("hook"), Some(&once), &bounds).await.expect("made");
        let secret = made.secrets.as_ref().expect("it was made here")["secret"].as_str().expect("a text").to_owned();
        assert!(secret.starts_with("whsec_"), "{secret}");
        assert_eq!(made.made.definition["config"]["secret"], json!({"set": true}));
        // The same request again gives the same channel, and no secret; another one with its key is refused.
        let again = control.create_definition(by, kind, &channel("hook"), Some(&once), &bounds).await.expect("again");
        assert!(again.again && again.secrets.is_none() && again.made.id == made.made.id);
        let e = control.create_definition(by, kind, &channel("other"), Some(&once), &bounds).await.unwrap_err();
        assert!(matches!(e, Error::Reused), "{e}");

        let slack = json!({"name": "chat", "type": "slack", "config": {"url": "https://1.1.1.1/services/very-secret"}});
        let slack = control.create_definition(by, kind, &slack, None, &bounds).await.expect("made").made;
        // Nowhere in the database, the audit included; a mark of the request, neither.
        for column in ["definition", "sealed", "name"] {
            let found = store.raw.texts(&format!("SELECT {column} FROM tenant_definitions")).await.join(" ");
            assert!(!found.contains(&secret[6..]) && !found.contains("very-secret"), "{column}");
        }
        let audit =
            store.raw.texts("SELECT COALESCE(before, '') || COALESCE(after, '') FROM audit_logs").await.join(" ");
        assert!(audit.contains("{\"set\":true}") && !audit.contains("very-secret") && !audit.contains(&secret[6..]));

        // The stage that sends opens them with the same secret, for their own channel alone.
        let sealer = Sealer::of(&store.settings).expect("a sealer");
        let sealed = |id: &control::Id| format!("SELECT sealed FROM tenant_definitions WHERE id = '{id}'");
        let of_hook = store.raw.texts(&sealed(&made.made.id)).await.remove(0);
        let tenant = home.tenant().id().as_str();
        let opened = sealer.open(tenant, kind, made.made.id.as_str(), &of_hook).expect("opened");
        assert_eq!(opened["secret"], json!(secret));
        assert!(sealer.open(tenant, kind, slack.id.as_str(), &of_hook).is_err());

        // They stay over an edit, also one that sends back what was read.
        let mut read = made.made.definition.clone();
        read["per_hour"] = 5.into();
        let edited = control.patch_definition(by, kind, &made.made.id, &Expected::Any, &read, &bounds).await;
        assert!(edited.expect("changed").secrets.is_none());
        let kept = store.raw.texts(&sealed(&made.made.id)).await.remove(0);
        assert_ne!(kept, of_hook, "sealed anew");
        assert_eq!(sealer.open(tenant, kind, made.made.id.as_str(), &kept).expect("opened")["secret"], json!(secret));
        // Another type takes nothing of the former over.
        let chat = json!({"type": "slack", "config": {"url": "https://1.1.1.1/services/other"}});
        let chat =
            control.patch_definition(by, kind, &made.made.id, &Expected::Any, &chat, &bounds).await.expect("changed");
        assert_eq!(chat.made.definition["config"], json!({"url": {"set": true}}));
        let hook = json!({"type": "webhook", "config": {"url": "https://1.1.1.1/hook"}});
        let hook =
            control.patch_definition(by, kind, &made.made.id, &Expected::Any, &hook, &bounds).await.expect("changed");
        assert_ne!(hook.secrets.expect("a new one")["secret"], json!(secret));
        let other = json!({"config": {"url": {"set": true}}});
        let e = control.patch_definition(by, kind, &made.made.id, &Expected::Any, &other, &bounds).await.unwrap_err();
        assert_eq!(paths(e), ["config.url"]);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_one_server_goes_to_no_other() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds, kind) = (Caller::here(&home), Bounds::default(), DefinitionKind::Channel);
        let hook = json!({"name": "hook", "type": "webhook", "config": {"url": "https://1.1.1.1/in", "headers": {"x-key": "hush"}}});
        let mail = json!({"name": "mail", "type": "email", "config": {"host": "1.1.1.1", "port": 465, "tls": "tls", "username": "u",
            "password": "hush", "sender": "a@example.org", "recipients": ["b@example.org"]}});
        let hook = control.create_definition(by, kind, &hook, None, &bounds).await.expect("made").made;
        let mail = control.create_definition(by, kind, &mail, None, &bounds).await.expect("made").made;
        let elsewhere = json!({"url": "https://8.8.8.8/in"});
        for (id, config, places) in [
            (&hook.id, elsewhere, &["config.headers.x-key", "config.secret"][..]),
            (&hook.id, json!({"url": "https://1.1.1.1:8443/in"}), &["config.headers.x-key", "config.secret"][..]),
            (&mail.id, json!({"host": "8.8.8.8"}), &["config.password"][..]),
            (&mail.id, json!({"port": 587}), &["config.password"][..]),
        ] {
            let patch = json!({"config": config});
            let e = control.patch_definition(by, kind, id, &Expected::Any, &patch, &bounds).await.unwrap_err();
            let mut found = paths(e);
            found.sort();
            assert_eq!(found, places, "{patch}");
        }
        for (id, version) in [(&hook.id, 1), (&mail.id, 1)] {
            assert_eq!(control.definition(home.tenant(), kind, id).await.expect("there").version, version, "unchanged");
        }
        // With secrets of its own the new server is taken, and the former signing secret does not sign for it.
        let patch = json!({"config": {"url": "https://8.8.8.8/in", "secret": null, "headers": {"x-key": "new"}}});
        let moved = control.patch_definition(by, kind, &hook.id, &Expected::Any, &patch, &bounds).await.expect("moved");
        let made = moved.secrets.expect("a new one")["secret"].clone();
        let sealed = store.raw.texts(&format!("SELECT sealed FROM tenant_definitions WHERE id = '{}'", hook.id)).await;
        let sealer = Sealer::of(&store.settings).expect("a sealer");
        let opened = sealer.open(home.tenant().id().as_str(), kind, hook.id.as_str(), &sealed[0]).expect("opened");
        assert_eq!(opened, json!({"secret": made, "headers": {"x-key": "new"}}));
        // The same server stays one.
        let patch = json!({"config": {"url": "https://8.8.8.8/other"}});
        control.patch_definition(by, kind, &hook.id, &Expected::Any, &patch, &bounds).await.expect("changed");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reaches_some_networks_redirects_no_channel() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (bounds, kind) = (Bounds::default(), DefinitionKind::Channel);
        let only = NewKey { networks: Networks::Only(vec!["a".parse().expect("a slug")]), ..new_key("a", &["*:*"]) };
        let limited = key(control, &home, only).await;
        let limited = control.authenticate(limited.text.expose()).await.expect("let in");
        let (by, theirs) = (Caller::here(&home), Caller::here(&limited));
        let there = control.create_definition(by, kind, &channel("there"), None, &bounds).await.expect("made").made;
        // They read it, name it, and make others; what it says is of every network.
        control.definition(limited.tenant(), kind, &there.id).await.expect("read");
        let own = control.create_definition(theirs, kind, &channel("own"), None, &bounds).await.expect("made").made;
        for id in [&there.id, &own.id] {
            let patch = json!({"config": {"url": "https://1.1.1.1/other"}});
            let e = control.patch_definition(theirs, kind, id, &Expected::Any, &patch, &bounds).await.unwrap_err();
            assert!(matches!(&e, Error::MoreThanMaker(words) if words.contains("every network")), "{e}");
            let e = control.delete_definition(theirs, kind, id, &Expected::Any).await.unwrap_err();
            assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
            control.delete_definition(by, kind, id, &Expected::Any).await.expect("removed by who reaches all");
        }
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_programs_and_monitors_of_everything_are_bounded_by_the_operator() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, kind) = (Caller::here(&home), DefinitionKind::Channel);
        let alerts = Alerts::default();
        let targets = Targets::new(&["127.0.0.1:9000".to_owned()], &alerts.ports).expect("targets");
        let programs = tempfile::tempdir().expect("a directory");
        let program = programs.path().join("page");
        fs::write(&program, "#!/bin/sh\n").expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink("/bin/sh", programs.path().join("shell")).expect("linked");
        let bounds = Bounds { max_unindexed: 1, ..Bounds::default() };
        let lax = Bounds { targets, scripts: Scripts::of(true, programs.path()), max_unindexed: 2, ..Bounds::default() };
        let url = |url: &str| json!({"name": "c", "type": "webhook", "config": {"url": url}});
        let run = |path: &str| json!({"name": "c", "type": "script", "config": {"path": path, "arguments": ["-c", "id"]}});
        let script = run("page");
        let mail = json!({"name": "c", "type": "email", "config": {"host": "10.0.0.1", "port": 25, "sender": "a@example.org",
            "recipients": ["b@example.org"], "tls": "starttls"}});
        for (body, path) in [
            (url("http://127.0.0.1:9000/"), "config.url"),
            (url("https://1.1.1.1:22/"), "config.url"),
            (url("http://[::ffff:127.0.0.1]/"), "config.url"),
            (url("http://0177.0.0.1/"), "config.url"),
            (url("http://localhost/"), "config.url"),
            (script.clone(), "config.path"),
            (mail, "config.host"),
        ] {
            let e = control.create_definition(by, kind, &body, None, &bounds).await.unwrap_err();
            assert_eq!(paths(e), [path], "{body}");
        }
        // Where programs may be run it is the operator's alone, also on an edit.
        for path in ["/bin/sh", "shell", "../page", "none"] {
            let e = control.create_definition(by, kind, &run(path), None, &lax).await.unwrap_err();
            assert_eq!(paths(e), ["config.path"], "{path}");
        }
        let made = control.create_definition(by, kind, &script, None, &lax).await.expect("allowed").made;
        let patch = json!({"config": {"path": "/bin/sh"}});
        let e = control.patch_definition(by, kind, &made.id, &Expected::Any, &patch, &lax).await.unwrap_err();
        assert_eq!(paths(e), ["config.path"]);
        control.delete_definition(by, kind, &made.id, &Expected::Any).await.expect("removed");
        for body in [url("http://127.0.0.1:9000/"), script] {
            let made = control.create_definition(by, kind, &body, None, &lax).await.expect("allowed").made;
            // The same on an edit, which asks for a new secret.
            let patch = json!({"config": {"url": "http://127.0.0.1:9001/", "secret": null}});
            if body["type"] == "webhook" {
                let e = control.patch_definition(by, kind, &made.id, &Expected::Any, &patch, &lax).await.unwrap_err();
                assert_eq!(paths(e), ["config.url"]);
            }
            control.delete_definition(by, kind, &made.id, &Expected::Any).await.expect("removed");
        }
        // Everything that failed, at every address.
        let all = |name: &str| json!({"name": name, "networks": ["a"], "match_conditions": {"transactions": [{"status": "Failure"}]}});
        let kind = DefinitionKind::Monitor;
        let first = control.create_definition(by, kind, &all("m1"), None, &bounds).await.expect("one may be").made;
        let e = control.create_definition(by, kind, &all("m2"), None, &bounds).await.unwrap_err();
        assert!(e.to_string().contains("max_unindexed"), "{e}");
        assert_eq!(paths(e), ["match_conditions"]);
        let patch = json!({"severity": "critical"});
        control.patch_definition(by, kind, &first.id, &Expected::Any, &patch, &bounds).await.expect("it is one still");
        // One that is paused is at work nowhere and does not count, before it is to go on.
        let mut paused = all("m2");
        paused["paused"] = true.into();
        let second = control.create_definition(by, kind, &paused, None, &bounds).await.expect("paused").made;
        let go_on = json!({"paused": false});
        let e = control.patch_definition(by, kind, &second.id, &Expected::Any, &go_on, &bounds).await.unwrap_err();
        assert_eq!(paths(e), ["match_conditions"]);
        let pause = json!({"paused": true});
        control.patch_definition(by, kind, &first.id, &Expected::Any, &pause, &bounds).await.expect("changed");
        control.patch_definition(by, kind, &second.id, &Expected::Any, &go_on, &bounds).await.expect("there is room");
        let e = control.patch_definition(by, kind, &first.id, &Expected::Any, &go_on, &bounds).await.unwrap_err();
        assert_eq!(paths(e), ["match_conditions"]);
        control.patch_definition(by, kind, &first.id, &Expected::Any, &go_on, &lax).await.expect("two may be");
        // Another tenant's are not counted: what is promised here is what works there.
        let other = store.second_tenant(&operator).await;
        control.create_definition(Caller::here(&other), kind, &all("m3"), None, &bounds).await.expect("their first");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_whose_receiver_is_gone_is_disabled_until_somebody_changes_it() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (by, bounds, kind) = (Caller::here(&home), Bounds::default(), DefinitionKind::Channel);
        let made = control.create_definition(by, kind, &channel("c"), None, &bounds).await.expect("made").made;
        let (tenant, id) = (home.tenant().id().to_string(), made.id.to_string());
        let before = TimeMs(made.updated_at.0 - 1);
        assert!(!control.disable_channel(&tenant, &id, before, "410").await.expect("done"), "changed since");
        let now = TimeMs(TimeMs::now().0 + 1_000);
        assert!(control.disable_channel(&tenant, &id, now, "the receiver says 410").await.expect("done"));
        assert!(!control.disable_channel(&tenant, &id, now, "again").await.expect("done"));
        let is = control.definition(home.tenant(), kind, &made.id).await.expect("there");
        assert_eq!((is.disabled.as_deref(), is.version), (Some("the receiver says 410"), 2));
        let patch = async |patch: Value| {
            control
                .patch_definition(by, kind, &made.id, &Expected::Any, &patch, &bounds)
                .await
                .expect("changed")
                .made
                .disabled
        };
        assert!(patch(json!({"per_hour": 7})).await.is_some(), "what has nothing to do with it changes nothing");
        assert_eq!(patch(json!({"state": "active"})).await, None);
        assert!(patch(json!({"state": "disabled"})).await.is_some());
        assert_eq!(patch(json!({"config": {"url": "https://1.1.1.1/other"}})).await, None);
        let e = control.disable_channel(&tenant, "01J0000000000000000000000A", now, "x").await.unwrap_err();
        assert!(matches!(e, Error::NotFound), "{e}");
        control.close().await;
        store
    })
    .await;
}
