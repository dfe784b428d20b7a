//! curl: every format that people save to a file, with its media type and its content.

use super::facts::Facts;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The largest of their types, so that what is rounded shows.
const ROW: &str = "SELECT 'a' AS s, toUInt64('18446744073709551615') AS n, toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935') AS v";
const N: &str = "18446744073709551615";
const V: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// What an answer's body must be.
enum Body {
    /// This text.
    Text(String),
    /// This JSON document.
    Json(serde_json::Value),
    /// A JSON document that has this at `data`.
    JsonData(serde_json::Value),
    /// Bytes that begin and end so.
    Framed(&'static [u8], &'static [u8]),
    /// Text that holds each of these.
    Holds(Vec<String>),
}

use Body::{Framed, Holds, Json, JsonData, Text};

/// Format, media type, content.
fn expected() -> Vec<(&'static str, &'static str, Body)> {
    let (csv, tsv, json) = ("text/csv", "text/tab-separated-values", "application/json");
    let (lines, bytes) = ("application/x-ndjson", "application/octet-stream");
    let row = serde_json::json!({"s": "a", "n": N, "v": V});
    let compact = serde_json::json!(["a", N, V]);
    let tab = |fields: [&str; 3]| fields.join("\t") + "\n";
    let object = format!("{{\"s\":\"a\",\"n\":\"{N}\",\"v\":\"{V}\"}}\n");
    vec![
        ("CSV", csv, Text(format!("\"a\",{N},{V}\n"))),
        ("CSVWithNames", csv, Text(format!("\"s\",\"n\",\"v\"\n\"a\",{N},{V}\n"))),
        (
            "CSVWithNamesAndTypes",
            csv,
            Text(format!("\"s\",\"n\",\"v\"\n\"String\",\"UInt64\",\"UInt256\"\n\"a\",{N},{V}\n")),
        ),
        ("TSV", tsv, Text(tab(["a", N, V]))),
        ("TabSeparated", tsv, Text(tab(["a", N, V]))),
        ("TSVRaw", tsv, Text(tab(["a", N, V]))),
        ("TSVWithNames", tsv, Text(tab(["s", "n", "v"]) + &tab(["a", N, V]))),
        (
            "TSVWithNamesAndTypes",
            tsv,
            Text(tab(["s", "n", "v"]) + &tab(["String", "UInt64", "UInt256"]) + &tab(["a", N, V])),
        ),
        ("TSKV", tsv, Text(format!("s=a\tn={N}\tv={V}\n"))),
        ("JSON", json, JsonData(serde_json::json!([row]))),
        ("JSONStrings", json, JsonData(serde_json::json!([row]))),
        ("JSONCompact", json, JsonData(serde_json::json!([compact]))),
        ("JSONCompactStrings", json, JsonData(serde_json::json!([compact]))),
        ("JSONColumns", json, Json(serde_json::json!({"s": ["a"], "n": [N], "v": [V]}))),
        ("JSONColumnsWithMetadata", json, JsonData(serde_json::json!({"s": ["a"], "n": [N], "v": [V]}))),
        ("JSONCompactColumns", json, Json(serde_json::json!([["a"], [N], [V]]))),
        ("JSONObjectEachRow", json, Json(serde_json::json!({"row_1": row}))),
        ("JSONEachRow", lines, Text(object.clone())),
        ("JSONLines", lines, Text(object.clone())),
        ("NDJSON", lines, Text(object.clone())),
        ("JSONStringsEachRow", lines, Text(object)),
        ("JSONCompactEachRow", lines, Holds(vec![format!("[\"a\", \"{N}\", \"{V}\"]")])),
        ("JSONCompactStringsEachRow", lines, Holds(vec![format!("[\"a\", \"{N}\", \"{V}\"]")])),
        ("JSONCompactEachRowWithNames", lines, Holds(vec!["[\"s\", \"n\", \"v\"]\n".into(), format!("\"{V}\"")])),
        (
            "JSONCompactEachRowWithNamesAndTypes",
            lines,
            Holds(vec!["[\"String\", \"UInt64\", \"UInt256\"]\n".into(), format!("\"{V}\"")]),
        ),
        ("Parquet", "application/vnd.apache.parquet", Framed(b"PAR1", b"PAR1")),
        ("Arrow", "application/vnd.apache.arrow.file", Framed(b"ARROW1", b"ARROW1")),
        ("ArrowStream", "application/vnd.apache.arrow.stream", Framed(b"\xff\xff\xff\xff", b"\0\0\0\0")),
        ("ORC", "application/vnd.apache.orc", Framed(b"ORC", b"")),
        ("Avro", "application/vnd.apache.avro", Framed(b"Obj\x01", b"")),
        ("Native", bytes, Framed(b"\x03\x01\x01s\x06String\x01a\x01n\x06UInt64", &[0xff; 32])),
        ("RowBinary", bytes, Framed(b"\x01a\xff\xff\xff\xff\xff\xff\xff\xff", &[0xff; 40])),
        ("RowBinaryWithNames", bytes, Framed(b"\x03\x01s\x01n\x01v\x01a", &[0xff; 40])),
        (
            "RowBinaryWithNamesAndTypes",
            bytes,
            Framed(b"\x03\x01s\x01n\x01v\x06String\x06UInt64\x07UInt256\x01a", &[0xff; 40]),
        ),
        ("MsgPack", "application/msgpack", Framed(b"\xc4\x01a\xcf\xff\xff\xff\xff\xff\xff\xff\xff", &[0xff; 32])),
        ("XML", "application/xml", Holds(vec!["<?xml".into(), format!("<n>{N}</n>"), format!("<v>{V}</v>")])),
        ("Markdown", "text/markdown", Text(format!("| s | n | v |\n|:-|-:|-:|\n| a | {N} | {V} |\n"))),
    ]
}

/// Fetches each format as a file, plain and compressed; what was wrong.
#[allow(clippy::print_stderr)]
pub async fn formats(facts: &Facts, folder: &Path) -> Result<(), String> {
    if std::process::Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is missing");
        eprintln!("SKIPPED curl: it is not installed");
        return Ok(());
    }
    let mut wrong = Vec::new();
    for (format, kind, body) in expected() {
        for more in [&[][..], &["--compressed"]] {
            let statement = format!("{ROW} FORMAT {format}");
            if let Err(why) = fetch(facts, folder, &statement, more, kind, &body).await {
                wrong.push(format!("{format} {}: {why}", more.join(" ")));
            }
        }
    }
    let refusal = fetch(facts, folder, "SELECT nope FROM blocks FORMAT Parquet", &[], "", &Text(String::new())).await;
    if !refusal.as_ref().is_err_and(|why| why.starts_with("status 4") && why.contains("nope")) {
        wrong.push(format!("a mistake: {refusal:?}"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("curl:\n{}", wrong.join("\n"))) }
}

async fn fetch(
    facts: &Facts,
    folder: &Path,
    statement: &str,
    more: &[&str],
    kind: &str,
    body: &Body,
) -> Result<(), String> {
    let file = folder.join("fetched");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "%{http_code}\n%{content_type}"])
        .args(more);
    curl.arg("--user").arg(format!("{}:{}", facts.get("analyst_user"), facts.get("analyst_password")));
    curl.arg("--output").arg(&file).args(["--data-binary", statement]);
    curl.arg(format!("http://{}:{}/?database={}", facts.get("host"), facts.get("port"), facts.get("database")));
    let output = curl.stdin(Stdio::null()).output().await.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let bytes = std::fs::read(&file).map_err(|e| format!("{e}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let text = String::from_utf8_lossy(&bytes);
    let (status, sent_kind) = said.split_once('\n').unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}: {text}"));
    }
    let json = || serde_json::from_slice::<serde_json::Value>(&bytes).map_err(|e| format!("{e}: {text}"));
    let right = match body {
        Text(wanted) => text == *wanted,
        Json(wanted) => json()? == *wanted,
        JsonData(wanted) => json()?["data"] == *wanted,
        Framed(start, end) => bytes.len() > start.len() && bytes.starts_with(start) && bytes.ends_with(end),
        Holds(parts) => parts.iter().all(|part| text.contains(part)),
    };
    match sent_kind.split(';').next() {
        _ if !right => Err(format!("it is {text:.400}")),
        sent if sent != Some(kind) => Err(format!("it comes as {sent_kind}, not {kind}")),
        _ => Ok(()),
    }
}
