"""The classroom tracker's messages: five requests and their answers, as frozen structs.

The five are the course report's REGISTER, OWN, NEED, UPDATE and EXIT. Beyond the report, OWN may carry many
files, and UPDATE may credit the owner that delivered instead of its sender.

Each limit is written once, in the types of ``common.validation``. ``from_json`` checks a decoded JSON object
against them and returns the message, or raises MessageError, which names the field. The same types give the
JSON Schemas of ``tracker.web.openapi``. Three rules hold for every message:

* fields that the message does not know are ignored;
* a field that is null counts as absent;
* numbers, booleans and strings are never converted into each other, and 1.0 is not a whole number.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from common.addresses import Addr
from common.errors import MessageError
from common.validation import (
    Address,
    Count,
    Filename,
    Flag,
    InfoHash,
    NodeId,
    PeerId,
    ReceiptNumber,
    Seconds,
    Size,
    TcpPort,
    TransportNames,
    canonical_addr,
    check_name_bytes,
    checked,
    present,
)

MAX_FILES = 1000  # entries in one OWN; a node with more sends several
UDP, TCP = "udp", "tcp"  # transports: the classroom's, and BitTorrent's peer wire
MAX_BARE_HOST = 255  # characters of a bare host string in NEED

T = TypeVar("T", bound=Struct)


class Mode(enum.IntEnum):
    """The kind of a request to ``/tracker``."""

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


class Message(Struct, frozen=True):
    """A message without fields."""

    def to_json(self) -> dict[str, Any]:
        """A dictionary for json.dumps, without the fields that are None."""
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


class Register(Struct, frozen=True):
    """A node comes in, or is still there (its heartbeat)."""

    node_id: NodeId
    addr: Address
    claim: Flag = False  # make the node_id belong to a secret
    tcp_port: TcpPort | None = None  # where standard peers reach the node; None: it has no such listener

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Register:
        """node_id and addr are required."""
        return _with_canonical_addr(checked(cls, fields))

    def to_json(self) -> dict[str, Any]:
        claim = {"claim": True} if self.claim else {}
        return {"node_id": self.node_id, "addr": list(self.addr), **claim, **_tcp_port(self.tcp_port)}


class OwnedFile(Message, frozen=True, order=True, gc=False):
    """One file that a node serves, wholly (``complete``) or in part."""

    filename: Filename
    info_hash: InfoHash | None = None
    size: Size | None = None  # bytes
    complete: Flag = True

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> OwnedFile:
        """Only the name is required."""
        return _canonical_file(checked(cls, fields))


class OwnOneFile(OwnedFile, frozen=True, kw_only=True):
    """A node serves one file: the course report's form of OWN."""

    node_id: NodeId
    addr: Address
    tcp_port: TcpPort | None = None
    withdraw: Flag = False
    files: None = None  # else the message is an Own, and the fields of the one file are ignored


class Own(Struct, frozen=True):
    """A node serves up to 1,000 files. The tracker takes all of them, or none."""

    node_id: NodeId
    addr: Address
    files: Annotated[
        tuple[OwnedFile, ...],
        Meta(min_length=1, max_length=MAX_FILES, description=f"a list of 1 to {MAX_FILES} files"),
    ]
    tcp_port: TcpPort | None = None  # as in REGISTER
    withdraw: Flag = False  # the node serves these files no longer

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Own:
        """``files`` if it is there, else the fields of one file next to node_id and addr."""
        if fields.get("files") is None:
            one = _with_canonical_addr(checked(OwnOneFile, fields))
            file = OwnedFile(one.filename, one.info_hash, one.size, one.complete)
            return cls(one.node_id, one.addr, (_canonical_file(file),), one.tcp_port, one.withdraw)
        own = _with_canonical_addr(checked(cls, {**fields, "files": _present_in_all(fields["files"])}))
        files = tuple(_canonical_file(file, f"files[{i}].") for i, file in enumerate(own.files))
        return cls(own.node_id, own.addr, files, own.tcp_port, own.withdraw)

    def to_json(self) -> dict[str, Any]:
        """The report's form for one file, ``files`` for any other number."""
        start = {"node_id": self.node_id, "addr": list(self.addr), **_tcp_port(self.tcp_port)}
        if self.withdraw:
            start["withdraw"] = True
        if len(self.files) == 1:
            return {**start, **self.files[0].to_json()}
        return {**start, "files": [file.to_json() for file in self.files]}


class Need(Message, frozen=True):
    """Which nodes own this file? By info hash alone if there is one, else by name; at least one is set."""

    node_id: NodeId
    filename: Filename | None = None
    info_hash: InfoHash | None = None
    addr: Address | None = None
    transports: TransportNames = (UDP,)  # with TCP among them, the answer lists standard peers, too

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Need:
        """``addr`` may be a bare host string as in the report; it is ignored."""
        host = fields.get("addr")
        if isinstance(host, str) and 0 < len(host) <= MAX_BARE_HOST:
            fields = {**fields, "addr": None}
        need = _with_canonical_addr(checked(cls, fields))
        if need.filename is None and need.info_hash is None:
            raise MessageError("filename is missing", "filename")
        if need.filename is not None:
            check_name_bytes(need.filename)
        return need if need.info_hash is None else _replace(need, info_hash=need.info_hash.lower())

    def to_json(self) -> dict[str, Any]:
        """Without ``transports`` if it is the default: the report's tracker does not know it."""
        fields = super().to_json()
        if self.transports == (UDP,):
            del fields["transports"]
        else:
            fields["transports"] = list(self.transports)
        return fields


class Update(Message, frozen=True):
    """One more upload: of ``node_id`` itself as in the report, or of ``owner``, confirmed by its receiver."""

    node_id: NodeId
    filename: Filename
    owner: NodeId | None = None
    info_hash: InfoHash | None = None
    bytes: Size | None = None  # verified bytes that the owner delivered
    addr: Address | None = None  # the sender's
    receipt: ReceiptNumber | None = None  # larger than the sender's last: a repetition counts once

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Update:
        """node_id and filename are required."""
        update = _with_canonical_addr(checked(cls, fields))
        check_name_bytes(update.filename)
        return update if update.info_hash is None else _replace(update, info_hash=update.info_hash.lower())


class Exit(Message, frozen=True):
    """A node leaves. With ``addr``, only the node at that address is removed."""

    node_id: NodeId
    addr: Address | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Exit:
        """Only node_id is required."""
        return _with_canonical_addr(checked(cls, fields))


class RegisterAnswer(Message, frozen=True):
    """The answer to REGISTER. The report's tracker has only ``status``: it is believed to know the node."""

    interval: Seconds  # until the node's next REGISTER
    known: Flag = True  # False: the tracker had no record of the node; it must announce its files again
    files: Count = 0  # how many files the tracker knows the node to serve
    claimed: Flag = False  # the node_id belongs to a secret
    secret: str | None = None  # that secret, if it was given or taken with this REGISTER
    status: str = "Node registered"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RegisterAnswer:
        """Only ``interval`` is required."""
        return checked(cls, fields)

    def __repr__(self) -> str:
        """Without the secret."""
        return f"RegisterAnswer({self.interval}, {self.known}, {self.files}, {self.claimed})"


class FoundOwner(Struct, frozen=True, gc=False):
    """An owner or a standard peer as NEED's answer spells it, next to its count of uploads."""

    node_id: NodeId | None  # None: a standard peer
    addr: Address
    info_hash: InfoHash | None = None
    complete: Flag = True
    size: Size | None = None  # bytes
    tcp_port: TcpPort | None = None
    transport: str = UDP  # of ``addr``
    peer_id: PeerId | None = None  # of a standard peer


class OwnerEntry(Struct, frozen=True, order=True, gc=False):
    """One owner in the answer to NEED: its address, its part of the file, its count of uploads."""

    node_id: int
    addr: Addr
    uploads: int
    info_hash: str | None = None
    complete: bool = True
    size: int | None = None  # bytes
    tcp_port: int | None = None  # where standard peers reach it

    def to_json(self) -> list[Any]:
        """``[{"node_id": n, "addr": [ip, port], ...}, upload_count]``."""
        owner: dict[str, Any] = {"node_id": self.node_id, "addr": list(self.addr)}
        if self.info_hash is not None:
            owner["info_hash"] = self.info_hash
        owner["complete"] = self.complete
        if self.size is not None:
            owner["size"] = self.size
        return [{**owner, **_tcp_port(self.tcp_port)}, self.uploads]


class PeerEntry(Struct, frozen=True, order=True, gc=False):
    """A standard peer in the answer to NEED. It has no node_id, and its address is a TCP address."""

    addr: Addr
    complete: bool
    peer_id: str  # hex

    def to_json(self) -> list[Any]:
        """In the form of an owner, so that one list has both."""
        about = {"transport": TCP, "complete": self.complete, "peer_id": self.peer_id}
        return [{"node_id": None, "addr": list(self.addr), **about}, 0]


class OwnerList(tuple[OwnerEntry, ...]):
    """Owners, best first, whose JSON is made once: many nodes ask for the same file."""

    @cached_property
    def json(self) -> msgspec.Raw:
        """The ``search_result`` of a NEED answer."""
        return msgspec.Raw(msgspec.json.encode([owner.to_json() for owner in self]))


class NeedResult(Struct, frozen=True):
    """The answer to NEED as it is spelled in JSON."""

    search_result: list[tuple[FoundOwner, Count]]  # best first
    dest_node_id: NodeId = 0  # the node that asked
    filename: str | None = None


class NeedAnswer(Struct, frozen=True):
    """The answer to NEED: owners, best first, and standard peers."""

    dest_node_id: int  # the node that asked
    filename: str | None
    owners: tuple[OwnerEntry, ...]
    peers: tuple[PeerEntry, ...] = ()  # only for a node that speaks TCP

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> NeedAnswer:
        """Only ``search_result`` is required."""
        result = fields.get("search_result")
        if isinstance(result, list):
            fields = {**fields, "search_result": list(map(_present_in_pair, result))}
        read = checked(NeedResult, fields)
        owners = [_entry(pair) for pair in read.search_result if pair[0].node_id is not None]
        peers = [_peer_entry(owner) for owner, _ in read.search_result if owner.node_id is None]
        return cls(read.dest_node_id, read.filename, tuple(owners), tuple(filter(None, peers)))

    def to_json(self) -> dict[str, Any]:
        result = [owner.to_json() for owner in self.owners] + [peer.to_json() for peer in self.peers]
        return {"dest_node_id": self.dest_node_id, "filename": self.filename, "search_result": result}

    def encode(self) -> bytes:
        """The JSON of ``to_json``."""
        if self.peers:
            return msgspec.json.encode(self.to_json())
        owners = self.owners if isinstance(self.owners, OwnerList) else OwnerList(self.owners)
        fields = {"dest_node_id": self.dest_node_id, "filename": self.filename, "search_result": owners.json}
        return msgspec.json.encode(fields)


# ---- null fields and canonical spellings


def _present_in_all(entries: Any) -> Any:
    if not isinstance(entries, list):
        return entries
    return [present(entry) if isinstance(entry, dict) else entry for entry in entries]


def _present_in_pair(pair: Any) -> Any:
    """Without the null fields of the owner, except node_id: there null means a standard peer."""
    if not isinstance(pair, list):
        return pair
    null_id = {"node_id": None}
    return [
        {**present(entry), **(null_id if entry.get("node_id", 0) is None else {})}
        if isinstance(entry, dict)
        else entry
        for entry in pair
    ]


def _tcp_port(port: int | None) -> dict[str, Any]:
    return {} if port is None else {"tcp_port": port}


_Placed = TypeVar("_Placed", Register, OwnOneFile, Own, Need, Update, Exit)


def _with_canonical_addr(message: _Placed) -> _Placed:
    if message.addr is None:
        return message
    addr = canonical_addr(message.addr)
    return message if addr == message.addr else _replace(message, addr=addr)


def _canonical_file(file: OwnedFile, place: str = "") -> OwnedFile:
    check_name_bytes(file.filename, f"{place}filename")
    if file.info_hash is None or file.info_hash == (lower := file.info_hash.lower()):
        return file
    return _replace(file, info_hash=lower)


def _entry(pair: tuple[FoundOwner, int]) -> OwnerEntry:
    owner, uploads = pair
    assert owner.node_id is not None
    info_hash = None if owner.info_hash is None else owner.info_hash.lower()
    addr = canonical_addr(owner.addr)
    return OwnerEntry(owner.node_id, addr, uploads, info_hash, owner.complete, owner.size, owner.tcp_port)


def _peer_entry(owner: FoundOwner) -> PeerEntry | None:
    """None for a transport that is not known here, and for a peer without an id."""
    if owner.transport != TCP or owner.peer_id is None:
        return None
    return PeerEntry(canonical_addr(owner.addr), owner.complete, owner.peer_id)


def _replace(message: T, **changes: Any) -> T:
    return msgspec.structs.replace(message, **changes)
