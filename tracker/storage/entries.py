"""Records as JSON text and back: a node's entry in nodes.json, a file's in files.json, a change in the
journal.

    nodes.json  "7": {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 1.5}
    files.json  "lecture.mp4": [{"node_id": 7, "info_hash": "...", "size": 9, "complete": true}, ...]
    a change    {"joined": 7, "addr": ["127.0.0.1", 4001], "uploads": 0, "rate": 0.0}
                {"changed": 7, "addr": ..., "pair": [reporter, receipts, credit]}
                {"owns": 7, "files": [{"filename": "lecture.mp4", "info_hash": "...", "complete": true}, ...]}
                {"left": 7}

A node's entry has ``secret``, ``receipts``, ``credit``, ``last_receipt`` and ``pairs`` only where they say
something; a version that knew none of them wrote the same files. ``uploads`` counts the receipts, too.
There are hundreds of thousands of entries, so text is put together by hand where nothing in it needs
escaping. What is read is checked as strictly as a request's fields are: MessageError says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from common import fields as read
from common.addresses import Addr
from common.errors import MessageError
from common.messages import MAX_NODE_ID, MAX_SIZE, OwnedFile
from tracker.model import Change, FilesOwned, NodeChanged, NodeJoined, NodeLeft, NodeRecord, Owners, Pair

_OWNER = b'{"node_id": '
_FIRST = b": [" + _OWNER
_USUAL = {"addr", "uploads", "rate", "secret"}  # fields of a node's entry
MAX_RATE = 1e18  # uploads
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.{_BYTE}){{3}}\Z", re.ASCII)  # of one node
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_PLAIN_HASH = re.compile(r"[0-9a-f]{40}\Z")
_PLAIN_NAME = re.compile(r"[ -~]{1,255}\Z")  # printable ASCII: nothing that a name may not have
_encode = json.JSONEncoder(ensure_ascii=False).encode


def node_text(node: NodeRecord) -> str:
    """The entry of a node, without its id."""
    host, port = node.addr
    more = ""
    if node.secret is not None:
        more = f', "secret": "{node.secret}"'
    if node.receipts or node.credit:
        more += f', "receipts": {node.receipts}, "credit": {node.credit}'
    if node.last_receipt:
        more += f', "last_receipt": {node.last_receipt}'
    if node.pairs:
        pairs = ", ".join([f"[{pair.reporter}, {pair.receipts}, {pair.credit}]" for pair in node.pairs])
        more += f', "pairs": [{pairs}]'
    uploads = node.uploads + node.receipts  # as it is shown: those who read the file want no arithmetic
    return f'{{"addr": ["{host}", {port}], "uploads": {uploads}, "rate": {node.score!r}{more}}}'


def owners_text(groups: Iterable[Owners]) -> str:
    """The entry of a file name, without the name."""
    entries: list[str] = []
    for file, node_ids in groups:
        rest = _about(file)
        entries.extend([f'{{"node_id": {node_id}, {rest}}}' for node_id in node_ids])
    return f"[{', '.join(entries)}]"


def name_text(name: str) -> str:
    """A file name, quoted."""
    return _encode(name)


def change_text(change: Change) -> str:
    """A change."""
    if isinstance(change, FilesOwned):
        files = ", ".join(
            [f'{{"filename": {_encode(file.filename)}, {_about(file)}}}' for file in change.files]
        )
        return f'{{"owns": {change.node_id}, "files": [{files}]}}'
    if isinstance(change, NodeLeft):
        return f'{{"left": {change.node_id}}}'
    entry = node_text(change.node)[1:]
    if isinstance(change, NodeJoined):
        return f'{{"joined": {change.node.node_id}, {entry}'
    pair = change.pair
    more = f', "pair": [{pair.reporter}, {pair.receipts}, {pair.credit}]}}' if pair else "}"
    return f'{{"changed": {change.node.node_id}, {entry[:-1]}{more}'


def _about(file: OwnedFile) -> str:
    """What is said of a file beside its name, between braces."""
    info_hash = f'"info_hash": "{file.info_hash}", ' if file.info_hash else ""
    size = f'"size": {file.size}, ' if file.size is not None else ""
    return f'{info_hash}{size}"complete": {"true" if file.complete else "false"}'


def read_node(node_id: int, entry: object) -> NodeRecord:
    """The node that an entry is about."""
    if not isinstance(entry, dict):
        raise MessageError("an object is wanted", "node")
    if entry.keys() <= _USUAL:  # of most: the start of a large tracker waits for this
        addr, uploads = _addr(entry.get("addr")), _count(entry, "uploads")
        return NodeRecord(node_id, addr, uploads, _rate(entry.get("rate", 0)), _secret(entry.get("secret")))
    receipts = _count(entry, "receipts")
    return NodeRecord(
        node_id,
        _addr(entry.get("addr")),
        max(_count(entry, "uploads") - receipts, 0),
        _rate(entry.get("rate", 0)),
        _secret(entry.get("secret")),
        receipts,
        _count(entry, "credit"),
        _count(entry, "last_receipt"),
        _pairs(entry["pairs"]) if "pairs" in entry else (),
    )


def read_node_id(text: str) -> int:
    """A node's id as the name of an entry."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise MessageError("a node id is wanted", "node_id")
    return _node_id(int(text))


def read_owners(name: str, entries: object) -> list[Owners]:
    """The owners of a file name, those who own the same together."""
    if not isinstance(entries, list):
        raise MessageError("a list of owners is wanted", "owners")
    groups: dict[tuple[Any, ...], list[int]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise MessageError("an object is wanted", "owner")
        node_id = _node_id(entry.get("node_id"))
        about = (entry.get("info_hash"), entry.get("size"), entry.get("complete"))
        try:
            groups.setdefault(about, []).append(node_id)
        except TypeError:  # a list or an object, of which nothing is known to be one
            raise MessageError("a text, a number and true or false are wanted", "owner") from None
    return [(_file(name, *about), node_ids) for about, node_ids in groups.items()]


def read_owners_lines(lines: Iterable[bytes]) -> list[Owners]:
    """The owners in lines as ``owners_text`` made them, with their names; as ``read_owners``, but faster.

    Most files are one and the same to all their owners. Then what stands between two node ids is always the
    same, too, and need not be decoded for each: text cannot hold it, for its quotes would be escaped. And
    what is left of all lines is decoded at once. ValueError if one is no such line.
    """
    texts: list[bytes] = []
    listed: list[list[int] | None] = []  # who stands in a line, if it is shortened to the first of them
    for line in lines:
        head, _, rest = line.partition(_FIRST)
        about, _, _ = rest.partition(b", ")[2].partition(b"}")
        node_ids = rest.removesuffix(b", " + about + b"}]").split(b", " + about + b"}, " + _OWNER)
        alike = rest and all(map(bytes.isdigit, node_ids))
        texts.append(head + _FIRST + node_ids[0] + b", " + about + b"}]" if alike else line)
        listed.append(list(map(int, node_ids)) if alike else None)
    owned: list[Owners] = []
    entries = json.loads(b"{%b}" % b",".join(texts))
    for (name, entry), node_ids_of in zip(entries.items(), listed, strict=True):
        if node_ids_of is None:
            owned += read_owners(name, entry)
        else:
            (one,) = entry  # ValueError unless there is just one
            file = _file(name, one.get("info_hash"), one.get("size"), one.get("complete"))
            owned.append((file, node_ids_of))
    return owned


def read_change(entry: object) -> Change:
    """A change of the journal."""
    if not isinstance(entry, dict):
        raise MessageError("an object is wanted", "change")
    if "owns" in entry:
        return FilesOwned(_node_id(entry["owns"]), _files(entry.get("files")))
    if "joined" in entry:
        return NodeJoined(read_node(_node_id(entry["joined"]), entry))
    if "changed" in entry:
        pair = _pair(entry["pair"]) if "pair" in entry else None
        return NodeChanged(read_node(_node_id(entry["changed"]), entry), pair)
    if "left" in entry:
        return NodeLeft(_node_id(entry["left"]))
    raise MessageError("no change of a known kind", "change")


def _files(entries: object) -> tuple[OwnedFile, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise MessageError("a list of files is wanted", "files")
    return tuple(map(OwnedFile.from_json, entries))


def _file(name: str, info_hash: Any, size: Any, complete: Any) -> OwnedFile:
    usual = type(info_hash) is str and type(size) is int and 0 <= size <= MAX_SIZE
    if usual and _PLAIN_NAME.match(name) and _PLAIN_HASH.match(info_hash) and type(complete) is bool:
        return OwnedFile(
            name, info_hash, size, complete
        )  # of most: the start of a large tracker waits for this
    fields = {"filename": name, "info_hash": info_hash, "size": size, "complete": complete}
    return OwnedFile.from_json(fields)


def _node_id(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NODE_ID:
        raise MessageError(f"node_id must be a whole number from 0 to {MAX_NODE_ID}", "node_id")
    return value


def _count(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name, 0)
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise MessageError(f"{name} must be a whole number from 0 to {MAX_SIZE}", name)
    return value


def _rate(value: object) -> float:
    if isinstance(value, float) and 0.0 <= value < MAX_RATE:  # NaN is not
        return value
    if type(value) is int and 0 <= value < MAX_RATE:
        return float(value)
    raise MessageError("rate must be a positive number", "rate")


def _secret(value: object) -> str | None:
    if value is None or (isinstance(value, str) and _HASH.match(value)):
        return value
    raise MessageError("secret must be 64 hexadecimal digits", "secret")


def _addr(value: object) -> Addr:
    if isinstance(value, list) and len(value) == 2:
        host, port = value
        if type(port) is int and 0 < port <= 65535 and isinstance(host, str) and _IPV4.match(host):
            return host, port  # what most are, and just as it is written
    return read.addr({"addr": value})


def _pairs(values: object) -> tuple[Pair, ...]:
    if not isinstance(values, list):
        raise MessageError("pairs must be a list", "pairs")
    return tuple(map(_pair, values))


def _pair(value: object) -> Pair:
    if not isinstance(value, list) or len(value) != 3:
        raise MessageError("a pair is [reporter, receipts, credit]", "pair")
    counts = {"receipts": value[1], "credit": value[2]}
    return Pair(_node_id(value[0]), _count(counts, "receipts"), _count(counts, "credit"))
