//! Random lines of Electrum servers: those of the protocol's examples and the main chain's first headers, damaged. Whatever a server
//! sends is read or refused; a header that is believed is one that was recorded, since nobody else did its work.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use fastrand::Rng;
use nodes::bitcoin::{
    electrum::{
        answers,
        message::{self, Message},
        refusal::Trouble,
    },
    header::Header,
};
use schemas::bitcoin::BitcoinChain;
use serde_json::{Value, json};

use super::{damaged, variable};

/// The protocol's examples as lines, and those of the headers' methods.
fn lines(headers: &[String]) -> Vec<String> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/electrum/electrum-protocol-examples.json");
    let examples: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let answer = |result: &Value| json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
    let mut lines: Vec<String> = examples.iter().map(|example| answer(&example["result"])).collect();
    let (few, tip) = (&headers[100..110], json!({"height": 107, "hex": headers[107]}));
    lines.extend([
        answer(&json!({"count": 10, "max": 2016, "hex": few.concat()})),
        answer(&json!({"count": 10, "max": 2016, "headers": few})),
        answer(&tip),
        answer(&json!(headers[77])),
        answer(&json!(["ElectrumX 1.20.0", "1.6"])),
        json!({"jsonrpc": "2.0", "method": "blockchain.headers.subscribe", "params": [tip]}).to_string(),
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "history too large"}}).to_string(),
    ]);
    lines
}

/// Headers that are believed of an answer, by whichever method it was asked for.
fn believed(json: &str) -> Vec<Header> {
    let main = BitcoinChain::Main;
    let _ = (answers::greeting(json), answers::features(json), answers::history(json, 100));
    let tips = [answers::tip(json, main).ok(), answers::tip_notice(json, main).ok()];
    let mut headers: Vec<Header> = tips.into_iter().flatten().map(|tip| tip.header).collect();
    headers.extend(answers::header(json, main).ok());
    headers.extend(answers::headers(json, 2016, main).unwrap_or_default());
    headers
}

/// Those of a line.
fn believed_of(line: &str) -> Vec<Header> {
    let messages = message::read(line.as_bytes()).unwrap_or_default();
    let of = |message: Message<'_>| match message {
        Message::Answer(_, Ok(json)) | Message::Notice(_, json) => believed(json),
        Message::Answer(_, Err(refusal)) | Message::Complaint(refusal) => {
            let _ = Trouble::of(&refusal).kind(refusal.code, refusal.text);
            Vec::new()
        }
    };
    messages.into_iter().flat_map(of).collect()
}

#[test]
fn damaged_lines_of_electrum_servers_are_read_refused_or_not_believed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet/blk-000000-000438.dat");
    let blocks = fs::read(path).unwrap();
    let (mut rest, mut headers) = (&blocks[..], Vec::new());
    while rest.len() >= 8 {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        headers.push(const_hex::encode(&rest[8..88]));
        rest = &rest[8 + length..];
    }
    let lines = lines(&headers);
    let mut known: BTreeSet<_> = headers.iter().map(|hex| Header::from_hex(hex).unwrap().hash).collect();
    // The examples have headers of other heights.
    known.extend(lines.iter().flat_map(|line| believed_of(line)).map(|header| header.hash));
    let (seconds, seed) =
        (variable("HEADWATER_FUZZ_SECONDS", 2), variable("HEADWATER_FUZZ_SEED", fastrand::u64(..1 << 48)));
    eprintln!("HEADWATER_FUZZ_SEED={seed} HEADWATER_FUZZ_SECONDS={seconds}");
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut i, mut read) = (0u64, 0usize);
    while Instant::now() < until || i < 200 {
        let mut rng = Rng::with_seed(seed.wrapping_add(i));
        let line = &lines[rng.usize(..lines.len())];
        let line = damaged(&mut rng, line);
        for header in believed_of(&line) {
            assert!(known.contains(&header.hash), "line {i}: {header:?}");
            read += 1;
        }
        i += 1;
    }
    eprintln!("{i} lines, {read} headers were believed");
    assert!(read > 0);
}
