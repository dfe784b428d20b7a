#!/usr/bin/env python3
"""Recomputes every fee of a folder of recorded chain data from the raw JSON, with the standard library alone.

    fees.py FOLDER...            a report: per chain its blocks, transactions, fees, and what is unknown and why
    fees.py --json FOLDER...     one JSON object per block, for enrich/tests/fees.rs

A folder has `evm/CHAIN/NUMBER/{block,receipts}.json`, `evm/CHAIN/*.ndjson.gz`, `cases/NAME or chain id/blocks.json`, and receipts
without their blocks in `mantle/*.json`. Shares no code with Headwater. Formulas: docs/fees.md. Amounts are Python's own integers; nothing is rounded but where a
chain rounds.
"""

import gzip
import json
import pathlib
import sys

CHAINS = {"ethereum": 1, "optimism": 10, "cronos": 25, "polygon": 137, "hyperliquid": 999, "base": 8453, "arbitrum": 42161,
          "base-goerli": 84531, "sepolia": 11155111, "mantle": 5000, "rise": 4153}
CASES = {"bor-state-sync-typed": 137, "celo-fee-currency": 42220, "sei-other-index": 1329, "quorum-nanoseconds": 1337,
         "batch-limit": 1, "response-too-big": 1, "filecoin-null-round": 314}
SINGLE = {"hypersync_arbitrum_tx_receipt.json": 42161, "hypersync_arbitrum_tx_receipt2.json": 42161,
          "hypersync_base_tx_receipt.json": 8453, "hypersync_optimism_tx_receipt.json": 10,
          "hypersync_transaction_receipt.json": 1}
ARSIA = {5000: 1776841200, 5003: 1774422000}
ARBITRUM = {42161}
OP_STACK = {10, 8453, 84531}
CELO = {42220}
POLYGON = {137}


def amount(value):
    """A hex quantity; None where there is none."""
    return None if value is None else int(value, 16)


def price(chain, block, tx, receipt):
    """Paid per gas: what the receipt says, else EIP-1559; on Arbitrum what is offered says nothing."""
    if receipt.get("effectiveGasPrice") is not None:
        return amount(receipt["effectiveGasPrice"])
    if chain in ARBITRUM:
        return None
    base, cap, tip = (amount(x) for x in (block.get("baseFeePerGas"), tx.get("maxFeePerGas"), tx.get("maxPriorityFeePerGas")))
    if None not in (base, cap, tip):
        return min(cap, base + tip)
    return amount(tx.get("gasPrice"))


def fee(chain, block, tx, receipt):
    """(parts by name, None), or (None, why it cannot be told)."""
    kind = amount(tx.get("type") or receipt.get("type") or "0x0")
    gas = amount(receipt["gasUsed"])
    if kind == 0x7E and (chain in OP_STACK or chain in ARSIA or chain in CELO):
        return {"execution": 0}, None
    if chain in ARBITRUM and kind in (0x64, 0x6A):
        return {"execution": 0}, None
    if chain in POLYGON and (kind == 0x7F or gas == 0):
        return {"execution": 0}, None
    if tx.get("feeCurrency") is not None:
        return None, "token"
    if chain in ARBITRUM and kind == 0x69:
        return None, "retryable"
    per_gas = price(chain, block, tx, receipt)
    if per_gas is None:
        return None, "no_price"
    parts = {"execution": gas * per_gas}
    l1 = amount(receipt.get("l1Fee"))
    if chain in ARSIA and int(block["timestamp"], 16) < ARSIA[chain]:
        if l1 is not None:
            parts = {"execution": gas * per_gas - l1, "l1": l1}
    elif chain in ARSIA or chain in OP_STACK:
        if l1 is None:
            return None, "no_l1_fee"
        parts["l1"] = l1
        scalar, constant = amount(receipt.get("operatorFeeScalar")), amount(receipt.get("operatorFeeConstant"))
        if scalar is not None or constant is not None:
            jovian = chain in ARSIA or receipt.get("daFootprintGasScalar") is not None
            scaled = gas * (scalar or 0)
            parts["operator"] = (scaled * 100 if jovian else scaled // 10**6) + (constant or 0)
    elif chain in ARBITRUM and receipt.get("gasUsedForL1") is not None:
        parts["l1"] = amount(receipt["gasUsedForL1"]) * per_gas
        parts["execution"] -= parts["l1"]
    if kind == 3:
        if receipt.get("blobGasPrice") is None:
            return None, "no_blob_price"
        used = amount(receipt.get("blobGasUsed"))
        used = len(tx["blobVersionedHashes"]) * 131072 if used is None else used
        parts["blob"] = used * amount(receipt["blobGasPrice"])
    return parts, None


def result(path):
    """A file's JSON-RPC result, whichever envelope it is in."""
    value = json.loads(path.read_text())
    for key in ("response", "result"):
        if isinstance(value, dict) and key in value:
            value = value[key]
    return value


def receipts_alone(receipts, seconds):
    """Receipts without their blocks: each block has what is known of it."""
    blocks = {}
    for receipt in receipts:
        blocks.setdefault(receipt["blockHash"], []).append(receipt)
    for number, of_block in enumerate(blocks.values()):
        yield number, {"timestamp": hex(seconds), "transactions": [{} for _ in of_block]}, of_block


def blocks(root):
    """(kind, chain id, file, place in the file, block, receipts) of everything under a folder."""
    for path in sorted(root.glob("evm/*/*/receipts.json")):
        chain = CHAINS[path.parent.parent.name]
        yield "folder", chain, path.parent, 0, result(path.parent / "block.json"), result(path)
    for path in sorted(root.glob("evm/*/*.ndjson.gz")):
        for number, line in enumerate(gzip.open(path, "rt")):
            both = json.loads(line)
            if both["block"]["transactions"]:
                yield "lines", CHAINS[path.parent.name], path, number, both["block"], both["receipts"]
    for path in sorted(root.glob("cases/*/blocks.json")):
        name = path.parent.name
        chain = int(name) if name.isdigit() else CASES.get(name)
        for number, both in enumerate(json.loads(path.read_text())):
            if chain is not None and both["receipts"]:
                yield "case", chain, path, number, both["block"], both["receipts"]
    for path in sorted([*root.glob("foreign/mantle/*.json"), *root.glob("mantle/*.json")]):
        file = json.loads(path.read_text())
        seconds = file["broadcast_timestamp"]
        seconds = seconds // 1000 if seconds > 10**11 else seconds
        for number, block, receipts in receipts_alone(file["receipts"], seconds):
            yield "receipts", file["chainId"], path, number, block, receipts
    single = [(root / "evm/single-objects" / name, chain) for name, chain in SINGLE.items()]
    single.append((root / "evm/mantle/blockpi_eth_gettransactionreceipt.json", 5000))
    for path, chain in single:
        if path.exists():
            # Recorded in June 2024, or of chains where the time does not matter.
            for number, block, receipts in receipts_alone([result(path)], 1719200000):
                yield "receipts", chain, path, number, block, receipts


def recompute(root):
    for kind, chain, path, place, block, receipts in blocks(root):
        found = []
        for tx, receipt in zip(block["transactions"], receipts):
            parts, reason = fee(chain, block, tx, receipt)
            token = None
            if reason == "token" and receipt.get("effectiveGasPrice") is not None:
                token = amount(receipt["gasUsed"]) * amount(receipt["effectiveGasPrice"])
            found.append({"hash": receipt["transactionHash"], "reason": reason, "token": tx.get("feeCurrency"),
                          "token_amount": token and str(token), "total": parts and str(sum(parts.values())),
                          "parts": parts and {name: str(part) for name, part in parts.items()}})
        assert len(found) == len(block["transactions"]) <= len(receipts), path
        yield {"kind": kind, "chain_id": chain, "file": str(path), "place": place, "time": int(block["timestamp"], 16),
               "transactions": found, "fee_unknown": sum(1 for t in found if t["reason"]),
               "fee_total": str(sum(int(t["total"]) for t in found if t["total"]))}


def report(roots):
    rows = {}
    for root in roots:
        for block in recompute(root):
            chain = block["chain_id"]
            era = (" before Arsia", " since Arsia")[block["time"] >= ARSIA[chain]] if chain in ARSIA else ""
            made = " (cases)" if block["kind"] == "case" else ""
            row = rows.setdefault(f"{chain}{era}{made}", [0, 0, 0, {}, {}])
            row[0] += 1
            row[1] += len(block["transactions"])
            row[2] += int(block["fee_total"])
            for tx in block["transactions"]:
                if tx["reason"]:
                    row[3][tx["reason"]] = row[3].get(tx["reason"], 0) + 1
                for name, part in (tx["parts"] or {}).items():
                    row[4][name] = row[4].get(name, 0) + int(part)
                if tx["token_amount"]:
                    row[4]["of " + tx["token"]] = row[4].get("of " + tx["token"], 0) + int(tx["token_amount"])
    for name, (count, transactions, total, unknown, parts) in sorted(rows.items(), key=lambda r: (int(r[0].split()[0]), r[0])):
        told = ", ".join(f"{part} {sum_}" for part, sum_ in parts.items() if part != "execution")
        print(f"chain {name}: {count} blocks, {transactions} transactions, fees {total}"
              + (f" ({told})" if told else "") + (f", unknown {unknown}" if unknown else ""))


def main(arguments):
    as_json = "--json" in arguments
    roots = [pathlib.Path(a) for a in arguments if a != "--json"]
    if not roots:
        sys.exit(__doc__)
    if not as_json:
        return report(roots)
    for root in roots:
        for block in recompute(root):
            print(json.dumps(block))


main(sys.argv[1:])
