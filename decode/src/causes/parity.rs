//! `trace_transaction` as Parity wrote it, and Erigon, Nethermind, Reth and Besu do: a flat list, each call with its place in the tree.
//! What `trace_replayTransaction` wraps around it is taken too.
//!
//! Most clients leave out what a failed call gave back; Erigon and Reth tell it as `result.output`, Besu as `revertReason`.

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
    let mut output = None;
    let mut root = None;
    match events.next()? {
        JsonEvent::StartArray => root = list(&mut events)?,
        JsonEvent::Null => {}
        JsonEvent::StartObject => loop {
            match events.next()? {
                JsonEvent::ObjectKey(key) if key == "trace" => match events.next()? {
                    JsonEvent::StartArray => root = list(&mut events)?,
                    other => events.pass(&other)?,
                },
                JsonEvent::ObjectKey(key) if key == "output" => output = events.scalar()?,
                JsonEvent::ObjectKey(_) => {
                    let begin = events.next()?;
                    events.pass(&begin)?;
                }
                _ => break,
            }
        },
        _ => return Err(TraceError::Shape("it is no list")),
    }
    events.end()?;
    let mut root = root.ok_or(TraceError::Nothing)?;
    if let Some(output) = output.filter(|_| root.error.is_some() && root.output.is_empty()) {
        (root.output, root.output_len) = json::bytes(&output, limits::OUTPUT_BYTES)?;
    }
    Ok(root)
}

/// The calls of a list whose begin is read; they stand in the order in which they were made.
fn list(events: &mut Events<'_>) -> Result<Option<Frame>, TraceError> {
    let mut building = Building::default();
    // The place of the innermost call that is open.
    let mut path: Vec<u64> = Vec::new();
    let mut root = None;
    let mut of = None;
    loop {
        match events.next()? {
            JsonEvent::StartObject => {}
            JsonEvent::EndArray => break,
            _ => return Err(TraceError::Shape("among the calls stands something else")),
        }
        let Some(item) = item(events)? else { continue };
        if item.transaction.is_some() && *of.get_or_insert_with(|| item.transaction.clone()) != item.transaction {
            return Err(TraceError::Shape("it has calls of several transactions"));
        }
        let depth = item.place.len();
        while building.depth() > depth.max(1) {
            building.end()?;
            path.pop();
        }
        let parent = depth.checked_sub(1).and_then(|depth| item.place.get(..depth));
        let fits = match parent {
            None => building.depth() == 0,
            Some(parent) => building.depth() == depth && path.get(..depth - 1) == Some(parent),
        };
        if !fits {
            return Err(TraceError::Shape("its calls are out of order"));
        }
        building.begin(item.frame)?;
        path = item.place;
    }
    while building.depth() > 0 {
        root = building.end()?;
    }
    Ok(root)
}

#[derive(Default)]
struct Item {
    frame: Frame,
    place: Vec<u64>,
    transaction: Option<String>,
}

/// One of them, whose begin is read; `None` of what is no call (a block's reward).
fn item(events: &mut Events<'_>) -> Result<Option<Item>, TraceError> {
    let mut item = Item::default();
    let mut kind = String::new();
    let mut says = None;
    loop {
        let key = match events.next()? {
            JsonEvent::ObjectKey(key) => key,
            JsonEvent::EndObject => break,
            _ => return Err(TraceError::Shape("a call is no object")),
        };
        match &*key {
            "action" | "result" => match events.next()? {
                JsonEvent::StartObject => parts(events, &mut item.frame)?,
                other => events.pass(&other)?,
            },
            "traceAddress" => match events.next()? {
                JsonEvent::StartArray => place(events, &mut item.place)?,
                _ => return Err(TraceError::Shape("`traceAddress` is no list")),
            },
            "type" => kind = events.scalar()?.unwrap_or_default().into_owned(),
            "error" => item.frame.error = events.scalar()?.map(|word| cleaned(&word, limits::ERROR_BYTES)),
            "revertReason" => says = events.scalar()?,
            "transactionHash" => item.transaction = events.scalar()?.map(|hash| cleaned(&hash, 80)),
            _ => {
                let begin = events.next()?;
                events.pass(&begin)?;
            }
        }
    }
    let frame = &mut item.frame;
    match kind.as_str() {
        "reward" => return Ok(None),
        "create" if frame.kind != CallKind::Create2 => frame.kind = CallKind::Create,
        "suicide" | "selfdestruct" => frame.kind = CallKind::SelfDestruct,
        _ => {}
    }
    frame.error = frame.error.take().filter(|word| !word.is_empty());
    if frame.error.is_some() && frame.kind.is_creation() {
        frame.to = None;
    }
    match says {
        Some(hex) if frame.output.is_empty() && hex.starts_with("0x") => {
            (frame.output, frame.output_len) = json::bytes(&hex, limits::OUTPUT_BYTES)?;
            frame.output_told = true;
        }
        Some(text) if !text.starts_with("0x") => {
            frame.revert_reason = Some(cleaned(&text, limits::VALUE_BYTES)).filter(|text| !text.is_empty());
        }
        _ => {}
    }
    Ok(Some(item))
}

/// What stands in `action` or in `result`.
fn parts(events: &mut Events<'_>, frame: &mut Frame) -> Result<(), TraceError> {
    loop {
        let key = match events.next()? {
            JsonEvent::ObjectKey(key) => key,
            JsonEvent::EndObject => return Ok(()),
            _ => return Err(TraceError::Shape("an action is no object")),
        };
        let Some(value) = events.scalar()? else { continue };
        match &*key {
            "callType" | "creationMethod" => frame.kind = CallKind::of(&value),
            // `address` of a result is the new contract's, of an action the one that ends.
            "from" => frame.from = json::address(&value)?.unwrap_or_default(),
            "to" | "refundAddress" | "address" => frame.to = json::address(&value)?,
            "gas" => frame.gas = json::number(&value)?,
            "gasUsed" => frame.gas_used = json::number(&value)?,
            "value" | "balance" => frame.value = json::quantity(&value)?,
            "input" | "init" => (frame.input, frame.input_len) = json::bytes(&value, limits::INPUT_BYTES)?,
            "output" => {
                (frame.output, frame.output_len) = json::bytes(&value, limits::OUTPUT_BYTES)?;
                frame.output_told = true;
            }
            _ => {}
        }
    }
}

fn place(events: &mut Events<'_>, place: &mut Vec<u64>) -> Result<(), TraceError> {
    place.clear();
    loop {
        match events.next()? {
            JsonEvent::Number(n) if place.len() < limits::DEPTH => {
                place.push(n.parse().map_err(|_| TraceError::Shape("a place is no number"))?);
            }
            JsonEvent::Number(_) => return Err(TraceError::TooDeep),
            JsonEvent::EndArray => return Ok(()),
            _ => return Err(TraceError::Shape("`traceAddress` has something else")),
        }
    }
}
