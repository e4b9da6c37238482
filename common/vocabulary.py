"""The names of the swarm's log, as data: fields, types, units, and when each is written. Pure.

``common.events`` explains the log and its units; ``docs/events.md`` is made from these definitions.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.shapes import Shape
from common.swarm_shape import ANSWER, PEER_STATES, SWARM, TORRENT_STATES

MAX_PEERS = 1000  # in one list of an event
MAX_RANGES = 4000  # in one piece:held
MAX_MESSAGES = 400  # in one messages:dumped
KEYFRAME = "keyframe"

NODE, TRACKER, LOG = "node", "tracker", "log"  # writers of an event; NODE: its ``node`` is not null
ANY = "node or tracker"


@dataclass(frozen=True)
class EventField:
    """A field of an event's ``data``."""

    name: str
    shape: Shape
    meaning: str
    unit: str = ""
    optional: bool = False  # it may be absent


@dataclass(frozen=True)
class EventKind:
    """The definition of one name."""

    name: str
    writer: str  # NODE, TRACKER, LOG or ANY
    when: str  # it is written
    fields: tuple[EventField, ...]

    @property
    def shape(self) -> Shape:
        """The shape of ``data``."""
        return ["record", {each.name + "?" * each.optional: each.shape for each in self.fields}]


def _kind(name: str, writer: str, when: str, *fields: EventField) -> EventKind:
    return EventKind(name, writer, when, fields)


def _peers(most: int = MAX_PEERS) -> Shape:
    return ["list", "peer", most]


_TORRENT = EventField("torrent", "torrent", "the torrent")
_NODE = EventField("node", "node", "the node that it is about")
_PEER = EventField("peer", "peer", "the peer at the other end")
_PIECE = EventField("piece", "count", "index of the piece, from 0")
_PER_PEER: Shape = ["list", ["tuple", "peer", "count"], MAX_PEERS]
_OTHERS = EventField("others", "count", "more of them since the last event of this name, not written")
_SOURCES = EventField("peers", _peers(), "the peers that delivered bytes of it")
_ADDRESS: Shape = ["null", "address"]
_MESSAGE: Shape = [
    "record",
    {
        "ago_ms": "ms",  # before the time of the event
        "direction": ["one", "in", "out", "here"],  # here: no message, but something that the node did
        "peer": ["null", "peer"],
        "message": "text",  # in capitals over UDP, in small letters over the peer wire
        "fields": ["map", "name", "scalar", 40],
        "lost?": "flag",  # it never came: derived from the request that repeats it
        "again?": "count",  # sequence number of the request that this one repeats
    },
]
_KEYFRAME_MEANINGS = {
    "time": "the highest time so far",
    "tracker": "the last tracker:started; null: none",
    "gap": "the last gap of the log itself; null: none",
    "torrents": "each torrent: its name and geometry",
    "nodes": "each node: its state, and a letter a piece for each of its torrents",
    "links": "each link FROM>TO and torrent: bytes as both ends count them, and how each end sees the other",
}
KEYFRAME_FIELDS = tuple(EventField(name, shape, _KEYFRAME_MEANINGS[name]) for name, shape in SWARM[1].items())

VOCABULARY = (
    _kind(
        "node:started",
        NODE,
        "the node listens; its first event. Everything that it reported in an earlier run is over",
        EventField("addr", _ADDRESS, "of its UDP socket; null: hidden"),
        EventField("tcp_addr", _ADDRESS, "where it listens for standard peers; null: nowhere, or hidden"),
        EventField("up_limit", ["null", "count"], "upload limit; null: none", "bytes/s"),
        EventField("down_limit", ["null", "count"], "download limit; null: none", "bytes/s"),
        EventField("slots", ["null", "count"], "fetchers that it serves at a time; null: all"),
        EventField("transports", ["list", "text", 8], "that it speaks, the preferred one first"),
        EventField("program", "text", "name and version"),
    ),
    _kind("node:left", NODE, "the node stops; its last event"),
    _kind(
        "node:silent",
        TRACKER,
        "no request of the node came for longer than its interval, and again when the tracker removes it",
        _NODE,
        EventField("silent_ms", "ms", "since its last request", "ms"),
        EventField("removed", "flag", "the tracker removed the node and what it owned"),
    ),
    _kind(
        "node:back",
        TRACKER,
        "a report of a silent node came; it ends the silence",
        _NODE,
        EventField("silent_ms", "ms", "since its report before", "ms"),
    ),
    _kind(
        "node:faults",
        NODE,
        "faults on purpose are switched on, changed, or off",
        EventField("spec", "text", 'as after -faults; "": none'),
    ),
    _kind(
        "tracker:started",
        TRACKER,
        "the tracker accepts requests; its first event",
        EventField("epoch", "text", "names this log: another epoch is another run"),
        EventField("addr", _ADDRESS, "where it listens; null: hidden"),
    ),
    _kind(
        "tracker:register",
        TRACKER,
        "REGISTER of a node that is new, or at another address",
        _NODE,
        EventField("addr", _ADDRESS, "of its UDP socket; null: hidden"),
    ),
    _kind(
        "tracker:own",
        TRACKER,
        "OWN that changes the tracker's records",
        _NODE,
        _TORRENT,
        EventField("complete", "flag", "the node has all of it"),
    ),
    _kind(
        "tracker:need",
        TRACKER,
        "NEED was answered",
        _NODE,
        _TORRENT,
        EventField("answer", ANSWER, "the owners, best first; the reason says why each has its rank"),
    ),
    _kind(
        "tracker:update",
        TRACKER,
        "UPDATE was counted",
        _NODE,
        EventField("uploads", "count", "the node's count from now on"),
        EventField("by", "node", "the node that sent it"),
    ),
    _kind("tracker:exit", TRACKER, "EXIT: the node left the tracker", _NODE),
    _kind(
        "tracker:announce",
        TRACKER,
        "a standard peer announced an event for a torrent of nodes; at most 80 a second",
        _TORRENT,
        EventField("peer", "address", "where the peer listens"),
        EventField("event", ["one", "started", "completed", "stopped"], "as in BEP 3"),
        EventField("complete", "flag", "the peer has all of it"),
        _OTHERS,
    ),
    _kind(
        "torrent:known",
        ANY,
        "the first event about a torrent; null: not known to its writer",
        _TORRENT,
        EventField("info_hash", "info_hash", "the whole of it"),
        EventField("name", "text", "of the file or folder"),
        EventField("size", ["null", "count"], "of the content", "bytes"),
        EventField("piece_length", ["null", "count"], "of each piece but the last", "bytes"),
        EventField("pieces", ["null", "count"], "how many there are"),
    ),
    _kind(
        "torrent:state",
        NODE,
        "a torrent of the node changes its state",
        _TORRENT,
        EventField("state", ["one", *TORRENT_STATES], "the new state"),
        EventField("reason", "text", 'why, in words; "": it needs none'),
    ),
    _kind(
        "piece:held",
        NODE,
        "at the start, and after a gap: all pieces that are verified. Other pieces are missing, until "
        "piece:requested or piece:received follows for each that is under way",
        _TORRENT,
        EventField("ranges", ["list", ["tuple", "count", "count"], MAX_RANGES], "half-open ranges of pieces"),
        EventField(
            "span",
            ["tuple", "count", "count"],
            "the half-open range of pieces that this event is about; absent: all. More than "
            f"{MAX_RANGES:,} ranges need several events",
            optional=True,
        ),
    ),
    _kind(
        "piece:requested",
        NODE,
        "a piece is asked for, or the peers asked for it change",
        _TORRENT,
        _PIECE,
        EventField("peers", _peers(), "all peers that are asked for it now"),
    ),
    _kind("piece:received", NODE, "all bytes of the piece arrived; it is not verified yet", _TORRENT, _PIECE),
    _kind("piece:verified", NODE, "the piece has the right hash", _TORRENT, _PIECE, _SOURCES),
    _kind(
        "piece:failed",
        NODE,
        "the piece has a wrong hash; it will be asked for again",
        _TORRENT,
        _PIECE,
        _SOURCES,
    ),
    _kind("piece:missing", NODE, "the requests of the piece were given up", _TORRENT, _PIECE),
    _kind(
        "peer:state",
        NODE,
        "the node's view of a peer that it may fetch from changes",
        _TORRENT,
        _PEER,
        EventField("transport", "text", '"udp" or "tcp"'),
        EventField("state", ["one", *PEER_STATES], "the new state; unused: it could be asked, and is not"),
        EventField("place", "count", "in the peer's queue, from 1; 0: in none"),
        EventField("reason", "text", 'why the peer is not used, as a sentence for people; "": it is'),
        EventField("complete", ["null", "flag"], "the peer has all pieces; null: not known"),
        EventField("held", ["null", "count"], "pieces that it has; null: not known"),
    ),
    _kind("slot:granted", NODE, "the node serves the peer from now on (unchokes it)", _TORRENT, _PEER),
    _kind(
        "slot:queue",
        NODE,
        "the queue for the node's upload slots changes",
        _TORRENT,
        EventField("queue", _peers(), "the peers that wait, in order"),
        EventField("slots", ["null", "count"], "how many there are; null: no limit"),
        EventField("served", _peers(), "the peers that hold one"),
    ),
    _kind(
        "slot:withdrawn",
        NODE,
        "the node serves the peer no longer (chokes it)",
        _TORRENT,
        _PEER,
        EventField("reason", "text", "why, in words"),
    ),
    _kind(
        "link:bytes",
        NODE,
        "payload moved since the node's last link:bytes for this torrent; at most every 500 ms. A peer that "
        "is not named moved nothing",
        _TORRENT,
        EventField("in", _PER_PEER, "from each peer", "bytes"),
        EventField("out", _PER_PEER, "to each peer", "bytes"),
        EventField(
            "down", "count", "received in all since the node's start, counted apart from the links", "bytes"
        ),
        EventField(
            "up", "count", "sent in all since the node's start, counted apart from the links", "bytes"
        ),
        EventField("span_ms", "ms", "since the last link:bytes, or since the node's start", "ms"),
    ),
    _kind(
        "congestion:sample",
        NODE,
        "at most 4 a second: what limits the requests to a peer",
        _TORRENT,
        _PEER,
        EventField("window", "count", "bytes that may be in flight", "bytes"),
        EventField("rtt_ms", ["null", "ms"], "smoothed round trip; null: none measured yet", "ms"),
        EventField("outstanding", "count", "requested and not arrived", "bytes"),
    ),
    _kind(
        "congestion:reduced",
        NODE,
        "the congestion controller made its window smaller after a loss or a queue",
        _TORRENT,
        _PEER,
        EventField("window", "count", "the new one", "bytes"),
        EventField("reason", "text", "why, in words"),
    ),
    _kind(
        "datagram:lost",
        NODE,
        "the fetcher takes bytes for lost; at most 4 a second",
        _TORRENT,
        _PEER,
        EventField("message", "text", "the kind of datagram: DATA, REQUEST, ..."),
        EventField("offset", "count", "of the lost bytes in the content", "bytes"),
        EventField("length", "count", "of the lost bytes", "bytes"),
        EventField("reason", "text", "how the loss was noticed, in words"),
        EventField("request", "count", "number of the REQUEST that asked for the bytes", optional=True),
        _OTHERS,
    ),
    _kind(
        "datagram:repaired",
        NODE,
        "bytes that were taken for lost arrived; at most 4 a second",
        _TORRENT,
        _PEER,
        EventField("message", "text", "the kind of datagram that was lost"),
        EventField("offset", "count", "of the bytes in the content", "bytes"),
        EventField("length", "count", "of the bytes", "bytes"),
        EventField("request", "count", "number of the REQUEST that asked first", optional=True),
        EventField("again", "count", "number of the REQUEST that brought them; absent: late", optional=True),
        EventField("by", "text", "how: asked again; late, if the first answer came after all"),
        EventField("cost_ms", "ms", "from the first expected arrival to the real one", "ms"),
        EventField("cost_bytes", "count", "sent again, or twice", "bytes"),
        _OTHERS,
    ),
    _kind(
        "messages:dumped",
        NODE,
        "the flight recorder was read: on request, or after a failed download. A dump of many messages is "
        "several events",
        EventField("reason", "text", "why, in words"),
        EventField("dump", "count", "number of this dump of the node, from 1"),
        EventField("first", "count", "index of the first message here among all of the dump"),
        EventField("total", "count", "messages of the dump"),
        EventField(
            "messages",
            ["list", _MESSAGE, MAX_MESSAGES],
            "oldest first; ago_ms: before the time of this event; direction here: the node did something",
        ),
    ),
    _kind(
        "gap",
        ANY,
        "events are missing here: the node dropped them, or the log did (node: null). piece:held follows",
        EventField("events", "count", "how many"),
        EventField("span_ms", "ms", "from the first missing event to the last", "ms"),
    ),
    _kind(
        "clock",
        TRACKER,
        "the tracker's estimate of a node's clock changed",
        _NODE,
        EventField("offset_ms", "number", "time in the log minus the node's own time", "ms"),
        EventField("bound_ms", "ms", "the estimate is wrong by this at most", "ms"),
    ),
    _kind(
        KEYFRAME,
        LOG,
        "every 5 s or 2,000 events: the whole state. Reading may begin here",
        *KEYFRAME_FIELDS,
    ),
)
