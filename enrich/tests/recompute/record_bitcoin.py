#!/usr/bin/env python3
"""Makes two regtest blocks on a real Bitcoin node, with outputs of every kind and with their spends, and prints what the node says of them.

    record_bitcoin.py FOLDER    FOLDER has bitcoind (scripts/fetch-bitcoin); the JSON goes to standard output

`block` is a block's bytes, `verbose` the node's getblock with verbosity 3, `sigops` what getblocktemplate said of each transaction that its policy
took. Keys are the numbers 1 and 2: nothing here is a secret.
"""

import base64
import hashlib
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bitcoin  # noqa: E402

P = 2**256 - 2**32 - 977
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798, 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)
WIF = ["cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA"]  # the number 1


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and a[1] != b[1]:
        return None
    slope = (3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(n, point):
    found = None
    while n:
        found = add(found, point) if n & 1 else found
        point, n = add(point, point), n >> 1
    return found


def key(n):
    x, y = times(n, G)
    return bytes([2 + (y & 1)]) + x.to_bytes(32, "big")


def tagged(tag, data):
    start = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(start + start + data).digest()


def push(data):
    return bytes([len(data)]) + data if len(data) < 76 else b"\x4c" + bytes([len(data)]) + data


def size(n):
    return bytes([n]) if n < 0xFD else b"\xfd" + struct.pack("<H", n)


def transaction(inputs, outputs, sequence=0xFFFFFFFD):
    """(txid, index, script, witness) and (value, script)."""
    segwit = any(w for _, _, _, w in inputs)
    body = size(len(inputs)) + b"".join(bytes.fromhex(t)[::-1] + struct.pack("<I", n) + size(len(s)) + s + struct.pack("<I", sequence) for t, n, s, _ in inputs)
    body += size(len(outputs)) + b"".join(struct.pack("<Q", v) + size(len(s)) + s for v, s in outputs)
    witness = b"".join(size(len(w)) + b"".join(size(len(i)) + i for i in w) for _, _, _, w in inputs) if segwit else b""
    return (struct.pack("<I", 2) + (b"\0\1" if segwit else b"") + body + witness + struct.pack("<I", 0)).hex()


def main():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        node = subprocess.Popen([f"{sys.argv[1]}/bitcoind", "-regtest", f"-datadir={folder}", f"-rpcport={port}", "-rpcuser=u", "-rpcpassword=p",
                                 "-listen=0", "-printtoconsole=0", "-acceptnonstdtxn=1", "-corepolicy=1", "-fallbackfee=0.0001"])

        def call(method, *params):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps({"method": method, "params": params, "id": 1}).encode(),
                                             {"Authorization": "Basic " + base64.b64encode(b"u:p").decode()})
            try:
                answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
            except urllib.error.HTTPError as error:
                answer = json.loads(error.read())
            if answer.get("error"):
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

        try:
            for _ in range(200):
                try:
                    call("getblockchaininfo")
                    break
                except (OSError, RuntimeError, ValueError):
                    time.sleep(0.1)
            print(json.dumps(record(call), indent=1))
        finally:
            node.terminate()
            node.wait()


def record(call):
    call("createwallet", "w")
    address = call("getnewaddress", "", "bech32")
    call("generatetoaddress", 110, address)
    one, two = key(1), key(2)
    hidden = b"\0\x63" + b"\x52" + push(one) + push(two) + b"\x52\xae" + b"\x68\x51"  # OP_0 OP_IF 2-of-2 OP_ENDIF OP_1
    checks = b"\0\x63" + push(one) + b"\xac\xad\xae" + b"\x68\x51"
    ord_ = b"\0\x63\x03ord" + push(b"\x01") + push(b"text/plain;charset=utf-8") + b"\0" + push(b"hello") + b"\x68\x51"
    leaf = tagged("TapLeaf", b"\xc0" + size(len(ord_)) + ord_)
    tweak = int.from_bytes(tagged("TapTweak", one[1:] + leaf), "big")
    q = add(G if G[1] % 2 == 0 else (G[0], P - G[1]), times(tweak, G))
    control = bytes([0xC0 | (q[1] & 1)]) + one[1:]
    multi = b"\x51" + push(one) + push(two) + b"\x52\xae"
    hash160, sha256 = bitcoin.hash160, bitcoin.sha256
    wpkh = b"\0\x14" + hash160(one)
    wsh = lambda script: b"\0\x20" + sha256(script)
    sh = lambda script: b"\xa9\x14" + hash160(script) + b"\x87"
    # Script, redeem script, witness script: signed by the node.
    signed = [(push(one) + b"\xac", None, None), (b"\x76\xa9\x14" + hash160(one) + b"\x88\xac", None, None), (multi, None, None), (wpkh, None, None),
              (sh(wpkh), wpkh, None), (sh(multi), multi, None), (wsh(multi), None, multi), (sh(wsh(multi)), wsh(multi), multi)]
    # Script, script of the input, witness: nobody signs.
    free = [(sh(hidden), push(hidden), []), (sh(checks), push(checks), []), (wsh(hidden), b"", [hidden]), (wsh(checks), b"", [checks]),
            (sh(wsh(hidden)), push(wsh(hidden)), [hidden]), (b"\x51\x02\x4e\x73", b"", []),
            (b"\x51", b"", [])]
    # Only a block takes these: versions without meaning yet, and an inscription, which this node's policy does not like.
    odd = [(b"\x51\x20" + q[0].to_bytes(32, "big"), b"", [ord_, control]), (b"\x52\x02\x75\x1e", b"", []), (b"\x51\x03abc", b"", [b"x"])]
    dead = [(0, b"\x6a" + push(b"hello")), (0, b"\x6a\x60" + push(b"x")), (1_000, b"\x6a\xac"), (1_000, push(bytes([4]) + bytes(64)) + b"\xac"),
            (1_000, push(bytes([5]) + bytes(64)) + b"\xac"), (1_000, b"\x51" + push(one) * 3 + b"\x53\xae"), (1_000, b"\x52" + push(one) + b"\x52\xae"),
            (1_000, b"\0\x03abc"), (1_000, b"\x60\x28" + bytes(40)), (1_000, b"\xac\xad\xae\xaf" + push(one)), (1_000, b"")]
    scripts = [s for s, *_ in signed + free + odd]
    coin = [c for c in call("listunspent", 100) if c["amount"] > 40][0]
    change = bytes.fromhex(call("getaddressinfo", address)["scriptPubKey"])
    outputs = [(1_000_000 + i, s) for i, s in enumerate(scripts)] + dead
    rest = int(coin["amount"] * 100_000_000) - sum(v for v, _ in outputs) - 20_000
    first = call("signrawtransactionwithwallet", transaction([(coin["txid"], coin["vout"], b"", [])], outputs + [(rest, change)]))["hex"]
    txid = call("decoderawtransaction", first)["txid"]
    place = {s: (txid, n, v) for n, (v, s) in enumerate(outputs)}
    before = []
    for i, (script, redeem, witness) in enumerate(signed):
        t, n, v = place[script]
        one_of = {"txid": t, "vout": n, "scriptPubKey": script.hex(), "amount": f"{v / 100_000_000:.8f}"}
        one_of.update({"redeemScript": redeem.hex()} if redeem else {})
        one_of.update({"witnessScript": witness.hex()} if witness else {})
        before.append(one_of)
    total = sum(place[s][2] for s, *_ in signed)
    second = transaction([(*place[s][:2], b"", []) for s, *_ in signed], [(total - 5_000, change)], 0xFFFFFFFF)
    answer = call("signrawtransactionwithkey", second, WIF, before)
    assert answer["complete"], answer
    second = answer["hex"]
    third = transaction([(*place[s][:2], i, w) for s, i, w in free], [(sum(place[s][2] for s, *_ in free) - 3_333, change)])
    fourth = transaction([(*place[s][:2], i, w) for s, i, w in odd], [(sum(place[s][2] for s, *_ in odd) - 1, change)])
    blocks = [call("generateblock", address, [first])["hash"]]
    for raw in (second, third):
        try:
            call("sendrawtransaction", raw, 0, "1")
        except RuntimeError as error:
            print(error, file=sys.stderr)
    template = call("getblocktemplate", {"rules": ["segwit"]})
    sigops = {t["txid"]: t["sigops"] for t in template["transactions"]}
    blocks.append(call("generateblock", address, [second, third, fourth])["hash"])
    about = call("getnetworkinfo")["subversion"]
    return {"about": about, "sigops": sigops, "blocks": [{"block": call("getblock", b, 0), "verbose": call("getblock", b, 3)} for b in blocks]}


if __name__ == "__main__":
    main()
