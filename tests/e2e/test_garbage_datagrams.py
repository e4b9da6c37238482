"""Whatever is thrown at a node's UDP port: transfers go on, and the node lives."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any

from common.metainfo import decode_metainfo
from node.chunk_udp import wire

MIB = 1 << 20
AMOUNT = 5000


def token_of(sock: socket.socket, info_hash: bytes) -> bytes:
    """Prove our address as any fetcher does; the answer is no longer than the request."""
    ask = wire.encode(wire.Ask(1, 1, info_hash))
    sock.send(ask)
    answer = sock.recv(65_535)
    assert len(answer) < len(ask)
    token = wire.decode(answer)
    assert isinstance(token, wire.Token)
    return token.token


def garbage(rng: random.Random, info_hash: bytes, token: bytes, size: int) -> Iterator[bytes]:
    """Every kind of datagram that no peer should send."""
    good = wire.encode(wire.Request(2, 1, 0, 4096, info_hash, token, 1200))
    extremes = (0, 1, size - 1, size, size + 1, 2**32 - 1, 2**63, 2**64 - 1)
    for number in range(AMOUNT):
        match number % 6:
            case 0:
                yield rng.randbytes(rng.choice([0, 1, 31, 32, 33, 72, 128, 1400]))
            case 1:
                yield good[: rng.randrange(len(good))]
            case 2:
                flipped = bytearray(good)
                flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
                yield bytes(flipped)
            case 3:  # well-formed, proved, and beyond all bounds
                offset, length = rng.choice(extremes), rng.choice([0, 2**18 + 1, 2**31, 2**32 - 1])
                yield wire.encode(
                    wire.Request(
                        3, number, offset, length, info_hash, token, rng.choice([0, 1, 1200, 2**32 - 1])
                    )
                )
            case 4:  # a file that is not shared; and a token that was never given
                stranger = rng.choice([bytes(20), b"../../etc/passwd".ljust(20, b"\0"), rng.randbytes(20)])
                yield wire.encode(
                    wire.Request(4, number, 0, 4096, stranger, rng.choice([token, bytes(16)]), 1200)
                )
            case _:
                kind = bytes([wire.MAGIC, wire.VERSION, rng.randrange(256), rng.randrange(256)])
                yield kind + rng.randbytes(rng.choice([28, 100, 9000, 65_000]))


def test_garbage_at_the_owner_and_at_the_fetcher(swarm: Any, slow: dict[str, str]) -> None:
    path = swarm.file("x.bin", 8 * MIB)
    owner, torrent = swarm.share(path)
    info_hash = decode_metainfo(torrent.read_bytes()).info_hash
    fetcher = swarm.downloading(torrent, **slow)
    fetcher.wait_for("piece")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_owner,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_fetcher,
    ):
        at_owner.connect(tuple(owner.wait_for("started")["addr"]))
        at_fetcher.connect(tuple(fetcher.wait_for("started")["addr"]))
        at_owner.settimeout(30)
        token = token_of(at_owner, info_hash)
        for datagram in garbage(random.Random(5), info_hash, token, path.stat().st_size):
            at_owner.send(datagram)
            at_fetcher.send(datagram)
        drain(at_owner)
        completed = fetcher.wait_for("completed")
        assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
        assert not fetcher.seen("piece_failed")
        assert sum(source["received"] for source in completed["sources"]) == 8 * MIB
        drain(at_owner)
        at_owner.send(
            wire.encode(wire.Request(9, 77, 1000, 1000, info_hash, token_of(at_owner, info_hash), 1200))
        )
        data = wire.decode(at_owner.recv(65_535))  # and it answers a proper request
    assert isinstance(data, wire.Data)
    assert (data.sequence, bytes(data.payload)) == (77, path.read_bytes()[1000:2000])
    assert swarm.fetch(torrent).end() == 0
    assert owner.stop() == fetcher.stop() == 0
    for node in (owner, fetcher):
        assert not any("Traceback" in line for line in node.errors)


def drain(sock: socket.socket) -> None:
    """Take what has been answered so far: refusals and tokens, never a byte of a file."""
    sock.setblocking(False)
    try:
        while True:
            assert not isinstance(wire.decode(sock.recv(65_535)), (wire.Data, wire.Tell))
    except BlockingIOError:
        sock.settimeout(30)
