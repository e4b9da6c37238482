"""The cost of dashboards: REGISTER's p99 with 60 pollers of /stats, and without.

    python -m bench.tracker.pollers [--rounds 7]

The load is the same in both: NODES nodes on kept connections send the next heartbeat as soon as the last is
answered, so the tracker is as busy as it can be. Rounds with and without pollers alternate; each figure is
the median of its rounds. The pollers are another process. Each asks once a second, with the entity tag of the
last answer, as a browser does.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import report
from bench.judging import Bound, Figure, exit_code
from bench.processes import Child, Children
from bench.tracker.effort import FULL, Effort
from bench.wsgi import NODES, load

POLLERS = 60
EVERY = 1.0  # seconds between two requests of one poller
PATIENCE = 300.0  # seconds for the whole measurement
MOST_CHANGE = 1.2  # times the p99 without pollers
STARTED = "Tracker program started: http://127.0.0.1:"


@dataclass
class Polled:
    """The p99 of each round, in seconds."""

    without: list[float] = field(default_factory=list)
    polled: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)  # REGISTERs a second with pollers


def poll(port: int, stop: threading.Event) -> None:
    """One poller."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    tag = ""
    while not stop.wait(EVERY):
        connection.request("GET", "/stats", headers={"If-None-Match": tag})
        answer = connection.getresponse()
        answer.read()
        tag = answer.headers["ETag"]
    connection.close()


def poll_until_end(port: int) -> None:
    """All pollers, spread over a second, until standard input ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=poll, args=(port, stop)) for _ in range(POLLERS)]
    for thread in threads:
        thread.start()
        time.sleep(EVERY / POLLERS)
    print("polling", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()


def measure(rounds: int, seconds: float, module: str = "bench.tracker.pollers") -> Polled:
    """Alternate rounds with and without pollers: ``module``, which has the option --poll PORT."""
    polled = Polled()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "TRACKER_DB_DIR": str(Path(folder) / "db"),
            "LOGS_DIR": folder,
            "ADDRESS_RATE": "1000000",
            "NODE_RATE": "1000000",
        }
        with Children(settings) as children:
            tracker: Child = children.start(["tracker.py", "--port", "0"], PATIENCE)
            port = int(tracker.line().removeprefix(STARTED))
            load(port, 1.0)  # all nodes are registered
            for _ in range(rounds):
                _, times = load(port, seconds)
                polled.without.append(_p99(times))
                words = ["-m", module, "--poll", str(port)]
                pollers = children.start(words, PATIENCE)
                pollers.line()
                rate, times = load(port, seconds)
                polled.polled.append(_p99(times))
                polled.rates.append(rate)
                pollers.end_input()
                pollers.finish()
    return polled


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def figures(
    polled: Polled, name: str = "REGISTER: p99, polled", by: str = f"{POLLERS} polls a second"
) -> list[Figure]:
    """The row of the table, with its bound. ``by``: the pollers, in words."""
    bound = Bound("ratio", False, MOST_CHANGE)
    value, reference = statistics.median(polled.polled), statistics.median(polled.without)
    note = f"{NODES} nodes, {statistics.median(polled.rates):,.0f} REGISTERs a second, {by}"
    p99, before = 1e3 * value, 1e3 * reference
    rounds = tuple(1e3 * seconds for seconds in polled.polled)
    return [Figure(name, p99, "ms", "without", before, (bound,), note, rounds)]


def pollers(effort: Effort = FULL) -> Iterator[Figure]:
    """REGISTER with pollers."""
    yield from figures(measure(effort.poll_rounds, effort.seconds))


def main() -> int:
    """Print the figure; 1 if it is short."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracker.pollers")
    parser.add_argument("--rounds", type=int, default=FULL.poll_rounds, help="of which the median counts")
    parser.add_argument("--poll", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.poll:
        poll_until_end(options.poll)
        return 0
    rows = list(pollers(replace(FULL, poll_rounds=options.rounds)))
    report.show(rows, "pages that poll")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
