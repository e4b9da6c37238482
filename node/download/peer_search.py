"""Looking for owners: asking trackers without holding anybody up, and how long to go on looking."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence

from common.errors import RemoteFault
from node.discovery.base import Discovery
from node.peer import FoundPeer, Peer

FIRST_WAIT = 0.5  # seconds between two searches while there is no owner; doubled each time
LONGEST_WAIT = 8.0  # seconds
FIRST_REFRESH = 0.25  # seconds between two searches for more owners while there are some, but too few:
REFRESH_GROWTH = 1.5  # those who began together with us will have something soon, and later ones are fewer
LONGEST_REFRESH = 10.0  # seconds


class PeerSearch:
    """Asks each of ``trackers`` for owners, in the background, one search at a time.

    ``found(owners, why)`` is called on the search's thread: the owners of all that answered, best first, or
    None and why nobody did.
    """

    def __init__(
        self,
        trackers: Sequence[Discovery],
        filename: str,
        info_hash: str,
        found: Callable[[list[FoundPeer] | None, str], None],
    ) -> None:
        self._trackers = trackers
        self._filename = filename
        self._info_hash = info_hash
        self._found = found
        self._lock = threading.Lock()
        self._asking = False

    @property
    def asking(self) -> bool:
        """Whether a search is under way."""
        return self._asking

    def ask(self) -> None:
        """Begin a search, unless one is under way."""
        with self._lock:
            if self._asking:
                return
            self._asking = True
        threading.Thread(target=self._ask, name="owner-search", daemon=True).start()

    def _ask(self) -> None:
        owners: list[FoundPeer] = []
        answered, reasons = False, []
        for tracker in self._trackers:
            try:
                named = tracker.need(self._filename, self._info_hash)
                owners += [
                    FoundPeer(Peer(*owner.addr, node_id=owner.node_id), owner.complete, owner.uploads)
                    for owner in named
                ]
                answered = True
            except RemoteFault as error:
                reasons.append(str(error))
        self._asking = False  # before the news: whoever acts on it may search again
        self._found(owners if answered else None, "; ".join(reasons))


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
