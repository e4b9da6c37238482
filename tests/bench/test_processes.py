"""Child processes always end, and their usage is known."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from bench.interrupts import uninterrupted
from bench.processes import BenchError, Child, Children

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True);"
    "time.sleep(600)"
)
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals or usage")


def start(children: Children, code: str, patience: float = 60.0) -> Child:
    return children.start(["-c", code], patience)


def gone(child: Child) -> bool:
    try:
        os.kill(child.pid, 0)
    except ProcessLookupError:
        return True
    return False


@posix_only
def test_usage_is_that_of_the_child() -> None:
    code = "import time\nx = bytearray(150 << 20)\nwhile time.process_time() < 0.2: pass"
    with Children({}) as children:
        used = start(children, code).finish()
    assert used.cpu_seconds is not None and 0.2 <= used.cpu_seconds < 10
    assert used.peak_rss is not None and 150 << 20 <= used.peak_rss < 1 << 30


def test_lines_and_events_and_the_environment() -> None:
    code = "import json, os; print(json.dumps({'event': 'other'}));"
    code += "print(json.dumps({'event': 'x', 'y': os.environ['Y']}))"
    with Children({"Y": "7"}) as children:
        child = start(children, code)
        assert child.event("x") == {"event": "x", "y": "7"}
        child.finish()


def test_who_ends_early_is_named_with_what_it_complained_of() -> None:
    with Children({}) as children:
        child = start(children, "raise SystemExit('no such luck')")
        with pytest.raises(BenchError, match="ended early: no such luck"):
            child.line()
        with pytest.raises(BenchError, match="exit code 1"):
            child.finish()


def test_a_reported_failure_is_told() -> None:
    with Children({}) as children:
        child = start(children, """print('{"event": "failed", "reason": "nobody has it"}')""")
        with pytest.raises(BenchError, match="nobody has it"):
            child.event("completed")


def test_nothing_is_waited_for_past_its_deadline() -> None:
    with Children({}) as children:
        child = start(children, "import time; time.sleep(600)", patience=0.2)
        with pytest.raises(BenchError, match="no news"):
            child.line()
        with pytest.raises(BenchError, match="does not end"):
            child.finish()


@posix_only
def test_all_are_ended_when_the_work_is_interrupted() -> None:
    started: list[Child] = []
    with pytest.raises(KeyboardInterrupt), Children({}) as children:
        started += [start(children, "import time; time.sleep(600)") for _ in range(2)]
        raise KeyboardInterrupt
    assert all(gone(child) for child in started)


@posix_only
def test_who_ignores_being_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.processes.STOP_LIMIT", 0.2)
    begun = time.monotonic()
    with Children({}) as children:
        child = start(children, STUBBORN)
        assert child.line() == "ready"
    assert gone(child)
    assert time.monotonic() - begun < 30


def test_input_ends_when_asked() -> None:
    with Children({}) as children:
        child = start(children, "import sys; print(len(sys.stdin.read()))")
        child.end_input()
        assert child.line() == "0"
        child.finish()


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_put_off_not_lost(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    done = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), number)
        time.sleep(0)  # where a handler would run
        done = True
    assert done
    assert signal.getsignal(number) is before
