"""The runs and their order: the plan of a bench, and its raw results."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import crowd, hashing, machine, ours, theirs, under_flood
from bench.content import BenchContent, make_content, make_repeated_content
from bench.processes import ROOT, BenchError
from bench.records import Measured, TheirTransfer, Transfer

USUAL = ("download", "libtorrent", "owners", "create", "memory", "cpu", "files", "disk", "swarm")
NAMES = (*USUAL, "flood", "reports")  # the last ones are measured when they are asked for
LARGER = 4  # times the size: memory must not have grown
COPIES = 2  # of a file in its folder at a time: the owner's and the downloader's
SMALL_FILE = 4096  # bytes
Say = Callable[[str], None]
Move = Callable[[], "Transfer | TheirTransfer"]


@dataclass(frozen=True)
class BenchPlan:
    """The request."""

    size: int = 1 << 30  # bytes of the file that is moved
    runs: int = 3
    only: tuple[str, ...] = USUAL
    files: int = 10_000
    warm_up: bool = True
    crowds: tuple[int, ...] = crowd.CROWDS  # nodes, without the seed
    folder: Path | None = None  # None: memory if there is room, else the temporary folder
    before: str = ""  # an earlier commit, with which nodes that do not report are compared


class Bench:
    """One run of the bench. ``measured`` grows as it goes on."""

    def __init__(self, plan: BenchPlan, say: Say) -> None:
        self.measured = Measured(plan.size)
        self.folder = self._fast_folder(plan)
        self._plan = plan
        self._say = say

    @staticmethod
    def _fast_folder(plan: BenchPlan) -> Path:
        if plan.folder is not None:
            return plan.folder
        return machine.ram_folder(COPIES * plan.size) or Path(tempfile.gettempdir())

    def run(self) -> None:
        """Everything that the plan asks for. BenchError if a program fails; nothing remains either way."""
        self.measured.places["transfer"] = _place(self.folder)
        self._yardstick()
        with _temporary(self.folder) as folder:
            self._say(f"{_mib(self._plan.size)} of random data in {folder}")
            content = make_content(folder, self._plan.size)
            with earlier_program(self._plan.before, folder) as before:
                self._moves(folder, content, before)
            self._yardstick()
            if "cpu" in self._plan.only:
                self._idle(folder, content)
            if "create" in self._plan.only:
                hashing.hash_run(content)
                self.measured.create += [hashing.hash_run(content) for _ in range(self._plan.runs)]
            if "files" in self._plan.only:
                self._say(f"{self._plan.files:,} small files")
                self.measured.many_files.append(ours.share_many(folder, self._plan.files, SMALL_FILE))
            if "flood" in self._plan.only:
                self._floods(folder, content)
        if "memory" in self._plan.only:
            self._large()
        if "disk" in self._plan.only:
            self._disk()
        if "swarm" in self._plan.only:
            self._crowds()
        self._yardstick()

    def _yardstick(self) -> None:
        self.measured.sha1.append(hashing.sha1_rate(self._plan.size))

    def _moves(self, folder: Path, content: BenchContent, before: Path | None) -> None:
        """Transfers of all kinds in turn, so that each kind meets the machine in the same states."""
        moves = self._kinds(folder, content)
        if "reports" in self._plan.only:
            moves += self._reports(folder, content, before)
        if self._plan.warm_up:
            for name, move, _ in moves:
                self._say(f"warm-up: {name}")
                move()
        for number in range(1, self._plan.runs + 1):
            for name, move, results in moves:
                result = move()
                results.append(result)
                rate = result.size / result.transfer_seconds / 1e6
                self._say(f"run {number} of {self._plan.runs}: {name}: {rate:,.0f} MB/s")
            self._yardstick()

    def _kinds(self, folder: Path, content: BenchContent) -> list[tuple[str, Move, list[Any]]]:
        m, only = self.measured, self._plan.only
        kinds: list[tuple[str, Move, list[Any]]] = []
        if {"download", "libtorrent", "owners", "memory", "cpu"} & set(only):
            kinds.append(("1 owner", lambda: ours.fetch(folder, content), m.ours))
        if "libtorrent" in only and not theirs.installed():
            m.skipped.append("libtorrent is not installed (make interop): not compared with it")
        elif "libtorrent" in only:
            kinds.append(("libtorrent", lambda: theirs.fetch(folder, content), m.theirs))
            kinds.append(("libtorrent, tuned", lambda: theirs.fetch(folder, content, True), m.theirs_tuned))
        if "owners" in only:
            kinds.append(("3 owners", lambda: ours.fetch(folder, content, owners=3), m.three_owners))
        return kinds

    def _reports(
        self, folder: Path, content: BenchContent, before: Path | None
    ) -> list[tuple[str, Move, list[Any]]]:
        """Nodes that report, nodes that do not, and those of an earlier commit."""
        m, off = self.measured, {"REPORT": "off"}
        kinds: list[tuple[str, Move, list[Any]]] = [
            ("with reports", lambda: ours.fetch(folder, content, settings={"REPORT": "on"}), m.reporting),
            ("without reports", lambda: ours.fetch(folder, content, settings=off), m.silent),
        ]
        if before is not None:
            earlier = lambda: ours.fetch(folder, content, settings=off, nodes_of=before)  # noqa: E731
            kinds.append((f"commit {self._plan.before}", earlier, m.before))
        return kinds

    def _idle(self, folder: Path, content: BenchContent) -> None:
        idle = self.measured.idle
        idle["owner"] = ours.idle_owner(folder, content)
        idle["downloader"] = ours.idle_downloader(folder)
        if self.measured.theirs:
            idle["seeder"] = theirs.idle_seeder(content)
            idle["leecher"] = theirs.idle_leecher()

    def _floods(self, folder: Path, content: BenchContent) -> None:
        """Each kind once a run, in turn."""
        for number in range(1, self._plan.runs + 1):
            for flooded in under_flood.measure(folder, content, list(under_flood.KINDS)):
                self.measured.flooded.append(flooded)
                how = f"failed: {flooded.reason}"
                if flooded.waited is not None:
                    how = f"{flooded.rate / 1e6:,.0f} MB/s after {flooded.waited:.1f} s"
                told = f"{flooded.name} ({flooded.sent:,.0f}/s): {how}"
                self._say(f"run {number} of {self._plan.runs}: flood: {told}")

    def _large(self) -> None:
        size = LARGER * self._plan.size
        if machine.room(self.folder) < COPIES * size:
            self.measured.skipped.append(f"no room in {self.folder} for {COPIES} × {size / 1e9:.1f} GB")
            return
        self._say(f"memory, with {_mib(size)}")
        with _temporary(self.folder) as folder:
            content = make_repeated_content(folder, size)
            self.measured.large.append(ours.fetch(folder, content))

    def _disk(self) -> None:
        disk = machine.disk_folder(COPIES * self._plan.size, (ROOT / "bench",))
        if disk is None:
            self.measured.skipped.append("no room on a disk")
            return
        self.measured.places["disk"] = _place(disk)
        self._say(f"on disk, in {disk}")
        with _temporary(disk) as folder:
            content = make_content(folder, self._plan.size)
            for number in range(1, self._plan.runs + 1):
                result = ours.fetch(folder, content)
                self.measured.on_disk.append(result)
                rate = result.size / result.seconds / 1e6
                self._say(f"run {number} of {self._plan.runs}: on disk: {rate:,.0f} MB/s")

    def _crowds(self) -> None:
        """One seed and many nodes that start together."""
        for nodes in self._plan.crowds:
            needed = (nodes + 2) * crowd.SIZE
            place = self.folder if machine.room(self.folder) > needed else Path(tempfile.gettempdir())
            if machine.room(place) < needed:
                self.measured.skipped.append(f"no room for {nodes} × {_mib(crowd.SIZE)}")
                continue
            with _temporary(place) as folder:
                content = make_content(folder, crowd.SIZE)
                for number in range(1, self._plan.runs + 1):
                    result = crowd.run(folder, content, nodes)
                    self.measured.crowds.append(result)
                    self._say(
                        f"run {number} of {self._plan.runs}: 1 seed, {nodes} nodes: "
                        f"{result.seconds[-1]:.1f} s, bound {result.bound:.1f} s"
                    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _place(folder: Path) -> str:
    """A folder's name for the table."""
    kind = machine.file_system(folder)
    return f"RAM ({kind})" if kind in machine.RAM_FILE_SYSTEMS else f"{kind} disk"


@contextmanager
def earlier_program(commit: str, folder: Path) -> Iterator[Path | None]:
    """The program as it was at ``commit``, below ``folder``; None without one. BenchError."""
    if not commit:
        yield None
        return
    place = folder / "before"
    _git("worktree", "add", "--detach", str(place), commit)
    try:
        yield place
    finally:
        _git("worktree", "remove", "--force", str(place))


def _git(*words: str) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"git {words[0]} {words[1]}: {done.stderr.strip().splitlines()[-1:]}")


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A folder below ``folder`` that is gone afterwards."""
    below = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield below
    finally:
        shutil.rmtree(below, ignore_errors=True)
