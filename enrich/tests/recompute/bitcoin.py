#!/usr/bin/env python3
"""Reads every recorded Bitcoin block of a folder from its raw bytes, with the standard library alone.

    bitcoin.py FOLDER...            a report: per chain its blocks, transactions, kinds of scripts, and whether all roots hold
    bitcoin.py --json FOLDER...     one JSON object per block, for enrich/tests/bitcoin
    bitcoin.py --scripts CHAIN HEX...   kind and addresses of scripts

A folder has CHAIN/HEIGHT-….raw (one block), CHAIN/blk-….dat (blocks with magic and length), CHAIN/blocks-….json ([{block, height}]),
regtest/scripts.json (record_bitcoin.py) and mainnet-rpc/HEIGHT/getblock_v2.json(.gz) with input_transactions.json. Shares no code with Headwater. Sources: Bitcoin Core's serialization,
solver and address encoding; BIP-16, 141, 173, 340 to 342, 350. What an input spends is taken from the block itself, or from the recorded
transactions; where neither has it, it is made up in the form that the input shows, so that the ways of counting are gone through.
"""

import gzip
import hashlib
import json
import pathlib
import struct
import sys

PREFIXES = {"main": (0x00, 0x05, "bc"), "test": (0x6F, 0xC4, "tb"), "testnet4": (0x6F, 0xC4, "tb"), "signet": (0x6F, 0xC4, "tb"),
            "regtest": (0x6F, 0xC4, "bcrt")}
CHAINS = {"mainnet": "main", "testnet3": "test", "testnet4": "testnet4", "signet": "signet", "regtest": "regtest"}


# --- hashes

def sha256(b):
    return hashlib.sha256(b).digest()


def double(b):
    return sha256(sha256(b))


def ripemd160(b):
    try:
        return hashlib.new("ripemd160", b).digest()
    except ValueError:
        return own_ripemd160(b)


R1 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8, 3, 10, 14, 4, 9, 15, 8, 1,
      2, 7, 0, 6, 13, 11, 5, 12, 1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2, 4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13]
R2 = [5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12, 6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2, 15, 5, 1, 3, 7, 14, 6, 9,
      11, 8, 12, 2, 10, 0, 4, 13, 8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14, 12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11]
S1 = [11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8, 7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12, 11, 13, 6, 7, 14, 9, 13, 15,
      14, 8, 13, 6, 5, 12, 7, 5, 11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12, 9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6]
S2 = [8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6, 9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11, 9, 7, 15, 11, 8, 6, 6, 14,
      12, 13, 5, 14, 13, 13, 7, 5, 15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8, 8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11]
K1 = [0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E]
K2 = [0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0]


def own_ripemd160(message):
    """RIPEMD-160, where the system's OpenSSL does not have it."""
    def f(j, x, y, z):
        return [x ^ y ^ z, (x & y) | (~x & z), (x | ~y) ^ z, (x & z) | (y & ~z), x ^ (y | ~z)][j] & 0xFFFFFFFF

    def roll(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    h = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    padded = message + b"\x80" + bytes((55 - len(message)) % 64) + struct.pack("<Q", 8 * len(message))
    for at in range(0, len(padded), 64):
        words = struct.unpack("<16I", padded[at:at + 64])
        left, right = list(h), list(h)
        for i in range(80):
            j = i // 16
            for (state, kind, r, s, k) in ((left, j, R1, S1, K1), (right, 4 - j, R2, S2, K2)):
                a, b, c, d, e = state
                t = (roll((a + f(kind, b, c, d) + words[r[i]] + k[j]) & 0xFFFFFFFF, s[i]) + e) & 0xFFFFFFFF
                state[:] = [e, t, b, roll(c, 10), d]
        h = [(h[1] + left[2] + right[3]) & 0xFFFFFFFF, (h[2] + left[3] + right[4]) & 0xFFFFFFFF, (h[3] + left[4] + right[0]) & 0xFFFFFFFF,
             (h[4] + left[0] + right[1]) & 0xFFFFFFFF, (h[0] + left[1] + right[2]) & 0xFFFFFFFF]
    return struct.pack("<5I", *h)


def hash160(b):
    return ripemd160(sha256(b))


def shown(b):
    return b[::-1].hex()


# --- addresses

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def base58check(payload):
    data = payload + double(payload)[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def polymod(values):
    generator, check = [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3], 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i in range(5):
            check ^= generator[i] if (top >> i) & 1 else 0
    return check


def segwit_address(hrp, version, program):
    bits, acc, data = 0, 0, [version]
    for byte in program:
        acc, bits = (acc << 8) | byte, bits + 8
        while bits >= 5:
            bits -= 5
            data.append((acc >> bits) & 31)
    if bits:
        data.append((acc << (5 - bits)) & 31)
    expanded = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    check = polymod(expanded + data + [0] * 6) ^ (1 if version == 0 else 0x2BC830A3)
    return hrp + "1" + "".join(BECH32[d] for d in data + [(check >> 5 * (5 - i)) & 31 for i in range(6)])


# --- scripts

def operations(script):
    """(operation, data or None, where it begins), and whether all could be read."""
    found, at = [], 0
    while at < len(script):
        begin, op = at, script[at]
        at += 1
        if op > 0x4E:
            found.append((op, None, begin))
            continue
        if op < 0x4C:
            n = op
        else:
            width = 1 << (op - 0x4C)
            if at + width > len(script):
                return found, False
            n, at = int.from_bytes(script[at:at + width], "little"), at + width
        if at + n > len(script):
            return found, False
        found.append((op, script[at:at + n], begin))
        at += n
    return found, True


def push_only(script):
    found, whole = operations(script)
    return whole and all(op <= 0x60 for op, _, _ in found)


def is_key(data):
    return bool(data) and len(data) == {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}.get(data[0])


def witness_program(script):
    if 4 <= len(script) <= 42 and (script[0] == 0 or 0x51 <= script[0] <= 0x60) and script[1] + 2 == len(script):
        return (script[0] and script[0] - 0x50), script[2:]
    return None


def is_p2sh(script):
    return len(script) == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87


def multisig_number(op, data):
    if 0x51 <= op <= 0x60:
        return op - 0x50
    if op == 1 and 17 <= data[0] <= 20:
        return data[0]
    return None


def multisig(script):
    if not script or script[-1] != 0xAE:
        return None
    found, _ = operations(script)
    required = multisig_number(*found[0][:2])
    if required is None:
        return None
    keys, at = [], 1
    while at < len(found) and found[at][1] is not None and is_key(found[at][1]):
        keys.append(found[at][1])
        at += 1
    count = multisig_number(*found[at][:2]) if at < len(found) else None
    if count is None or not required <= count <= 20 or len(keys) != count:
        return None
    return keys if at + 1 < len(found) and found[at + 1][2] + 1 == len(script) else None


def script_of(chain, script):
    """Core's word for a script, and its addresses."""
    key_prefix, script_prefix, hrp = PREFIXES[chain]
    if is_p2sh(script):
        return "scripthash", [base58check(bytes([script_prefix]) + script[2:22])]
    program = witness_program(script)
    if program:
        version, data = program
        if version == 0 and len(data) not in (20, 32):
            return "nonstandard", []
        word = {(0, 20): "witness_v0_keyhash", (0, 32): "witness_v0_scripthash", (1, 32): "witness_v1_taproot"}.get((version, len(data)))
        word = word or ("anchor" if (version, data) == (1, b"\x4e\x73") else "witness_unknown")
        return word, [segwit_address(hrp, version, data)]
    if script[:1] == b"\x6a" and push_only(script[1:]):
        return "nulldata", []
    if len(script) in (35, 67) and script[0] == len(script) - 2 and script[-1] == 0xAC and is_key(script[1:-1]):
        return "pubkey", []
    if len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return "pubkeyhash", [base58check(bytes([key_prefix]) + script[3:23])]
    keys = multisig(script)
    if keys is not None:
        return "multisig", [base58check(bytes([key_prefix]) + hash160(key)) for key in keys]
    return "nonstandard", []


def sigops(script, accurate):
    n, before = 0, None
    for op, _, _ in operations(script)[0]:
        if op in (0xAC, 0xAD):
            n += 1
        elif op in (0xAE, 0xAF):
            n += before - 0x50 if accurate and before is not None and 0x51 <= before <= 0x60 else 20
        before = op
    return n


def witness_sigops(witness, program):
    if not program or program[0] != 0:
        return 0
    if len(program[1]) == 20:
        return 1
    return sigops(witness[-1], True) if len(program[1]) == 32 and witness else 0


def envelope(witness):
    """The media type of the first inscription, `` where it names none."""
    if len(witness) > 1 and witness[-1][:1] == b"\x50":
        witness = witness[:-1]
    if len(witness) < 2:
        return None
    found, _ = operations(witness[-2])
    value = lambda op, data: data if data is not None else bytes([op - 0x50]) if 0x51 <= op <= 0x60 else None
    for i in range(len(found) - 2):
        if found[i][1] == b"" and found[i + 1][0] == 0x63 and found[i + 2][1] == b"ord":
            rest, media = found[i + 3:], None
            body = False
            while rest:
                if rest[0][0] == 0x68:
                    return "" if media is None else media
                tag = value(*rest[0][:2])
                if tag is None:
                    break
                body = body or tag == b""
                if body:
                    rest = rest[1:]
                    continue
                if len(rest) > 1 and rest[1][0] == 0x68:
                    return "" if media is None else media
                of = value(*rest[1][:2]) if len(rest) > 1 else None
                if of is None:
                    break
                if tag == b"\x01" and media is None:
                    media = of[:256].decode("utf-8", "replace")
                rest = rest[2:]
    return None


# --- blocks

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("it ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "little")

    def compact(self):
        first = self.number(1)
        return first if first < 0xFD else self.number(2 << (first - 0xFD))

    def text(self):
        return self.take(self.compact())


def transaction(r):
    begin = r.at
    version = r.take(4)
    segwit = r.data[r.at:r.at + 2] == b"\0\1"
    if segwit:
        r.take(2)
    middle = r.at
    inputs = [{"txid": r.take(32), "index": r.number(4), "script": r.text(), "sequence": r.number(4)} for _ in range(r.compact())]
    outputs = [{"value": r.number(8), "script": r.text()} for _ in range(r.compact())]
    end = r.at
    for i in inputs:
        i["witness"] = [r.text() for _ in range(r.compact())] if segwit else []
    lock = r.take(4)
    stripped, raw = version + r.data[middle:end] + lock, r.data[begin:r.at]
    return {"version": int.from_bytes(version, "little"), "inputs": inputs, "outputs": outputs, "lock_time": int.from_bytes(lock, "little"),
            "raw": raw, "stripped": len(stripped), "txid": double(stripped), "wtxid": double(raw), "segwit": segwit}


def root(leaves):
    while len(leaves) > 1:
        if len(leaves) % 2:
            leaves = leaves + leaves[-1:]
        leaves = [double(leaves[i] + leaves[i + 1]) for i in range(0, len(leaves), 2)]
    return leaves[0]


def block(data):
    r = Reader(data)
    header = r.take(80)
    transactions = [transaction(r) for _ in range(r.compact())]
    if r.at != len(data):
        raise ValueError("bytes after the block")
    if root([t["txid"] for t in transactions]) != header[36:68]:
        raise ValueError("the merkle root differs")
    if any(t["segwit"] for t in transactions):
        commitment = [o["script"] for o in transactions[0]["outputs"] if o["script"][:6] == b"\x6a\x24\xaa\x21\xa9\xed"][-1][6:38]
        leaves = [bytes(32)] + [t["wtxid"] for t in transactions[1:]]
        if double(root(leaves) + transactions[0]["inputs"][0]["witness"][0]) != commitment:
            raise ValueError("the witness commitment differs")
    return header, transactions


def form(i, at):
    """A script that an input of this form could spend."""
    found, _ = operations(i["script"])
    pushed = [data for _, data, _ in found if data is not None]
    witness = i["witness"]
    if pushed and witness_program(pushed[-1]) and len(found) == 1:
        return b"\xa9\x14" + hash160(pushed[-1]) + b"\x87"
    if witness and not i["script"]:
        if len(witness) == 2 and len(witness[1]) == 33 and is_key(witness[1]):
            return b"\0\x14" + hash160(witness[1])
        if len(witness) == 1 or witness[-1][:1] in (b"\x50", b"\xc0", b"\xc1"):
            return b"\x51\x20" + sha256(bytes([at & 255]))
        return b"\0\x20" + sha256(witness[-1])
    if len(found) == 2 and len(pushed) == 2 and is_key(pushed[1]):
        return b"\x76\xa9\x14" + hash160(pushed[1]) + b"\x88\xac"
    if len(found) > 1 and pushed and found[-1][1] is not None:
        return b"\xa9\x14" + hash160(pushed[-1]) + b"\x87"
    return bytes([33, 2]) + sha256(i["txid"]) + b"\xac"


def read(chain, height, data, known):
    header, transactions = block(data)
    for t in transactions:
        for n, o in enumerate(t["outputs"]):
            known[(t["txid"], n)] = (o["value"], o["script"])
    lines, made_up = [], 0
    for at, t in enumerate(transactions):
        is_coinbase = len(t["inputs"]) == 1 and t["inputs"][0]["txid"] == bytes(32) and t["inputs"][0]["index"] == 0xFFFFFFFF
        total, spent = sum(o["value"] for o in t["outputs"]), []
        for n, i in enumerate([] if is_coinbase else t["inputs"]):
            prevout = known.get((i["txid"], i["index"]))
            if prevout is None:
                prevout, made_up = (total // len(t["inputs"]) + 1_000 + n, form(i, n)), made_up + 1
            spent.append(prevout)
        size, weight = len(t["raw"]), 3 * t["stripped"] + len(t["raw"])
        cost = 4 * (sum(sigops(i["script"], False) for i in t["inputs"]) + sum(sigops(o["script"], False) for o in t["outputs"]))
        for i, (_, script) in zip(t["inputs"], spent):
            last = (operations(i["script"])[0] or [(0, b"", 0)])[-1][1] or b""
            if is_p2sh(script) and push_only(i["script"]):
                cost += 4 * sigops(last, True)
                cost += witness_sigops(i["witness"], witness_program(last))
            cost += witness_sigops(i["witness"], witness_program(script))
        vsize, taken = (weight + 3) // 4, sum(value for value, _ in spent)
        fee = 0 if is_coinbase else taken - total
        if fee < 0:  # of outputs that were made up for the test
            fee = None
        inputs = []
        for n, i in enumerate(t["inputs"]):
            own = None
            if not is_coinbase:
                word, addresses = script_of(chain, spent[n][1])
                own = {"value": spent[n][0], "script": spent[n][1].hex(), "kind": word, "addresses": addresses}
            reveals = envelope(i["witness"]) if own and own["kind"] == "witness_v1_taproot" else None
            inputs.append({"spent_txid": shown(i["txid"]), "spent_index": i["index"], "script": i["script"].hex(), "sequence": i["sequence"],
                           "witness": [w.hex() for w in i["witness"]], "spent": own, "envelope": reveals})
        outputs = []
        for o in t["outputs"]:
            word, addresses = script_of(chain, o["script"])
            outputs.append({"value": o["value"], "script": o["script"].hex(), "kind": word, "addresses": addresses})
        lines.append({
            "raw": t["raw"].hex(), "transaction_index": at, "txid": shown(t["txid"]), "wtxid": shown(t["wtxid"]), "version": t["version"],
            "lock_time": t["lock_time"], "size": size, "weight": weight, "virtual_size": vsize, "sigops": cost, "is_coinbase": is_coinbase,
            "segwit": any(i["witness"] for i in t["inputs"]), "replaceable": not is_coinbase and any(i["sequence"] < 0xFFFFFFFE for i in t["inputs"]),
            "input_value": None if is_coinbase else taken, "output_value": total, "fee": fee,
            "fee_rate": None if is_coinbase or fee is None else fee * 1000 // vsize, "inputs": inputs, "outputs": outputs,
        })
    return {"chain": chain, "height": height, "hash": shown(double(header)), "made_up": made_up, "transactions": lines}


def recorded(folder):
    """(chain, height, raw block, outputs that are known) of every recorded block."""
    for name, chain in CHAINS.items():
        for path in sorted((folder / name).glob("*.raw")):
            yield chain, int(path.stem.split("-")[0]), path.read_bytes(), {}
        for path in sorted((folder / name).glob("blk-*.dat")):
            data, at, known = path.read_bytes(), 0, {}
            for height in range(int(path.name.split("-")[1]), 1 << 32):
                if at >= len(data):
                    break
                length = int.from_bytes(data[at + 4:at + 8], "little")
                yield chain, height, data[at + 8:at + 8 + length], known
                at += 8 + length
        for path in sorted((folder / name).glob("blocks-*.json")):
            known = {}
            for one in json.loads(path.read_text()):
                yield chain, one["height"], bytes.fromhex(one["block"]), known
    for path in (folder / "regtest").glob("scripts.json"):
        known = {}
        blocks = json.loads(path.read_text())["blocks"]
        for i in [i for b in blocks for t in b["verbose"]["tx"] for i in t["vin"] if "prevout" in i]:
            spent = i["prevout"]
            known[(bytes.fromhex(i["txid"])[::-1], i["vout"])] = (round(float(spent["value"]) * 100_000_000), bytes.fromhex(spent["scriptPubKey"]["hex"]))
        for one in blocks:
            yield "regtest", one["verbose"]["height"], bytes.fromhex(one["block"]), known
    for path in sorted((folder / "mainnet-rpc").glob("*/getblock_v2.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        one = json.loads(text)
        header = struct.pack("<I", one["version"]) + bytes.fromhex(one.get("previousblockhash", "00" * 32))[::-1] \
            + bytes.fromhex(one["merkleroot"])[::-1] + struct.pack("<I", one["time"]) + bytes.fromhex(one["bits"])[::-1] \
            + struct.pack("<I", one["nonce"])
        count = len(one["tx"])
        data = header + (bytes([count]) if count < 0xFD else b"\xfd" + struct.pack("<H", count)) \
            + b"".join(bytes.fromhex(t["hex"]) for t in one["tx"])
        known, inputs = {}, path.parent / "input_transactions.json"
        flat = json.loads(inputs.read_text()) if inputs.exists() else []
        while any(isinstance(x, list) for x in flat):
            flat = [y for x in flat for y in (x if isinstance(x, list) else [x])]
        for t in flat:
            for o in t.get("vout", []):
                script = bytes.fromhex(o["scriptPubKey"]["hex"])
                known[(bytes.fromhex(t["txid"])[::-1], o["n"])] = (round(float(o["value"]) * 100_000_000), script)
        yield "main", one["height"], data, known


def main(arguments):
    if arguments[:1] == ["--scripts"]:
        for text in arguments[2:]:
            word, addresses = script_of(arguments[1], bytes.fromhex(text))
            print(text, word, *addresses)
        return
    as_json = arguments[:1] == ["--json"]
    counts = {}
    for folder in arguments[1:] if as_json else arguments:
        for chain, height, data, known in recorded(pathlib.Path(folder)):
            one = read(chain, height, data, known)
            if as_json:
                print(json.dumps(one))
                continue
            of = counts.setdefault(chain, {"blocks": 0, "transactions": 0, "made up": 0, "kinds": {}, "sigops": 0})
            of["blocks"] += 1
            of["transactions"] += len(one["transactions"])
            of["made up"] += one["made_up"]
            for t in one["transactions"]:
                of["sigops"] += t["sigops"]
                for o in t["outputs"] + [i["spent"] for i in t["inputs"] if i["spent"]]:
                    of["kinds"][o["kind"]] = of["kinds"].get(o["kind"], 0) + 1
    for chain, of in counts.items():
        print(chain, json.dumps(of))


if __name__ == "__main__":
    main(sys.argv[1:])
