//! Where analysts may not know which contracts are watched, nothing that they can ask tells them.

use store::{Store, StoreConfig};

use crate::harness::Running;

const WATCHED: &str = "0xc0ffee0000000000000000000000000000000001";
const NOBODYS: &str = "0xc0ffee0000000000000000000000000000000002";

/// A store in which somebody watches a contract.
async fn watching(told: bool) -> Running {
    let engine = match told {
        true => Running::start().await,
        false => Running::start_told("HEADWATER_TEST_WITHOUT_CONTRACTS", "1").await,
    };
    let config = StoreConfig::new(engine.url.clone(), "headwater", "headwater", engine.credentials.stages.expose());
    Store::connect(config).expect("a plain name").migrate().await.expect("tables");
    for sql in [
        format!(
            "INSERT INTO window_rows (network, contract, window_seconds, window_start, sequence, transactions) \
             SELECT 'a', c, 60, toDateTime64(1700000000 + 60 * number, 3, 'UTC'), 1, 7 FROM numbers(500) \
             ARRAY JOIN ['', '{WATCHED}'] AS c"
        ),
        format!(
            "INSERT INTO block_rows (network, height, contract_addresses, contract_transactions, contract_failed, contract_unknown, \
             contract_logs, contract_gas_used, version, span) SELECT 'a', number, [unhex('{}')], [1], [0], [0], [0], [0], 256, 100000 FROM numbers(9)",
            &WATCHED[2..]
        ),
    ] {
        let reply = engine.as_stages("/?database=headwater", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_who_may_not_know_what_is_watched_learn_it_by_no_way() {
    let engine = watching(false).await;
    let ask = |sql: &str| engine.as_analyst("/?database=headwater", sql.as_bytes());
    assert_eq!(
        ask("SELECT count(), countIf(contract = ''), sum(transactions) FROM windows").text(),
        "500\t500\t3500\n"
    );
    assert_eq!(ask("SELECT count() FROM blocks").text(), "9\n");
    for sql in [
        "SELECT max(contract), uniq(contract), topK(3)(contract) FROM windows",
        "SELECT contract FROM windows ORDER BY contract DESC LIMIT 1",
        "SELECT groupArray(watched_from) FROM windows WHERE contract != ''",
        "SELECT total_rows FROM system.tables WHERE name IN ('window_rows', 'block_rows')",
        "SELECT table_rows FROM information_schema.tables WHERE table_name IN ('window_rows', 'block_rows')",
        "SELECT rows FROM system.parts WHERE table IN ('window_rows', 'block_rows')",
        "SELECT column_bytes_on_disk FROM system.parts_columns WHERE table IN ('window_rows', 'block_rows')",
        "SELECT data_compressed_bytes FROM system.columns WHERE table IN ('window_rows', 'block_rows')",
    ] {
        let reply = ask(sql);
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
        let text = reply.text().to_lowercase();
        assert!(!text.contains("c0ffee") && !text.contains("1000") && !text.contains('9'), "{sql}: {text}");
    }
    // Of what is watched and what is not one answer, and it reads as much.
    for of in [
        "SELECT count() FROM windows WHERE contract = 'IT'",
        "SELECT count() FROM windows WHERE contract > substring('IT', 1, 41)",
        "EXPLAIN ESTIMATE SELECT * FROM windows WHERE contract = 'IT'",
        "EXPLAIN PLAN indexes = 1 SELECT transactions FROM windows WHERE contract = 'IT'",
        "SELECT count() FROM windows SETTINGS additional_table_filters = {'windows': 'contract = \\'IT\\''}",
    ] {
        let of = |address: &str| {
            let reply = ask(&of.replace("IT", address));
            assert_eq!(reply.status, 200, "{of}: {}", reply.text());
            let summary = reply.header("x-clickhouse-summary").unwrap_or_default();
            let read =
                summary.split("\"read_rows\":").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned);
            (reply.text().replace(address, "IT"), read)
        };
        assert_eq!(of(WATCHED), of(NOBODYS));
    }
    // What would have to be named for anything else is refused, whatever is made of it.
    for sql in [
        "SELECT * FROM contract_blocks",
        "SELECT contract_addresses FROM block_rows",
        "SELECT contract_addresses.size0 FROM block_rows",
        "SELECT * APPLY length FROM headwater.block_rows",
        "SELECT count() FROM window_rows",
        "SELECT height FROM block_rows AS `headwater.blocks` SETTINGS additional_table_filters = {'headwater.blocks': 'has(contract_addresses, \\'x\\')'}",
        "SELECT count() FROM blocks SETTINGS additional_table_filters = {'headwater.block_rows': 'notEmpty(contract_addresses)'}",
        "SELECT 1 IN block_rows",
        "SELECT * FROM mergeTreeIndex(headwater, window_rows)",
        "SELECT count() FROM merge('headwater', 'block_ro.s')",
        "DESCRIBE TABLE block_rows",
        "SHOW CREATE TABLE contract_blocks",
    ] {
        let reply = ask(sql);
        let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
        assert!(reply.status >= 400 && code == "497", "{sql}: {code} {}", reply.text());
    }
    let named = engine.as_analyst("/?database=headwater&param_t=contract_blocks", b"SELECT * FROM {t:Identifier}");
    assert!(named.status >= 400 && named.text().contains("analyst_contracts"), "{}", named.text());
    // The API and the stages read all of it.
    for reply in [
        engine.as_api(
            "/?database=headwater",
            b"SELECT countIf(contract != ''), (SELECT count() FROM contract_blocks) FROM windows",
        ),
        engine.as_stages(
            "/?database=headwater",
            b"SELECT countIf(contract != ''), (SELECT count() FROM contract_blocks) FROM windows",
        ),
    ] {
        assert_eq!(reply.text(), "500\t9\n");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_of_one_tenant_read_what_is_watched() {
    let engine = watching(true).await;
    let sql = b"SELECT countIf(contract != ''), (SELECT count() FROM contract_blocks), (SELECT count() FROM block_rows) FROM windows";
    assert_eq!(engine.as_analyst("/?database=headwater", sql).text(), "500\t9\t9\n");
    engine.stop().await;
}
