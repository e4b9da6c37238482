"""From runs over emulated links to judged figures. Pure.

The median of the runs counts; a transfer of ours that was not done counts as none at all.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.judging import Bound, Figure
from bench.network.emulator import BIN
from bench.network.packets import UDP_HEADERS
from bench.network.records import Run
from bench.network.scenarios import MBIT, Scenario
from faults.rates import Rates
from node.chunk_udp.wire import HEADER_SIZE

MTU = 1500
PAYLOAD = (MTU - UDP_HEADERS - HEADER_SIZE) / MTU  # part of a link's rate that can be bytes of file
WARM_UP = 3.0  # seconds
RECOVERY = 2.0  # seconds
STALL = 1.0  # seconds without a byte more
SHARE = {"ours ledbat": 0.85}  # of the link that TCP keeps beside us, at least; by controller
USUAL_SHARE = 0.4
FAIR = {"ours cubic": 0.9}  # Jain's index, at least
REFERENCE = "TCP cubic"
OURS = "ours"


def figures(runs: Sequence[Run], scenarios: Iterable[Scenario]) -> list[Figure]:
    """Every figure that can be told, in the scenarios' order."""
    rows: list[Figure] = []
    for scenario in scenarios:
        these = [run for run in runs if run.scenario == scenario.name]
        for owners in sorted({run.owners for run in these}):
            rows += _rows(scenario, owners, [run for run in these if run.owners == owners])
    return rows


def _rows(scenario: Scenario, owners: int, runs: Sequence[Run]) -> Iterator[Figure]:
    by: dict[str, list[Run]] = {}
    for run in runs:
        by.setdefault(run.contender, []).append(run)
    theirs = {name: _median(run.rate for run in them) for name, them in by.items() if not _is_ours(name)}
    for name, ours in by.items():
        if _is_ours(name):
            title = f"{scenario.about}, {owners} owner{'s'[: owners != 1]}: {name}"
            yield from (
                _fairness(title, name, ours, scenario)
                if scenario.rival
                else _rate(title, ours, scenario, theirs)
            )
            yield from _quality(ours, scenario)
    if not any(map(_is_ours, by)):
        for name, value in theirs.items():
            yield Figure(f"{scenario.about}, {owners}: {name}", value, "Mb/s", note=_notes(by[name]))


def _is_ours(contender: str) -> bool:
    return contender.split()[0] == OURS


def _rate(
    title: str, runs: Sequence[Run], scenario: Scenario, theirs: dict[str, float | None]
) -> Iterator[Figure]:
    """File bits a second, from the first request until the last piece is verified."""
    required = dict(scenario.required).get(runs[0].owners)
    bounds = () if required is None else (Bound("value", True, required),)
    value = _median(run.rate if run.flow.done else 0.0 for run in runs)
    others = [f"{name} {rate:.1f}" for name, rate in theirs.items() if name != REFERENCE and rate is not None]
    unfinished = sum(not run.flow.done for run in runs)
    note = "; ".join([*others, *([f"{unfinished} of {len(runs)} not done"] if unfinished else [])])
    reference = REFERENCE if theirs.get(REFERENCE) is not None else ""
    yield Figure(title, value, "Mb/s", reference, theirs.get(REFERENCE), bounds, note)


def _quality(runs: Sequence[Run], scenario: Scenario) -> Iterator[Figure]:
    done = [run for run in runs if run.flow.done]
    for name, of, limit, at_least in (
        ("  of what the link offered", lambda run: of_link(run, scenario), scenario.of_link, True),
        (
            f"  of the payload rate after {WARM_UP:g} s",
            lambda run: steady(run, scenario),
            scenario.steady,
            True,
        ),
        (f"  of the rate, {RECOVERY:g} s after", lambda run: back(run, scenario), scenario.back, True),
    ):
        if limit is not None:
            yield _figure(name, done, of, "", limit, at_least)
    if scenario.wire is not None:
        yield _figure("  on the wire ÷ file", done, on_wire, "", scenario.wire / (1 - scenario.loss), False)
    yield _figure("  redundant payload", done, redundant, "", scenario.redundant, False)
    gap = max((run.flow.gap for run in runs), default=None)
    stall = (Bound("value", False, STALL),) if scenario.even else ()
    yield Figure("  longest without progress", gap, "s", bounds=stall, note=f"of {len(runs)} runs")


def _figure(
    name: str,
    runs: Sequence[Run],
    of: Callable[[Run], float | None],
    unit: str,
    limit: float | None,
    at_least: bool,
) -> Figure:
    bounds = () if limit is None else (Bound("value", at_least, limit),)
    return Figure(name, _median(map(of, runs)), unit, bounds=bounds)


def _fairness(title: str, name: str, runs: Sequence[Run], scenario: Scenario) -> Iterator[Figure]:
    yield Figure(title, _median(run.rate for run in runs), "Mb/s")
    share = Bound("value", True, SHARE.get(name, USUAL_SHARE))
    bounds = () if name in FAIR else (share,)
    yield Figure(
        "  of the link that TCP keeps", _median(tcp_share(run, scenario) for run in runs), "", bounds=bounds
    )
    bounds = (Bound("value", True, FAIR[name]),) if name in FAIR else ()
    yield Figure("  Jain's index", _median(jain(run) for run in runs), "", bounds=bounds)


def _notes(runs: Sequence[Run]) -> str:
    return "; ".join(dict.fromkeys(run.flow.note or run.flow.reason for run in runs))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


# ---- one run


def on_wire(run: Run) -> float:
    """Bytes of all packets, both ways and before anything was lost, ÷ bytes of the file."""
    return (run.wire.down + run.wire.up) / run.flow.size


def redundant(run: Run) -> float:
    """Payload that arrived whole and was not needed ÷ the file; what the network doubled is not counted."""
    return max(0.0, run.wire.payload / run.flow.size - 1)


def of_link(run: Run, scenario: Scenario) -> float:
    """The file ÷ what the link could carry meanwhile, headers and all, less what chance and outages took."""
    access = scenario.access
    begun, ended = run.flow.begun, run.flow.begun + run.flow.seconds
    offered = Rates(access.rate or 0.0, access.rates).passing(begun, ended) if access.rate else 0.0
    if access.outage:
        offered *= 1 - access.outage / access.outage_every
    return run.flow.size / (offered * (1 - scenario.loss)) if offered else 0.0


def steady(run: Run, scenario: Scenario) -> float | None:
    """Of the payload that the link can carry, from WARM_UP after the first byte on."""
    series = run.wire.series["payload"]
    first = next((at for at, size in enumerate(series) if size), None)
    if first is None or scenario.access.rate is None:
        return None
    return _between(series, first * BIN + WARM_UP, (len(series) - 1) * BIN, scenario.access.rate * PAYLOAD)


def back(run: Run, scenario: Scenario) -> float | None:
    """Of the link's rate, from RECOVERY after each return of the link; the worst of them."""
    series = run.wire.series["payload"]
    end = (len(series) - 1) * BIN
    parts = [
        _between(series, begins + RECOVERY, min(ends, end), scenario.access.rate or 0.0)
        for begins, ends in scenario.returns
        if end - begins - RECOVERY > 1.0  # less tells nothing
    ]
    return min((part for part in parts if part is not None), default=None)


def _between(series: Sequence[int], begins: float, ends: float, rate: float) -> float | None:
    """Bytes of ``series`` between two times ÷ what ``rate`` would have been; None without any time."""
    these = series[round(begins / BIN) : round(ends / BIN)]
    return sum(these) / (len(these) * BIN * rate) if these and rate else None


def _together(run: Run) -> tuple[int, int, int]:
    """Bytes of the competing TCP flow, of ours, and tenths of a second, while both were there."""
    ours, theirs = run.wire.series["udp"], run.wire.series["tcp"]
    first, last = round(run.flow.begun / BIN), round((run.flow.begun + run.flow.seconds) / BIN)
    return sum(theirs[first:last]), sum(ours[first:last]), last - first


def tcp_share(run: Run, scenario: Scenario) -> float | None:
    """Of the link's rate, what TCP had during our transfer; headers count."""
    theirs, _, bins = _together(run)
    return theirs / (bins * BIN * (scenario.access.rate or MBIT)) if bins > 0 else None


def jain(run: Run) -> float | None:
    """Jain's fairness index of the two: 1 if they share evenly, 0.5 if one has everything."""
    theirs, ours, _ = _together(run)
    return (theirs + ours) ** 2 / (2 * (theirs**2 + ours**2)) if theirs + ours else None
