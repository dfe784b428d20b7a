//! By a call made again, and by the receipt alone.

use alloy_primitives::hex;
use decode::causes::{CallAnswer, Cause, Failed, Table, by_call, by_receipt};

use super::{
    classes::{error, panic, text, word},
    clients::address,
};

fn call(message: &str, data: Option<&str>) -> (Cause, String) {
    let tx = Failed {
        from: address(0xee),
        to: Some(address(1)),
        input: &[1, 2, 3, 4],
        gas: 100_000,
        gas_used: 50_000,
        ..Failed::default()
    };
    let it = by_call(&CallAnswer::of_error(message, data), &tx, &(), Table::builtin());
    assert!(it.approximate && it.frame.is_none() && it.calls.is_none());
    (it.cause, it.rule)
}

#[test]
fn clients_refuse_a_call_in_their_own_ways() {
    let slippage = hex::encode_prefixed(text("Too little received"));
    for (message, data, cause) in [
        ("execution reverted: Too little received", Some(slippage.as_str()), Cause::Slippage),
        ("execution reverted", Some(&slippage), Cause::Slippage),
        ("execution reverted: Too little received", None, Cause::Slippage),
        ("VM execution error.", Some(&format!("Reverted {slippage}")), Cause::Slippage),
        (
            "VM Exception while processing transaction: reverted with reason Too little received",
            Some(&slippage),
            Cause::Slippage,
        ),
        ("execution reverted", None, Cause::Opaque),
        ("execution reverted", Some("0x"), Cause::Opaque),
        ("Reverted", None, Cause::Opaque),
        ("err: out of gas (supplied gas 50000000)", None, Cause::GasLimit),
        ("out of gas", None, Cause::GasLimit),
        ("EVM error OutOfGas", None, Cause::GasLimit),
        ("EVM error InvalidFEOpcode", None, Cause::Assert),
        ("invalid opcode: INVALID", None, Cause::Assert),
        ("EVM error: StackUnderflow", None, Cause::BadCode),
        ("invalid jump destination", None, Cause::BadCode),
        ("write protection", None, Cause::StaticWrite),
        ("insufficient funds for gas * price + value: address 0xb0b have 1 want 2", None, Cause::Funds),
        ("execution reverted: custom error 0xe450d38c", None, Cause::Balance),
        ("execution reverted", Some(&hex::encode_prefixed(panic(0x12))), Cause::Math),
        ("execution reverted", Some(&hex::encode_prefixed(error("WhoKnows()", &[]))), Cause::Custom),
        ("it is a secret", None, Cause::Unknown),
        ("execution reverted", Some("0xzz"), Cause::Opaque),
    ] {
        let (found, rule) = call(message, data);
        assert_eq!(found, cause, "{message} {data:?} {rule}");
    }
    let tx = Failed { gas: 100_000, gas_used: 50_000, ..Failed::default() };
    let it = by_call(&CallAnswer::Returned, &tx, &(), Table::builtin());
    assert_eq!((it.cause, it.rule.as_str(), it.approximate), (Cause::Unknown, "read:goes_well_before", true));
    let tx = Failed { gas: 100_000, gas_used: 100_000, ..Failed::default() };
    assert_eq!(by_call(&CallAnswer::Returned, &tx, &(), Table::builtin()).cause, Cause::GasLimit);
}

#[test]
fn what_a_receipt_tells_alone() {
    let swap = [
        &hex!("38ed1739")[..],
        &word(10),
        &word(42),
        &word(160),
        &word(0xb0b),
        &word(1_700_000_000),
        &word(2),
        &word(1),
        &word(2),
    ]
    .concat();
    let tx = Failed {
        to: Some(address(1)),
        input: &swap,
        gas: 200_000,
        gas_used: 30_000,
        block_time: Some(1_699_999_999),
        ..Failed::default()
    };
    let said = |tx: Failed<'_>| {
        let it = by_receipt(&tx, Table::builtin());
        (it.cause, it.rule, it.approximate)
    };
    assert_eq!(said(tx), (Cause::Slippage, "call:swap*".to_owned(), true));
    let late = Failed { block_time: Some(1_700_000_001), ..tx };
    assert_eq!(said(late), (Cause::Deadline, "read:deadline".to_owned(), false));
    assert!(by_receipt(&late, Table::builtin()).reason.contains("1 too late"));
    assert_eq!(said(Failed { gas_used: 200_000, ..late }), (Cause::GasLimit, "read:all_gas".to_owned(), true));
    assert_eq!(said(Failed { gas_used: 199_000, ..tx }), (Cause::GasLimit, "read:nearly_all_gas".to_owned(), true));
    assert_eq!(
        said(Failed { same_call: Some((Cause::Paused, "it is paused")), ..tx }),
        (Cause::Paused, "read:same_call".to_owned(), true)
    );
    assert_eq!(said(Failed { same_call: Some((Cause::Opaque, "")), ..tx }).0, Cause::Slippage);
    assert_eq!(said(Failed { input: &[1, 2, 3, 4], ..tx }), (Cause::Unknown, "read:nothing".to_owned(), true));
    assert_eq!(said(Failed { to: None, ..tx }).0, Cause::Unknown);
    assert_eq!(said(Failed::default()).0, Cause::Unknown);
}
