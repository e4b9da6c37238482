"""What one run over an emulated link showed, before anybody judges it: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Flow:
    """What an end-to-end transfer says of itself, ours or theirs."""

    size: int  # bytes of file, or of a stream, that arrived
    seconds: float  # from first to last
    done: bool  # False: it was ended before all had arrived
    reason: str = ""  # why it was not done
    note: str = ""  # which congestion control, which version
    gap: float = 0.0  # seconds, the longest without progress
    begun: float = 0.0  # seconds since the links were set
    rival: float | None = None  # bytes that the competing flow got meanwhile, headers and all


@dataclass(frozen=True)
class Wire:
    """What the emulator counted, in bytes of IP packets."""

    down: int  # sent towards the fetcher, before anything was lost
    up: int  # sent by the fetcher
    payload: int  # bytes of file of ours that arrived whole at the fetcher, network's copies not counted
    series: dict[str, dict[int, int]] = field(default_factory=dict)  # arrived by tenth of a second
    late: float = 0.0  # part of all packets that the emulator delivered more than 5 ms late
    busy: float = 0.0  # of one core, the emulator


def wire(counted: Mapping[str, Any]) -> Wire:
    """From what the emulator counted."""
    stations = counted["stations"]
    fetcher = stations["fetcher"]
    return Wire(
        sum(sum(station["sent"].values()) for name, station in stations.items() if name != "fetcher"),
        sum(fetcher["sent"].values()),
        fetcher["payload"],
        fetcher["series"],
        counted["late"] / max(1, counted["delivered"]),
        counted["busy"],
    )


@dataclass(frozen=True)
class Run:
    """One transfer in one scenario."""

    scenario: str
    contender: str  # "ours", "ours ledbat", "TCP cubic", ...
    owners: int
    seed: int
    flow: Flow
    wire: Wire

    @property
    def rate(self) -> float:
        """Megabits a second of what was carried; also of what was ended early."""
        return self.flow.size * 8 / self.flow.seconds / 1e6 if self.flow.seconds > 0 else 0.0
