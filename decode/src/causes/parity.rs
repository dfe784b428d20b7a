use super::{Frame, TraceError};
pub(super) fn read(_: &[u8]) -> Result<Frame, TraceError> { Err(TraceError::Nothing) }
