//! JSON as a node sent it, event by event: nothing is built of what is not asked for, and nesting costs a byte a level.

use std::borrow::Cow;

use alloy_primitives::{Address, U256};
use json_event_parser::{JsonEvent, SliceJsonParser};
use schemas::limits::traces as limits;

use super::TraceError;

pub(super) struct Events<'j> {
    parser: SliceJsonParser<'j>,
}

impl<'j> Events<'j> {
    /// # Errors
    /// What is longer than [`limits::TRACE_BYTES`].
    pub(super) fn of(json: &'j [u8]) -> Result<Self, TraceError> {
        if json.len() > limits::TRACE_BYTES {
            return Err(TraceError::TooLong(json.len()));
        }
        Ok(Self { parser: SliceJsonParser::new(json) })
    }

    pub(super) fn next(&mut self) -> Result<JsonEvent<'j>, TraceError> {
        self.parser.parse_next().map_err(|e| TraceError::Json(super::text::cleaned(e.message(), limits::ERROR_BYTES)))
    }

    /// Passes a value over, its begin being read.
    pub(super) fn pass(&mut self, begin: &JsonEvent<'_>) -> Result<(), TraceError> {
        let mut depth = match begin {
            JsonEvent::StartArray | JsonEvent::StartObject => 1u64,
            _ => 0,
        };
        while depth > 0 {
            match self.next()? {
                JsonEvent::StartArray | JsonEvent::StartObject => depth += 1,
                JsonEvent::EndArray | JsonEvent::EndObject => depth -= 1,
                JsonEvent::Eof => return Err(TraceError::Shape("it ends too early")),
                _ => {}
            }
        }
        Ok(())
    }

    /// A value that may be a text or a number; anything else is passed over and is `None`.
    pub(super) fn scalar(&mut self) -> Result<Option<Cow<'j, str>>, TraceError> {
        match self.next()? {
            JsonEvent::String(text) | JsonEvent::Number(text) => Ok(Some(text)),
            other => self.pass(&other).map(|()| None),
        }
    }

    /// Nothing may stand behind.
    pub(super) fn end(&mut self) -> Result<(), TraceError> {
        match self.next()? {
            JsonEvent::Eof => Ok(()),
            _ => Err(TraceError::Shape("something stands behind it")),
        }
    }
}

/// `0x…` or decimal; what is over 2^64 is 2^64 − 1.
pub(super) fn number(text: &str) -> Result<u64, TraceError> {
    Ok(u64::try_from(quantity(text)?).unwrap_or(u64::MAX))
}

/// `0x…` or decimal.
pub(super) fn quantity(text: &str) -> Result<U256, TraceError> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() {
        return Ok(U256::ZERO);
    }
    U256::from_str_radix(digits, radix).map_err(|_| TraceError::Shape("a number is none"))
}

/// An address; `None` where nothing stands.
pub(super) fn address(text: &str) -> Result<Option<Address>, TraceError> {
    match text {
        "" | "0x" => Ok(None),
        text => text.parse().map(Some).map_err(|_| TraceError::Shape("an address is none")),
    }
}

/// The first `most` bytes of a hex text, and how many there are.
pub(super) fn bytes(text: &str, most: usize) -> Result<(Vec<u8>, usize), TraceError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let first = digits.as_bytes().get(..digits.len().min(2 * most)).unwrap_or_default();
    let bytes = const_hex::decode(first).map_err(|_| TraceError::Shape("bytes are no hex"))?;
    Ok((bytes, digits.len() / 2))
}
