"""Looking for owners: in the background, with growing waits, up to a limit. Time is an argument."""

from __future__ import annotations

import itertools
import queue
import threading

from common.errors import TrackerUnavailable
from common.messages import OwnerEntry
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
OWNER = OwnerEntry(1, ("127.0.0.1", 1), 0)
OTHER = OwnerEntry(2, ("127.0.0.1", 2), 0)


class PretendTracker:
    def __init__(self, answer: list[OwnerEntry] | Exception, gate: threading.Event | None = None) -> None:
        self.answer, self.gate, self.asked = answer, gate, 0

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[OwnerEntry]:
        self.asked += 1
        if self.gate is not None:
            assert self.gate.wait(LIMIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def search(*trackers: PretendTracker) -> tuple[PeerSearch, queue.Queue]:
    found: queue.Queue = queue.Queue()
    return PeerSearch(trackers, "a", "ab" * 20, lambda owners, why: found.put((owners, why))), found  # type: ignore[arg-type]


def test_all_trackers_are_asked_and_one_answer_is_enough() -> None:
    asking, found = search(PretendTracker(TrackerUnavailable("down")), PretendTracker([OWNER, OTHER]))
    asking.ask()
    assert found.get(timeout=LIMIT) == ([FoundPeer(Peer(*o.addr)) for o in (OWNER, OTHER)], "down")


def test_that_nobody_answers_is_no_list() -> None:
    asking, found = search(
        PretendTracker(TrackerUnavailable("down")), PretendTracker(TrackerUnavailable("too"))
    )
    asking.ask()
    assert found.get(timeout=LIMIT) == (None, "down; too")


def test_one_search_at_a_time_and_another_after_it() -> None:
    gate = threading.Event()
    tracker = PretendTracker([], gate)
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
