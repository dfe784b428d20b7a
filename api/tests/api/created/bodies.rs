//! Bodies with mistakes: each is told with its path, and nothing of it is kept.

use schemas::limits;
use serde_json::json;

use super::{AUDIT, CONTRACTS, KEYS, Open, contract, kind, paths};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_body_with_a_mistake_is_kept() {
    let open = Open::start().await;
    let good = contract("a", 1).to_string();
    let with = |more: &str| format!("{}, {more}}}", good.trim_end_matches('}'));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let long = "x".repeat(limits::control::NAME_CHARACTERS + 1);
    let abi = r#""abi": [{"type": "function", "name": "f", "inputs": [{"name": "a", "type": "uint7"}]}]"#;
    for (body, want) in [
        // What only the server sets, and what nobody knows.
        (with(r#""id": "01J00000000000000000000000""#), "id"),
        (with(r#""tenant": "default""#), "tenant"),
        (with(r#""tenant_id": "00000000000000000000000000""#), "tenant_id"),
        (with(r#""created_by": "me""#), "created_by"),
        (with(r#""source": "operator""#), "source"),
        (with(r#""version": 7"#), "version"),
        (with(r#""nmae": "x""#), "nmae"),
        // Twice, at any depth: readers differ in which one counts.
        (with(r#""name": "other""#), "name"),
        (with(r#""n\u0061me": "other""#), "name"),
        (with(r#""abi": [{"type": "error", "name": "A", "name": "B", "inputs": []}]"#), "abi.0.name"),
        (with(&format!(r#""abi": {deep}"#)), ""),
        (with(abi), "abi.0.inputs.0.type"),
        (with(r#""abi": {}"#), "abi"),
        (with(r#""labels": "dex""#), "labels"),
        (with(r#""labels": ["ok", 7]"#), "labels.1"),
        (with(r#""labels": ["a\tb"]"#), "labels.0"),
        (good.replace("\"a\"", "\"nowhere\""), "network"),
        (good.replace("\"a\"", "\"A!\""), "network"),
        (good.replace("\"a\"", "7"), "network"),
        (good.replace("0x00", "0xzz"), "address"),
        (good.replace("contract 1", &long), "name"),
        (good.replace("contract 1", " "), "name"),
        (r#"{"network": "a", "name": "x"}"#.to_owned(), "address"),
        ("[]".to_owned(), "body"),
        ("null".to_owned(), "body"),
        ("{\n \"network\": }".to_owned(), "line 2, column 13"),
        (String::new(), "line 1, column 0"),
    ] {
        let answer = open.raw("POST", CONTRACTS, &[], body.as_bytes()).await;
        assert_eq!(kind(&answer), (422, "invalid-body".to_owned()), "{body}: {}", answer.text());
        let found = paths(&answer);
        let fits = if want.is_empty() { found[0].starts_with("abi.0.0.0") } else { found == [want] };
        assert!(fits && found.len() == 1, "{body}: {found:?}");
    }
    // Mistakes of many fields are told at once.
    let many = json!({"network": "A!", "address": "0x1", "name": "", "labels": [""], "abi": [1]});
    let answer = open.send("POST", CONTRACTS, &[], &many).await;
    assert_eq!(paths(&answer), ["network", "address", "name", "labels.0", "abi.0"]);
    // Too large, said before and found out on reading.
    let large = vec![b' '; limits::HTTP_BODY_BYTES + 1];
    assert_eq!(open.raw("POST", CONTRACTS, &[], &large).await.status, 413);
    for target in [CONTRACTS, AUDIT] {
        assert_eq!(open.api.get(target).await.json()["items"], json!([]), "{target}");
    }

    let (_, path) = open.contract("a", 1).await;
    for (body, want) in [
        (json!({"network": "b"}), "network"),
        (json!({"address": "0x1"}), "address"),
        (json!({"id": "x"}), "id"),
        (json!({"name": null}), "name"),
        (json!({"abi": "x"}), "abi"),
    ] {
        let answer = open.send("PATCH", &path, &[("If-Match", "\"1\"")], &body).await;
        assert_eq!((answer.status, paths(&answer)), (422, vec![want.to_owned()]), "{body}");
    }
    for (body, want) in [
        (json!({"name": "k"}), "scopes"),
        (json!({"name": "k", "scopes": []}), "scopes"),
        (json!({"name": "k", "scopes": ["contract:read"]}), "scopes.0"),
        (json!({"name": "k", "scopes": ["*:read"], "networks": ["A!"]}), "networks.0"),
        (json!({"name": "k", "scopes": ["*:read"], "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "k", "scopes": ["*:read"], "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "k", "scopes": ["*:read"], "expires_in": "1s"}), "expires"),
        (json!({"name": "k", "scopes": ["*:read"], "prefix": "aaaaaaaa"}), "prefix"),
        (json!({"name": "k", "scopes": ["*:read"], "key": "hw_aaaaaaaa_b"}), "key"),
        (json!({"name": "k", "scopes": ["*:read"], "created_by": "x"}), "created_by"),
    ] {
        let answer = open.send("POST", KEYS, &[], &body).await;
        let found = paths(&answer);
        assert!(answer.status == 422 && found.len() == 1 && found[0].starts_with(want), "{body}: {}", answer.text());
    }
    assert_eq!(open.api.get(KEYS).await.json()["items"], json!([]));
    open.api.stop().await;
}
