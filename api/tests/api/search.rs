//! The search box: hashes, heights, addresses and names, in what whoever asks reaches, and nothing else.

use serde_json::{Value, json};

use crate::{
    chain::Chain,
    door::Keyed,
    failures::{ROUTER, call, first, fresh, hash_of},
    http::Answer,
};

/// What is found, as kinds, networks and names.
fn found(answer: &Answer) -> Vec<(String, String, Value)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_else(|| panic!("{item}")).to_owned();
    items.iter().map(|item| (text(item, "kind"), text(item, "network"), item["name"].clone())).collect()
}

async fn world() -> (Keyed, Chain, Chain) {
    let mut keyed = Keyed::start(&["ethereum", "mantle"]).await;
    keyed.world.start_sink().await;
    // The newest is found first.
    let (mut ethereum, mut mantle) = (fresh("ethereum"), fresh("mantle").since(1_700_000_000));
    for chain in [&mut ethereum, &mut mantle] {
        for _ in 0..3 {
            chain.apply_failing(ROUTER, &call());
        }
        keyed.world.publish_and_wait(&chain.events).await;
    }
    (keyed, ethereum, mantle)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pasted_leads_to_its_page_and_to_no_other_network() {
    let (keyed, ethereum, _) = world().await;
    let all = keyed.key(&["*:*"]).await;
    let all = all.text.expose();
    let narrow = keyed.key_of(&["*:*"], &["mantle"], None).await;
    let both = keyed.key_of(&["*:*"], &["ethereum", "mantle"], None).await;
    let search = async |key: &str, q: &str| {
        let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
        keyed.ask("GET", &format!("/api/v1/search?q={q}"), key).await
    };
    // The same transaction is in both chains here.
    let hash = hash_of(first(&ethereum.canonical[1]));
    for q in [hash.clone(), format!("https://etherscan.io/tx/{hash}"), hash.trim_start_matches("0x").to_uppercase()] {
        let answer = search(all, &q).await;
        let networks: Vec<String> = found(&answer).into_iter().map(|(_, network, _)| network).collect();
        assert_eq!(networks, ["ethereum", "mantle"], "{q}");
        let item = &answer.json()["items"][0];
        assert_eq!(
            (&item["kind"], &item["path"], &item["id"], &item["status"]),
            (&json!("transaction"), &json!(format!("/txs/ethereum/{hash}")), &json!(hash), &json!("failed"))
        );
    }
    let one = found(&search(narrow.text.expose(), &hash).await);
    assert_eq!(one.iter().map(|(_, network, _)| network.as_str()).collect::<Vec<_>>(), ["mantle"]);
    assert_eq!(found(&search(both.text.expose(), &hash).await).len(), 2);
    let named = keyed.ask("GET", &format!("/api/v1/search?network=ethereum&q={hash}"), narrow.text.expose()).await;
    assert_eq!(named.status, 404, "another network is not there");
    let named = keyed.ask("GET", &format!("/api/v1/search?network=ethereum&q={hash}"), all).await;
    assert_eq!(found(&named).len(), 1);

    // A block by hash and by height.
    let header = &ethereum.canonical[2].0.envelope;
    let block = search(all, &header.block_hash.to_string()).await;
    assert_eq!(found(&block), [("block".to_owned(), "ethereum".to_owned(), Value::Null)]);
    assert_eq!(block.json()["items"][0]["height"], json!(header.height));
    let by_height = search(all, &header.height.to_string()).await;
    let kinds: Vec<_> = found(&by_height).into_iter().map(|(kind, network, _)| (kind, network)).collect();
    let is_block = |network: &str| ("block".to_owned(), network.to_owned());
    assert_eq!(kinds, [is_block("ethereum"), is_block("mantle")]);
    assert_eq!(by_height.json()["items"][1]["path"], json!(format!("/blocks/mantle/{}", header.height)));

    // Nothing, and what is none.
    let nothing = search(all, &format!("0x{}", "0".repeat(64))).await;
    assert!(found(&nothing).is_empty() && nothing.json()["note"].is_string());
    for q in ["", " ", &"x".repeat(300)] {
        let answer = search(all, q).await;
        assert_eq!((answer.status, answer.json()["parameter"].as_str()), (400, Some("q")), "{q}");
    }
    assert_eq!(keyed.ask("GET", "/api/v1/search", all).await.status, 400);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_of_who_asks() {
    let (keyed, _, _) = world().await;
    let mine = keyed.key(&["*:*"]).await;
    let mine = mine.text.expose();
    let other = keyed.second_tenant().await;
    let new = control::NewKey {
        name: "theirs".to_owned(),
        scopes: control::Scopes::ALL,
        networks: control::Networks::All,
        expires_in: None,
    };
    let theirs = keyed.operator.control().create_key(control::Caller::here(&other), new).await.expect("a key");
    let contract = json!({"network": "mantle", "address": ROUTER, "name": "Router of 100% mine"}).to_string();
    assert_eq!(keyed.send("POST", "/api/v1/contracts", mine, &[], &contract).await.status, 201);
    let search = async |key: &str, q: &str| {
        let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
        found(&keyed.ask("GET", &format!("/api/v1/search?q={q}"), key).await)
    };
    let contract = ("contract".to_owned(), "mantle".to_owned(), json!("Router of 100% mine"));
    assert_eq!(search(mine, "rOUTER").await, std::slice::from_ref(&contract));
    assert_eq!(search(mine, "100%").await, std::slice::from_ref(&contract));
    assert!(search(mine, "1%0").await.is_empty(), "what is looked for is a text, no pattern");
    assert!(search(theirs.text.expose(), "router").await.is_empty());
    assert_eq!(search(mine, "eth").await, [("network".to_owned(), "ethereum".to_owned(), json!("ethereum"))]);
    // An address: where it has a name, and where it only occurs.
    let address = format!("{ROUTER:#x}");
    let occurs = |network: &str| ("address".to_owned(), network.to_owned(), Value::Null);
    assert_eq!(search(mine, &address).await, [contract, occurs("ethereum")]);
    let mut of_others = search(theirs.text.expose(), &address).await;
    of_others.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(of_others, [occurs("ethereum"), occurs("mantle")]);
    keyed.api.stop().await;
}
