//! The wire format: what is written is read back, by us and by a stock Avro reader; what is damaged is an error.

mod support;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use proptest::prelude::*;
use schemas::{
    Codec, Op, Record,
    codec::{CodecError, DecodeError, EncodeError},
    headers::ChainHeaders,
    limits,
    passing::{Events, Passing, Reader, Writer},
    records::{
        BlockSummary, CheckpointRecord, ControlConfig, DecodedEvent, EmittedEvent, EnrichedBlock, EnrichedEvent,
        EnrichedTransaction, Payload, RawBlock, RawTransaction, Seen, StageStatus,
    },
    registry::SCHEMAS,
    topics,
};
use support::Gen;

/// The schema of a topic's records in a version, or the newest.
fn schema(topic: &str, version: Option<u32>) -> Schema {
    let versions = SCHEMAS.iter().filter(|s| s.topic.name == topic && version.is_none_or(|v| v == s.version));
    Schema::parse_str(versions.max_by_key(|s| s.version).unwrap().avsc).unwrap()
}

/// Round trip through our codec, and through a stock reader and writer, which must give the same bytes.
fn round_trip<R: Record + PartialEq + std::fmt::Debug>(codec: &Codec, record: &R) {
    let schema = &schema(R::TOPIC.name, record.version());
    let value = codec.encode(record).unwrap();
    assert_eq!(&codec.decode::<R>(&value).unwrap(), record);

    let mut body = &value[5..];
    let generic = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut body).unwrap();
    assert!(body.is_empty());
    let mut again = Vec::new();
    GenericDatumWriter::builder(schema).build().unwrap().write_value_ref(&mut again, &generic).unwrap();
    assert_eq!(again, value[5..]);
    assert!(codec.decode_json(&value).unwrap().is_object());
}

/// The topic of what this makes.
fn made_of<R: Record>(_: fn(&mut Gen) -> R) -> &'static str {
    R::TOPIC.name
}

macro_rules! round_trips {
    ($($name:ident: $topic:expr, $make:ident;)*) => {$(
        #[test]
        fn $name() {
            let codec = Codec::builtin();
            assert_eq!(made_of(Gen::$make), $topic.name);
            proptest!(ProptestConfig::with_cases(512), |(seed: u64)| {
                round_trip(&codec, &Gen(seed).$make());
            });
        }
    )*};
}
round_trips! {
    raw_blocks: topics::RAW_BLOCKS, raw_block_2;
    raw_transactions: topics::RAW_TRANSACTIONS, raw_transaction_3;
    ingest_checkpoints: topics::INGEST_CHECKPOINTS, checkpoint_2;
    ingest_status: topics::INGEST_STATUS, status;
    enriched_transactions: topics::ENRICHED_TRANSACTIONS, enriched_transaction_4;
    enriched_blocks: topics::ENRICHED_BLOCKS, enriched_block_5;
    enriched_events: topics::ENRICHED_EVENTS, enriched_event;
    enriched_causes: topics::ENRICHED_CAUSES, enriched_cause;
    metrics_windows: topics::METRICS_WINDOWS, window;
    control_config: topics::CONTROL_CONFIG, config_4;
    control_tenants: topics::CONTROL_TENANTS, control_tenant_2;
    contract_facts: topics::CONTRACT_FACTS, contract_facts;
    enrich_status: topics::ENRICH_STATUS, enrich_status;
    dead_letters: topics::DEAD_LETTERS, dead_letter;
    stage_status: topics::STAGE_STATUS, stage_status;
    providers_samples: topics::PROVIDERS_SAMPLES, provider_sample;
    alerts_ring: topics::ALERTS_RING, alert_ring;
    alerts_matches: topics::ALERTS_MATCHES, alert_match;
    alerts_state: topics::ALERTS_STATE, alert_state;
    alerts_events: topics::ALERTS_EVENTS, alert_event;
    alerts_outbox: topics::ALERTS_OUTBOX, alert_outbox;
    alerts_deliveries: topics::ALERTS_DELIVERIES, alert_delivery;
    alerts_commands: topics::ALERTS_COMMANDS, alert_command;
}

/// What has no summary is written as processes of before read it, and so is a summary that says no more than theirs.
#[test]
fn blocks_without_sketches_are_written_as_the_first_version() {
    let codec = Codec::builtin();
    let mut seen = [0; 2];
    for seed in 0..400 {
        let mut record = Gen(seed).enriched_block_4();
        if seed % 2 == 0 {
            record = EnrichedBlock { summary: None, facts_position: None, ..record };
        }
        let value = codec.encode(&record).unwrap();
        let says_more = record.summary.as_ref().is_some_and(|s| {
            *s != BlockSummary {
                contracts: vec![],
                contracts_left_out: 0,
                bins: None,
                senders: None,
                fees: None,
                ..s.clone()
            }
        });
        let version = if says_more || record.facts_position.is_some() { 4 } else { 1 };
        let wanted = SCHEMAS.iter().find(|s| s.topic == topics::ENRICHED_BLOCKS && s.version == version).unwrap();
        assert_eq!(value[1..5], wanted.id.to_be_bytes());
        seen[usize::from(version == 4)] += 1;
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// What says nothing of the way to an endpoint is written as processes of before read it.
#[test]
fn samples_without_a_link_are_written_as_the_first_version() {
    let codec = Codec::builtin();
    let mut seen = [0; 2];
    for seed in 0..400 {
        let record = Gen(seed).provider_sample();
        let says_more = matches!(&record.seen, Seen::State(state) if state.link.is_some());
        let version = if says_more { 2 } else { 1 };
        let wanted = SCHEMAS.iter().find(|s| s.topic == topics::PROVIDERS_SAMPLES && s.version == version).unwrap();
        assert_eq!(codec.encode(&record).unwrap()[1..5], wanted.id.to_be_bytes());
        round_trip(&codec, &record);
        seen[usize::from(says_more)] += 1;
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// EVM's records are the bytes that they were before there were other families; only those have the newest schema's id.
#[test]
fn only_other_families_are_written_in_the_newest_version() {
    let codec = Codec::builtin();
    let mut seen = [0; 6];
    for seed in 0..400 {
        let mut g = Gen(seed);
        let (block, raw) = (g.raw_block_2(), g.raw_transaction_3());
        let enriched = g.enriched_transaction_4();
        let values = [
            (topics::RAW_BLOCKS, 1, block.bitcoin.is_some(), codec.encode(&block)),
            (topics::RAW_TRANSACTIONS, 2, matches!(raw.payload, Payload::Bitcoin(_)), codec.encode(&raw)),
            (
                topics::ENRICHED_TRANSACTIONS,
                3,
                matches!(enriched.payload, Payload::Bitcoin(_)),
                codec.encode(&enriched),
            ),
        ];
        for (at, (topic, former, is_other, value)) in values.into_iter().enumerate() {
            let version = former + u32::from(is_other);
            let wanted = SCHEMAS.iter().find(|s| s.topic == topic && s.version == version).unwrap();
            assert_eq!(value.unwrap()[1..5], wanted.id.to_be_bytes(), "{}", topic.name);
            seen[2 * at + usize::from(is_other)] += 1;
        }
        let is_other = matches!(raw.payload, Payload::Bitcoin(_));
        assert_eq!(codec.may_be_evm(&codec.encode(&raw).unwrap()), !is_other);
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// What every reader of a topic knows is in the columns that families share.
#[test]
fn a_bitcoin_transaction_has_the_shared_columns() {
    let codec = Codec::builtin();
    let is_bitcoin = |r: &EnrichedTransaction| matches!(&r.payload, Payload::Bitcoin(tx) if tx.fee.is_some());
    let record = support::find(0, Gen::enriched_transaction_4, is_bitcoin);
    let Payload::Bitcoin(tx) = &record.payload else { unreachable!() };
    let json = codec.decode_json(&codec.encode(&record).unwrap()).unwrap();
    assert_eq!(json["hash"], tx.txid.to_string());
    assert_eq!(json["transaction_index"], tx.transaction_index);
    assert_eq!(json["status"], "success");
    assert_eq!(json["value"], tx.output_value.to_string());
    assert_eq!(json["fee"], tx.fee.unwrap().to_string());
    assert_eq!(json["bitcoin"]["wtxid"], tx.wtxid.to_string());
    let record = support::find(0, Gen::raw_transaction_3, |r| matches!(&r.payload, Payload::Bitcoin(_)));
    let Payload::Bitcoin(tx) = &record.payload else { unreachable!() };
    let json = codec.decode_json(&codec.encode(&record).unwrap()).unwrap();
    assert_eq!(json["hash"], tx.txid.to_string());
    assert_eq!(json["bitcoin"]["raw"], const_hex::encode_prefixed(&tx.raw));
}

/// What processes of before know is written as they read it.
#[test]
fn what_former_versions_could_say_of_control_config_is_written_as_they_say_it() {
    let codec = Codec::builtin();
    let of = |version| SCHEMAS.iter().find(|s| s.topic == topics::CONTROL_CONFIG && s.version == version).unwrap();
    let former = of(2);
    proptest!(ProptestConfig::with_cases(512), |(seed: u64)| {
        let record = Gen(seed).config_2();
        let value = codec.encode(&record).unwrap();
        prop_assert_eq!(&value[1..5], &former.id.to_be_bytes());
        round_trip(&codec, &record);
    });
    assert_eq!(codec.id_of(topics::CONTROL_CONFIG.name), Some(of(4).id));
    let mut seen = [0; 2];
    for seed in 0..200 {
        assert_eq!(codec.encode(&Gen(seed).config_3()).unwrap()[1..5], of(3).id.to_be_bytes());
        let record = Gen(seed).config_4();
        let is_new = matches!(&record, ControlConfig::Watched(watched) if watched.since.is_some());
        assert_eq!(codec.encode(&record).unwrap()[1..5], of(if is_new { 4 } else { 3 }).id.to_be_bytes());
        seen[usize::from(is_new)] += 1;
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
    let without = SCHEMAS.iter().filter(|s| s.id != former.id).map(|s| (s.topic.name, s.version, s.id));
    assert!(matches!(Codec::with_ids(without), Err(CodecError::Unregistered { version: 2, .. })));
}

/// The same of what is a tenant's.
#[test]
fn contracts_of_tenants_are_written_as_version_1() {
    let codec = Codec::builtin();
    let former = SCHEMAS.iter().find(|s| s.topic == topics::CONTROL_TENANTS && s.version == 1).unwrap();
    proptest!(ProptestConfig::with_cases(512), |(seed: u64)| {
        let record = Gen(seed).control_tenant();
        let value = codec.encode(&record).unwrap();
        prop_assert_eq!(&value[1..5], &former.id.to_be_bytes());
        round_trip(&codec, &record);
    });
    let id = codec.id_of(topics::CONTROL_TENANTS.name).unwrap();
    assert_eq!(codec.encode(&Gen(0).control_tenant_2()).unwrap()[1..5], id.to_be_bytes());
    assert!(id > former.id);
}

/// Damage of every kind: a cut is always an error; a flipped byte is an error or a whole record, never a panic.
fn damage<R: Record + PartialEq + std::fmt::Debug>(codec: &Codec, record: &R, at: usize, flip: u8, junk: &[u8]) {
    let value = codec.encode(record).unwrap();
    let at = at % value.len();
    assert!(codec.decode::<R>(&value[..at]).is_err(), "cut at {at} of {}", value.len());
    let mut flipped = value.to_vec();
    flipped[at] ^= flip;
    if let Ok(other) = codec.decode::<R>(&flipped) {
        assert!(at >= 5, "flip of {flip:#x} in the schema's id");
        // What was read is a record like any other: it is written and read back as it is.
        assert_eq!(codec.decode::<R>(&codec.encode(&other).unwrap()).unwrap(), other);
    }
    let mut longer = value.to_vec();
    longer.extend_from_slice(junk);
    assert_eq!(codec.decode::<R>(&longer), Err(DecodeError::Trailing { topic: R::TOPIC.name, bytes: junk.len() }));
    let mut garbage = value[..5].to_vec();
    garbage.extend_from_slice(junk);
    assert!(codec.decode::<R>(&garbage).is_err());
}

#[test]
fn damaged_values_are_errors() {
    let codec = Codec::builtin();
    let junk = proptest::collection::vec(any::<u8>(), 1..40);
    proptest!(ProptestConfig::with_cases(2_048), |(seed: u64, at: usize, flip in 1u8..=255, junk in junk)| {
        let mut g = Gen(seed);
        damage(&codec, &g.raw_transaction_3(), at, flip, &junk);
        damage(&codec, &g.enriched_transaction_4(), at, flip, &junk);
        damage(&codec, &g.enriched_block_5(), at, flip, &junk);
        damage(&codec, &g.window(), at, flip, &junk);
        damage(&codec, &g.enriched_event(), at, flip, &junk);
        damage(&codec, &g.raw_block_2(), at, flip, &junk);
        damage(&codec, &g.checkpoint(), at, flip, &junk);
        damage(&codec, &g.status(), at, flip, &junk);
        damage(&codec, &g.dead_letter(), at, flip, &junk);
        damage(&codec, &g.enrich_status(), at, flip, &junk);
        damage(&codec, &g.stage_status(), at, flip, &junk);
        damage(&codec, &g.provider_sample(), at, flip, &junk);
        damage(&codec, &g.config_4(), at, flip, &junk);
        damage(&codec, &g.control_tenant(), at, flip, &junk);
        damage(&codec, &g.alert_ring(), at, flip, &junk);
        damage(&codec, &g.alert_match(), at, flip, &junk);
        damage(&codec, &g.alert_state(), at, flip, &junk);
        damage(&codec, &g.alert_event(), at, flip, &junk);
        damage(&codec, &g.alert_outbox(), at, flip, &junk);
        damage(&codec, &g.alert_delivery(), at, flip, &junk);
        damage(&codec, &g.alert_command(), at, flip, &junk);
    });
}

/// What is written and read with the event's envelope known is what it is without.
#[test]
fn the_transactions_of_an_event() {
    let codec = Codec::builtin();
    proptest!(ProptestConfig::with_cases(2_048), |(seed: u64, at: usize, flip in 0u8..=255)| {
        let mut g = Gen(seed);
        let raw = g.raw_transaction_2();
        if let Payload::Evm(tx) = &raw.payload {
            let (value, mut writer) = (codec.encode(&raw).unwrap(), Writer::new(&codec, &raw.envelope));
            // What was written before leaves nothing behind.
            for _ in 0..2 {
                prop_assert_eq!(&writer.value(tx, value.len()).unwrap(), &value);
            }
            prop_assert_eq!(writer.value(tx, value.len() - 1), codec.encode_within(&raw, value.len() - 1));
        }
        let enriched = g.enriched_transaction_4();
        let mut value = codec.encode(&enriched).unwrap().to_vec();
        let reader = Reader::new(&codec, enriched.envelope.clone());
        let other = Reader::new(&codec, g.child(Op::Apply));
        let at = at % value.len();
        value[at] ^= flip;
        for value in [&value[..], &value[..at], &[&value[..], &[flip]].concat()] {
            let alone = codec.decode::<EnrichedTransaction>(value);
            prop_assert_eq!(&reader.read(value), &alone);
            prop_assert_eq!(&other.read(value), &alone);
        }
    });
}

/// Logs that were looked at are written as their records are.
#[test]
fn the_events_of_a_block() {
    let codec = Codec::builtin();
    proptest!(ProptestConfig::with_cases(2_048), |(seed: u64)| {
        let raw = Gen(seed).raw_transaction_2();
        let Payload::Evm(tx) = &raw.payload else { return Ok(()) };
        let value = codec.encode(&raw).unwrap();
        let (mut logs, mut data) = (Vec::new(), vec![7]);
        let view = Passing::new(&codec, &raw.envelope).look(&value, &mut logs).unwrap();
        view.read_input(&mut data);
        prop_assert_eq!((&data[..], view.input_len()), (&tx.input[..], tx.input.len()));
        let mut events = Events::new(&codec, &raw.envelope);
        prop_assert_eq!(logs.len(), tx.logs.len());
        for (at, (log, seen)) in tx.logs.iter().zip(&logs).enumerate() {
            seen.read_data(&mut data);
            prop_assert_eq!((&data[..], seen.data_len()), (&log.data[..], log.data.len()));
            let decoded = (at % 2 == 0).then(|| DecodedEvent { event: "e(x y)".into(), arguments: "{}".into() });
            let event = EmittedEvent {
                transaction_index: tx.transaction_index,
                transaction_hash: tx.hash,
                log: log.clone(),
                decoded: decoded.clone(),
            };
            let wanted = {
                let payload = Payload::Evm(event.into());
                codec.encode(&EnrichedEvent { envelope: raw.envelope.clone(), payload }).unwrap()
            };
            let texts = decoded.as_ref().map(|d| (d.event.as_str(), d.arguments.as_str()));
            let limit = wanted.len();
            prop_assert_eq!(events.value(&view, seen, texts, limit), Some(wanted));
            prop_assert_eq!(events.value(&view, seen, texts, limit - 1), None);
        }
    });
}

#[test]
fn ids_are_checked() {
    let codec = Codec::builtin();
    let value = codec.encode(&Gen(1).raw_block()).unwrap();
    assert_eq!(value[..5], [0, 0, 0, 0, 1]);
    assert!(matches!(
        codec.decode::<RawTransaction>(&value),
        Err(DecodeError::WrongTopic { id: 1, found: "raw.blocks", wanted: "raw.transactions" })
    ));
    let mut unknown = value.to_vec();
    unknown[1..5].copy_from_slice(&77_777u32.to_be_bytes());
    assert_eq!(codec.decode::<RawBlock>(&unknown), Err(DecodeError::UnknownSchema { id: 77_777 }));
    assert_eq!(codec.decode_json(&unknown), Err(DecodeError::UnknownSchema { id: 77_777 }));
    for not in [&b""[..], &[0, 0, 0, 0], &[1, 0, 0, 0, 1, 0]] {
        assert_eq!(codec.decode::<RawBlock>(not), Err(DecodeError::NotConfluent));
    }
}

#[test]
fn another_registrys_ids() {
    let ids = |skip: usize| SCHEMAS.iter().skip(skip).map(|s| (s.topic.name, s.version, s.id + 4_000_000));
    let codec = Codec::with_ids(ids(0)).unwrap();
    let record = EnrichedBlock {
        facts_position: Some(5),
        bitcoin: Some(Box::new(Gen(7).bitcoin_header())),
        ..Gen(7).enriched_block_2()
    };
    let value = codec.encode(&record).unwrap();
    assert_eq!(value[1..5], codec.id_of("enriched.blocks").unwrap().to_be_bytes());
    assert_eq!(codec.decode::<EnrichedBlock>(&value).unwrap(), record);
    assert!(Codec::builtin().decode::<EnrichedBlock>(&value).is_err());
    assert!(matches!(Codec::with_ids(ids(1)), Err(CodecError::Unregistered { topic: "raw.blocks", version: 1 })));
    // Nobody has to register what is only read.
    let today = SCHEMAS.iter().filter(|s| !s.is_former()).map(|s| (s.topic.name, s.version, s.id));
    assert!(Codec::with_ids(today).is_ok());
    let twice = ids(0).map(|(topic, version, _)| (topic, version, 5));
    assert!(matches!(Codec::with_ids(twice), Err(CodecError::DuplicateId(5))));
    let newer = [("raw.blocks", 99, 1)];
    assert!(matches!(Codec::with_ids(newer), Err(CodecError::UnknownVersion { version: 99, .. })));
}

#[test]
fn too_large_is_an_error_of_its_own() {
    let mut record = support::find(0, Gen::raw_transaction, |r| matches!(r.payload, Payload::Evm(_)));
    let Payload::Evm(tx) = &mut record.payload else { unreachable!() };
    tx.input = vec![0; limits::RECORD_VALUE_BYTES / 2].into();
    assert!(matches!(
        Codec::builtin().encode(&record),
        Err(EncodeError::TooLarge { topic: "raw.transactions", limit: limits::RECORD_VALUE_BYTES, .. })
    ));
}

#[test]
fn keys_and_headers_say_what_the_value_says() {
    proptest!(|(seed: u64)| {
        let mut g = Gen(seed);
        let block = g.raw_block();
        prop_assert_eq!(block.key(), block.envelope.network.as_str());
        let headers = parse(&block);
        prop_assert_eq!((headers.tx_count, headers.log_count), (Some(block.envelope.tx_count), Some(block.envelope.log_count)));
        let tx = g.enriched_transaction();
        let headers = parse(&tx);
        prop_assert_eq!((&headers.network, headers.sequence, headers.op), (&tx.envelope.network, tx.envelope.sequence, tx.envelope.op));
        let index = match &tx.payload {
            Payload::Evm(p) => Some(p.0.transaction_index),
            Payload::Bitcoin(tx) => Some(tx.transaction_index),
            Payload::Unreadable { index, .. } => Some(*index),
            Payload::Revert => None,
        };
        prop_assert_eq!(headers.index, index);
        let checkpoint = g.checkpoint();
        match &checkpoint {
            CheckpointRecord::Checkpoint(c) => prop_assert_eq!(checkpoint.key(), c.network.as_str()),
            CheckpointRecord::Ring(r) => prop_assert_eq!(checkpoint.key(), format!("{}#{}", r.network, r.height % 256)),
        }
        // A network has one record per stage, whoever has it; a process one of its own.
        let status = g.stage_status();
        let named = status.key();
        prop_assert_eq!(StageStatus::network_of(&named), status.network.as_ref().map(|n| n.as_str()));
        let other = StageStatus { instance: "host:/data/network/eth".into(), ..status.clone() };
        let key = other.key();
        prop_assert_eq!(StageStatus::network_of(&key), status.network.as_ref().map(|n| n.as_str()));
        prop_assert_eq!(key == named, status.network.is_some());
    });
    fn parse<R: Record>(record: &R) -> ChainHeaders {
        let pairs = record.headers();
        ChainHeaders::parse(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| &v[..])).unwrap()
    }
}

/// A kind without what it needs, a word of another version, a share above all: errors that name the field, never a made-up value.
#[test]
fn samples_that_say_too_little() {
    use schemas::{records::ProviderSample, wire::Datum};
    let avsc = SCHEMAS.iter().find(|s| s.topic == topics::PROVIDERS_SAMPLES).unwrap().avsc;
    let schema = Schema::parse_str(avsc).unwrap();
    let read = |name: &str, value: Value, record: &ProviderSample| {
        let encoded = Codec::builtin().encode(record).unwrap();
        let mut read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &encoded[5..]).unwrap();
        let Value::Record(fields) = &mut read else { unreachable!() };
        fields.iter_mut().find(|(n, _)| n == name).unwrap().1 = value;
        let mut datum = Vec::new();
        GenericDatumWriter::builder(&schema).build().unwrap().write_value_ref(&mut datum, &read).unwrap();
        Datum::of::<ProviderSample>(avsc, &datum)
    };
    let null = || Value::Union(0, Box::new(Value::Null));
    let state = support::find(
        0,
        Gen::provider_sample,
        |s| matches!(&s.seen, Seen::State(s) if s.lie.is_some() && s.link.is_none()),
    );
    let minute = support::find(0, Gen::provider_sample, |s| matches!(s.seen, Seen::Minute(_)));
    let call = support::find(0, Gen::provider_sample, |s| matches!(s.seen, Seen::Call(_)));
    for (name, record) in [("calls", &minute), ("outcome", &call), ("url", &state), ("lie_right", &state)] {
        let error = read(name, null(), record).unwrap_err();
        assert!(error.contains(name) && error.contains("missing"), "{error}");
    }
    let word = |word: &str| Value::Union(1, Box::new(Value::String(word.into())));
    assert!(read("state", word("lame"), &state).unwrap_err().contains("quarantined"));
    assert!(read("kind", Value::String("hour".into()), &minute).unwrap_err().contains("call, minute or state"));
    let more = Value::Union(1, Box::new(Value::Long(1_000_001)));
    assert!(read("success_rate", more, &state).unwrap_err().contains("success_rate"));
    assert_eq!(read("outcome", null(), &state), Ok(state));
}

/// What people see in `tail` and what off-the-shelf consumers get: names, text forms, nulls.
#[test]
fn json_has_the_documented_forms() {
    let codec = Codec::builtin();
    let record = support::find(3, Gen::enriched_transaction, |r| match &r.payload {
        Payload::Evm(p) => p.0.to_address.is_some() && p.1.fee.is_some() && !p.0.logs.is_empty(),
        _ => false,
    });
    let json = codec.decode_json(&codec.encode(&record).unwrap()).unwrap();
    let Payload::Evm(payload) = &record.payload else { unreachable!() };
    let (tx, found) = &**payload;
    assert_eq!(json["network"], record.envelope.network.as_str());
    assert_eq!(json["hash"], tx.hash.to_string());
    assert_eq!(json["to_address"], format!("{:#x}", tx.to_address.unwrap()));
    assert_eq!(json["value"], tx.value.to_string());
    assert_eq!(json["input"], tx.input.to_string());
    assert_eq!(json["status"], found.status.as_str());
    assert_eq!(json["fee"], found.fee.unwrap().total().to_string());
    assert_eq!(json["logs"][0]["address"], format!("{:#x}", tx.logs[0].address));
    assert_eq!(json["logs"].as_array().unwrap().len(), tx.logs.len());
    assert!(json["error"].is_null());

    let revert = support::find(0, Gen::enriched_transaction, |r| r.payload == Payload::Revert);
    let json = codec.decode_json(&codec.encode(&revert).unwrap()).unwrap();
    let set: Vec<_> = json.as_object().unwrap().iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k.as_str()).collect();
    assert_eq!(set, ["block_hash", "block_time", "height", "network", "observed_at", "op", "sequence"]);
}

/// Decimal amounts at every edge of the chunks that they are written in.
#[test]
fn amounts_at_the_edges() {
    use alloy_primitives::U256;
    let codec = Codec::builtin();
    let mut record = support::find(0, Gen::raw_transaction, |r| matches!(r.payload, Payload::Evm(_)));
    let mut edges = vec![U256::ZERO, U256::MAX, U256::from(u64::MAX), U256::from(u64::MAX) + U256::from(1)];
    for digits in 1..=77u64 {
        let power = U256::from(10).pow(U256::from(digits));
        edges.extend([power, power - U256::from(1), power + U256::from(1)]);
    }
    for amount in edges {
        let Payload::Evm(tx) = &mut record.payload else { unreachable!() };
        tx.value = amount;
        let value = codec.encode(&record).unwrap();
        assert_eq!(codec.decode::<RawTransaction>(&value).unwrap(), record);
        assert_eq!(codec.decode_json(&value).unwrap()["value"], amount.to_string());
    }
}
