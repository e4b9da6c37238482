"""An announce of the standard protocols, and its answer. Pure.

An announce says to a tracker that this peer takes part in the swarm of a torrent, and asks for other peers
(BEP 3). The answer of an HTTP tracker is parsed here; ``common.udp_tracker`` parses UDP packets.

The parser is generous where trackers differ and clients agree: keys out of order, missing numbers, peers as
compact bytes or as dictionaries, entries that cannot be used. An answer that is no bencoded dictionary, or
has another type in the place of its peers, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from common.addresses import Addr, unicast_host
from common.bencode import Value, decode_with_spans
from common.compact_peers import MAX_ENTRIES, decode_peers
from common.errors import BencodeError, TrackerPacketError
from common.text import sanitize
from common.udp_tracker import AnnounceEvent
from node.discovery.base import TransferTotals

DEFAULT_INTERVAL = 1800.0  # seconds between announces if the tracker asks for none
MIN_INTERVAL, MAX_INTERVAL = 1.0, 86_400.0  # seconds between announces that a tracker may ask for
ASK_INTERVAL = 30.0  # min seconds between two announces if the tracker gives no minimum
NUM_WANT = 100  # peers that an announce asks for
MAX_TRACKER_ID = 512  # bytes of a tracker id that are sent back
MAX_TEXT = 200  # characters of a tracker's message that are shown


@dataclass(frozen=True)
class AnnounceParams:
    """One announce, whatever protocol carries it."""

    info_hash: bytes
    peer_id: bytes
    port: int  # where this peer listens on TCP
    totals: TransferTotals
    event: AnnounceEvent
    key: int  # 32 bits, the same in every announce of this node
    num_want: int = NUM_WANT
    ip: str = ""  # a numeric address to be listed at; "": the sender's
    tracker_id: bytes = b""  # as the tracker's last answer said


@dataclass(frozen=True)
class AnnounceResult:
    """A tracker's answer to an announce. Times in seconds."""

    peers: tuple[Addr, ...]  # numeric addresses, each once; this peer may be among them
    interval: float  # until the next regular announce
    min_interval: float  # until an announce that only asks for more peers
    seeders: int | None = None
    leechers: int | None = None
    warning: str = ""
    tracker_id: bytes = b""


@dataclass(frozen=True)
class AnnounceFailure:
    """Why a tracker refuses, in its own words."""

    reason: str
    retry_in: float | None = None  # seconds (BEP 31); infinite: never; None: it does not say


def announce_query(params: AnnounceParams) -> str:
    """The query of an announce over HTTP (BEP 3, BEP 23), without a question mark."""
    fields = {
        "info_hash": quote_from_bytes(params.info_hash, safe=""),
        "peer_id": quote_from_bytes(params.peer_id, safe=""),
        "port": params.port,
        "uploaded": params.totals.uploaded,
        "downloaded": params.totals.downloaded,
        "left": params.totals.left,
        "numwant": params.num_want,
        "key": f"{params.key:08X}",
        "compact": 1,
        "no_peer_id": 1,
    }
    if params.event is not AnnounceEvent.NONE:
        fields["event"] = params.event.name.lower()
    if params.ip:
        fields["ip"] = quote_from_bytes(params.ip.encode(), safe=":")
    if params.tracker_id:
        fields["trackerid"] = quote_from_bytes(params.tracker_id, safe="")
    return "&".join(f"{name}={value}" for name, value in fields.items())


def parse_announce_answer(body: bytes, own_peer_id: bytes = b"") -> AnnounceResult | AnnounceFailure:
    """The answer in the body of an HTTP response. TrackerPacketError if it is none.

    ``own_peer_id``: an entry with this peer id is left out.
    """
    try:
        fields = decode_with_spans(body).values
    except BencodeError as error:
        raise TrackerPacketError(f"the answer is not bencoded: {error}") from None
    if b"failure reason" in fields:
        return AnnounceFailure(shown(fields[b"failure reason"]), _retry_in(fields.get(b"retry in")))
    listed = [
        *_peers(fields.get(b"peers", b""), 4, own_peer_id),
        *_peers(fields.get(b"peers6", b""), 6, own_peer_id),
    ]
    tracker_id = fields.get(b"tracker id")
    return announce_result(
        listed[:MAX_ENTRIES],
        fields.get(b"interval"),
        fields.get(b"min interval"),
        _count(fields.get(b"complete")),
        _count(fields.get(b"incomplete")),
        shown(fields.get(b"warning message", b"")),
        tracker_id if isinstance(tracker_id, bytes) and len(tracker_id) <= MAX_TRACKER_ID else b"",
    )


def announce_result(
    peers: Iterable[Addr],
    interval: object,
    min_interval: object = None,
    seeders: int | None = None,
    leechers: int | None = None,
    warning: str = "",
    tracker_id: bytes = b"",
) -> AnnounceResult:
    """A result with its times in bounds. An interval that is no positive number counts as missing."""
    seconds = _seconds(interval) or DEFAULT_INTERVAL
    minimum = _seconds(min_interval) or min(seconds, ASK_INTERVAL)
    return AnnounceResult(
        tuple(dict.fromkeys(peers)), max(seconds, minimum), minimum, seeders, leechers, warning, tracker_id
    )


def merged(results: Iterable[AnnounceResult]) -> AnnounceResult:
    """One result of the answers that a tracker gave over IPv4 and over IPv6."""
    first, *others = results
    return AnnounceResult(
        tuple(dict.fromkeys(addr for result in (first, *others) for addr in result.peers)),
        first.interval,
        max(result.min_interval for result in (first, *others)),
        first.seeders,
        first.leechers,
        first.warning,
        first.tracker_id,
    )


def shown(value: object) -> str:
    """A tracker's text in one safe line."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else f"({type(value).__name__})"
    return sanitize(text)[:MAX_TEXT]


def _peers(value: Value, version: int, own_peer_id: bytes) -> Iterator[Addr]:
    if isinstance(value, bytes):
        yield from decode_peers(value, version)
    elif isinstance(value, list):
        for entry in value[:MAX_ENTRIES]:
            if isinstance(entry, dict) and (addr := _peer(entry, own_peer_id)):
                yield addr
    else:
        raise TrackerPacketError(f"the answer's peers are neither bytes nor a list: {type(value).__name__}")


def _peer(entry: dict[bytes, Value], own_peer_id: bytes) -> Addr | None:
    """The address in a dictionary of BEP 3; None if it cannot be used. Names are not looked up."""
    host, port = entry.get(b"ip"), entry.get(b"port")
    if not (isinstance(host, bytes) and isinstance(port, int) and 0 < port < 65536):
        return None
    if own_peer_id and entry.get(b"peer id") == own_peer_id:
        return None
    try:
        return unicast_host(host.decode("ascii")), port
    except ValueError:
        return None


def _seconds(value: object) -> float | None:
    if not isinstance(value, int) or value <= 0:
        return None
    return min(max(float(value), MIN_INTERVAL), MAX_INTERVAL)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _retry_in(value: object) -> float | None:
    """BEP 31: minutes, or "never"."""
    if value == b"never":
        return math.inf
    if isinstance(value, bytes) and value.isdigit():
        value = int(value[:6])
    return value * 60.0 if isinstance(value, int) and 0 < value <= MAX_INTERVAL / 60 else None
