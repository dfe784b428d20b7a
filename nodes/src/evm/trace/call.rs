//! A transaction's call at the state of another block: what stands in for a trace, where none is given.
//!
//! Guarantee: that the code ran and failed is told from a question that was refused, in the words of geth and its forks, Erigon, Nethermind,
//! reth, Besu and anvil; what the call returned is found however it is told.

use alloy_primitives::{Address, Bytes, U256};
use schemas::limits::evidence as limits;
use serde::Serialize;
use serde_json::{Value, json};

use super::words;
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::{client::EvmClient, fleet::StateAt, http::ToldError, split::Split},
    http::Exchanged,
};

const CALL: &str = "eth_call";
/// Code of a JSON-RPC error that says that a call was reverted (execution-apis, `eth_call`).
const REVERTED: i64 = 3;

/// A transaction as a call: what decides what it does, without its fee, so that a balance at the parent's state that was less does not
/// refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallLike {
    /// Its sender.
    pub from: Address,
    /// Its receiver; `None` where it creates a contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// What it is called with.
    #[serde(rename = "data")]
    pub input: Bytes,
    /// Wei that goes along.
    pub value: U256,
    /// Its gas limit.
    #[serde(serialize_with = "quantity")]
    pub gas: u64,
}

fn quantity<S: serde::Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{number:#x}"))
}

/// How such a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// It did not fail.
    Returned,
    /// It failed.
    Failed {
        /// The node's words, masked, at most [`limits::WORDS_BYTES`].
        message: String,
        /// What it returned, where that was told: at most [`limits::REVERT_BYTES`].
        data: Bytes,
    },
}

impl EvmClient {
    /// A transaction's call at the state of a block.
    ///
    /// # Errors
    /// What the endpoint refused it for; that it failed is an answer.
    pub(in crate::evm) async fn call_like(&self, like: &CallLike, at: StateAt) -> Result<CallEnd, NodeError> {
        let params = json!([like, {"blockHash": at.hash}]);
        let split = || Split::new(false, limits::WORDS_BYTES, limits::ERROR_BYTES);
        let attempt = || async {
            let (rest, bytes) = match self.answer(CALL, &params, split(), limits::CALL_BYTES, &mut |_| {}).await {
                Exchanged { outcome: Ok(rest), bytes } => (rest, bytes),
                Exchanged { outcome: Err(kind), bytes } => return Exchanged { outcome: Err(kind), bytes },
            };
            let outcome = match rest.error.as_deref().map(|error| self.http.told(error)).transpose() {
                Ok(Some(told)) if is_failure(&told) => Ok(failure(told)),
                Ok(Some(told)) => Err(self.http.kind_of(&told)),
                Ok(None) if rest.result.is_some() => Ok(CallEnd::Returned),
                Ok(None) => Err(NodeErrorKind::Malformed("neither a result nor an error".into())),
                Err(kind) => Err(kind),
            };
            Exchanged { outcome, bytes }
        };
        self.retried(CALL, 1, Some(at.height), NodeError::was_not_answered, attempt).await
    }
}

/// Whether an error says that the code ran and failed: geth and its forks, Erigon, Nethermind, reth, Besu, anvil.
fn is_failure(told: &ToldError) -> bool {
    const WORDS: [&str; 19] = [
        "revert",
        "out of gas",
        "outofgas",
        "invalid opcode",
        "bad instruction",
        "invalid jump",
        "bad jump",
        "stack underflow",
        "stack limit reached",
        "out of stack",
        "write protection",
        "static context",
        "return data out of bounds",
        "max call depth",
        "gas uint64 overflow",
        "invalid code: must not begin",
        "contract address collision",
        "evm error",
        "vm execution error",
    ];
    let said = told.message.to_ascii_lowercase();
    told.code == REVERTED || WORDS.iter().any(|word| said.contains(word))
}

fn failure(told: ToldError) -> CallEnd {
    CallEnd::Failed { message: words(&told.message), data: returned(&told.data).unwrap_or_default() }
}

/// What a call returned, as nodes tell it in an error's data: as hex, behind a word (`Reverted 0x…`), or in an object.
fn returned(data: &Value) -> Option<Bytes> {
    match data {
        Value::String(text) => {
            let digits = &text[text.find("0x")? + 2..];
            let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let most = end.min(2 * limits::REVERT_BYTES) & !1;
            const_hex::decode(&digits[..most]).ok().map(Bytes::from)
        }
        Value::Object(object) => {
            ["data", "result", "output", "return"].iter().find_map(|name| returned(object.get(*name)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_call_returned_is_found_however_it_is_told() {
        let of = |data: Value| returned(&data).map(const_hex::encode);
        let text = Some("08c379a0".to_owned());
        assert_eq!(of(json!("0x08c379a0")), text);
        assert_eq!(of(json!("Reverted 0x08c379a0")), text);
        assert_eq!(of(json!({"message": "x", "data": "0x08c379a0"})), text);
        assert_eq!(of(json!("0x08c379a")), Some("08c379".into()), "half a byte is none");
        assert_eq!((of(json!("Reverted")), of(json!(null)), of(json!("0x"))), (None, None, Some(String::new())));
        let long = format!("0x{}", "ab".repeat(limits::REVERT_BYTES + 9));
        assert_eq!(returned(&json!(long)).map(|data| data.len()), Some(limits::REVERT_BYTES));
    }

    #[test]
    fn a_call_that_failed_is_told_from_one_that_was_refused() {
        let of = |code, message: &str| is_failure(&ToldError { code, message: message.into(), data: Value::Null });
        for (code, message) in [
            (3, "execution reverted: no"),
            (-32000, "out of gas"),
            (-32000, "invalid opcode: INVALID"),
            (-32000, "write protection"),
            (-32015, "VM execution error."),
            (-32603, "EVM error InvalidJump"),
        ] {
            assert!(of(code, message), "{message}");
        }
        for message in
            ["insufficient funds for gas * price + value", "header not found", "missing trie node", "rate limit"]
        {
            assert!(!of(-32000, message), "{message}");
        }
    }
}
