"""The tracker's own files, which people may edit and disks may damage: read, or named as damaged."""

from __future__ import annotations

import json
from zlib import crc32

from common.validation import MAX_NODE_ID
from fuzz.parsers import ADDR, HEX, JSON_WORDS
from fuzz.target import Target
from tracker.storage import json_files
from tracker.storage.base import Records
from tracker.storage.journal_import import Replay

NODES = {
    "1": {"uploads": 3, "addr": ADDR, "rate": 1.5},
    "2": {"uploads": 0, "addr": ["::1", 9], "pairs": [[1, 2, 3]]},
}
FILES = {"x.bin": [{"node_id": 1, "info_hash": HEX.decode(), "size": 13, "complete": True}, {"node_id": 2}]}
CHANGES: list[object] = [
    {"joined": 7, **NODES["1"]},
    {"changed": 7, **NODES["1"], "secret": "5e" * 32, "receipts": 1, "pair": [1, 2, 3]},
    {"owns": 7, "files": [{"filename": "x", "info_hash": HEX.decode(), "size": 1, "complete": False}]},
    {"left": 7},
]
WORDS = [
    b'{"left": 1}',
    b"\n",
    b" ",
    *(b'"%b":' % name for name in (b"joined", b"changed", b"owns", b"left", b"pair")),
]


def a_line(number: int, change: object) -> bytes:
    """A line of a journal."""
    head, body = b"%d %d " % (number, number - 1), json.dumps(change).encode()
    return b"%b%08x %b\n" % (head, crc32(body, crc32(head)), body)


def run_files(data: bytes) -> str:
    """nodes.json and files.json: what is read and written again is the same."""
    found, wrong = json_files.good_entries(data, lambda name, entry: json_files.read_node(name, entry, 0.0))
    for node, totals in found:
        assert 0 <= node.node_id <= MAX_NODE_ID
        entry = json_files.node_entry(node, totals)
        assert json_files.read_node(str(node.node_id), entry, 0.0) == (node, totals)
    groups, wrong_owners = json_files.good_entries(data, json_files.read_owners)
    for owned in groups:
        if owned:
            entries = json_files.owners_entry(owned)
            assert json_files.read_owners(owned[0][0].filename, entries) == owned
    return f"{min(len(found), 3)} {min(len(groups), 3)} {bool(wrong)} {wrong_owners[:12]}"


def run_journal(data: bytes) -> str:
    """A journal of the earlier version: each line is carried out or left out."""
    replay = Replay(Records(), 0.0)
    taken = [replay.take(line) for line in data.splitlines(keepends=True)]
    records = replay.records([])
    known = {node.node_id for node in records.nodes}
    assert all(known.issuperset(node_ids) for _, node_ids in records.owned)
    assert known.issuperset(total.owner for total in records.totals)
    return f"{min(sum(taken), 5)} {taken.count(False) > 0} {len(known)} {min(len(records.owned), 3)}"


def resealed(data: bytes) -> bytes:
    """Each line with its checksum made right."""
    lines = []
    for raw in data.splitlines(keepends=True):
        parts = raw.rstrip(b"\n").split(b" ", 3)
        if len(parts) == 4 and parts[0].isdigit() and parts[1].isdigit():
            head = b"%b %b " % (parts[0], parts[1])
            raw = b"%b%08x %b\n" % (head, crc32(parts[3], crc32(head)), parts[3])
        lines.append(raw)
    return b"".join(lines)


HEADER = a_line(0, {"journal": 1, "format": 1})
LINES = [a_line(number, [change]) for number, change in enumerate(CHANGES, 1)]
TARGETS = [
    Target(
        "records", run_files, [json.dumps(NODES).encode(), json.dumps(FILES).encode()], 3, None, JSON_WORDS
    ),
    Target(
        "journal", run_journal, [HEADER + b"".join(LINES), HEADER, HEADER + LINES[0][:-9]], 3, resealed,
        WORDS,
    ),
]  # fmt: skip
