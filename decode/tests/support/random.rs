//! Random types, values and damage.

#![allow(dead_code)] // each test binary uses its part

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, Function, I256, U256, hex};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A parameter, with members that have names where it is made of tuples.
#[derive(Debug, Clone)]
pub struct Param {
    pub ty: DynSolType,
    pub name: String,
    pub members: Vec<Param>,
}

/// A random one; of tuples and arrays that nest up to `depth`.
pub fn param(rng: &mut Rng, depth: usize, at: usize) -> Param {
    let name = match rng.u8(..8) {
        0 => String::new(),
        // Twice, at times.
        1 => "same".to_owned(),
        _ => format!("p{at}"),
    };
    let mut members = Vec::new();
    let mut ty = if depth > 0 && rng.u8(..3) == 0 {
        let n = if depth > 8 { 1 } else { rng.usize(1..4) };
        members = (0..n).map(|i| param(rng, depth - 1, i)).collect();
        DynSolType::Tuple(members.iter().map(|m| m.ty.clone()).collect())
    } else {
        elementary(rng)
    };
    while nesting(&ty) < depth && rng.u8(..3) == 0 {
        let n = rng.usize(1..4);
        ty = match rng.bool() || n * words(&ty) > 500 {
            true => DynSolType::Array(Box::new(ty)),
            false => DynSolType::FixedArray(Box::new(ty), n),
        };
    }
    // Where much is allowed, now and then as deep as may be.
    if depth > 8 && rng.bool() {
        while nesting(&ty) < depth {
            ty = DynSolType::Array(Box::new(ty));
        }
    }
    Param { ty, name, members }
}

/// Words of a value, about.
fn words(ty: &DynSolType) -> usize {
    match ty {
        DynSolType::FixedArray(inner, n) => n * words(inner),
        DynSolType::Tuple(types) => types.iter().map(words).sum(),
        _ => 1,
    }
}

/// How deep a type nests.
pub fn nesting(ty: &DynSolType) -> usize {
    match ty {
        DynSolType::Array(inner) | DynSolType::FixedArray(inner, _) => 1 + nesting(inner),
        DynSolType::Tuple(types) => 1 + types.iter().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

/// What alloy says: its own encoding of what it reads must be the data, and the values must fit their types, which it does not look at.
/// It reads nothing that nests deeper than [`ALLOY_DEPTH`].
pub fn theirs(params: &[Param], data: &[u8]) -> Option<Value> {
    let ty = DynSolType::Tuple(params.iter().map(|p| p.ty.clone()).collect());
    let value = ty.abi_decode_params(data).ok()?;
    let DynSolValue::Tuple(values) = &value else { return None };
    (fits(&value) && value.abi_encode_params() == data).then(|| as_json(params, values))
}

/// How deep alloy reads, with room for what it counts itself.
pub const ALLOY_DEPTH: usize = 10;

fn fits(value: &DynSolValue) -> bool {
    match value {
        DynSolValue::Uint(n, bits) => *bits == 256 || n.bit_len() <= *bits,
        DynSolValue::Int(n, bits) => (*n << (256 - bits)).asr(256 - bits) == *n,
        DynSolValue::FixedBytes(word, size) => word[*size..].iter().all(|b| *b == 0),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) | DynSolValue::Tuple(values) => {
            values.iter().all(fits)
        }
        _ => true,
    }
}

fn elementary(rng: &mut Rng) -> DynSolType {
    match rng.u8(..9) {
        0 => DynSolType::Bool,
        1 => DynSolType::Address,
        2 => DynSolType::Function,
        3 => DynSolType::Int(8 * rng.usize(1..=32)),
        4 | 5 => DynSolType::Uint(8 * rng.usize(1..=32)),
        6 => DynSolType::FixedBytes(rng.usize(1..=32)),
        7 => DynSolType::Bytes,
        _ => DynSolType::String,
    }
}

fn write(p: &Param, ty: &DynSolType, out: &mut String) {
    match ty {
        DynSolType::Array(inner) => {
            write(p, inner, out);
            out.push_str("[]");
        }
        DynSolType::FixedArray(inner, n) => {
            write(p, inner, out);
            out.push_str(&format!("[{n}]"));
        }
        DynSolType::Tuple(_) => list(&p.members, out),
        ty => out.push_str(&ty.sol_type_name()),
    }
}

fn list(params: &[Param], out: &mut String) {
    out.push('(');
    for (i, p) in params.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(p, &p.ty, out);
        if !p.name.is_empty() {
            out.push(' ');
            out.push_str(&p.name);
        }
    }
    out.push(')');
}

/// A human-readable line.
pub fn line(name: &str, params: &[Param]) -> String {
    let mut out = name.to_owned();
    list(params, &mut out);
    out
}

/// A random value of a type; more small than large ones.
pub fn value(rng: &mut Rng, ty: &DynSolType) -> DynSolValue {
    let mut word = [0u8; 32];
    match rng.u8(..4) {
        0 => {}
        1 => word[31] = rng.u8(..),
        2 => word.fill(0xff),
        _ => rng.fill(&mut word),
    }
    let n = U256::from_be_bytes(word);
    match ty {
        DynSolType::Bool => DynSolValue::Bool(rng.bool()),
        DynSolType::Address => DynSolValue::Address(Address::from_slice(&word[12..])),
        DynSolType::Function => DynSolValue::Function(Function::from_slice(&word[8..])),
        DynSolType::Uint(bits) => DynSolValue::Uint(n >> (256 - bits), *bits),
        DynSolType::Int(bits) => DynSolValue::Int(I256::from_raw(n << (256 - bits)).asr(256 - bits), *bits),
        DynSolType::FixedBytes(size) => {
            word[*size..].fill(0);
            DynSolValue::FixedBytes(B256::from(word), *size)
        }
        DynSolType::Bytes => DynSolValue::Bytes((0..rng.usize(..70)).map(|_| rng.u8(..)).collect()),
        DynSolType::String => DynSolValue::String((0..rng.usize(..20)).map(|_| rng.char(..)).collect()),
        DynSolType::Array(inner) => DynSolValue::Array((0..rng.usize(..3)).map(|_| value(rng, inner)).collect()),
        DynSolType::FixedArray(inner, n) => DynSolValue::FixedArray((0..*n).map(|_| value(rng, inner)).collect()),
        DynSolType::Tuple(types) => DynSolValue::Tuple(types.iter().map(|ty| value(rng, ty)).collect()),
    }
}

fn json_of(p: &Param, value: &DynSolValue) -> Value {
    match value {
        DynSolValue::Bool(b) => json!(b),
        DynSolValue::Int(n, _) => json!(n.to_string()),
        DynSolValue::Uint(n, _) => json!(n.to_string()),
        DynSolValue::FixedBytes(word, size) => json!(hex::encode_prefixed(&word[..*size])),
        DynSolValue::Address(a) => json!(hex::encode_prefixed(a)),
        DynSolValue::Function(f) => json!(hex::encode_prefixed(f)),
        DynSolValue::Bytes(b) => json!(hex::encode_prefixed(b)),
        DynSolValue::String(s) => json!(s),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => values.iter().map(|v| json_of(p, v)).collect(),
        DynSolValue::Tuple(values) => as_json(&p.members, values),
    }
}

/// Arguments as they are to be written.
pub fn as_json(params: &[Param], values: &[DynSolValue]) -> Value {
    let (mut object, mut seen) = (Map::new(), std::collections::HashSet::new());
    for (i, (p, value)) in params.iter().zip(values).enumerate() {
        let name = if p.name.is_empty() || !seen.insert(&p.name) { i.to_string() } else { p.name.clone() };
        object.insert(name, json_of(p, value));
    }
    Value::Object(object)
}

/// Damaged data: words changed to other words, counts and offsets, bytes flipped, pieces cut out, doubled and appended.
pub fn damaged(rng: &mut Rng, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..rng.usize(1..3) {
        let words = data.len() / 32;
        let at = 32 * rng.usize(..words.max(1));
        let number = match rng.u8(..6) {
            0 => 0,
            1 => u64::MAX - rng.u64(..64),
            2 => data.len() as u64,
            3 => rng.u64(..5),
            _ => 32 * rng.u64(..words as u64 + 2),
        };
        match rng.u8(..8) {
            0 => data.truncate(rng.usize(..=data.len())),
            1 => data.extend(std::iter::repeat_n(if rng.bool() { 0 } else { rng.u8(..) }, rng.usize(1..65))),
            2 if words > 0 => drop(data.drain(at..at + 32)),
            3 if words > 0 => {
                let word = data[at..at + 32].to_vec();
                let to = 32 * rng.usize(..=words);
                data.splice(to..to, word);
            }
            4 | 5 if words > 0 => data[at..at + 32].copy_from_slice(&U256::from(number).to_be_bytes::<32>()),
            6 if words > 0 => data[at..at + 32].fill(rng.u8(..)),
            _ if !data.is_empty() => {
                let at = rng.usize(..data.len());
                data[at] ^= 1 << rng.u8(..8);
            }
            _ => {}
        }
    }
    data
}
