"""Calls of a user's own class that do not return: named by file and line, given up, not repeated."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from common.errors import PluginError
from node import part_calls
from node.chunk_udp.congestion.base import CongestionController
from node.plugins import load
from tests.node.own_classes import Write, controller
from tests.node.own_classes import write as write


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is given up after 0.2 s."""
    monkeypatch.setattr(part_calls, "STUCK_LIMIT", 0.2)


def test_a_call_that_does_not_return_is_given_up_and_not_repeated(write: Write) -> None:
    path = write("""
        import time

        class Mine:
            def rank(self, owners):
                while owners:
                    time.sleep(0.01)
                return owners
    """)
    plugin = load(f"{path}:Mine")
    ranking = plugin.factory()
    assert ranking.rank([]) == []
    owners = ["a"]
    says = r"mine\.py:[67]: Mine\.rank\(owners=\['a'\]\) has not returned for 0\.2 s; it is not called again"
    with pytest.raises(PluginError, match=says):
        ranking.rank(owners)
    for again in (ranking.rank, lambda owners: plugin.factory().rank(owners)):
        with pytest.raises(PluginError, match=says):
            again([])
    owners.clear()  # its thread ends


def lose(mine: CongestionController) -> tuple[threading.Thread, list[PluginError]]:
    """A thread that calls ``on_lost``, and the errors that this raises."""
    faults: list[PluginError] = []

    def call() -> None:
        try:
            mine.on_lost(1200, 0.0, 1.0)
        except PluginError as error:
            faults.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, faults


def test_a_loop_in_a_controller_is_ended_from_another_thread(write: Write) -> None:
    thread, faults = lose(controller(write, "while True: pass"))
    while thread.is_alive():
        assert part_calls.stuck_call(thread.ident) is None
        thread.join(0.01)
    assert re.search(r"mine\.py:7: Mine\.on_lost\(size=1200, .*\) has not returned for", str(faults[0]))


def test_a_controller_that_waits_in_the_system_is_found_by_its_thread(write: Write) -> None:
    mine: Any = controller(write, "self.end.wait(20)")
    mine.end = threading.Event()
    thread, faults = lose(mine)
    while (fault := part_calls.stuck_call(thread.ident)) is None:
        time.sleep(0.01)
    mine.end.set()
    thread.join()
    assert re.search(r"mine\.py:7: Mine\.on_lost\(size=1200, .*\) has not returned", str(fault))
    assert [str(each) for each in faults] == [str(fault)]
    assert part_calls.stuck_call(thread.ident) is None


def test_a_loop_at_the_top_of_the_file_is_given_up(write: Write) -> None:
    path = write("""
        import time

        ends = time.monotonic() + 2  # the thread is left behind, and must end for the tests that follow
        while time.monotonic() < ends:
            pass
    """)
    with pytest.raises(PluginError, match=r"mine\.py:[56]: import has not returned for 0\.2 s"):
        load(f"{path}:Mine")
