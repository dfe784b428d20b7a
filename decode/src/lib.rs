//! What calls, events and errors of EVM contracts say: names, types and exact values, by ABIs and by a table of public signatures.
//!
//! Guarantee: nothing is guessed. What is decoded is, byte for byte, the canonical encoding of what is written (Contract ABI
//! Specification); anything else, trailing bytes too, is `None` and stays raw. Where several signatures share a selector or a topic, the
//! first that decodes exactly and has the right number of topics wins: those of the ABIs that are given, in their order, before those of
//! the table. Nothing panics, whatever the bytes; time is that of their length, and sizes have limits (`schemas::limits::decoding`). No
//! I/O, no clocks: a function of ABIs and bytes.

mod abi;
mod builtin;
pub mod causes;
mod exact;
pub mod facts;
mod inner;
mod lines;
mod movements;
mod text;
mod types;
mod write;

use std::sync::Arc;

pub use abi::Abi;
use alloy_primitives::B256;
pub use builtin::builtin;
pub use inner::{InnerCall, InnerCalls, inner_calls};
pub use lines::{LineError, item};
pub use movements::{Movement, Movements, Standard, WRAPPED, movements};
pub use text::text;

/// By what something was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// By the ABI with this position among those that were given.
    Abi(usize),
    /// By the table of public signatures.
    Builtin,
}

/// Something decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// With names and `indexed`: `Transfer(address indexed from, address indexed to, uint256 value)`.
    pub signature: Arc<str>,
    /// A JSON object by the parameters' names; by position (`"0"`) where there is no name or another one had it before. Integers are
    /// decimal texts, bytes and addresses lower-case hex texts, lists arrays, tuples objects. Of an indexed parameter that is no value
    /// type the hash is there, which is all that the log has.
    pub arguments: String,
    /// By what.
    pub source: Source,
}

/// The same without the arguments, which were appended to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// As in [`Decoded::signature`].
    pub signature: &'a Arc<str>,
    /// By what.
    pub source: Source,
}

/// Decodes the calldata of a call to a contract whose ABIs are `abis`.
pub fn call(abis: &[&Abi], input: &[u8]) -> Option<Decoded> {
    owned(|out| call_into(abis, input, out))
}

/// The same; the arguments are appended to `out`, to which nothing is done where there is nothing.
#[inline]
pub fn call_into<'a>(abis: &[&'a Abi], input: &[u8], out: &mut String) -> Option<Found<'a>> {
    let (selector, data) = input.split_first_chunk::<4>()?;
    each(abis, |abi| {
        abi.functions(*selector).find(|it| attempt(out, |out| it.decode(data, out))).map(|it| &it.signature)
    })
}

/// Decodes what a call gave back when it was reverted: `Error(string)`, `Panic(uint256)`, custom errors.
pub fn error(abis: &[&Abi], data: &[u8]) -> Option<Decoded> {
    owned(|out| error_into(abis, data, out))
}

/// The same; the arguments are appended to `out`, to which nothing is done where there is nothing.
pub fn error_into<'a>(abis: &[&'a Abi], data: &[u8], out: &mut String) -> Option<Found<'a>> {
    let (selector, data) = data.split_first_chunk::<4>()?;
    each(abis, |abi| abi.errors(*selector).find(|it| attempt(out, |out| it.decode(data, out))).map(|it| &it.signature))
}

/// Decodes a log of a contract whose ABIs are `abis`.
pub fn event(abis: &[&Abi], topics: &[B256], data: &[u8]) -> Option<Decoded> {
    owned(|out| event_into(abis, topics, data, out))
}

/// The same; the arguments are appended to `out`, to which nothing is done where there is nothing.
#[inline]
pub fn event_into<'a>(abis: &[&'a Abi], topics: &[B256], data: &[u8], out: &mut String) -> Option<Found<'a>> {
    let mut exact = |it: &abi::Logged, topics: &[B256]| {
        attempt(out, |out| exact::event(&it.fields, &it.indexed, topics, data, out))
    };
    if let Some((first, rest)) = topics.split_first() {
        let found = each(abis, |abi| {
            abi.events(*first).find(|it| it.topics == topics.len() && exact(it, rest)).map(|it| &it.signature)
        });
        if found.is_some() {
            return found;
        }
    }
    each(abis, |abi| {
        abi.anonymous.iter().find(|it| it.topics == topics.len() && exact(it, topics)).map(|it| &it.signature)
    })
}

/// The selector of a function's signature, with or without names: `transfer(address,uint256)`.
pub fn selector(signature: &str) -> Option<[u8; 4]> {
    match lines::item(&format!("function {}", signature.trim())) {
        Ok(Some(alloy_json_abi::AbiItem::Function(f))) => Some(f.selector().0),
        _ => None,
    }
}

#[inline]
fn each<'a>(abis: &[&'a Abi], mut found: impl FnMut(&'a Abi) -> Option<&'a Arc<str>>) -> Option<Found<'a>> {
    for (at, abi) in abis.iter().enumerate() {
        if let Some(signature) = found(abi) {
            return Some(Found { signature, source: Source::Abi(at) });
        }
    }
    found(builtin()).map(|signature| Found { signature, source: Source::Builtin })
}

/// Whether it succeeds; otherwise the text is as it was.
#[inline]
fn attempt(out: &mut String, decode: impl FnOnce(&mut String) -> Option<()>) -> bool {
    let before = out.len();
    let done = decode(out).is_some();
    if !done {
        out.truncate(before);
    }
    done
}

fn owned<'a>(decode: impl FnOnce(&mut String) -> Option<Found<'a>>) -> Option<Decoded> {
    let mut arguments = String::new();
    let found = decode(&mut arguments)?;
    Some(Decoded { signature: found.signature.clone(), arguments, source: found.source })
}
