"""The runs, their links and their order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import machine, theirs
from bench.content import BenchContent, make_content
from bench.network import counting, ours, tcp
from bench.network import theirs as others
from bench.network.records import MeasuredFlow, TransferPlan, TransferRun, Wire
from bench.network.scenarios import LinkScenario
from bench.processes import BenchError

CONTENDERS = ("ours", "tcp-cubic", "tcp-bbr", "quic-cubic", "libtorrent-tcp", "libtorrent-utp")
THEIR_LIMIT = 20.0  # seconds after which what libtorrent has is taken for its rate
Move = Callable[[], "tuple[MeasuredFlow, Wire]"]


@dataclass(frozen=True)
class Wishes:
    """The request."""

    scenarios: tuple[LinkScenario, ...]
    contenders: tuple[str, ...]
    controllers: tuple[str | None, ...]  # of ours; None: the default
    owners: tuple[int, ...]  # empty: the scenario's own
    runs: int
    seed: int
    exactly: bool = True  # no more runs than that, whatever the scenario wants
    divisor: int = 1  # of sizes
    limit: float | None = None  # seconds; None: the scenario's own


class NetworkBench:
    """One run of the bench. ``runs`` grows as it goes on."""

    def __init__(self, wishes: Wishes, say: Callable[[str], None]) -> None:
        self.runs: list[TransferRun] = []
        self.skipped: list[str] = []
        self.folder = machine.ram_folder(1 << 29) or Path(tempfile.gettempdir())
        self._wishes = wishes
        self._say = say
        self._contenders = [who for who in wishes.contenders if not self._missing(who)]

    def _missing(self, who: str) -> bool:
        reason = ""
        if who.startswith("libtorrent") and not theirs.installed():
            reason = "libtorrent is not installed (make interop)"
        elif who.startswith("tcp"):
            reason = tcp.missing(who.partition("-")[2])
        elif who.startswith("quic"):
            reason = tcp.no_quic()
        if reason:
            self.skipped.append(f"{who}: {reason}")
        return bool(reason)

    def run(self) -> None:
        """Everything; the contenders take turns, so that all meet the machine in the same states."""
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self.folder) as name:
            for scenario in self._wishes.scenarios:
                content = make_content(Path(name), scenario.size // self._wishes.divisor)
                for number in range(self._runs(scenario)):
                    for owners in self._wishes.owners or scenario.owners:
                        self._turn(scenario, content, owners, number)
                content.path.unlink()

    def _runs(self, scenario: LinkScenario) -> int:
        usual = self._wishes.runs
        return usual if self._wishes.exactly else max(usual, scenario.runs)

    def _turn(self, scenario: LinkScenario, content: BenchContent, owners: int, number: int) -> None:
        seed = self._wishes.seed + number
        for contender, move in self._moves(scenario, content, owners, seed, number):
            run = TransferRun(scenario.name, contender, owners, seed, *_tried(move))
            self.runs.append(run)
            self._say(line(run))

    def _moves(
        self, scenario: LinkScenario, content: BenchContent, owners: int, seed: int, number: int
    ) -> Iterator[tuple[str, Move]]:
        links, limit = scenario.links(owners), self._wishes.limit or scenario.limit
        folder = content.path.parent
        their_plan = TransferPlan(links, seed, THEIR_LIMIT)
        for who in self._contenders:
            transport, _, how = who.partition("-")
            if who == "ours":
                for controller in self._wishes.controllers:
                    plan = TransferPlan(links, seed, limit, controller, scenario.rival)
                    name = f"ours {controller}" if controller else "ours"
                    yield name, partial(ours.move, folder, content, owners, plan)
            elif not scenario.baselines or number >= self._wishes.runs:
                continue
            elif transport in ("tcp", "quic"):
                quic = transport == "quic"
                yield f"{transport.upper()} {how}", partial(others.stream, how, owners, their_plan, quic)
            else:
                name = f"libtorrent {'uTP' if how == 'utp' else 'TCP'}"
                yield name, partial(others.libtorrent, folder, content, owners, how == "utp", their_plan)


def _tried(move: Move) -> tuple[MeasuredFlow, Wire]:
    """Make the move. A program that fails costs only this run, which is reported and judged as not done."""
    try:
        return move()
    except BenchError as error:
        return MeasuredFlow(0, 0.0, False, str(error)), Wire(0, 0, 0)


def line(run: TransferRun) -> str:
    """A run in one line."""
    flow = run.flow
    parts = [f"{run.scenario}, {run.owners}: {run.contender}: {run.rate:.2f} Mb/s"]
    if not flow.done:
        parts.append(f"not done: {flow.reason}")
    if run.contender.startswith("ours") and flow.size:
        parts.append(f"wire {counting.on_wire(run):.2f}")
        parts.append(f"redundant {counting.redundant(run):.1%}")
        parts.append(f"gap {flow.gap:.2f} s")
    if flow.note:
        parts.append(flow.note)
    if run.wire.late > counting.TOO_LATE:
        parts.append(f"emulator late {run.wire.late:.1%}")
    return ", ".join(parts)
