//! REST as Bitcoin Core has it (`doc/REST-interface.md`, `rest.cpp`): blocks, headers, hashes by height, spent outputs (since 30).

use super::super::block::Block;
use super::super::endpoint::Endpoint;
use super::super::faults::FaultKind;
use super::super::wire::{Hash, Transaction, compact, hash_of, shown};
use super::rpc::stored;
use axum::http::StatusCode;
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;

/// Content type and body.
type Answer = Result<(&'static str, Vec<u8>), (StatusCode, String)>;

/// The most headers of one answer.
const HEADERS: usize = 2_000;
/// The first version that tells what is spent.
const SPENT_OUTPUTS: u32 = 300_000;

fn no(status: StatusCode, words: &str) -> (StatusCode, String) {
    (status, words.to_owned())
}

/// Bytes as the ending of a path wants them.
fn written(bytes: &[u8], ending: &str) -> Answer {
    match ending {
        "bin" => Ok(("application/octet-stream", bytes.to_vec())),
        "hex" => Ok(("text/plain", format!("{}\n", const_hex::encode(bytes)).into_bytes())),
        _ => Err(no(StatusCode::NOT_FOUND, "output format not found (available: .bin, .hex)")),
    }
}

/// The answer to `/rest/PATH`.
pub(super) fn answer(endpoint: &Endpoint, path: &str, query: Option<&str>, hits: &[FaultKind]) -> Answer {
    if !endpoint.config.rest {
        return Err(no(StatusCode::NOT_FOUND, ""));
    }
    if endpoint.faults.is(FaultKind::WarmUp) {
        return Err(no(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable: Loading block index…"));
    }
    let (path, ending) = path.rsplit_once('.').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let hash = |text: &str| -> Result<Hash, (StatusCode, String)> {
        hash_of(text).ok_or_else(|| no(StatusCode::BAD_REQUEST, &format!("Invalid hash: {text}")))
    };
    let block = |text: &str| -> Result<Arc<Block>, (StatusCode, String)> {
        let hash = hash(text)?;
        stored(endpoint, &hash).map_err(|(_, words)| {
            let words = if words == "Block not found" { format!("{text} not found") } else { words };
            no(StatusCode::NOT_FOUND, &words)
        })
    };
    match parts.as_slice() {
        ["chaininfo"] if ending == "json" => {
            let (height, (_, hash)) = endpoint.tip();
            let told = json!({"chain": endpoint.chain.to_string(), "blocks": height, "bestblockhash": shown(&hash)});
            Ok(("application/json", told.to_string().into_bytes()))
        }
        ["block", text] => {
            let block = block(text)?;
            written(&spoilt(&block.raw, &block, hits), ending)
        }
        ["spenttxouts", _] if endpoint.config.version < SPENT_OUTPUTS => Err(no(StatusCode::NOT_FOUND, "")),
        ["spenttxouts", text] => {
            let block = block(text)?;
            if endpoint.faults.is(FaultKind::NoPrevouts) {
                return Err(no(StatusCode::NOT_FOUND, &format!("{text} undo not available")));
            }
            written(&block.undo, ending)
        }
        ["headers", count, text] => headers(endpoint, count, &hash(text)?, ending),
        ["headers", text] => {
            let count = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("count=")));
            headers(endpoint, count.unwrap_or("5"), &hash(text)?, ending)
        }
        ["blockhashbyheight", height] => {
            let height: u64 = height.parse().map_err(|_| no(StatusCode::BAD_REQUEST, "Invalid height"))?;
            let (_, hash) =
                endpoint.at(height).ok_or_else(|| no(StatusCode::NOT_FOUND, "Block height out of range"))?;
            match ending {
                "json" => Ok(("application/json", json!({"blockhash": shown(&hash)}).to_string().into_bytes())),
                "hex" => Ok(("text/plain", format!("{}\n", shown(&hash)).into_bytes())),
                _ => written(&hash, ending),
            }
        }
        _ => Err(no(StatusCode::NOT_FOUND, "")),
    }
}

/// Headers from a block on, as far as they are canonical.
fn headers(endpoint: &Endpoint, count: &str, hash: &Hash, ending: &str) -> Answer {
    let count: usize = count.parse().ok().filter(|n| (1..=HEADERS).contains(n)).ok_or_else(|| {
        no(StatusCode::BAD_REQUEST, &format!("Header count is invalid or out of acceptable range (1-{HEADERS})"))
    })?;
    let mut bytes = Vec::new();
    if let Some((place, _, true)) = endpoint.place(hash) {
        for (header, _) in (place.height..).take(count).map_while(|height| endpoint.at(height)) {
            bytes.extend_from_slice(&header);
        }
    }
    written(&bytes, ending)
}

/// A block's bytes as the faults leave them.
pub(super) fn spoilt<'a>(raw: &'a [u8], block: &Block, hits: &[FaultKind]) -> Cow<'a, [u8]> {
    let mut bytes = Cow::Borrowed(raw);
    for hit in hits {
        match hit {
            FaultKind::ChangedTransaction => {
                // The lowest byte of the last output's value: still a transaction, with another id.
                let Some(last) = block.spans.last() else { continue };
                let Ok(one) = Transaction::read(&raw[last.clone()]) else { continue };
                let behind = one.outputs.last().map_or(0, |output| output.script.len());
                let end = last.start + one.witnesses.unwrap_or(one.raw.len() - 4);
                let mut size = Vec::new();
                compact(behind, &mut size);
                bytes.to_mut()[end - behind - size.len() - 8] ^= 1;
            }
            FaultKind::DoubledTransactions => bytes = Cow::Owned(doubled(raw, block)),
            _ => {}
        }
    }
    bytes
}

/// The block with its last transactions twice, so that its merkle root holds all the same: as many as the lowest level of its tree that
/// is odd doubles (CVE-2012-2459). Where no level is, the last one alone is doubled, which is found out by the root.
fn doubled(raw: &[u8], block: &Block) -> Vec<u8> {
    let count = block.spans.len();
    let (mut level, mut last) = (count, 1);
    while level > 1 && level.is_multiple_of(2) {
        (level, last) = (level / 2, last * 2);
    }
    let last = if level > 1 { last } else { 1 };
    let from = block.spans.get(count - last).map_or(raw.len(), |span| span.start);
    let first = block.spans.first().map_or(raw.len(), |span| span.start);
    let mut bytes = raw[..80].to_vec();
    compact(count + last, &mut bytes);
    bytes.extend_from_slice(&raw[first..]);
    bytes.extend_from_slice(&raw[from..]);
    bytes
}
