"""docs/transport.md agrees with the code: states, phases, times, and an example that runs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from common.errors import PeerFault
from faults.link import LinkFaults
from node.chunk_udp import congestion, wire
from node.chunk_udp.congestion.base import CongestionController
from node.chunk_udp.congestion.bbr import PACING_GAINS, Bbr, Phase
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig
from simulator import plot
from simulator.clock import Clock
from simulator.dumbbell import Dumbbell, Supply, shared_path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "transport.md").read_text(encoding="utf-8")
MEGABIT = 125_000  # bytes


def tables() -> Iterator[list[list[str]]]:
    """Every table of the document: its heading, then its rows."""
    rows: list[list[str]] = []
    for line in [*DOCUMENT.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column is headed ``heading``."""
    (found,) = (rows for rows in tables() if rows[0][0] == heading)
    return found[1:]


# ---- names


def test_what_is_named_is_where_the_page_says() -> None:
    named = re.findall(r"`(\w+)` in\s+\[[^\]]*\]\(\.\./(node/[\w/]+)\.py\)", DOCUMENT)
    assert len(named) >= 8
    for name, module in named:
        assert hasattr(importlib.import_module(module.replace("/", ".")), name), f"{name} is not in {module}"


# ---- the states of a connection


class AnsweredConnection(FetchConnection):
    """A connection that takes answers to whatever it asked."""

    def answer(self, message: Callable[[int], wire.Message]) -> None:
        sequences = [wire.decode(datagram).sequence for datagram in self.datagrams_to_send()]
        self.datagram_received(wire.encode(message(sequences[-1] if sequences else 1)), self.now)

    now = 0.0


def token(sequence: int) -> wire.Message:
    return wire.Token(7, sequence, b"t" * wire.TOKEN_SIZE)


def tell(sequence: int) -> wire.Message:
    return wire.Tell(7, sequence, 1 << 20, False)


def refuse(reason: wire.Refusal) -> Callable[[int], wire.Message]:
    return lambda sequence: wire.Refuse(7, sequence, reason, 1)


def connection_in(state: ConnectionState) -> AnsweredConnection:
    """A connection in ``state`` that awaits an answer, if it can."""
    connection = AnsweredConnection(
        ConnectionConfig(b"h" * 20, 7, 1200, 1 << 20, 2.0), congestion.make_controller("reno", 1200), 0.0
    )
    way: dict[ConnectionState, tuple[Callable[[int], wire.Message], ...]] = {
        ConnectionState.VALIDATING: (),
        ConnectionState.ASKING: (token,),
        ConnectionState.FETCHING: (token, tell),
        ConnectionState.QUEUED: (token, refuse(wire.Refusal.BUSY)),
        ConnectionState.CLOSED: (token, tell),
    }
    for message in way[state]:
        connection.answer(message)
    if state is ConnectionState.CLOSED:
        connection.unreceived()
    assert connection.state is state
    if state is ConnectionState.FETCHING:
        connection.request(0, 1200, connection.now)
        connection.poll_have(connection.now)
    return connection


def let_time_pass(connection: AnsweredConnection) -> None:
    for _ in range(100):
        timer = connection.next_timer()
        before = connection.state
        if timer is None or timer > 60:
            return
        connection.on_timer(timer)
        if connection.state is not before:
            return
    raise AssertionError("timers spin")


EVENTS: dict[str, Callable[[AnsweredConnection], object]] = {
    "TOKEN": lambda connection: connection.answer(token),
    "TELL": lambda connection: connection.answer(tell),
    "BUSY": lambda connection: connection.answer(refuse(wire.Refusal.BUSY)),
    "another REFUSE": lambda connection: connection.answer(refuse(wire.Refusal.CHANGED)),
    "silence": let_time_pass,
    "unreceived()": lambda connection: connection.unreceived(),
}


def after(state: ConnectionState, event: str) -> str:
    connection = connection_in(state)
    stale = connection.stats.stale
    try:
        EVENTS[event](connection)
    except PeerFault:
        return "fault"
    return "" if connection.stats.stale > stale else connection.state.name


def test_the_table_of_states_is_what_the_connection_does() -> None:
    (rows,) = (rows for rows in tables() if rows[0][0] == "state")
    events = rows[0][1:]
    assert events == list(EVENTS)
    assert [row[0] for row in rows[1:]] == [state.name for state in ConnectionState]
    for name, *cells in rows[1:]:
        assert {event: after(ConnectionState[name], event) for event in events} == dict(
            zip(events, cells, strict=True)
        ), name


def test_the_drawing_has_every_state_and_every_phase() -> None:
    fences = re.findall(r"```\n(.*?)```", DOCUMENT, re.DOTALL)
    states, phases = (next(text for text in fences if word in text) for word in ("QUEUED", "STARTUP"))
    assert set(re.findall(r"\b[A-Z]{6,}\b", states)) - {"TOKEN"} == {state.name for state in ConnectionState}
    assert {phase.name for phase in Phase} <= set(re.findall(r"\b[A-Z]+\b", phases))


# ---- the phases of bbr


def test_the_table_of_phases_is_what_bbr_does(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table("phase")
    assert {row[0]: float(row[1]) for row in rows} == {
        phase.name: gain for phase, gain in PACING_GAINS.items()
    }
    told = {(row[0], to) for row in rows for to in row[2].split(", ")}
    seen: set[tuple[str, str]] = set()

    def follow(self: Bbr, name: str, value: object) -> None:
        if name == "phase" and value is not getattr(self, "phase", value) and isinstance(value, Phase):
            seen.add((self.phase.name, value.name))
        object.__setattr__(self, name, value)

    monkeypatch.setattr(Bbr, "__setattr__", follow)
    rising = LinkFaults(rate=MEGABIT, delay=0.02, queue=100_000, rates=((2, 10 * MEGABIT),))
    losing = LinkFaults(rate=10 * MEGABIT, delay=0.02, queue=50_000, loss=0.1)
    for faults, owners, seconds in ((rising, 1, 5), (losing, 3, 10), (losing, 1, 10)):
        clock = Clock()
        bell, path = Dumbbell(clock, Supply(1 << 30)), shared_path(faults, seed=1)
        for turn in range(owners):
            bell.add(path, "bbr", 0.01 * turn)
        clock.run_until(lambda clock=clock, end=seconds: clock.now >= end, 60.0, 1_000_000)  # type: ignore[misc]
    assert seen <= told
    assert told - seen <= {("UP", "DOWN")}  # takes a few milliseconds; another flow begins the rest


# ---- the life of a segment


def test_the_story_of_a_segment_keeps_to_its_times() -> None:
    clock = Clock()
    bell = Dumbbell(clock, Supply(10_000_000))
    path = shared_path(LinkFaults(rate=20 * MEGABIT, delay=0.025, queue=125_000), seed=1)
    flow = bell.add(path, "bbr")
    when: dict[str, float] = {}

    def watch() -> None:
        states = {"TOKEN": ConnectionState.ASKING, "TELL": ConnectionState.FETCHING}
        for name, state in states.items():
            if flow.connection.state is state:
                when.setdefault(name, clock.now)
        if flow.arrived:
            when.setdefault("DATA", flow.arrivals[0][0])
        clock.at(clock.now + 0.0005, watch)

    watch()
    clock.run_until(lambda: len(when) == 3, 2.0, 100_000)
    for name, event in (("TOKEN", "TOKEN."), ("TELL", "TELL:"), ("DATA", "DATA is here")):
        (told,) = (float(at) / 1000 for at, what in table("at") if what.startswith(event))
        assert when[name] == pytest.approx(told, abs=0.0011), name


# ---- the example


@pytest.fixture
def vegas(monkeypatch: pytest.MonkeyPatch) -> type[CongestionController]:
    """The document's controller, where -cc would find it."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 40
    module = types.ModuleType("vegas")
    exec(compile(code, "docs/transport.md", "exec"), module.__dict__)
    controller: type[CongestionController] = module.__dict__["Vegas"]
    monkeypatch.setitem(congestion.CONTROLLERS, "vegas", controller)
    return controller


def contract() -> dict[str, Callable[..., Any]]:
    """The contract suite's tests that take any controller's name."""
    path = ROOT / "tests" / "node" / "chunk_udp" / "test_congestion.py"
    spec = importlib.util.spec_from_file_location("contract_for_controllers", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_")
        and any(mark.args[0] == "name" for mark in getattr(value, "pytestmark", ()))
    }


CONTRACT = contract()


@pytest.mark.parametrize("obligation", sorted(CONTRACT))
def test_the_example_keeps_the_contract(obligation: str, vegas: type[CongestionController]) -> None:
    test = CONTRACT[obligation]
    assert "name" in inspect.signature(test).parameters
    test(name="vegas")


def test_the_example_fills_a_link_and_loses_next_to_nothing(vegas: type[CongestionController]) -> None:
    clock = Clock()
    bell = Dumbbell(clock, Supply(4_000_000))
    path = shared_path(LinkFaults(rate=10 * MEGABIT, delay=0.025, queue=62_500), seed=1)
    bell.add(path, "vegas")
    clock.run_until(lambda: bell.supply.done, 10.0, 1_000_000)
    arrivals = [size for at, size in bell.flows[0].arrivals if at >= 1]
    assert sum(arrivals) / (clock.now - 1) >= 0.9 * 10 * MEGABIT * 1440 / 1500
    assert path.down.counters.overflowed < 0.01 * path.down.counters.sent


# ---- the picture


def test_the_picture_draws_every_controller() -> None:
    text = (ROOT / "docs" / "images" / "congestion.svg").read_text(encoding="utf-8")
    names = {element.text for element in ElementTree.fromstring(text).iter() if element.get("font-weight")}
    assert names == set(congestion.CONTROLLERS)


def test_a_picture_is_the_same_each_time() -> None:
    pictures = {plot.draw({"cubic": plot.course("cubic", 1.0, 0.5)}, 1.0, 0.5) for _ in range(2)}
    assert len(pictures) == 1
    ElementTree.fromstring(pictures.pop())
