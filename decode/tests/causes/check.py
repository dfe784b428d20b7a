"""Reads recorded traces again and says where decode/ said something else of a failed transaction.

    check.py FILE     FILE: a line of JSON for each transaction and way of finding

Nothing is shared with the product: no table of it, no decoder; eth-abi decodes and eth-hash computes selectors. A small list of
literal texts and names stands for the classes. Exits with 1 where anything differs; prints a table cause × found_by × chain.
"""

import json
import sys
from collections import Counter

from eth_abi import decode
from eth_hash.auto import keccak

WORDS = {  # what stands in the text or the name, and the classes that it may be
    "INSUFFICIENT_OUTPUT_AMOUNT": {"slippage"},
    "EXCESSIVE_INPUT_AMOUNT": {"slippage"},
    "TooLittleReceived": {"slippage"},
    "TooMuchRequested": {"slippage"},
    "Too little received": {"slippage"},
    "EXPIRED": {"deadline"},
    "exceeds balance": {"balance"},
    "exceeds allowance": {"allowance"},
    "allowance": {"allowance"},
    "INVALID_SIGNATURE": {"signature"},
    "paused": {"paused"},
    "sub-underflow": {"math", "balance"},
    "STF": {"transfer_failed", "allowance", "balance"},
}
NAMES = ["V2TooLittleReceived()", "V3TooLittleReceived()", "V2TooMuchRequested()", "V3TooMuchRequested()", "TransactionDeadlinePassed()"]
SHORT = {"T": "input", "R": "input", "TLU": "input", "TLM": "input", "TUM": "input", "AS": "input", "SPL": "slippage", "L": "liquidity", "LOK": "reentrancy"}
BY_SELECTOR = {keccak(name.encode())[:4]: name for name in NAMES}
ERROR, PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


def hexed(text):
    return bytes.fromhex((text or "0x").removeprefix("0x"))


def string(data):
    """Error(string) as bytes: what dirt stands in the padding does not matter."""
    try:
        return decode(["bytes"], data[4:], strict=False)[0]
    except Exception:
        return None


def innermost(data):
    """The error, and the texts around it."""
    while data[:4] == ERROR:
        inner = string(data)
        if inner is None or inner[:4] not in (ERROR, PANIC):
            return data, inner
        data = inner
    return data, None


def frames(frame, depth=0):
    yield depth, frame
    for call in frame.get("calls") or []:
        yield from frames(call, depth + 1)


def expected(root):
    """Classes that would be right, or None where the trace does not tell."""
    data, text = innermost(hexed(root.get("output")))
    if text is not None:
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return {"custom"}
        text = text.rstrip("\0")
        if text in SHORT:
            return {SHORT[text]}
        for word, classes in WORDS.items():
            if word in text:
                return classes
        return None
    if data[:4] == PANIC:
        code = int.from_bytes(data[4:36], "big")
        return {0x01: {"assert"}, 0x11: {"math"}, 0x12: {"math"}, 0x32: {"bounds"}}.get(code)
    if len(data) >= 4:
        name = BY_SELECTOR.get(data[:4])
        if name is None:
            return None if len(data) > 4 else {"custom", "input", "access", "state", "balance", "limits", "paused"}
        return next(classes for word, classes in {**WORDS, "Deadline": {"deadline"}}.items() if word in name)
    failed = [f for _, f in frames(root) if f.get("error")]
    if any("out of gas" in f["error"] for f in failed):
        return {"gas_limit"}
    if all(f["error"] == "execution reverted" for f in failed):
        return {"opaque"}
    return None


def main(path):
    wrong, counts, checked = [], Counter(), 0
    for line in open(path):
        it = json.loads(line)
        counts[it["chain"], it["found_by"], it["cause"]] += 1
        say = lambda text: wrong.append(f"{it['hash']} ({it['found_by']}): {it['cause']}, {it['rule']}: {text}")
        if it["found_by"] == "receipt":
            if it["gas"] == it["gas_used"] and it["cause"] != "gas_limit":
                say("all gas was used")
            continue
        root = json.loads(it["trace"])
        right = expected(root)
        if right is not None:
            checked += 1
            if it["cause"] not in right:
                say(f"the trace says one of {sorted(right)}")
        # The call that is named is there, failed, and is as deep.
        at = [f for depth, f in frames(root) if depth == it["depth"] and (f.get("to") or "") == (it["frame"] or "")]
        if not any(f.get("error") for f in at):
            say(f"no failed call of {it['frame']} is {it['depth']} deep")
        # What came back is what the trace has, of that call or of the transaction.
        had = {(f.get("output") or "0x")[: 2 + 2048] for f in [root, *at]}
        if it["output"] not in had and it["output"] != "0x":
            say(f"{it['output'][:80]} stands nowhere")
        if it["selector"] is not None:
            data, _ = innermost(hexed(root.get("output")))
            if hexed(it["selector"]) not in (data[:4], hexed(it["output"])[:4]):
                say(f"the selector is {data[:4].hex()}")
        # A failed call below it that gave back the same would be the one.
        deeper = [
            f
            for f in at
            for depth, below in frames(f)
            if depth and below.get("error") and hexed(below.get("output")) and below.get("output") == f.get("output")
        ]
        if deeper:
            say("a call inside gave back the same")
    chains = sorted({chain for chain, *_ in counts})
    for found_by in ("trace", "receipt"):
        for chain in [*chains, "all"]:
            of = Counter()
            for (c, by, cause), n in counts.items():
                if by == found_by and chain in (c, "all"):
                    of[cause] += n
            if of:
                print(f"{found_by:8}{chain:12}" + "  ".join(f"{cause} {n}" for cause, n in of.most_common()))
    print(f"{checked} read again")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong or checked < 10:
        sys.exit(1)


main(sys.argv[1])
