//! Today's program reads what every released version wrote, and today's schemas are backward compatible with every
//! released one. `avro/released/v<N>/` holds the schemas of release N and records that it wrote; nothing there ever changes.

mod support;

use std::path::{Path, PathBuf};

use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};
use schemas::{
    Codec, Op, Record,
    records::{CheckpointRecord, ControlConfig, EnrichedBlock, Payload},
    registry::SCHEMAS,
    topics,
};
use support::{Gen, find};

fn avro() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("avro")
}

fn released() -> Vec<PathBuf> {
    let mut versions: Vec<_> = std::fs::read_dir(avro().join("released")).unwrap().map(|e| e.unwrap().path()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions
}

fn parse(path: &Path) -> Schema {
    Schema::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn today_reads_every_released_schema() {
    for version in released() {
        for topic in topics::KNOWN {
            let file = format!("{}.avsc", topic.name);
            let (then, now) = (version.join(&file), avro().join(&file));
            if then.exists() {
                SchemaCompatibility::can_read(&parse(&then), &parse(&now))
                    .unwrap_or_else(|e| panic!("{} can no longer be read: {e}", then.display()));
            }
        }
    }
}

/// What version 1 wrote: file stem and record.
struct Golden(Vec<(&'static str, Vec<u8>)>);

trait Visit {
    fn record<R: Record + PartialEq + std::fmt::Debug>(&mut self, name: &'static str, record: R);
}

/// The records of version 1. They follow from seeds, and from nothing else that may change.
fn version_1(v: &mut impl Visit) {
    v.record("raw.blocks.apply", find(0, Gen::raw_block, |r| r.envelope.op == Op::Apply && r.evm.is_some()));
    v.record("raw.blocks.revert", find(0, Gen::raw_block, |r| r.envelope.op == Op::Revert && r.evm.is_none()));
    v.record(
        "raw.transactions.apply",
        find(0, Gen::raw_transaction, |r| matches!(&r.payload, Payload::Evm(tx) if tx.logs.len() > 1)),
    );
    v.record("raw.transactions.revert", find(0, Gen::raw_transaction, |r| r.payload == Payload::Revert));
    v.record(
        "raw.transactions.unreadable",
        find(0, Gen::raw_transaction, |r| matches!(r.payload, Payload::Unreadable { .. })),
    );
    v.record("enriched.blocks.apply", find(0, Gen::enriched_block, |r| r.evm.is_some() && r.summary.is_some()));
    v.record(
        "enriched.blocks.finality",
        find(0, Gen::enriched_block, |r| r.envelope.op == Op::Finality && r.evm.is_none() && r.summary.is_none()),
    );
    v.record("enriched.transactions.apply", find(0, Gen::enriched_transaction, |r| matches!(&r.payload, Payload::Evm(p) if p.1.fee.is_some() && p.1.events.iter().any(Option::is_some) && p.1.events.iter().any(Option::is_none))));
    v.record(
        "enriched.transactions.unreadable",
        find(0, Gen::enriched_transaction, |r| matches!(r.payload, Payload::Unreadable { .. })),
    );
    v.record(
        "ingest.checkpoints.checkpoint",
        find(0, Gen::checkpoint, |r| matches!(r, CheckpointRecord::Checkpoint(c) if c.held.len() > 1)),
    );
    v.record("ingest.checkpoints.ring", find(0, Gen::checkpoint, |r| matches!(r, CheckpointRecord::Ring(_))));
    v.record("ingest.status", find(0, Gen::status, |r| r.detail.is_some()));
    v.record("control.config", Gen(0).config());
    v.record("dead.letters", find(0, Gen::dead_letter, |r| r.value.is_some() && r.key.is_some()));
}

/// The records of version 2 whose schema has changed since.
fn version_2(v: &mut impl Visit) {
    v.record("enriched.transactions.apply", find(0, Gen::enriched_transaction_2, |r| matches!(&r.payload, Payload::Evm(p) if p.1.fee_token_amount.is_some() && p.1.events.iter().any(Option::is_some))));
    v.record("enriched.blocks.contracts", find(0, Gen::enriched_block_2, |r| r.contracts().len() > 1));
}

/// The records of version 3 whose schema has changed since.
fn version_3(v: &mut impl Visit) {
    let facts = |r: &EnrichedBlock| r.facts_position.is_some() && r.contracts().len() > 1;
    v.record("enriched.blocks.facts", find(0, Gen::enriched_block_3, facts));
}

impl Visit for Golden {
    fn record<R: Record + PartialEq + std::fmt::Debug>(&mut self, name: &'static str, record: R) {
        self.0.push((name, Codec::builtin().encode(&record).unwrap().to_vec()));
    }
}

struct Check(PathBuf, usize);
impl Visit for Check {
    fn record<R: Record + PartialEq + std::fmt::Debug>(&mut self, name: &'static str, record: R) {
        let path = self.0.join(format!("{name}.bin"));
        let value = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(Codec::builtin().decode::<R>(&value).unwrap(), record, "{name}");
        self.1 += 1;
    }
}

#[test]
fn today_reads_what_version_1_wrote() {
    let mut check = Check(avro().join("released/v1"), 0);
    version_1(&mut check);
    let files = std::fs::read_dir(avro().join("released/v1")).unwrap();
    let golden = files.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "bin")).count();
    assert_eq!(check.1, golden);
}

#[test]
fn today_reads_what_version_2_wrote() {
    let mut check = Check(avro().join("released/v2"), 0);
    version_2(&mut check);
    assert_eq!(check.1, 2);
}

#[test]
fn today_reads_what_version_3_wrote() {
    let mut check = Check(avro().join("released/v3"), 0);
    version_3(&mut check);
    assert_eq!(check.1, 1);
}

/// Used once for each version, before a release.
#[test]
#[ignore = "writes the golden records of a version that is about to be released"]
fn write_golden_records() {
    let mut golden = Golden(Vec::new());
    version_3(&mut golden);
    for (name, value) in golden.0 {
        std::fs::write(avro().join(format!("released/v3/{name}.bin")), value).unwrap();
    }
}

/// A program of today against a schema with fewer, more, reordered and widened fields.
#[test]
fn schemas_resolve_by_name() {
    use schemas::wire::Datum;
    let today = SCHEMAS.iter().find(|s| s.topic == topics::CONTROL_CONFIG).unwrap();
    assert!(today.avsc.contains("\"decided_at\""));
    let other = r#"{"type":"record","name":"ControlConfig","namespace":"headwater","fields":[
        {"name":"gone","type":{"type":"map","values":["null","double"]}},
        {"name":"id","type":"string"},
        {"name":"partition","type":"int"},
        {"name":"kind","type":"string"},
        {"name":"also_gone","type":["null",{"type":"array","items":"bytes"}]}]}"#;
    let mut bytes = Vec::new();
    bytes.extend([2, 2, b'x', 2, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0]); // gone: {"x": 1.0}
    bytes.extend([10]);
    bytes.extend(b"net-a"); // id
    bytes.extend([14]); // partition: 7
    bytes.extend([14]);
    bytes.extend(b"network"); // kind
    bytes.extend([2, 2, 4, 1, 2, 0]); // also_gone: [[1, 2]]
    let read = Datum::of::<ControlConfig>(other, &bytes);
    // `decided_at` has no value there, and this kind of record needs one: named, not defaulted.
    assert!(read.unwrap_err().contains("decided_at"));
    let with =
        other.replace(r#"{"name":"also_gone""#, r#"{"name":"decided_at","type":["long","null"]},{"name":"also_gone""#);
    let at = bytes.len() - 6;
    bytes.splice(at..at, [0, 10]);
    let ControlConfig::NetworkPartition(read) = Datum::of::<ControlConfig>(&with, &bytes).unwrap() else {
        panic!("it is of kind network")
    };
    assert_eq!((read.network.as_str(), read.partition, read.decided_at.0), ("net-a", 7, 5));
    let wrong = with.replace(r#""partition","type":"int""#, r#""partition","type":"string""#);
    assert!(Datum::of::<ControlConfig>(&wrong, &bytes).unwrap_err().contains("partition"));
}

#[test]
fn every_field_has_a_doc_with_its_source() {
    fn fields(schema: &serde_json::Value, path: &str, seen: &mut usize) {
        match schema {
            serde_json::Value::Array(branches) => branches.iter().for_each(|b| fields(b, path, seen)),
            serde_json::Value::Object(object) => {
                for (at, inner) in object {
                    if matches!(at.as_str(), "items" | "type") {
                        fields(inner, path, seen);
                    }
                }
                if object.get("type").is_some_and(|t| t == "record") {
                    assert!(object["doc"].as_str().is_some_and(|d| d.len() > 10), "{path}");
                }
                for field in object.get("fields").and_then(|f| f.as_array()).into_iter().flatten() {
                    let path = format!("{path}.{}", field["name"].as_str().unwrap());
                    let doc = field["doc"].as_str().unwrap_or_else(|| panic!("{path} has no doc"));
                    assert!(doc.contains("Source: ") || path.ends_with(".error"), "{path}: {doc}");
                    *seen += 1;
                    fields(&field["type"], &path, seen);
                }
            }
            _ => {}
        }
    }
    let mut seen = 0;
    for schema in SCHEMAS {
        fields(&serde_json::from_str(schema.avsc).unwrap(), schema.topic.name, &mut seen);
        let newest = SCHEMAS.iter().filter(|s| s.topic == schema.topic).all(|s| s.version <= schema.version);
        let folder = if newest { avro() } else { avro().join(format!("released/v{}", schema.version)) };
        assert_eq!(parse(&folder.join(format!("{}.avsc", schema.topic.name))), Schema::parse_str(schema.avsc).unwrap());
    }
    assert!(seen > 200, "{seen}");
    for topic in topics::KNOWN {
        assert!(SCHEMAS.iter().any(|s| s.topic == topic), "{} has no schema", topic.name);
    }
}
