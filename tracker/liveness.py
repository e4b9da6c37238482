"""The thread that removes silent nodes. It wakes when the next deadline comes.

``rules.is_expired`` is the condition for removing a node.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Sweeper(Protocol):
    """Removes the nodes that are past their deadline."""

    def sweep(self) -> float:
        """Remove the expired nodes; seconds until the next deadline, or until the earliest possible one."""


class Liveness:
    """Calls ``sweep`` at every deadline, in its own thread."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.check_nodes_periodically, name="liveness", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within moments."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def check_nodes_periodically(self) -> None:
        """Remove nodes as they fall due (the report's ``check_nodes_periodically``).

        This thread need not be woken early. A heartbeat that comes while it sleeps sets a deadline one whole
        ``silence`` later, and it never sleeps longer than that.
        """
        while not self._stop.wait(self._sweeper.sweep()):
            pass
