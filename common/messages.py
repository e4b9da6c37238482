"""The classroom tracker's messages: five requests and their answers, as frozen values.

``from_json`` takes a decoded JSON object and returns the message or raises MessageError, which names the
field that is wrong; fields it does not know are ignored. ``to_json`` gives an object that ``from_json``
reads back. The five are the course report's REGISTER, OWN, NEED, UPDATE and EXIT; beyond the report OWN
may carry many files, and UPDATE may credit the owner that delivered instead of its sender.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from common import fields as read
from common.errors import MessageError
from common.fields import Addr

MAX_FILES = 1000  # entries in one OWN; a node with more sends several
MAX_HOST = 255  # characters of a bare host string in NEED


class Mode(enum.IntEnum):
    """What a request to ``/tracker`` asks for."""

    REGISTER = 0
    OWN = 1
    NEED = 2
    UPDATE = 3
    EXIT = 4

    @classmethod
    def from_json(cls, value: object) -> Mode:
        """A mode from its number or its name."""
        if isinstance(value, str) and value.upper() in cls.__members__:
            return cls[value.upper()]
        if type(value) is int and 0 <= value < len(cls):
            return cls(value)
        names = ", ".join(f"{mode.value} {mode.name}" for mode in cls)
        raise MessageError(f"mode must be one of {names}", "mode")


@dataclass(frozen=True)
class Register:
    """A node is in, at first and as a heartbeat."""

    node_id: int
    addr: Addr
    claim: bool = False  # whether the node_id shall belong to a secret from now on

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Register:
        """node_id and addr are needed."""
        return cls(read.node_id(fields), read.addr(fields), read.boolean(fields, "claim", False))

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        claim = {"claim": True} if self.claim else {}
        return {"node_id": self.node_id, "addr": list(self.addr), **claim}


class OwnedFile(NamedTuple):
    """One file that a node serves, wholly (``complete``) or in part.

    A named tuple, because a tracker that starts makes a hundred thousand of them.
    """

    filename: str
    info_hash: str | None = None
    size: int | None = None  # bytes
    complete: bool = True

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> OwnedFile:
        """Only the name is needed."""
        return cls(
            read.filename(fields),
            read.info_hash(fields),
            read.size(fields, "size"),
            read.boolean(fields, "complete", True),
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return _without_none(
            filename=self.filename, info_hash=self.info_hash, size=self.size, complete=self.complete
        )


@dataclass(frozen=True)
class Own:
    """A node serves these: one file as in the report, or up to MAX_FILES in ``files``."""

    node_id: int
    addr: Addr
    files: tuple[OwnedFile, ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Own:
        """``files`` if it is there, else the fields of one file beside node_id and addr."""
        node_id, addr = read.node_id(fields), read.addr(fields)
        if fields.get("files") is None:
            return cls(node_id, addr, (OwnedFile.from_json(fields),))
        return cls(node_id, addr, _files(fields["files"]))

    def to_json(self) -> dict[str, Any]:
        """The report's form for one file, ``files`` for any other number."""
        start = {"node_id": self.node_id, "addr": list(self.addr)}
        if len(self.files) == 1:
            return {**start, **self.files[0].to_json()}
        return {**start, "files": [file.to_json() for file in self.files]}


def _files(entries: object) -> tuple[OwnedFile, ...]:
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_FILES:
        raise MessageError(f"files must be a list of 1 to {MAX_FILES} files", "files")
    files = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise MessageError(f"files[{index}] must be an object", f"files[{index}]")
        try:
            files.append(OwnedFile.from_json(entry))
        except MessageError as error:
            raise MessageError(f"files[{index}]: {error}", f"files[{index}].{error.field}") from None
    return tuple(files)


@dataclass(frozen=True)
class Need:
    """Who has this file? By info hash alone if there is one, else by name; at least one is set."""

    node_id: int
    filename: str | None = None
    info_hash: str | None = None
    addr: Addr | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Need:
        """``addr`` may be a bare host string, which tells nothing and is ignored."""
        node_id, info_hash = read.node_id(fields), read.info_hash(fields)
        filename = None
        if info_hash is None or fields.get("filename") is not None:
            filename = read.filename(fields)
        host = fields.get("addr")
        if isinstance(host, str) and 0 < len(host) <= MAX_HOST:
            return cls(node_id, filename, info_hash)
        return cls(node_id, filename, info_hash, _optional_addr(fields))

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return _without_none(
            node_id=self.node_id,
            filename=self.filename,
            info_hash=self.info_hash,
            addr=list(self.addr) if self.addr else None,
        )


@dataclass(frozen=True)
class Update:
    """One more upload: of ``node_id`` itself as in the report, or of ``owner``, said by who received it."""

    node_id: int
    filename: str
    owner: int | None = None
    info_hash: str | None = None
    bytes: int | None = None  # verified bytes that the owner delivered
    addr: Addr | None = None  # the sender's
    receipt: int | None = None  # the sender's number for this, larger than its last: a repetition counts once

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Update:
        """node_id and filename are needed."""
        return cls(
            read.node_id(fields),
            read.filename(fields),
            None if fields.get("owner") is None else read.node_id(fields, "owner"),
            read.info_hash(fields),
            read.size(fields, "bytes"),
            _optional_addr(fields),
            None if fields.get("receipt") is None else read.integer(fields, "receipt", 1, read.MAX_SIZE),
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return _without_none(
            node_id=self.node_id,
            filename=self.filename,
            owner=self.owner,
            info_hash=self.info_hash,
            bytes=self.bytes,
            addr=list(self.addr) if self.addr else None,
            receipt=self.receipt,
        )


@dataclass(frozen=True)
class Exit:
    """A node is out. With ``addr``, only the node at that address is removed."""

    node_id: int
    addr: Addr | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Exit:
        """Only node_id is needed."""
        return cls(read.node_id(fields), _optional_addr(fields))

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return _without_none(node_id=self.node_id, addr=list(self.addr) if self.addr else None)


@dataclass(frozen=True)
class RegisterAnswer:
    """The answer to REGISTER."""

    interval: float  # seconds until the tracker wants to hear from the node again
    known: bool = True  # False: the tracker had no record of the node, so it must announce its files again
    files: int = 0  # how many files the tracker knows the node to serve
    claimed: bool = False  # whether the node_id belongs to a secret
    secret: str | None = field(default=None, repr=False)  # that one, if it was given or taken just now

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RegisterAnswer:
        """A tracker that says only what the report's says is believed to know the node."""
        interval = fields.get("interval")
        if isinstance(interval, bool) or not isinstance(interval, (int, float)):
            raise MessageError("interval must be a number", "interval")
        if not (math.isfinite(interval) and interval > 0):
            raise MessageError("interval must be a positive number of seconds", "interval")
        files = 0 if fields.get("files") is None else read.integer(fields, "files", 0, read.MAX_SIZE)
        secret = fields.get("secret")
        return cls(
            float(interval),
            read.boolean(fields, "known", True),
            files,
            read.boolean(fields, "claimed", False),
            secret if isinstance(secret, str) else None,
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return _without_none(
            status="Node registered",
            interval=self.interval,
            known=self.known,
            files=self.files,
            claimed=self.claimed,
            secret=self.secret,
        )


class OwnerEntry(NamedTuple):
    """One owner in the answer to NEED: where it is, what it has, how often it has uploaded.

    A named tuple, because an answer has 50 of them, and these are made in a quarter of a dataclass's time.
    """

    node_id: int
    addr: Addr
    uploads: int
    info_hash: str | None = None
    complete: bool = True
    size: int | None = None  # bytes

    @classmethod
    def from_json(cls, pair: object) -> OwnerEntry:
        """From ``[{"node_id": n, "addr": [ip, port], ...}, upload_count]``."""
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], dict):
            raise MessageError("an owner must be [{...}, upload count]", "search_result")
        owner = {**pair[0], "uploads": pair[1]}
        return cls(
            read.node_id(owner),
            read.addr(owner),
            read.integer(owner, "uploads", 0, read.MAX_SIZE),
            read.info_hash(owner),
            read.boolean(owner, "complete", True),
            read.size(owner, "size"),
        )

    def to_json(self) -> list[Any]:
        """The pair that ``from_json`` reads."""
        owner: dict[str, Any] = {"node_id": self.node_id, "addr": list(self.addr)}
        if self.info_hash is not None:
            owner["info_hash"] = self.info_hash
        owner["complete"] = self.complete
        if self.size is not None:
            owner["size"] = self.size
        return [owner, self.uploads]

    def to_text(self) -> str:
        """What json.dumps makes of ``to_json``."""
        node_id, (host, port), uploads, info_hash, complete, size = self
        hashed = "" if info_hash is None else f'"info_hash": {_quoted(info_hash)}, '
        sized = "" if size is None else f', "size": {size}'
        whole = "true" if complete else "false"
        return (
            f'[{{"node_id": {node_id}, "addr": [{_quoted(host)}, {port}], '
            f'{hashed}"complete": {whole}{sized}}}, {uploads}]'
        )


class OwnerList(tuple[OwnerEntry, ...]):
    """Owners, best first, that become text once, however many ask for them."""

    @cached_property
    def text(self) -> str:
        """What json.dumps makes of them, without the brackets."""
        return ", ".join([_text_of(owner) for owner in self])


@dataclass(frozen=True)
class NeedAnswer:
    """The answer to NEED: owners, best first."""

    dest_node_id: int  # who asked
    filename: str | None
    owners: tuple[OwnerEntry, ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> NeedAnswer:
        """Only ``search_result`` must be there."""
        result = fields.get("search_result")
        if not isinstance(result, list):
            raise MessageError("search_result must be a list", "search_result")
        asker = 0 if fields.get("dest_node_id") is None else read.node_id(fields, "dest_node_id")
        name = fields.get("filename")
        owners = tuple(OwnerEntry.from_json(pair) for pair in result)
        return cls(asker, name if isinstance(name, str) else None, owners)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        result = [owner.to_json() for owner in self.owners]
        return {"dest_node_id": self.dest_node_id, "filename": self.filename, "search_result": result}

    def to_text(self) -> str:
        """What json.dumps makes of ``to_json``, in a tenth of the time: NEED is asked often, and its answer
        is the longest.
        """
        owners = self.owners if isinstance(self.owners, OwnerList) else OwnerList(self.owners)
        start = f'"dest_node_id": {self.dest_node_id}, "filename": {json.dumps(self.filename)}'
        return f'{{{start}, "search_result": [{owners.text}]}}'


_quoted = lru_cache(4096)(json.dumps)  # the same hosts and info hashes again and again
_text_of = lru_cache(8192)(OwnerEntry.to_text)  # and the best owners, too; at most 4 MB


def _optional_addr(fields: Mapping[str, Any]) -> Addr | None:
    return None if fields.get("addr") is None else read.addr(fields)


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
