"""``TakeOver``: a user's part works until its first fault, and the built-in part from then on.

A run with a faulty part shows its author what the swarm does, and which line is wrong. So the download goes
on, the fault is shown once, and the program ends with an exit code of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from common.errors import PluginError
from node.part_calls import PartCalls

Result = TypeVar("Result")


class TakeOver:
    """The fate of one part. ``builtin`` names the part that takes over. May be used from any thread."""

    def __init__(self, calls: PartCalls, builtin: str) -> None:
        self.line = ""  # the first fault; "": the part works
        self.tell: Callable[[str], None] = lambda line: None  # called once, with ``line``
        self._calls = calls
        self._builtin = builtin
        self._lock = threading.Lock()
        calls.on_stuck = self._failed

    def run(self, own: Callable[[], Result], builtin: Callable[[], Result]) -> Result:
        """The result of ``own``, which may raise PluginError; of ``builtin`` from the first fault on."""
        if not self.line:
            try:
                return own()
            except PluginError as error:
                self._failed(error)
        return builtin()

    def _failed(self, error: PluginError) -> None:
        with self._lock:
            if self.line:
                return
            number = self._calls.failed_call
            which = f" (call {number:,})" if number else ""
            self.line = f"{error}{which}; the node's own {self._builtin} takes over"
        self.tell(self.line)
