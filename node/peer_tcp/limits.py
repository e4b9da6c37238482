"""Every limit of the peer wire in one table. Unless a comment differs, exceeding one closes the connection.

Standard clients stay far below each limit. The sources are the defaults of libtorrent and rain, which most
peers were tested against.
"""

from __future__ import annotations

BLOCK = 16 << 10  # bytes; the size of the requests that we send, and the only one that all clients accept
MAX_REQUEST = 128 << 10  # bytes; larger requests are refused. Fast peers that announce it are asked for this
MAX_BITFIELD = (1 << 21) // 8  # bytes; common.metainfo.MAX_PIECES pieces
MAX_EXTENDED = 64 << 10  # bytes of one extended message (BEP 10); metadata pieces have 16 KiB
MAX_UNKNOWN = 64 << 10  # bytes of a message with an unknown id, which is skipped
MAX_ALLOWED_FAST = 64  # pieces that a peer may allow while it chokes us; more are ignored
MAX_SUGGESTED = 64  # pieces that a peer may suggest; more are ignored

REQUESTS_ACCEPTED = 500  # blocks that one peer may have requested at a time; announced as ``reqq`` (BEP 10)
REQUESTS_ASSUMED = 250  # blocks that a peer accepts if it announces no ``reqq``
REQUESTS_AT_FIRST = 64  # blocks requested at a time from a new peer
REQUESTS_AT_MOST = 256  # blocks requested at a time from one peer; more gains nothing over loopback
REQUESTS_AT_LEAST = 2  # blocks requested at a time from a slow peer: one arrives while one is asked for
REQUEST_SECONDS = 1.0  # seconds of its own rate that a peer may have in requests, and two round trips

# Messages that change nothing: a repeated have, choke or interest, a cancel, a request while choked or beyond
# REQUESTS_ACCEPTED, an extended message. They spend from a token bucket; an empty one closes the connection.
IDLE_MESSAGES = 2000  # depth: the endgame of one large download may waste as many
IDLE_MESSAGE_RATE = 20.0  # a second
UNREQUESTED_BLOCKS = 64  # blocks that we never asked for, in the life of one connection
BAD_REQUESTS = 64  # requests for pieces that we do not hold, in the life of one connection

METADATA_QUEUE = 32  # pieces of the metadata that a peer may wait for; more are rejected

CONNECT_TIMEOUT = 10.0  # seconds for a dialled socket to connect
MSE_TIMEOUT = 10.0  # seconds for the whole encrypted handshake
HANDSHAKE_TIMEOUT = 10.0  # seconds from there for the whole BitTorrent handshake
MESSAGE_TIMEOUT = 60.0  # seconds from the first byte of a message to its last
SILENCE_TIMEOUT = 150.0  # seconds without a byte; keep-alives come at least every 120
KEEP_ALIVE_AFTER = 100.0  # seconds of our own silence after which we send a keep-alive
REQUEST_TIMEOUT = 20.0  # seconds without requested bytes, after which the requests return to the download

MAX_UNSENT = 256 << 10  # bytes waiting to be sent, above which no more is read from this peer
