//! What a failed call gave back: `Error(string)`, `Panic(uint256)`, custom errors, and errors inside of errors.
//!
//! `Error(string)` is read more loosely than anything else is decoded: old compilers leave dirt in its padding, and what tracers cut off
//! or contracts put together by hand is a text all the same. Arguments of custom errors are exact or not there.

use std::sync::Arc;

use alloy_primitives::U256;
use schemas::limits::traces as limits;

use super::{Table, text::cleaned, values::Values};
use crate::{Abi, builtin};

/// `Error(string)` (Solidity, section Error handling).
pub(super) const TEXT: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
pub(super) const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

const WORD: usize = 32;

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing came back.
    Nothing,
    /// A text, cleaned.
    Text(String),
    /// A panic's code.
    Panic(U256),
    /// A custom error whose signature is known; arguments where they are its one encoding.
    Error,
    /// One that nobody here knows.
    Selector,
    /// Bytes that are none of these.
    Bytes,
}

/// What was read, of the innermost error.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) said: Said,
    pub(super) selector: Option<[u8; 4]>,
    /// With names.
    pub(super) signature: Option<Arc<str>>,
    pub(super) arguments: Option<String>,
    /// The data of each layer, the outermost first.
    pub(super) layers: Vec<Vec<u8>>,
    /// A text that the error around it gives: `AA23 reverted`.
    pub(super) around: Option<String>,
}

impl Reading {
    /// The signature with types alone: `V4TooLittleReceived(uint256,uint256)`.
    pub(super) fn types(&self) -> Option<String> {
        self.signature.as_deref().map(types)
    }
}

/// Reads data that came back, by ABIs, then by the table of public signatures.
pub(super) fn read(abis: &[&Abi], data: &[u8], table: &Table) -> Reading {
    let mut layers = vec![data.to_vec()];
    let mut around = None;
    loop {
        let data = layers.last().map(Vec::as_slice).unwrap_or_default();
        let mut reading = one(abis, data);
        let inner =
            if layers.len() < limits::WRAPPED { inside(abis, data, &mut reading, &mut around, table) } else { None };
        match inner {
            Some(inner) => layers.push(inner),
            None => return Reading { layers, around, ..reading },
        }
    }
}

/// What is inside of it, where it wraps something.
fn inside(
    abis: &[&Abi],
    data: &[u8],
    reading: &mut Reading,
    around: &mut Option<String>,
    table: &Table,
) -> Option<Vec<u8>> {
    match reading.said {
        // Data inside of a text need be no text.
        Said::Text(_) | Said::Bytes => nested(abis, text_bytes(data)?),
        Said::Error => {
            let wrapper = table.wrapper(&reading.types()?)?;
            let values = Values::of(reading.arguments.as_deref()?);
            let text = wrapper.text.and_then(|at| values.at(at));
            if let Some(text) = text.map(|text| cleaned(&text, limits::VALUE_BYTES)).filter(|text| !text.is_empty()) {
                // The innermost that says something.
                *around = Some(text);
            }
            let hex = wrapper.data.and_then(|at| values.at(at));
            let inner = hex.and_then(|hex| const_hex::decode(hex).ok()).filter(|inner| !inner.is_empty());
            if inner.is_none()
                && wrapper.text.is_some()
                && let Some(text) = around.clone()
            {
                reading.said = Said::Text(text);
            }
            inner
        }
        _ => None,
    }
}

fn one(abis: &[&Abi], data: &[u8]) -> Reading {
    let bare =
        |said| Reading { said, selector: None, signature: None, arguments: None, layers: Vec::new(), around: None };
    if data.is_empty() {
        return bare(Said::Nothing);
    }
    let Some((selector, rest)) = data.split_first_chunk::<4>() else {
        return readable(data).map_or_else(|| bare(Said::Bytes), |text| bare(Said::Text(text)));
    };
    let own = |text: &str| Some(Arc::<str>::from(text));
    match *selector {
        TEXT if text_bytes(data).is_some() => {
            let bytes = text_bytes(data).unwrap_or_default();
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => Some(text),
                // What was cut off may end inside of a letter.
                Err(e) if e.error_len().is_none() => {
                    bytes.get(..e.valid_up_to()).and_then(|bytes| std::str::from_utf8(bytes).ok())
                }
                Err(_) => None,
            };
            let text = text.map(|text| cleaned(text, limits::VALUE_BYTES));
            let arguments = text.as_ref().map(|text| serde_json::json!({ "reason": text }).to_string());
            let said = text.map_or(Said::Bytes, Said::Text);
            let signature = own("Error(string reason)");
            return Reading { selector: Some(*selector), signature, arguments, ..bare(said) };
        }
        PANIC if rest.len() == WORD => {
            let code = U256::from_be_slice(rest);
            let arguments = Some(format!("{{\"code\":\"{code}\"}}"));
            let signature = own("Panic(uint256 code)");
            return Reading { selector: Some(*selector), signature, arguments, ..bare(Said::Panic(code)) };
        }
        _ => {}
    }
    if let Some(decoded) = crate::error(abis, data) {
        let (signature, arguments) = (Some(decoded.signature), Some(decoded.arguments));
        return Reading { selector: Some(*selector), signature, arguments, ..bare(Said::Error) };
    }
    // A text without anything around it, as contracts in assembly write; four letters alone are a selector.
    if data.len() > 4
        && let Some(text) = readable(data)
    {
        return bare(Said::Text(text));
    }
    let named = abis.iter().copied().chain([builtin()]).find_map(|abi| abi.errors(*selector).next());
    let signature = named.map(|error| error.signature.clone());
    let said = match signature {
        Some(_) => Said::Error,
        // Selectors are followed by words.
        None if rest.len() % WORD == 0 => Said::Selector,
        None => return bare(Said::Bytes),
    };
    Reading { selector: Some(*selector), signature, ..bare(said) }
}

/// The bytes of `Error(string)`'s text, as many as there are.
fn text_bytes(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&TEXT)?;
    let offset = number(rest, 0)?;
    let length = number(rest, offset)?;
    let text = rest.get(offset.checked_add(WORD)?..)?;
    Some(text.get(..length.min(text.len())).unwrap_or_default())
}

fn number(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..)?.first_chunk::<WORD>()?;
    let (high, low) = word.split_last_chunk::<8>()?;
    (*high == [0; 24]).then(|| usize::try_from(u64::from_be_bytes(*low)).ok())?
}

/// Data inside of a text: as bytes, or as hex.
fn nested(abis: &[&Abi], text: &[u8]) -> Option<Vec<u8>> {
    let bytes = match text.strip_prefix(b"0x") {
        Some(hex) => const_hex::decode(hex.trim_ascii_end()).ok().filter(|bytes| bytes.len() >= 4)?,
        None => text.to_vec(),
    };
    let selector = bytes.first_chunk::<4>()?;
    let known = abis.iter().copied().chain([builtin()]).any(|abi| abi.errors(*selector).next().is_some());
    // Four letters may be a selector by chance, and a text is one.
    let is_text = std::str::from_utf8(text).is_ok_and(|text| !text.contains('\0')) && !text.starts_with(b"0x");
    (known && !is_text || text.starts_with(b"0x")).then_some(bytes)
}

/// Text that people can read, of at least three letters.
fn readable(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim_end_matches('\0');
    let good = text.len() >= 3 && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    let text = cleaned(text, limits::VALUE_BYTES);
    (good && text.chars().any(char::is_alphanumeric)).then_some(text)
}

/// A signature without names.
pub(super) fn types(signature: &str) -> String {
    let mut out = String::with_capacity(signature.len());
    let mut name = false;
    for c in signature.chars() {
        match c {
            ',' | ')' | '(' => name = false,
            ' ' => name = !out.ends_with(','),
            _ => {}
        }
        if !name && c != ' ' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_without_names() {
        for (with, without) in [
            ("F()", "F()"),
            ("Error(string reason)", "Error(string)"),
            (
                "E(address a, uint256, (bytes4 x, (bytes y)[] z)[2] w, bool)",
                "E(address,uint256,(bytes4,(bytes)[])[2],bool)",
            ),
        ] {
            assert_eq!(types(with), without);
        }
    }
}
