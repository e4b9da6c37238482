"""How the rows of -peers become the log's view of a peer."""

from __future__ import annotations

from collections import Counter

import pytest

from common.bitfield import Bitfield
from node.peer import Peer
from node.report.look import BytesByName, ReceivedBytes, peer_uses, ranges_of
from node.report.names import peer_name
from node.report.snapshot import PeerUse
from node.rows import SourceProgress


def row(
    state: str, reason: str = "", transport: str = "udp", node_id: int | None = 5, place: int = 0
) -> SourceProgress:
    return SourceProgress(node_id, ("10.0.0.1", 4000), 0, 0.0, state, reason, True, None, transport, place)


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (row("active"), "active"),
        (row("queued", "waits, place 2 in its queue", place=2), "queued"),
        (row("queued", "it choked us", "tcp"), "choked"),
        (row("queued", "it is being connected to", "tcp"), "idle"),
        (row("idle", "has no piece that node 3 misses"), "idle"),
        (row("idle", "not needed: 3 owners at a time are enough (MAX_SPLITTNES_RATE)"), "unused"),
        (row("idle"), "idle"),
        (row("lost", "silent for 7.8 s"), "lost"),
        (row("banned", "sent wrong bytes (piece 87)"), "banned"),
    ],
)
def test_a_row_of_peers_as_the_log_has_it(source: SourceProgress, state: str) -> None:
    assert peer_uses([source]) == {
        5: PeerUse(source.transport, state, source.place, source.reason, complete=True, held=None)
    }


def test_a_node_with_two_addresses_is_the_one_that_is_in_use() -> None:
    uses = peer_uses([row("active"), row("lost", "closed the connection", "tcp"), row("idle", node_id=None)])
    assert uses[5].transport == "udp" and uses["10.0.0.1:4000"].state == "idle"


def test_bytes_of_earlier_downloads_are_counted_on() -> None:
    class TotalsState:
        def __init__(self) -> None:
            self.arrived_bytes = 0

        def totals(self) -> dict[Peer, int]:
            return {Peer("10.0.0.1", 4000, node_id=5): self.arrived_bytes}

    counted, first, second = ReceivedBytes(peer_name), TotalsState(), TotalsState()
    counted.look(first)  # type: ignore[arg-type]
    first.arrived_bytes = 10
    counted.look(second)  # type: ignore[arg-type]  # the last bytes of the first are counted, too
    second.arrived_bytes = 4
    counted.look(second)  # type: ignore[arg-type]
    counted.look(None)
    assert (counted.by_peer[5], counted.down) == (14, 14)


def test_bytes_stay_with_the_name_that_their_peer_had() -> None:
    """The number of a node at an address may become known between two looks."""
    names: dict[Peer, int] = {}
    counted, peer = BytesByName(lambda each: names.get(each, peer_name(each))), Peer("10.0.0.1", 4000)
    reported = Counter[int | str]()
    before: Counter[int | str] = Counter()
    for total in (70, 120, 150):
        counted.look([(peer, total), (Peer("10.0.0.2", 4000), 5)])
        reported += counted.by_name - before  # as ``link:bytes`` has them
        before = Counter(counted.by_name)
        names[peer] = 7
    assert reported == {"10.0.0.1:4000": 70, 7: 80, "10.0.0.2:4000": 5}
    counted.look([(peer, 150)])
    counted.look([(peer, 150), (Peer("10.0.0.1", 4001), 9)])  # a new peer, and one that is forgotten
    assert counted.by_name == {7: 80, "10.0.0.1:4001": 9}
    for port, total in ((4000, 160), (4002, 170)):  # a row of the node itself, shown at another address
        counted.look([(Peer("10.0.0.1", port, node_id=7), total)])
    assert counted.by_name == {7: 100}


def test_pieces_as_ranges() -> None:
    pieces = Bitfield(10)
    for piece in (0, 1, 2, 5, 9):
        pieces.set(piece)
    assert ranges_of(pieces) == [(0, 3), (5, 6), (9, 10)]
    assert ranges_of(Bitfield(3)) == []
