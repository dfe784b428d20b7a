//! A Bitcoin script as Bitcoin Core writes it in words (`asm`; the public datasets' `script_asm`).
//!
//! Guarantee: a function of the script's bytes, and of whether it is an input's own; word for word Core's `ScriptToAsmStr`. Never longer than there is
//! room for: a script whose words are longer is not told in part.

use std::{fmt::Write, sync::LazyLock};

/// A script in words, taken from so much room, bytes; `None` where that is not enough. `signs`: it is an input's own, in which signatures are
/// shown with what they sign (`[ALL]`).
pub fn of(script: &[u8], signs: bool, room: &mut usize) -> Option<String> {
    // Core: what cannot be spent has no signatures, however it looks.
    let signs = signs && script.first() != Some(&RETURN) && script.len() <= MOST;
    let (mut text, mut rest) = (String::new(), script);
    while let Some((opcode, behind)) = rest.split_first() {
        if !text.is_empty() {
            text.push(' ');
        }
        match push(*opcode, behind) {
            Push::None => {
                name(*opcode, &mut text);
                rest = behind;
            }
            Push::Of(data, behind) => {
                pushed(data, signs, &mut text);
                rest = behind;
            }
            Push::Broken => {
                text.push_str("[error]");
                rest = &[];
            }
        }
        if text.len() > *room {
            return None;
        }
    }
    *room -= text.len();
    Some(text)
}

const RETURN: u8 = 0x6a;
/// Bytes of a script that can be spent, at most (Core's `MAX_SCRIPT_SIZE`).
const MOST: usize = 10_000;
/// Bytes of what is read as a number.
const NUMBER: usize = 4;

/// What an opcode pushes.
enum Push<'s> {
    /// Nothing that follows it.
    None,
    /// These bytes, and what stands behind them.
    Of(&'s [u8], &'s [u8]),
    /// More than there is.
    Broken,
}

fn push(opcode: u8, behind: &[u8]) -> Push<'_> {
    let length = |bytes: usize| {
        let (length, rest) = behind.split_at_checked(bytes)?;
        let length = length.iter().rev().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
        rest.split_at_checked(length)
    };
    let found = match opcode {
        0x00..=0x4b => behind.split_at_checked(opcode.into()),
        0x4c => length(1),
        0x4d => length(2),
        0x4e => length(4),
        _ => return Push::None,
    };
    found.map_or(Push::Broken, |(data, rest)| Push::Of(data, rest))
}

fn pushed(data: &[u8], signs: bool, out: &mut String) {
    if data.len() <= NUMBER {
        // Writing into a text does not fail.
        _ = write!(out, "{}", number(data));
        return;
    }
    match data.split_last().filter(|_| signs && is_signature(data)) {
        Some((kind, signature)) => {
            out.push_str(&const_hex::encode(signature));
            let word = match kind & 0x1f {
                1 => "ALL",
                2 => "NONE",
                _ => "SINGLE",
            };
            let alone = if kind & 0x80 == 0 { "" } else { "|ANYONECANPAY" };
            _ = write!(out, "[{word}{alone}]");
        }
        None => out.push_str(&const_hex::encode(data)),
    }
}

/// Least byte first, the highest bit is the sign (Core's `CScriptNum`).
fn number(data: &[u8]) -> i64 {
    let Some((last, rest)) = data.split_last() else { return 0 };
    let of = |sum: i64, byte: &u8| (sum << 8) | i64::from(*byte);
    let size = rest.iter().rev().fold(i64::from(last & 0x7f), of);
    if last & 0x80 == 0 { size } else { -size }
}

/// Whether it is a signature in strict DER with a defined kind behind it (BIP-66, Core's `CheckSignatureEncoding` with `STRICTENC`).
fn is_signature(data: &[u8]) -> bool {
    let Some((kind, der)) = data.split_last() else { return false };
    let [0x30, length, rest @ ..] = der else { return false };
    let is_defined = (1..=3).contains(&(kind & 0x7f));
    let sizes = (9..=73).contains(&data.len()) && usize::from(*length) == rest.len();
    let of_two = integer(rest).and_then(integer).is_some_and(<[u8]>::is_empty);
    is_defined && sizes && of_two
}

/// What stands behind a DER integer that is positive and no longer than it must be.
fn integer(der: &[u8]) -> Option<&[u8]> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (integer, behind) = rest.split_at_checked(usize::from(*length))?;
    let is_good = match integer {
        [] => false,
        [0, second, ..] => second & 0x80 != 0,
        [first, ..] => first & 0x80 == 0,
    };
    is_good.then_some(behind)
}

/// Names of opcodes from 0x4f on, as Core's `GetOpName` has them.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| WORDS.split(' ').collect());
const WORDS: &str = "-1 OP_RESERVED 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 OP_NOP OP_VER OP_IF OP_NOTIF OP_VERIF OP_VERNOTIF \
    OP_ELSE OP_ENDIF OP_VERIFY OP_RETURN OP_TOALTSTACK OP_FROMALTSTACK OP_2DROP OP_2DUP OP_3DUP OP_2OVER \
    OP_2ROT OP_2SWAP OP_IFDUP OP_DEPTH OP_DROP OP_DUP OP_NIP OP_OVER OP_PICK OP_ROLL OP_ROT OP_SWAP OP_TUCK \
    OP_CAT OP_SUBSTR OP_LEFT OP_RIGHT OP_SIZE OP_INVERT OP_AND OP_OR OP_XOR OP_EQUAL OP_EQUALVERIFY \
    OP_RESERVED1 OP_RESERVED2 OP_1ADD OP_1SUB OP_2MUL OP_2DIV OP_NEGATE OP_ABS OP_NOT OP_0NOTEQUAL OP_ADD \
    OP_SUB OP_MUL OP_DIV OP_MOD OP_LSHIFT OP_RSHIFT OP_BOOLAND OP_BOOLOR OP_NUMEQUAL OP_NUMEQUALVERIFY \
    OP_NUMNOTEQUAL OP_LESSTHAN OP_GREATERTHAN OP_LESSTHANOREQUAL OP_GREATERTHANOREQUAL OP_MIN OP_MAX \
    OP_WITHIN OP_RIPEMD160 OP_SHA1 OP_SHA256 OP_HASH160 OP_HASH256 OP_CODESEPARATOR OP_CHECKSIG \
    OP_CHECKSIGVERIFY OP_CHECKMULTISIG OP_CHECKMULTISIGVERIFY OP_NOP1 OP_CHECKLOCKTIMEVERIFY \
    OP_CHECKSEQUENCEVERIFY OP_NOP4 OP_NOP5 OP_NOP6 OP_NOP7 OP_NOP8 OP_NOP9 OP_NOP10 OP_CHECKSIGADD";

/// The first opcode that has a name of its own.
const FIRST: u8 = 0x4f;

fn name(opcode: u8, out: &mut String) {
    let name = match opcode {
        0xff => "OP_INVALIDOPCODE",
        _ => opcode.checked_sub(FIRST).and_then(|at| NAMES.get(usize::from(at)).copied()).unwrap_or("OP_UNKNOWN"),
    };
    out.push_str(name);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::Value;

    use super::*;

    /// Scripts in a node's answer, with its words for them: (hex, words, whether it is an input's own).
    fn scripts(of: &Value, own: bool, all: &mut Vec<(String, String, bool)>) {
        match of {
            Value::Array(list) => list.iter().for_each(|inner| scripts(inner, own, all)),
            Value::Object(fields) => {
                if let (Some(hex), Some(words)) = (fields.get("hex"), fields.get("asm")) {
                    let text = |value: &Value| value.as_str().expect("a text").to_owned();
                    all.push((text(hex), text(words), own));
                }
                fields.iter().for_each(|(name, inner)| scripts(inner, name == "scriptSig", all));
            }
            _ => {}
        }
    }

    #[test]
    fn scripts_of_recorded_blocks_are_told_as_the_node_told_them() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin");
        let mut all = Vec::new();
        for file in ["regtest/scripts.json", "regtest/0000111-getblock3.json", "mainnet-rpc/0/getblock_v2.json"] {
            let text = fs::read_to_string(folder.join(file)).expect("a file");
            scripts(&serde_json::from_str(&text).expect("JSON"), false, &mut all);
        }
        let etl = folder.join("mainnet-rpc/etl-50001-50002/expected_transactions.json");
        for line in fs::read_to_string(etl).expect("a file").lines().filter(|line| !line.is_empty()) {
            let tx: Value = serde_json::from_str(line).expect("JSON");
            for (list, own) in [("inputs", true), ("outputs", false)] {
                for one in tx[list].as_array().expect("a list") {
                    let text = |name: &str| one[name].as_str().expect("a text").to_owned();
                    all.push((text("script_hex"), text("script_asm"), own));
                }
            }
        }
        assert!(all.len() > 10 && all.iter().any(|(_, words, _)| words.contains("[ALL]")), "{}", all.len());
        for (hex, words, own) in all {
            let script = const_hex::decode(&hex).expect("hex");
            assert_eq!(of(&script, own, &mut 100_000), Some(words), "{hex}");
        }
    }

    #[test]
    fn what_is_broken_odd_or_long_is_told_as_core_would() {
        let told = |hex: &str, own| of(&const_hex::decode(hex).expect("hex"), own, &mut 1_000).expect("room");
        assert_eq!(told("", false), "");
        assert_eq!(told("0051604f", false), "0 1 16 -1");
        // Numbers: 127, -127, 128, -1, 2^31 - 1; five bytes are none.
        assert_eq!(
            told("017f01ff0280000181 04ffffff7f 050000000001".replace(' ', "").as_str(), false),
            "127 -127 128 -1 2147483647 0000000001"
        );
        assert_eq!(told("76a914ab", false), "OP_DUP OP_HASH160 [error]");
        assert_eq!(told("4d05", false), "[error]");
        assert_eq!(
            told("4c0511223344554e0500000011223344 55".replace(' ', "").as_str(), false),
            "1122334455 1122334455"
        );
        assert_eq!(
            told("b1b2babbfeff", false),
            "OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY OP_CHECKSIGADD OP_UNKNOWN OP_UNKNOWN OP_INVALIDOPCODE"
        );
        // The least signature that there can be, of each kind; where nothing is spent it is data.
        for (kind, word) in [("01", "[ALL]"), ("83", "[SINGLE|ANYONECANPAY]"), ("02", "[NONE]")] {
            let script = format!("093006020101020101{kind}");
            assert_eq!(told(&script, true), format!("3006020101020101{word}"));
            assert_eq!(told(&script, false), format!("3006020101020101{kind}"));
            assert_eq!(told(&format!("6a{script}"), true), format!("OP_RETURN 3006020101020101{kind}"));
        }
        for (odd, why) in [
            ("09300602010102010104", "no kind of signature"),
            ("09300602018102010101", "negative"),
            ("0a30070202000102010101", "longer than it must be"),
            ("09300702010102010101", "another length"),
        ] {
            assert_eq!(told(odd, true), odd[2..], "{why}");
        }
        let mut room = 10;
        assert_eq!(of(&[0x51; 5], false, &mut room), Some("1 1 1 1 1".to_owned()));
        assert_eq!((of(&[0x51; 2], false, &mut room), room), (None, 1));
    }
}
