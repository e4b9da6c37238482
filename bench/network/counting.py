"""The numbers of one run over an emulated link. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.network.emulator import BIN
from bench.network.packets import UDP_HEADERS
from bench.network.records import TransferRun
from bench.network.scenarios import MBIT, LinkScenario
from faults.rates import Rates
from node.chunk_udp.wire import HEADER_SIZE

MTU = 1500
PAYLOAD = (MTU - UDP_HEADERS - HEADER_SIZE) / MTU  # part of a link's rate that can be bytes of file
WARM_UP = 3.0  # seconds
RECOVERY = 2.0  # seconds
TOO_LATE = 0.01  # max part of packets that the emulator delivers late in a run that counts
TELLING = 1.0  # min seconds over which a rate is meaningful


def on_wire(run: TransferRun) -> float:
    """Bytes of all packets, both ways and before anything was lost, ÷ bytes of the file."""
    return (run.wire.down + run.wire.up) / run.flow.size


def redundant(run: TransferRun) -> float:
    """Payload that arrived whole and was not needed ÷ the file, without the network's own duplicates."""
    return max(0.0, run.wire.payload / run.flow.size - 1)


def of_link(run: TransferRun, scenario: LinkScenario) -> float:
    """The file ÷ what the link could carry meanwhile, headers and all, less what chance and outages took."""
    access = scenario.access
    begun, ended = run.flow.begun, run.flow.begun + run.flow.seconds
    offered = Rates(access.rate or 0.0, access.rates).passing(begun, ended) if access.rate else 0.0
    if access.outage:
        offered *= 1 - access.outage / access.outage_every
    return run.flow.size / (offered * (1 - scenario.loss)) if offered else 0.0


def steady(run: TransferRun, scenario: LinkScenario) -> float | None:
    """Of the payload that the link can carry, from WARM_UP after the first byte on."""
    series = run.wire.series["payload"]
    first = next((at for at, size in enumerate(series) if size), None)
    if first is None or scenario.access.rate is None:
        return None
    return _between(series, first * BIN + WARM_UP, (len(series) - 1) * BIN, scenario.access.rate * PAYLOAD)


def back(run: TransferRun, scenario: LinkScenario) -> float | None:
    """Of the link's rate, from RECOVERY after each return of the link; the worst of them."""
    series = run.wire.series["payload"]
    end = (len(series) - 1) * BIN
    parts = [
        _between(series, begins + RECOVERY, min(ends, end), scenario.access.rate or 0.0)
        for begins, ends in scenario.returns
        if end - begins - RECOVERY > TELLING
    ]
    return min((part for part in parts if part is not None), default=None)


def _between(series: Sequence[int], begins: float, ends: float, rate: float) -> float | None:
    """Bytes of ``series`` between two times ÷ what ``rate`` would have been; None without any time."""
    these = series[round(begins / BIN) : round(ends / BIN)]
    return sum(these) / (len(these) * BIN * rate) if these and rate else None


def _together(run: TransferRun) -> tuple[int, int, int]:
    """Bytes of the competing TCP flow, of ours, and tenths of a second, while both were there."""
    ours, theirs = run.wire.series["udp"], run.wire.series["tcp"]
    first, last = round(run.flow.begun / BIN), round((run.flow.begun + run.flow.seconds) / BIN)
    return sum(theirs[first:last]), sum(ours[first:last]), last - first


def tcp_share(run: TransferRun, scenario: LinkScenario) -> float | None:
    """TCP's part of the link's rate during our transfer; headers count."""
    theirs, _, bins = _together(run)
    return theirs / (bins * BIN * (scenario.access.rate or MBIT)) if bins > 0 else None


def jain(run: TransferRun) -> float | None:
    """Jain's fairness index of the two: 1 if they share evenly, 0.5 if one has everything."""
    theirs, ours, _ = _together(run)
    return (theirs + ours) ** 2 / (2 * (theirs**2 + ours**2)) if theirs + ours else None
