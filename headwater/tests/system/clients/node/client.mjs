// @clickhouse/client, unchanged, as the analyst. FACTS, a file of `name=value` lines with addresses, passwords and what the
// stages' user read, is the argument. Ends with 1 when a check failed.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { deepStrictEqual as same, ok, rejects } from 'node:assert';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';

const lines = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n');
const facts = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
const open = (user, more = {}) => createClient({
    url: `http://${facts.host}:${facts.port}`, username: facts[`${user}_user`], password: facts[`${user}_password`],
    database: facts.database, log: { level: ClickHouseLogLevel.OFF }, ...more,
});
const client = open('analyst');
let passed = 0, failed = 0;
const check = async (name, step) => {
    try {
        await step();
        passed++;
        console.log('ok', name);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}: ${error.code ?? ''} ${String(error.message).slice(0, 600).replaceAll('\n', ' ')}`);
    }
};
const ask = (query, more = {}) => client.query({ query, format: 'JSONEachRow', ...more });
const rows = async (query, more) => (await ask(query, more)).json();

await check('ping', async () => {
    ok((await client.ping()).success);
    ok((await client.ping({ select: true })).success);
});

// Each format with the rows that it must hold.
const pair = `SELECT network, number, toString(number) AS text FROM blocks ORDER BY number DESC LIMIT 1`;
const row = { network: facts.network, number: facts.head, text: facts.head };
for (const [format, found] of Object.entries({
    JSONEachRow: (json) => json[0],
    JSONStringsEachRow: (json) => json[0],
    JSON: (json) => json.data[0],
    JSONStrings: (json) => json.data[0],
    JSONCompact: (json) => Object.fromEntries(json.meta.map((m, i) => [m.name, json.data[0][i]])),
    JSONCompactStrings: (json) => Object.fromEntries(json.meta.map((m, i) => [m.name, json.data[0][i]])),
    JSONCompactEachRow: ([[network, number, text]]) => ({ network, number, text }),
    JSONCompactEachRowWithNames: ([names, values]) => Object.fromEntries(names.map((n, i) => [n, values[i]])),
    JSONCompactEachRowWithNamesAndTypes: ([names, , values]) => Object.fromEntries(names.map((n, i) => [n, values[i]])),
    JSONColumnsWithMetadata: (json) => Object.fromEntries(Object.entries(json.data).map(([n, values]) => [n, values[0]])),
    JSONObjectEachRow: (json) => Object.values(json)[0],
}))
    await check(format, async () => same(found(await (await client.query({ query: pair, format })).json()), row));
await check('CSVWithNames as text', async () => {
    const text = await (await client.query({ query: 'SELECT count() AS n FROM blocks', format: 'CSVWithNames' })).text();
    same(text, `"n"\n${facts.blocks}\n`);
});
await check('Parquet as bytes', async () => {
    const { stream } = await client.exec({ query: 'SELECT * FROM blocks FORMAT Parquet' });
    const bytes = Buffer.concat(await stream.toArray());
    same([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()], ['PAR1', 'PAR1']);
});

await check('UInt256 and UInt64 are exact without a setting', async () => {
    const [amount] = await rows('SELECT value, fee, sequence FROM transactions WHERE hash = {hash:String}', { query_params: { hash: facts.rich_hash } });
    same([amount.value, amount.fee, typeof amount.sequence], [facts.rich_value, facts.rich_fee, 'string']);
    same(await rows("SELECT toUInt64('18446744073709551615') AS a, toInt64('-9223372036854775808') AS b, toUInt128('340282366920938463463374607431768211455') AS c, toUInt32(7) AS d"),
        [{ a: '18446744073709551615', b: '-9223372036854775808', c: '340282366920938463463374607431768211455', d: 7 }]);
});
await check('unquoted when asked for', async () =>
    same(await rows('SELECT toUInt64(7) AS n', { clickhouse_settings: { output_format_json_quote_64bit_integers: 0 } }), [{ n: 7 }]));
await check('DateTime64, Nullable, Array', async () => {
    const [found] = await rows('SELECT toUnixTimestamp64Milli(toDateTime64(block_timestamp, 3)) AS ms, block_timestamp AS at, CAST(NULL AS Nullable(UInt256)) AS nothing FROM transactions WHERE hash = {hash:String}',
        { query_params: { hash: facts.rich_hash }, clickhouse_settings: { date_time_output_format: 'iso' } });
    same([found.ms, new Date(found.at).getTime(), found.nothing], [facts.rich_time_ms, Number(facts.rich_time_ms), null]);
    const [{ topics }] = await rows('SELECT topics FROM evm_logs WHERE transaction_hash = {hash:String} AND log_index = {index:UInt32}',
        { query_params: { hash: facts.log_transaction, index: facts.log_index } });
    same(topics.join(), facts.log_topics);
});
await check('parameters', async () => {
    same(await rows('SELECT count() AS n FROM transactions WHERE network = {n:String} AND status IN {s:Array(String)}',
        { query_params: { n: facts.network, s: ['failed', "it's not there"] } }), [{ n: facts.failed }]);
});
await check('settings', async () => {
    same(await rows("SELECT toString(getSetting('max_threads')) AS threads, toUInt32(getSetting('max_execution_time')) AS seconds",
        { clickhouse_settings: { max_threads: 2, max_execution_time: 7, wait_end_of_query: 1 } }), [{ threads: '2', seconds: 7 }]);
});
await check('async_insert says nothing about reading', async () =>
    same(await rows('SELECT 1 AS n', { clickhouse_settings: { async_insert: 1, wait_for_async_insert: 1 } }), [{ n: 1 }]));

await check('a stream', async () => {
    let count = 0, sum = 0n;
    for await (const batch of (await ask('SELECT number FROM numbers(300000)')).stream())
        for (const row of batch) { count++; sum += BigInt(row.json().number); }
    same([count, sum], [300000, 299999n * 150000n]);
});
await check('progress', async () => {
    let count = 0, progress = 0;
    for await (const batch of (await ask('SELECT number FROM numbers(300000)', { format: 'JSONEachRowWithProgress' })).stream())
        for (const item of batch) {
            const json = item.json();
            if (json.row) count++;
            else if (json.progress) progress++;
        }
    same(count, 300000);
    ok(progress > 0, 'no progress');
});
await check('gzip', async () => {
    const zipped = open('analyst', { compression: { response: true } });
    same((await (await zipped.query({ query: 'SELECT * FROM transactions', format: 'JSONEachRow' })).json()).length, Number(facts.transactions));
    await zipped.close();
});
await check('a query id and a summary', async () => {
    const { query_id } = await client.command({ query: 'SELECT count() FROM blocks', query_id: 'mine-from-node' });
    same(query_id, 'mine-from-node');
    const { summary } = await client.command({ query: 'SELECT count() FROM blocks', clickhouse_settings: { wait_end_of_query: 1 } });
    ok(Number(summary?.read_rows) > 0, JSON.stringify(summary));
});
await check('a session', async () => {
    const session = open('analyst', { session_id: 'one' });
    same(await (await session.query({ query: 'SELECT currentDatabase() AS d', format: 'JSONEachRow' })).json(), [{ d: 'headwater' }]);
    await session.close();
});

await check('abort ends the statement on the server', async () => {
    const witness = open('stages');
    const running = async (want, patience) => {
        for (const end = Date.now() + patience; ; await sleep(50)) {
            const answer = await witness.query({
                query: "SELECT toUInt32(count()) AS n FROM system.processes WHERE query LIKE '%ended_by_node%' AND query NOT LIKE '%system.processes%'",
                format: 'JSONEachRow',
            });
            const [{ n }] = await answer.json();
            if (n === want) return;
            ok(Date.now() < end, `${n} statements run after ${patience} ms, not ${want}`);
        }
    };
    const abort = new AbortController();
    const answer = rejects(ask('SELECT count() AS ended_by_node FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1',
        { abort_signal: abort.signal }), /abort/i);
    try {
        await running(1, 20_000);
    } finally {
        abort.abort();
    }
    await answer;
    await running(0, 3_000);
    await witness.close();
});
await check('errors, early and late', async () => {
    await rejects(rows('SELECT nope FROM blocks'), (error) => error.code === '47' && error.type === 'UNKNOWN_IDENTIFIER');
    let count = 0;
    await rejects(async () => {
        for await (const batch of (await ask('SELECT throwIf(number = 900000) FROM numbers(950000) SETTINGS max_threads = 1')).stream()) count += batch.length;
    }, (error) => error.code === '395');
    ok(count > 0 && count <= 900000, `${count} rows before the error`);
});
await check('writing is refused', async () => {
    const refused = (error) => error.code === '497' || error.code === '164';
    await rejects(client.insert({ table: 'blocks', values: [{ number: 1 }], format: 'JSONEachRow' }), refused);
    await rejects(client.command({ query: 'CREATE TABLE mine (a UInt8) ENGINE = Memory' }), refused);
});

await client.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
