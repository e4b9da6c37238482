"""Seeds of ours in one process: ``python -m bench.bittorrent.peers TORRENT PATH COUNT [...]``.

Prints ``{"event": "ready", "addresses": [...]}`` and serves until its standard input ends. A line ``stall``
there makes the last ``--stalling M`` of the seeds send no more blocks; their connections stay open.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from common.errors import LocalFault
from common.peer_id import new_peer_id
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.peer import FoundPeer
from node.peer_tcp.transport import TcpTransport
from node.rate_limit import RateLimit, TransferLimits
from node.torrent import Torrent

FOREVER = 3600.0  # seconds; longer than any run
FAST = 1 << 34  # bytes a second: no limit, but one that a stalling seed can be held by


class Silent:
    """An observer that notes nothing."""

    def on_address_lost(self, host: str) -> None: ...

    def on_address_restored(self, host: str) -> None: ...

    def on_peer(self, info_hash: bytes, found: FoundPeer) -> None: ...

    def on_failed(self, fault: LocalFault) -> None:
        print(fault, file=sys.stderr)


def load(torrent: Path, path: Path) -> Torrent:
    """The torrent with the finished content at ``path``, which is trusted unread."""
    file = TorrentFile.read(torrent)
    content = ContentStore(file.info, path.parent, OpenFiles())
    content.adopt_files(content.find_finished(path))
    return Torrent(content, file, lambda event: None, lambda owned: None)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.bittorrent.peers")
    parser.add_argument("torrent", type=Path)
    parser.add_argument("path", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=int, help="upload limit of each seed in bytes a second")
    parser.add_argument("--stalling", type=int, default=0, help="seeds that stall when told to")
    given = parser.parse_args()
    torrent = load(given.torrent, given.path)
    limits = [RateLimit(given.rate or FAST) for _ in range(given.count)]
    seeds = []
    for number, limit in enumerate(limits, 1):
        seed = TcpTransport(new_peer_id(), f"127.0.4.{number}", limits=TransferLimits(limit))
        seed.start({torrent.info.info_hash: torrent}, Silent())
        seeds.append(seed)
    addresses = [f"{host}:{port}" for host, port in (seed.addr for seed in seeds)]
    print(json.dumps({"event": "ready", "addresses": addresses}), flush=True)
    for line in sys.stdin:
        if line.strip() == "stall":
            for limit in limits[given.count - given.stalling :]:
                limit.spend(int(limit.rate * FOREVER), time.monotonic())
    for seed in seeds:
        seed.stop()


if __name__ == "__main__":
    main()
