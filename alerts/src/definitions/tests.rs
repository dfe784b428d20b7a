//! Records of `control.tenants` as they may come.

use runtime::log::{Record, TopicPartition, followed::Fold as _};
use schemas::{
    Codec, TimeMs,
    codec::Record as _,
    headers::names,
    records::{Contract, ControlTenant, Definition, DefinitionKind, TenantThing},
    topics,
};

use super::Known;

const RULE: &str = r#"{"name": "Failures", "network": "demo", "metric": "failure_rate"}"#;

fn rule(revision: u64, version: u64, definition: &str) -> ControlTenant {
    let (name, definition) = ("Failures".to_owned(), definition.to_owned());
    let definition = Definition { name, version, definition, sealed: None, disabled: None };
    let thing = TenantThing::of(DefinitionKind::Rule, definition);
    ControlTenant { tenant: "t".to_owned(), id: "r".to_owned(), revision, thing }
}

fn folded(records: &[(&str, Option<bytes::Bytes>, Option<u64>)]) -> Known {
    let mut known = Known::default();
    for (offset, (key, value, revision)) in records.iter().enumerate() {
        let record = Record {
            from: TopicPartition { topic: topics::CONTROL_TENANTS.name, partition: 0 },
            offset: offset as u64,
            timestamp: TimeMs(0),
            key: Some(bytes::Bytes::copy_from_slice(key.as_bytes())),
            value: value.clone(),
            headers: revision.iter().map(|n| (names::REVISION.into(), n.to_string().into())).collect(),
        };
        known.take(&Codec::builtin(), &record);
    }
    known
}

fn put(record: &ControlTenant) -> Option<bytes::Bytes> {
    Some(Codec::builtin().encode(record).expect("a value"))
}

#[test]
fn the_highest_revision_counts_whatever_comes_later() {
    let (one, two) = (put(&rule(1, 1, RULE)), put(&rule(5, 2, RULE)));
    let version = |records: &[_]| {
        let known = folded(records).definitions();
        known.of("t").and_then(|of| Some(of.rules.get("r")?.version))
    };
    let key = rule(1, 1, RULE).key();
    let (key, removed) = (key.as_str(), |revision| (key_of_rule(), None, Some(revision)));
    assert_eq!(version(&[(key, one.clone(), None)]), Some(1));
    assert_eq!(version(&[(key, one.clone(), None), (key, two.clone(), None)]), Some(2));
    assert_eq!(
        version(&[(key, two.clone(), None), (key, one.clone(), None)]),
        Some(2),
        "a lower revision says nothing"
    );
    assert_eq!(version(&[(key, two.clone(), None), removed(4)]), Some(2), "a removal that comes late");
    assert_eq!(version(&[(key, two.clone(), None), removed(6)]), None);
    assert_eq!(version(&[(key, two, None), removed(6), (key, one, None)]), None, "behind a removal");
}

const fn key_of_rule() -> &'static str {
    "t/rule/r"
}

#[test]
fn a_channels_record_may_bound_what_all_channels_send() {
    let channel = |id: &str, revision, per_hour: &str| {
        let definition = format!(
            r#"{{"name": "{id}", "type": "webhook", "config": {{"url": "https://1.1.1.1/", "secret": {{"set": true}}}}{per_hour}}}"#
        );
        let definition = Definition { name: id.to_owned(), version: 1, definition, sealed: None, disabled: None };
        let thing = TenantThing::of(DefinitionKind::Channel, definition);
        ControlTenant { tenant: "t".to_owned(), id: id.to_owned(), revision, thing }
    };
    let bounded = r#", "organisation_per_hour": 7"#;
    let (a, b, free) = (channel("a", 1, bounded), channel("b", 1, bounded), channel("a", 2, ""));
    let of = |records: &[&ControlTenant]| {
        let records: Vec<_> = records.iter().map(|record| (record.key(), put(record))).collect();
        let records: Vec<_> = records.iter().map(|(key, value)| (key.as_str(), value.clone(), None)).collect();
        let known = folded(&records).definitions();
        let of = known.of("t").expect("channels").clone();
        (of.channels.len(), of.per_hour.values().copied().min())
    };
    assert_eq!(of(&[&a, &b]), (2, Some(7)));
    assert_eq!(of(&[&a, &free]), (1, None), "the plan bounds it no more");
    assert_eq!(of(&[&free]), (1, None));
}

#[test]
fn what_cannot_be_used_counts_for_nothing_and_ends_nothing() {
    let good = put(&rule(1, 1, RULE));
    let contract = ControlTenant {
        tenant: "t".to_owned(),
        id: "c".to_owned(),
        revision: 1,
        thing: TenantThing::Contract(Contract {
            network: "demo".parse().expect("a slug"),
            address: format!("0x{}", "ab".repeat(20)),
            name: "Router".to_owned(),
            labels: Vec::new(),
            abi: None,
        }),
    };
    for (what, bad) in [
        ("no JSON", put(&rule(2, 2, "{"))),
        ("no rule", put(&rule(2, 2, r#"{"name": "x", "network": "demo", "metric": "nonsense"}"#))),
        ("of a later version", Some(bytes::Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xff, 1]))),
    ] {
        let key = key_of_rule();
        let known = folded(&[(key, good.clone(), None), (&contract.key(), put(&contract), None), (key, bad, None)]);
        let known = known.definitions();
        let of = known.of("t").expect("the contract");
        assert!(of.rules.is_empty() && of.contracts.len() == 1, "{what}: {of:?}");
    }
    let known =
        folded(&[(key_of_rule(), Some(bytes::Bytes::from_static(b"x")), None), ("t", good, None)]).definitions();
    assert!(known.tenants.is_empty(), "another program's records: {known:?}");
    let (rule, before) = (rule(1, 1, RULE), folded(&[]).definitions().changes);
    let now = folded(&[(&rule.key(), put(&rule), None)]).definitions();
    assert!(now.changes > before && now.of("t").is_some_and(|of| of.rules["r"].name == "Failures"), "{now:?}");
}
