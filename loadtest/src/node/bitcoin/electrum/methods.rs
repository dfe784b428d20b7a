//! The methods of an Electrum server (spesmilo/electrum-protocol, `docs/protocol-methods.rst`), as far as a chain's follower asks.
//!
//! Guarantee: `server.version` comes first where the protocol is 1.6, and is answered once; a method that the negotiated protocol does not
//! have is -32601. Scripts have no history: what pays whom is not indexed here.

use super::super::config::Protocol;
use super::super::endpoint::Endpoint;
use super::super::faults::FaultKind;
use super::super::wire::{Hash, hash_of, shown};
use schemas::bitcoin::BitcoinChain;
use serde_json::{Value, json};

/// Code and words.
pub(super) type Refusal = (i64, String);

/// The most headers of one answer.
const HEADERS: u64 = 2_016;

/// What is known of a connection.
#[derive(Default)]
pub(super) struct Session {
    /// What was agreed on.
    protocol: Option<Protocol>,
    /// The head that it was told of last; `None`: it did not ask for heads.
    pub told: Option<Hash>,
    /// Whether the server ends it behind this answer.
    pub over: bool,
}

fn bad(words: &str) -> Refusal {
    (1, words.to_owned())
}

/// The answer to one call.
pub(super) fn answer(
    endpoint: &Endpoint,
    session: &mut Session,
    method: &str,
    params: &[Value],
    hits: &[FaultKind],
) -> Result<Value, Refusal> {
    for hit in hits {
        match hit {
            FaultKind::RpcError(code) => return Err((*code, "simulated fault".into())),
            FaultKind::NoMethod => return Err((-32601, format!("unknown method \"{method}\""))),
            FaultKind::Busy => return Err((-102, "server busy - request timed out".into())),
            FaultKind::Excessive => return Err((-101, "excessive resource usage".into())),
            _ => {}
        }
    }
    if method == "server.version" {
        return version(endpoint, session, params);
    }
    let newest = endpoint.protocol() == Protocol::V1_6;
    if session.protocol.is_none() && newest {
        session.over = true;
        return Err(bad("use server.version to identify client"));
    }
    let protocol = session.protocol.unwrap_or(Protocol::V1_4);
    let warming = endpoint.faults.is(FaultKind::WarmUp);
    if warming && method.starts_with("blockchain.") {
        return Err((-32603, "unavailable index".into()));
    }
    match method {
        "server.ping" => Ok(Value::Null),
        "server.banner" => Ok("A simulated server".into()),
        "server.donation_address" => Ok("".into()),
        "server.peers.subscribe" => Ok(json!([])),
        "server.features" => Ok(features(endpoint)),
        "blockchain.headers.subscribe" => {
            let (height, (header, hash)) = endpoint.tip();
            session.told = Some(hash);
            Ok(json!({"hex": const_hex::encode(header), "height": height + endpoint.shift()}))
        }
        "blockchain.block.header" => {
            let height = number(params, 0)?;
            if params.get(1).and_then(Value::as_u64).is_some_and(|proof| proof > 0) {
                return Err(bad("a simulated server has no proofs"));
            }
            let (header, _) = endpoint.at_said(height).ok_or_else(|| bad(&format!("height {height} out of range")))?;
            Ok(const_hex::encode(header).into())
        }
        "blockchain.block.headers" => {
            let (start, count) = (number(params, 0)?, number(params, 1)?.min(HEADERS));
            let headers: Vec<String> = (start..start.saturating_add(count))
                .map_while(|height| endpoint.at_said(height))
                .map(|(header, _)| const_hex::encode(header))
                .collect();
            let mut told = json!({"count": headers.len(), "max": HEADERS});
            match protocol {
                Protocol::V1_4 => told["hex"] = headers.concat().into(),
                Protocol::V1_6 => told["headers"] = headers.into(),
            }
            Ok(told)
        }
        "blockchain.estimatefee" => Ok(json!(-1)),
        "blockchain.relayfee" if protocol == Protocol::V1_4 => Ok(json!(0.000_01)),
        "mempool.get_info" if protocol == Protocol::V1_6 => {
            Ok(json!({"mempoolminfee": 0.000_01, "minrelaytxfee": 0.000_01, "incrementalrelayfee": 0.000_01}))
        }
        "mempool.get_fee_histogram" => Ok(json!([])),
        "blockchain.scripthash.get_history"
        | "blockchain.scripthash.get_mempool"
        | "blockchain.scripthash.listunspent"
        | "blockchain.scripthash.get_balance"
        | "blockchain.scripthash.subscribe"
        | "blockchain.scripthash.unsubscribe" => script(endpoint, method, params),
        "blockchain.transaction.get" => Err((2, "daemon error: No such mempool or blockchain transaction".into())),
        "blockchain.transaction.id_from_pos" => {
            let (height, position) = (number(params, 0)?, number(params, 1)?);
            let (_, hash) = endpoint.at(height).ok_or_else(|| bad("height out of range"))?;
            let block = endpoint.block(&hash).ok_or_else(|| bad("no such block"))?;
            let txid = usize::try_from(position).ok().and_then(|nth| block.txids.get(nth));
            txid.map(|txid| shown(txid).into()).ok_or_else(|| bad("no tx at that position"))
        }
        _ => Err((-32601, format!("unknown method \"{method}\""))),
    }
}

fn number(params: &[Value], n: usize) -> Result<u64, Refusal> {
    params.get(n).and_then(Value::as_u64).ok_or_else(|| bad("want a non-negative integer"))
}

/// Negotiates the protocol: the highest that both have (`server.version`).
fn version(endpoint: &Endpoint, session: &mut Session, params: &[Value]) -> Result<Value, Refusal> {
    if session.protocol.is_some() {
        return Err(bad("server.version already sent"));
    }
    let (low, high) = match params.get(1) {
        None | Some(Value::Null) => ("1.4", "1.4"),
        Some(Value::String(only)) => (only.as_str(), only.as_str()),
        Some(Value::Array(range)) => match range.as_slice() {
            [Value::String(low), Value::String(high)] => (low.as_str(), high.as_str()),
            _ => return Err(bad("invalid protocol version")),
        },
        Some(_) => return Err(bad("invalid protocol version")),
    };
    let (low, high) = (parts(low)?, parts(high)?);
    let mut offered = [Protocol::V1_6, Protocol::V1_4].into_iter().filter(|known| *known <= endpoint.protocol());
    let within = |known: &Protocol| parts(known.text()).is_ok_and(|known| low <= known && known <= high);
    let Some(agreed) = offered.find(within) else {
        session.over = true;
        return Err(bad("unsupported protocol version"));
    };
    session.protocol = Some(agreed);
    Ok(json!([software(endpoint), agreed.text()]))
}

/// A version's numbers without zeros at its end.
fn parts(text: &str) -> Result<Vec<u32>, Refusal> {
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    let mut numbers = numbers.map_err(|_| bad("invalid protocol version"))?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Ok(numbers)
}

fn software(endpoint: &Endpoint) -> &'static str {
    match endpoint.protocol() {
        Protocol::V1_4 => "electrs/0.10 (simulated)",
        Protocol::V1_6 => "ElectrumX 2.0 (simulated)",
    }
}

fn features(endpoint: &Endpoint) -> Value {
    let genesis = match endpoint.faults.is(FaultKind::WrongGenesis) {
        true => BitcoinChain::Signet.genesis().to_string(),
        false => endpoint.chain.genesis().to_string(),
    };
    json!({
        "genesis_hash": genesis,
        "hosts": {},
        "protocol_max": endpoint.protocol().text(),
        "protocol_min": "1.4",
        "pruning": null,
        "server_version": software(endpoint),
        "hash_function": "sha256",
    })
}

fn script(endpoint: &Endpoint, method: &str, params: &[Value]) -> Result<Value, Refusal> {
    let hash = params.first().and_then(Value::as_str).and_then(hash_of);
    hash.ok_or_else(|| bad("invalid script hash"))?;
    if endpoint.faults.is(FaultKind::HistoryTooLarge) {
        return Err((10_001, "history too large".into()));
    }
    match method.rsplit('.').next() {
        Some("get_balance") => Ok(json!({"confirmed": 0, "unconfirmed": 0})),
        Some("subscribe") => Ok(Value::Null),
        Some("unsubscribe") => Ok(false.into()),
        // As electrs has it.
        Some("get_mempool") if endpoint.protocol() == Protocol::V1_4 => {
            Err((-32601, format!("unknown method \"{method}\"")))
        }
        _ => Ok(json!([])),
    }
}
