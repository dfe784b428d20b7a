"""Reads again what decode/ said of recorded logs and calls, with eth-abi, and says where the two differ.

    check.py FILE SIGNATURES…     FILE: a line of JSON for each log and call; SIGNATURES: the table's files

Nothing is shared with the product: lines are parsed here, hashes and encodings are eth-abi's and eth-hash's. Exits with 1 where
anything differs, after the first twenty differences; prints the share per chain.
"""

import json
import re
import sys
from collections import Counter, defaultdict

from eth_abi import decode, encode
from eth_hash.auto import keccak


def split(text):
    """Parameters of a list, at its own commas."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [p.strip() for p in parts + [part] if p.strip()]


def closing(text):
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i
    raise ValueError(text)


def param(text):
    """(type, name, indexed, members or None)"""
    members = None
    if text.startswith("("):
        end = closing(text)
        members = [param(p) for p in split(text[1:end])]
        array, words = re.fullmatch(r"((?:\[\d*\])*)(.*)", text[end + 1 :], re.S).groups()
        kind, words = "(" + ",".join(m[0] for m in members) + ")" + array, words.split()
    else:
        kind, *words = text.split()
    indexed = "indexed" in words
    names = [w for w in words if w not in ("indexed", "memory", "calldata")]
    return kind, names[0] if names else "", indexed, members


def signature(text):
    """(name, parameters)"""
    name, rest = text.split("(", 1)
    return name, [param(p) for p in split(rest[: closing("(" + rest) - 1])]


def canonical(name, params):
    return f"{name}({','.join(p[0] for p in params)})"


def value(kind, members, v):
    """As the product writes it."""
    if kind.endswith("]"):
        return [value(kind[: kind.rindex("[")], members, x) for x in v]
    if kind.startswith("("):
        return named(members, v)
    if kind == "bool":
        return v
    if kind == "string":
        return v
    if kind == "address":
        return v.lower()
    if kind.startswith("bytes"):
        return "0x" + v.hex()
    return str(v)


def named(params, values):
    out, seen = {}, set()
    for i, ((kind, name, _, members), v) in enumerate(zip(params, values, strict=True)):
        key = name if name and name not in seen else str(i)
        seen.add(name)
        out[key] = value(kind, members, v)
    return out


def exact(params, data):
    """The values, where the data is their one encoding."""
    types = [p[0] for p in params]
    try:
        values = decode(types, data)
        return values if encode(types, values) == data else None
    except Exception:
        return None


def packed(params, data):
    values, at = [], 0
    for kind, *_ in params:
        size = 20 if kind == "address" else int(re.search(r"\d+", kind)[0])
        size = size // 8 if "int" in kind else size
        part = data[at : at + size]
        if len(part) < size:
            return None
        values.append(int.from_bytes(part, "big") if "int" in kind else part if kind != "address" else "0x" + part.hex())
        at += size
    return values if at == len(data) else None


def is_value(kind):
    return not (kind.endswith("]") or kind.startswith("(") or kind in ("bytes", "string"))


def of_log(params, topics, data):
    """Arguments of an event in exactly this shape, from the topics behind its signature's."""
    if sum(p[2] for p in params) != len(topics):
        return None
    rest = exact([p for p in params if not p[2]], data)
    if rest is None:
        return None
    rest, topics, values = iter(rest), iter(topics), []
    for p in params:
        if not p[2]:
            values.append((p, next(rest)))
        elif is_value(p[0]):
            one = exact([p], next(topics))
            if one is None:
                return None
            values.append((p, one[0]))
        else:
            values.append((("bytes32", p[1], True, None), next(topics)))
    return named([p for p, _ in values], [v for _, v in values])


def main(path, tables):
    functions, events, anonymous = defaultdict(list), defaultdict(list), []
    for table in tables:
        for line in open(table):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            kind, rest = line.split(" ", 1)
            name, params = signature(rest)
            if kind == "function":
                functions[keccak(canonical(name, params).encode())[:4]].append((name, params, exact))
            elif kind == "packed":
                functions[keccak(f"{name}()".encode())[:4]].append((name, params, packed))
            elif kind == "event" and rest.endswith(" anonymous"):
                anonymous.append((name, params))
            elif kind == "event":
                events[keccak(canonical(name, params).encode())].append((name, params))

    def known_event(topics, data):
        for name, params in events.get(topics[0] if topics else b"", []):
            # As it stands, without anything indexed, and with all of it.
            bare = [(k, n, False, m) for k, n, _, m in params]
            full = [(k, n, is_value(k), m) for k, n, _, m in params]
            for shape in (params, bare, full):
                if of_log(shape, topics[1:], data) is not None:
                    return canonical(name, params)
        for name, params in anonymous:
            if of_log(params, topics, data) is not None:
                return canonical(name, params)

    def known_call(data):
        for name, params, read in functions.get(data[:4], []):
            if read(params, data[4:]) is not None:
                return canonical(name, params)

    wrong, counts = [], Counter()
    for line in open(path):
        it = json.loads(line)
        data, said = bytes.fromhex(it["data"]), it.get("signature")
        topics = [bytes.fromhex(t) for t in it.get("topics", [])]
        counts[it["chain"], it["kind"], said is not None] += 1
        known = known_event(topics, data) if it["kind"] == "log" else known_call(data)
        if said is None:
            if known is not None:
                wrong.append(f"{it['at']}: left raw, and is {known}")
            continue
        if known is None:
            wrong.append(f"{it['at']}: {said}, which eth-abi refuses")
            continue
        name, params = signature(said.removesuffix(" anonymous"))
        arguments = json.loads(it["arguments"])
        if it["kind"] == "log":
            bare = said.endswith(" anonymous")
            if not bare and keccak(canonical(name, params).encode()) != topics[0]:
                wrong.append(f"{it['at']}: {said} has another topic")
            expected = of_log(params, topics if bare else topics[1:], data)
        else:
            read = exact
            if not params and data[4:]:
                (params, read), = [(p, r) for n, p, r in functions[data[:4]] if n == name and r is packed]
            if keccak((f"{name}()" if read is packed else canonical(name, params)).encode())[:4] != data[:4]:
                wrong.append(f"{it['at']}: {said} has another selector")
            values = read(params, data[4:])
            expected = None if values is None else named(params, values)
        # As text again, so that the order of names counts at every depth.
        if json.dumps(expected) != json.dumps(arguments):
            wrong.append(f"{it['at']}: {said}: {it['arguments'][:300]} and not {json.dumps(expected)[:300]}")

    chains = sorted({chain for chain, _, _ in counts})
    for chain in [*chains, "all"]:
        of = lambda kind, done: sum(n for (c, k, d), n in counts.items() if k == kind and d in done and chain in (c, "all"))
        text = f"{chain:14}"
        for kind in ("log", "call"):
            done, everything = of(kind, (True,)), of(kind, (True, False))
            text += f"  {kind}s {done:5} of {everything:5}" + (f" {100 * done / everything:6.2f} %" if everything else " " * 9)
        print(text)
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} differences", file=sys.stderr)
        sys.exit(1)


main(sys.argv[1], sys.argv[2:])
