//! The operator's contracts: those of the configuration file.

use std::time::Duration;

use runtime::config::Contract;
use serde_json::{Value, json};

use super::{CONTRACTS, Open, contract, kind};
use crate::world::World;

fn of_file(n: u64, name: &str) -> Contract {
    let address = format!("0x{n:040x}");
    Contract { network: "a".parse().expect("a slug"), address, name: name.to_owned(), labels: Vec::new(), abi: None }
}

async fn until(open: &Open, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let wait = async {
        loop {
            let items = open.api.get(CONTRACTS).await.json()["items"].as_array().expect("a list").clone();
            if holds(&items) {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("{what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_contracts_are_shown_beside_the_others_and_changed_in_the_file_alone() {
    let world = World::without_sink(&["a"]).await;
    let open = Open::over(world, vec![of_file(1, "router"), of_file(2, "vault")]).await;
    let items = until(&open, "both are there", |items| items.len() == 2).await;
    assert!(items.iter().all(|c| c["source"] == "operator"), "{items:?}");
    let router = items.iter().find(|c| c["name"] == "router").expect("it is there").clone();
    let path = format!("{CONTRACTS}/{}", router["id"].as_str().expect("an id"));
    assert_eq!(open.api.get(&path).await.json()["name"], "router");
    open.contract("a", 3).await;

    for (method, body) in [("PATCH", &b"{\"name\":\"mine\"}"[..]), ("DELETE", b"")] {
        let answer = open.raw(method, &path, &[("If-Match", "*")], body).await;
        assert_eq!(kind(&answer), (403, "read-only".to_owned()), "{method}");
        assert!(answer.text().contains("headwater reload"), "{}", answer.text());
    }
    let taken = open.send("POST", CONTRACTS, &[], &contract("a", 1)).await;
    assert_eq!((kind(&taken), &taken.json()["id"]), ((409, "taken".to_owned()), &router["id"]));

    // A reload: what stays keeps its id.
    open.file.send_replace(vec![of_file(1, "renamed")]);
    let items = until(&open, "the file is taken over", |items| items.len() == 2).await;
    let renamed = items.iter().find(|c| c["id"] == router["id"]).expect("it stays");
    assert_eq!((&renamed["name"], &renamed["version"]), (&json!("renamed"), &json!(2)));
    open.api.stop().await;
}
