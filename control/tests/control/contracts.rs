//! Contracts.

use control::{Caller, ContractPatch, Error, Expected, IdempotencyKey, Networks, NewContract, NewKey, Paging};
use serde_json::json;

use crate::common::{both, contract, key, new_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_are_added_found_changed_and_removed() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let by = Caller::here(&home);
        let abi = json!([{"type": "event", "name": "Moved", "anonymous": false, "inputs": []}]);
        let new = NewContract {
            address: "0xABCDEF0000000000000000000000000000000001".to_owned(),
            name: " Router ".to_owned(),
            labels: vec!["dex".to_owned(), "dex".to_owned()],
            abi: Some(abi.clone()),
            ..contract("mantle-mainnet", 0)
        };
        let made = control.create_contract(by, &new, None).await.expect("made").made;
        assert_eq!(made.address, "0xabcdef0000000000000000000000000000000001");
        assert_eq!((made.name.as_str(), &made.labels[..], made.version), ("Router", &["dex".to_owned()][..], 1));
        let found = control.contract(home.tenant(), &made.id).await.expect("there");
        let kept: serde_json::Value = serde_json::from_str(found.abi.as_ref().expect("it has one").get()).unwrap();
        assert_eq!(kept, abi);

        // The same address again, however it is written: whose it is.
        let again = NewContract { address: new.address.to_lowercase(), name: "other".to_owned(), ..new.clone() };
        let e = control.create_contract(by, &again, None).await.unwrap_err();
        assert!(matches!(&e, Error::Taken { id } if *id == made.id), "{e}");
        control
            .create_contract(by, &NewContract { network: "other".to_owned(), ..new.clone() }, None)
            .await
            .expect("another network");

        let patch = |json: serde_json::Value| serde_json::from_value::<ContractPatch>(json).expect("a patch");
        let e = control
            .patch_contract(by, &made.id, &Expected::version(7), &patch(json!({"name": "x"})))
            .await
            .unwrap_err();
        assert!(matches!(e, Error::Stale { version: 1 }), "{e}");
        let named = control
            .patch_contract(by, &made.id, &Expected::version(1), &patch(json!({"name": "x"})))
            .await
            .expect("changed");
        assert_eq!((named.name.as_str(), named.version, named.abi.is_some(), named.labels.len()), ("x", 2, true, 1));
        let bare = control
            .patch_contract(by, &made.id, &Expected::version(2), &patch(json!({"abi": null, "labels": []})))
            .await
            .expect("changed");
        assert_eq!((bare.name.as_str(), bare.version, bare.abi.is_some(), bare.labels.len()), ("x", 3, false, 0));
        assert!(bare.updated_at >= bare.created_at && bare.created_at == made.created_at);

        let e = control.delete_contract(by, &made.id, &Expected::version(1)).await.unwrap_err();
        assert!(matches!(e, Error::Stale { version: 3 }), "{e}");
        control.delete_contract(by, &made.id, &Expected::version(3)).await.expect("removed");
        for gone in [
            control.delete_contract(by, &made.id, &Expected::Any).await.unwrap_err(),
            control.contract(home.tenant(), &made.id).await.unwrap_err(),
            control
                .patch_contract(by, &made.id, &Expected::version(3), &patch(json!({"name": "y"})))
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(gone, Error::NotFound), "{gone}");
        }
        // What the stages are to be told: each thing once, its revision as often as it changed.
        let told = store
            .raw
            .texts(
                "SELECT id || ' ' || CAST(revision AS TEXT) FROM outbox WHERE kind = 'contract' ORDER BY revision DESC",
            )
            .await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], format!("{} 4", made.id));
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_are_found_by_address_and_by_what_they_name() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        let abi = json!([{"type": "function", "name": "swap", "inputs": [], "outputs": [], "stateMutability": "view"}]);
        for n in 1..=40 {
            let abi = (n == 7).then(|| abi.clone());
            let new = NewContract { name: format!("ours {n}"), abi, ..contract("a", n) };
            control.create_contract(Caller::here(&home), &new, None).await.expect("made");
        }
        let theirs = NewContract { name: "theirs".to_owned(), abi: Some(abi.clone()), ..contract("a", 7) };
        control.create_contract(Caller::here(&second), &theirs, None).await.expect("made");
        let of_file = runtime::config::Contract {
            network: "a".parse().expect("a slug"),
            address: contract("a", 41).address,
            name: "the file's".to_owned(),
            labels: Vec::new(),
            abi: None,
        };
        control.put_operator_contracts(&[of_file]).await.expect("put");

        let addresses: Vec<String> = (1..=41).chain([99]).map(|n| contract("a", n).address).collect();
        let asked: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let network = "a".parse().expect("a slug");
        let names = async |who: &control::Authenticated, asked: &[&str]| -> Vec<String> {
            let found = control.contracts_at(who.tenant(), &network, asked).await.expect("found");
            assert!(found.iter().all(|c| c.abi.is_none()));
            let with_abi: Vec<&str> = found.iter().filter(|c| c.has_abi()).map(|c| c.address.as_str()).collect();
            assert!(with_abi.iter().all(|address| *address == addresses[6]), "{with_abi:?}");
            let mut names: Vec<String> = found.into_iter().map(|c| c.name).collect();
            names.sort_unstable();
            names
        };
        let found = names(&home, &asked).await;
        assert_eq!((found.len(), found[0].as_str()), (41, "ours 1"), "{found:?}");
        assert_eq!(found[40], "the file's");
        assert_eq!(names(&second, &asked).await, ["the file's", "theirs"]);
        assert_eq!(names(&home, &[]).await, [""; 0]);
        assert_eq!(names(&home, &asked[..1]).await, ["ours 1"]);
        let other = "b".parse().expect("a slug");
        assert!(control.contracts_at(home.tenant(), &other, &asked).await.expect("none").is_empty());
        // By name: each tenant's own.
        for who in [&home, &second] {
            assert_eq!(control.abis_naming(who.tenant(), "swap", 5).await.expect("one").len(), 1);
            assert_eq!(control.abis_naming(who.tenant(), "wap", 5).await.expect("none").len(), 0);
        }
        let called = async |who: &control::Authenticated, part: &str| -> Vec<String> {
            let found = control.contracts_called(who.tenant(), part, 5).await.expect("found");
            found.into_iter().map(|c| c.name).collect()
        };
        assert_eq!(called(&home, "OURS 4").await, ["ours 4", "ours 40"]);
        assert_eq!(called(&home, "ours").await.len(), 5);
        assert_eq!(called(&home, "theirs").await, [""; 0]);
        for part in ["%", "_", "!", "ours_4", "'"] {
            assert_eq!(called(&home, part).await, [""; 0], "{part}: what is looked for is a text, no pattern");
        }
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_all_at_once_and_nothing_is_written() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let new = NewContract {
            network: "Mantle!".to_owned(),
            address: "0x12".to_owned(),
            name: "x".repeat(101),
            labels: vec!["ok".to_owned(), "a\tb".to_owned()],
            abi: Some(json!([{"type": "function", "name": "f", "inputs": [{"name": "a", "type": "uint7"}]}])),
        };
        let e = control.create_contract(Caller::here(&home), &new, None).await.unwrap_err();
        let Error::Invalid(list) = &e else { panic!("{e}") };
        let paths: Vec<&str> = list.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["network", "address", "name", "labels.1", "abi.0.inputs.0.type"]);
        assert!(
            serde_json::from_value::<NewContract>(
                json!({"network": "a", "address": "0x", "name": "n", "tenant_id": "x"})
            )
            .is_err()
        );
        assert!(serde_json::from_value::<ContractPatch>(json!({"version": 7})).is_err());
        assert_eq!(store.raw.texts("SELECT id FROM tenant_contracts").await.len(), 0);
        assert_eq!(store.raw.texts("SELECT id FROM audit_logs").await.len(), 0);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_key_is_carried_out_once() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let by = Caller::here(&home);
        let token = IdempotencyKey::read("b3a1").expect("a key");
        let new = contract("a", 1);
        // At the same time, as a client that lost patience sends it.
        let all = futures_join(10, || control.create_contract(by, &new, Some(&token))).await;
        let ids: Vec<_> = all.iter().map(|r| r.as_ref().expect("made").made.id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(all.iter().filter(|r| !r.as_ref().expect("made").again).count(), 1);
        let e = control.create_contract(by, &contract("a", 2), Some(&token)).await.unwrap_err();
        assert!(matches!(e, Error::Reused), "{e}");
        // A day later it is another request.
        store.raw.run("UPDATE idempotency_keys SET created_at = created_at - 86500000").await;
        let other = control.create_contract(by, &contract("a", 2), Some(&token)).await.expect("made");
        assert!(!other.again);
        for wrong in ["", "a b", "é", &"x".repeat(129)] {
            assert!(IdempotencyKey::read(wrong).is_err(), "{wrong}");
        }
        control.close().await;
        store
    })
    .await;
}

/// So many at once, on one task.
async fn futures_join<T, F: Future<Output = T>>(n: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut running: Vec<_> = (0..n).map(|_| Box::pin(make())).collect();
    let mut done: Vec<Option<T>> = (0..n).map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_and_another_networks_are_not_there() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        let ours = control.create_contract(Caller::here(&home), &contract("a", 1), None).await.expect("made").made;
        let other = control.create_contract(Caller::here(&home), &contract("b", 1), None).await.expect("made").made;
        // The same address in another tenant is no conflict.
        let theirs = control.create_contract(Caller::here(&second), &contract("a", 1), None).await.expect("made").made;
        let patch = ContractPatch { name: Some("mine".to_owned()), ..ContractPatch::default() };
        let nobodys = "01J00000000000000000000000".parse().expect("an id");
        for id in [&theirs.id, &nobodys] {
            // One answer, word for word, for what is another's and for what is not there.
            let all = [
                control.contract(home.tenant(), id).await.unwrap_err(),
                control.patch_contract(Caller::here(&home), id, &Expected::version(1), &patch).await.unwrap_err(),
                control.delete_contract(Caller::here(&home), id, &Expected::Any).await.unwrap_err(),
                control.key(home.tenant(), id).await.unwrap_err(),
                control.revoke_key(Caller::here(&home), id).await.unwrap_err(),
            ];
            assert!(all.iter().all(|e| matches!(e, Error::NotFound)), "{all:?}");
        }
        let page = control.contracts(home.tenant(), None, &Paging::default()).await.expect("a page");
        assert_eq!(page.items.iter().map(|c| c.id).collect::<Vec<_>>(), [ours.id, other.id]);
        let audit =
            control.audit(second.tenant(), &control::Filter::default(), &Paging::default()).await.expect("a page");
        assert_eq!(audit.items.len(), 1, "each tenant has its own");

        let narrow = NewKey {
            networks: Networks::Only(vec!["a".parse().expect("a slug")]),
            ..new_key("narrow", &["contracts:read", "contracts:write"])
        };
        let narrow = key(control, &home, narrow).await;
        let who = control.authenticate(narrow.text.expose()).await.expect("let in");
        control.contract(who.tenant(), &ours.id).await.expect("its network");
        for e in [
            control.contract(who.tenant(), &other.id).await.unwrap_err(),
            control.patch_contract(Caller::here(&who), &other.id, &Expected::version(1), &patch).await.unwrap_err(),
            control.delete_contract(Caller::here(&who), &other.id, &Expected::Any).await.unwrap_err(),
        ] {
            assert!(matches!(e, Error::NotFound), "{e}");
        }
        let page = control.contracts(who.tenant(), None, &Paging::default()).await.expect("a page");
        assert_eq!(page.items.iter().map(|c| c.id).collect::<Vec<_>>(), [ours.id]);
        let b = "b".parse().expect("a slug");
        assert_eq!(control.contracts(who.tenant(), Some(&b), &Paging::default()).await.expect("a page").items.len(), 0);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_everything_once() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let mut ids = Vec::new();
        for n in 0..23 {
            let network = if n % 3 == 0 { "a" } else { "b" };
            ids.push(
                control.create_contract(Caller::here(&home), &contract(network, n), None).await.expect("made").made.id,
            );
        }
        ids.sort();
        for (network, want) in [(None, 23), (Some("a"), 8), (Some("b"), 15)] {
            let network = network.map(|n| n.parse().expect("a slug"));
            let (mut paging, mut seen) = (Paging { limit: Some(4), ..Paging::default() }, Vec::new());
            loop {
                let page = control.contracts(home.tenant(), network.as_ref(), &paging).await.expect("a page");
                assert!(page.items.len() <= 4);
                seen.extend(page.items.into_iter().map(|c| c.id));
                match page.next {
                    None => break,
                    next => paging.after = next,
                }
            }
            assert_eq!(seen.len(), want);
            assert!(seen.is_sorted() && seen.iter().all(|id| ids.contains(id)));
        }
        assert!(control::Cursor::read("' OR 1=1").is_err());
        control.close().await;
        store
    })
    .await;
}
