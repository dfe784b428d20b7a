//! `callTracer` of geth and of those that answer as it does (go-ethereum, `eth/tracers/native/call.go`).
//!
//! What differs between clients is met here: `to`, `value`, `output` and `calls` that are missing or `null`, numbers as hex or as
//! numbers, `error` that is an empty text, fields of their own (Arbitrum's `beforeEVMTransfers`, Erigon's gas), which are passed over.

use json_event_parser::JsonEvent;
use schemas::limits::traces as limits;

use super::{
    CallKind, Frame, TraceError,
    building::Building,
    json::{self, Events},
    text::cleaned,
};

pub(super) fn read(json: &[u8]) -> Result<Frame, TraceError> {
    let mut events = Events::of(json)?;
    let mut building = Building::default();
    match events.next()? {
        JsonEvent::StartObject => building.begin(Frame::default())?,
        JsonEvent::Null => return Err(TraceError::Nothing),
        _ => return Err(TraceError::Shape("it is no object")),
    }
    let mut known = false;
    loop {
        match events.next()? {
            JsonEvent::ObjectKey(key) => known |= field(&key, &mut events, &mut building)?,
            // A further call of the innermost.
            JsonEvent::StartObject => building.begin(Frame::default())?,
            JsonEvent::EndObject => {
                if let Some(root) = building.end()? {
                    events.end()?;
                    return if known { Ok(root) } else { Err(TraceError::Nothing) };
                }
            }
            JsonEvent::EndArray => {}
            _ => return Err(TraceError::Shape("among the calls stands something else")),
        }
    }
}

/// Reads the value of a key of the innermost call; of `calls` its begin. Whether it is a key that says that this is a call.
fn field(key: &str, events: &mut Events<'_>, building: &mut Building) -> Result<bool, TraceError> {
    if key == "calls" {
        match events.next()? {
            JsonEvent::StartArray => {}
            JsonEvent::Null => {}
            _ => return Err(TraceError::Shape("`calls` is no list")),
        }
        return Ok(false);
    }
    if !matches!(
        key,
        "type" | "from" | "to" | "value" | "gas" | "gasUsed" | "input" | "output" | "error" | "revertReason"
    ) {
        let begin = events.next()?;
        events.pass(&begin)?;
        return Ok(false);
    }
    let (Some(value), Some(frame)) = (events.scalar()?, building.current()) else { return Ok(false) };
    match key {
        "type" => frame.kind = CallKind::of(&value),
        "from" => frame.from = json::address(&value)?.unwrap_or_default(),
        "to" => frame.to = json::address(&value)?,
        "value" => frame.value = json::quantity(&value)?,
        "gas" => frame.gas = json::number(&value)?,
        "gasUsed" => frame.gas_used = json::number(&value)?,
        "input" => (frame.input, frame.input_len) = json::bytes(&value, limits::INPUT_BYTES)?,
        "output" => {
            (frame.output, frame.output_len) = json::bytes(&value, limits::OUTPUT_BYTES)?;
            frame.output_told = true;
        }
        "error" => frame.error = Some(cleaned(&value, limits::ERROR_BYTES)).filter(|word| !word.is_empty()),
        _ => frame.revert_reason = Some(cleaned(&value, limits::VALUE_BYTES)).filter(|word| !word.is_empty()),
    }
    Ok(matches!(key, "type" | "from" | "gas"))
}
