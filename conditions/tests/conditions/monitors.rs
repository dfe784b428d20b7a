//! Definitions of monitors.

use conditions::Monitor;
use serde_json::{Value, json};

const USDC: &str = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";
const PAIR: &str = "0x00000000000000000000000000000000000000ab";

fn erc20() -> Value {
    json!([
        {"type": "event", "name": "Transfer", "anonymous": false, "inputs": [
            {"name": "src", "type": "address", "indexed": true}, {"name": "dst", "type": "address", "indexed": true},
            {"name": "wad", "type": "uint256", "indexed": false}]},
        {"type": "function", "name": "transfer", "stateMutability": "nonpayable", "outputs": [],
         "inputs": [{"name": "dst", "type": "address"}, {"name": "wad", "type": "uint256"}]}
    ])
}

fn with(conditions: Value, addresses: Value) -> Value {
    json!({"name": "m", "network": "demo", "addresses": addresses, "match_conditions": conditions})
}

fn wrong(definition: &Value) -> (String, Option<usize>, String) {
    let mut mistakes = Monitor::parse(definition).expect_err(&definition.to_string());
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let mistake = mistakes.remove(0);
    assert!(!mistake.cure.is_empty());
    (mistake.path, mistake.position, format!("{}: {}", mistake.problem, mistake.cure))
}

#[test]
fn all_defaults_are_written_out() {
    let monitor = Monitor::parse(&json!({"name": "All", "networks": ["demo"]})).unwrap();
    let definition = monitor.definition();
    assert_eq!(
        definition,
        json!({
            "name": "All", "paused": false, "severity": "warning", "network": "demo", "addresses": [],
            "match_conditions": {"functions": [], "events": [], "transactions": []},
            "group_by": ["monitor", "contract"], "cooldown": "0s", "wait": null, "channels": [], "routes": [],
            "escalate": null, "template": null
        })
    );
    assert_eq!(Monitor::parse(&definition).unwrap(), monitor);
    assert!(monitor.is_unindexed());
}

#[test]
fn the_other_products_words_are_taken() {
    let definition = json!({
        "name": "Large transfers", "paused": false, "networks": ["ethereum-mainnet", "demo"],
        "addresses": [{"address": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "contract_spec": erc20()}],
        "match_conditions": {
            "functions": [{"signature": "transfer(address, uint256)", "expression": "wad > 0"}],
            "events": [{"signature": "Transfer(address, address, uint256)",
                "expression": "dst == 0xf423d9c1ffeb6386639d024f3b241dab2331b635 AND wad > 8000000000"}],
            "transactions": [{"status": "Success", "expression": "value >= 0"}, {"status": "Failure", "expression": null}]
        },
        "group_by": ["transaction"], "wait": "finalized", "severity": "critical",
        "template": {"title": "${monitor.name}", "body": "${events.0.args.value}"}
    });
    let monitor = Monitor::parse(&definition).unwrap();
    assert_eq!(&*monitor.events[0].canonical, "Transfer(address,address,uint256)");
    let canonical = monitor.definition();
    assert_eq!(canonical["addresses"][0]["address"], USDC);
    assert_eq!(canonical["addresses"][0]["abi"], erc20());
    assert_eq!(canonical["match_conditions"], definition["match_conditions"]);
    assert_eq!(canonical["networks"], definition["networks"]);
    assert_eq!(Monitor::parse(&canonical).unwrap(), monitor);
    assert!(!monitor.is_unindexed());
}

#[test]
fn names_come_from_the_abi_the_signature_or_the_table() {
    let event =
        |signature: &str, expression: &str| json!({"events": [{"signature": signature, "expression": expression}]});
    let transfer = "Transfer(address,address,uint256)";
    let here = json!([{"address": USDC, "abi": erc20()}]);
    assert!(Monitor::parse(&with(event(transfer, "wad > 1"), here.clone())).is_ok());
    // The ABI's own names stand before the usual ones.
    let (path, position, words) = wrong(&with(event(transfer, "value > 1"), here));
    assert_eq!((path.as_str(), position), ("match_conditions.events.0.expression", Some(0)));
    assert!(words.contains("no variable is called `value`") && words.contains("src, dst, wad"), "{words}");
    // Without an ABI: by the table, in which one topic stands for two standards.
    for expression in ["value > 1", "to == 0x00000000000000000000000000000000000000ab"] {
        assert!(Monitor::parse(&with(event(transfer, expression), json!([]))).is_ok(), "{expression}");
    }
    let named = "Moved(address indexed who, uint256 amount)";
    assert!(
        Monitor::parse(&with(
            event(named, "amount > 1 AND who != 0x00000000000000000000000000000000000000ab"),
            json!([])
        ))
        .is_ok()
    );
    // A signature that nobody knows: which parameters are indexed is not known.
    let (_, _, words) = wrong(&with(event("Moved(address,uint256)", "1 > 5"), json!([])));
    assert!(words.contains("which of its parameters are indexed") && words.contains("`abi`"), "{words}");
    assert!(Monitor::parse(&with(json!({"events": [{"signature": "Moved(address,uint256)"}]}), json!([]))).is_ok());
    // A function's types tell all but the names.
    let call =
        |signature: &str, expression: &str| json!({"functions": [{"signature": signature, "expression": expression}]});
    assert!(
        Monitor::parse(&with(
            call("move_it(address,uint)", "1 > 5 AND 0 != 0x00000000000000000000000000000000000000ab"),
            json!([])
        ))
        .is_ok()
    );
    assert!(
        Monitor::parse(&with(
            call("function move_it( (uint256 a, string b) x )", "x.a > 5 OR x contains 'y'"),
            json!([])
        ))
        .is_ok()
    );
    let nested = "inputNestedStruct((bool,string,string,uint256,address,string[],(string,uint256)))";
    assert!(Monitor::parse(&with(call(nested, "0 contains 'The Book Title' AND 0[6].1 > 3"), json!([]))).is_ok());
}

#[test]
fn one_abi_of_several_may_have_it() {
    let other = json!([{"type": "function", "name": "increment", "inputs": [], "outputs": [], "stateMutability": "nonpayable"}]);
    let addresses = json!([{"address": USDC, "abi": erc20()}, {"address": PAIR, "contract_spec": other}]);
    let conditions = json!({"functions": [{"signature": "transfer(address,uint256)", "expression": "wad > 0"}, {"signature": "increment()"}]});
    assert!(Monitor::parse(&with(conditions, addresses)).is_ok());
    // None has it: they may be proxies'.
    let addresses = json!([{"address": USDC, "abi": erc20()}]);
    let conditions =
        json!({"functions": [{"signature": "approve(address spender, uint256 amount)", "expression": "amount > 0"}]});
    assert!(Monitor::parse(&with(conditions, addresses)).is_ok());
}

#[test]
fn every_mistake_has_its_path() {
    let of = |key: &str, value: Value| {
        let mut definition = with(json!({}), json!([]));
        definition[key] = value;
        wrong(&definition)
    };
    let path = |key: &str, value: Value| of(key, value).0;
    assert_eq!(path("addresses", json!([{"address": "0x12"}])), "addresses.0.address");
    assert_eq!(
        path("addresses", json!([{"address": USDC}, {"address": USDC.to_uppercase().replace("0X", "0x")}])),
        "addresses.1.address"
    );
    assert_eq!(
        path("addresses", json!([{"address": USDC, "abi": [{"type": "event", "inputs": []}]}])),
        "addresses.0.abi.0.name"
    );
    assert_eq!(path("addresses", json!([{"address": USDC, "contract_spec": 5}])), "addresses.0.contract_spec");
    assert_eq!(path("addresses", json!([{}])), "addresses.0.address");
    assert_eq!(path("addresses", json!([{"address": USDC, "adress": 1}])), "addresses.0.adress");
    assert_eq!(path("match_conditions", json!([])), "match_conditions");
    assert_eq!(path("match_conditions", json!({"event": []})), "match_conditions.event");
    assert_eq!(
        path("match_conditions", json!({"events": [{"signature": "Transfer"}]})),
        "match_conditions.events.0.signature"
    );
    assert_eq!(
        path("match_conditions", json!({"events": [{"signature": "T(uint7)"}]})),
        "match_conditions.events.0.signature"
    );
    assert_eq!(
        path("match_conditions", json!({"events": [{"signature": "T(uint8) anonymous"}]})),
        "match_conditions.events.0.signature"
    );
    assert_eq!(
        path("match_conditions", json!({"functions": [{"expression": "1 > 2"}]})),
        "match_conditions.functions.0.signature"
    );
    assert_eq!(
        path("match_conditions", json!({"transactions": [{"status": "success"}]})),
        "match_conditions.transactions.0.status"
    );
    assert_eq!(path("wait", json!("final")), "wait");
    assert_eq!(path("wait", json!(257)), "wait");
    assert_eq!(path("template", json!({"text": "x"})), "template.text");
    assert_eq!(path("group_by", json!(["block"])), "group_by.0");
    let (path, position, words) =
        of("match_conditions", json!({"transactions": [{"expression": "value > 1 ether AND form == 0x12"}]}));
    assert_eq!((path.as_str(), position), ("match_conditions.transactions.0.expression", Some(20)));
    assert!(words.contains("write `from`"), "{words}");
}

#[test]
fn mistakes_are_told_together() {
    let definition = json!({"name": "m", "network": "demo", "severity": "bad", "match_conditions": {
        "events": [{"signature": "X(", "expression": "a"}], "transactions": [{"expression": "value >"}]}});
    let paths: Vec<String> = Monitor::parse(&definition).unwrap_err().into_iter().map(|mistake| mistake.path).collect();
    assert_eq!(
        paths,
        ["severity", "match_conditions.events.0.signature", "match_conditions.transactions.0.expression"]
    );
}

#[test]
fn however_large_a_definition_is_it_is_read_in_no_time() {
    let items = |n: usize| -> Vec<Value> {
        (0..n).map(|n| json!({"type": "event", "name": format!("E{n}"), "anonymous": false, "inputs": [{"name": "n", "type": "uint256"}]})).collect()
    };
    let addresses = |count: usize, abi: Value| -> Vec<Value> {
        (0..count).map(|n| json!({"address": format!("0x{n:040x}"), "abi": abi})).collect()
    };
    let events = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"signature": format!("E{n}(uint256)"), "expression": "n > 5"})).collect()
    };
    let begin = std::time::Instant::now();
    let definition = with(json!({"events": events(100)}), json!(addresses(200, json!(items(500)))));
    assert!(Monitor::parse(&definition).is_ok());
    let (path, _, words) = wrong(&with(json!({"events": events(21)}), json!(addresses(1_000, json!(items(50))))));
    assert!(path == "addresses" && words.contains("21000 places"), "{words}");
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
