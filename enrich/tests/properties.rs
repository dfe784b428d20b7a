//! Any event at all: no panic, every record passed on, counts that add up.

#[path = "../../schemas/tests/support/mod.rs"]
mod gen_records;

use alloy_primitives::{B256, U256};
use enrich::enrich_event;
use gen_records::Gen;
use proptest::prelude::*;
use schemas::{
    Op, Status,
    profiles::{PROFILES, TOLERANT},
    records::{Payload, RawBlock, RawTransaction},
};

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// An event whose records belong together; everything else about them is made up.
fn event(g: &mut Gen) -> (RawBlock, Vec<RawTransaction>) {
    let mut block = g.raw_block();
    let count = match block.envelope.op {
        Op::Apply => g.below(8),
        Op::Revert => 1,
        Op::Finality => 0,
    };
    let children = (0..count)
        .map(|_| {
            let mut tx = g.raw_transaction();
            tx.envelope = block.envelope.child();
            if block.envelope.op == Op::Revert {
                tx.payload = Payload::Revert;
            } else if tx.payload == Payload::Revert {
                tx.payload = Payload::Unreadable { index: 0, error: "made up".into() };
            }
            if let Payload::Evm(tx) = &mut tx.payload {
                tx.transaction_type =
                    [0, 1, 2, 3, 4, 0x64, 0x68, 0x69, 0x6a, 0x7e, tx.transaction_type][g.below(11) as usize];
                for log in &mut tx.logs {
                    if g.below(2) == 0 && !log.topics.is_empty() {
                        log.topics[0] = TRANSFER.parse().unwrap();
                        log.topics.iter_mut().skip(1).for_each(|t| {
                            if g.below(2) == 0 {
                                *t = B256::from(U256::from(g.u64()))
                            }
                        });
                        log.data = log.data.slice(..log.data.len().min([0, 31, 32, 33][g.below(4) as usize]));
                    }
                }
            }
            tx
        })
        .collect();
    block.envelope.tx_count = count as u32;
    (block, children)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn any_event(seed: u64) {
        let mut g = Gen(seed);
        let profile = *PROFILES.get(g.below(PROFILES.len() as u64 + 1) as usize).unwrap_or(&TOLERANT);
        let (block, children) = event(&mut g);
        let (out, enriched) = enrich_event(&profile, block.clone(), children.clone());
        prop_assert_eq!((&out.envelope, &out.evm), (&block.envelope, &block.evm));
        prop_assert_eq!(out.summary.is_some(), block.envelope.op == Op::Apply);
        prop_assert_eq!(enriched.len(), children.len());
        let (mut failed, mut unreadable, mut fee, mut unknown_fee) = (0, 0, U256::ZERO, 0);
        for (raw, rich) in children.iter().zip(&enriched) {
            prop_assert_eq!(&raw.envelope, &rich.envelope);
            match (&raw.payload, &rich.payload) {
                (Payload::Evm(tx), Payload::Evm(p)) => {
                    prop_assert_eq!(&**tx, &p.0);
                    prop_assert_eq!(p.1.events.len(), tx.logs.len());
                    failed += u32::from(p.1.status == Status::Failed);
                    match p.1.fee {
                        Some(parts) => {
                            prop_assert!(parts.total() >= parts.execution);
                            fee = fee.saturating_add(parts.total());
                        }
                        None => unknown_fee += 1,
                    }
                    for event in p.1.events.iter().flatten() {
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&event.arguments).unwrap().is_object());
                    }
                }
                (Payload::Revert, Payload::Revert) => {}
                (Payload::Unreadable { index: a, error: b }, Payload::Unreadable { index: c, error: d }) => {
                    prop_assert_eq!((a, b), (c, d));
                    unreadable += 1;
                }
                (raw, rich) => prop_assert!(false, "{:?} became {:?}", raw, rich),
            }
        }
        if let Some(s) = out.summary {
            prop_assert_eq!(s.transactions as usize, children.len());
            prop_assert_eq!((s.failed, s.unreadable, s.fee_total, s.fee_unknown), (failed, unreadable, fee, unknown_fee));
            prop_assert!(s.gas_price_min <= s.gas_price_max && s.gas_price_count <= s.transactions);
        }
    }
}
