"""A row: one message as a dictionary for JSON.

    time        ms of this node's monotonic clock
    direction   "in", "out", or "here": not a message, but what this node did
    peer        the node number, or "HOST:PORT"; None if ``here``
    message     REQUEST, DATA, ... of the classroom transport; request, piece, ... of the peer wire;
                malformed; verified, failed and fault (``here``)
    fields      by name, as in docs/protocol.md; ``torrent``: 12 hex digits; ``transfer``: 16 hex digits

``lost: True`` in the fields: this DATA never came, or the peer asked for its bytes again. ``again``: number
of an earlier REQUEST, whose bytes this REQUEST asks for once more. ``more``: messages of a run that are not
kept.
"""

from __future__ import annotations

from typing import Any, TypedDict

OUT, IN, HERE = "out", "in", "here"


class MessageRow(TypedDict):
    """See above."""

    time: float
    direction: str
    peer: int | str | None
    message: str
    fields: dict[str, Any]
