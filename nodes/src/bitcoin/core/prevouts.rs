//! What a block spends: by REST where the node offers that (Core 30), else by `getblock` with verbosity 3 (Core 23).
//!
//! Guarantee: each transaction of a block has as many as it has inputs, in their order, or the block is not to be had: *missing* where the
//! node has pruned what it would take. A block with a coinbase alone needs none, and the first block of a chain never has any.

use alloy_primitives::Bytes;
use schemas::{limits, records::bitcoin::BitcoinPrevout};
use serde_json::json;

use super::{
    chain::CoreHeader,
    client::{Asked, CoreClient, REST_SPENT},
    fetch::BLOCK,
    wire::{Block, Prevout, Transaction},
};
use crate::{
    bitcoin::block::{Body, read_spent_outputs},
    error::{Missing, NodeError, NodeErrorKind},
};

/// What a node told.
pub(super) enum Spent {
    /// Nothing is spent.
    Nothing,
    /// Over REST.
    Rest(Bytes),
    /// Over RPC.
    Rpc(Block),
}

impl CoreClient {
    /// What the block with this header spends.
    pub(super) async fn spent(&self, header: &CoreHeader) -> Result<Spent, NodeError> {
        if header.transactions == Some(1) {
            return Ok(Spent::Nothing);
        }
        let (hash, height) = (header.header.hash.to_string(), Some(header.height));
        let asked = Asked { method: REST_SPENT, height };
        match self.rest(asked, &hash, limits::NODE_ANSWER_BYTES).await? {
            Some(bytes) => Ok(Spent::Rest(bytes)),
            None => self.call_for_body(Asked { method: BLOCK, height }, json!([hash, 3])).await.map(Spent::Rpc),
        }
    }
}

impl Spent {
    /// A list for each transaction of a block.
    pub fn read(self, body: &Body) -> Result<Vec<Vec<BitcoinPrevout>>, NodeErrorKind> {
        match self {
            Self::Nothing => Ok(body.spends().map(|_| Vec::new()).collect()),
            Self::Rest(bytes) => read_spent_outputs(&bytes, body.spends()),
            Self::Rpc(block) => of_json(block, body.spends()),
        }
    }
}

fn of_json(block: Block, spends: impl Iterator<Item = usize>) -> Result<Vec<Vec<BitcoinPrevout>>, NodeErrorKind> {
    let of_transaction = |(index, (transaction, inputs)): (usize, (Transaction, usize))| {
        if inputs == 0 {
            return Ok(Vec::new());
        }
        let spent = transaction.vin.into_iter().map(|input| input.prevout.map(|prevout| of_prevout(*prevout)));
        let spent: Option<Vec<BitcoinPrevout>> = spent.collect();
        spent.ok_or_else(|| {
            let said = format!(
                "it does not say what transaction {index} spends: it has pruned that, or is older than Core 23"
            );
            NodeErrorKind::Missing(Missing::Pruned, said)
        })
    };
    // What is too short or too long is found by whoever holds the lists against the block.
    block.tx.into_iter().zip(spends).enumerate().map(of_transaction).collect()
}

fn of_prevout(prevout: Prevout) -> BitcoinPrevout {
    let Prevout { generated, height, value, script } = prevout;
    BitcoinPrevout { value: value.0, script: script.hex.0, height, coinbase: generated }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vin: &str) -> Result<Vec<Vec<BitcoinPrevout>>, NodeErrorKind> {
        let text = format!("{{\"tx\":[{{\"vin\":[{{\"coinbase\":\"016f00\"}}]}},{{\"vin\":[{vin}]}}]}}");
        of_json(serde_json::from_str(&text).expect("a block"), [0, 1].into_iter())
    }

    #[test]
    fn verbose_blocks_say_what_is_spent_or_that_it_is_gone() {
        let whole = r#"{"txid":"62","vout":0,"prevout":{"generated":true,"height":10,"value":50.00000000,
            "scriptPubKey":{"asm":"OP_DUP","hex":"76a91467dcc8ae52f5cf431af162c9b8ca7276f2981b0488ac","type":"pubkeyhash"}}}"#;
        let lists = read(whole).expect("lists");
        let spent = lists.get(1).and_then(|list| list.first()).expect("an output");
        assert_eq!((lists.len(), spent.value, spent.height, spent.coinbase), (2, 5_000_000_000, Some(10), Some(true)));
        let fewer = read(r#"{"prevout":{"value":1e-8,"scriptPubKey":{"hex":"51"}}}"#).expect("lists");
        let spent = fewer.get(1).and_then(|list| list.first()).expect("an output");
        assert_eq!((spent.value, spent.height, spent.coinbase), (1, None, None));
        assert!(matches!(read(r#"{"txid":"62","vout":0}"#), Err(NodeErrorKind::Missing(Missing::Pruned, _))));
    }
}
