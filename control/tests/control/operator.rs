//! The operator's contracts: the file's, shown to everybody, changed by nobody here.

use control::{
    Caller, ContractPatch, Control, Error, Expected, Filter, Networks, NewContract, NewKey, Paging, Put, Source, Tenant,
};
use runtime::config;
use schemas::{abi::Abi, limits::control as limits};
use serde_json::json;

use crate::common::{Store, both, contract, key, new_key};

fn of_file(network: &str, n: u64, name: &str) -> config::Contract {
    let NewContract { address, labels, .. } = contract(network, n);
    config::Contract { network: network.parse().expect("a slug"), address, name: name.to_owned(), labels, abi: None }
}

async fn ids(control: &Control, tenant: &Tenant) -> Vec<(String, Source)> {
    let page = control.contracts(tenant, None, &Paging::default()).await.expect("a page");
    page.items.into_iter().map(|c| (c.name, c.source)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_contracts_are_everybodys_to_see_and_nobodys_to_change() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        let abi =
            Abi::of(&json!([{"type": "event", "name": "Moved", "anonymous": false, "inputs": []}])).expect("good");
        let mut file = vec![of_file("a", 1, "one"), of_file("b", 2, "two")];
        file[0].abi = Some(abi.clone());
        let put = async |file: &[config::Contract]| control.put_operator_contracts(file).await.expect("put");
        assert_eq!(put(&file).await, Put { added: 2, ..Put::default() });
        assert_eq!(put(&file).await, Put::default(), "as every other start with the same file");
        let by = Caller::here(&home);
        control.create_contract(by, &contract("a", 3), None).await.expect("made");
        let page = control.contracts(home.tenant(), None, &Paging::default()).await.expect("a page");
        let one = page.items.iter().find(|c| c.name == "one").expect("it is there").clone();
        assert_eq!(page.items.len(), 3);
        assert_eq!(one.abi.as_ref().map(|abi| abi.get()), Some(abi.text()), "a list has ABIs too");
        assert_eq!(ids(control, second.tenant()).await.len(), 2, "every tenant's");

        // Nobody changes them here; nor has anybody their address a second time.
        let patch = ContractPatch { name: Some("mine".to_owned()), ..ContractPatch::default() };
        for e in [
            control.patch_contract(by, &one.id, &Expected::Any, &patch).await.unwrap_err(),
            control.delete_contract(by, &one.id, &Expected::version(1)).await.unwrap_err(),
        ] {
            assert!(matches!(e, Error::ReadOnly), "{e}");
        }
        let e = control.create_contract(by, &contract("a", 1), None).await.unwrap_err();
        assert!(matches!(e, Error::Taken { id } if id == one.id), "{e}");

        // Who reaches one network only finds those of no other, neither to see nor to change.
        let networks = Networks::Only(vec!["b".parse().expect("a slug")]);
        let narrow = key(control, &home, NewKey { networks, ..new_key("narrow", &["*:*"]) }).await;
        let who = control.authenticate(narrow.text.expose()).await.expect("let in");
        assert_eq!(ids(control, who.tenant()).await, [("two".to_owned(), Source::Operator)]);
        for e in [
            control.contract(who.tenant(), &one.id).await.unwrap_err(),
            control.patch_contract(Caller::here(&who), &one.id, &Expected::Any, &patch).await.unwrap_err(),
            control.delete_contract(Caller::here(&who), &one.id, &Expected::Any).await.unwrap_err(),
        ] {
            assert!(matches!(e, Error::NotFound), "{e}");
        }
        // Nor what the audit says of them.
        let seen = control.audit(who.tenant(), &Filter::default(), &Paging::default()).await.expect("a page");
        let networks: Vec<_> = seen.items.iter().filter_map(|e| e.after.as_ref()?.get("network")?.as_str()).collect();
        assert_eq!(networks, ["b"], "{seen:?}");

        // Another file: one that stays keeps its id, and all of it is in the audit.
        file[0].name = "uno".to_owned();
        file[0].abi = None;
        file[1] = of_file("a", 9, "nine");
        assert_eq!(put(&file).await, Put { added: 1, changed: 1, removed: 1 });
        let changed = control.contract(home.tenant(), &one.id).await.expect("it stays");
        assert!(changed.name == "uno" && changed.version == 2 && changed.abi.is_none());
        let filter = Filter { actor: Some("system".to_owned()), ..Filter::default() };
        let audit = control.audit(home.tenant(), &filter, &Paging::default()).await.expect("a page").items;
        let mut actions: Vec<&str> = audit.iter().map(|e| e.action.as_str()).collect();
        actions.sort_unstable();
        assert_eq!(
            actions,
            ["contract.change", "contract.create", "contract.create", "contract.create", "contract.delete"]
        );
        assert_eq!(put(&[]).await, Put { removed: 2, ..Put::default() });
        assert_eq!(ids(control, second.tenant()).await, []);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_agree() {
    both(async |store| {
        let (a, b) = (store.open().await, store.open().await);
        let file: Vec<config::Contract> = (0..20).map(|n| of_file("a", n, "c")).collect();
        let (x, y) = tokio::join!(a.put_operator_contracts(&file), b.put_operator_contracts(&file));
        assert_eq!(x.expect("put").added + y.expect("put").added, 20);
        assert_eq!(store.raw.texts("SELECT id FROM operator_contracts").await.len(), 20);
        for control in [a, b] {
            control.close().await;
        }
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_short_where_abis_are_long_and_lose_nothing() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let long = json!([{"type": "error", "name": "E", "inputs": [], "x": "y".repeat(limits::ABI_BYTES - 100)}]);
        let most = limits::PAGE_ABI_BYTES / limits::ABI_BYTES;
        let mut file = Vec::new();
        for n in 0..(most as u64 + 3) {
            if n % 3 == 0 {
                file.push(config::Contract { abi: Some(Abi::of(&long).expect("good")), ..of_file("a", n, "c") });
            } else {
                let new = NewContract { abi: Some(long.clone()), ..contract("a", n) };
                control.create_contract(Caller::here(&home), &new, None).await.expect("made");
            }
        }
        control.put_operator_contracts(&file).await.expect("put");
        let first = control.contracts(home.tenant(), None, &Paging::default()).await.expect("a page");
        assert_eq!(first.items.len(), most);
        let rest = Paging { after: first.next, limit: None };
        let second = control.contracts(home.tenant(), None, &rest).await.expect("a page");
        assert!(second.items.len() == 3 && second.next.is_none());
        assert!(first.items.iter().chain(&second.items).all(|c| c.abi.is_some()));
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_the_operator_adds_is_as_the_first_one() {
    let store = Store::sqlite().await;
    let operator = store.operator().await;
    let id = "01J00000000000000000000003".parse().expect("an id");
    operator.add_tenant(&id, "third", "Third").await.expect("added");
    assert!(operator.add_tenant(&id, "fourth", "Fourth").await.is_err(), "there is one");
    let tenants = operator.tenants().await.expect("a list");
    let third = tenants.iter().find(|tenant| tenant.slug == "third").expect("it is there");
    assert_eq!((tenants.len(), third.id, third.name.as_str()), (2, id, "Third"));
    let who = operator.within(third);
    operator.control().create_contract(Caller::here(&who), &contract("a", 3), None).await.expect("made");
    assert_eq!(ids(operator.control(), who.tenant()).await.len(), 1);
    operator.control().close().await;
    store.end().await;
}
