//! A dead letter put together from its parts.

use std::collections::HashMap;

use schemas::records::dead_letter::PART;
use serde_json::Value;

/// A dead letter as `tail` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// Offset of its first record.
    pub offset: u64,
    /// Stage that gave up.
    pub stage: String,
    /// Topic that the record was read from or meant for.
    pub source_topic: String,
    /// The network, when known.
    pub network: Option<String>,
    /// The sequence, when known.
    pub sequence: Option<u64>,
    /// Position in the block, when known.
    pub index: Option<u32>,
    /// Why.
    pub reason: String,
    /// Why, in words.
    pub error: String,
    /// The original bytes, whole.
    pub original: Option<Vec<u8>>,
}

/// Collects parts. A letter in one part comes out at once.
#[derive(Default)]
pub struct Parts(HashMap<String, (Letter, usize)>);

impl Parts {
    /// Takes a record of `dead.letters`, as a line of `tail`; gives the letter that is whole with it.
    pub fn add(&mut self, record: &Value) -> Option<Letter> {
        let value = &record["value"];
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let bytes = value["value"].as_str().map(|hex| const_hex::decode(hex).unwrap_or_default());
        let letter = Letter {
            offset: record["offset"].as_u64()?,
            stage: text("stage")?,
            source_topic: text("source_topic")?,
            network: text("network"),
            sequence: value["sequence"].as_u64(),
            index: value["index"].as_u64().and_then(|n| n.try_into().ok()),
            reason: text("reason")?,
            error: text("error")?,
            original: bytes,
        };
        let Some((part, of)) = part_of(record) else { return Some(letter) };
        // Parts of a letter are alike but for their bytes.
        let mut same = value.clone();
        same["value"] = Value::Null;
        let same = same.to_string();
        if part == 1 {
            self.0.insert(same.clone(), (letter, 1));
        } else {
            let (first, seen) = self.0.get_mut(&same)?;
            if *seen + 1 != part {
                self.0.remove(&same); // a part was removed by retention
                return None;
            }
            *seen = part;
            first.original.get_or_insert_default().extend(letter.original.unwrap_or_default());
        }
        let whole = self.0.get(&same).is_some_and(|(_, seen)| *seen == of);
        whole.then(|| self.0.remove(&same)).flatten().map(|(letter, _)| letter)
    }
}

fn part_of(record: &Value) -> Option<(usize, usize)> {
    let (part, of) = record["headers"][PART].as_str()?.split_once('/')?;
    Some((part.parse().ok()?, of.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(offset: u64, sequence: u64, part: Option<&str>, bytes: &str) -> Value {
        json!({"offset": offset, "headers": part.map_or(json!({}), |p| json!({"part": p})), "value": {
            "stage": "enrich", "source_topic": "raw.transactions", "network": "n", "sequence": sequence, "index": 3,
            "reason": "undecodable", "error": "e", "value": bytes,
        }})
    }

    #[test]
    fn parts_are_put_together_however_letters_interleave() {
        let mut parts = Parts::default();
        assert_eq!(parts.add(&record(1, 1, None, "0x01")).unwrap().original, Some(vec![1]));
        assert_eq!(parts.add(&record(2, 2, Some("1/3"), "0x01")), None);
        assert_eq!(parts.add(&record(3, 3, Some("1/2"), "0x0a")), None);
        assert_eq!(parts.add(&record(4, 2, Some("2/3"), "0x02")), None);
        assert_eq!(parts.add(&record(5, 3, Some("2/2"), "0x0b")).unwrap().original, Some(vec![10, 11]));
        let letter = parts.add(&record(6, 2, Some("3/3"), "0x03")).unwrap();
        assert_eq!((letter.offset, letter.index, letter.original), (2, Some(3), Some(vec![1, 2, 3])));
        // The first part is gone: nothing is made of the rest.
        assert_eq!(parts.add(&record(7, 9, Some("2/2"), "0x03")), None);
    }
}
