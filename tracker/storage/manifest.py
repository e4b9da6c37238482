"""snapshot.json: which texts the tracker wrote last to nodes.json and files.json, and before that; and so
from which journal on they are to be brought up to date, and whether they are still what they were.

    {"crc32": "...", "snapshot": {
        "nodes.json": {"generation": 9, "bytes": 4711, "crc32": "..."},
        "files.json": {"generation": 9, ...},
        "previous/nodes.json": {"generation": 8, ...},
        "previous/files.json": {"generation": 8, ...}}}

It is replaced before the files that it speaks of. A file that is found is known by its size and checksum,
wherever it lies: so a crash between any two steps leaves files that are known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from common.errors import MalformedInput
from tracker.storage.disk import Disk

NODES, FILES, MANIFEST = "nodes.json", "files.json", "snapshot.json"
PREVIOUS = "previous"
PARTS = (NODES, FILES)
MAX_MANIFEST = 1 << 16  # bytes
BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Text:
    """A text that was written, without the text."""

    generation: int  # of the journal that goes on from it
    bytes: int
    crc32: int

    def is_that_of(self, other: Text) -> bool:
        """Whether both are of the same bytes."""
        return (self.bytes, self.crc32) == (other.bytes, other.crc32)


Manifest = dict[str, Text]
"""A text for each path within the folder: nodes.json, files.json and those in previous/."""


def before(name: str) -> str:
    """Where the text before the last of a part is kept."""
    return f"{PREVIOUS}/{name}"


def encode_manifest(manifest: Mapping[str, Text]) -> bytes:
    """The text of snapshot.json."""
    snapshot = {path: {**asdict(text), "crc32": f"{text.crc32:08x}"} for path, text in manifest.items()}
    return (json.dumps({"crc32": _checksum(snapshot), "snapshot": snapshot}, indent=1) + "\n").encode()


def decode_manifest(data: bytes) -> Manifest:
    """What snapshot.json says; MalformedInput if it is not as it was written."""
    try:
        fields = json.loads(data)
        snapshot = fields["snapshot"]
        if fields["crc32"] != _checksum(snapshot):
            raise MalformedInput("its checksum is wrong")
        texts = {path: _text(entry) for path, entry in snapshot.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedInput(f"no snapshot: {' '.join(str(error).split())}") from None
    return texts


def measure(disk: Disk, path: Path) -> Text:
    """The text that a file holds, of no generation; OSError passes."""
    size = check = 0
    with disk.open(path) as file:
        while block := file.read(BLOCK):
            size, check = size + len(block), crc32(block, check)
    return Text(0, size, check)


def _text(entry: Mapping[str, Any]) -> Text:
    generation, size, check = entry["generation"], entry["bytes"], entry["crc32"]
    if not (type(generation) is int and type(size) is int and isinstance(check, str)):
        raise ValueError("numbers are wanted")
    return Text(generation, size, int(check, 16))


def _checksum(snapshot: object) -> str:
    return f"{crc32(json.dumps(snapshot, sort_keys=True).encode()):08x}"
