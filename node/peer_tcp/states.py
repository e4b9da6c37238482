"""The states of a connection, what each waits for, and how long. ``docs/protocol.md`` draws this table."""

from __future__ import annotations

import enum
from typing import NamedTuple

from node.peer_tcp.limits import HANDSHAKE_TIMEOUT, MSE_TIMEOUT, SILENCE_TIMEOUT


class WireState(enum.Enum):
    """Where a connection stands. It starts in MSE or HANDSHAKE."""

    MSE = "MSE"
    HANDSHAKE = "HANDSHAKE"
    BITFIELD = "BITFIELD"
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class StateRule(NamedTuple):
    """``timeout``: seconds; from the state's beginning, or in the last two states without a byte."""

    waits_for: str
    timeout: float | None
    from_start: bool  # the timeout runs from the state's beginning, however many bytes come
    next_states: tuple[WireState, ...]


STATES = {
    WireState.MSE: StateRule(
        "its encrypted handshake", MSE_TIMEOUT, True, (WireState.HANDSHAKE, WireState.CLOSED)
    ),
    WireState.HANDSHAKE: StateRule(
        "the 68 bytes of the BitTorrent handshake",
        HANDSHAKE_TIMEOUT,
        True,
        (WireState.BITFIELD, WireState.CLOSED),
    ),
    WireState.BITFIELD: StateRule(
        "the pieces that the peer holds: bitfield, have all, have none, or any message that implies none",
        SILENCE_TIMEOUT,
        False,
        (WireState.OPEN, WireState.CLOSED),
    ),
    WireState.OPEN: StateRule("any message", SILENCE_TIMEOUT, False, (WireState.CLOSED,)),
    WireState.CLOSED: StateRule("nothing", None, False, ()),
}
