"""``python -m simulator.plot FILE.svg``: a picture of how each congestion controller uses a link.

One owner has a link of 20 Mb/s and 50 ms with a queue of one bandwidth-delay product to itself; then a TCP
CUBIC flow joins. The runs are deterministic, so the picture changes only when the code does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as File

from faults.link import LinkFaults
from node.chunk_udp.congestion import CONTROLLERS
from simulator.clock import Clock
from simulator.dumbbell import Dumbbell, Supply, shared_path
from simulator.tcp import TcpSender

MEGABIT = 125_000  # bytes
RATE, DELAY = 20 * MEGABIT, 0.025  # bytes a second; seconds each way
PRODUCT = RATE * 2 * DELAY  # bytes of the bandwidth-delay product, which is also the queue's size
SECONDS, TCP_JOINS = 14.0, 6.0
SAMPLE_SECONDS = 0.1  # of one point of a line
MAX_EVENTS = 5_000_000
WIDTH, HEIGHT, LEFT, TOP = 860, 96, 84, 44  # of one controller's picture, in pixels
OURS, THEIRS, FLIGHT = "#1d4ed8", "#9ca3af", "#b45309"


@dataclass(frozen=True)
class Course:
    """One controller's run, a number for each sample."""

    ours: list[float]  # Mb/s of file
    theirs: list[float]  # Mb/s of the TCP flow
    outstanding: list[float]  # bytes in flight, in bandwidth-delay products


def course(controller: str, seconds: float = SECONDS, tcp_joins: float = TCP_JOINS) -> Course:
    """Run ``controller`` for ``seconds``, with a TCP flow from ``tcp_joins`` on."""
    clock = Clock()
    bell = Dumbbell(clock, Supply(1 << 31))
    path = shared_path(LinkFaults(rate=RATE, delay=DELAY, queue=int(PRODUCT)), seed=1)
    flow = bell.add(path, controller)
    company = TcpSender(clock, path.down, path.up)
    company.start(tcp_joins)
    outstanding: list[float] = []
    for turn in range(1, round(seconds / SAMPLE_SECONDS) + 1):
        end = turn * SAMPLE_SECONDS
        clock.at(end, lambda: outstanding.append(flow.connection.tracker.in_flight.bytes / PRODUCT))
        clock.run_until(lambda turn=turn: len(outstanding) == turn, end + 1, MAX_EVENTS)  # type: ignore[misc]
    return Course(_rates(flow.arrivals, seconds), _rates(company.arrivals, seconds), outstanding)


def _rates(arrivals: Sequence[tuple[float, int]], seconds: float) -> list[float]:
    slices = [0.0] * round(seconds / SAMPLE_SECONDS)
    for at, size in arrivals:
        if int(at / SAMPLE_SECONDS) < len(slices):
            slices[int(at / SAMPLE_SECONDS)] += size / SAMPLE_SECONDS / MEGABIT
    return slices


def _line(values: Sequence[float], most: float, color: str, top: float) -> str:
    step = (WIDTH - LEFT - 24) / max(1, len(values) - 1)
    points = " ".join(
        f"{LEFT + turn * step:.1f},{top + HEIGHT - 16 - min(value / most, 1) * (HEIGHT - 30):.1f}"
        for turn, value in enumerate(values)
    )
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def draw(courses: dict[str, Course], seconds: float = SECONDS, tcp_joins: float = TCP_JOINS) -> str:
    """An SVG: one strip for each controller, from top to bottom."""
    height = TOP + HEIGHT * len(courses) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12" '
        f'aria-label="rates and bytes outstanding of {", ".join(courses)} over {seconds:g} seconds">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" fill="{OURS}">our rate, of 20 Mb/s</text>',
        f'<text x="{LEFT + 150}" y="18" fill="{THEIRS}">TCP CUBIC&#8217;s, from second {tcp_joins:g}</text>',
        f'<text x="{LEFT + 340}" y="18" fill="{FLIGHT}">our bytes outstanding, of 3 products; '
        "above the dashes they queue</text>",
    ]
    for turn, (name, run) in enumerate(courses.items()):
        top = TOP + turn * HEIGHT
        full = top + HEIGHT - 16 - (HEIGHT - 30) / 3
        lines += [
            f'<text x="8" y="{top + HEIGHT / 2:.0f}" font-weight="bold">{name}</text>',
            f'<path d="M{LEFT} {top + 14}V{top + HEIGHT - 16}H{WIDTH - 24}" fill="none" stroke="#475569"/>',
            f'<path d="M{LEFT} {full:.1f}H{WIDTH - 24}" stroke="{FLIGHT}" stroke-dasharray="2 6"/>',
            _line(run.theirs, 20, THEIRS, top),
            _line(run.outstanding, 3, FLIGHT, top),
            _line(run.ours, 20, OURS, top),
        ]
    ticks = range(0, int(seconds) + 1, 2)
    scale = (WIDTH - LEFT - 24) / seconds
    lines += [f'<text x="{LEFT + at * scale - 4:.0f}" y="{height - 12}">{at} s</text>' for at in ticks]
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> int:
    """Draw all controllers into the file that the user names."""
    parser = argparse.ArgumentParser(prog="python -m simulator.plot", description=__doc__)
    parser.add_argument("file", type=File, metavar="FILE.svg")
    image: File = parser.parse_args().file
    try:
        image.write_text(draw({name: course(name) for name in sorted(CONTROLLERS)}), encoding="utf-8")
    except OSError as error:
        print(f"{image}: {error.strerror}", file=sys.stderr)
        return 1
    print(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
