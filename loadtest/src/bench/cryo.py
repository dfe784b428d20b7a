"""Blocks FIRST to LAST of the node at RPC into Parquet files under OUT, by cryo. The last line printed is what it took, as JSON:
seconds and CPU seconds of the export alone, without Python's start, then rows and different hashes in the files."""

import json
import resource
import sys
import time

import cryo

rpc, first, last, out = sys.argv[1:]


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


before, begun = cpu(), time.monotonic()
cryo.freeze("transactions", blocks=[f"{first}:{int(last) + 1}"], rpc=rpc, output_dir=out, chunk_size=200)
seconds, used = time.monotonic() - begun, cpu() - before

import polars  # noqa: E402 (its threads and memory are not cryo's)

hashes = polars.col("transaction_hash").n_unique().alias("hashes")
rows, hashes = polars.scan_parquet(f"{out}/*.parquet").select(polars.len(), hashes).collect().row(0)
print(json.dumps({"seconds": seconds, "cpu": used, "rows": rows, "hashes": hashes}))
