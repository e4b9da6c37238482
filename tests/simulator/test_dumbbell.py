"""Every controller over one bottleneck, in virtual time: rates, shares, waste, and no deadlock.

The bounds are the transport's required figures on a link of 20 Mb/s, 50 ms and a queue of one BDP. Transfers
are small here, so rates are taken after the first second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from faults.link import LinkFaults
from node.chunk_udp.congestion import CONTROLLERS
from simulator.clock import Clock
from simulator.dumbbell import SEGMENT, Dumbbell, Flow, Path, Supply, shared_path
from simulator.tcp import TcpSender

MEGABIT = 125_000  # bytes
RATE, DELAY = 20 * MEGABIT, 0.025  # bytes a second; seconds each way
BDP = int(RATE * 2 * DELAY)
MOST_EVENTS = 3_000_000
ENDLESS = 1 << 30  # bytes

every_controller = pytest.mark.parametrize("controller", sorted(CONTROLLERS))


def link(loss: float = 0.0, rate: float = RATE, delay: float = DELAY, **more: object) -> LinkFaults:
    """A link with a queue of one BDP; ``more`` changes its fields."""
    changed = {"queue": int(rate * 2 * delay), **more}
    return LinkFaults(rate=rate, delay=delay, loss=loss, **changed)  # type: ignore[arg-type]  # named by tests


@dataclass
class RunResult:
    """The result of a run."""

    seconds: float
    flows: list[Flow]
    failures: int
    overflowed: int  # datagrams that the bottleneck had no room for
    tcp: list[tuple[float, int]] = field(default_factory=list)

    @property
    def arrivals(self) -> list[tuple[float, int]]:
        return [arrival for flow in self.flows for arrival in flow.arrivals]

    def rate(self, begin: float = 1.0, end: float = math.inf) -> float:
        """Mb/s of file that arrived between these times."""
        return megabits(self.arrivals, begin, min(end, self.seconds))

    def tcp_share(self, begin: float) -> float:
        """TCP's part of the bytes that arrived from ``begin`` on."""
        theirs = megabits(self.tcp, begin, self.seconds)
        return theirs / (theirs + self.rate(begin))

    @property
    def on_the_wire(self) -> float:
        """Bytes that owners sent, headers included, for each byte of file."""
        return sum(flow.sent for flow in self.flows) / sum(flow.arrived for flow in self.flows)


def megabits(arrivals: list[tuple[float, int]], begin: float, end: float) -> float:
    return sum(size for at, size in arrivals if begin <= at < end) / (end - begin) / MEGABIT


def run(
    controller: str,
    owners: int,
    faults: LinkFaults,
    size: int = ENDLESS,
    seconds: float = math.inf,
    seed: int = 1,
    tcp: bool = False,
    nodes: int = 1,
) -> RunResult:
    """Fetch ``size`` bytes, or for ``seconds`` seconds, from owners that begin in turn.

    ``nodes`` that know nothing of each other ask each of the owners.
    """
    clock = Clock()
    bells = [Dumbbell(clock, Supply(size)) for _ in range(nodes)]
    bell = bells[0]
    shared = shared_path(faults, seed)
    for turn in range(owners * nodes):
        bells[turn % nodes].add(Path(shared.down, shared.up, 0.001 * turn), controller, 0.01 * turn)
    company = TcpSender(clock, shared.down, shared.up)
    if tcp:
        company.start(0.0)
    clock.run_until(lambda: bell.supply.done or clock.now >= seconds, 120.0, MOST_EVENTS)
    overflowed = shared.down.counters.overflowed
    flows = [flow for each in bells for flow in each.flows]
    return RunResult(clock.now, flows, bell.failures, overflowed, company.arrivals)


# ---- the default controller's figures


@pytest.mark.parametrize("owners", [1, 4])
@pytest.mark.parametrize(
    ("loss", "least", "size"),
    [(0.0, 18, 4_000_000), (0.01, 16, 5_000_000), (0.05, 14, 5_000_000), (0.2, 8, 4_000_000)],
)
def test_bbr_reaches_its_rate_without_wasting_bytes(
    loss: float, least: float, size: int, owners: int
) -> None:
    outcome = run("bbr", owners, link(loss), size)
    assert outcome.rate() >= least
    assert outcome.on_the_wire <= 1.15 / (1 - loss)
    assert outcome.failures == 0


@pytest.mark.parametrize(("owners", "least"), [(1, 10), (4, 12)])
@pytest.mark.parametrize("seed", [3])
def test_jitter_reordering_and_duplicates_do_not_stall_bbr(seed: int, owners: int, least: float) -> None:
    terrible = link(0.01, jitter=0.02, duplicate=0.02, reorder=0.05)
    outcome = run("bbr", owners, terrible, 3_500_000, seed=seed)
    assert outcome.rate(0.5) >= least
    times = sorted(at for at, _ in outcome.arrivals)
    assert max(b - a for a, b in zip(times, times[1:], strict=False)) < 0.3


def test_bbr_keeps_a_fast_path_full() -> None:
    outcome = run("bbr", 1, link(rate=50 * MEGABIT, delay=0.02), seconds=2.2)
    assert outcome.rate(1.5) >= 0.92 * 50 * 1440 / 1500
    assert outcome.on_the_wire <= 1.15


@pytest.mark.parametrize(
    "faults",
    [
        {"corrupt": 0.02},
        {"reorder": 0.25},
        {"duplicate": 0.1},
        {"burst_begin": 0.01, "burst_end": 0.2, "burst_loss": 0.5},
    ],
    ids=str,
)
def test_bbr_uses_most_of_a_bad_path(faults: dict[str, float]) -> None:
    outcome = run("bbr", 1, link(**faults), 3_000_000)
    assert outcome.rate(0.5) >= 0.7 * 20
    if "reorder" in faults or "duplicate" in faults:  # nothing is lost, so next to nothing comes twice
        counters = [flow.connection.stats for flow in outcome.flows]
        asked_for = sum(each.requested_bytes for each in counters)
        assert sum(flow.sent for flow in outcome.flows) * SEGMENT / 1500 < 1.03 * asked_for
        by_the_network = faults.get("duplicate", 0.0)
        assert sum(each.duplicate_bytes for each in counters) < (by_the_network + 0.03) * 3_000_000


@pytest.mark.parametrize("owners", [1, 4])
def test_two_seconds_after_a_slow_time_bbr_is_back(owners: int) -> None:
    changing = link(rates=((2, 2 * MEGABIT), (5, 20 * MEGABIT)))
    outcome = run("bbr", owners, changing, seconds=8)
    assert outcome.rate(3, 5) >= 0.8 * 2
    assert outcome.rate(7, 8) >= 0.8 * 20


def test_bbr_goes_on_at_once_after_two_seconds_without_a_link() -> None:
    outcome = run("bbr", 1, link(outage=1.5, outage_every=4.0), seconds=6)
    assert outcome.rate(4.5, 6) >= 0.8 * 20
    assert outcome.failures == 0


def test_two_owners_on_links_of_their_own_give_the_sum() -> None:
    clock = Clock()
    bell = Dumbbell(clock, Supply(ENDLESS))
    for seed, megabits_a_second in enumerate((20, 80)):
        bell.add(shared_path(link(rate=megabits_a_second * MEGABIT), seed), "bbr")
    clock.run_until(lambda: clock.now >= 2.4, 10.0, MOST_EVENTS)
    arrivals = [arrival for flow in bell.flows for arrival in flow.arrivals]
    assert megabits(arrivals, 1.5, 2.4) >= 0.9 * 100 * SEGMENT / 1500


# ---- company


def test_tcp_and_bbr_both_keep_a_part() -> None:
    assert 0.4 <= run("bbr", 1, link(rate=10 * MEGABIT), seconds=12, tcp=True).tcp_share(4) <= 0.85


def test_tcp_keeps_its_part_beside_four_bbr_owners() -> None:
    assert run("bbr", 4, link(), seconds=10, tcp=True).tcp_share(3) >= 0.4


def test_a_farther_owner_gets_no_larger_share() -> None:
    """The link is first in, first out. So one TCP flow that competes with two flows has about a third."""
    share = run("cubic", 1, link(rate=10 * MEGABIT), seconds=15, tcp=True, nodes=2).tcp_share(5)
    assert share == pytest.approx(1 / 3, abs=0.12)


@pytest.mark.parametrize("owners", [1, 4])
def test_cubic_and_tcp_share_alike_however_many_owners_there_are(owners: int) -> None:
    """Jain's index: (a + b)² / 2 (a² + b²)."""
    share = run("cubic", owners, link(rate=10 * MEGABIT), seconds=20, tcp=True).tcp_share(8)
    assert 1 / (2 * (share**2 + (1 - share) ** 2)) >= 0.9


def test_ledbat_makes_way() -> None:
    outcome = run("ledbat", 1, link(), seconds=10, tcp=True)
    assert outcome.tcp_share(3) >= 0.85
    alone = run("ledbat", 1, link(rate=10 * MEGABIT), seconds=6)
    assert alone.rate(1) >= 0.75 * 10  # and takes the unused rest
    assert alone.on_the_wire <= 1.1


def test_the_tcp_model_behaves_like_measured_tcp() -> None:
    """On a real link of this kind CUBIC had 18.3 Mb/s without loss and 2.1 with 1% both ways."""
    clock = Clock()
    shared = shared_path(link(), 1)
    lossy = shared_path(link(0.01), 1)
    alone, losing = TcpSender(clock, shared.down, shared.up), TcpSender(clock, lossy.down, lossy.up)
    alone.start(0.0)
    losing.start(0.0)
    clock.run_until(lambda: clock.now >= 8, 9.0, MOST_EVENTS)
    assert megabits(alone.arrivals, 2, 8) >= 18
    assert 1.5 <= megabits(losing.arrivals, 2, 8) <= 8


# ---- all of them


BAD = {
    "clean": link(),
    "loss": link(0.2),
    "no queue": link(queue=3 * 1500),
    "long": link(rate=MEGABIT, delay=0.3),
    "jitter": link(0.01, jitter=0.02, duplicate=0.02, reorder=0.05),
    "outage": link(outage=0.7, outage_every=1.5),
    "half of all": link(0.5),
    "slow": link(rate=MEGABIT / 10, queue=8000),
}


@every_controller
@pytest.mark.parametrize("name", BAD)
def test_nothing_ever_hangs(name: str, controller: str) -> None:
    for owners in (1, 4):
        size = 60_000 if name in ("slow", "half of all") else 150_000
        outcome = run(controller, owners, BAD[name], size)
        assert sum(size for _, size in outcome.arrivals) == size  # each byte once


@every_controller
def test_a_seed_says_all(controller: str) -> None:
    one, same, other = (run(controller, 2, link(0.02), 300_000, seed=seed) for seed in (5, 5, 6))
    assert one.arrivals == same.arrivals
    assert one.arrivals != other.arrivals


@pytest.mark.parametrize("controller", ["bbr", "cubic", "ledbat", "reno"])
def test_every_adaptive_controller_fills_the_path(controller: str) -> None:
    outcome = run(controller, 1, link(rate=10 * MEGABIT), seconds=4)
    assert outcome.rate(2) >= 0.8 * 10
    assert outcome.on_the_wire <= 1.2


def test_reno_under_loss_follows_mathis() -> None:
    """About 1.2 segments for each round trip and square root of the loss rate (both ways, here)."""
    loss = 0.01
    outcome = run("reno", 1, link(loss), 3_000_000)
    expected = 1.2 * SEGMENT / (2 * DELAY * math.sqrt(2 * loss)) / MEGABIT
    assert outcome.rate(1) == pytest.approx(expected, rel=0.5)
