"""The raw results of one run over an emulated link, before any judgement: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.network.topology import FETCHER, Links


@dataclass(frozen=True)
class TransferPlan:
    """How one transfer is run."""

    links: Links
    seed: int
    limit: float  # seconds
    controller: str | None = None  # congestion control of ours; None: the default
    rival: bool = False  # a TCP cubic flow shares the link


@dataclass(frozen=True)
class MeasuredFlow:
    """The report of an end-to-end transfer, ours or theirs."""

    size: int  # bytes of file, or of a stream, that arrived
    seconds: float  # from first to last
    done: bool  # False: it was ended before all had arrived
    reason: str = ""  # why it was not done
    note: str = ""  # which congestion control, which version
    gap: float = 0.0  # seconds, the longest without progress
    begun: float = 0.0  # seconds since the links were set


def _empty() -> dict[str, list[int]]:
    return {"udp": [], "tcp": [], "payload": []}


@dataclass(frozen=True)
class Wire:
    """The emulator's counts since the links were set, in bytes of IP packets."""

    down: int  # sent towards the fetcher, before anything was lost
    up: int  # sent by the fetcher
    payload: int  # bytes of file of ours that arrived whole at the fetcher, network's copies not counted
    series: dict[str, list[int]] = field(default_factory=_empty)  # bytes at the fetcher in each BIN
    late: float = 0.0  # part of all packets that the emulator delivered more than 5 ms late
    busy: float = 0.0  # of one core, the emulator


def wire(counted: Mapping[str, Any]) -> Wire:
    """The wire's counts from the emulator's. If there is UDP, it is the measured protocol and TCP does not
    count."""
    stations = counted["stations"]
    fetcher = stations[FETCHER]
    others = [station["sent"] for name, station in stations.items() if name != FETCHER]
    kind = "udp" if fetcher["got"]["udp"] else "tcp"
    return Wire(
        sum(sent[kind] for sent in others),
        fetcher["sent"][kind],
        fetcher["payload"],
        {name: _dense(series) for name, series in fetcher["series"].items()},
        counted["late"] / max(1, counted["delivered"]),
        counted["busy"],
    )


def _dense(series: Mapping[str, int]) -> list[int]:
    """From a JSON object with numbers for names, most of which follow each other."""
    known = {int(at): size for at, size in series.items()}
    return [known.get(at, 0) for at in range(max(known, default=-1) + 1)]


@dataclass(frozen=True)
class TransferRun:
    """One transfer in one scenario."""

    scenario: str
    contender: str  # "ours", "ours ledbat", "TCP cubic", ...
    owners: int
    seed: int
    flow: MeasuredFlow
    wire: Wire

    @property
    def rate(self) -> float:
        """Megabits a second of the bytes carried, also of a transfer that was ended early."""
        return self.flow.size * 8 / self.flow.seconds / 1e6 if self.flow.seconds > 0 else 0.0
