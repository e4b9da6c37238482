"""Finding peers for a download: all trackers and other peer sources are asked side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from common.errors import RemoteFault
from common.metainfo import Metainfo
from node.discovery.base import PeerSource
from node.peer import FoundPeer


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
        self._lock = threading.Lock()  # guards the fields below
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
            reasons = "; ".join(self._reasons[number] for number in sorted(self._reasons))
        if failed:  # by now the next search may have begun
            self._found(None, reasons)
