//! Contracts.

use api::{Config, ControlStore};
use control::Mode;
use serde_json::{Value, json};

use super::{AUDIT, CONTRACTS, Open, contract, kind};
use crate::{door::Keyed, world::World};

fn abi() -> Value {
    json!([
        {"type": "function", "name": "transfer", "stateMutability": "nonpayable", "outputs": [],
         "inputs": [{"name": "to", "type": "address"}, {"name": "amount", "type": "uint256"}]},
        {"type": "event", "name": "Moved", "anonymous": false, "inputs": []}
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_added_read_changed_and_removed() {
    let open = Open::start().await;
    let mut new = contract("a", 0);
    new["address"] = "0xABCDEF0000000000000000000000000000000001".into();
    new["labels"] = json!(["dex"]);
    new["abi"] = abi();
    let made = open.send("POST", CONTRACTS, &[], &new).await;
    assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")), "{}", made.text());
    let path = made.header("location").expect("where it is").to_owned();
    let made = made.json();
    assert_eq!(path, format!("{CONTRACTS}/{}", made["id"].as_str().expect("an id")));
    for (field, value) in [
        ("network", json!("a")),
        ("address", json!("0xabcdef0000000000000000000000000000000001")),
        ("name", json!("contract 0")),
        ("labels", json!(["dex"])),
        ("abi", abi()),
        ("source", json!("tenant")),
        ("version", json!(1)),
        ("figures", json!({"transactions_24h": 0, "failed_24h": 0})),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let named = &made["names"];
    assert_eq!((&named[0]["signature"], &named[0]["id"]), (&json!("transfer(address,uint256)"), &json!("0xa9059cbb")));
    assert_eq!((&named[1]["what"], &named[1]["signature"]), (&json!("event"), &json!("Moved()")));
    let read = open.api.get(&path).await;
    assert_eq!((read.status, read.header("etag"), read.json()), (200, Some("\"1\""), made.clone()));
    let list = open.api.get(CONTRACTS).await.json();
    assert_eq!((&list["items"][0]["id"], &list["items"][0]["abi"], &list["next"]), (&made["id"], &abi(), &Value::Null));

    // A change says what it was made from.
    let patch = json!({"name": "router", "abi": null});
    assert_eq!(kind(&open.send("PATCH", &path, &[], &patch).await), (428, "precondition-required".to_owned()));
    let stale = open.send("PATCH", &path, &[("If-Match", "\"7\"")], &patch).await;
    assert_eq!((kind(&stale), &stale.json()["version"]), ((412, "changed-since".to_owned()), &json!(1)));
    assert_eq!(open.send("PATCH", &path, &[("If-Match", "W/\"1\"")], &patch).await.status, 412, "a weak tag");
    assert_eq!(kind(&open.send("PATCH", &path, &[("If-Match", "1")], &patch).await).0, 400);
    let changed = open.send("PATCH", &path, &[("If-Match", "\"1\"")], &patch).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    let changed = changed.json();
    assert_eq!(
        (&changed["name"], &changed["abi"], &changed["labels"]),
        (&json!("router"), &Value::Null, &json!(["dex"]))
    );
    let any = open.send("PATCH", &path, &[("If-Match", "*")], &json!({"labels": null})).await;
    assert_eq!((any.status, &any.json()["labels"], &any.json()["version"]), (200, &json!([]), &json!(3)));

    assert_eq!(open.raw("DELETE", &path, &[], b"").await.status, 428);
    assert_eq!(open.raw("DELETE", &path, &[("If-Match", "\"1\"")], b"").await.status, 412);
    let gone = open.raw("DELETE", &path, &[("If-Match", "\"2\", \"3\"")], b"").await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    for method in ["GET", "PATCH", "DELETE"] {
        let body = if method == "PATCH" { &b"{}"[..] } else { b"" };
        let answer = open.raw(method, &path, &[("If-Match", "*")], body).await;
        assert_eq!(kind(&answer), (404, "no-such-thing".to_owned()), "{method}");
    }
    let audit = open.api.get(AUDIT).await.json();
    let actions: Vec<&str> =
        audit["items"].as_array().expect("a list").iter().filter_map(|e| e["action"].as_str()).collect();
    assert_eq!(actions, ["contract.delete", "contract.change", "contract.change", "contract.create"]);
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_there_once_and_a_repeated_request_adds_nothing() {
    let open = Open::start().await;
    let (first, path) = open.contract("a", 1).await;
    let again = open.send("POST", CONTRACTS, &[], &contract("a", 1)).await;
    assert_eq!((kind(&again), &again.json()["id"]), ((409, "taken".to_owned()), &first["id"]));
    open.contract("b", 1).await;

    let once = [("Idempotency-Key", "b1c2")];
    let made = open.send("POST", CONTRACTS, &once, &contract("a", 2)).await;
    let again = open.send("POST", CONTRACTS, &once, &contract("a", 2)).await;
    assert_eq!((again.status, again.header("location"), again.json()), (201, made.header("location"), made.json()));
    let other = open.send("POST", CONTRACTS, &once, &contract("a", 3)).await;
    assert_eq!(kind(&other), (422, "idempotency-key-reused".to_owned()));
    let path_of_two = made.header("location").expect("a path").to_owned();
    assert_eq!(open.raw("DELETE", &path_of_two, &[("If-Match", "*")], b"").await.status, 204);
    let gone = open.send("POST", CONTRACTS, &once, &contract("a", 2)).await;
    assert_eq!(kind(&gone), (409, "made-and-gone".to_owned()));
    for bad in ["", "a b"] {
        let answer = open.send("POST", CONTRACTS, &[("Idempotency-Key", bad)], &contract("a", 9)).await;
        assert_eq!((answer.status, &answer.json()["parameter"]), (400, &json!("Idempotency-Key")), "{bad}");
    }
    assert_eq!(open.api.get(&path).await.status, 200);
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_everything_once_and_cursors_are_of_their_list() {
    let open = Open::start().await;
    for n in 0..7 {
        open.contract(if n % 2 == 0 { "a" } else { "b" }, n).await;
    }
    for (filter, want) in [("", 7), ("&network=a", 4)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = open.api.get(&format!("{CONTRACTS}?limit=3{filter}{cursor}")).await.json();
            seen.extend(page["items"].as_array().expect("a list").iter().map(|c| c["id"].to_string()));
            match page["next"].as_str() {
                None => break,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((all, seen.len()), (want, want));
        if filter.is_empty() {
            let foreign = open.api.get(&format!("{CONTRACTS}?network=b{cursor}")).await;
            assert_eq!(kind(&foreign), (400, "invalid-cursor".to_owned()));
        }
    }
    assert_eq!(kind(&open.api.get(&format!("{CONTRACTS}?limit=1001")).await).0, 400);
    assert_eq!(kind(&open.api.get(&format!("{CONTRACTS}?nework=a")).await), (400, "unknown-parameter".to_owned()));
    open.api.stop().await;
}

/// Word for word, but for the request's id.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_yours_are_one_answer() {
    let keyed = Keyed::start(&["a", "b"]).await;
    let owner = keyed.key(&["*:*"]).await;
    let narrow = keyed.key_of(&["*:*"], &["b"], None).await;
    let made = keyed.send("POST", CONTRACTS, owner.text.expose(), &[], &contract("a", 1).to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let theirs = made.header("location").expect("a path").to_owned();
    let nobodys = format!("{CONTRACTS}/01J00000000000000000000000");
    let malformed = format!("{CONTRACTS}/x'%20OR%201=1");
    for (method, body) in [("GET", ""), ("PATCH", "{\"name\":\"mine\"}"), ("DELETE", "")] {
        let mut told = Vec::new();
        for path in [&theirs, &nobodys, &malformed] {
            let answer = keyed.send(method, path, narrow.text.expose(), &[("If-Match", "\"1\"")], body).await;
            assert_eq!(kind(&answer), (404, "no-such-thing".to_owned()), "{method} {path}");
            told.push(answer.text());
        }
        assert!(told.windows(2).all(|w| w[0] == w[1]), "{told:?}");
    }
    let list = keyed.ask("GET", CONTRACTS, narrow.text.expose()).await.json();
    assert_eq!(list["items"], json!([]));
    // What it does not reach it cannot add either.
    let beyond = keyed.send("POST", CONTRACTS, narrow.text.expose(), &[], &contract("a", 2).to_string()).await;
    assert_eq!(kind(&beyond), (403, "more-than-yours".to_owned()));
    assert_eq!(keyed.ask("GET", &theirs, owner.text.expose()).await.status, 200);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rows_there_are_no_figures_and_without_a_control_store_no_contracts() {
    let open = Open::start().await;
    let (_, path) = open.contract("a", 1).await;
    let Open { world, api, .. } = &open;
    let mut away = world.store.config().clone();
    away.url = "http://127.0.0.1:1".parse().expect("a URL");
    let dir = tempfile::tempdir().expect("temp dir");
    let control = ControlStore::of(crate::door::settings(&dir), Mode::None);
    control.open().await.expect("opens");
    let store = store::Store::connect(away).expect("a store");
    let blind = world.api_over(Config { control, ..world.config() }, store).await;
    let body = contract("a", 1).to_string();
    let headers = [("Content-Type", "application/json")];
    let made = crate::http::exchange(blind.at, "POST", CONTRACTS, &headers, body.as_bytes()).await;
    assert_eq!((made.status, &made.json()["figures"]), (201, &Value::Null), "{}", made.text());
    assert_eq!(blind.get(CONTRACTS).await.json()["items"][0]["figures"], Value::Null);
    // What is used is told without it, but for what it alone knows.
    let usage = blind.get("/api/v1/usage").await;
    assert_eq!(usage.status, 200, "{}", usage.text());
    let usage = usage.json();
    let used = |name: &str| {
        let mut quotas = usage["quotas"].as_array().expect("quotas").iter();
        quotas.find(|quota| quota["name"] == name).map(|quota| quota["used"].clone())
    };
    assert_eq!((used("contracts"), used("deliveries_per_hour")), (Some(json!(1)), Some(Value::Null)), "{usage}");
    assert!(used("requests_per_day").is_some_and(|used| used.as_i64() > Some(0)), "{usage}");
    blind.stop().await;

    let without = world.api_with(Config { control: ControlStore::nowhere(Mode::None), ..world.config() }).await;
    for target in [CONTRACTS, &path, super::KEYS, AUDIT] {
        let answer = without.get(target).await;
        assert_eq!(kind(&answer), (503, "control-unavailable".to_owned()), "{target}");
        assert!(answer.has("retry-after"));
    }
    assert_eq!(without.get("/api/v1/txs").await.status, 200, "reads go on");
    without.stop().await;
    assert!(api.runs());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abi_is_named_before_it_is_kept() {
    let open = Open::start().await;
    let target = format!("{CONTRACTS}/abi");
    let artifact = json!({"abi": abi(), "bytecode": "0x"});
    for body in [abi(), artifact] {
        let named = open.send("POST", &target, &[], &body).await;
        assert_eq!((named.status, &named.json()["names"][0]["id"]), (200, &json!("0xa9059cbb")), "{}", named.text());
    }
    let mut wrong = abi();
    wrong[0]["inputs"][1]["type"] = "uint7".into();
    let refused = open.send("POST", &target, &[], &wrong).await;
    assert_eq!((refused.status, super::paths(&refused)), (422, vec!["abi.0.inputs.1.type".to_owned()]));
    let refused = open.raw("POST", &target, &[], b"[\n {,").await;
    assert_eq!((refused.status, super::paths(&refused)), (422, vec!["line 2, column 3".to_owned()]));
    assert_eq!(open.api.get(CONTRACTS).await.json()["items"], json!([]), "nothing is kept");
    let _: &World = &open.world;
    open.api.stop().await;
}
