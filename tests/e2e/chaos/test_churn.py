"""Nodes join and leave at random, all real processes: the remaining nodes get every byte, and nothing leaks.

Each joins to fetch some of the files, limited in its uploads so that there is a middle. Some leave politely,
some are killed and come back to the same folder, some hang for a while. The first owners and the tracker run
throughout: their usage at the end must equal that at the beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
STARTING = 3  # processes that start at the same time, at most: two cores start five a second
GRACE = 120.0  # max seconds from the end of the churn until the remaining nodes are complete
HANG = 4.0  # seconds for which one that is stopped stays so, at most; longer than an owner may be silent
SMALL = {
    "PROGRESS_INTERVAL": "5",
    "UPLOAD_LIMIT": "1MB",
    "OWNER_SEARCH_LIMIT": "600",
    "LOGS_DIR": "logs",
    "NODE_FILES_DIR": "files",
}
# What a node after the work may use more than a fresh node.
MORE_SOCKETS, MORE_FILES = 4, 12  # a TCP connection has a socket, a descriptor to be woken by, and a thread
MORE_THREADS = 2 + MORE_SOCKETS
MORE_MEMORY = 8 << 20  # bytes that the first owners may have grown by in the last two thirds


@dataclass
class ChurnMember:
    """One node of the crowd: a process, or the folder of an ended process."""

    number: int
    wants: list[Path]  # torrents
    process: subprocess.Popen[bytes] | None = None
    frozen_until: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    _log: IO[bytes] | None = None

    def start(self, folder: Path, tracker: str) -> None:
        """Start the node, or start it again, and type its downloads."""
        words = ["-node_id", str(self.number), "-tracker", tracker, "--json"]
        self.close()
        with (
            (folder / f"{self.number}.out").open("wb") as out,
            (folder / f"{self.number}.err").open("ab") as err,
        ):
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/tuned_node.py"), *words],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**os.environ, **SMALL},
            )
        self._log, self.told = (folder / f"{self.number}.out").open("rb"), []
        assert self.process.stdin is not None
        commands = "".join(f"torrent -setMode download '{torrent}'\n" for torrent in self.wants)
        self.process.stdin.write(commands.encode())
        self.process.stdin.flush()

    def hear(self, name: str) -> list[dict[str, Any]]:
        """The events of this name so far."""
        assert self._log is not None
        while (line := self._log.readline()).endswith(b"\n"):
            self.told.append(json.loads(line))
        self._log.seek(-len(line), os.SEEK_CUR)  # the rest of it is yet to come
        return [event for event in self.told if event["event"] == name]

    def has_all(self) -> bool:
        """Whether it has fetched all that it wants."""
        return len(self.hear("completed")) == len(self.wants)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.close()
        return code

    def close(self) -> None:
        """Let go of its pipes and its output."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        if self._log is not None:
            self._log.close()


class ChurnCrowd:
    """All members; ``step`` lets something happen."""

    def __init__(self, swarm: Any, torrents: list[Path], nodes: int, chance: random.Random) -> None:
        self._swarm, self._torrents, self._nodes, self._chance = swarm, torrents, nodes, chance
        self.live: list[ChurnMember] = []
        self.left_behind: list[ChurnMember] = []
        self.happened: Counter[str] = Counter()
        self.most = 0

    def step(self) -> None:
        """Thaw nodes that have hung long enough. Then a node joins if there are too few; else a node leaves
        or hangs."""
        now = time.monotonic()
        for member in self.live:
            assert member.process is not None and member.process.poll() is None, f"node {member.number} died"
            if member.frozen_until and member.frozen_until < now:
                member.signal(signal.SIGCONT)
                member.frozen_until = 0.0
        if sum(not member.hear("started") for member in self.live if not member.frozen_until) >= STARTING:
            return
        if len(self.live) < self._nodes:
            self._join()
        elif settled := [
            member for member in self.live if member.hear("started") and not member.frozen_until
        ]:
            self._trouble(self._chance.choice(settled))
        self.most = max(self.most, len(self.live))

    def _join(self) -> None:
        if self.left_behind and self._chance.random() < 0.5:
            member = self.left_behind.pop(self._chance.randrange(len(self.left_behind)))
            self.happened["came back"] += 1
        else:
            wants = self._chance.sample(self._torrents, self._chance.randint(1, len(self._torrents)))
            member = ChurnMember(self._swarm.number(), wants)
            self.happened["joined"] += 1
        member.start(self._swarm.folder, self._swarm.tracker.url)
        self.live.append(member)

    def _trouble(self, member: ChurnMember) -> None:
        fate = self._chance.random()
        if fate < 0.25:
            member.frozen_until = time.monotonic() + self._chance.uniform(0.5, HANG)
            member.signal(signal.SIGSTOP)
            self.happened["hung"] += 1
            return
        self.live.remove(member)
        if fate < 0.6:
            assert member.end(signal.SIGTERM) == 0
            self.happened["left"] += 1
        else:
            member.end(signal.SIGKILL)
            self.left_behind.append(member)
            self.happened["killed"] += 1

    def settle(self) -> None:
        """Thaw all nodes; the membership is final."""
        for member in self.live:
            member.signal(signal.SIGCONT)
            member.frozen_until = 0.0


@pytest.fixture
def crowd_of() -> Iterator[Callable[..., ChurnCrowd]]:
    """``crowd_of(swarm, torrents, nodes, chance)``: all its processes are gone with the test."""
    made: list[ChurnCrowd] = []

    def make(*args: Any) -> ChurnCrowd:
        made.append(ChurnCrowd(*args))
        return made[-1]

    yield make
    for member in [member for crowd in made for member in crowd.live]:
        member.end(signal.SIGKILL)


@dataclass(frozen=True)
class Used:
    """The system resources of a process."""

    threads: int
    sockets: int
    files: int  # open descriptors that are no sockets
    memory: int  # bytes resident

    @classmethod
    def by(cls, pid: int) -> Used:
        process = psutil.Process(pid)
        connections = getattr(process, "net_connections", None) or process.connections
        sockets = len(connections(kind="all"))
        return cls(process.num_threads(), sockets, process.num_fds() - sockets, process.memory_info().rss)


def ended_up(used: list[Used]) -> str:
    """The most of each, for people."""
    return (
        f"threads {max(u.threads for u in used)}, sockets {max(u.sockets for u in used)},"
        f" files {max(u.files for u in used)}, {max(u.memory for u in used) >> 20} MiB"
    )


def assert_right(swarm: Any, crowd: Any, digests: dict[str, bytes]) -> None:
    """Every live node has each file that it wanted, and no part file."""
    for member in crowd.live:
        for torrent in member.wants:
            name = torrent.name.removesuffix(".torrent")
            folder = swarm.folder / "files" / f"node{member.number}"
            assert hashlib.sha1((folder / name).read_bytes()).digest() == digests[name], member.number
            assert not (folder / f"{name}.part").exists()


def tell(note: Any, fresh: Used, steady: list[Used], after: list[Used], survivors: list[Used]) -> None:
    """Note the usage of processes; ``steady`` and ``after`` list the tracker first, then the first owners."""
    note("... a fresh owner uses", it=ended_up([fresh]))
    note("... the first owners, at the end", most=ended_up(after[1:]), after_a_third=ended_up(steady[1:]))
    note("... the tracker, at the end", it=ended_up(after[:1]), after_a_third=ended_up(steady[:1]))
    note(
        "... those who stayed", most=ended_up(survivors), together_MiB=sum(u.memory for u in survivors) >> 20
    )


def assert_nothing_leaked(fresh: Used, steady: list[Used], after: list[Used], survivors: list[Used]) -> None:
    """No node uses much more than a fresh owner, and memory does not grow after the first third of the
    time."""
    for used in [*after[1:], *survivors]:
        assert used.threads <= fresh.threads + MORE_THREADS, used
        assert used.sockets <= fresh.sockets + MORE_SOCKETS, used
        assert used.files <= fresh.files + MORE_FILES, used
    for before, later in zip(steady, after, strict=True):
        assert later.memory < before.memory + MORE_MEMORY, (before, later)


def test_nodes_come_and_go(
    start_tracker: Any, make_swarm: Any, scale: Any, chance: Any, crowd_of: Any, watch: Any, note: Any
) -> None:
    swarm = make_swarm(start_tracker())
    paths = [swarm.file(f"{letter}.bin", scale.size // 4) for letter in "abc"]
    seeds = [swarm.node(**SMALL) for _ in range(2)]
    torrents = [[swarm.share_also(seed, path) for path in paths] for seed in seeds][0]
    digests = {path.name: hashlib.sha1(path.read_bytes()).digest() for path in paths}
    fresh = Used.by(seeds[0].process.pid)
    crowd = crowd_of(swarm, torrents, scale.nodes, chance)
    since, steady = watch(), []
    while since.seconds < scale.churn or crowd.happened.total() < scale.events:
        crowd.step()
        if not steady and since.seconds > scale.churn / 3 and crowd.happened.total() > scale.events / 3:
            steady = [
                Used.by(process.pid)
                for process in (swarm.tracker.process, seeds[0].process, seeds[1].process)
            ]
        time.sleep(0.05)
    took = since.seconds
    crowd.settle()
    settling = watch()
    while not all(member.has_all() for member in crowd.live):
        missing = [(m.number, m.told[-1:]) for m in crowd.live if not m.has_all()]
        assert settling.seconds < GRACE, f"not all have got all: {missing}"
        time.sleep(0.1)
    happened = ", ".join(f"{count} {what}" for what, count in sorted(crowd.happened.items()))
    note(
        f"churn of {took:.0f} s, {crowd.most} nodes at a time",
        events=happened,
        then_all_had_all_after=settling.seconds,
    )

    assert_right(swarm, crowd, digests)
    after = [Used.by(process.pid) for process in (swarm.tracker.process, seeds[0].process, seeds[1].process)]
    survivors = [Used.by(member.process.pid) for member in crowd.live]
    tell(note, fresh, steady, after, survivors)
    assert_nothing_leaked(fresh, steady, after, survivors)
    assert all(member.end(signal.SIGTERM) == 0 for member in crowd.live)
    for member in crowd.live:
        swarm.wait_for_exit(member.number)
    crowd.live.clear()
    assert not any("Traceback" in file.read_text("utf-8") for file in swarm.folder.glob("*.err"))
