"""Asking trackers for owners without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from common.errors import RemoteFault
from common.messages import OwnerEntry
from node.discovery.base import Discovery

FIRST_WAIT = 0.5  # seconds between two searches while there is no owner; doubled each time
LONGEST_WAIT = 8.0  # seconds


class OwnerSearch:
    """Asks each of ``trackers`` for owners, in the background, one search at a time.

    ``found(owners, why)`` is called on the search's thread: the owners of all that answered, best first, or
    None and why nobody did.
    """

    def __init__(
        self,
        trackers: Sequence[Discovery],
        filename: str,
        info_hash: str,
        found: Callable[[list[OwnerEntry] | None, str], None],
    ) -> None:
        self._trackers = trackers
        self._filename = filename
        self._info_hash = info_hash
        self._found = found
        self._thread: threading.Thread | None = None
        self._wait = FIRST_WAIT

    @property
    def asking(self) -> bool:
        """Whether a search is under way."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self) -> None:
        """Begin a search, unless one is under way."""
        if not self.asking:
            self._thread = threading.Thread(target=self._ask, name="owner-search", daemon=True)
            self._thread.start()

    def next_wait(self) -> float:
        """Seconds to wait before the next search in vain; grows up to LONGEST_WAIT."""
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_WAIT)
        return wait

    def encouraged(self) -> None:
        """Something went well: the next wait is short again."""
        self._wait = FIRST_WAIT

    def _ask(self) -> None:
        owners: list[OwnerEntry] = []
        answered, reasons = False, []
        for tracker in self._trackers:
            try:
                owners += tracker.need(self._filename, self._info_hash)
                answered = True
            except RemoteFault as error:
                reasons.append(str(error))
        self._found(owners if answered else None, "; ".join(reasons))
