"""Waking the thread of a connection."""

from __future__ import annotations

import os
import select

import pytest

from node.peer_tcp.waiting import WakeUp


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="needs eventfd")
def test_a_wake_up_that_is_cleared_half_way_is_not_left_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waiting thread may run between any two instructions of ``set``; it clears only what is flagged."""
    wake, write = WakeUp(), os.eventfd_write

    def cleared_just_before(number: int, value: int) -> None:
        if wake.is_set:
            wake.clear()
        write(number, value)

    monkeypatch.setattr(os, "eventfd_write", cleared_just_before)
    wake.set()
    assert select.select([wake], [], [], 0)[0] and wake.is_set
    wake.clear()
    assert not select.select([wake], [], [], 0)[0]
    wake.close()
