//! The questions, each with the rows that it may read. The bounds do not know how large the tables are; they know of parts:
//! a look-up reads a granule (8,192 rows) of each part that may hold what it looks for.

use std::time::{Duration, Instant};

use schemas::{BlockHash, Status, TimeMs, limits};
use store::{
    Store, StoreError,
    query::{BlockFilter, MatchRow, Page, Remembered, Sort, Step, Transaction, TransactionFilter},
    sink::mend,
};

use crate::{
    chain::{Chain, Dice},
    generate::{self, ENDPOINTS, FIRST_HEIGHT, METHODS, Network, PER_BLOCK, block_hash, run, sender, transaction_hash},
    harness::{Running, encoded},
    setup::{RunningSink, TestLog, until_processed},
};

pub const GRANULE: u64 = 8_192;
/// Parts that one place of a table may lie in, at most, as they are made here: by number of blocks and by key.
pub const PARTS: u64 = 12;

/// What was asked.
pub struct Asked<'e> {
    pub engine: &'e Running,
    all: Vec<(&'static str, String, u64, u64)>,
}

impl<'e> Asked<'e> {
    pub fn new(engine: &'e Running) -> Self {
        Self { engine, all: Vec::new() }
    }

    /// Rows that statements have read since the engine started.
    fn read_so_far(&self) -> u64 {
        let sql = "SELECT sum(value) FROM system.events WHERE event = 'SelectedRows'";
        run(self.engine, sql, "").parse().expect("a number")
    }

    /// Asks a question of this name, which may read so many rows.
    pub async fn ask<T>(
        &mut self,
        name: &'static str,
        about: impl Into<String>,
        bound: u64,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> T {
        let about = about.into();
        let before = self.read_so_far();
        let began = Instant::now();
        let answer = question.await.unwrap_or_else(|e| panic!("{name} ({about}): {e}"));
        let took = began.elapsed();
        let read = self.read_so_far() - before;
        eprintln!("{read:>10} of {bound:>10} rows, {took:>8.1?}: {name} {about}");
        self.all.push((name, about, read, bound));
        answer
    }

    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }

    pub fn all_within_bounds(&self) {
        let beyond: Vec<_> = self.all.iter().filter(|(.., read, bound)| read > bound).collect();
        assert!(beyond.is_empty(), "beyond their bounds (rows read, bound): {beyond:#?}");
    }
}

/// What the API asks for its routes and replays.
pub async fn of_the_api(asked: &mut Asked<'_>, api: &Store, a: Network) {
    let network: schemas::Network = a.name.parse().expect("a slug");
    let tip = FIRST_HEIGHT + a.blocks - 1;
    let edges = GRANULE * PARTS;
    assert_eq!(asked.ask("height_bounds", "", 2 * edges, api.height_bounds(a.name)).await, Some((FIRST_HEIGHT, tip)));
    assert_eq!(asked.ask("processed_sequence", "", edges, api.processed_sequence(a.name)).await, a.blocks);
    let position = asked.ask("position", "", edges, api.position(a.name)).await;
    assert_eq!((position.sequence, position.halted), (a.blocks, false));
    let head = asked.ask("head", "", 3 * edges, api.head(a.name)).await.expect("a head");
    assert_eq!(head.number, tip);
    assert_eq!(asked.ask("networks", "", 8 * edges, api.networks()).await.len(), 2);
    assert!(asked.ask("network", "", 4 * edges, api.network(&network)).await.is_some());
    assert_eq!(asked.ask("network_names", "", 1_000, api.network_names()).await, ["a", "b"]);

    // One block, one transaction.
    let middle = a.blocks / 3;
    for block in [middle, a.blocks - 2] {
        let height = FIRST_HEIGHT + block;
        let found =
            asked.ask("block_by_height", height.to_string(), edges, api.block_by_height(&network, height)).await;
        assert_eq!(found.map(|b| b.hash), Some(block_hash(a.name, block)));
        let fees = api.block_fees(&network, height, block + 1);
        let fees = asked.ask("block_fees", height.to_string(), 2 * edges, fees).await;
        assert_eq!(fees.parts.execution.map(|sum| sum.to_string()), Some((PER_BLOCK * 21_000).to_string()));
        let hash: BlockHash = block_hash(a.name, block).parse().expect("a hash");
        let found = asked.ask("block_by_hash", height.to_string(), 2 * edges, api.block_by_hash(&network, &hash)).await;
        assert_eq!(found.map(|b| b.number), Some(height));
        let number = block * PER_BLOCK + 7;
        let hash = transaction_hash(a.name, number);
        let found = asked.ask("transaction", number.to_string(), 4 * edges, api.transaction(&network, &hash)).await;
        assert!(found.len() == 1 && found[0].logs.len() == 1 && found[0].transaction.block_number == height);
    }
    let none = transaction_hash(a.name, u64::MAX);
    assert!(
        asked.ask("transaction", "that is not there", 4 * edges, api.transaction(&network, &none)).await.is_empty()
    );
    let none: BlockHash = block_hash(a.name, u64::MAX).parse().expect("a hash");
    let found = asked.ask("block_by_hash", "that is not there", 2 * edges, api.block_by_hash(&network, &none)).await;
    assert_eq!(found, None);

    // Lists.
    for sort in [Sort::Newest, Sort::Oldest] {
        for network in [Some(network.clone()), None] {
            let about = format!("{sort:?}, of {}", network.as_ref().map_or("all", |n| n.as_str()));
            let filter = BlockFilter { network: network.clone(), sort, limit: 1_000, ..Default::default() };
            let page = asked.ask("blocks", &*about, 20 * edges, api.blocks(&filter)).await;
            assert!(page.items.len() == 1_000 && page.next.is_some());
            let filter = TransactionFilter { network, sort, limit: 1_000, ..Default::default() };
            let page = asked.ask("transactions", &*about, 20 * edges, api.transactions(&filter)).await;
            assert!(page.items.len() == 1_000 && page.next.is_some());
            let filter = TransactionFilter { limit: limits::EXPORT_PART_ROWS, ..filter };
            let page = asked.ask("export", &*about, 30 * edges, api.export(&filter)).await;
            assert!(page.items.len() as u32 == limits::EXPORT_PART_ROWS && page.next.is_some());
        }
    }
    let of_a = TransactionFilter { network: Some(network.clone()), limit: 50, ..Default::default() };
    // By address: each index leads to its granules, also where either of two will do.
    let (by_sender, none) = (sender(77), sender(u64::MAX));
    for (about, address) in [("of a sender", &by_sender), ("that is not there", &none)] {
        let filter = TransactionFilter { address: Some(address.clone()), ..of_a.clone() };
        let page = asked.ask("transactions", format!("by address {about}"), 3_000_000, api.transactions(&filter)).await;
        assert!(page.items.iter().all(|t| t.from_address == by_sender) && page.items.is_empty() == (address == &none));
        let filter = TransactionFilter { contract: Some(address.clone()), ..of_a.clone() };
        let page =
            asked.ask("transactions", format!("by contract {about}"), 3_000_000, api.transactions(&filter)).await;
        assert_eq!(page.items, []);
    }
    // By method: of a function that few call the index knows where, of one that many call the first windows are full.
    for (about, method, most) in [
        ("that many call", generate::method(3), 20 * edges),
        ("that is called rarely", generate::rare_method(), 3_000_000),
        ("that nobody calls", "0x00000000".to_owned(), 3_000_000),
    ] {
        let filter = TransactionFilter { methods: vec![method.clone()], ..of_a.clone() };
        let page = asked.ask("transactions", format!("by a method {about}"), most, api.transactions(&filter)).await;
        assert!(page.items.iter().all(|t| t.method.as_ref() == Some(&method)), "{about}");
        assert_eq!(page.items.is_empty(), about == "that nobody calls", "{about}");
    }
    // Of one block.
    let block = FIRST_HEIGHT + middle;
    let filter = TransactionFilter { block: Some(block), limit: 1_000, ..of_a.clone() };
    let page = asked.ask("transactions", "of one block", 3 * edges, api.transactions(&filter)).await;
    assert!(page.items.len() as u64 == PER_BLOCK && page.items.iter().all(|t| t.block_number == block));
    // By time: the index on time leads to the heights.
    let time = |height: u64| TimeMs(1_700_000_000_000 + height as i64 * 12_000);
    let from = FIRST_HEIGHT + middle;
    for (about, from, to) in [
        ("between two times", Some(time(from)), Some(time(from + 10))),
        ("since a time", Some(time(from)), None),
        ("until a time", None, Some(time(from))),
    ] {
        let filter = TransactionFilter { from, to, ..of_a.clone() };
        let page = asked.ask("transactions", about, 20 * edges, api.transactions(&filter)).await;
        assert_eq!(page.items.len(), 50, "{about}");
    }
    let failed = TransactionFilter { status: Some(Status::Failed), ..of_a.clone() };
    let page = asked.ask("transactions", "that failed", 20 * edges, api.transactions(&failed)).await;
    assert_eq!(page.items.len(), 50);
    // What matches nothing, and no index knows of: each step is bounded, and a page comes in time, with a cursor while there is more.
    let mut unknown = TransactionFilter { status: Some(Status::Unknown), ..of_a.clone() };
    let mut pages = 0;
    loop {
        let most = 8 * limits::STORE_LIST_ROWS;
        let began = Instant::now();
        let Page { items, next } =
            asked.ask("transactions", "of no such status", most, api.transactions(&unknown)).await;
        assert!(items.is_empty() && began.elapsed() < Duration::from_secs(60));
        pages += 1;
        unknown.cursor = next;
        if unknown.cursor.is_none() {
            break;
        }
        assert!(pages < 1_000, "it comes to an end");
    }

    // Failures: of a rare cause the index knows where; groups are counted as far back as their time allows; what is like one of them is near.
    let rare = TransactionFilter { causes: vec![generate::RARE_CAUSE.into()], limit: 5, ..of_a.clone() };
    let page = asked.ask("transactions", "by a cause that is rare", 3_000_000, api.transactions(&rare)).await;
    assert!(
        !page.items.is_empty() && page.items.iter().all(|t| t.failure_cause.as_deref() == Some(generate::RARE_CAUSE))
    );
    let to = TimeMs(head.timestamp.0 + 1);
    for (about, span, contract) in [
        ("of an hour", 3_600_000, None),
        ("of a week", 7 * 86_400_000, None),
        ("of a week at a contract", 7 * 86_400_000, page.items[0].to_address.clone()),
    ] {
        let filter = store::query::FailuresFilter {
            networks: vec![network.clone()],
            contract,
            causes: Vec::new(),
            methods: Vec::new(),
            from: TimeMs(to.0 - span),
            to,
            limit: 50,
        };
        let began = Instant::now();
        let found = asked.ask("failures", about, 8 * limits::STORE_LIST_ROWS, api.failures(&filter)).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{about}");
        eprintln!("    {} failed in {} groups, back to {}", found.failed, found.total, found.from.0);
        assert!(found.failed > 0 || filter.contract.is_some(), "{about}");
        if filter.contract.is_none() && found.from == filter.from {
            let blocks = (span as u64 / 12_000).min(a.blocks);
            assert!(
                found.failed.abs_diff(blocks * PER_BLOCK / 50) <= PER_BLOCK,
                "all are counted {about}: {}",
                found.failed
            );
        }
    }
    let hash = page.items[0].hash.clone();
    let detail = asked.ask("transaction", "that failed", 5 * edges, api.transaction(&network, &hash)).await;
    assert!(detail[0].failure.as_ref().is_some_and(|f| f.found_by.as_deref() == Some("trace")));
    asked.ask("similar_failures", "", 6_000_000, api.similar_failures(&network, &detail[0], 10)).await;
    // Why what a page of matches is about failed: a granule of each block of each.
    let matched: Vec<MatchRow> = page.items.iter().map(matched).collect();
    let why = asked.ask("why", "of a page's", matched.len() as u64 * 2 * edges, api.why(&matched)).await;
    assert!(why.len() == matched.len() && why.values().all(|why| why.cause.as_deref() == Some(generate::RARE_CAUSE)));
    let networks = [network.clone(), "b".parse().expect("a slug")];
    let found = asked.ask("found_hash", "", 8 * edges, api.found_hash(&hash, &networks)).await;
    assert!(found.len() == 1 && found[0].kind == "transaction" && found[0].status.as_deref() == Some("failed"));
    let found = asked.ask("found_height", "", 4 * edges, api.found_height(tip, &networks)).await;
    assert!(found.iter().any(|f| f.network == a.name));
    let found = asked.ask("found_address", "", 6_000_000, api.found_address(&by_sender, &networks)).await;
    assert!(found.contains(&a.name.to_owned()));

    // Replays and completeness.
    let after = a.blocks - 1_000;
    assert_eq!(asked.ask("pruned", "", 1_000, api.pruned()).await, []);
    assert_eq!(asked.ask("pruned_below", "", 1_000, api.pruned_below(&network)).await, None);
    let held = asked.ask("held_blocks", "", 2 * edges, api.held_blocks(&network, tip - 255, tip)).await;
    assert_eq!(held.len(), 256);
    let from = TimeMs(TimeMs::now().0 - 10 * 86_400_000);
    let hour = (from, TimeMs(from.0 + 3_600_000));
    let minutes = api.provider_minutes(&network, "e7", hour, 1_000);
    let minutes = asked.ask("provider_minutes", "an hour of one endpoint", edges, minutes).await;
    assert_eq!(minutes.len() as u64, 60 * METHODS);
    // Each endpoint's rows lie apart: a granule of each.
    let around = (TimeMs(from.0 + 60_000), TimeMs(from.0 + 180_000));
    let then = asked
        .ask("endpoints_at", "two minutes", 3 * ENDPOINTS * GRANULE, api.endpoints_at(&network, around, 100))
        .await;
    assert!(then.iter().any(|endpoint| endpoint.endpoint == "e7" && endpoint.calls > 0), "{then:?}");
    // What rules can be tried on: minutes of a day of all endpoints, and when its blocks were seen.
    let (day_of_all, step) = ((from, TimeMs(from.0 + 86_400_000)), Step::FiveMinutes);
    let most = 24 * 60 * ENDPOINTS * METHODS + 2 * ENDPOINTS * GRANULE;
    let steps = asked.ask("endpoint_steps", "a day of all", most, api.endpoint_steps(&network, None, day_of_all, step));
    assert_eq!(steps.await.len() as u64, ENDPOINTS * 24 * 12);
    let one = api.endpoint_steps(&network, Some("e7"), day_of_all, step);
    assert_eq!(asked.ask("endpoint_steps", "a day of one", edges, one).await.len(), 24 * 12);
    let seen = (TimeMs(head.timestamp.0 - 86_400_000), head.timestamp);
    asked.ask("seen_steps", "a day", 26 * 300 + 4 * edges, api.seen_steps(&network, seen, step)).await;
    let (watched, day) = (format!("0x{}", "cc".repeat(20)), 86_400_000);
    let blocks = day / 12_000;
    let since = TimeMs(head.timestamp.0 - day + 1);
    let of = [(watched.as_str(), since)];
    let figures = api.contract_figures(&network, &of);
    let figures = asked.ask("contract_figures", "a day", blocks as u64 + 4 * edges, figures).await;
    assert_eq!((figures[0].transactions, figures[0].failed), (2 * blocks as u64, blocks as u64));
    let events = asked.ask("events", "", 2 * edges, api.events(&network, after, after + 256, 256)).await;
    assert_eq!(events.len(), 256);
    for after in [middle, after] {
        let part = api.replay(&network, after, after + 256, Some(schemas::limits::REPLAY_TRANSACTIONS));
        let page = asked.ask("replay", format!("after {after}"), 12 * edges, part).await;
        assert!(!page.events.is_empty() && page.gap.is_none(), "{:?}", page.gap);
    }
    // A bucket's children, twice, and edges of parts.
    let bucket = limits::AUDIT_BUCKET_HEIGHTS * PER_BLOCK * 2 + 8 * edges;
    let height = tip - tip % limits::AUDIT_BUCKET_HEIGHTS - limits::AUDIT_BUCKET_HEIGHTS;
    let counted = asked.ask("audit_bucket", "", bucket, api.audit_bucket(&network, height)).await;
    assert!(counted.runs.iter().all(|run| run.complete && run.transactions_stored == run.blocks * PER_BLOCK));
    asked.ask("recent_completeness", "", 2 * bucket, api.recent_completeness(&network, 1_024)).await;
    let counts = asked.ask("counts_from", "", 2 * bucket, api.counts_from(&network, tip - 1_023)).await;
    assert_eq!(counts.len(), 1_024);
    // Nothing was counted before: the newest buckets are, and the rest is told as not counted.
    let held = asked.ask("completeness", "of which nothing was counted", 9 * bucket, api.completeness(&network)).await;
    assert!(held.ranges.iter().all(|range| range.complete && range.blocks == range.to_number - range.from_number + 1));
    assert_eq!(held.ranges.last().map(|range| range.to_number), Some(tip));
    if tip - FIRST_HEIGHT > 10 * limits::AUDIT_BUCKET_HEIGHTS {
        assert!(
            held.uncounted
                .first()
                .is_some_and(|(from, to)| *from == FIRST_HEIGHT && to + 1 == held.ranges[0].from_number)
        );
    }
    count_all(asked.engine, a);
    let held = asked.ask("completeness", "counted by the sink", 3 * bucket, api.completeness(&network)).await;
    assert_eq!(held.ranges.iter().map(|r| (r.from_number, r.to_number)).collect::<Vec<_>>(), [(FIRST_HEIGHT, tip)]);
    assert!(held.uncounted.is_empty() && held.ranges[0].transactions_stored == a.blocks * PER_BLOCK);
    // Who remembers reads what changed.
    let mut known = Remembered::default();
    let told =
        asked.ask("completeness_again", "at first", 3 * bucket, api.completeness_again(&network, &mut known)).await;
    assert_eq!(told, held);
    let again = api.completeness_again(&network, &mut known);
    assert_eq!(asked.ask("completeness_again", "when nothing changed", 2 * edges, again).await, held);
    let event = format!(
        "INSERT INTO block_event_rows (network, sequence, op, origin, height) VALUES ('{}', {}, 'apply', 'live', {tip})",
        a.name,
        a.blocks + 1
    );
    run(asked.engine, &event, "");
    let again = api.completeness_again(&network, &mut known);
    assert_eq!(asked.ask("completeness_again", "an event later", 5 * edges, again).await, held);
}

/// A match of a transaction as a whole.
fn matched(transaction: &Transaction) -> MatchRow {
    MatchRow {
        network: transaction.network.clone(),
        hash: transaction.hash.clone(),
        kind: "transaction".to_owned(),
        condition: 0,
        place: 0,
        signature: String::new(),
        arguments: "{}".to_owned(),
        height: transaction.block_number,
        block: transaction.block_hash.clone(),
        version: 1,
        live: true,
        time: transaction.block_timestamp,
        last: 1,
    }
}

/// The view, of all networks, once the sink has counted what it counts: it reads the open ends and the counts.
pub fn of_the_view(asked: &mut Asked<'_>, engine: &Running, networks: [Network; 2]) {
    networks.into_iter().for_each(|network| count_all(engine, network));
    let sql =
        "SELECT network, from_number, to_number, blocks, transactions_stored, complete, coverage FROM completeness";
    for about in ["the first time", "again", "once more"] {
        let began = Instant::now();
        let reply = engine.as_analyst(&format!("/?wait_end_of_query=1&query={}", encoded(sql)), b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let wanted: Vec<String> = networks
            .iter()
            .map(|n| {
                let (to, rows) = (FIRST_HEIGHT + n.blocks - 1, n.blocks * PER_BLOCK);
                format!("{}\t{FIRST_HEIGHT}\t{to}\t{}\t{rows}\t1\tfull", n.name, n.blocks)
            })
            .collect();
        assert_eq!(reply.text().trim().lines().collect::<Vec<_>>(), wanted);
        let read = rows_read(reply.header("x-clickhouse-summary").expect("a summary"));
        // Of each network two open buckets with both kinds of children, and granules at their edges.
        let bound = 2 * 2 * (limits::AUDIT_BUCKET_HEIGHTS * PER_BLOCK * 2 + 4 * GRANULE * PARTS);
        eprintln!("{read:>10} of {bound:>10} rows, {:>8.1?}: the view completeness, {about}", began.elapsed());
        asked.all.push(("view completeness", about.to_owned(), read, bound));
    }
}

fn rows_read(summary: &str) -> u64 {
    let figure = summary.split_once("\"read_rows\":\"").and_then(|(_, rest)| rest.split('"').next());
    figure.and_then(|digits| digits.parse().ok()).expect("rows read")
}

/// Writes the counts of all buckets but the two newest, as the sink's auditor would have.
fn count_all(engine: &Running, a: Network) {
    let heights = limits::AUDIT_BUCKET_HEIGHTS;
    let end = (FIRST_HEIGHT + a.blocks) / heights * heights - heights;
    let sql = format!(
        "INSERT INTO audit_rows (network, from_height, version, runs, first_parent, last_hash, audited_at) \
         WITH greatest(f, {FIRST_HEIGHT}) AS low, f + {heights} - 1 AS high, high - low + 1 AS n \
         SELECT '{}', intDiv({FIRST_HEIGHT}, {heights}) * {heights} + number * {heights} AS f, 1, \
         [(low, high, n, n * {PER_BLOCK}, n * {PER_BLOCK}, n * {PER_BLOCK}, n * {PER_BLOCK}, 1)], toString(low - 1), toString(high), now64(3) \
         FROM numbers(intDiv({end} - {FIRST_HEIGHT}, {heights}) + 1) WHERE f < {end}",
        a.name
    );
    run(engine, &sql, "");
}

/// What the page `/sql` shows.
pub async fn of_the_page(asked: &mut Asked<'_>, api: &Store) {
    assert!(asked.ask("views", "", 50_000, api.views()).await.len() >= 6);
    let sizes = asked.ask("table_sizes", "", 16 * GRANULE * PARTS, api.table_sizes()).await;
    assert!(sizes.iter().any(|size| size.name == "evm_transaction_rows" && size.rows > 0 && size.newest.is_some()));
}

/// The queries of `docs/sql.md`, as an analyst: within what one may read.
pub fn of_people(asked: &mut Asked<'_>, engine: &Running) {
    for example in store::query::examples() {
        let sql = example.sql.trim_end().trim_end_matches(';').to_owned();
        let reply = engine.as_analyst(&format!("/?wait_end_of_query=1&query={}", encoded(&sql)), b"");
        assert_eq!(reply.status, 200, "{}: {}", example.title, reply.text());
        let summary = reply.header("x-clickhouse-summary").expect("a summary");
        let read = rows_read(summary);
        eprintln!("{read:>10} of {:>10} rows: {}", limits::store::ANALYST_ROWS, example.title);
        asked.all.push(("examples", example.title, read, limits::store::ANALYST_ROWS));
    }
}

/// What the sink asks and changes while it writes: at its start, for a reorg and for a placeholder's mending.
pub async fn of_the_sink(asked: &mut Asked<'_>, stages: &Store) {
    // A network that is new: what the store holds of the others is not in this log.
    let mut chain = Chain::new("c", FIRST_HEIGHT);
    let mut dice = Dice(5);
    let log = TestLog::open().await;
    let mut events: Vec<_> = (0..20).map(|_| chain.apply(&mut dice)).collect();
    events.extend((0..5).filter_map(|_| chain.revert()));
    events.extend((0..6).map(|_| chain.apply(&mut dice)));
    log.publish(&events).await;
    let (network, last) = (chain.network.clone(), chain.sequence);
    let sink = async {
        let sink = RunningSink::start(stages, &log);
        until_processed(stages, &network, last).await;
        sink.stop().await.expect("a clean end");
        Ok::<_, StoreError>(())
    };
    // The test itself asks for the last sequence while it waits.
    asked.ask("sink", "start, 31 events, a reorg of 5", 400 * GRANULE * PARTS, sink).await;
    let live = chain.live.iter().rfind(|live| !live.event.transactions.is_empty()).expect("a transaction");
    let transaction = &live.event.transactions[0];
    let place = mend::place(stages, &transaction.envelope, 0, Some(u64::MAX));
    assert_eq!(asked.ask("mend::place", "", 8 * GRANULE * PARTS, place).await, mend::Place::Held);
    asked.ask("mend::insert", "", 20 * GRANULE * PARTS, mend::insert(stages, transaction, &[])).await;
}
