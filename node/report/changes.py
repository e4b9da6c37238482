"""From two snapshots of a torrent to the events between them. Pure.

Events of pieces and states also come from the node's EventBus, at their exact times and from other threads.
A snapshot may be older than such an event, although it is compared later. So ``TorrentChanges`` notes what
the bus reported since ``begin``, and leaves these pieces and states to the next snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from node.report.names import PeerName
from node.report.snapshot import PeerUse, SlotsView, TorrentSnapshot

Change: TypeAlias = tuple[str, dict[str, Any]]  # name and data of an event
Ranges: TypeAlias = Sequence[tuple[int, int]]  # of pieces, half-open

HELD_SECONDS = 5.0  # between two events of a peer of which only the number of its pieces changed
MAX_ROWS = 40  # peers in one link:bytes: a longer one would not fit into a report
MAX_RANGES = 60  # of pieces in one piece:held; the same
MAX_LISTED = 30  # peers that are listed of a queue, and of the served ones
GONE = "it is not named any more"  # the reason of a peer that is no candidate any more


class TorrentChanges:
    """The log's knowledge of one torrent. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._is_known = False
        self._state: tuple[str, str] = "", ""
        self._asked: dict[int, tuple[PeerName, ...]] = {}
        self._received: frozenset[int] = frozenset()
        self._peers: dict[PeerName, PeerUse] = {}
        self._peers_at: dict[PeerName, float] = {}  # the last event of each
        self._slots = SlotsView()
        self._links = LinkBytes(now)
        self._results: set[int] = set()  # pieces whose hash the bus reported since ``begin``
        self._has_state = False  # the bus reported a state since ``begin``

    @property
    def is_known(self) -> bool:
        """True once the log has the torrent: until then the next snapshot states everything."""
        return self._is_known

    # ---- what the bus reported

    def on_piece(self, piece: int) -> None:
        """The hash of ``piece`` was reported."""
        self._results.add(piece)
        self._asked.pop(piece, None)
        self._received -= {piece}

    def on_state(self, state: str, reason: str) -> bool:
        """A state was reported; False if it is the one that the log has."""
        self._has_state = True
        if self._is_resumed(state):
            self.forget()
            return False
        is_news = self._state != (state, reason)
        self._state = state, reason
        return is_news

    # ---- snapshots

    def begin(self) -> None:
        """A snapshot is taken from now on."""
        self._results.clear()
        self._has_state = False

    def forget(self) -> None:
        """The log may have lost events: the next changes state everything again, except for bytes."""
        self._is_known = False
        self._state = "", ""
        self._asked.clear()
        self._received = frozenset()
        self._peers.clear()
        self._slots = SlotsView()

    def changes(self, now_is: TorrentSnapshot, held: Callable[[str], Ranges], now: float) -> list[Change]:
        """The events since the last call. ``held(torrent)``: the verified pieces of this very moment."""
        events: list[Change] = []
        if not self._has_state and self._is_resumed(now_is.state):
            self.forget()
        if not self._is_known:
            self._is_known = True
            events.append(("torrent:known", dict(now_is.known)))
            events += _held(held(now_is.torrent), now_is.known["pieces"])
        events += self._state_changes(now_is)
        events += self._piece_changes(now_is)
        events += self._peer_changes(now_is.peers, now)
        events += self._slot_changes(now_is.slots or SlotsView(self._slots.slots))
        events += self._links.changes(now_is, now)
        return [(name, {"torrent": now_is.torrent, **data}) for name, data in events]

    def _is_resumed(self, state: str) -> bool:
        """True if the log may have forgotten the torrent: it was stopped, and is not any more."""
        return self._state[0] == "stopped" != state

    def _state_changes(self, now_is: TorrentSnapshot) -> list[Change]:
        state, reason = self._state
        if self._has_state or (now_is.state == state and now_is.reason in ("", reason)):
            return []
        self._state = now_is.state, now_is.reason
        return [("torrent:state", {"state": now_is.state, "reason": now_is.reason})]

    def _piece_changes(self, now_is: TorrentSnapshot) -> list[Change]:
        skipped = self._results
        received = now_is.received - skipped
        asked = {piece: peers for piece, peers in now_is.asked.items() if piece not in skipped | received}
        events: list[Change] = [
            ("piece:missing", {"piece": piece})
            for piece in sorted((self._asked.keys() | self._received) - asked.keys() - received)
        ]
        events += [
            ("piece:requested", {"piece": piece, "peers": list(peers)})
            for piece, peers in sorted(asked.items())
            if self._asked.get(piece) != peers
        ]
        events += [("piece:received", {"piece": piece}) for piece in sorted(received - self._received)]
        self._asked, self._received = asked, received
        return events

    def _peer_changes(self, peers: Mapping[PeerName, PeerUse], now: float) -> list[Change]:
        events: list[Change] = []
        for name, view in peers.items():
            before = self._peers.get(name)
            if view == before:
                continue
            is_minor = before is not None and replace(before, held=view.held) == view
            if is_minor and now - self._peers_at[name] < HELD_SECONDS:
                continue
            self._peers[name], self._peers_at[name] = view, now
            events.append(("peer:state", {"peer": name, **vars(view)}))
        for name in self._peers.keys() - peers.keys():
            gone = replace(self._peers.pop(name), state="lost", place=0, reason=GONE)
            del self._peers_at[name]
            events.append(("peer:state", {"peer": name, **vars(gone)}))
        return events

    def _slot_changes(self, slots: SlotsView) -> list[Change]:
        before, self._slots = self._slots, slots
        if slots == before:
            return []
        events: list[Change] = [
            ("slot:withdrawn", {"peer": peer, "reason": _why_withdrawn(peer, slots.queue)})
            for peer in _without(before.served, slots.served)
        ]
        events += [("slot:granted", {"peer": peer}) for peer in _without(slots.served, before.served)]
        queue, served = list(slots.queue[:MAX_LISTED]), list(slots.served[:MAX_LISTED])
        return [*events, ("slot:queue", {"queue": queue, "slots": slots.slots, "served": served})]


def _held(ranges: Ranges, pieces: int) -> list[Change]:
    """The verified pieces; in several events, each about a span of its own, if there are many ranges."""
    if len(ranges) <= MAX_RANGES:
        return [("piece:held", {"ranges": [list(span) for span in ranges]})]
    events: list[Change] = []
    begin = 0
    for start in range(0, len(ranges), MAX_RANGES):
        some = ranges[start : start + MAX_RANGES]
        end = pieces if start + MAX_RANGES >= len(ranges) else some[-1][1]
        events.append(("piece:held", {"ranges": [list(span) for span in some], "span": [begin, end]}))
        begin = end
    return events


def _without(peers: Iterable[PeerName], gone: Sequence[PeerName]) -> list[PeerName]:
    return [peer for peer in peers if peer not in gone]


def _why_withdrawn(peer: PeerName, queue: Sequence[PeerName]) -> str:
    return "its turn is over: it waits again" if peer in queue else "it requests nothing more"


class LinkBytes:
    """The bytes from and to each peer since the last event; a last one without bytes when nothing moves."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._before: tuple[dict[PeerName, int], dict[PeerName, int]] = {}, {}
        self._totals = 0, 0
        self._moved = False  # bytes, in the last event

    def changes(self, now_is: TorrentSnapshot, now: float) -> list[Change]:
        """One event; several if it would be long."""
        came = _deltas(now_is.bytes_in, self._before[0])
        went = _deltas(now_is.bytes_out, self._before[1])
        totals = now_is.down, now_is.up
        moved = bool(came or went or totals != self._totals)
        since, self._since = self._since, now
        self._before = dict(now_is.bytes_in), dict(now_is.bytes_out)
        self._totals = totals
        was_moving, self._moved = self._moved, moved
        if not (moved or was_moving):
            return []
        rows = [("in", [peer, amount]) for peer, amount in came.items()]
        rows += [("out", [peer, amount]) for peer, amount in went.items()]
        ends = {"down": now_is.down, "up": now_is.up, "span_ms": round((now - since) * 1000, 1)}
        return [
            ("link:bytes", {**_by_direction(rows[start : start + MAX_ROWS]), **ends})
            for start in range(0, max(1, len(rows)), MAX_ROWS)
        ]


def _by_direction(rows: Sequence[tuple[str, list[Any]]]) -> dict[str, Any]:
    return {way: [row for direction, row in rows if direction == way] for way in ("in", "out")}


def _deltas(totals: Mapping[PeerName, int], before: Mapping[PeerName, int]) -> dict[PeerName, int]:
    """The added bytes. A total that shrank belongs to a peer that was forgotten, and adds nothing."""
    deltas = {peer: total - before.get(peer, 0) for peer, total in totals.items()}
    return {peer: delta for peer, delta in deltas.items() if delta > 0}
