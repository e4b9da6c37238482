"""The shape of a swarm's state: of ``SwarmState.as_json()`` and of a keyframe's data. Pure.

The comments stand for the field's meaning. Times are ms of the log, like those of events.
"""

from __future__ import annotations

from common.shapes import Shape

MAX_NODES = 1000  # of a log at a time
MAX_TORRENTS = 100  # of a log at a time
MAX_LINKS = 20_000  # ordered pairs of peers
MAX_PIECES = 1 << 20  # of one torrent: more are not drawn
MAX_CELLS = 1 << 21  # pieces of all torrents of all nodes: further rows have no letters
MAX_ASKED = 10_000  # pieces that one node asks for at a time
MAX_LIST = 1000  # entries of a list, as in an event

TORRENT_STATES = ("checking", "searching", "downloading", "seeding", "paused", "failed", "stopped")
PEER_STATES = ("active", "queued", "choked", "idle", "unused", "lost", "suspect", "banned")
ANSWER: Shape = ["list", ["record", {"peer": "peer", "uploads": "count", "reason": "text"}], MAX_LIST]


def _or_null(shape: Shape) -> Shape:
    return ["null", shape]


_PEERS: Shape = ["list", "peer", MAX_LIST]
_ADDRESS = _or_null("address")
_COUNT = _or_null("count")
_GAP = _or_null(["record", {"time": "ms", "events": "count", "span_ms": "ms"}])

TORRENT: Shape = [
    "record",
    {"info_hash": "info_hash", "name": "text", "size": _COUNT, "piece_length": _COUNT, "pieces": _COUNT},
]
# One torrent at one node.
ROW: Shape = [
    "record",
    {
        "state": _or_null(["one", *TORRENT_STATES]),  # null: the node does not report it
        "reason": "text",  # of the state
        "complete": _or_null("flag"),  # as the tracker knows it (OWN); null: not announced
        "pieces": "letters",  # one for each piece; "" while their number is not known
        "asked": ["map", "whole", _PEERS, MAX_ASKED],  # requested piece: the peers asked for it
        "queue": _PEERS,  # for the node's slots, in order
        "served": _PEERS,  # the holders of its slots
        "slots": _COUNT,
        "answer": ANSWER,  # the tracker's last answer to NEED
        "down": "count",  # bytes, the node's own totals
        "up": "count",
        "moved": _or_null(["record", {"time": "ms", "span_ms": "ms"}]),  # its last link:bytes
    },
]
NODE: Shape = [
    "record",
    {
        "state": ["one", "here", "silent", "left"],
        "since": "ms",  # of that state
        "reports": "flag",  # an event of its own was seen
        "silent_ms": "ms",  # 0 unless silent
        "removed": "flag",  # by the tracker, for its silence
        "addr": _ADDRESS,
        "tcp_addr": _ADDRESS,
        "up_limit": _COUNT,  # bytes a second
        "down_limit": _COUNT,
        "slots": _COUNT,
        "transports": ["list", "text", 8],
        "program": "text",
        "faults": "text",
        "uploads": _COUNT,  # that the tracker counted
        "clock": _or_null(["record", {"offset_ms": "number", "bound_ms": "ms"}]),
        "gap": _GAP,  # the last one
        "dumped": _or_null(["record", {"time": "ms", "reason": "text", "dump": "count", "total": "count"}]),
        "torrents": ["map", "torrent", ROW, MAX_TORRENTS],
    },
]
_MOVED = _or_null(["record", {"time": "ms", "bytes": "count", "span_ms": "ms"}])
# One torrent on the link FROM>TO: bytes go from FROM to TO. TO is the fetcher, FROM the uploader.
LINK: Shape = [
    "record",
    {
        # as TO reports
        "received": "count",  # bytes, in all
        "in": _MOVED,  # the last link:bytes of TO that names the link
        "state": _or_null(["one", *PEER_STATES]),  # TO's view of FROM
        "place": "count",
        "reason": "text",
        "transport": "text",
        "complete": _or_null("flag"),
        "held": _COUNT,
        "window": _COUNT,  # bytes
        "rtt_ms": _or_null("ms"),
        "outstanding": "count",  # bytes
        "reduced": _or_null(["record", {"time": "ms", "reason": "text"}]),
        "lost": "count",  # datagrams
        "repaired": "count",
        # as FROM reports
        "sent": "count",
        "out": _MOVED,
        "slot": _or_null(["one", "granted", "withdrawn"]),
        "slot_reason": "text",
    },
]
SWARM: Shape = [
    "record",
    {
        "time": "ms",  # the highest so far
        "tracker": _or_null(["record", {"epoch": "text", "addr": _ADDRESS, "time": "ms"}]),
        "gap": _GAP,  # the last one of the log itself
        "torrents": ["map", "torrent", TORRENT, MAX_TORRENTS],
        "nodes": ["map", "whole", NODE, MAX_NODES],
        "links": ["map", "link", ["map", "torrent", LINK, MAX_TORRENTS], MAX_LINKS],
    },
]
