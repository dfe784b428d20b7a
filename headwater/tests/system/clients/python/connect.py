"""clickhouse-connect, unchanged, as the analyst. FACTS as argument (see checks.py)."""
import datetime
import threading
import uuid
from decimal import Decimal

import clickhouse_connect
from checks import check, facts, refused, same, until, verdict
from clickhouse_connect.driver.external import ExternalData

LARGEST = 2**256 - 1
RICH = "SELECT value, fee, block_timestamp FROM transactions WHERE hash = {hash:String}"


def client(user="analyst", **options):
    return clickhouse_connect.get_client(host=facts["host"], port=int(facts["port"]), username=facts[f"{user}_user"],
                                         password=facts[f"{user}_password"], database=facts["database"], **options)


c = client()


@check("version and ping")
def _():
    same((c.server_version, str(c.server_tz)), (facts["version"], "UTC"))
    assert c.ping()


@check("query")
def _():
    same(c.query("SELECT count(), countIf(status = 'failed') FROM transactions").result_rows,
         [(int(facts["transactions"]), int(facts["failed"]))])


@check("UInt256, Nullable, DateTime64")
def _():
    value, fee, at = c.query(RICH, parameters={"hash": facts["rich_hash"]}).first_row
    same((value, fee), (int(facts["rich_value"]), int(facts["rich_fee"])))
    same(round(at.replace(tzinfo=at.tzinfo or datetime.UTC).timestamp() * 1000), int(facts["rich_time_ms"]))
    same(c.query(f"SELECT toUInt256('{LARGEST}'), CAST(NULL AS Nullable(UInt256))").first_row, (LARGEST, None))


@check("Array")
def _():
    topics = c.query("SELECT topics FROM evm_logs WHERE transaction_hash = {h:String} AND log_index = {i:UInt32}",
                     parameters={"h": facts["log_transaction"], "i": int(facts["log_index"])}).first_row[0]
    same(",".join(topics), facts["log_topics"])


@check("all columns of all views")
def _():
    for view in facts["views"].split(","):
        found = c.query(f"SELECT * FROM {view} LIMIT 200").row_count
        # The chain here is of the other family.
        assert found > 0 or view.startswith("bitcoin_"), view


@check("parameters")
def _():
    count = "SELECT count() FROM transactions WHERE network = "
    same(c.query(count + "{n:String}", parameters={"n": facts["network"]}).first_row[0], int(facts["transactions"]))
    same(c.query(count + "%(n)s", parameters={"n": facts["network"]}).first_row[0], int(facts["transactions"]))
    same(c.query("SELECT {a:Array(String)}, {d:DateTime}, {v:UInt256}", parameters={
        "a": ["x", "y'"], "d": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "v": LARGEST}).first_row[0::2],
         (["x", "y'"], LARGEST))


@check("query_df")
def _():
    frame = c.query_df("SELECT * FROM transactions")
    same((len(frame), int(frame["value"].max())), (int(facts["transactions"]), int(facts["value_max"])))


@check("query_np")
def _():
    same(int(c.query_np("SELECT number FROM blocks ORDER BY number").max()), int(facts["head"]))


@check("query_arrow, query_df_arrow")
def _():
    table = c.query_arrow("SELECT hash, toString(value) AS value FROM transactions ORDER BY transactions.value DESC")
    same(table.num_rows, int(facts["transactions"]))
    same(table.column("value")[0].as_py(), facts["value_max"])
    same(len(c.query_df_arrow("SELECT * FROM blocks")), int(facts["blocks"]))


@check("streams")
def _():
    with c.query_rows_stream("SELECT hash FROM transactions") as rows:
        same(sum(1 for _ in rows), int(facts["transactions"]))
    with c.query_row_block_stream("SELECT number FROM numbers(1000000)") as blocks:
        same(sum(len(block) for block in blocks), 1_000_000)
    with c.query_df_stream("SELECT * FROM transactions") as frames:
        same(sum(len(frame) for frame in frames), int(facts["transactions"]))


for compression in ("lz4", "zstd", "gzip", "br"):
    @check(f"compression {compression}")
    def _():
        same(client(compress=compression).query("SELECT * FROM transactions").row_count, int(facts["transactions"]))


@check("raw Parquet and CSV")
def _():
    assert c.raw_query("SELECT * FROM blocks", fmt="Parquet").startswith(b"PAR1")
    assert c.raw_stream("SELECT * FROM blocks", fmt="Parquet").read().endswith(b"PAR1")
    same(c.raw_query("SELECT count() AS n FROM blocks", fmt="CSVWithNames").decode(), f"\"n\"\n{facts['blocks']}\n")


@check("command")
def _():
    same(c.command("SELECT count() FROM blocks"), int(facts["blocks"]))


@check("settings")
def _():
    # The client asks system.settings whether a setting can be changed before it sends it.
    same(c.query("SELECT getSetting('max_threads')", settings={"max_threads": 2}).first_row[0], 2)
    same(c.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 1000}).first_row[0], 1000)
    same(c.query("SELECT toUInt64(getSetting('max_execution_time'))", settings={"max_execution_time": 7}).first_row[0], 7)
    same(client(settings={"max_threads": 1}).query("SELECT getSetting('max_threads') SETTINGS max_execution_time = 9").first_row[0], 1)
    refused(lambda: c.query("SELECT 1", settings={"readonly": 0}), "readonly", "164")


@check("summary and query id")
def _():
    found = c.query("SELECT count() FROM blocks", settings={"query_id": (name := str(uuid.uuid4()))})
    same(found.query_id, name)
    assert int(found.summary["read_rows"]) > 0, found.summary


@check("errors, early and late")
def _():
    refused(lambda: c.query("SELECT nope FROM blocks"), "47")
    refused(lambda: c.query("SELECT throwIf(number = 900000) FROM numbers(950000) SETTINGS max_threads = 1"), "395", "FUNCTION_THROW_IF")


@check("writing is refused")
def _():
    refused(lambda: c.command("INSERT INTO blocks (number) VALUES (1)"), "497", "164")
    refused(lambda: c.insert("block_rows", [[1]], column_names=["height"], column_type_names=["UInt64"]), "497", "164")
    refused(lambda: c.command("CREATE TABLE mine (a UInt8) ENGINE = Memory"), "497", "164")
    data = ExternalData(file_name="e.csv", data=b"1\n2\n", fmt="CSV", structure="a UInt8")
    refused(lambda: c.query("SELECT * FROM e", external_data=data), "48", "497")


@check("one's own statements are listed and ended")
def _():
    name, ended = str(uuid.uuid4()), []

    def long():
        try:
            client().query("SELECT count() AS ended_by_python FROM numbers(300000) AS a, numbers(300000) AS b "
                           "WHERE sipHash64(a.number, b.number) = 1", settings={"query_id": name})
        except Exception as error:
            ended.append(str(error))

    witness = client("stages")
    seen = "SELECT count() FROM system.processes WHERE query LIKE '%ended_by_python%' AND query NOT LIKE '%system.processes%'"
    thread = threading.Thread(target=long, daemon=True)
    thread.start()
    until(lambda: witness.query(seen).first_row[0] == 1, 20)
    same(c.query("SELECT query_id FROM system.processes WHERE query_id = {id:String}", parameters={"id": name}).result_rows, [(name,)])
    c.command(f"KILL QUERY WHERE query_id = '{name}'")
    until(lambda: witness.query(seen).first_row[0] == 0, 3)
    thread.join(5)
    same(len(ended), 1)


@check("the text twins of amounts")
def _():
    row = c.query("SELECT value_text, fee_text FROM transactions WHERE hash = {h:String}", parameters={"h": facts["rich_hash"]}).first_row
    same(tuple(str(Decimal(v)) for v in row), (facts["rich_value"], facts["rich_fee"]))


verdict()
