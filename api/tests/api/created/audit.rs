//! The audit.

use serde_json::{Value, json};

use super::{AUDIT, CONTRACTS, Open, kind};
use crate::door::Keyed;

#[tokio::test(flavor = "multi_thread")]
async fn each_change_says_who_from_where_what_and_how_it_was_before() {
    let open = Open::start().await;
    let (made, path) = open.contract("a", 1).await;
    let changed = open.send("PATCH", &path, &[("If-Match", "\"1\"")], &json!({"name": "router"})).await;
    let request = changed.header("x-request-id").expect("an id").to_owned();
    let (other, _) = open.contract("b", 2).await;
    let all = open.api.get(AUDIT).await.json();
    let entries = all["items"].as_array().expect("a list");
    assert_eq!(entries.iter().map(|e| &e["entry"]).collect::<Vec<_>>(), [&json!(3), &json!(2), &json!(1)]);
    let entry = &entries[1];
    assert_eq!(entry["actor"], json!({"kind": "user", "id": "anyone", "name": "anyone"}));
    assert_eq!((&entry["ip"], &entry["request_id"]), (&json!("127.0.0.1"), &json!(request)));
    assert_eq!((&entry["action"], &entry["outcome"]), (&json!("contract.change"), &json!("done")));
    assert_eq!(entry["resource"], json!({"kind": "contract", "id": made["id"], "name": "router"}));
    assert_eq!((&entry["before"]["name"], &entry["after"]["name"]), (&json!("contract 1"), &json!("router")));
    assert_eq!(entry["previous"], entries[2]["hash"]);
    assert!(entry["hash"].as_str().is_some_and(|h| h.len() == 64));

    let count = async |query: &str| {
        let page = open.api.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text());
        page.json()["items"].as_array().map_or(0, Vec::len)
    };
    let id = |thing: &Value| thing["id"].as_str().unwrap_or_default().to_owned();
    for (query, want) in [
        ("actor=anyone".to_owned(), 3),
        ("actor=system".to_owned(), 0),
        ("action=contract.create".to_owned(), 2),
        ("resource=contract".to_owned(), 3),
        ("resource=key".to_owned(), 0),
        (format!("resource={}", id(&other)), 1),
        (format!("resource={}&action=contract.change", id(&made)), 1),
        ("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z".to_owned(), 0),
        (format!("from={}", entries[2]["at"].as_str().expect("a time")), 3),
        (format!("to={}", entries[2]["at"].as_str().expect("a time")), 0),
        ("limit=2".to_owned(), 2),
    ] {
        assert_eq!(count(&query).await, want, "{query}");
    }
    let first = open.api.get(&format!("{AUDIT}?limit=2")).await.json();
    let next = first["next"].as_str().expect("there is more");
    assert_eq!(count(&format!("limit=2&cursor={next}")).await, 1);
    let foreign = open.api.get(&format!("{AUDIT}?actor=anyone&cursor={next}")).await;
    assert_eq!(kind(&foreign), (400, "invalid-cursor".to_owned()));
    for bad in ["actor=", "action=a%20b", "from=today", "who=me"] {
        assert_eq!(open.api.get(&format!("{AUDIT}?{bad}")).await.status, 400, "{bad}");
    }
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reaches_one_network_is_not_told_of_another() {
    let keyed = Keyed::start(&["a", "b"]).await;
    let owner = keyed.key(&["*:*"]).await;
    let narrow = keyed.key_of(&["audit:read"], &["b"], None).await;
    for network in ["a", "b"] {
        let new = super::contract(network, 1).to_string();
        assert_eq!(keyed.send("POST", CONTRACTS, owner.text.expose(), &[], &new).await.status, 201);
    }
    let target = format!("{AUDIT}?resource=contract");
    let networks = async |key: &str| {
        let page = keyed.ask("GET", &target, key).await.json();
        let items = page["items"].as_array().expect("a list").clone();
        items.iter().map(|e| e["after"]["network"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(networks(owner.text.expose()).await, ["b", "a"]);
    assert_eq!(networks(narrow.text.expose()).await, ["b"]);
    keyed.api.stop().await;
}
