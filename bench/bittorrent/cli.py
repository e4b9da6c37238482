"""``python -m bench bittorrent``: the peer wire over TCP, side by side with libtorrent.

Exit codes: 0 everything that was judged is good, 1 something is short or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
from datetime import datetime
from pathlib import Path

from rich.console import Console

from bench import machine, ours, report, theirs
from bench.bittorrent import moves, swarms
from bench.bittorrent.figures import PeerWireRuns, figures
from bench.bittorrent.moves import OURS, THEIRS
from bench.content import BenchContent, make_content
from bench.judging import exit_code
from bench.processes import ROOT, BenchError
from common.errors import SwarmError

GROUPS = ("moves", "udp", "cpu", "crowd", "stall", "memory")
KINDS = ((THEIRS, THEIRS), (THEIRS, OURS), (OURS, THEIRS), (OURS, OURS))  # seeder, leecher
PIECES = (1 << 20, 16 << 20)  # bytes
SIZE, QUICK_SIZE = 1 << 30, 64 << 20  # bytes
RUNS = 5
MAX_RUNS = 100
FORMAT = 1  # of the JSON
COPIES = 2  # of the content at a time


def parse(words: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench bittorrent", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="NAME", help=f"of {', '.join(GROUPS)}")
    add("--runs", type=int, choices=range(1, MAX_RUNS + 1), metavar="N", help="rounds (5)")
    add("--quick", action="store_true", help="64 MiB, one round: shows that it works, not how fast")
    add(
        "--out", type=Path, metavar="FILE", help="for the results (bench/results/bittorrent-<date-time>.json)"
    )
    return parser.parse_args(words)


class PeerWireBench:
    """One run. ``runs`` grows as it goes on."""

    def __init__(self, only: tuple[str, ...], rounds: int, size: int, talk: Console) -> None:
        self.runs = PeerWireRuns()
        self.folder = machine.ram_folder(COPIES * size) or Path(tempfile.gettempdir())
        self._only, self._rounds, self._size, self._talk = only, rounds, size, talk

    def run(self) -> None:
        """Everything that was asked for. BenchError if a program fails; nothing remains either way."""
        below = Path(tempfile.mkdtemp(prefix="bench-", dir=self.folder))
        try:
            content = make_content(below, self._size)
            for number in range(1, self._rounds + 1):
                self._talk.print(f"round {number} of {self._rounds}")
                self._round(below, content)
            if "cpu" in self._only:
                self.runs.idle = {kind: moves.idle_seeder(below, content, kind) for kind in (OURS, THEIRS)}
            for piece_length in PIECES if "memory" in self._only else ():
                self.runs.rss[piece_length] = swarms.memory(below, content, piece_length)
        finally:
            shutil.rmtree(below, ignore_errors=True)

    def _round(self, below: Path, content: BenchContent) -> None:
        if "moves" in self._only:
            done: dict[tuple[str, str], moves.Move] = {}
            self.runs.moves.append(done)
            for kind in KINDS:
                done[kind] = moves.move(below, content, *kind)
                self._talk.print(f"  {kind[0]} → {kind[1]}: {done[kind].rate / 1e6:,.0f} MB/s")
        if "udp" in self._only:
            transfer = ours.fetch(below, content)
            self.runs.udp.append(transfer.size / transfer.transfer_seconds)
        if "crowd" in self._only:
            self.runs.crowds.append(swarms.crowd(below))
        if "stall" in self._only:
            self.runs.stalled.append((swarms.last_part(below, True), swarms.last_part(below, False)))


def main(words: list[str] | None = None) -> int:
    """Measure, print, save."""
    given = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, ends every child
    talk = Console(stderr=True, highlight=False)
    if not theirs.installed():
        talk.print("libtorrent is not installed (make interop): there is nothing to compare with")
        return 1
    rounds = given.runs or (1 if given.quick else RUNS)
    bench = PeerWireBench(tuple(given.only), rounds, QUICK_SIZE if given.quick else SIZE, talk)
    started = datetime.now()
    try:
        bench.run()
    except KeyboardInterrupt:
        talk.print("interrupted")
        return 1
    except (BenchError, SwarmError, OSError) as error:
        talk.print(f"{error}", markup=False, style="red")
        return 1
    rows = figures(bench.runs)
    report.show(rows, f"BitTorrent over TCP, loopback, median of {rounds}", machine.facts(bench.folder))
    out = given.out or ROOT / "bench" / "results" / f"bittorrent-{started:%Y-%m-%d-%H%M%S}.json"
    report.save({"format": FORMAT, "figures": [row.as_json() for row in rows]}, out)
    print(f"saved: {out}")
    return exit_code(rows)
