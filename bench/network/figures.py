"""From runs over emulated links to judged figures. Pure.

The median of the runs counts. A transfer of ours that was not done counts as nothing at all, where more is
better.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.judging import Bound, Figure
from bench.network import counting
from bench.network.records import TransferRun
from bench.network.scenarios import LinkScenario

STALL = 1.0  # seconds without a byte more
SHARE = {"ours ledbat": 0.85}  # min part of the link that a competing TCP flow keeps, by our controller
USUAL_SHARE = 0.4
FAIR = {"ours cubic": 0.9}  # Jain's index, at least
REFERENCE = "TCP cubic"
OURS = "ours"
Number = Callable[[TransferRun], "float | None"]


def figures(runs: Sequence[TransferRun], scenarios: Iterable[LinkScenario]) -> list[Figure]:
    """Every figure that the runs allow, in the scenarios' order."""
    rows: list[Figure] = []
    for scenario in scenarios:
        these = [run for run in runs if run.scenario == scenario.name]
        for owners in sorted({run.owners for run in these}):
            rows += _rows(scenario, owners, [run for run in these if run.owners == owners])
    return rows


def _rows(scenario: LinkScenario, owners: int, runs: Sequence[TransferRun]) -> Iterator[Figure]:
    by: dict[str, list[TransferRun]] = {}
    for run in runs:
        by.setdefault(run.contender, []).append(run)
    title = f"{scenario.about}, {owners} owner{'s'[: owners != 1]}"
    theirs = {name: them for name, them in by.items() if name.split()[0] != OURS}
    if theirs.keys() == by.keys():
        for name, them in theirs.items():
            yield Figure(f"{title}: {name}", _rate(them), "Mb/s", note=_notes(them))
    for name in by:
        if name in theirs:
            continue
        if scenario.rival:
            yield from _fairness(f"{title}: {name}", name, by[name], scenario)
        else:
            yield from _transfer(f"{title}: {name}", by[name], scenario, theirs)
        yield _evenness(by[name], scenario)


def _transfer(
    title: str, runs: Sequence[TransferRun], scenario: LinkScenario, theirs: dict[str, list[TransferRun]]
) -> Iterator[Figure]:
    """How fast, and at what price."""
    reference = REFERENCE if REFERENCE in theirs else ""
    bounds = _at_least(dict(scenario.required).get(runs[0].owners))
    value = _median(_if_done(lambda run: run.rate), runs)
    note = _beside(theirs, runs)
    yield Figure(title, value, "Mb/s", reference, _rate(theirs.get(REFERENCE, [])), bounds, note)
    for name, number, limit in _parts(scenario):
        if limit is not None:
            yield Figure(f"  {name}", _median(_if_done(number), runs), "", bounds=_at_least(limit))
    moved = [run for run in runs if run.flow.size]
    limit = None if scenario.wire is None else scenario.wire / (1 - scenario.loss)
    yield Figure("  on the wire ÷ file", _median(counting.on_wire, moved), "", bounds=_at_most(limit))
    limit = scenario.redundant
    yield Figure("  redundant payload", _median(counting.redundant, moved), "", bounds=_at_most(limit))


def _parts(scenario: LinkScenario) -> tuple[tuple[str, Number, float | None], ...]:
    """The figures that are parts of a reference: name, number, bound (None: not judged)."""
    return (
        ("of what the link offered", lambda run: counting.of_link(run, scenario), scenario.of_link),
        (
            f"of the payload rate after {counting.WARM_UP:g} s",
            lambda run: counting.steady(run, scenario),
            scenario.steady,
        ),
        (
            f"of the rate, {counting.RECOVERY:g} s after it is back",
            lambda run: counting.back(run, scenario),
            scenario.back,
        ),
    )


def _fairness(title: str, name: str, runs: Sequence[TransferRun], scenario: LinkScenario) -> Iterator[Figure]:
    """How the link is shared with a TCP cubic flow."""
    yield Figure(title, _median(lambda run: run.rate, runs), "Mb/s")
    share = None if name in FAIR else SHARE.get(name, USUAL_SHARE)
    value = _median(lambda run: counting.tcp_share(run, scenario) or 0.0, runs)
    yield Figure("  of the link that TCP keeps", value, "", bounds=_at_least(share))
    yield Figure(
        "  Jain's index",
        _median(lambda run: counting.jain(run) or 0.0, runs),
        "",
        bounds=_at_least(FAIR.get(name)),
    )


def _evenness(runs: Sequence[TransferRun], scenario: LinkScenario) -> Figure:
    """The longest silence of all runs, not the median."""
    limit = STALL if scenario.even else None
    gap = max(run.flow.gap for run in runs)
    return Figure("  longest without progress", gap, "s", bounds=_at_most(limit), note=f"of {len(runs)}")


def _beside(theirs: dict[str, list[TransferRun]], ours: Sequence[TransferRun]) -> str:
    """Rates of other programs, and how many of our transfers were not done."""
    others = [f"{name} {_rate(them) or 0:.1f}" for name, them in theirs.items() if name != REFERENCE]
    unfinished = sum(not run.flow.done for run in ours)
    if unfinished:
        others.append(f"{unfinished} of {len(ours)} not done")
    late = sum(run.wire.late > counting.TOO_LATE for run in ours)
    if late:
        others.append(f"emulator late in {late}")
    return "; ".join(others)


def _notes(runs: Sequence[TransferRun]) -> str:
    return "; ".join(dict.fromkeys(run.flow.note or run.flow.reason for run in runs))


def _rate(runs: Sequence[TransferRun]) -> float | None:
    """Median rate of other programs. They run for a stated time, so the bytes carried count."""
    return _median(lambda run: run.rate, runs)


def _if_done(number: Number) -> Number:
    return lambda run: number(run) if run.flow.done else 0.0


def _median(number: Number, runs: Iterable[TransferRun]) -> float | None:
    known = [value for value in map(number, runs) if value is not None]
    return statistics.median(known) if known else None


def _at_least(limit: float | None) -> tuple[Bound, ...]:
    return () if limit is None else (Bound("value", True, limit),)


def _at_most(limit: float | None) -> tuple[Bound, ...]:
    return () if limit is None else (Bound("value", False, limit),)
