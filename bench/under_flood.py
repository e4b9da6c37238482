"""A download during a flood of its owner, of the downloader, or (to compare) of an unread port.

All share one machine, so sending the flood takes processor time from the transfer. The unread port shows that
cost. The rest is the cost of receiving and rejecting.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.content import BenchContent, same
from bench.ours import DOWNLOADER, POLL, START_LIMIT, BenchSwarm, patience, swarm, torrent_of
from bench.processes import BenchError, Child
from bench.records import Flooded
from common.errors import SwarmError
from node.chunk_udp.sockets import LINUX


class CopyError(SwarmError):
    """The downloaded copy differs from the shared file: no flood may cause that."""


RATE = 100_000  # datagrams a second
SOURCES = 100_000  # made-up source addresses (Linux)
UNDISTURBED, NOBODY, DOWNLOADERS = "undisturbed", "a port that nobody reads", "the downloader's port"
KINDS = {  # name: kind of the flood, number of source addresses
    UNDISTURBED: ("", 0),
    NOBODY: ("mixed", SOURCES),
    "junk": ("junk", 0),
    "tokenless": ("tokenless", 0),
    "tokenless, many addresses": ("tokenless", SOURCES),
    "forged tokens": ("forged", SOURCES),
    "replayed token": ("replayed", SOURCES),
    "mixed": ("mixed", SOURCES),
    DOWNLOADERS: ("answers", SOURCES),
}


def measure(folder: Path, content: BenchContent, names: list[str]) -> Iterator[Flooded]:
    """One download for each of ``names``, all from one owner."""
    with swarm(folder) as ours, _unread() as nobody:
        owner = ours.node(1, content.size * len(names), "-setMode", "send", str(content.path))
        at = owner.event("started")["addr"]
        info_hash = owner.event("sharing")["info_hash"]
        deadline = time.monotonic() + START_LIMIT
        while 1 not in ours.known_owners(info_hash):
            if time.monotonic() > deadline:
                raise BenchError(f"{ours.url}: never heard that node 1 shares {content.path}")
            time.sleep(POLL)
        for number, name in enumerate(names):
            target = nobody if name == NOBODY else at
            yield _fetch(ours, content, DOWNLOADER + number, name, target, info_hash)


def _fetch(
    ours: BenchSwarm, content: BenchContent, node_id: int, name: str, target: tuple[str, int], info_hash: str
) -> Flooded:
    """Download once. The flood begins first, unless it is the downloader's, whose port must exist before."""
    words = ["-setMode", "download", str(torrent_of(ours, content))]
    if name == DOWNLOADERS:
        child = ours.node(node_id, content.size, *words)
        target = child.event("started")["addr"]
        flood = _flood(ours, content, name, target, info_hash)
    else:
        flood = _flood(ours, content, name, target, info_hash)
        child = ours.node(node_id, content.size, *words)
    waited = seconds = None
    reason = ""
    begun = time.monotonic()
    try:
        child.event("piece")
        first = time.monotonic()
        completed = child.event("completed")
        waited, seconds = first - begun, time.monotonic() - first
        child.finish()
        if not same(content.path, Path(completed["path"])):
            raise CopyError(f"{completed['path']} is not {content.path}")
    except BenchError as error:  # it was flooded to death: that, too, is a result
        waited, seconds, reason = None, None, str(error)
        child.stop()
    finally:
        sent = _stop(flood) if flood is not None else 0.0
        shutil.rmtree(ours.place(node_id))
    return Flooded(name, sent, content.size, waited, seconds, reason)


def _flood(
    ours: BenchSwarm, content: BenchContent, name: str, target: tuple[str, int], info_hash: str
) -> Child | None:
    """A process that already floods ``target``; None for the undisturbed transfer."""
    kind, sources = KINDS[name]
    if not kind:
        return None
    limit = patience(content.size)
    words = ["-m", "bench.flood", f"{target[0]}:{target[1]}", "--kind", kind, "--rate", str(RATE)]
    words += ["--seconds", f"{limit:.0f}", "--info-hash", info_hash]
    words += ["--sources", str(sources)] if LINUX else []
    flood = ours.children.start(words, limit)
    while json.loads(flood.line())["sent"] == 0:
        pass
    return flood


def _stop(flood: Child) -> float:
    """End it; how many datagrams a second it really sent."""
    flood.stop()
    last = {"sent": 0, "seconds": 1.0}
    for line in flood.rest().splitlines():
        if line.startswith("{"):
            last = json.loads(line)
    return float(last["sent"] / last["seconds"])


@contextmanager
def _unread() -> Iterator[tuple[str, int]]:
    """The address of a socket that is never read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()
