//! The calls on the way to the one that failed, and those beside it, as JSON of bounded length.

use std::fmt::Write;

use alloy_primitives::hex;
use schemas::limits::traces as limits;

use super::{Frame, text::cleaned, verdict::shown, way::Step};
use crate::write;

/// Of a node's word in it.
const ERROR_BYTES: usize = 48;
/// What a level takes beside its call and the calls beside that.
const LEVEL_BYTES: usize = 48;
/// Levels that are shown of the begin of a long way.
const FIRST: usize = 6;

/// A call of the way, and those that it made beside the next one.
struct Level<'f> {
    frame: &'f Frame,
    head: String,
    before: Vec<String>,
    after: Vec<String>,
    left_out: usize,
    /// Levels that are left out between it and the one above.
    skipped: usize,
}

/// Writes the tree. Of a long way levels in the middle are left out (`left_out_levels`), of the calls beside it those that stand farthest
/// from it (`left_out`).
pub(super) fn of(steps: &[Step<'_>]) -> Option<String> {
    let last = steps.len().checked_sub(1)?;
    let mut levels: Vec<Level<'_>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let rest = limits::TREE_LEVELS - FIRST;
        if steps.len() > limits::TREE_LEVELS && at >= FIRST && at + rest < steps.len() {
            continue;
        }
        let skipped = if at == steps.len() - rest.min(steps.len()) && steps.len() > limits::TREE_LEVELS {
            steps.len() - limits::TREE_LEVELS
        } else {
            0
        };
        let mut head = call(step.frame);
        if at == last {
            head.push_str(",\"failed_here\":true");
        }
        levels.push(Level { frame: step.frame, head, before: Vec::new(), after: Vec::new(), left_out: 0, skipped });
    }
    let own: usize = levels.iter().map(|level| level.head.len() + LEVEL_BYTES).sum();
    let mut room = limits::TREE_BYTES.saturating_sub(own);
    // The deepest first: what stands there tells most.
    for at in (0..levels.len()).rev() {
        let next = levels.get(at + 1).map(|level| level.frame);
        let Some(level) = levels.get_mut(at) else { continue };
        let calls = &level.frame.calls;
        let split = next.and_then(|next| calls.iter().position(|call| std::ptr::eq(call, next)));
        let (before, after) = match split {
            Some(split) => (calls.get(..split).unwrap_or_default(), calls.get(split + 1..).unwrap_or_default()),
            None => (&calls[..], &calls[..0]),
        };
        level.left_out = usize::try_from(level.frame.left_out).unwrap_or(usize::MAX);
        let mut take = |calls: &mut dyn Iterator<Item = &Frame>| {
            let (mut texts, mut left_out) = (Vec::new(), 0);
            for frame in calls {
                if room == 0 {
                    left_out += 1;
                    continue;
                }
                let text = call(frame);
                match room.checked_sub(text.len() + 3) {
                    Some(rest) => {
                        room = rest;
                        texts.push(text);
                    }
                    None => {
                        room = 0;
                        left_out += 1;
                    }
                }
            }
            (texts, left_out)
        };
        let (mut nearest, out) = take(&mut before.iter().rev());
        nearest.reverse();
        let (behind, more) = take(&mut after.iter());
        level.left_out = level.left_out.saturating_add(out + more);
        (level.before, level.after) = (nearest, behind);
    }
    let mut text = String::with_capacity(limits::TREE_BYTES);
    for (at, level) in levels.iter().enumerate() {
        text.push('{');
        text.push_str(&level.head);
        // Writing to a text cannot fail.
        if level.skipped > 0 {
            _ = write!(text, ",\"left_out_levels\":{}", level.skipped);
        }
        if level.left_out > 0 {
            _ = write!(text, ",\"left_out\":{}", level.left_out);
        }
        text.push_str(",\"calls\":[");
        for (i, call) in level.before.iter().enumerate() {
            _ = write!(text, "{}{{{call}}}", if i > 0 { "," } else { "" });
        }
        if at + 1 < levels.len() && !level.before.is_empty() {
            text.push(',');
        }
    }
    for level in levels.iter().rev() {
        for call in &level.after {
            _ = write!(text, ",{{{call}}}");
        }
        text.push_str("]}");
    }
    (text.len() <= limits::TREE_BYTES).then_some(text)
}

/// A call's own keys, without the brackets around them.
fn call(frame: &Frame) -> String {
    let mut text = format!("\"type\":\"{}\"", frame.kind.word());
    if let Some(to) = frame.to {
        _ = write!(text, ",\"to\":\"{}\"", shown(to));
    }
    _ = write!(text, ",\"value\":\"{}\",\"gas\":{},\"gas_used\":{}", frame.value, frame.gas, frame.gas_used);
    if let Some(selector) = frame.input.first_chunk::<4>().filter(|_| !frame.kind.is_creation()) {
        _ = write!(text, ",\"method\":\"{}\"", hex::encode_prefixed(selector));
    }
    if let Some(error) = &frame.error {
        text.push_str(",\"error\":");
        write::text(&cleaned(error, ERROR_BYTES), &mut text);
    }
    text
}
