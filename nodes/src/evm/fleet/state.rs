//! Questions to the state of a block that is known by its hash (EIP-1898): code, storage, calls.
//!
//! Guarantee: an answer is of the state after exactly that block. An endpoint that does not take a hash there, or does not have that
//! block or its state, is followed by the next; none is asked by height instead, since another block may have taken that place. What is
//! asked waits behind whoever follows the chain: it has the turn of the role `trace`, and where no endpoint has that role, of `serve`.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Serialize;

use super::EvmFleet;
use crate::{
    error::{NodeError, NodeErrorKind},
    evm::client::EvmClient,
    fleet::Ask,
};

/// How long one question may take, all endpoints and waiting for limits included.
const WITHIN: Duration = Duration::from_secs(30);
/// Code of a JSON-RPC error that says that a call was reverted (execution-apis, `eth_call`).
const REVERTED: i64 = 3;
/// Gas that a call may take: enough to list a large diamond, too little to keep a node busy.
const CALL_GAS: u64 = 30_000_000;

/// A block whose state is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateAt {
    /// Its height: for choosing who is asked, and for messages.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It returned this.
    Returned(Bytes),
    /// It was reverted, or could not be executed to its end.
    Failed,
}

/// The block parameter of EIP-1898.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ByHash {
    block_hash: B256,
}

#[derive(Debug, Clone, Serialize)]
struct Request {
    to: Address,
    data: Bytes,
    gas: String,
}

impl EvmFleet {
    /// The code of an account; empty where it has none.
    ///
    /// # Errors
    /// The failure that says most, when no endpoint gives it within 30 s.
    pub async fn code_at(&self, of: Address, at: StateAt) -> Result<Bytes, NodeError> {
        let call = move |client: EvmClient| async move {
            client.call::<Bytes>("eth_getCode", (of, by(at)), Some(at.height)).await
        };
        self.state("eth_getCode", at, call).await
    }

    /// A word of an account's storage.
    ///
    /// # Errors
    /// As [`EvmFleet::code_at`].
    pub async fn storage_at(&self, of: Address, slot: U256, at: StateAt) -> Result<U256, NodeError> {
        let call = move |client: EvmClient| async move {
            client.call::<U256>("eth_getStorageAt", (of, B256::from(slot), by(at)), Some(at.height)).await
        };
        self.state("eth_getStorageAt", at, call).await
    }

    /// A call that changes nothing.
    ///
    /// # Errors
    /// As [`EvmFleet::code_at`]; that it was reverted is an answer.
    pub async fn call_at(&self, to: Address, data: Bytes, at: StateAt) -> Result<Called, NodeError> {
        let call = move |client: EvmClient| {
            let request = Request { to, data: data.clone(), gas: format!("0x{CALL_GAS:x}") };
            async move {
                match client.call::<Bytes>("eth_call", (request, by(at)), Some(at.height)).await {
                    Ok(data) => Ok(Called::Returned(data)),
                    Err(NodeError { kind: NodeErrorKind::Rpc(code, said), .. }) if is_revert(code, &said) => {
                        Ok(Called::Failed)
                    }
                    Err(e) => Err(e),
                }
            }
        };
        self.state("eth_call", at, call).await
    }

    async fn state<T, F, Fut>(&self, method: &'static str, at: StateAt, call: F) -> Result<T, NodeError>
    where
        T: Send + 'static,
        F: Fn(EvmClient) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let role = self.role_of_evidence();
        let ask =
            Ask { role, height: Some(at.height), within: WITHIN, sticky: false, expected: true, ..Ask::new(method) };
        let call = &call;
        let answer = self.fleet.ask(ask, move |member| async move {
            self.on_chain(&member).await?;
            call(self.client(&member)).await
        });
        Ok(answer.await?.value)
    }
}

fn by(at: StateAt) -> ByHash {
    ByHash { block_hash: at.hash }
}

/// Whether an error says that the code ran and failed: geth, Erigon, Nethermind, reth, Besu, anvil.
fn is_revert(code: i64, said: &str) -> bool {
    const WORDS: [&str; 7] = [
        "revert",
        "out of gas",
        "invalid opcode",
        "invalid jump",
        "stack underflow",
        "evm error",
        "vm execution error",
    ];
    let said = said.to_ascii_lowercase();
    code == REVERTED || WORDS.iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reverted_call_is_an_answer_and_nothing_else_is() {
        assert!(is_revert(3, "execution reverted: no"));
        assert!(is_revert(-32000, "execution reverted"));
        assert!(is_revert(-32015, "VM execution error."));
        assert!(is_revert(-32603, "EVM error InvalidFEOpcode"));
        assert!(!is_revert(-32000, "boom") && !is_revert(-32602, "invalid argument 1: hex string without 0x prefix"));
    }

    #[test]
    fn the_block_is_named_by_its_hash() {
        let at = StateAt { height: 7, hash: B256::repeat_byte(7) };
        let params = serde_json::to_value((Address::ZERO, by(at))).expect("JSON");
        assert_eq!(params[1], serde_json::json!({"blockHash": B256::repeat_byte(7)}));
    }
}
