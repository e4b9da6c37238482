"""The two JSON files as text in memory, a line for each node and each file name.

A save need not serialize everything: each change renders its own line, and a save joins the lines.

    nodes.json  {"1": {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 1.5}, ...}
    files.json  {"lecture.mp4": [{"node_id": 1, "info_hash": "...", "size": 9, "complete": true}, ...], ...}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from common import fields as read
from common.errors import MessageError
from common.messages import OwnedFile
from tracker.registry import FileKey, file_key
from tracker.storage.former import Change, DropNode, NodeRecord, SaveNode, SaveOwner


class Mirror:
    """What the files should say. Not thread-safe."""

    def __init__(self) -> None:
        self._nodes: dict[int, str] = {}  # node id -> its rendered entry
        self._owned: dict[int, dict[FileKey, str]] = {}  # node id -> key -> file name
        self._owners: dict[str, dict[tuple[int, FileKey], str]] = {}  # file name -> owner -> rendered entry
        self._lines: dict[str, str] = {}  # file name -> its rendered owners
        self._stale: set[str] = set()  # names whose line must be rendered anew
        self.nodes_changed = False
        self.files_changed = False

    def apply(self, change: Change) -> None:
        """Take one change in."""
        if isinstance(change, SaveNode):
            self._nodes[change.node.node_id] = _node_text(change.node)
            self.nodes_changed = True
        elif isinstance(change, SaveOwner):
            for file in change.files:
                self._own(change.node_id, file)
        elif isinstance(change, DropNode):
            self._drop(change.node_id)

    def take_nodes(self) -> list[str] | None:
        """The lines of nodes.json if they changed since the last call."""
        if not self.nodes_changed:
            return None
        self.nodes_changed = False
        return [f'"{node_id}": {text}' for node_id, text in self._nodes.items()]

    def take_files(self) -> list[str] | None:
        """The lines of files.json if they changed since the last call."""
        if not self.files_changed:
            return None
        for name in self._stale:
            if owners := self._owners.get(name):
                self._lines[name] = f"{_text(name)}: [{', '.join(owners.values())}]"
            else:
                self._lines.pop(name, None)
        self._stale.clear()
        self.files_changed = False
        return list(self._lines.values())

    def _own(self, node_id: int, file: OwnedFile) -> None:
        key = file_key(file.filename, file.info_hash)
        keys = self._owned.setdefault(node_id, {})
        if key in keys:
            self._remove(node_id, key, keys[key])
        keys[key] = file.filename
        entry = {"node_id": node_id, **file.to_json()}
        del entry["filename"]
        self._owners.setdefault(file.filename, {})[node_id, key] = _text(entry)
        self._touch(file.filename)

    def _drop(self, node_id: int) -> None:
        if self._nodes.pop(node_id, None) is not None:
            self.nodes_changed = True
        for key, name in self._owned.pop(node_id, {}).items():
            self._remove(node_id, key, name)

    def _remove(self, node_id: int, key: FileKey, name: str) -> None:
        owners = self._owners[name]
        del owners[node_id, key]
        if not owners:
            del self._owners[name]
        self._touch(name)

    def _touch(self, name: str) -> None:
        self._stale.add(name)
        self.files_changed = True


def document(lines: Iterable[str]) -> bytes:
    """A JSON object of one entry a line."""
    body = ",\n".join(lines)
    return f"{{\n{body}\n}}\n".encode() if body else b"{}\n"


def parse_nodes(entries: Mapping[str, Any]) -> tuple[list[NodeRecord], str]:
    """The nodes of nodes.json, and what is wrong with the first entry that is none ("" if all are)."""
    nodes, wrong = [], ""
    for node_id, entry in entries.items():
        try:
            nodes.append(_node(node_id, entry))
        except MessageError as error:
            wrong = wrong or f"node {node_id!r}: {error}"
    return nodes, wrong


def parse_files(entries: Mapping[str, Any]) -> tuple[list[tuple[int, OwnedFile]], str]:
    """The ownerships of files.json, and what is wrong with the first entry that is none ("" if all are)."""
    owned, wrong = [], ""
    for name, owners in entries.items():
        for owner in owners if isinstance(owners, list) else [owners]:
            try:
                if not isinstance(owner, dict):
                    raise MessageError("an object is wanted", "owner")
                owned.append((read.node_id(owner), OwnedFile.from_json({**owner, "filename": name})))
            except MessageError as error:
                wrong = wrong or f"file {name!r}: {error}"
    return owned, wrong


def _node(node_id: str, entry: Any) -> NodeRecord:
    if not isinstance(entry, dict) or not (node_id.isascii() and node_id.isdigit() and len(node_id) <= 10):
        raise MessageError("a node id and an object are wanted", "node_id")
    rate = entry.get("rate", 0)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1e18:
        raise MessageError("rate must be a positive number", "rate")
    number = read.node_id({"node_id": int(node_id)})
    uploads = read.integer(entry, "uploads", 0, read.MAX_SIZE)
    return NodeRecord(number, read.addr(entry), uploads, float(rate))


def _node_text(node: NodeRecord) -> str:
    return _text({"addr": list(node.addr), "uploads": node.uploads, "rate": round(node.score, 6)})


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
