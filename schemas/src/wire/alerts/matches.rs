//! `alerts.matches`: `op` says whether a condition's or a figure's columns are there.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use serde_json::{Value, json};

use crate::{
    primitives::{BlockHash, ParseError, TimeMs},
    records::{AlertMatch, AlertSource, Figured, Found},
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat, parsed, required},
};

/// [`AlertMatch`] on the wire.
#[derive(Default)]
struct MatchRow {
    tenant: String,
    source_kind: String,
    source_id: String,
    source_name: String,
    source_version: u64,
    op: String,
    network: String,
    sequence: u64,
    height: u64,
    block_hash: Option<BlockHash>,
    at: TimeMs,
    observed_at: TimeMs,
    contract: Option<String>,
    group: String,
    transaction_hash: Option<B256>,
    found: Option<String>,
    position: Option<u32>,
    condition: Option<u32>,
    signature: Option<String>,
    arguments: Option<String>,
    over: Option<bool>,
    evidence: Option<String>,
}
columns! { MatchRow, MatchRow {
    must tenant: String,
    must source_kind: String,
    must source_id: String,
    must source_name: String,
    must source_version: u64,
    must op: String,
    must network: String,
    must sequence: u64,
    must height: u64,
    null block_hash: BlockHash,
    must at: TimeMs,
    must observed_at: TimeMs,
    null contract: String,
    must group: String,
    null transaction_hash: B256,
    null found: String,
    null position: u32,
    null condition: u32,
    null signature: String,
    null arguments: String,
    null over: bool,
    null evidence: String,
} }

impl Row for AlertMatch {
    fn columns() -> Vec<Column> {
        concat([MatchRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (found, figure) = (self.found.as_ref(), self.figure.as_ref());
        let row = MatchRow {
            tenant: self.tenant.clone(),
            source_kind: self.source.kind.as_str().to_owned(),
            source_id: self.source.id.clone(),
            source_name: self.source.name.clone(),
            source_version: self.source.version,
            op: self.op.as_str().to_owned(),
            network: self.network.as_str().to_owned(),
            sequence: self.sequence,
            height: self.height,
            block_hash: self.block_hash.clone(),
            at: self.at,
            observed_at: self.observed_at,
            contract: self.contract.clone(),
            // A map of texts always is JSON.
            group: serde_json::to_string(&self.group).unwrap_or_else(|_| "{}".to_owned()),
            transaction_hash: found.map(|f| f.transaction_hash),
            found: found.map(|f| f.kind.as_str().to_owned()),
            position: found.and_then(|f| f.position),
            condition: found.map(|f| f.condition),
            signature: found.and_then(|f| f.signature.clone()),
            arguments: found.map(|f| f.arguments.clone()),
            over: figure.map(|f| f.over),
            evidence: match figure {
                Some(figure) => Some(figure.evidence.clone()),
                None => found.and_then(|f| f.cause.as_deref()).map(|cause| json!({CAUSE: cause}).to_string()),
            },
        };
        MatchRow::put(&row, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = MatchRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        // What is found has no figure: its evidence is the cause.
        let cause = match row.over {
            None => row.evidence.as_deref().map(cause).transpose()?,
            Some(_) => None,
        };
        let found = match row.found {
            None => None,
            Some(kind) => Some(Found {
                transaction_hash: required("transaction_hash", row.transaction_hash)?,
                kind: parsed("found", &kind)?,
                position: row.position,
                condition: required("condition", row.condition)?,
                signature: row.signature,
                arguments: required("arguments", row.arguments)?,
                cause,
            }),
        };
        let figure = match row.over {
            None => None,
            Some(over) => Some(Figured { over, evidence: required("evidence", row.evidence)? }),
        };
        Ok(Self {
            tenant: row.tenant,
            source: AlertSource {
                kind: parsed("source_kind", &row.source_kind)?,
                id: row.source_id,
                name: row.source_name,
                version: row.source_version,
            },
            op: parsed("op", &row.op)?,
            network: parsed("network", &row.network)?,
            sequence: row.sequence,
            height: row.height,
            block_hash: row.block_hash,
            at: row.at,
            observed_at: row.observed_at,
            contract: row.contract,
            group: group(&row.group)?,
            found,
            figure,
        })
    }

    fn size_hint(&self) -> usize {
        let arguments = self.found.as_ref().map_or(0, |f| f.arguments.len());
        512 + arguments + self.figure.as_ref().map_or(0, |f| f.evidence.len())
    }
}

/// The name of a cause in the evidence of what is found.
const CAUSE: &str = "cause";

fn cause(text: &str) -> Result<String, Malformed> {
    let evidence = serde_json::from_str::<Value>(text).ok();
    let cause = evidence.as_ref().and_then(|evidence| evidence.get(CAUSE)?.as_str());
    cause.map(str::to_owned).ok_or_else(|| {
        let problem = ParseError::new(text, "evidence", "a JSON object with a `cause`").into();
        Malformed { field: "evidence".to_owned(), problem }
    })
}

fn group(text: &str) -> Result<BTreeMap<String, String>, Malformed> {
    serde_json::from_str(text).map_err(|_| {
        let problem = ParseError::new(text, "group", "a JSON object whose values are texts").into();
        Malformed { field: "group".to_owned(), problem }
    })
}
