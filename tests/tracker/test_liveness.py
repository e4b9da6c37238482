"""The sweeping thread: it sweeps on time, sleeps until then, and ends at once."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from common.errors import StorageUnreachable
from common.messages import Own, OwnedFile, Register
from tracker import liveness as module
from tracker.liveness import Liveness
from tracker.model import Counts, Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage

PATIENCE = 20.0  # seconds


class SweepScript:
    """Sweeps that return the given waits, and are counted."""

    def __init__(self, *waits: float) -> None:
        self.waits = list(waits)
        self.swept: queue.Queue[float] = queue.Queue()

    def sweep(self) -> float:
        self.swept.put(time.monotonic())
        return self.waits.pop(0)


def test_it_sweeps_at_once_and_then_whenever_it_was_told_to() -> None:
    script = SweepScript(0.0, 0.05, 1000.0)
    liveness = Liveness(script)
    liveness.start()
    times = [script.swept.get(timeout=PATIENCE) for _ in range(3)]
    assert times[2] - times[1] >= 0.04
    liveness.stop()
    assert not any(
        thread.name == "liveness" and thread is liveness._thread for thread in threading.enumerate()
    )


def test_a_silent_node_goes_by_itself_while_one_that_calls_stays() -> None:
    rules = Rules(silence=1.0, interval=0.5)
    storage = MemoryStorage(rules)
    service = TrackerService(storage, rules)
    liveness = Liveness(service)
    liveness.start()
    service.add_file_owner(Own(1, ("127.0.0.1", 4001), (OwnedFile("f"),)))
    caller = Register(2, ("127.0.0.1", 4002))
    service.register_node(caller)
    deadline = time.monotonic() + PATIENCE
    while any(node.node_id == 1 for node in storage.nodes(10)):
        assert time.monotonic() < deadline
        assert service.register_node(caller)["known"]
        time.sleep(0.02)
    liveness.stop()
    assert storage.counts() == Counts(nodes=1)


def test_a_storage_that_is_away_is_tried_again_and_any_other_error_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    errors: list[Exception] = [StorageUnreachable("away"), ZeroDivisionError("a bug")]
    reported: queue.Queue[Exception] = queue.Queue()

    class Failing:
        def sweep(self) -> float:
            raise errors.pop(0)

    liveness = Liveness(Failing(), reported.put)
    liveness.start()
    assert isinstance(reported.get(timeout=PATIENCE), ZeroDivisionError)
    liveness.stop()


def test_stop_without_start_is_harmless() -> None:
    Liveness(SweepScript()).stop()
