"""Finding peers for a download: asking every source at once, and how long to go on."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence

from common.errors import RemoteFault
from common.metainfo import Metainfo
from node.discovery.base import PeerSource
from node.peer import FoundPeer

FIRST_WAIT = 0.5  # seconds between two searches while there is no owner; doubled each time
LONGEST_WAIT = 8.0  # seconds
FIRST_REFRESH = 0.25  # seconds between two searches for more owners while there are some, but too few:
REFRESH_GROWTH = 1.5  # those who began together with us will have something soon, and later ones are fewer
LONGEST_REFRESH = 10.0  # seconds


class PeerSearch:
    """Asks all of ``sources`` for peers side by side, in the background, one search at a time.

    ``found(peers, why)`` is called on a thread of the search, once for each source that answers: with the
    last answers of all sources, in their order. If no source answers, it is called once, with None and why.
    """

    def __init__(
        self,
        sources: Sequence[PeerSource],
        info: Metainfo,
        found: Callable[[list[FoundPeer] | None, str], None],
    ) -> None:
        self._sources = sources
        self._info = info
        self._found = found
        self._delivering = threading.Lock()  # held while ``found`` is called: later answers come later
        self._lock = threading.Lock()  # guards what follows
        self._asking = False
        self._busy: set[int] = set()  # sources, by index, that have not returned
        self._answers: list[Sequence[FoundPeer]] = [()] * len(sources)
        self._reasons: dict[int, str] = {}  # why sources did not answer in this search

    @property
    def asking(self) -> bool:
        """True until a source has answered, or all have failed."""
        return self._asking

    def ask(self) -> None:
        """Begin a search, unless one is under way. A source that has not returned is not asked again."""
        with self._lock:
            if self._asking:
                return
            self._asking = True
            idle = [index for index in range(len(self._sources)) if index not in self._busy]
            self._busy.update(idle)
            self._reasons = {}
        for index in idle:
            threading.Thread(target=self._ask, args=(index,), name="peer-search", daemon=True).start()
        if not self._sources:
            threading.Thread(target=self._returned, args=(0, ""), name="peer-search", daemon=True).start()

    def _ask(self, index: int) -> None:
        why = ""
        try:
            self._sources[index].find(self._info, lambda peers: self._answered(index, peers))
        except RemoteFault as error:
            why = str(error)
        except Exception as error:  # the download waits for the end of its search, however it ends
            why = f"{self._sources[index].name} cannot be asked: {error!r}"
        self._returned(index, why)

    def _answered(self, index: int, peers: Sequence[FoundPeer]) -> None:
        with self._delivering:
            with self._lock:
                self._answers[index] = peers
                everything = [peer for answer in self._answers for peer in answer]
                self._asking = False  # before ``found``: the download may search again
            self._found(everything, "")

    def _returned(self, index: int, why: str) -> None:
        with self._lock:
            self._busy.discard(index)
            if why:
                self._reasons[index] = why
            failed = self._asking and len(self._reasons) == len(self._sources)
            if failed:
                self._asking = False
        if failed:
            self._found(None, "; ".join(self._reasons[number] for number in sorted(self._reasons)))


class Next(enum.Enum):
    """What to do while nobody delivers."""

    WAIT = "wait"
    ASK = "ask"
    GIVE_UP = "give up"


class SearchBackoff:
    """How long to look for owners: growing waits, up to ``limit`` seconds without a byte. Pure."""

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._received = -1
        self._progress_at = self._asked_at = now
        self._wait = FIRST_WAIT
        self._refresh = FIRST_REFRESH
        self._next: float | None = None

    def saw(self, received: int, now: float) -> None:
        """``received`` bytes are here: more than before is progress, and makes the next wait short again."""
        if received != self._received:
            self._received, self._progress_at, self._wait = received, now, FIRST_WAIT

    def wants_more(self, now: float) -> bool:
        """Whether it is time to ask for more owners although some deliver."""
        self._next = None
        if now - self._asked_at < self._refresh:
            return False
        self._asked_at = now
        self._refresh = min(self._refresh * REFRESH_GROWTH, LONGEST_REFRESH)
        return True

    def seconds(self, now: float) -> float:
        """How long the present wait lasts; 0 if there is none."""
        return max(0.0, self._next - now) if self._next is not None else 0.0

    def nobody(self, now: float) -> tuple[Next, bool]:
        """Nobody delivers and no search is under way: what to do, and whether a new wait begins with it."""
        if now - self._progress_at > self._limit:
            return Next.GIVE_UP, False
        if self._next is None:
            self._next = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            return Next.WAIT, True
        if now < self._next:
            return Next.WAIT, False
        self._next, self._asked_at = None, now
        return Next.ASK, False
