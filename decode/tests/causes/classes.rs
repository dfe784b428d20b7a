//! Every class, by what contracts and nodes say, in the call itself and three calls deep.

use alloy_primitives::{U256, hex, keccak256};
use decode::causes::{Cause, Failed, Table, by_trace};

use super::clients::{ALL, Call, Client, address, read};

pub fn word(n: u64) -> [u8; 32] {
    U256::from(n).to_be_bytes()
}

pub fn text(text: &str) -> Vec<u8> {
    let padding = vec![0; text.len().next_multiple_of(32) - text.len()];
    [&hex!("08c379a0")[..], &word(32), &word(text.len() as u64), text.as_bytes(), &padding].concat()
}

pub fn panic(code: u64) -> Vec<u8> {
    [&hex!("4e487b71")[..], &word(code)].concat()
}

pub fn error(signature: &str, words: &[u64]) -> Vec<u8> {
    let mut data = keccak256(signature)[..4].to_vec();
    words.iter().for_each(|n| data.extend(word(*n)));
    data
}

/// What a call gave back, or the node's word, and the class with a part of the sentence.
/// What a frame ended with, data or an error's word; its class; and what its sentence has.
type Case = (Result<Vec<u8>, &'static str>, Cause, &'static str);

fn cases() -> Vec<Case> {
    use Cause::*;
    vec![
        (Ok(error("V4TooLittleReceived(uint256,uint256)", &[42, 41])), Slippage, "41, which is below the minimum 42"),
        (Ok(text("Too little received")), Slippage, "less than the minimum"),
        (Ok(text("PancakeRouter: EXCESSIVE_INPUT_AMOUNT")), Slippage, "more than the maximum"),
        (Ok(text("UniswapV2Router: EXPIRED")), Deadline, "too late"),
        (Ok(error("SignatureExpired(uint256)", &[1_700_000_000])), Deadline, "its deadline was 1700000000"),
        (
            Ok(error("ERC20InsufficientAllowance(address,uint256,uint256)", &[0xb0b, 5, 9])),
            Allowance,
            "may take 5 of the token",
        ),
        (Ok(text("ERC20: insufficient allowance")), Allowance, "has to approve more"),
        (Ok(error("ERC20InsufficientBalance(address,uint256,uint256)", &[0xb0b, 5, 9])), Balance, "has 5 of the token"),
        (Ok(text("ERC20: transfer amount exceeds balance")), Balance, "too few tokens"),
        (
            Ok(error("InsufficientBalance(uint256,uint256)", &[5, 9])),
            Funds,
            "has 5 of the chain's own coin, and 9 are needed",
        ),
        (Err("insufficient balance for transfer"), Funds, "too little of the chain's own coin"),
        (Ok(text("UniswapV2: INSUFFICIENT_LIQUIDITY")), Liquidity, "too little"),
        (Err("out of gas"), GasLimit, "the gas ran out"),
        (Err("contract creation code storage out of gas"), GasLimit, "the gas ran out"),
        (Ok(error("OwnableUnauthorizedAccount(address)", &[0xb0b])), Access, "may not do this"),
        (Ok(text("AccessControl: account 0xb0b is missing role 0x00")), Access, "may not do this"),
        (Ok(error("EnforcedPause()", &[])), Paused, "paused"),
        (Ok(text("ReentrancyGuard: reentrant call")), Reentrancy, "entered again"),
        (Ok(panic(0x11)), Math, "0x11"),
        (Ok(panic(0x12)), Math, "divided by zero"),
        (Ok(error("SafeCastOverflowedUintDowncast(uint8,uint256)", &[128, 7])), Math, "7 does not fit into 128 bits"),
        (Ok(panic(0x32)), Bounds, "0x32"),
        (Err("return data out of bounds"), Bounds, "read more"),
        (Ok(panic(1)), Assert, "a bug in it"),
        (Ok(text("ECDSA: invalid signature length")), Signature, "signature"),
        (Ok(error("InvalidAccountNonce(address,uint256)", &[0xb0b, 7])), Signature, "is 7"),
        (Ok(text("Initializable: contract is already initialized")), State, "done already"),
        (Ok(error("AlreadyClaimed()", &[])), State, "AlreadyClaimed"),
        (Err("contract address collision"), State, "a contract already"),
        (Ok(error("ZeroAmount()", &[])), Input, "ZeroAmount"),
        (Ok(panic(0x21)), Input, "0x21"),
        (Ok(error("ERC721NonexistentToken(uint256)", &[12])), NotFound, "no token 12"),
        (Ok(error("SafeERC20FailedOperation(address)", &[0xb0b])), TransferFailed, "could not be handed over"),
        (Ok(text("STF")), TransferFailed, "could not be taken"),
        (Err("invalid jump destination"), BadCode, "broken"),
        (Err("stack underflow (0 <=> 2)"), BadCode, "broken"),
        (Ok(error("AddressEmptyCode(address)", &[0xb0b])), BadCode, "no code at"),
        (Err("write protection"), StaticWrite, "may only read"),
        (Ok(text("Chainlink: stale price")), Oracle, "price from outside"),
        (Ok(error("ERC4626ExceededMaxDeposit(address,uint256,uint256)", &[0xb0b, 9, 5])), Limits, "no more than 5"),
        (Ok(text("35")), Limits, "collateral"),
        (Err("max call depth exceeded"), Limits, "nest deeper"),
        (Err("failed deposit: insufficient balance"), Bridge, "deposit"),
        (Ok(error("InvalidProof()", &[])), Bridge, "proof"),
        (Ok(wrapped_text("FailedOp(uint256,string)", 0, "AA23 reverted")), Wallet, "AA23"),
        (Ok(text("the moon is not full")), Custom, "says: the moon is not full"),
        (Ok(error("WhoKnows(uint256)", &[7])), Custom, "nobody here knows"),
        (Ok(vec![]), Opaque, "gave no reason"),
    ]
}

/// An error with a number and a text.
pub fn wrapped_text(signature: &str, n: u64, text: &str) -> Vec<u8> {
    let padding = vec![0; text.len().next_multiple_of(32) - text.len()];
    [&error(signature, &[n, 64, text.len() as u64])[..], text.as_bytes(), &padding].concat()
}

pub fn failing(said: &Result<Vec<u8>, &'static str>, to: u8) -> Call {
    let (error, output) = match said {
        Ok(output) => ("execution reverted", output.clone()),
        Err(word) => (*word, Vec::new()),
    };
    let input = [&hex!("deadbeef")[..], &word(1)].concat();
    let gas_used = if said.is_ok() { 30_000 } else { 1_000_000 };
    Call { kind: "CALL", to, gas: 1_000_000, gas_used, input, output, error: Some(error), ..Call::default() }
}

/// Calls above it, each of which hands on what came back.
pub fn deep(leaf: Call, levels: u8) -> Call {
    let mut call = leaf;
    for level in 0..levels {
        let fine = Call {
            kind: "STATICCALL",
            to: 0x70,
            gas: 1_000,
            gas_used: 100,
            input: vec![1, 2, 3, 4],
            output: vec![1; 32],
            ..Call::default()
        };
        let output = call.output.clone();
        // Whoever called one that halted has nothing to hand on, and reverts without a word.
        let gas = call.gas * 64 / 63 + 1;
        call = Call {
            kind: "CALL",
            to: 0x50 + level,
            gas,
            gas_used: gas - gas / 64,
            input: vec![5, 6, 7, 8],
            output,
            error: Some("execution reverted"),
            calls: vec![fine, call],
            ..Call::default()
        };
    }
    call
}

#[test]
fn each_class_in_the_call_itself_and_three_calls_deep() {
    let mut met = std::collections::BTreeSet::new();
    for (said, cause, words) in cases() {
        for client in ALL {
            for levels in [0, 3] {
                let root = deep(failing(&said, 0xcc), levels);
                let frame = read(client, &root);
                let tx = Failed {
                    from: address(0xee),
                    to: Some(address(root.to)),
                    input: &root.input,
                    gas: root.gas + 21_000,
                    gas_used: root.gas_used + 21_000,
                    ..Failed::default()
                };
                let it = by_trace(&frame, &tx, &(), Table::builtin());
                let about = format!("{client:?}, {levels} deep, {said:?}: {it:?}");
                let hidden = client == Client::ParityHidden && said.is_ok();
                let old = client == Client::OldBesu
                    && levels > 0
                    && (said.is_err() || said.as_ref().is_ok_and(Vec::is_empty));
                if hidden || old {
                    // No reason is there to be read, or it looks like gas.
                    assert!(matches!(it.cause, Cause::Opaque | Cause::GasLimit), "{about}");
                    continue;
                }
                assert!(it.cause == cause && it.reason.contains(words), "{cause} {words}\n{about}");
                met.insert(it.cause);
                assert!(it.reason.len() <= 512 && !it.rule.is_empty() && !it.approximate, "{about}");
                assert_eq!(it.entry, Some(address(root.to)), "{about}");
                // A caller's word on another's transfer is the caller's, where nothing tells more.
                let own = client == Client::OldGeth
                    && levels > 0
                    && matches!(cause, Cause::TransferFailed | Cause::BadCode | Cause::Wallet);
                if client != Client::OldBesu
                    && !own
                    && !(client == Client::OldGeth
                        && said.as_ref().is_ok_and(|data| !data.starts_with(&hex!("08c379a0"))))
                {
                    // Of a call that never began its caller failed.
                    let began = levels == 0
                        || !matches!(said, Err("insufficient balance for transfer" | "max call depth exceeded"));
                    let (frame, depth) = if began { (0xcc, levels) } else { (0x50, levels - 1) };
                    assert_eq!((it.frame, it.depth), (Some(address(frame)), depth.into()), "{about}");
                }
                if let Ok(data) = &said
                    && data.len() >= 4
                {
                    assert!(it.error_selector.is_some() && it.output == data[..data.len().min(1024)], "{about}");
                }
                let calls: serde_json::Value = serde_json::from_str(it.calls.as_deref().expect("calls")).expect("JSON");
                let mut at = &calls;
                for _ in 0..it.depth {
                    at = at["calls"]
                        .as_array()
                        .and_then(|calls| calls.iter().rev().find(|call| call["calls"].is_array()))
                        .expect("the way");
                }
                assert!(at["failed_here"] == true, "{about}");
            }
        }
    }
    let left: Vec<_> = Cause::ALL.iter().filter(|cause| !met.contains(*cause)).collect();
    assert_eq!(left, [&Cause::Unknown]);
}

#[test]
fn every_word_is_its_class() {
    for cause in Cause::ALL {
        assert_eq!(Cause::of(cause.word()), Some(*cause));
        assert!(!cause.about().is_empty());
    }
    assert_eq!((Cause::ALL.len(), Cause::of("out_of_gas")), (27, None));
}
