"""The losses of one connection: how they were noticed, and the cost of their repair. Pure.

Only for people: reports to the tracker show it. ``RequestTracker`` calls this when bytes are lost, when they
are requested again, and when they arrive. While nothing is lost it is not called at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common.ranges import RangeSet
from node.chunk_udp.loss_recovery import LossCause
from node.chunk_udp.wire import HEADER_SIZE, REQUEST_SIZE
from node.notes import ConnectionNote, RangeLost, RangeRepaired, WindowReduced
from node.peer import Peer

MAX_OPEN = 256  # lost ranges whose repair is awaited; that of further ones is not noted
AGAIN, LATE = "asked again", "late"  # what brought the bytes


@dataclass
class _Open:
    """A lost range that has not arrived."""

    lost: RangeLost
    expected_at: float  # when its bytes should have arrived, monotonic seconds
    missing: RangeSet = field(init=False)
    again: int = 0  # sequence number of the last REQUEST for bytes of it
    cost: int = 0  # bytes that were sent once more, with their headers

    def __post_init__(self) -> None:
        self.missing = RangeSet([(self.lost.start, self.lost.end)])


class LossLog:
    """``note`` is called with each ConnectionNote. For the connection's thread only."""

    def __init__(self, peer: Peer, info_hash: bytes, note: Callable[[ConnectionNote], None]) -> None:
        self._peer = peer
        self._info_hash = info_hash
        self._note = note
        self.open: list[_Open] = []  # empty while nothing is lost, which callers check first

    def lost(self, start: int, end: int, request: int, reason: str, expected_at: float, now: float) -> None:
        """``[start, end)``, requested by REQUEST number ``request``, count as lost."""
        lost = RangeLost(self._peer, self._info_hash, now, start, end, request, reason)
        self._note(lost)
        if len(self.open) < MAX_OPEN:
            self.open.append(_Open(lost, expected_at))

    def requested(self, start: int, end: int, sequence: int, segment_size: int) -> None:
        """REQUEST number ``sequence`` asks for ``[start, end)``: bytes of it may be lost ones."""
        for each in self.open:
            if again := sum(e - s for s, e in each.missing.overlap(start, end)):
                each.again = sequence
                each.cost += again + REQUEST_SIZE + HEADER_SIZE * -(-again // segment_size)

    def arrived(self, start: int, end: int, now: float, by: str = AGAIN) -> None:
        """``[start, end)`` are here. ``by``: the kind of answer that brought them."""
        for each in [each for each in self.open if each.missing.cut(start, end) and not each.missing]:
            self.open.remove(each)
            again = each.again if by == AGAIN else 0
            delay = max(0.0, now - each.expected_at)
            self._note(
                RangeRepaired(self._peer, self._info_hash, now, each.lost, by, again, delay, each.cost)
            )

    def forget(self, start: int, end: int) -> None:
        """This connection will not deliver ``[start, end)``: the download may have it from other sources."""
        for each in self.open:
            each.missing.cut(start, end)
        self.open = [each for each in self.open if each.missing]

    def reduced(self, window: int, reason: str, now: float) -> None:
        """The congestion controller has a smaller window."""
        self._note(WindowReduced(self._peer, self._info_hash, now, window, reason))


def reason(cause: LossCause, now: float) -> str:
    """``cause`` in words."""
    if cause.segments is None:
        age = 1000 * (now - cause.request.sent_at)
        return f"later bytes came first, and it was requested {age:.0f} ms ago"
    return f"more than {cause.segments} later segments came first"
