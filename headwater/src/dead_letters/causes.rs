//! Why transactions failed whose rows a replay inserts (rules 14 and 16).
//!
//! Guarantee: a failed transaction of a letter has its one final record in `enriched.causes` like any other; where the sink read that before
//! the row was there, it found none. So the record is folded by whoever inserts the row, by the sink's own code, after the row: what is
//! told later the sink folds itself. A replay that was cut off between both does it the next time. Folding twice changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use runtime::config::Config;
use schemas::{Network, TimeMs, records::EnrichedCause, topics};
use serde_json::Value;
use store::{Store, sink::fold::fold};

use crate::{
    exit::Failure,
    tail::{self, Query},
};

/// Causes that are held until they are folded.
const TOGETHER: usize = 500;

/// Failed transactions that have a row by now, by network: sequence and position.
#[derive(Default)]
pub struct Failed(BTreeMap<Network, BTreeSet<(u64, u32)>>);

impl Failed {
    /// One more.
    pub fn add(&mut self, network: Network, sequence: u64, index: u32) {
        self.0.entry(network).or_default().insert((sequence, index));
    }

    /// Folds what the log has of them.
    ///
    /// # Errors
    /// What the log or the store says.
    pub async fn fold(&self, config: &Config, store: &Store) -> Result<(), Failure> {
        for (network, of) in &self.0 {
            let Some((first, _)) = of.first() else { continue };
            let query = Query { network: Some(network.clone()), from: first.to_string(), follow: false };
            let mut causes: Vec<EnrichedCause> = Vec::new();
            tail::each_line(config, topics::ENRICHED_CAUSES, query, async |line| {
                let record: Value = serde_json::from_str(line)?;
                let cause = cause(&record["value"]).filter(|c| of.contains(&(c.sequence, c.transaction_index)));
                causes.extend(cause);
                if causes.len() >= TOGETHER {
                    fold(store, network, &causes).await?;
                    causes.clear();
                }
                Ok(true)
            })
            .await?;
            fold(store, network, &causes).await?;
        }
        Ok(())
    }
}

/// What `tail` tells of a cause, as the record that it is of; none where it is not one.
fn cause(value: &Value) -> Option<EnrichedCause> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let number = |name: &str| value[name].as_u64();
    let time = |name: &str| value[name].as_i64().map(TimeMs);
    Some(EnrichedCause {
        network: parsed(value, "network")?,
        sequence: number("sequence")?,
        height: number("height")?,
        block_hash: parsed(value, "block_hash")?,
        block_time: time("block_time")?,
        transaction_index: number("transaction_index")?.try_into().ok()?,
        transaction_hash: parsed(value, "transaction_hash")?,
        revision: number("revision")?.try_into().ok()?,
        cause: text("cause")?,
        reason: text("reason")?,
        rule: text("rule"),
        found_by: parsed(value, "found_by")?,
        approximate: value["approximate"].as_bool()?,
        from_address: parsed(value, "from_address"),
        contract: parsed(value, "contract"),
        method: parsed(value, "method"),
        entry: parsed(value, "entry"),
        frame_address: parsed(value, "frame_address"),
        frame_depth: number("frame_depth").and_then(|depth| depth.try_into().ok()),
        error: text("error"),
        error_selector: parsed(value, "error_selector"),
        error_signature: text("error_signature"),
        error_arguments: text("error_arguments"),
        output: parsed(value, "output")?,
        calls: text("calls"),
        group: text("group"),
        found_at: time("found_at")?,
    })
}

fn parsed<T: FromStr>(value: &Value, name: &str) -> Option<T> {
    value[name].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, Bytes, FixedBytes};
    use schemas::{BlockHash, codec::Codec, records::CauseEvidence};

    use super::*;

    #[test]
    fn what_tail_tells_is_read_back_whole() {
        let bare = EnrichedCause {
            network: "eth".parse().expect("a slug"),
            sequence: 5,
            height: 6,
            block_hash: BlockHash::from(B256::repeat_byte(7)),
            block_time: TimeMs(8),
            transaction_index: 9,
            transaction_hash: B256::repeat_byte(10),
            revision: 1,
            cause: "slippage".into(),
            reason: "output 41 below the minimum 42".into(),
            rule: None,
            found_by: CauseEvidence::Receipt,
            approximate: true,
            from_address: None,
            contract: None,
            method: None,
            entry: None,
            frame_address: None,
            frame_depth: None,
            error: None,
            error_selector: None,
            error_signature: None,
            error_arguments: None,
            output: Bytes::new(),
            calls: None,
            group: None,
            found_at: TimeMs(11),
        };
        let address = |n| Some(Address::repeat_byte(n));
        let full = EnrichedCause {
            rule: Some("trace:x".into()),
            found_by: CauseEvidence::Trace,
            from_address: address(1),
            contract: address(2),
            method: Some(FixedBytes([1, 2, 3, 4])),
            entry: address(3),
            frame_address: address(4),
            frame_depth: Some(2),
            error: Some("execution \"reverted\"".into()),
            error_selector: Some(FixedBytes([5, 6, 7, 8])),
            error_signature: Some("Bad(uint256 it)".into()),
            error_arguments: Some("{\"it\":\"1\"}".into()),
            output: vec![1, 2, 3].into(),
            calls: Some("[]".into()),
            group: Some("g".into()),
            ..bare.clone()
        };
        let codec = Codec::builtin();
        for told in [bare, full] {
            let value = codec.decode_json(&codec.encode(&told).expect("encoded")).expect("JSON");
            assert_eq!(cause(&value), Some(told));
        }
        assert_eq!(cause(&Value::Null), None);
    }
}
