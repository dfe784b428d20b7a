//! Dead letters as records of the log.
//!
//! Guarantee: the original bytes are kept whatever their size, up to [`DEAD_LETTER_PARTS`] times what the topic takes in one
//! record: what does not fit into one is cut into parts that stand one after another and say so in the header [`PART`]. A letter
//! itself is never too large.

use bytes::Bytes;
use schemas::{
    codec::{Codec, Record as _},
    limits::{DEAD_LETTER_ERROR_BYTES, DEAD_LETTER_PARTS, RECORD_KEY_BYTES},
    records::{DeadLetter, dead_letter::PART},
    topics,
};

use super::{Headers, NewRecord, TopicPartition};

/// What a part takes beside the bytes of the original value: the prefix, and the length of a longer field.
const PART_SLACK: usize = 64;

/// The records of a letter, in order. `limit`: bytes that a value may have in `dead.letters`. `headers` stand on each.
pub fn records(codec: &Codec, mut letter: DeadLetter, limit: usize, headers: &Headers) -> Vec<NewRecord> {
    cut(&mut letter.error, DEAD_LETTER_ERROR_BYTES);
    if let Some(key) = letter.key.as_mut().filter(|key| key.len() > RECORD_KEY_BYTES) {
        key.truncate(RECORD_KEY_BYTES);
    }
    if let Ok(value) = codec.encode_within(&letter, limit) {
        return vec![record(&letter, value, headers.clone())];
    }
    let whole = letter.value.take().unwrap_or_default();
    let frame = codec.encode(&letter).map_or(limit, |empty| empty.len()) + PART_SLACK;
    let room = limit.saturating_sub(frame);
    if room == 0 || whole.len().div_ceil(room) > DEAD_LETTER_PARTS {
        letter.key = None;
        cut(&mut letter.error, 512);
        letter.error = format!("{} (the original of {} bytes is too large to be kept here)", letter.error, whole.len());
        return codec.encode(&letter).map(|value| record(&letter, value, headers.clone())).into_iter().collect();
    }
    let parts = whole.len().div_ceil(room);
    (0..parts)
        .filter_map(|i| {
            letter.value = Some(whole.slice(i * room..whole.len().min((i + 1) * room)));
            let value = codec.encode_within(&letter, limit).ok()?;
            let mut headers = headers.clone();
            headers.push((PART.into(), Bytes::from(format!("{}/{parts}", i + 1))));
            Some(record(&letter, value, headers))
        })
        .collect()
}

fn record(letter: &DeadLetter, value: Bytes, headers: Headers) -> NewRecord {
    NewRecord {
        to: TopicPartition { topic: topics::DEAD_LETTERS.name, partition: 0 },
        key: Some(letter.key().into()),
        value: Some(value),
        headers,
    }
}

fn cut(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;

    fn letter(value: Vec<u8>) -> DeadLetter {
        DeadLetter {
            source_topic: "raw.transactions".into(),
            source_partition: 1,
            source_offset: Some(7),
            stage: "enrich".into(),
            network: None,
            sequence: Some(3),
            index: Some(0),
            reason: "undecodable".into(),
            error: "é".repeat(5_000),
            key: Some(vec![1; 10_000].into()),
            value: Some(value.into()),
            failed_at: TimeMs(5),
        }
    }

    #[test]
    fn a_letter_of_any_size_keeps_its_bytes() {
        let codec = Codec::builtin();
        for (bytes, limit, parts) in [(10, 1 << 20, 1), (30_000, 20_000, 3), (100_000, 1 << 20, 1)] {
            let original: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
            let records = records(&codec, letter(original.clone()), limit, &Vec::new());
            assert_eq!(records.len(), parts);
            let mut back = Vec::new();
            for (i, record) in records.iter().enumerate() {
                assert!(record.value.as_ref().unwrap().len() <= limit);
                let part = record.headers.iter().find(|(name, _)| &**name == PART).map(|(_, v)| v.clone());
                assert_eq!(part, (parts > 1).then(|| Bytes::from(format!("{}/{parts}", i + 1))));
                let read: DeadLetter = codec.decode(record.value.as_ref().unwrap()).unwrap();
                assert!(read.error.len() <= DEAD_LETTER_ERROR_BYTES && read.key.unwrap().len() <= RECORD_KEY_BYTES);
                back.extend_from_slice(&read.value.unwrap());
            }
            assert_eq!(back, original);
        }
    }

    #[test]
    fn what_is_hopelessly_large_is_named_without_its_bytes() {
        let codec = Codec::builtin();
        let records = records(&codec, letter(vec![0; 2_000_000]), 10_000, &Vec::new());
        let read: DeadLetter = codec.decode(records[0].value.as_ref().unwrap()).unwrap();
        assert!(records.len() == 1 && read.value.is_none() && read.error.contains("2000000 bytes"), "{}", read.error);
    }
}
