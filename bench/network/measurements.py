"""What is run over which links, in which order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import machine
from bench.content import Content, make_content
from bench.network import ours, theirs
from bench.network.records import Flow, Run, Wire
from bench.network.scenarios import Scenario

CONTENDERS = ("ours", "tcp-cubic", "tcp-bbr")
Move = Callable[[], "tuple[Flow, Wire]"]


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    scenarios: tuple[Scenario, ...]
    contenders: tuple[str, ...]
    controllers: tuple[str | None, ...]  # of ours; None: the default
    owners: tuple[int, ...]  # empty: as the scenario says
    runs: int
    seed: int
    divisor: int  # of sizes


class Bench:
    """One run of the bench. ``runs`` grows as it goes on."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.runs: list[Run] = []
        self.skipped: list[str] = []
        self._plan = plan
        self._say = say

    def run(self) -> None:
        """Everything; the contenders take turns, so that all meet the machine in the same states."""
        fast = machine.ram_folder(1 << 28) or Path(tempfile.gettempdir())
        with tempfile.TemporaryDirectory(prefix="bench-", dir=fast) as name:
            for scenario in self._plan.scenarios:
                content = make_content(Path(name), scenario.size // self._plan.divisor)
                for seed in range(self._plan.seed, self._plan.seed + self._plan.runs):
                    self._turn(scenario, content, Path(name), seed)

    def _turn(self, scenario: Scenario, content: Content, folder: Path, seed: int) -> None:
        for owners in self._plan.owners or scenario.owners:
            for contender, move in self._moves(scenario, content, folder, owners, seed):
                run = Run(scenario.name, contender, owners, seed, *move())
                self.runs.append(run)
                self._say(line(run))

    def _moves(
        self, scenario: Scenario, content: Content, folder: Path, owners: int, seed: int
    ) -> Iterator[tuple[str, Move]]:
        links = scenario.links(owners)
        for who in self._plan.contenders:
            if who == "ours":
                for controller in self._plan.controllers:
                    plan = ours.Plan(links, seed, scenario.limit, controller)
                    name = f"ours {controller}" if controller else "ours"
                    yield name, partial(ours.move, folder, content, owners, plan)
            else:
                control = who.partition("-")[2]
                plan = ours.Plan(links, seed, scenario.limit)
                yield f"TCP {control}", partial(theirs.tcp, control, owners, plan)


def line(run: Run) -> str:
    """A run in one line."""
    flow, wire = run.flow, run.wire
    parts = [f"{run.scenario}, {run.owners}: {run.contender}: {run.rate:.2f} Mb/s"]
    if not flow.done:
        parts.append(f"DNF ({flow.reason})")
    if run.contender.startswith("ours") and flow.size:
        parts.append(f"wire {(wire.down + wire.up) / flow.size:.2f}")
        parts.append(f"redundant {wire.payload / flow.size - 1:.1%}")
        parts.append(f"gap {flow.gap:.2f} s")
    if wire.late > 0.01:
        parts.append(f"emulator late {wire.late:.1%}")
    return ", ".join(parts)
