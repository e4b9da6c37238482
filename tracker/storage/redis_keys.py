"""How records look in Redis. docs/operating.md describes the storage.

All keys begin with the same {tag}, so a cluster keeps them on one server:

    deadlines   sorted set: node id -> deadline (seconds since 1970)
    meta        hash: format, salt, ranking, half_life, claimed, owned, grace_until, expired_at
    filenames   sorted set: file name -> ownerships
    swarms      sorted set: file key -> owners
    homes       sorted set: client address -> nodes that it brought in
    node:ID     hash: the fields of a ``NodeRecord``
    has:ID      hash: file key -> "w" (whole) or "p" (a part), size, ":", name
    pairs:ID    hash: reporter -> "receipts credit"
    (standard peers: see ``tracker.storage.redis_peers``)
    w:file:KEY  p:file:KEY  w:name:NAME  p:name:NAME
                sorted sets: owner -> rank. An owner is "tie:id", or "tie:id:hash" where it is listed by name
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.addresses import Addr
from common.messages import OwnedFile
from tracker.model import NodeRecord, file_key
from tracker.ranking import tie_break
from tracker.storage.redis_client import Command

NODE_FIELDS = NodeRecord._fields[1:]  # as they are asked for, in this order
_INTEGERS = ("uploads", "receipts", "credit", "last_receipt", "reporters")


class RedisKeys:
    """The names of the keys, and their content as text."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self.salt = 0  # for the order of owners with equal rank; the trackers' common one
        self.deadlines, self.meta = self.of("deadlines"), self.of("meta")
        self.filenames, self.swarms, self.homes = self.of("filenames"), self.of("swarms"), self.of("homes")

    def of(self, *parts: str | int) -> str:
        """The key of this name."""
        return ":".join((self._tag, *map(str, parts)))

    def node(self, node_id: int) -> str:
        """A node's record."""
        return self.of("node", node_id)

    def has(self, node_id: int) -> str:
        """A node's files."""
        return self.of("has", node_id)

    def pairs(self, node_id: int) -> str:
        """A node's totals."""
        return self.of("pairs", node_id)

    def places(self, node_id: int, file: OwnedFile) -> tuple[tuple[str, str], tuple[str, str]]:
        """The two sorted sets that list an owner, each with its member: by file key, and by name."""
        side = "w" if file.complete else "p"
        member = f"{tie_break(node_id, self.salt):05x}:{node_id}"
        key = file_key(file.filename, file.info_hash)
        return (
            (self.of(side, "file", key), member),
            (self.of(side, "name", file.filename), f"{member}:{file.info_hash or ''}"),
        )

    # ---- commands

    def own(self, node_id: int, rank: float, file: OwnedFile, before: OwnedFile | None) -> list[Command]:
        """List a node as an owner of a file; ``before``: how it is listed now."""
        key = file_key(file.filename, file.info_hash)
        commands: list[Command] = (
            self._unlist(node_id, before) if before else [("ZINCRBY", self.swarms, 1, key)]
        )
        commands += [("ZADD", name, repr(rank), member) for name, member in self.places(node_id, file)]
        commands.append(("ZINCRBY", self.filenames, 1, file.filename))
        commands.append(("HSET", self.has(node_id), key, about(file)))
        return commands

    def disown(self, node_id: int, file: OwnedFile) -> list[Command]:
        """List a node as an owner no longer."""
        key = file_key(file.filename, file.info_hash)
        return [
            *self._unlist(node_id, file),
            ("ZINCRBY", self.swarms, -1, key),
            ("HDEL", self.has(node_id), key),
        ]

    def rerank(self, node_id: int, rank: float, files: Sequence[OwnedFile]) -> list[Command]:
        """Give a node a new rank wherever it is listed."""
        return [
            ("ZADD", name, "XX", repr(rank), member)
            for file in files
            for name, member in self.places(node_id, file)
        ]

    def drop_zeros(self) -> list[Command]:
        """Remove file names, swarms and addresses that no node has any more."""
        return [("ZREMRANGEBYSCORE", name, "-inf", 0) for name in (self.filenames, self.swarms, self.homes)]

    def put(self, node: NodeRecord) -> Command:
        """Write a node's record."""
        fields = {name: value for name, value in node._asdict().items() if value is not None}
        del fields["node_id"]
        fields["addr"] = f"{node.addr[0]} {node.addr[1]}"
        return (
            "HSET",
            self.node(node.node_id),
            *(text for item in fields.items() for text in map(_text, item)),
        )

    def _unlist(self, node_id: int, file: OwnedFile) -> list[Command]:
        return [
            *(("ZREM", name, member) for name, member in self.places(node_id, file)),
            ("ZINCRBY", self.filenames, -1, file.filename),
        ]


def about(file: OwnedFile) -> str:
    """A node's description of a file, without the file key."""
    return f"{'w' if file.complete else 'p'}{'' if file.size is None else file.size}:{file.filename}"


def owned_file(key: str, text: str) -> OwnedFile:
    """The file of a key and its text from ``about``."""
    head, _, filename = text.partition(":")
    size = int(head[1:]) if head[1:] else None
    return OwnedFile(filename, None if key.startswith(":") else key, size, head[0] == "w")


def addr(text: str) -> Addr:
    """An address, from "host port"."""
    host, port = text.rsplit(" ", 1)
    return host, int(port)


def node_record(node_id: int, values: Sequence[str | None]) -> NodeRecord | None:
    """A node from the values of NODE_FIELDS; None if it is not in."""
    known: Mapping[str, str] = {
        name: value for name, value in zip(NODE_FIELDS, values, strict=True) if value is not None
    }
    if "addr" not in known:
        return None
    counts = {name: int(known[name]) for name in _INTEGERS if name in known}
    score, scored_at = float(known.get("score", 0)), float(known.get("scored_at", 0))
    port = known.get("tcp_port")
    return NodeRecord(
        node_id, addr(known["addr"]), known.get("secret"), known.get("home"),
        score=score, scored_at=scored_at, tcp_port=int(port) if port else None, **counts,
    )  # fmt: skip


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)
