"""Looking for owners: in the background, with growing waits, up to a limit. Time is an argument."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence

from common.errors import TrackerUnavailable
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.download.peer_search import (
    FIRST_REFRESH,
    FIRST_WAIT,
    LONGEST_REFRESH,
    LONGEST_WAIT,
    REFRESH_GROWTH,
    Next,
    PeerSearch,
    SearchBackoff,
)
from node.peer import FoundPeer, Peer

LIMIT = 10.0  # seconds
OWNER = FoundPeer(Peer("127.0.0.1", 1, node_id=1))
OTHER = FoundPeer(Peer("127.0.0.1", 2, node_id=2))
INFO = decode_metainfo(encode_metainfo("a", 1, 1, bytes(20), ""))


class PretendSource:
    name = "pretended"

    def __init__(self, answer: list[FoundPeer] | Exception, gate: threading.Event | None = None) -> None:
        self.answer, self.gate, self.asked = answer, gate, 0

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        self.asked += 1
        if self.gate is not None:
            assert self.gate.wait(LIMIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        found(self.answer)


def search(*sources: PretendSource) -> tuple[PeerSearch, queue.Queue]:
    found: queue.Queue = queue.Queue()
    return PeerSearch(sources, INFO, lambda peers, why: found.put((peers, why))), found


def test_all_sources_are_asked_and_one_answer_is_enough() -> None:
    asking, found = search(PretendSource(TrackerUnavailable("down")), PretendSource([OWNER, OTHER]))
    asking.ask()
    assert found.get(timeout=LIMIT) == ([OWNER, OTHER], "")


def test_a_source_that_does_not_answer_keeps_no_other_one_waiting() -> None:
    gate = threading.Event()
    silent, quick = PretendSource([OTHER], gate), PretendSource([OWNER])
    asking, found = search(silent, quick)
    asking.ask()
    assert found.get(timeout=LIMIT) == ([OWNER], "")
    assert not asking.asking
    asking.ask()
    assert found.get(timeout=LIMIT) == ([OWNER], "")
    assert (silent.asked, quick.asked) == (1, 2)
    gate.set()
    assert found.get(timeout=LIMIT) == ([OTHER, OWNER], "")


def test_no_answer_is_told_once_with_all_reasons() -> None:
    asking, found = search(
        PretendSource(TrackerUnavailable("down")), PretendSource(TrackerUnavailable("too"))
    )
    asking.ask()
    assert found.get(timeout=LIMIT) == (None, "down; too")
    assert found.empty() and not asking.asking


def test_a_source_that_fails_in_an_unexpected_way_ends_the_search() -> None:
    asking, found = search(PretendSource(ZeroDivisionError()))
    asking.ask()
    assert found.get(timeout=LIMIT) == (None, "pretended cannot be asked: ZeroDivisionError()")


def test_one_search_at_a_time_and_another_after_it() -> None:
    gate = threading.Event()
    tracker = PretendSource([], gate)
    asking, found = search(tracker)
    asking.ask()
    asking.ask()
    assert asking.asking
    gate.set()
    found.get(timeout=LIMIT)
    assert not asking.asking
    assert tracker.asked == 1
    asking.ask()
    found.get(timeout=LIMIT)
    assert tracker.asked == 2


def test_waits_grow_and_end_in_giving_up() -> None:
    patience = SearchBackoff(limit=30.0, now=0.0)
    patience.saw(0, 0.0)
    now, waits = 0.0, []
    while True:
        what, new = patience.nobody(now)
        if what is Next.GIVE_UP:
            break
        if what is Next.WAIT:
            assert new
            waits.append(patience.seconds(now))
            assert patience.nobody(now) == (Next.WAIT, False)
            now += patience.seconds(now)
    assert waits[:4] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert max(waits) == LONGEST_WAIT
    assert 30.0 < now < 30.0 + 2 * LONGEST_WAIT


def test_a_byte_more_is_hope() -> None:
    patience = SearchBackoff(limit=30.0, now=0.0)
    patience.saw(0, 0.0)
    patience.saw(1, 29.0)
    assert patience.nobody(31.0)[0] is Next.WAIT
    patience.saw(1, 40.0)
    assert patience.nobody(60.0)[0] is Next.GIVE_UP


def test_more_owners_are_looked_for_now_and_then() -> None:
    patience = SearchBackoff(limit=30.0, now=0.0)
    asked = [now / 100 for now in range(10_000) if patience.wants_more(now / 100)]
    waits = [after - before for before, after in zip([0.0, *asked], asked, strict=False)]
    assert abs(waits[0] - FIRST_REFRESH) < 0.02
    assert abs(waits[1] - FIRST_REFRESH * REFRESH_GROWTH) < 0.02
    assert all(longer >= shorter - 0.02 for shorter, longer in itertools.pairwise(waits))
    assert abs(waits[-1] - LONGEST_REFRESH) < 0.02
