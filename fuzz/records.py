"""The tracker's own files, which anybody may have edited and any disk damaged: read, or named as damaged."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

from common.errors import MalformedInput, MessageError, StorageFault
from faults.disk import MemoryDisk
from fuzz.parsers import ADDR, HEX, JSON_WORDS
from fuzz.target import Target, outcome
from tracker.storage.entries import change_text, read_change, read_owners_lines
from tracker.storage.lines import decode_line, encode_line
from tracker.storage.manifest import Text, decode_manifest, encode_manifest
from tracker.storage.reading import read_folder
from tracker.storage.upkeep import check

FOLDER = Path("/db")
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
HEADER = encode_line(0, 0, '{"journal": 1, "format": 1}')
LINES = [encode_line(n, n - 1, json.dumps([change])) for n, change in enumerate(CHANGES, 1)]
WORDS = [
    b'{"left": 1}',
    b"\n",
    b" ",
    *(b'"%b":' % name for name in (b"joined", b"changed", b"owns", b"left", b"pair")),
]


def run_files(data: bytes) -> str:
    """nodes.json or files.json of somebody's making, beside a good one of the other."""
    said = []
    for name, other, good in (("nodes", "files", FILES), ("files", "nodes", NODES)):
        disk = MemoryDisk({f"/db/{name}.json": data, f"/db/{other}.json": json.dumps(good).encode()})
        found = read_folder(disk, FOLDER)
        said.append(f"{min(len(found.nodes), 3)} {min(len(found.owned), 3)} {bool(found.damage)}")
    return " / ".join(said)


def run_journal(data: bytes) -> str:
    """A journal: read to its end, or damaged; and a repair of it can be read."""
    files = {"/db/journal-1.log": data}
    try:
        found = read_folder(MemoryDisk(files), FOLDER)
    except StorageFault as error:
        if "another version" in str(error):
            return "another version"
        assert check(disk := MemoryDisk(files), FOLDER, repair=True).sound
        assert not read_folder(disk, FOLDER).damage
        return outcome(error)
    tail = found.tail
    return f"{min(len(found.nodes), 3)} {len(found.owned)} {bool(tail.torn)} {min(tail.number or 0, 3)}"


def run_changes(data: bytes) -> str:
    """A line, and the change in it: written and read again it is the same."""
    line = decode_line(data)
    if line is not None:
        assert encode_line(line.number, line.safe, line.text.decode("utf-8", "replace")) or line.text
        data = line.text
    try:
        entry = json.loads(data)
        change = read_change(entry[0] if isinstance(entry, list) and entry else entry)
    except (ValueError, RecursionError):
        return "no JSON"
    except MessageError as error:
        return outcome(error)
    assert read_change(json.loads(change_text(change))) == change, (
        "written and read again it is another change"
    )
    return type(change).__name__


def run_manifest(data: bytes) -> str:
    """snapshot.json; and lines of files.json."""
    try:
        said = str(min(len(decode_manifest(data)), 3))
    except MalformedInput as error:
        said = outcome(error)
    try:
        owned = read_owners_lines(data.splitlines())
    except (ValueError, RecursionError, MessageError) as error:
        return f"{said} {type(error).__name__}"
    return f"{said} {min(len(owned), 3)}"


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


_TEXTS = {"nodes.json": Text(3, 20, 7), "previous/nodes.json": Text(2, 10, 8)}
TARGETS = [
    Target(
        "records", run_files, [json.dumps(NODES).encode(), json.dumps(FILES).encode()], 3, None, JSON_WORDS
    ),
    Target(
        "journal", run_journal, [HEADER + b"".join(LINES), HEADER, HEADER + LINES[0][:-9]], 3, resealed, WORDS
    ),
    Target(
        "changes",
        run_changes,
        [json.dumps(change).encode() for change in CHANGES] + LINES,
        3,
        resealed,
        JSON_WORDS,
    ),
    Target(
        "manifest",
        run_manifest,
        [
            encode_manifest(_TEXTS),
            b'"x": [{"node_id": 1, "complete": true}, {"node_id": 22, "complete": true}]',
            b'"x": [{"node_id": 1, "complete": true}, {"node_id": 2, "size": 1, "complete": true}]',
        ],
        2,
        None,
        [b'{"node_id": ', b'"complete": true}', b"]", *JSON_WORDS],
    ),
]
