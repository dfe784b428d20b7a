//! A trace's calls while they are read: what cannot be why it failed is let go of at once, and the rest counted.

use schemas::limits::traces as limits;

use super::{Frame, TraceError};

/// Calls that are open, the transaction first.
#[derive(Default)]
pub(super) struct Building {
    open: Vec<Open>,
    /// Bytes of all that is kept.
    held: usize,
}

struct Open {
    frame: Frame,
    /// Bytes of its calls that are kept.
    inside: usize,
}

impl Building {
    /// How many are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// # Errors
    /// Where it would nest too deep.
    pub(super) fn begin(&mut self, frame: Frame) -> Result<(), TraceError> {
        if self.open.len() >= limits::DEPTH {
            return Err(TraceError::TooDeep);
        }
        self.open.push(Open { frame, inside: 0 });
        Ok(())
    }

    /// The innermost that is open.
    pub(super) fn current(&mut self) -> Option<&mut Frame> {
        self.open.last_mut().map(|open| &mut open.frame)
    }

    /// Ends the innermost; the transaction, where it was the last.
    pub(super) fn end(&mut self) -> Result<Option<Frame>, TraceError> {
        let Some(Open { mut frame, inside }) = self.open.pop() else { return Ok(None) };
        let mut bytes = inside;
        if frame.kind.is_delegated() {
            frame.value = Default::default();
        }
        if frame.error.is_none() {
            self.held -= inside;
            bytes = 0;
            frame.left_out = frame.left_out.saturating_add(count(frame.calls.len()));
            frame.calls = Vec::new();
            frame.input.truncate(4);
            frame.input.shrink_to_fit();
            frame.output = Vec::new();
            frame.revert_reason = None;
        }
        let own = size(&frame);
        self.held += own;
        if self.held > limits::FRAMES_BYTES {
            return Err(TraceError::TooLarge);
        }
        let Some(parent) = self.open.last_mut() else { return Ok(Some(frame)) };
        parent.inside += bytes + own;
        let calls = &mut parent.frame.calls;
        calls.push(frame);
        if calls.len() >= limits::SIBLINGS && calls.len() % (limits::SIBLINGS / 2) == 0 {
            // Of the older half those that went well go.
            let (before, half) = (calls.len(), calls.len() / 2);
            let (mut at, mut freed) = (0, 0);
            calls.retain(|call| {
                at += 1;
                let keep = at > half || call.error.is_some();
                freed += if keep { 0 } else { size(call) };
                keep
            });
            parent.frame.left_out = parent.frame.left_out.saturating_add(count(before - parent.frame.calls.len()));
            parent.inside -= freed;
            self.held -= freed;
        }
        Ok(None)
    }
}

/// What one takes, without its calls.
fn size(frame: &Frame) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
    size_of::<Frame>()
        + frame.input.capacity()
        + frame.output.capacity()
        + text(&frame.error)
        + text(&frame.revert_reason)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
