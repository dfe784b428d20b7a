//! Recorded blocks to replay: from a folder, or built in.
//!
//! Guarantee: the order is that of the recorded heights, so a data set is the same wherever it is loaded from.

use super::error::Error;
use super::recorded::Recorded;
use crate::node::recording::read;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use alloy_primitives::B256;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Recorded blocks of one chain, ordered by recorded height.
#[derive(Debug)]
pub struct Dataset {
    name: String,
    blocks: Vec<Recorded>,
    /// Where each transaction occurs: block and position in it.
    transactions: HashMap<B256, (usize, usize)>,
}

#[derive(Deserialize)]
struct Line<'a> {
    number: u64,
    #[serde(borrow)]
    block: &'a RawValue,
    #[serde(borrow)]
    receipts: &'a RawValue,
    #[serde(borrow, default)]
    traces: Option<&'a RawValue>,
}

impl Dataset {
    /// Reads a folder of recorded blocks: `NUMBER/block.json` and `NUMBER/receipts.json`, and `NUMBER/traces_failed.json` where it is
    /// there. Blocks without receipts are left out.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or there is no block.
    pub fn from_dir(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let name = path.canonicalize().map_err(|e| file(path, e))?;
        let name = name.file_name().map_or_else(|| "recorded".into(), |n| n.to_string_lossy().into_owned());
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|e| file(path, e))? {
            let entry = entry.map_err(|e| file(path, e))?.path();
            let number = entry.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
            if let Some(number) = number
                && entry.join("block.json").is_file()
                && entry.join("receipts.json").is_file()
            {
                numbers.push((number, entry));
            }
        }
        if numbers.is_empty() {
            return Err(Error::Empty(path.to_owned()));
        }
        numbers.sort();
        let mut blocks = Vec::with_capacity(numbers.len());
        for (number, folder) in numbers {
            let block = Recorded::parse(
                &format!("{name}/{number}"),
                &read(&folder.join("block.json"))?,
                &read(&folder.join("receipts.json"))?,
            )?;
            let traces = folder.join("traces_failed.json");
            blocks.push(if traces.is_file() { block.with_traces(&read(&traces)?)? } else { block });
        }
        Ok(Self::new(name, blocks))
    }

    /// A data set that is built into the binary: `ethereum`, `optimism`, `polygon` and the others of [`Self::embedded_names`].
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is none of that name.
    pub fn embedded(name: &str) -> Result<Self, Error> {
        let Some((_, packed)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
            let known = Self::embedded_names().collect::<Vec<_>>().join(", ");
            return Err(Error::Unknown { name: name.to_owned(), known });
        };
        let bad = |what: String| Error::Data { name: name.to_owned(), what };
        let mut blocks = Vec::new();
        for line in BufReader::new(GzDecoder::new(*packed)).lines() {
            let line = line.map_err(|e| bad(e.to_string()))?;
            let line: Line<'_> = serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
            let name = format!("{name}/{}", line.number);
            let block = Recorded::parse(&name, line.block.get().as_bytes(), line.receipts.get().as_bytes())?;
            blocks.push(match line.traces {
                Some(traces) => block.with_traces(traces.get().as_bytes())?,
                None => block,
            });
        }
        Ok(Self::new(name.to_owned(), blocks))
    }

    /// Those blocks that were recorded at `height` or above.
    ///
    /// # Errors
    /// When there is none.
    pub fn recorded_from(mut self, height: u64) -> Result<Self, Error> {
        self.blocks.retain(|block| block.number() >= height);
        if self.blocks.is_empty() {
            return Err(Error::Setting(format!("{}: no block was recorded at {height} or above", self.name)));
        }
        Ok(Self::new(self.name, self.blocks))
    }

    /// The names that [`Self::embedded`] knows.
    pub fn embedded_names() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    pub(super) fn new(name: String, blocks: Vec<Recorded>) -> Self {
        let mut transactions = HashMap::new();
        for (n, block) in blocks.iter().enumerate() {
            for (index, hash) in block.tx_hashes().iter().enumerate() {
                transactions.insert(*hash, (n, index));
            }
        }
        Self { name, blocks, transactions }
    }

    /// The folder's name, or the name under which it is built in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The recorded blocks, ordered by height; at least one.
    #[must_use]
    pub fn blocks(&self) -> &[Recorded] {
        &self.blocks
    }

    /// The chain id: by the name where it is well known, else as the transactions say, else 1337.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        match self.name.as_str() {
            "ethereum" => 1,
            "optimism" => 10,
            "cronos" => 25,
            "polygon" => 137,
            "hyperliquid" => 999,
            "base" => 8453,
            "arbitrum" => 42161,
            "base-goerli" => 84531,
            _ => self.blocks.iter().find_map(Recorded::chain_id).unwrap_or(1337),
        }
    }

    /// The recorded block and the position in it of a transaction.
    pub(crate) fn find(&self, hash: &B256) -> Option<(usize, usize)> {
        self.transactions.get(hash).copied()
    }
}
