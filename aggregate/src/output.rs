//! Records of windows, and what the last of them says of how far their input was read.
//!
//! Guarantee: the newest record of a partition of `metrics.windows` names the offset of `enriched.blocks` below which all that was due is
//! published ([`READ`]): it is written in the transaction that this became true by, and a transaction without records publishes nothing.

use runtime::log::{
    Headers, Log, LogError, NewRecord, Record, TopicPartition, fold_from, header_name, membership::decided,
};
use schemas::{
    codec::{Codec, EncodeError, Record as _},
    records::Window,
    topics,
};

/// The header that says how far the input was read when the record was written.
pub const READ: &str = "read";
/// Offsets that are read back at first; sixteen times as many each time that no record of ours was among them.
const FIRST: u64 = 512;

/// A window with what is written of it. Trailing hours and days are merged from minutes and from hours that are over: these have their sketches; of the
/// others, what follows from them is told.
#[must_use]
pub fn as_written(window: Window) -> Window {
    let is_merged = window.window_seconds == 60 || window.window_seconds == 3_600 && window.complete;
    if is_merged { window } else { window.without_sketches() }
}

/// Its record.
pub fn record(codec: &Codec, partition: u32, window: Window, limit: usize) -> Result<NewRecord, EncodeError> {
    let window = as_written(window);
    let headers: Headers = window.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect();
    let value = codec.encode_within(&window, limit)?;
    let to = TopicPartition { topic: topics::METRICS_WINDOWS.name, partition };
    Ok(NewRecord { to, key: Some(window.key().into()), value: Some(value), headers })
}

/// Says on records how far the input was read.
pub fn say_read(records: &mut [NewRecord], read: u64) {
    let read = bytes_of(read);
    records.iter_mut().for_each(|record| record.headers.push((READ.into(), read.clone())));
}

fn bytes_of(read: u64) -> bytes::Bytes {
    read.to_string().into()
}

fn read_of(record: &Record) -> Option<u64> {
    std::str::from_utf8(record.header(READ)?).ok()?.parse().ok()
}

/// The offset of the input below which all that was due is published; `None`: nothing was ever published, or it is too long ago.
///
/// # Errors
/// What the log says.
pub async fn read_before(log: &dyn Log, partition: u32) -> Result<Option<u64>, LogError> {
    let at = TopicPartition { topic: topics::METRICS_WINDOWS.name, partition };
    decided(log, at).await?;
    let ends = log.watermarks(at).await?;
    let mut back = FIRST;
    loop {
        let from = ends.high.saturating_sub(back).max(ends.low);
        let mut read = None;
        fold_from(log, at, from, |record| {
            read = read_of(&record).or(read);
            Ok::<(), LogError>(())
        })
        .await?;
        if read.is_some() || from == ends.low {
            return Ok(read);
        }
        back = back.saturating_mul(16);
    }
}
