"""The links that are measured, and what must be reached on each. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.network.topology import FETCHER, Links, owner
from faults.link import LinkFaults

MBIT = 125_000  # bytes
RTT = 0.05
QUEUE = int(20 * MBIT * RTT)  # one bandwidth-delay product: 125,000 bytes
REFERENCE = LinkFaults(rate=20 * MBIT, delay=RTT / 2, queue=QUEUE)


@dataclass(frozen=True)
class Scenario:
    """The fetcher's access link, same both ways, and what is fetched over it.

    ``required``: megabits a second by number of owners. ``offered``: at least this part of what the link
    offered. Whatever is None is not judged.
    """

    name: str
    about: str
    access: LinkFaults
    size: int  # bytes of the file
    limit: float  # seconds that a transfer may take
    owners: tuple[int, ...] = (1, 4)
    required: tuple[tuple[int, float], ...] = ()
    offered: float | None = None
    after: float | None = None  # part of the payload rate after WARM seconds
    back: float | None = None  # part of the payload rate, at most 2 s after it was there again
    redundant: float | None = None  # at most this part of the payload twice, where nothing is lost
    runs: int | None = None  # more than usual
    own_rates: tuple[float, ...] = ()  # bytes a second of each owner's own access link
    rival: bool = False  # a competing TCP cubic flow
    baselines: bool = True

    def links(self, owners: int) -> Links:
        """By station."""
        links = {FETCHER: (self.access, self.access)}
        for number, rate in enumerate(self.own_rates[:owners], 1):
            queue = int(rate * RTT)
            links[owner(number)] = (LinkFaults(rate=rate, queue=queue), LinkFaults(rate=rate, queue=queue))
        return links

    @property
    def loss(self) -> float:
        """Part of what is sent that does not arrive whole, by chance."""
        access = self.access
        burst = 0.0
        if access.burst_begin:
            burst = access.burst_begin / (access.burst_begin + access.burst_end)
        lost = burst * access.burst_loss + (1 - burst) * access.loss
        return 1 - (1 - lost) * (1 - access.corrupt)


def _reference(name: str, about: str, size: float, one: float, four: float, **faults: float) -> Scenario:
    access = replace(REFERENCE, **faults)  # type: ignore[arg-type]  # only probabilities and seconds are given
    return Scenario(name, about, access, int(size * 1e6), 45.0, required=((1, one), (4, four)))


SCENARIOS = (
    _reference("clean", "no loss", 25, 18, 18),
    _reference("loss1", "1% loss", 25, 16, 16, loss=0.01),
    _reference("loss5", "5% loss", 20, 14, 14, loss=0.05),
    _reference("loss20", "20% loss", 12, 8, 8, loss=0.2),
    _reference("loss50", "50% loss", 4, 2, 2, loss=0.5),
    _reference(
        "rough",
        "1% loss, 20 ms jitter, 2% twice, 5% reordered",
        16,
        10,
        12,
        loss=0.01,
        jitter=0.02,
        duplicate=0.02,
        reorder=0.05,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
