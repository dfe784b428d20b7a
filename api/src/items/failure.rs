//! Why transactions failed, in JSON: of one, of many in groups, and a cause that is told live.

use std::collections::BTreeMap;

use decode::causes::Cause;
use schemas::{TimeMs, records::EnrichedCause};
use serde::Serialize;
use serde_json::value::RawValue;
use store::query::{Failure, FailureGroup};
use utoipa::ToSchema;

/// Why a transaction failed, with the evidence.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureItem {
    /// The class, as a word such as `slippage`; null where nothing is known yet.
    pub cause: Option<String>,
    /// The sentence for people; null where nothing is known yet.
    pub reason: Option<String>,
    /// By what it was found: `trace`, `call` (repeated on the parent block: `approximate`), `receipt` (nothing more was to be had), or
    /// `budget` (one of many alike: see `group`). Null while it is not decided.
    pub found_by: Option<String>,
    /// The evidence is of a repetition in which the block's earlier transactions are missing.
    pub approximate: bool,
    /// The row of the table of causes that matched.
    pub rule: Option<String>,
    /// With what it was counted, where one of many alike was looked at.
    pub group: Option<String>,
    /// The contract that was called.
    pub entry: Option<String>,
    /// What it is called; null where nobody says.
    pub entry_name: Option<String>,
    /// The deepest call that failed; null where there is no trace.
    pub frame: Option<FrameItem>,
    /// What the node says of that call, such as `execution reverted`.
    pub error: Option<String>,
    /// First four bytes of what it gave back: the selector of the error.
    pub error_selector: Option<String>,
    /// Signature of the error with names, where it is known.
    pub error_signature: Option<String>,
    /// Its arguments by name, integers as decimal strings; null where it is not known.
    #[schema(value_type = Option<Object>)]
    pub error_arguments: Option<Box<RawValue>>,
    /// What the call gave back, hex: its first KiB.
    pub output: Option<String>,
    /// The calls on the way to the one that failed, and beside it: `type`, `to`, `value`, `gas`, `gas_used`, `method`, `error`,
    /// `failed_here`, and `calls` of the same form.
    #[schema(value_type = Option<Object>)]
    pub calls: Option<Box<RawValue>>,
    /// What contracts of `calls` are called, by address.
    #[schema(value_type = Object)]
    pub names: BTreeMap<String, String>,
    /// Whose ABI the error was named by on reading: `yours`, `operator`, a source of ABIs, or `builtin`; null where it was named when the
    /// cause was found.
    pub source: Option<String>,
    /// Error, sentence and class are of what was not known yet when the cause was found, or of an ABI of yours.
    pub late: bool,
    /// The cause is still being looked for.
    pub pending: bool,
    /// When the cause was found; null while it is not.
    #[schema(format = DateTime)]
    pub found_at: Option<String>,
}

/// A call of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Frame)]
pub struct FrameItem {
    /// The called contract; null where it was to be created.
    pub address: Option<String>,
    /// What it is called; null where nobody says.
    pub name: Option<String>,
    /// How deep it is: 0 is the transaction's own call.
    pub depth: u16,
}

impl FailureItem {
    /// From the row, without names. `pending`: nothing final is stored of it, and it failed a short while ago.
    pub fn from_row((cause, reason): (Option<&str>, Option<&str>), row: &Failure, pending: bool) -> Self {
        let frame = row.frame_depth.map(|depth| FrameItem { address: row.frame_address.clone(), name: None, depth });
        Self {
            cause: cause.map(str::to_owned),
            reason: reason.map(str::to_owned),
            found_by: row.found_by.clone(),
            approximate: row.approximate,
            rule: row.rule.clone(),
            group: row.group.clone(),
            entry: row.entry.clone(),
            entry_name: None,
            frame,
            error: row.error.clone(),
            error_selector: row.error_selector.clone(),
            error_signature: row.error_signature.clone(),
            error_arguments: json(row.error_arguments.as_deref()),
            output: row.output.clone(),
            calls: json(row.calls.as_deref()),
            names: BTreeMap::new(),
            source: None,
            late: false,
            pending,
            found_at: row.found_at.map(TimeMs::rfc3339),
        }
    }

    /// Why it failed, in a sentence for people, whatever is known.
    pub fn sentence(&self) -> String {
        match (&self.reason, &self.cause, self.pending) {
            (Some(reason), ..) => reason.clone(),
            (None, Some(word), _) => match Cause::of(word) {
                Some(cause) => format!("It failed ({word}: {})", cause.about()),
                None => format!("It failed ({word}); nothing more is known of it"),
            },
            (None, None, true) => "It failed; why is being looked for".to_owned(),
            (None, None, false) => "It failed; why is not known".to_owned(),
        }
    }
}

fn json(text: Option<&str>) -> Option<Box<RawValue>> {
    text.and_then(|text| RawValue::from_string(text.to_owned()).ok())
}

/// Transactions that failed alike within a time: for the same cause and with the same error, calling the same function of the same contract.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = FailureGroup)]
pub struct FailureGroupItem {
    /// The network's slug.
    pub network: String,
    /// The class, as a word; null while nothing is known.
    pub cause: Option<String>,
    /// Selector of the called function; null for plain transfers and contract creations.
    pub method: Option<String>,
    /// Name of the called function; null where it is not known.
    pub method_name: Option<String>,
    /// The called contract; null where one was to be created.
    pub contract: Option<String>,
    /// What it is called; null where nobody says.
    pub contract_name: Option<String>,
    /// Selector of the error; null where nothing came back.
    pub error_selector: Option<String>,
    /// Its signature, where it is known.
    pub error_signature: Option<String>,
    /// The sentence of the example.
    pub reason: Option<String>,
    /// How many failed so.
    pub count: u64,
    /// Their share of all that failed, 0 to 1.
    pub share: f64,
    /// How many in each of 24 equal parts of the time, the oldest first.
    pub trend: Vec<u64>,
    /// Hash of the newest one.
    pub example: String,
    /// Time of its block.
    #[schema(format = DateTime)]
    pub last_at: String,
}

impl FailureGroupItem {
    /// From the store's group, without the contract's name; `failed`: how many failed altogether.
    pub fn from_row(row: &FailureGroup, failed: u64) -> Self {
        let name = |signature: &String| signature.split('(').next().filter(|name| !name.is_empty()).map(str::to_owned);
        let share = if failed == 0 { 0.0 } else { (row.count as f64 / failed as f64).min(1.0) };
        Self {
            network: row.network.clone(),
            cause: row.cause.clone(),
            method: row.method.clone(),
            method_name: row.call.as_ref().and_then(name),
            contract: row.contract.clone(),
            contract_name: None,
            error_selector: row.error_selector.clone(),
            error_signature: row.error_signature.clone(),
            reason: row.reason.clone(),
            count: row.count,
            share: (share * 1e6).round() / 1e6,
            trend: row.trend.clone(),
            example: row.example.clone(),
            last_at: row.last_at.rfc3339(),
        }
    }
}

/// What failed within a time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Failures {
    /// The groups, the largest first.
    pub items: Vec<FailureGroupItem>,
    /// How many groups there are, those included that are not among `items`.
    pub total: u64,
    /// How many transactions failed, in all groups.
    pub failed: u64,
    /// The time that was asked about: `1h`, `24h` or `7d`.
    #[schema(pattern = "^(1h|24h|7d)$")]
    pub window: String,
    /// From when on they were counted: later than the beginning of that time where so many failed that the whole of it would have taken too
    /// long.
    #[schema(format = DateTime)]
    pub from: String,
    /// Its end.
    #[schema(format = DateTime)]
    pub to: String,
}

/// Why a transaction failed, told live once it was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LiveCause)]
pub struct CauseItem {
    /// The network's slug.
    pub network: String,
    /// The transaction.
    pub hash: String,
    /// Height of its block.
    pub height: u64,
    /// Hash of its block: of another block's transaction it says nothing.
    pub block_hash: String,
    /// Position in the block, from 0.
    pub index: u32,
    /// Of two causes of a transaction in a block the one of the higher revision holds.
    pub revision: u8,
    /// The class, as a word.
    pub cause: String,
    /// The sentence for people.
    pub reason: String,
    /// By what it was found: `trace`, `call`, `receipt` or `budget`.
    pub found_by: String,
    /// The evidence is of a repetition in which the block's earlier transactions are missing.
    pub approximate: bool,
    /// The called contract; null where one was to be created.
    pub contract: Option<String>,
    /// Selector of the called function.
    pub method: Option<String>,
    /// Selector of the error.
    pub error_selector: Option<String>,
    /// The event that applied its block.
    pub sequence: u64,
}

impl CauseItem {
    /// From the live record.
    pub fn of(cause: &EnrichedCause) -> Self {
        Self {
            network: cause.network.to_string(),
            hash: const_hex::encode_prefixed(cause.transaction_hash),
            height: cause.height,
            block_hash: cause.block_hash.to_string(),
            index: cause.transaction_index,
            revision: cause.revision,
            cause: cause.cause.clone(),
            reason: cause.reason.clone(),
            found_by: cause.found_by.to_string(),
            approximate: cause.approximate,
            contract: cause.contract.map(const_hex::encode_prefixed),
            method: cause.method.map(const_hex::encode_prefixed),
            error_selector: cause.error_selector.map(const_hex::encode_prefixed),
            sequence: cause.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(count: u64, call: Option<&str>) -> FailureGroup {
        FailureGroup {
            network: "a".into(),
            cause: Some("slippage".into()),
            method: Some("0xa9059cbb".into()),
            contract: None,
            error_selector: None,
            call: call.map(str::to_owned),
            error_signature: None,
            reason: None,
            count,
            trend: vec![0; 24],
            example: "0x".into(),
            last_at: TimeMs(0),
        }
    }

    #[test]
    fn a_group_has_its_share_and_its_functions_name() {
        let item = FailureGroupItem::from_row(&group(1, Some("transfer(address to, uint256 amount)")), 3);
        assert_eq!((item.share, item.method_name.as_deref()), (0.333_333, Some("transfer")));
        let item = FailureGroupItem::from_row(&group(0, None), 0);
        assert_eq!((item.share, item.method_name), (0.0, None));
    }

    #[test]
    fn there_is_a_sentence_whatever_is_known() {
        let item = |cause: Option<&str>, reason: Option<&str>, pending| {
            FailureItem::from_row((cause, reason), &Failure::default(), pending).sentence()
        };
        assert_eq!(
            item(Some("slippage"), Some("output 41 below the minimum 42"), false),
            "output 41 below the minimum 42"
        );
        assert!(item(Some("gas_limit"), None, true).contains("gas_limit"));
        assert!(item(None, None, true).contains("being looked for"));
        assert!(item(None, None, false).contains("not known"));
    }
}
