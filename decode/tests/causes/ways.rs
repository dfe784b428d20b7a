//! Which call it was: what was handed on, wrapped, survived, passed on in other words, and whose gas it was.

use alloy_primitives::{Address, hex};
use decode::{
    Abi,
    causes::{Abis, Cause, Failed, Finding, Table, by_trace},
};

use super::{
    classes::{deep, error, failing, panic, text, word, wrapped_text},
    clients::{Call, Client, address, read},
};

pub fn find(client: Client, root: &Call) -> Finding {
    with(client, root, &())
}

fn with(client: Client, root: &Call, abis: &dyn Abis) -> Finding {
    let tx = Failed {
        from: address(0xee),
        to: Some(address(root.to)),
        input: &root.input,
        gas: root.gas + 21_000,
        gas_used: root.gas_used + 21_000,
        ..Failed::default()
    };
    by_trace(&read(client, root), &tx, abis, Table::builtin())
}

fn over(output: Vec<u8>, calls: Vec<Call>) -> Call {
    Call {
        kind: "CALL",
        to: 0xaa,
        gas: 2_000_000,
        gas_used: 1_000_000,
        input: vec![1, 2, 3, 4],
        output,
        error: Some("execution reverted"),
        calls,
        ..Call::default()
    }
}

fn fine() -> Call {
    Call { kind: "CALL", to: 0x99, gas: 1_000, gas_used: 500, input: vec![1, 2, 3, 4], ..Call::default() }
}

/// An error with a number and bytes, or four values, of which bytes are one.
fn wrapping(signature: &str, heads: &[u64], tails: &[&[u8]]) -> Vec<u8> {
    let mut data = error(signature, heads);
    for tail in tails {
        data.extend(word(tail.len() as u64));
        data.extend_from_slice(tail);
        data.extend(vec![0; tail.len().next_multiple_of(32) - tail.len()]);
    }
    data
}

#[test]
fn the_last_call_whose_data_was_handed_on() {
    let slippage = text("Too little received");
    let survived = failing(&Ok(text("Pausable: paused")), 0x11);
    let one = failing(&Ok(slippage.clone()), 0x12);
    let other = failing(&Ok(slippage.clone()), 0x13);
    // Two said the same: the last counts, whatever went well after it.
    let it = find(Client::Geth, &over(slippage.clone(), vec![survived.clone(), one, other, fine()]));
    assert_eq!((it.cause, it.frame, it.depth), (Cause::Slippage, Some(address(0x13)), 1));
    // None did: the caller's own.
    let it = find(Client::Geth, &over(text("UniswapV2Router: EXPIRED"), vec![survived.clone()]));
    assert_eq!((it.cause, it.frame, it.depth), (Cause::Deadline, Some(address(0xaa)), 0));
    // Without a word: what was survived is not why, and what failed last is told of.
    let it = find(Client::Geth, &over(vec![], vec![survived.clone(), fine()]));
    assert_eq!((it.cause, it.frame), (Cause::Opaque, Some(address(0xaa))));
    let it = find(Client::Geth, &over(vec![], vec![fine(), survived]));
    assert_eq!((it.cause, it.frame), (Cause::Opaque, Some(address(0xaa))));
    assert!(it.reason.contains("paused at present"), "{}", it.reason);
}

#[test]
fn what_a_client_hides_is_taken_from_the_last_call_and_what_it_tells_is_not() {
    let root = over(text("Sale: sold out"), vec![fine(), failing(&Ok(vec![]), 0xcc)]);
    for (client, frame) in
        [(Client::Geth, 0xaa), (Client::Erigon, 0xaa), (Client::Parity, 0xaa), (Client::OldGeth, 0xcc)]
    {
        assert_eq!(find(client, &root).frame, Some(address(frame)), "{client:?}");
    }
    // A caller speaks of a call that failed; or it made another one behind it.
    let own = over(text("STF"), vec![fine(), failing(&Ok(vec![]), 0xcc)]);
    assert_eq!(find(Client::OldGeth, &own).frame, Some(address(0xaa)));
    let survived = over(text("Sale: sold out"), vec![failing(&Ok(vec![]), 0xcc), fine()]);
    assert_eq!(find(Client::OldGeth, &survived).frame, Some(address(0xaa)));
}

#[test]
fn errors_inside_of_errors_lead_to_the_call_that_made_them() {
    let slippage = error("V4TooLittleReceived(uint256,uint256)", &[42, 41]);
    let old = text("Too little received");
    let text_of_data = {
        let padding = vec![0; old.len().next_multiple_of(32) - old.len()];
        [&hex!("08c379a0")[..], &word(32), &word(old.len() as u64), &old, &padding].concat()
    };
    for (outer, inner) in [
        (wrapping("WrappedError(address,bytes4,bytes,bytes)", &[0xb0b, 0, 128, 256], &[&slippage, &[]]), &slippage),
        (wrapping("ExecutionFailed(uint256,bytes)", &[3, 64], &[&slippage]), &slippage),
        (wrapping("PostOpReverted(bytes)", &[32], &[&slippage]), &slippage),
        (text_of_data, &old),
        (text(&hex::encode_prefixed(&old)), &old),
    ] {
        for leaf in [failing(&Ok(inner.clone()), 0xcc), deep(failing(&Ok(inner.clone()), 0xcc), 2)] {
            let it = find(Client::Geth, &over(outer.clone(), vec![fine(), leaf]));
            assert_eq!((it.cause, it.frame), (Cause::Slippage, Some(address(0xcc))), "{it:?}");
            assert_eq!(it.error_selector.as_ref().map(|s| &s[..]), inner.get(..4), "{it:?}");
            assert_eq!(it.output, *inner, "what the call itself gave back");
        }
        // Without the call in the trace the error inside counts all the same.
        let it = find(Client::OldBesu, &over(outer.clone(), vec![]));
        assert_eq!((it.cause, it.frame, &it.output), (Cause::Slippage, Some(address(0xaa)), &outer), "{it:?}");
    }
    // Errors in errors in errors.
    let twice = wrapping(
        "ExecutionFailed(uint256,bytes)",
        &[3, 64],
        &[&wrapping("PostOpReverted(bytes)", &[32], &[&slippage])],
    );
    assert_eq!(find(Client::OldBesu, &over(twice, vec![])).cause, Cause::Slippage);
    let mut deep = slippage;
    for _ in 0..40 {
        deep = wrapping("PostOpReverted(bytes)", &[32], &[&deep]);
    }
    assert_eq!(find(Client::OldBesu, &over(deep, vec![])).cause, Cause::Wallet, "no deeper than is bounded");
    // The entry point's words count where the data inside says nothing.
    let with_revert = |inner: &[u8]| {
        let reason = b"AA23 reverted";
        let mut data = error("FailedOpWithRevert(uint256,string,bytes)", &[0, 96, 160]);
        for tail in [&reason[..], inner] {
            data.extend(word(tail.len() as u64));
            data.extend_from_slice(tail);
            data.extend(vec![0; tail.len().next_multiple_of(32) - tail.len()]);
        }
        data
    };
    assert_eq!(find(Client::Geth, &over(with_revert(&error("InvalidSigner()", &[])), vec![])).cause, Cause::Signature);
    assert_eq!(find(Client::Geth, &over(with_revert(&error("Who()", &[])), vec![])).cause, Cause::Wallet);
    assert_eq!(find(Client::Geth, &over(with_revert(&[]), vec![])).cause, Cause::Wallet);
    assert_eq!(
        find(Client::Geth, &over(wrapped_text("FailedOp(uint256,string)", 1, "AA21 didn't pay prefund"), vec![])).cause,
        Cause::Funds
    );
}

#[test]
fn who_says_no_more_than_that_a_call_failed_is_looked_behind() {
    let allowance = error("ERC20InsufficientAllowance(address,uint256,uint256)", &[0xb0b, 5, 9]);
    for outer in [
        text("STF"),
        text("Multicall3: call failed"),
        text("GS013"),
        text("TransferHelper: TRANSFER_FROM_FAILED"),
        error("SafeERC20FailedOperation(address)", &[7]),
    ] {
        let it = find(Client::Geth, &over(outer, vec![fine(), deep(failing(&Ok(allowance.clone()), 0xcc), 1), fine()]));
        assert_eq!((it.cause, it.frame, it.depth), (Cause::Allowance, Some(address(0xcc)), 2), "{it:?}");
        assert!(it.reason.contains("may take 5") && it.reason.contains("passed on as"), "{}", it.reason);
    }
    let it = find(Client::Geth, &over(text("STF"), vec![failing(&Ok(vec![]), 0xcc)]));
    assert_eq!((it.cause, it.frame), (Cause::TransferFailed, Some(address(0xaa))));
    // An error that is not known is more than a call that failed, and less than a transfer that did.
    let unknown = error("WhoKnows()", &[]);
    assert_eq!(
        find(Client::Geth, &over(text("GS013"), vec![failing(&Ok(unknown.clone()), 0xcc)])).frame,
        Some(address(0xcc))
    );
    assert_eq!(find(Client::Geth, &over(text("STF"), vec![failing(&Ok(unknown), 0xcc)])).cause, Cause::TransferFailed);
    assert_eq!(
        find(Client::Geth, &over(text("GS013"), vec![failing(&Err("out of gas"), 0xcc)])).cause,
        Cause::GasLimit
    );
}

#[test]
fn whose_gas_it_was() {
    // All but one 64th was given on.
    let mut leaf = failing(&Err("out of gas"), 0xcc);
    let it = find(Client::Geth, &deep(leaf.clone(), 3));
    assert_eq!((it.cause, it.depth), (Cause::GasLimit, 3));
    assert!(it.rule.starts_with("word:") && it.reason.contains("limit is"), "{it:?}");
    // The caller too had no gas left.
    let mut root = deep(leaf.clone(), 1);
    root.error = Some("out of gas");
    root.gas_used = root.gas;
    assert_eq!(find(Client::Geth, &root).frame, Some(address(0xcc)));
    // So much was asked for, and no more.
    (leaf.gas, leaf.gas_used) = (30_000, 30_000);
    let it = find(Client::Geth, &over(vec![], vec![leaf.clone()]));
    assert_eq!((it.cause, it.rule.as_str()), (Cause::GasLimit, "read:given_gas"), "{it:?}");
    assert!(it.reason.contains("30000") && it.reason.contains("changes nothing"), "{it:?}");
    (leaf.gas, leaf.gas_used, leaf.value, leaf.input) = (2_300, 2_300, 1, vec![]);
    let it = find(Client::Geth, &over(vec![], vec![leaf]));
    assert_eq!((it.cause, it.rule.as_str()), (Cause::TransferFailed, "read:stipend"), "{it:?}");
    // An instruction that uses all up leaves the caller nothing: it is why.
    let mut root = deep(failing(&Err("invalid opcode: INVALID"), 0xcc), 1);
    (root.error, root.gas_used) = (Some("out of gas"), root.gas);
    assert_eq!(find(Client::Geth, &root).cause, Cause::Assert);
}

struct Known(Address, Abi);

impl Abis for Known {
    fn of(&self, address: Address) -> Vec<&Abi> {
        if address == self.0 { vec![&self.1] } else { Vec::new() }
    }
}

#[test]
fn abis_of_the_code_that_ran_name_its_errors() {
    let locked = error("VaultLocked(uint256,address)", &[17, 0xb0b]);
    let mut proxied = failing(&Ok(locked.clone()), 0xcc);
    proxied.kind = "DELEGATECALL";
    let root = Call { to: 0xab, input: proxied.input.clone(), ..over(locked, vec![proxied]) };
    let abi = Abi::from_lines(["error VaultLocked(uint256 until, address who)", "function known()"]).unwrap();
    let it = with(Client::Geth, &root, &Known(address(0xcc), abi.clone()));
    assert_eq!(it.error_signature.as_deref(), Some("VaultLocked(uint256 until, address who)"));
    assert_eq!(it.cause, Cause::Custom);
    assert!(
        it.reason
            .contains(&format!("{} refused with VaultLocked(until: 17, who: 0x", hex::encode_prefixed(address(0xab)))),
        "{}",
        it.reason
    );
    let without = find(Client::Geth, &root);
    assert_eq!((without.cause, without.error_signature), (Cause::Custom, None));
    // A tenant's ABI names what stands in the row.
    let named = decode::causes::name_again(&without.output, &[&abi], Table::builtin()).unwrap();
    assert_eq!((named.cause, named.signature.as_str()), (Cause::Custom, "VaultLocked(uint256 until, address who)"));
    assert_eq!(named.arguments, "{\"until\":\"17\",\"who\":\"0x0000000000000000000000000000000000000b0b\"}");
    assert_eq!(decode::causes::name_again(&without.output, &[], Table::builtin()), None);
    assert_eq!(decode::causes::name_again(&text("x"), &[&abi], Table::builtin()), None);
    let table =
        Table::parse("[[error]]\nis = \"VaultLocked\"\nclass = \"paused\"\nsay = \"locked until {until}\"").unwrap();
    let named = decode::causes::name_again(&without.output, &[&abi], &table).unwrap();
    assert_eq!(
        (named.cause, named.reason.as_str(), named.rule.as_str()),
        (Cause::Paused, "locked until 17", "file:error:VaultLocked")
    );
    // Nothing came back, and the ABI knows no such function.
    let silent = Call { input: vec![7; 36], ..over(vec![], vec![]) };
    assert_eq!(with(Client::Geth, &silent, &Known(address(0xaa), abi.clone())).cause, Cause::NotFound);
    assert_eq!(
        with(Client::Geth, &Call { calls: vec![fine()], ..silent }, &Known(address(0xaa), abi)).cause,
        Cause::Opaque
    );
}

#[test]
fn what_came_back_in_odd_shapes() {
    let said = |output: Vec<u8>| find(Client::Geth, &over(output, vec![]));
    // Dirt in the padding, as old compilers leave it; and a text that was cut off.
    let mut dirty = text("UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT");
    *dirty.last_mut().unwrap() = 0x80;
    assert_eq!(said(dirty).cause, Cause::Slippage);
    let cut = text("Too little received");
    assert_eq!(said(cut[..4 + 64 + 19].to_vec()).cause, Cause::Slippage);
    // A text with nothing around it.
    assert_eq!(said(b"Too little received".to_vec()).cause, Cause::Slippage);
    assert_eq!(said(text("Too little received\0\0")).cause, Cause::Slippage);
    // Bytes that are neither.
    let it = said([&hex!("08c379a0")[..], &word(32), &word(2), &hex!("23a2"), &[0; 30]].concat());
    assert_eq!(it.cause, Cause::Custom);
    assert_eq!(said(vec![0xff; 33]).rule, "read:bytes");
    assert_eq!(said(hex!("54ec2a41").to_vec()).rule, "read:selector");
    // An error whose arguments are not there is named all the same.
    let it = said(hex!("e450d38c").to_vec());
    assert_eq!((it.cause, it.error_arguments), (Cause::Balance, None), "{}", it.reason);
    assert_eq!(said(panic(0x99)).rule, "read:panic");
    // What a contract writes does not disturb a line.
    let it = said(text("a\u{202e}b\nc\u{0}d"));
    assert!(it.reason.ends_with("says: a b c d"), "{:?}", it.reason);
    let long = said(text(&"é".repeat(5_000)));
    assert!(long.reason.len() <= 512 && long.output.len() == 1024);
}
