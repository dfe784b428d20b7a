//! JSON-RPC as Bitcoin Core 25 to 31 speaks it (`rpc/blockchain.cpp`, `rpc/protocol.h`), as far as a chain's follower asks.
//!
//! Guarantee: an unknown block is -5, a height beyond the head -8, an unknown method -32601, a bad parameter -32602; every answer has
//! `result` and `error` as versions before 28 have both.

use super::super::block::{bits_of, nonce_of, parent_of, time_of, version_of};
use super::super::endpoint::Endpoint;
use super::super::faults::FaultKind;
use super::super::wire::{Hash, hash_of, shown};
use super::{json, rest};
use alloy_primitives::U256;
use schemas::bitcoin::BitcoinChain;
use serde_json::{Value, json};

/// A refusal: code and words.
pub(super) type Refusal = (i64, String);

/// Blocks that a pruned node still has.
const UNPRUNED: u64 = 10;

/// The answer to nothing that has a method.
pub(super) fn error(id: &Value, code: i64, message: &str) -> String {
    json!({"result": null, "error": {"code": code, "message": message}, "id": id}).to_string()
}

/// The answer to one call.
pub(super) fn answer(endpoint: &Endpoint, call: &Value, hits: &[FaultKind]) -> String {
    let (id, method) = (&call["id"], call["method"].as_str().unwrap_or_default());
    let none = Vec::new();
    let params = call["params"].as_array().unwrap_or(&none);
    let result = match method.strip_prefix("sim_") {
        Some(order) => endpoint.order(order, params).map_err(|words| (-32602, words)),
        None => answered(endpoint, method, params, hits),
    };
    let text = match result {
        // Core since 28 leaves out the other where a call says that it is of version 2.
        Ok(result) if call["jsonrpc"] == "2.0" => json!({"jsonrpc": "2.0", "result": result, "id": id}).to_string(),
        Ok(result) => json!({"result": result, "error": null, "id": id}).to_string(),
        Err((code, words)) if call["jsonrpc"] == "2.0" => {
            json!({"jsonrpc": "2.0", "error": {"code": code, "message": words}, "id": id}).to_string()
        }
        Err((code, words)) => error(id, code, &words),
    };
    if method == "getblock" { json::plain(&text) } else { text }
}

fn answered(endpoint: &Endpoint, method: &str, params: &[Value], hits: &[FaultKind]) -> Result<Value, Refusal> {
    for hit in hits {
        match hit {
            FaultKind::RpcError(code) => return Err((*code, "simulated fault".into())),
            FaultKind::NoMethod => return Err((-32601, "Method not found".into())),
            _ => {}
        }
    }
    if endpoint.faults.is(FaultKind::WarmUp) {
        return Err((-28, "Loading block index…".into()));
    }
    let first = || params.first().unwrap_or(&Value::Null);
    match method {
        "getblockchaininfo" => Ok(info(endpoint)),
        "getnetworkinfo" => Ok(json!({
            "version": endpoint.config.version,
            "subversion": format!("/Simulated:{}.{}.0/", endpoint.config.version / 10_000, endpoint.config.version / 100 % 100),
            "protocolversion": 70016,
            "connections": 8,
            "networkactive": true,
            "relayfee": 0.000_01,
            "warnings": [],
        })),
        "getblockcount" => Ok(endpoint.head().into()),
        "getbestblockhash" => Ok(shown(&endpoint.tip().1.1).into()),
        "getblockhash" => {
            let height = first().as_u64().ok_or((-32602, "want a height".to_owned()))?;
            genesis(endpoint, height).ok_or((-8, "Block height out of range".to_owned()))
        }
        "getblockheader" => {
            let hash = hash(first())?;
            let (place, header, _) = endpoint.place(&hash).ok_or_else(not_found)?;
            match params.get(1) {
                Some(Value::Bool(false)) => Ok(const_hex::encode(header).into()),
                _ => Ok(header_json(endpoint, place.height, &hash)),
            }
        }
        "getblock" => {
            let hash = hash(first())?;
            let verbosity = match params.get(1) {
                None | Some(Value::Bool(true)) => 1,
                Some(Value::Bool(false)) => 0,
                Some(number) => number.as_u64().ok_or((-32602, "want a verbosity from 0 to 3".to_owned()))?,
            };
            let block = stored(endpoint, &hash)?;
            if verbosity == 0 {
                return Ok(const_hex::encode(rest::spoilt(&block.raw, &block, hits)).into());
            }
            let mut answer = header_json(endpoint, block.height, &hash);
            let prevouts = verbosity >= 3 && !endpoint.faults.is(FaultKind::NoPrevouts);
            json::add_transactions(&mut answer, &block, verbosity, prevouts);
            Ok(answer)
        }
        "getzmqnotifications" => {
            let told = |address| json!({"type": "pubhashblock", "address": address, "hwm": 1_000});
            Ok(endpoint.zmq_url().into_iter().map(told).collect())
        }
        "getindexinfo" => Ok(json!({})),
        "uptime" => Ok(1.into()),
        "getmempoolinfo" => Ok(
            json!({"loaded": true, "size": 0, "bytes": 0, "usage": 0, "mempoolminfee": 0.000_01, "minrelaytxfee": 0.000_01}),
        ),
        "getchaintips" => {
            let (height, (_, hash)) = endpoint.tip();
            Ok(json!([{"height": height, "hash": shown(&hash), "branchlen": 0, "status": "active"}]))
        }
        _ => Err((-32601, "Method not found".into())),
    }
}

/// The hash at a height; of the first block what it is said to be.
fn genesis(endpoint: &Endpoint, height: u64) -> Option<Value> {
    if height == 0 && endpoint.faults.is(FaultKind::WrongGenesis) {
        return Some(shown(&BitcoinChain::Signet.genesis().to_internal()).into());
    }
    endpoint.at(height).map(|(_, hash)| shown(&hash).into())
}

fn hash(value: &Value) -> Result<Hash, Refusal> {
    let found = value.as_str().and_then(hash_of);
    found.ok_or((-8, "blockhash must be of length 64 and hexadecimal".into()))
}

pub(super) fn not_found() -> Refusal {
    (-5, "Block not found".into())
}

/// A block that the node still has.
pub(super) fn stored(endpoint: &Endpoint, hash: &Hash) -> Result<std::sync::Arc<super::super::block::Block>, Refusal> {
    let block = endpoint.block(hash).ok_or_else(not_found)?;
    if endpoint.faults.is(FaultKind::Pruned) && block.height + UNPRUNED <= endpoint.head() {
        return Err((-1, "Block not available (pruned data)".into()));
    }
    Ok(block)
}

/// Work of a chain whose blocks all have the first one's target.
fn chain_work(height: u64, bits: u32) -> String {
    let mantissa = U256::from(bits & 0x007f_ffff);
    let target = mantissa << (8 * ((bits >> 24).saturating_sub(3)) as usize);
    // 2^256 / (target + 1), as `GetBlockProof` does it.
    let work = (!target / (target + U256::from(1))) + U256::from(1);
    format!("{:064x}", work * U256::from(height + 1))
}

fn difficulty(bits: u32) -> f64 {
    // `GetDifficulty`.
    f64::from(0x0000_ffff) / f64::from(bits & 0x00ff_ffff) * 256_f64.powi(29 - (bits >> 24) as i32)
}

fn info(endpoint: &Endpoint) -> Value {
    let (height, (header, hash)) = endpoint.tip();
    let syncing = endpoint.faults.is(FaultKind::Syncing);
    let pruned = endpoint.faults.is(FaultKind::Pruned);
    let mut info = json!({
        "chain": endpoint.chain.to_string(),
        "blocks": height,
        "headers": if syncing { height + 1_000 } else { height },
        "bestblockhash": shown(&hash),
        "bits": format!("{:08x}", bits_of(&header)),
        "difficulty": difficulty(bits_of(&header)),
        "time": time_of(&header),
        "mediantime": endpoint.median_time(height),
        "verificationprogress": if syncing { 0.5 } else { 1.0 },
        "initialblockdownload": syncing,
        "chainwork": chain_work(height, bits_of(&header)),
        "size_on_disk": 0,
        "pruned": pruned,
        "warnings": [],
    });
    if pruned {
        info["pruneheight"] = (height.saturating_sub(UNPRUNED) + 1).into();
    }
    info
}

/// A block's header as `getblockheader` tells it.
fn header_json(endpoint: &Endpoint, height: u64, hash: &Hash) -> Value {
    let Some((place, header, canonical)) = endpoint.place(hash) else { return Value::Null };
    let head = endpoint.head();
    let confirmations = if canonical { i64::try_from(head - height.min(head) + 1).unwrap_or(i64::MAX) } else { -1 };
    let count = endpoint.shared.chain().maker.count(place);
    let mut told = json!({
        "hash": shown(hash),
        "confirmations": confirmations,
        "height": height,
        "version": version_of(&header),
        "versionHex": format!("{:08x}", version_of(&header)),
        "merkleroot": shown(&root(&header)),
        "time": time_of(&header),
        "mediantime": endpoint.median_time(height),
        "nonce": nonce_of(&header),
        "bits": format!("{:08x}", bits_of(&header)),
        "difficulty": difficulty(bits_of(&header)),
        "chainwork": chain_work(height, bits_of(&header)),
        "nTx": count,
    });
    if height > 0 {
        told["previousblockhash"] = shown(&parent_of(&header)).into();
    }
    if canonical && let Some((_, next)) = endpoint.at(height + 1) {
        told["nextblockhash"] = shown(&next).into();
    }
    told
}

fn root(header: &super::super::block::Header) -> Hash {
    let mut root = [0; 32];
    root.copy_from_slice(super::super::block::root_of(header));
    root
}
