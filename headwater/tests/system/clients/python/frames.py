"""polars, DuckDB and pandas on files that any HTTP client fetches, as the analyst; amounts come as exact text. FACTS as argument."""
import io
import tempfile

import duckdb
import pandas
import polars
import requests
from checks import check, facts, same, verdict

URL = f"http://{facts['host']}:{facts['port']}/"
ALL = "SELECT * FROM headwater.transactions"
AMOUNTS = "SELECT hash, value_text, fee_text, block_timestamp FROM headwater.transactions"


def fetched(query, form):
    answer = requests.post(URL, data=f"{query} FORMAT {form}", auth=(facts["analyst_user"], facts["analyst_password"]), timeout=60)
    assert answer.ok, answer.text[:300]
    return answer.content


def totals(frame):
    row = frame.filter(polars.col("hash") == facts["rich_hash"])
    same((len(frame), len(row)), (int(facts["transactions"]), 1))
    same((str(row["value_text"][0]), str(row["fee_text"][0])), (facts["rich_value"], facts["rich_fee"]))
    same(round(row["block_timestamp"].dt.epoch("ms")[0]), int(facts["rich_time_ms"]))
    same(sum(map(int, frame["value_text"])), int(facts["value_sum"]))


@check("polars.read_parquet")
def _():
    totals(polars.read_parquet(io.BytesIO(fetched(AMOUNTS, "Parquet"))))


@check("polars.read_ipc")
def _():
    totals(polars.read_ipc(io.BytesIO(fetched(AMOUNTS, "Arrow"))))


@check("polars.read_ipc_stream")
def _():
    totals(polars.read_ipc_stream(io.BytesIO(fetched(AMOUNTS, "ArrowStream"))))


@check("polars on every column")
def _():
    for form, read in (("Parquet", polars.read_parquet), ("Arrow", polars.read_ipc)):
        frame = read(io.BytesIO(fetched(ALL, form)))
        same((len(frame), ",".join(sorted(frame.columns))), (int(facts["transactions"]), facts["columns"]))


@check("polars.read_ndjson")
def _():
    frame = polars.read_ndjson(io.BytesIO(fetched("SELECT hash, value, sequence FROM headwater.transactions", "JSONEachRow")))
    same(frame.filter(polars.col("hash") == facts["rich_hash"])["value"][0], facts["rich_value"])


@check("DuckDB on Parquet")
def _():
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(fetched(ALL, "Parquet"))
        file.flush()
        database = duckdb.connect()
        same(database.execute("SELECT count(*), count(*) FILTER (status::VARCHAR = 'failed') FROM read_parquet(?)", [file.name]).fetchone(),
             (int(facts["transactions"]), int(facts["failed"])))
        same(database.execute("SELECT value_text, fee_text FROM read_parquet(?) WHERE hash = ?", [file.name, facts["rich_hash"]]).fetchone(),
             (facts["rich_value"], facts["rich_fee"]))
        same(database.execute("SELECT sum(value_text::DECIMAL(38, 0))::VARCHAR FROM read_parquet(?)", [file.name]).fetchone()[0],
             facts["value_sum"])


@check("pandas.read_parquet")
def _():
    frame = pandas.read_parquet(io.BytesIO(fetched(AMOUNTS, "Parquet")))
    same(str(frame[frame["hash"] == facts["rich_hash"]]["value_text"].iloc[0]), facts["rich_value"])


@check("pandas.read_orc")
def _():
    same(len(pandas.read_orc(io.BytesIO(fetched(AMOUNTS, "ORC")))), int(facts["transactions"]))


@check("an error is no file")
def _():
    answer = requests.post(URL, data="SELECT nope FROM headwater.blocks FORMAT Parquet",
                           auth=(facts["analyst_user"], facts["analyst_password"]), timeout=60)
    same((answer.status_code >= 400, answer.headers.get("X-ClickHouse-Exception-Code")), (True, "47"))


verdict()
