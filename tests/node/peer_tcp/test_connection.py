"""Two connections of the peer wire against each other."""

from __future__ import annotations

import pytest

from node.peer_tcp import events as ev
from node.peer_tcp.states import WireState
from tests.node.peer_tcp.pair import CONTENT, Pair, connected_pair, kinds


@pytest.mark.parametrize("cut", [None, 1, 13, 17, 16384, 20000])
def test_a_leecher_fetches_everything_from_a_seed_however_the_stream_is_cut(cut: int | None) -> None:
    pair = connected_pair(cut=cut)
    assert pair.a.state is pair.b.state is WireState.OPEN
    size = 20_000 if cut == 1 else len(CONTENT)
    pair.a.download.request(0, size, pair.now)
    pair.run()
    assert pair.received[:size] == CONTENT[:size]
    assert pair.a.unreceived() == []


def test_the_events_of_a_new_connection() -> None:
    pair = connected_pair()
    fast = ["FastAllowed"] * 5
    assert kinds(pair.events_a) == [
        "PeerIdentified",
        "PiecesKnown",
        "ClientIdentified",
        *fast,
        "PeerUnchoked",
    ]
    assert kinds(pair.events_b) == ["PeerIdentified", "PiecesKnown", "ClientIdentified", "PeerInterested"]
    known = [event for event in pair.events_a if isinstance(event, ev.PiecesKnown)]
    assert known == [ev.PiecesKnown(None)]


def test_what_never_arrives_comes_back_at_the_end() -> None:
    pair: Pair = connected_pair()
    pair.a.download.request(0, 50_000, pair.now)
    data = pair.sent_by(pair.a)
    pair.b.receive(data, pair.now)
    answer = pair.sent_by(pair.b)
    events = pair.a.receive(answer[:20_000], pair.now)
    got = sum(len(event.data) for event in ev.one_by_one(events) if isinstance(event, ev.BlockData))
    assert got == 20_000 - 2 * 13
    assert pair.a.unreceived() == [(got, 50_000)]
