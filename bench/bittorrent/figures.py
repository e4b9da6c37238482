"""From raw runs to judged figures. Pure.

Each round makes all kinds of moves in turn. A ratio is taken within its round, and the median of the rounds
counts: the rates of one round met the machine in the same state.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.bittorrent.moves import OURS, THEIRS, Move
from bench.bittorrent.swarms import LEECHERS, MANY, SEEDS, STALLING, Crowd
from bench.judging import Figure, at_least, at_most
from bench.records import Usage

GIB = 1 << 30
MIB = 1 << 20
OUR_DOWNLOAD, OUR_UPLOAD, OURS_BOTH = 1.15, 1.3, 2.0  # ÷ libtorrent's, at least
SEED_CPU = 2.5  # libtorrent's seeder ÷ ours, at least
CROWD_TO_BOUND, STALLED_TO_OTHERS = 1.35, 1.5  # at most
PEAK_RSS = 120 * MIB  # bytes


@dataclass
class PeerWireRuns:
    """The results so far; they grow as the bench goes on."""

    moves: list[dict[tuple[str, str], Move]] = field(default_factory=list)  # of each round
    udp: list[float] = field(default_factory=list)  # bytes a second over the classroom transport
    idle: dict[str, Usage] = field(default_factory=dict)  # of seeders that serve no peer
    crowds: list[Crowd] = field(default_factory=list)
    stalled: list[tuple[float, float]] = field(default_factory=list)  # seconds a byte: with stalls, without
    rss: dict[int, int] = field(default_factory=dict)  # bytes, by piece length


def figures(runs: PeerWireRuns) -> list[Figure]:
    """Every figure of the measured runs, in the table's order."""
    return [*_rates(runs), *_processor(runs), *_swarms(runs)]


def _medians(rounds: Sequence[float]) -> float | None:
    return statistics.median(rounds) if rounds else None


def _ratio(name: str, rounds: list[float], least: float | None, note: str = "") -> Figure:
    bounds = () if least is None else at_least(least)
    return Figure(name, _medians(rounds), "", bounds=bounds, note=note, rounds=tuple(rounds))


def _rates(runs: PeerWireRuns) -> Iterator[Figure]:
    kinds = [(THEIRS, THEIRS), (THEIRS, OURS), (OURS, THEIRS), (OURS, OURS)]
    for kind in kinds if runs.moves else ():
        rounds = tuple(moves[kind].rate for moves in runs.moves)
        yield Figure(f"{kind[0]} → {kind[1]}", _medians(rounds), "B/s", rounds=rounds)

    def ratios(kind: tuple[str, str]) -> list[float]:
        return [moves[kind].rate / moves[THEIRS, THEIRS].rate for moves in runs.moves]

    if runs.moves:
        yield _ratio("our download ÷ libtorrent's", ratios((THEIRS, OURS)), OUR_DOWNLOAD, "its seeder")
        yield _ratio("download from us ÷ from libtorrent", ratios((OURS, THEIRS)), OUR_UPLOAD, "its leecher")
        yield _ratio("ours → ours ÷ libtorrent → libtorrent", ratios((OURS, OURS)), OURS_BOTH)
    if runs.moves and runs.udp:
        pairs = zip(runs.moves, runs.udp, strict=False)
        yield _ratio(
            "  ÷ our classroom transport (UDP)", [m[OURS, OURS].rate / udp for m, udp in pairs], None
        )


def _processor(runs: PeerWireRuns) -> Iterator[Figure]:
    """Processor seconds per GiB. Of seeders without what an idle one uses, which also checks its file."""

    def seconds(kind: tuple[str, str], usage: Callable[[Move], Usage], idle: str = "") -> list[float]:
        spent = []
        for moves in runs.moves:
            used = usage(moves[kind]).cpu_seconds
            free = runs.idle[idle].cpu_seconds if idle in runs.idle else 0.0
            if used is not None and free is not None:
                spent.append((used - free) * GIB / moves[kind].size)
        return spent

    if not runs.moves:
        return
    for seeder in (THEIRS, OURS):
        rounds = seconds((seeder, THEIRS), lambda move: move.seeder_usage, seeder)
        yield Figure(f"processor, {seeder} seeds", _medians(rounds), "s/GiB", rounds=tuple(rounds))
    ours = seconds((OURS, THEIRS), lambda move: move.seeder_usage, OURS)
    theirs = seconds((THEIRS, THEIRS), lambda move: move.seeder_usage, THEIRS)
    ratios = [b / a for a, b in zip(ours, theirs, strict=False) if a > 0]
    yield _ratio("  libtorrent's seeder ÷ ours", ratios, SEED_CPU, "the same leecher")
    for leecher in (THEIRS, OURS):
        rounds = seconds((THEIRS, leecher), lambda move: move.leecher_usage)
        yield Figure(f"processor, {leecher} fetches", _medians(rounds), "s/GiB", rounds=tuple(rounds))


def _swarms(runs: PeerWireRuns) -> Iterator[Figure]:
    if runs.crowds:
        rounds = tuple(crowd.seconds[-1] / crowd.bound for crowd in runs.crowds)
        name = f"1 seed, {LEECHERS} leechers: last ÷ bound"
        yield Figure(name, _medians(rounds), "", bounds=at_most(CROWD_TO_BOUND), rounds=rounds)
    if runs.stalled:
        rounds = tuple(stalled / others for stalled, others in runs.stalled)
        name = f"last part, {STALLING} of {SEEDS} peers stall"
        note = "seconds a byte ÷ without them"
        yield Figure(name, _medians(rounds), "", bounds=at_most(STALLED_TO_OTHERS), note=note, rounds=rounds)
    for piece_length, size in runs.rss.items():
        name = f"peak RSS, {MANY} peers, {piece_length // MIB} MiB pieces"
        yield Figure(name, float(size), "B", bounds=at_most(PEAK_RSS))
