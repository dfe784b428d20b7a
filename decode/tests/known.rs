//! What is known of single calls, events and errors.

use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use decode::{Abi, Source, builtin, call, error, event, inner_calls, selector, text};
use serde_json::{Value, json};

fn words(words: &[&str]) -> Vec<u8> {
    words.iter().flat_map(|word| hex::decode(format!("{word:0>64}")).unwrap()).collect()
}

fn input(signature: &str, data: &[u8]) -> Vec<u8> {
    [&selector(signature).unwrap()[..], data].concat()
}

fn said(signature: &str, arguments: &str) -> (String, Value) {
    (signature.to_owned(), serde_json::from_str(arguments).unwrap())
}

#[test]
fn a_swap_says_its_names() {
    let data = words(&[
        "8ac7230489e80000",
        "1",
        "a0",
        "b0b",
        "ffffffff",
        "2",
        "c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        "dac17f958d2ee523a2206206994597c13d831ec7",
    ]);
    let all = input("swapExactTokensForTokens(uint256,uint256,address[],address,uint256)", &data);
    assert_eq!(all[..4], [0x38, 0xed, 0x17, 0x39]);
    let it = call(&[], &all).unwrap();
    assert_eq!(it.source, Source::Builtin);
    assert_eq!(
        said(&it.signature, &it.arguments),
        (
            "swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)".to_owned(),
            json!({"amountIn": "10000000000000000000", "amountOutMin": "1",
                "path": ["0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xdac17f958d2ee523a2206206994597c13d831ec7"],
                "to": "0x0000000000000000000000000000000000000b0b", "deadline": "4294967295"})
        )
    );
    // Anything that is not the canonical encoding is not decoded.
    for end in 0..all.len() {
        assert_eq!(call(&[], &all[..end]), None, "{end}");
    }
    assert_eq!(call(&[], &[&all[..], &[0]].concat()), None);
    assert_eq!(call(&[], &[&all[..], &[0; 32]].concat()), None);
    for (at, to) in
        [(4 + 2 * 32 + 31, 0xc0), (4 + 3 * 32 + 11, 1), (4 + 5 * 32 + 31, 3), (4 + 5 * 32 + 24, 0xff), (4 + 6 * 32, 1)]
    {
        let mut wrong = all.clone();
        wrong[at] = to;
        assert_eq!(call(&[], &wrong), None, "{at}");
    }
}

#[test]
fn shapes_of_one_event_are_told_apart() {
    let topic = keccak256("Transfer(address,address,uint256)");
    let (a, b, n) =
        (Address::repeat_byte(1).into_word(), Address::repeat_byte(2).into_word(), B256::from(U256::from(7)));
    let text = |topics: &[B256], data: &[u8]| event(&[], topics, data).map(|it| it.signature.to_string());
    let fungible = text(&[topic, a, b], n.as_slice());
    assert_eq!(fungible.as_deref(), Some("Transfer(address indexed from, address indexed to, uint256 value)"));
    let thing = text(&[topic, a, b, n], &[]);
    assert_eq!(thing.as_deref(), Some("Transfer(address indexed from, address indexed to, uint256 indexed tokenId)"));
    let old = text(&[topic], &[a, b, n].concat());
    assert_eq!(old.as_deref(), Some("Transfer(address from, address to, uint256 value)"));
    assert_eq!(text(&[topic, a], &[b, n].concat()), None, "which of the three is indexed?");
    assert_eq!(text(&[topic, a, b, n], n.as_slice()), None);
    assert_eq!(text(&[topic, a, b], &[]), None);
    assert_eq!(text(&[], &[]), None);
    // Of a text that is indexed the log has the hash only.
    let hash = keccak256("oneInchV5FeeDynamic");
    let it = event(&[], &[keccak256("Swap(string,address)"), hash, a], &[]).unwrap();
    assert_eq!(
        it.arguments,
        format!(
            "{{\"aggregatorId\":\"{hash}\",\"sender\":\"{}\"}}",
            Address::repeat_byte(1).to_string().to_lowercase()
        )
    );
}

#[test]
fn anonymous_events_are_known_by_what_they_hold() {
    let sig = B256::right_padding_from(&[0x1a, 0x0b, 0x28, 0x7e]);
    let a = Address::repeat_byte(1).into_word();
    let data = words(&["5", "40", "4", "1a0b287e00000000000000000000000000000000000000000000000000000000"]);
    let it = event(&[], &[sig, a, a, a], &data).unwrap();
    assert!(
        it.signature.starts_with("LogNote(bytes4 indexed sig, address indexed guy")
            && it.signature.ends_with(" anonymous")
    );
    assert!(it.arguments.ends_with(r#""wad":"5","fax":"0x1a0b287e"}"#), "{}", it.arguments);
    assert_eq!(event(&[], &[keccak256("x"), a, a, a], &data), None);
}

#[test]
fn abis_go_before_the_table_and_each_before_the_next() {
    let mine = Abi::from_lines([
        "function transfer(address whom, uint256 wad)",
        "error Mine(uint8 a, bool, int16 a)",
        "function f((uint256 x, bytes y)[] z)",
    ])
    .unwrap();
    let other = Abi::from_lines(["function transfer(address x, uint256 y)", "function two(string)"]).unwrap();
    let data = words(&["b0b", "2a"]);
    let all = input("transfer(address,uint256)", &data);
    let it = call(&[&mine, &other], &all).unwrap();
    assert_eq!((&*it.signature, it.source), ("transfer(address whom, uint256 wad)", Source::Abi(0)));
    assert_eq!(call(&[&other, &mine], &all).unwrap().source, Source::Abi(0));
    assert_eq!(call(&[], &all).unwrap().source, Source::Builtin);
    // By position without a name, and with one that was there before.
    let it = error(&[&other, &mine], &input("Mine(uint8,bool,int16)", &words(&["ff", "1", &"f".repeat(64)]))).unwrap();
    assert_eq!((it.arguments.as_str(), it.source), (r#"{"a":"255","1":true,"2":"-1"}"#, Source::Abi(1)));
    let z =
        words(&["20", "1", "20", "1", "40", "2", "beef000000000000000000000000000000000000000000000000000000000000"]);
    let it = call(&[&mine], &input("f((uint256,bytes)[])", &z)).unwrap();
    assert_eq!(it.arguments, r#"{"z":[{"x":"1","y":"0xbeef"}]}"#);
    assert_eq!(&*it.signature, "f((uint256 x, bytes y)[] z)");
    let it = call(
        &[&other],
        &input("two(string)", &words(&["20", "3", "610a220000000000000000000000000000000000000000000000000000000000"])),
    );
    assert_eq!(it.unwrap().arguments, "{\"0\":\"a\\n\\\"\"}");
    let broken = words(&["20", "1", "ff00000000000000000000000000000000000000000000000000000000000000"]);
    assert_eq!(call(&[&other], &input("two(string)", &broken)), None, "no UTF-8");
    assert_eq!(mine.selectors("transfer").collect::<Vec<_>>(), [[0xa9, 0x05, 0x9c, 0xbb]]);
    assert!(builtin().selectors("safeTransferFrom").count() >= 3 && mine.selectors("trans").count() == 0);
    assert_eq!(selector("transfer(address to,uint256)"), Some([0xa9, 0x05, 0x9c, 0xbb]));
    assert_eq!(selector("transfer"), None);
}

#[test]
fn errors_of_the_language_and_of_contracts() {
    let reason = words(&["20", "3", "6261640000000000000000000000000000000000000000000000000000000000"]);
    let it = error(&[], &[&hex!("08c379a0")[..], &reason].concat()).unwrap();
    assert_eq!((&*it.signature, it.arguments.as_str()), ("Error(string reason)", r#"{"reason":"bad"}"#));
    let it = error(&[], &[&hex!("4e487b71")[..], &words(&["11"])].concat()).unwrap();
    assert_eq!((&*it.signature, it.arguments.as_str()), ("Panic(uint256 code)", r#"{"code":"17"}"#));
    assert_eq!(error(&[], &input("EnforcedPause()", &[])).unwrap().arguments, "{}");
    assert_eq!(error(&[], &[]), None);
    assert_eq!(error(&[], &hex!("08c379a0")), None);
}

#[test]
fn an_abi_of_json_is_read_as_a_compiler_writes_it() {
    let abi = json!([
        {"type": "function", "name": "set", "stateMutability": "payable", "outputs": [],
         "inputs": [{"name": "p", "type": "tuple[2]", "internalType": "struct P[2]", "components": [
            {"name": "a", "type": "int24"}, {"name": "b", "type": "function"}]}]},
        {"type": "event", "name": "Kept", "anonymous": false, "inputs": [{"name": "v", "type": "uint256[]", "indexed": true}]},
        {"type": "error", "name": "No", "inputs": []}, {"type": "fallback", "stateMutability": "payable"}
    ]);
    let abi = Abi::parse(&abi.to_string()).unwrap();
    assert_eq!(abi.len(), 3);
    let f = "0102030405060708090a0b0c0d0e0f101112131415161718";
    let minus = "f".repeat(64);
    let data = words(&[&minus, &format!("{f}0000000000000000"), "7fffff", &format!("{f}0000000000000000")]);
    let it = call(&[&abi], &input("set((int24,function)[2])", &data)).unwrap();
    assert_eq!(it.arguments, format!(r#"{{"p":[{{"a":"-1","b":"0x{f}"}},{{"a":"8388607","b":"0x{f}"}}]}}"#));
    let wrong = words(&["800000", &format!("{f}0000000000000000"), "0", &format!("{f}0000000000000000")]);
    assert_eq!(call(&[&abi], &input("set((int24,function)[2])", &wrong)), None, "a sign that is not carried on");
    let hash = B256::repeat_byte(9);
    assert_eq!(
        event(&[&abi], &[keccak256("Kept(uint256[])"), hash], &[]).unwrap().arguments,
        format!(r#"{{"v":"{hash}"}}"#)
    );
    assert!(Abi::parse("{").is_err() && Abi::from_lines(["function f(uint7"]).is_err());
}

#[test]
fn what_a_rollup_tells_a_block_is_packed() {
    let input = hex!(
        "098999be000008dd00101c12000000000000000000000000665f1a3b000000000132b1c5000000000000000000000000000000000000000000000000000000003b9aca01"
        "0000000000000000000000000000000000000000000000000000000000000001b2a4d0dba7ac1f0ce3a9d7d11c7e8ecd2a5e0a5b1d9b1a0b6f0fd23ce5e6e4d1"
        "0000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f329850000000100000000000000ff"
    );
    let it = call(&[], &input).unwrap();
    assert_eq!(&*it.signature, "setL1BlockValuesIsthmus()");
    let said: Value = serde_json::from_str(&it.arguments).unwrap();
    assert_eq!(
        (&said["baseFeeScalar"], &said["number"], &said["operatorFeeConstant"]),
        (&json!("2269"), &json!("20099525"), &json!("255"))
    );
    assert_eq!(call(&[], &input[..input.len() - 1]), None);
    assert_eq!(call(&[], &[&input[..], &[0]].concat()), None);
}

#[test]
fn calls_inside_of_calls() {
    let own = address!("00000000000000000000000000000000000000aa");
    let transfer = input("transfer(address,uint256)", &words(&["b0b", "2a"]));
    let tail = |bytes: &[u8]| -> String {
        let padded = bytes.len().next_multiple_of(32);
        format!("{:064x}{:0<width$}", bytes.len(), hex::encode(bytes), width = 2 * padded)
    };
    let with = |signature: &str, heads: &[&str], tails: &str| {
        input(signature, &[words(heads), hex::decode(tails).unwrap()].concat())
    };

    let all = with("multicall(bytes[])", &["20", "1", "20"], &tail(&transfer));
    let found = inner_calls(own, &all);
    assert_eq!((found.calls.len(), found.left_out), (1, 0));
    assert_eq!((found.calls[0].to, found.calls[0].value, found.calls[0].input), (own, None, &transfer[..]));
    assert_eq!(&*call(&[], found.calls[0].input).unwrap().signature, "transfer(address to, uint256 value)");

    let all = with(
        "aggregate3Value((address,bool,uint256,bytes)[])",
        &["20", "1", "20", "c0de", "1", "5", "80"],
        &tail(&transfer),
    );
    let found = inner_calls(own, &all);
    let to = address!("000000000000000000000000000000000000c0de");
    assert_eq!(
        (found.calls[0].to, found.calls[0].value, found.calls[0].input),
        (to, Some(U256::from(5)), &transfer[..])
    );

    let all = with(
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        &["c0de", "7", "140", "0", "0", "0", "0", "0", "0", "1c0"],
        &format!("{}{}", tail(&transfer), tail(&[1, 2, 3])),
    );
    let found = inner_calls(own, &all);
    assert_eq!(
        (found.calls[0].to, found.calls[0].value, found.calls[0].input),
        (to, Some(U256::from(7)), &transfer[..])
    );

    let one = [&[0][..], to.as_slice(), &[0; 32], U256::from(transfer.len()).to_be_bytes::<32>().as_slice(), &transfer]
        .concat();
    let all = with("multiSend(bytes)", &["20"], &tail(&[&one[..], &one].concat()));
    let found = inner_calls(own, &all);
    assert_eq!(found.calls.len(), 2);
    assert!(found.calls.iter().all(|it| it.to == to && it.value == Some(U256::ZERO) && it.input == transfer));
    let all = with("multiSend(bytes)", &["20"], &tail(&one[..one.len() - 1]));
    assert_eq!(inner_calls(own, &all), Default::default(), "cut off");

    let all = with(
        "executeBatch(address[],uint256[],bytes[])",
        &["60", "a0", "c0", "1", "c0de", "0", "1", "20"],
        &tail(&transfer),
    );
    assert_eq!(inner_calls(own, &all).calls[0].value, Some(U256::ZERO), "no values at all stand for zeros");

    let single = [to.as_slice(), &U256::from(9).to_be_bytes::<32>(), &transfer].concat();
    let all = with("execute(bytes32,bytes)", &["0", "40"], &tail(&single));
    let found = inner_calls(own, &all);
    assert_eq!(
        (found.calls[0].to, found.calls[0].value, found.calls[0].input),
        (to, Some(U256::from(9)), &transfer[..])
    );
    let batch = [words(&["20", "1", "20", "c0de", "9", "60"]), hex::decode(tail(&transfer)).unwrap()].concat();
    let mode = format!("01{:062}", 0);
    let all = with("execute(bytes32,bytes)", &[&mode, "40"], &tail(&batch));
    assert_eq!(inner_calls(own, &all), {
        let mut f = found.clone();
        f.calls[0].input = &transfer;
        f
    });

    // Many, of which some are told.
    let n = 300;
    let heads: Vec<String> = (0..n).map(|i| format!("{:x}", 32 * (n + i))).collect();
    let mut heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    heads.splice(0..0, ["20", "12c"]);
    let all = with("multicall(bytes[])", &heads, &"0".repeat(64 * n));
    let found = inner_calls(own, &all);
    assert_eq!((found.calls.len(), found.left_out), (256, 44));
    assert_eq!(inner_calls(own, &transfer), Default::default());
    assert_eq!(inner_calls(own, &[]), Default::default());
    assert_eq!(text(&transfer), None);
}
