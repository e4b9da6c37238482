"""A search asks all peer sources side by side, in the background."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from common.errors import TrackerUnavailable
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node.download.peer_search import PeerSearch
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


def test_a_search_that_begins_while_the_last_one_fails_takes_no_reason_away() -> None:
    gate = threading.Event()
    gate.set()
    source = PretendSource(TrackerUnavailable("down"), gate)
    asking, found = search(source)

    class AskAgain:
        """The search's lock. Once the source has failed, the next search begins when the lock is released."""

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __enter__(self) -> None:
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            failed = source.asked == 1 and not asking.asking
            self.lock.release()
            if failed:
                gate.clear()
                asking.ask()

    asking._lock = AskAgain()  # type: ignore[assignment]
    asking.ask()
    assert found.get(timeout=LIMIT) == (None, "down")
    gate.set()
    assert found.get(timeout=LIMIT) == (None, "down")


def test_no_answer_is_reported_once_with_all_reasons() -> None:
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
