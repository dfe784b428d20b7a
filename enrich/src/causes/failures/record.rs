//! The record of a decided cause.
//!
//! Guarantee: texts have the sizes that [`limits`] names, so that every record is far below what topics take.

use alloy_primitives::Bytes;
use decode::causes::Finding;
use runtime::log::{Headers, NewRecord, TopicPartition, header_name};
use schemas::{
    TimeMs,
    codec::{Codec, EncodeError, Record as _},
    limits::causes as limits,
    records::{CauseEvidence, EnrichedCause},
    topics,
};

use super::{item::Item, letters::LETTER};

/// The header that says how far the stream had been read, by whomever, when the record was written: whoever takes the partition over
/// reads back to the first record that had not seen what he begins with.
pub const READ: &str = "read";
/// Every failure has one record, the final one.
const REVISION: u8 = 1;

/// A decided cause.
pub struct Decided {
    /// What was found.
    pub finding: Finding,
    /// By what.
    pub found_by: CauseEvidence,
    /// What it was counted with, where it was not looked at.
    pub group: Option<String>,
}

/// What is written of it.
pub fn cause(item: &Item, decided: Decided) -> EnrichedCause {
    let Decided { finding: f, found_by, group } = decided;
    EnrichedCause {
        network: item.network.clone(),
        sequence: item.sequence,
        height: item.height,
        block_hash: item.block_hash.clone(),
        block_time: item.block_time,
        transaction_index: item.transaction.transaction_index,
        transaction_hash: item.transaction.hash,
        revision: REVISION,
        cause: f.cause.word().to_owned(),
        reason: cut(f.reason, limits::REASON_BYTES),
        rule: Some(cut(f.rule, limits::WORDS_BYTES)).filter(|rule| !rule.is_empty()),
        found_by,
        approximate: f.approximate || matches!(found_by, CauseEvidence::Call | CauseEvidence::Budget),
        from_address: Some(item.transaction.from_address),
        contract: item.transaction.to_address,
        method: item.method(),
        entry: f.entry,
        frame_address: f.frame,
        frame_depth: f.frame.map(|_| f.depth),
        error: f.error.map(|error| cut(error, limits::WORDS_BYTES)),
        error_selector: f.error_selector.map(Into::into),
        error_signature: f.error_signature.map(|signature| cut(signature, limits::REASON_BYTES)),
        // Half a JSON document is none.
        error_arguments: f.error_arguments.filter(|json| json.len() <= limits::ARGUMENTS_BYTES),
        output: f.output.get(..limits::OUTPUT_BYTES).unwrap_or(&f.output).to_vec().into(),
        calls: f.calls.filter(|json| json.len() <= limits::CALLS_BYTES),
        group: group.map(|group| cut(group, limits::WORDS_BYTES)),
        found_at: TimeMs::now(),
    }
}

/// The same for the log; `read`: how far the stream was read; `letter`: the offset of the dead letter that the transaction came from, in
/// its place. Without calls and output where they make it too large for the topic.
///
/// # Errors
/// Even so it is too large.
pub fn encode(
    codec: &Codec,
    partition: u32,
    cause: EnrichedCause,
    read: u64,
    letter: Option<u64>,
    limit: usize,
) -> Result<NewRecord, EncodeError> {
    let mut headers: Headers = cause.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect();
    headers.push(match letter {
        Some(offset) => (LETTER.into(), offset.to_string().into()),
        None => (READ.into(), read.to_string().into()),
    });
    let to = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition };
    let key = cause.key();
    let value = codec.encode_within(&cause, limit).or_else(|_| {
        let bare = EnrichedCause { calls: None, error_arguments: None, output: Bytes::new(), ..cause };
        codec.encode_within(&bare, limit)
    })?;
    Ok(NewRecord { to, key: Some(key.into()), value: Some(value), headers })
}

/// At most so many bytes, whole characters.
fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
    text
}
