//! The API's questions against a known chain.

use std::collections::HashSet;

use alloy_primitives::Address;
use schemas::{Status, TimeMs, records::Payload};
use store::{
    Store, StoreErrorKind,
    query::{BlockFilter, ContractFigures, Rows, Sort, Transaction, TransactionFilter},
    sink::batch::Event,
};

use crate::{
    chain::{Chain, Dice, TRANSFER, contracts, is_watched},
    harness::Running,
    setup::{RunningSink, TestLog, execute, store_in, until_processed},
};

/// Everything that a filter finds, page by page.
async fn all(store: &Store, filter: &TransactionFilter) -> Vec<Transaction> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = store.transactions(&filter).await.expect("a page");
        assert!(page.items.len() <= filter.limit as usize);
        found.extend(page.items);
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            return found;
        }
    }
}

fn keys(found: &[Transaction]) -> Vec<(String, u64, u32)> {
    found.iter().map(|t| (t.network.clone(), t.block_number, t.transaction_index)).collect()
}

/// The same by the model: newest first.
fn model(chains: &[Chain], wanted: impl Fn(&Event, usize) -> bool) -> Vec<(String, u64, u32)> {
    let mut keys: Vec<(i64, String, u64, u32)> = Vec::new();
    for chain in chains {
        for live in &chain.live {
            let e = &live.event.block.envelope;
            for i in 0..live.event.transactions.len() {
                if wanted(&live.event, i) {
                    keys.push((e.block_time.0, chain.network.as_str().into(), e.height, i as u32));
                }
            }
        }
    }
    keys.sort();
    keys.reverse();
    keys.into_iter().map(|(_, n, h, i)| (n, h, i)).collect()
}

fn part(event: &Event, i: usize) -> &(schemas::records::EvmTransaction, schemas::records::Enrichment) {
    match &event.transactions[i].payload {
        Payload::Evm(both) => both,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_look_ups_and_replays_tell_what_the_chain_is() {
    let engine = Running::start().await;
    let store = store_in(&engine, "queries");
    let log = TestLog::open().await;
    let mut dice = Dice(11);
    let mut chains = vec![Chain::new("a", 100), Chain::new("b", 5_000)];
    for _ in 0..60 {
        let events: Vec<_> = chains.iter_mut().flat_map(|c| c.step(&mut dice)).collect();
        log.publish(&events).await;
    }
    let sink = RunningSink::start(&store, &log);
    for chain in &chains {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    let a = &chains[0];

    // Health.
    let networks = store.networks().await.expect("networks");
    assert_eq!(networks.iter().map(|n| n.network.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let tip = &a.live.last().expect("a tip").event.block.envelope;
    let head = networks[0].head.as_ref().expect("a head");
    assert_eq!((head.number, head.hash.as_str()), (tip.height, tip.block_hash.as_str()));
    assert_eq!((networks[0].processed_sequence, networks[0].state.as_str()), (a.sequence, "running"));

    // Lists.
    let base = TransactionFilter { limit: 7, ..TransactionFilter::default() };
    assert_eq!(keys(&all(&store, &base).await), model(&chains, |_, _| true));
    let of_a = TransactionFilter { network: Some(a.network.clone()), ..base.clone() };
    let in_a = |e: &Event| e.network() == &a.network;
    assert_eq!(keys(&all(&store, &of_a).await), model(&chains, |e, _| in_a(e)));
    let oldest = TransactionFilter { sort: Sort::Oldest, ..of_a.clone() };
    let mut wanted = model(&chains, |e, _| in_a(e));
    wanted.reverse();
    assert_eq!(keys(&all(&store, &oldest).await), wanted);
    let failed = TransactionFilter { status: Some(Status::Failed), ..of_a.clone() };
    let is_failed = |e: &Event, i| part(e, i).1.status == Status::Failed;
    assert_eq!(keys(&all(&store, &failed).await), model(&chains, |e, i| in_a(e) && is_failed(e, i)));
    let cause = TransactionFilter { causes: vec!["out_of_gas".into(), "gas_limit".into()], ..base.clone() };
    assert_eq!(keys(&all(&store, &cause).await), model(&chains, is_failed));
    for address in [Address::repeat_byte(100), Address::repeat_byte(200), Address::repeat_byte(3)] {
        let text = format!("{address:#x}");
        let touches = |e: &Event, i: usize| {
            let t = &part(e, i).0;
            t.to_address == Some(address) || t.logs.iter().any(|l| l.address == address)
        };
        let contract = TransactionFilter { contract: Some(text.clone()), ..base.clone() };
        assert_eq!(keys(&all(&store, &contract).await), model(&chains, touches), "{text}");
        let any = TransactionFilter { address: Some(text.clone()), ..of_a.clone() };
        let sent = |e: &Event, i| part(e, i).0.from_address == address;
        assert_eq!(
            keys(&all(&store, &any).await),
            model(&chains, |e, i| in_a(e) && (touches(e, i) || sent(e, i))),
            "{text}"
        );
    }
    let (from, to) = (TimeMs(tip.block_time.0 - 120_000), TimeMs(tip.block_time.0 - 36_000));
    let between = TransactionFilter { from: Some(from), to: Some(to), ..of_a.clone() };
    let inside = |e: &Event| (from.0..to.0).contains(&e.block.envelope.block_time.0);
    assert_eq!(keys(&all(&store, &between).await), model(&chains, |e, _| in_a(e) && inside(e)));
    let everywhere = TransactionFilter { network: None, ..between };
    assert_eq!(keys(&all(&store, &everywhere).await), model(&chains, |e, _| inside(e)));
    let block = TransactionFilter { block: Some(tip.height - 1), ..of_a.clone() };
    assert_eq!(
        keys(&all(&store, &block).await),
        model(&chains, |e, _| in_a(e) && e.block.envelope.height == tip.height - 1)
    );
    // Larger pages are the same list.
    let whole = TransactionFilter { limit: 10_000, ..of_a.clone() };
    let exported = store.export(&whole).await.expect("all");
    assert_eq!((keys(&exported.items), exported.next), (model(&chains, |e, _| in_a(e)), None));
    let hostile = TransactionFilter { contract: Some("' OR 1=1 --".into()), ..base };
    assert_eq!(all(&store, &hostile).await, []);

    // Contracts: each from its own time on; what is not watched, or not yet, has nothing.
    let (watched, not) = (Address::repeat_byte(200), Address::repeat_byte(201));
    assert!(is_watched(&watched) && !is_watched(&not));
    let since = [TimeMs(0), from, TimeMs(tip.block_time.0 + 1)];
    let texts = [watched, Address::repeat_byte(102), Address::repeat_byte(100), not].map(|a| format!("{a:#x}"));
    let asked: Vec<(&str, TimeMs)> = texts.iter().map(String::as_str).zip(since.into_iter().chain([from])).collect();
    let figures = store.contract_figures(&a.network, &asked).await.expect("figures");
    let summed: Vec<ContractFigures> = asked
        .iter()
        .map(|(address, since)| {
            let blocks = a.live.iter().filter(|l| l.event.block.envelope.block_time >= *since);
            let sums = blocks.flat_map(|l| contracts(&l.event.transactions));
            sums.filter(|c| format!("{:#x}", c.address) == *address).fold(ContractFigures::default(), |all, c| {
                let (transactions, failed) = (u64::from(c.transactions), u64::from(c.failed));
                ContractFigures { transactions: all.transactions + transactions, failed: all.failed + failed }
            })
        })
        .collect();
    assert_eq!(figures, summed);
    assert!(figures[0].transactions > 0 && figures[0].failed > 0 && figures[1].transactions > 0, "{figures:?}");
    assert_eq!(figures[2..], [ContractFigures::default(); 2]);
    let refused = store.contract_figures(&a.network, &[("' OR 1", from)]).await.expect_err("no address");
    assert_eq!(refused.kind, StoreErrorKind::BadRequest);

    // Blocks.
    let mut filter = BlockFilter { limit: 9, ..BlockFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.blocks(&filter).await.expect("a page");
        seen.extend(page.items.iter().map(|b| (b.timestamp.0, b.network.clone(), b.number, b.hash.clone())));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    let mut wanted: Vec<_> = chains
        .iter()
        .flat_map(|c| c.live.iter().map(|l| &l.event.block.envelope))
        .map(|e| (e.block_time.0, e.network.as_str().to_owned(), e.height, e.block_hash.as_str().to_owned()))
        .collect();
    wanted.sort();
    wanted.reverse();
    assert_eq!(seen, wanted);
    let by_hash = store.block_by_hash(&a.network, &tip.block_hash).await.expect("an answer").expect("the tip");
    assert_eq!(Some(&by_hash), store.block_by_height(&a.network, tip.height).await.expect("an answer").as_ref());
    assert_eq!(store.block_by_height(&a.network, tip.height + 1).await.expect("an answer"), None);

    // One transaction.
    let busy = a.live.iter().find(|l| l.event.block.envelope.log_count > 0).expect("a log");
    let i = (0..busy.event.transactions.len()).find(|i| !part(&busy.event, *i).0.logs.is_empty()).expect("logs");
    let (tx, enriched) = part(&busy.event, i);
    let found = store.transaction(&a.network, &tx.hash.to_string()).await.expect("an answer");
    assert_eq!(found.len(), 1);
    let detail = &found[0];
    assert_eq!((detail.transaction.value, detail.transaction.fee), (tx.value, enriched.fee.map(|f| f.total())));
    assert_eq!(detail.evm.l1_fee, enriched.fee.and_then(|f| f.l1));
    assert_eq!(detail.evm.input, format!("{}", tx.input));
    assert_eq!(
        detail.logs.iter().map(|l| l.log_index).collect::<Vec<_>>(),
        tx.logs.iter().map(|l| l.log_index).collect::<Vec<_>>()
    );
    assert_eq!(detail.logs[0].event.as_deref(), Some(TRANSFER));
    assert!(store.transaction(&a.network, "0xabc").await.expect("an answer").is_empty());

    // Replay: applies that still stand, each with its transactions, and no revert of what was left out.
    let after = a.sequence / 2;
    let (mut position, mut delivered, mut left_out) = (after, Vec::new(), HashSet::new());
    loop {
        let page = store.replay(&a.network, position, a.sequence, Some(500)).await.expect("a page");
        assert_eq!((page.gap, page.torn), (None, false));
        let blocks_only = store.replay(&a.network, position, page.position, None).await.expect("a page");
        assert_eq!((blocks_only.events.len(), blocks_only.position), (page.events.len(), page.position));
        for (e, without) in page.events.into_iter().zip(blocks_only.events) {
            assert_eq!(e.event, without.event);
            let kept = match (&e.rows, &without.rows) {
                (Rows::Applied { block, transactions }, Rows::Applied { block: same, transactions: none }) => {
                    assert_eq!(transactions.len(), e.event.tx_count as usize);
                    assert!(block == same && none.is_empty());
                    true
                }
                (Rows::Undone, Rows::Undone) => !left_out.insert(e.event.sequence),
                (Rows::Revert, Rows::Revert) => {
                    !e.event.reverts_sequence.is_some_and(|undone| left_out.contains(&undone))
                }
                other => panic!("{other:?}"),
            };
            if kept {
                delivered.push((e.event.sequence, e.event.op));
            }
        }
        position = page.position;
        if page.done {
            break;
        }
    }
    let standing: HashSet<u64> = a.live.iter().map(|l| l.event.block.envelope.sequence).collect();
    let applies: Vec<u64> = delivered.iter().filter(|(_, op)| op == "apply").map(|(s, _)| *s).collect();
    let mut wanted: Vec<u64> = standing.iter().copied().filter(|s| *s > after).collect();
    wanted.sort_unstable();
    assert_eq!(applies, wanted);
    let all_events = store.events(&a.network, 0, u64::MAX, 100_000).await.expect("events");
    let undone: HashSet<u64> = all_events.iter().filter_map(|e| e.reverts_sequence).collect();
    for (sequence, op) in &delivered {
        assert!(op == "revert" || !undone.contains(sequence));
    }
    let reverts_of_old =
        all_events.iter().filter(|e| e.sequence > after && e.reverts_sequence.is_some_and(|u| u <= after)).count();
    assert_eq!(delivered.iter().filter(|(_, op)| op == "revert").count(), reverts_of_old);

    // What a revert names is all there or an error: a row that cannot be read is not passed by.
    let heights: Vec<u64> = a.live.iter().map(|l| l.event.block.envelope.height).collect();
    let (low, high) = (heights[0], heights[heights.len() - 1]);
    let held = store.held_blocks(&a.network, low, high).await.expect("all of them");
    assert_eq!(held.iter().map(|entry| entry.height).collect::<Vec<_>>(), heights);
    let standing_at = |entry: &schemas::records::RingEntry| (entry.sequence, entry.block_hash.clone());
    let wanted_at =
        |l: &crate::chain::Live| (l.event.block.envelope.sequence, l.event.block.envelope.block_hash.clone());
    assert_eq!(held.iter().map(standing_at).collect::<Vec<_>>(), a.live.iter().map(wanted_at).collect::<Vec<_>>());
    for (sequence, column, value) in [(2, "hash", "0xABC"), (3, "parent_hash", "")] {
        let hash = |name: &str| match name == column {
            true => format!("if(number = 4, '{value}', concat('0x', repeat('a', 64)))"),
            false => "concat('0x', repeat('b', 64))".to_owned(),
        };
        let row = format!(
            "INSERT INTO block_rows (network, height, version, hash, parent_hash, span) \
             SELECT 'z', number, {sequence} * 256, {}, {}, 1024 FROM numbers(3, 3)",
            hash("hash"),
            hash("parent_hash")
        );
        execute(&engine, &store, &row).await;
        let network = "z".parse().expect("a slug");
        let error = store.held_blocks(&network, 3, 5).await.expect_err("a row that cannot be read");
        let words = format!("of block 4 of z (sequence {sequence})");
        assert!(error.kind == StoreErrorKind::Version && error.message.contains(&words), "{error}");
        assert!(error.message.contains("backfill --again"), "{error}");
        assert_eq!(store.held_blocks(&network, 5, 9).await.expect("what can be read").len(), 1);
    }

    // Completeness and limits.
    let ranges = store.completeness(&a.network).await.expect("ranges").ranges;
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].complete && ranges[0].blocks == a.live.len() as u64);
    let mut config = store.config().clone();
    config.read_deadline = std::time::Duration::from_nanos(1);
    let late = Store::connect(config).expect("a handle").totals().await.expect_err("no time");
    assert_eq!(late.kind, StoreErrorKind::Timeout);
    engine.stop().await;
}
