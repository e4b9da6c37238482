"""Downloads over real sockets: owners and downloads of this process, with a faulty relay before each owner.

Real time, real threads and files, so no two runs are alike. The seed decides which owners lie
or die, and how the relays treat datagrams. Every file must be right in the end. No honest owner may be
banned.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.chunk_udp.owner import Owner
from node.chunk_udp.transport import UdpTransport
from node.content.hashing import HashPool
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.download import Download, NodeParts, SwarmTrackers
from node.peer import FoundPeer, Peer
from node.settings import NodeSettings, TransferSettings
from simulator.served import MemoryTorrent

AT_ONCE = 4  # transfers
LONGEST = 90.0  # seconds for one
PIECE = 16 << 10  # bytes
SETTINGS = TransferSettings(owner_timeout=0.5, loopback_segment_size=1400)


@dataclass
class _Tracker:
    """A tracker that knows the owners and always answers."""

    owners: Sequence[Peer]
    name = "tracker"

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        found([FoundPeer(peer) for peer in self.owners])


def transfer(seed: int, verifier: HashPool) -> str:
    """One download from honest, lying and dying owners. Returns "", or a description of the fault."""
    chance = random.Random(seed)
    content = chance.randbytes(int(2 ** chance.uniform(8, 18.5)))
    pieces = b"".join(hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, len(content), PIECE))
    metainfo = decode_metainfo(encode_metainfo("x.bin", len(content), PIECE, pieces, ""))
    liars = set()
    with contextlib.ExitStack() as stack:
        entries = []
        for number in range(1, 2 + chance.choice([0, 1, 2, 4])):
            lies = number > 1 and chance.random() < 0.4
            dies = chance.uniform(0, 0.3) if number > 1 and chance.random() < 0.3 else None
            if lies:
                liars.add(number)
            addr = _serve(stack, metainfo, _bent(content, chance) if lies else content, dies, chance)
            entries.append(Peer(*addr, node_id=number))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        return _fetch(metainfo, content, entries, liars, folder, verifier)


def _bent(content: bytes, chance: random.Random) -> bytes:
    """``content`` with wrong bytes in every piece, or in one."""
    bent = bytearray(content)
    wrong = range(0, len(bent), 1000) if chance.random() < 0.5 else [chance.randrange(len(bent))]
    for at in wrong:
        bent[at] ^= 1
    return bytes(bent)


def _serve(
    stack: contextlib.ExitStack, metainfo: Metainfo, data: bytes, dies: float | None, chance: random.Random
) -> tuple[str, int]:
    """Start an owner behind its own relay; returns the relay's address."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0))
    owner = Owner(
        sock,
        {metainfo.info_hash: MemoryTorrent(data, metainfo.piece_length)},
        chance.randbytes(32),
    )
    thread = threading.Thread(target=owner.listen, name="soak owner", daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(owner.stop)
    if dies is not None:
        timer = threading.Timer(dies, owner.stop)
        timer.start()
        stack.callback(timer.cancel)
    there, back = (_faults(chance) for _ in range(2))
    relay = FaultyRelay(sock.getsockname()[:2], there, back, chance.getrandbits(32))
    return stack.enter_context(relay).addr


def _faults(chance: random.Random) -> LinkFaults:
    def perhaps(most: float) -> float:
        return chance.choice([0.0, chance.uniform(0, most)])

    return LinkFaults(
        loss=perhaps(0.15),
        duplicate=perhaps(0.1),
        reorder=perhaps(0.2),
        corrupt=perhaps(0.05),
        delay=perhaps(0.01),
    )


def _fetch(
    metainfo: Metainfo,
    content: bytes,
    owners: Sequence[Peer],
    liars: set[int],
    folder: Path,
    verifier: HashPool,
) -> str:
    settings = NodeSettings(1000, folder, ("http://127.0.0.1:9",), search_limit=LONGEST)
    own = Peer("127.0.0.1", 1, node_id=1000)
    parts = NodeParts(settings, own, verifier, {"udp": UdpTransport(SETTINGS)}, lambda event: None)
    torrent = TorrentFile(folder / "x.bin.torrent", b"d4:info" + metainfo.raw_info + b"e")
    download = Download(
        ContentStore(metainfo, folder, OpenFiles()), torrent, SwarmTrackers([_Tracker(owners)]), parts
    )
    download.start()
    if not download.done.wait(LONGEST):
        download.cancel()
        download.done.wait(LONGEST)
        return f"hangs: {download.status()}"
    if download.error is not None:
        return f"fails: {download.error}"
    if (folder / metainfo.name).read_bytes() != content:
        return "corrupt"
    banned = {row.node_id for row in download.status().sources if row.state == "banned"}
    return f"honest owners banned: {banned - liars}" if banned - liars else ""


def soak(first: int, runs: int) -> int:
    """``runs`` transfers, several at once, with progress. Returns the number of broken ones."""
    verifier, began, broken = HashPool(2), time.monotonic(), 0
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            seeds = range(first, first + runs)
            for done, (seed, reason) in enumerate(
                zip(seeds, pool.map(lambda s: transfer(s, verifier), seeds), strict=True), 1
            ):
                if reason:
                    broken += 1
                    print(f"BROKEN over sockets, seed {seed}: {reason}", flush=True)
                if done % 50 == 0 or done == runs:
                    seconds = time.monotonic() - began
                    print(f"{done:,} of {runs:,} over sockets: {broken} broken, {seconds:.0f} s", flush=True)
    finally:
        verifier.close()
    return broken
