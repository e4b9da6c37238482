"""The links of the bench, and the bounds on each. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.network.topology import FETCHER, Links, owner
from faults.link import LinkFaults

MBIT = 125_000  # bytes
RTT = 0.05
REFERENCE = LinkFaults(rate=20 * MBIT, delay=RTT / 2, queue=int(20 * MBIT * RTT))  # one BDP: 125,000 bytes


@dataclass(frozen=True)
class LinkScenario:
    """The fetcher's access link, the same both ways, and the file fetched over it.

    Bounds: ``required`` are megabits a second by number of owners; ``of_link`` is a part of the link's
    capacity, headers included; the rest are parts of the payload. None: not judged.
    """

    name: str
    about: str
    access: LinkFaults
    size: int  # bytes of the file
    limit: float = 45.0  # seconds that a transfer may take
    owners: tuple[int, ...] = (1, 4)
    required: tuple[tuple[int, float], ...] = ()
    of_link: float | None = None
    steady: float | None = None  # part of the payload rate, from WARM_UP seconds on
    back: float | None = None  # part of the link's rate, from RECOVERY seconds after it is back on
    redundant: float | None = None  # part of the payload that came twice, at most
    wire: float | None = 1.15  # bytes on the wire ÷ file, at most, where nothing is lost
    even: bool = False  # no stall is allowed
    runs: int = 0  # more than the usual
    own_rates: tuple[float, ...] = ()  # bytes a second of each owner's own access link
    rival: bool = False  # a TCP cubic flow shares the link, and fairness is judged
    baselines: bool = True

    def links(self, owners: int) -> Links:
        """By station."""
        links = {FETCHER: (self.access, self.access)}
        for number, rate in enumerate(self.own_rates[:owners], 1):
            own = LinkFaults(rate=rate, queue=int(rate * RTT))
            links[owner(number)] = (own, own)
        return links

    @property
    def loss(self) -> float:
        """The part of sent bytes that chance keeps from arriving whole."""
        access = self.access
        burst = access.burst_begin and access.burst_begin / (access.burst_begin + access.burst_end)
        lost = burst * access.burst_loss + (1 - burst) * access.loss
        return 1 - (1 - lost) * (1 - access.corrupt)

    @property
    def returns(self) -> tuple[tuple[float, float], ...]:
        """When the link was good again, and until when, in seconds since its begin."""
        access = self.access
        if access.outage:
            every = access.outage_every
            return tuple((number * every, (number + 1) * every - access.outage) for number in range(1, 20))
        fast = [at for at, rate in access.rates if rate == access.rate]
        return tuple((at, float("inf")) for at in fast)


def _reference(name: str, about: str, size: float, one: float, four: float, **more: float) -> LinkScenario:
    access = replace(REFERENCE, **more)  # type: ignore[arg-type]  # probabilities and seconds
    redundant = 0.03 if name == "clean" else None
    required = ((1, one), (4, four))
    return LinkScenario(name, about, access, int(size * 1e6), required=required, redundant=redundant)


def _hard(name: str, about: str, size: float, access: LinkFaults, **more: float | None) -> LinkScenario:
    return LinkScenario(name, about, access, int(size * 1e6), of_link=0.5, **more)  # type: ignore[arg-type]


SCENARIOS = (
    _reference("clean", "no loss", 25, 18, 18),
    _reference("loss1", "1% loss", 25, 16, 16, loss=0.01),
    _reference("loss5", "5% loss", 20, 14, 14, loss=0.05),
    _reference("loss20", "20% loss", 12, 8, 8, loss=0.2),
    _reference("loss50", "50% loss", 4, 2, 2, loss=0.5),
    replace(
        _reference(
            "rough",
            "1% loss, 20 ms jitter, 2% twice, 5% late",
            *(16, 10, 12),
            loss=0.01,
            jitter=0.02,
            duplicate=0.02,
            reorder=0.05,
        ),
        even=True,
        runs=20,
    ),
    LinkScenario(
        "fast",
        "100 Mb/s, 40 ms",
        LinkFaults(rate=100 * MBIT, delay=0.02, queue=4 * 125_000),
        100_000_000,
        steady=0.92,
    ),
    LinkScenario(
        "slow",
        "1 Mb/s, 600 ms, 20 packets",
        LinkFaults(rate=MBIT, delay=0.3, queue=30_000),
        2_000_000,
        limit=90.0,
        of_link=0.75,
    ),
    _hard("corrupt2", "2% corrupted", 20, replace(REFERENCE, corrupt=0.02)),
    _hard("corrupt30", "30% corrupted", 10, replace(REFERENCE, corrupt=0.3)),
    _hard("twice", "10% duplicated", 25, replace(REFERENCE, duplicate=0.1), redundant=0.03),
    _hard("reordered", "25% reordered", 25, replace(REFERENCE, reorder=0.25), redundant=0.03),
    _hard("bursts", "bursts of 10 lost, 5%", 20, replace(REFERENCE, burst_begin=0.1 / 19, burst_end=0.1)),
    _hard(
        "outages",
        "no link 2 s in 7 s",
        30,
        replace(REFERENCE, outage=2.0, outage_every=7.0),
        back=0.8,
        wire=None,
    ),
    _hard(
        "changing",
        "20 → 2 → 20 Mb/s",
        25,
        replace(REFERENCE, rates=((5.0, 2 * MBIT), (12.0, 20 * MBIT))),
        back=0.8,
        wire=None,
    ),
    LinkScenario(
        "unequal",
        "owners on 20 and 80 Mb/s",
        LinkFaults(rate=200 * MBIT, delay=RTT / 2, queue=int(200 * MBIT * RTT)),
        100_000_000,
        owners=(2,),
        required=((2, 90.0),),
        own_rates=(20 * MBIT, 80 * MBIT),
        baselines=False,
    ),
    LinkScenario(
        "rival",
        "a TCP cubic flow beside us",
        REFERENCE,
        60_000_000,
        limit=30.0,
        wire=None,
        rival=True,
        baselines=False,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
