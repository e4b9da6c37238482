"""The query of ``GET /announce`` and ``GET /scrape`` (BEP 3, 7, 23, 48). Pure.

info_hash and peer_id are 20 bytes each, any bytes, percent-encoded. So the query is taken apart as bytes: as
text it would not be valid UTF-8. Fields that are not named here are ignored, among them ``ip`` and ``ipv6``:
a client could name another machine there, and have a whole swarm connect to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from common.errors import MessageError
from common.udp_tracker import MAX_SCRAPE, AnnounceEvent

HASH_SIZE = 20  # bytes of an info hash, and of a peer id
KEY_SIZE = 4  # bytes of a client's key, as over UDP
MAX_FIELDS = 200  # of a query
MAX_DIGITS = 20  # of a number; 2**64 has so many
DEFAULT_WANTED, MAX_WANTED = 50, 200  # peers in an answer

_EVENTS = {b"": AnnounceEvent.NONE, b"empty": AnnounceEvent.NONE} | {
    event.name.lower().encode(): event for event in AnnounceEvent if event is not AnnounceEvent.NONE
}


class AnnounceQuery(Struct, frozen=True):
    """An announce over HTTP."""

    info_hash: bytes
    peer_id: bytes
    port: int
    complete: bool  # nothing is left to download
    event: AnnounceEvent = AnnounceEvent.NONE
    wanted: int = DEFAULT_WANTED
    compact: bool = True
    with_ids: bool = True  # a list that is not compact has peer ids
    key: bytes | None = None  # KEY_SIZE bytes; None: the client has none
    swarm_key: str | None = None
    names_ip: bool = False  # it has ``ip``, which is ignored


class ScrapeQuery(Struct, frozen=True):
    """A scrape over HTTP."""

    info_hashes: tuple[bytes, ...]
    swarm_key: str | None = None


def parse_announce(query: str) -> AnnounceQuery:
    """The query string of an announce, one character a byte. MessageError names the wrong field."""
    fields = dict(reversed(list(_fields(query))))  # of a repeated field, the first counts
    event = fields.get(b"event", b"")
    if event not in _EVENTS:
        raise MessageError("event must be started, completed, stopped or left out", "event")
    return AnnounceQuery(
        _hash(fields.get(b"info_hash"), "info_hash"),
        _hash(fields.get(b"peer_id"), "peer_id"),
        _port(fields.get(b"port")),
        _number(fields.get(b"left", b"1"), "left") == 0,
        _EVENTS[event],
        wanted_peers(_signed(fields.get(b"numwant", b"-1"), "numwant")),
        fields.get(b"compact") != b"0",
        fields.get(b"no_peer_id") != b"1",
        _key(fields.get(b"key")),
        _swarm_key(fields),
        bool(fields.get(b"ip")),
    )


def parse_scrape(query: str) -> ScrapeQuery:
    """The query string of a scrape. MessageError names the wrong field."""
    found = list(_fields(query))
    hashes = tuple(_hash(value, "info_hash") for name, value in found if name == b"info_hash")
    if not 1 <= len(hashes) <= MAX_SCRAPE:
        raise MessageError(f"a scrape of 1 to {MAX_SCRAPE} info hashes is wanted", "info_hash")
    return ScrapeQuery(hashes, _swarm_key(dict(found)))


def wanted_peers(number: int) -> int:
    """How many peers an answer lists, for the number that a client asks for; below 0: the default."""
    return DEFAULT_WANTED if number < 0 else min(number, MAX_WANTED)


def swarm_key_of(url: bytes) -> str | None:
    """The swarm key in the path and query of a tracker's URL, as BEP 41 carries it over UDP."""
    query = url.partition(b"?")[2].decode("latin-1")
    try:
        return _swarm_key(dict(_fields(query)))
    except MessageError:
        return None


def derived_key(text: bytes) -> bytes:
    """KEY_SIZE bytes that stand for ``text``."""
    return hashlib.blake2b(text, digest_size=KEY_SIZE).digest()


def _fields(query: str) -> Iterator[tuple[bytes, bytes]]:
    try:
        parts = query.encode("latin-1").split(b"&", MAX_FIELDS)
    except UnicodeEncodeError:
        raise MessageError("the query must be percent-encoded", "query") from None
    if len(parts) > MAX_FIELDS:
        raise MessageError(f"a query of more than {MAX_FIELDS} fields", "query")
    for part in parts:
        name, _, value = part.partition(b"=")
        yield unquote_to_bytes(name), unquote_to_bytes(value)


def _hash(value: bytes | None, field: str) -> bytes:
    if value is None:
        raise MessageError(f"{field} is missing", field)
    if len(value) != HASH_SIZE:
        raise MessageError(f"{field} must be {HASH_SIZE} bytes, percent-encoded", field)
    return value


def _port(value: bytes | None) -> int:
    port = 0 if value is None else _number(value, "port")
    if not 1 <= port <= 65535:
        raise MessageError("port must be from 1 to 65535", "port")
    return port


def _number(value: bytes, field: str) -> int:
    if not (value.isdigit() and len(value) <= MAX_DIGITS):
        raise MessageError(f"{field} must be a whole number", field)
    return int(value)


def _signed(value: bytes, field: str) -> int:
    return -1 if value[:1] == b"-" and value[1:].isdigit() else _number(value, field)


def _key(value: bytes | None) -> bytes | None:
    """A client sends the same key over UDP as a number and over HTTP as its hex digits."""
    if not value:
        return None
    try:
        if len(value) <= 2 * KEY_SIZE and value.isalnum():
            return int(value, 16).to_bytes(KEY_SIZE, "big")
    except ValueError:
        pass
    return derived_key(value)


def _swarm_key(fields: dict[bytes, bytes]) -> str | None:
    value = fields.get(b"swarm_key")
    return None if value is None else value.decode("utf-8", "replace")
