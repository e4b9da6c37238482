"""kill -9 of a downloader at random moments: no verified piece is fetched again, few are hashed."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

# Pieces that may be open when a run is killed: runs that are being written, and requests on the way. They
# stay doubtful, run after run, until they are fetched.
MOST_OPEN = 32
LAST_MOMENT = 32  # pieces that may be verified in the moment before a kill, before they are recorded
FAST = 8  # factor on both where the download is not limited: 30 ms are 250 pieces then
_CHECKED = re.compile(r"(\d+) pieces were verified before, (\d+) pieces were hashed")


class Victim:
    """Runs of one download in one folder. Each is killed, and is followed by the next."""

    def __init__(
        self, swarm: Any, torrent: Path, folder: Path, chance: random.Random, factor: int = 1
    ) -> None:
        self._swarm, self._torrent, self._chance = swarm, torrent, chance
        self.folder = folder
        self.verified: set[int] = set()  # pieces that some run reported as verified
        self.believed = self.hashed = 0  # pieces, at the start of the last run
        self.kills = 0
        self._factor = factor  # for MOST_OPEN and LAST_MOMENT

    def run_and_kill(self, longest: float) -> bool:
        """One more run, killed up to ``longest`` seconds after its first piece. False if it was complete."""
        node = self._start()
        node.wait_until("piece, or the end", lambda: node.seen("piece") or node.seen("completed"))
        time.sleep(self._chance.uniform(0, longest))  # the random moment
        node.kill()
        self._compare(node)
        self.kills += 1
        return not node.seen("completed")

    def run_to_the_end(self) -> None:
        """The last run."""
        node = self._start()
        assert node.end() == 0
        self._compare(node)

    def _start(self) -> Any:
        return self._swarm.node("-setMode", "download", str(self._torrent), "-d", str(self.folder))

    def _compare(self, node: Any) -> None:
        log = (self._swarm.folder / "logs" / f"node{node.number}.log").read_text(encoding="utf-8")
        counts = _CHECKED.search(log)
        self.believed, self.hashed = (int(counts[1]), int(counts[2])) if counts else (0, 0)
        fetched = {event["index"] for event in node.seen("piece")}
        assert not fetched & self.verified, "a verified piece was fetched again"
        recorded = len(self.verified) - LAST_MOMENT * self._factor
        assert self.believed >= recorded, "verified pieces were hashed again"
        doubtful = MOST_OPEN * self.kills * self._factor
        assert self.hashed <= doubtful, f"{self.hashed} pieces were hashed, {self.believed} were not"
        self.verified |= fetched


@pytest.mark.parametrize("kind", ["limited", "unlimited", "a folder"])
def test_at_random_moments(
    swarm: Any, scale: Any, note: Any, tmp_path: Path, chance: random.Random, kind: str
) -> None:
    size = 8 * scale.size if kind == "unlimited" else scale.size
    path = folder_of(swarm, scale.size, chance) if kind == "a folder" else swarm.file("x", size)
    _, torrent = swarm.share(path, **({} if kind == "unlimited" else scale.limit))
    kills = hashed = believed = 0
    while kills < scale.moments:
        factor = FAST if kind == "unlimited" else 1
        victim = Victim(swarm, torrent, tmp_path / f"victim{kills}", chance, factor)
        while kills < scale.moments and victim.run_and_kill(0.05 if kind == "unlimited" else 0.4):
            kills += 1
            hashed, believed = hashed + victim.hashed, believed + victim.believed
        victim.run_to_the_end()
        assert tree(victim.folder / "x") == tree(path)
    note(f"kill -9 of a downloader, {kind}", kills=kills, hashed=hashed, not_hashed=believed)


def folder_of(swarm: Any, size: int, chance: random.Random) -> Path:
    """A folder "x" of many files with ``size`` bytes in all."""
    folder = Path(swarm.folder) / "originals" / "x"
    while size:
        length = min(size, int(chance.expovariate(1 / 60_000)))
        path = folder / f"{chance.randrange(7)}" / f"{size}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(length))
        size -= length
    return folder


def tree(path: Path) -> dict[str, bytes]:
    """The file, or the files below the folder."""
    files = [path] if path.is_file() else [below for below in path.rglob("*") if below.is_file()]
    return {below.relative_to(path).as_posix(): below.read_bytes() for below in files}


def test_a_byte_that_changes_after_a_kill_is_noticed(
    swarm: Any, scale: Any, in_the_middle: Any, tmp_path: Path
) -> None:
    """Soon after the kill: the time of change is close to that of the last write."""
    path = swarm.file("x.bin", scale.size)
    _, torrent = swarm.share(path, **scale.limit)
    fetcher = swarm.node(
        "-setMode", "download", str(torrent), "-d", str(tmp_path / "d"), PROGRESS_INTERVAL="0.05"
    )
    in_the_middle(fetcher)
    right = [event["index"] for event in fetcher.seen("piece")][0]
    fetcher.kill()
    time.sleep(0.06)  # longer than our own writes may explain (PROMISE_SECONDS, WRITE_SECONDS)
    with (tmp_path / "d" / "x.bin.part").open("r+b") as part:
        part.seek(right * (32 << 10) + 7)
        byte = part.read(1)
        part.seek(-1, 1)
        part.write(bytes([byte[0] ^ 1]))
    again = swarm.node("-setMode", "download", str(torrent), "-d", str(tmp_path / "d"))
    assert again.end() == 0
    assert right in {event["index"] for event in again.seen("piece")}
    assert (tmp_path / "d" / "x.bin").read_bytes() == path.read_bytes()
