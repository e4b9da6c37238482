"""libtorrent over TCP as two processes that move the same file, as the reference for ours."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path

from bench.content import BenchContent, same, touch_memory
from bench.ours import patience
from bench.processes import BenchError, Children
from bench.records import TheirTransfer, Usage

CONGESTION_CONTROL = "cubic"  # asked for, whatever the system's default: runs stay comparable
PEER = ["-m", "bench.libtorrent_peer"]


def installed() -> bool:
    """Whether there is a libtorrent to compare with."""
    return importlib.util.find_spec("libtorrent") is not None


def fetch(folder: Path, content: BenchContent, tuned: bool = False) -> TheirTransfer:
    """Move ``content`` from a seeder to a leecher, with default settings unless ``tuned``."""
    below = Path(tempfile.mkdtemp(prefix="libtorrent-", dir=folder))
    limit = patience(content.size)
    common = ["--timeout", str(limit), *(["--tuned"] if tuned else [])]
    try:
        with Children({}) as children:
            where = [str(content.torrent), str(content.path.parent), "--cc", CONGESTION_CONTROL]
            seeder = children.start([*PEER, "seed", *where, *common], limit)
            ready = seeder.event("ready")
            touch_memory(below, content.size)
            where = [str(content.torrent), str(below), "--peer", f"127.0.0.1:{ready['port']}"]
            leecher = children.start([*PEER, "leech", *where, *common], limit)
            completed = leecher.event("completed")
            leeched = leecher.finish()
            seeder.end_input()
            seeded = seeder.finish()
            if not same(content.path, below / content.path.name):
                raise BenchError(f"libtorrent's copy of {content.path} differs")
    finally:
        shutil.rmtree(below, ignore_errors=True)
    return TheirTransfer(
        content.size,
        completed["transfer_seconds"],
        completed["seconds"],
        seeded,
        leeched,
        completed["version"],
        ready["congestion_control"],
    )


def idle_seeder(content: BenchContent) -> Usage:
    """The usage of a seeder that checks ``content`` and serves no peer."""
    limit = patience(content.size)
    with Children({}) as children:
        seeder = children.start([*PEER, "seed", str(content.torrent), str(content.path.parent)], limit)
        seeder.event("ready")
        seeder.end_input()
        return seeder.finish()


def idle_leecher() -> Usage:
    """The usage of a process that only loads libtorrent."""
    with Children({}) as children:
        return children.start(["-c", "import libtorrent"], patience(0)).finish()
