"""One file from one seeder to one leecher over TCP, as processes; each is ours or libtorrent."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.content import BenchContent, same, touch_memory
from bench.ours import patience
from bench.processes import BenchError, Child, Children
from bench.records import Usage
from bench.theirs import CONGESTION_CONTROL, PEER

OURS, THEIRS = "ours", "libtorrent"
SEED_HOST, LEECH_HOST = "127.0.0.2", "127.0.0.3"


@dataclass(frozen=True)
class Move:
    """One download of the whole content; the copy was compared afterwards."""

    seeder: str  # OURS or THEIRS
    leecher: str
    size: int
    seconds: float  # from the first request, or the connection, to the last verified piece
    seeder_usage: Usage
    leecher_usage: Usage

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.size / self.seconds


def move(folder: Path, content: BenchContent, seeder: str, leecher: str) -> Move:
    """Move ``content`` into a new folder below ``folder``."""
    below = Path(tempfile.mkdtemp(prefix="move-", dir=folder))
    limit = patience(content.size)
    try:
        with Children({"LOGS_DIR": str(below / "logs")}) as children:
            seeding, address = start_seeder(children, seeder, content, limit)
            copies = below / "copy"
            copies.mkdir()
            touch_memory(below, content.size)
            fetching = start_leecher(children, leecher, content, copies, [address], limit)
            completed = fetching.event("completed")
            used = fetching.finish()
            seeded = end(seeding, seeder)
            if not same(content.path, copies / content.path.name):
                raise BenchError(f"{leecher}'s copy of {content.path} differs")
    finally:
        shutil.rmtree(below, ignore_errors=True)
    return Move(seeder, leecher, content.size, completed["transfer_seconds"], seeded, used)


def start_seeder(children: Children, kind: str, content: BenchContent, limit: float) -> tuple[Child, str]:
    """A seeder that has checked its file, and its address."""
    if kind == OURS:
        words = [str(content.torrent), "-s", str(content.path), "-host", SEED_HOST, "--json"]
        child = children.start(["TorrentClient.py", *words], limit)
        host, port = child.event("listening")["addr"]
        child.event("sharing")
        return child, f"{host}:{port}"
    where = [str(content.torrent), str(content.path.parent), "--host", SEED_HOST, "--timeout", str(limit)]
    child = children.start([*PEER, "seed", *where, "--cc", CONGESTION_CONTROL], limit)
    return child, f"{SEED_HOST}:{child.event('ready')['port']}"


def start_leecher(
    children: Children, kind: str, content: BenchContent, folder: Path, addresses: list[str], limit: float
) -> Child:
    """A leecher that fetches from ``addresses`` and ends once it is complete."""
    if kind == OURS:
        peers = [word for address in addresses for word in ("--peer", address)]
        words = [str(content.torrent), "-d", str(folder), "-host", LEECH_HOST, *peers, "--json"]
        return children.start(["TorrentClient.py", *words], limit)
    where = [str(content.torrent), str(folder), "--host", LEECH_HOST, "--timeout", str(limit)]
    return children.start([*PEER, "leech", *where, "--peer", *addresses], limit)


def end(seeder: Child, kind: str) -> Usage:
    """Stop a seeder; returns its usage."""
    if kind == OURS:
        return seeder.stop()
    seeder.end_input()
    return seeder.finish()


def idle_seeder(folder: Path, content: BenchContent, kind: str) -> Usage:
    """The usage of a seeder that checks its file and serves no peer."""
    with Children({"LOGS_DIR": str(folder / "logs")}) as children:
        child, _ = start_seeder(children, kind, content, patience(content.size))
        return end(child, kind)
