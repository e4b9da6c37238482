"""Trackers that a torrent names: silent trackers delay nothing, and a private torrent uses only its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common import bencode
from common.metainfo import decode_metainfo


@pytest.fixture
def silent() -> Iterator[list[str]]:
    """URLs of three listeners that accept connections and never answer."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    yield [f"http://127.0.0.1:{sock.getsockname()[1]}/announce" for sock in sockets]
    for sock in sockets:
        sock.close()


def rewritten(torrent: Path, announce: list[str], private: bool = False) -> bytes:
    """``torrent`` with these trackers."""
    info = decode_metainfo(torrent.read_bytes()).raw_info
    if private:
        info = info[:-1] + b"7:privatei1ee"
    tiers = bencode.encode([[url.encode()] for url in announce])
    first = bencode.encode(announce[0].encode())
    return b"d8:announce" + first + b"13:announce-list" + tiers + b"4:info" + info + b"e"


def test_silent_trackers_keep_neither_the_prompt_nor_the_download_waiting(
    swarm: Any, silent: list[str]
) -> None:
    """Each of them would take a minute; our own tracker knows the owner."""
    path = swarm.file("x.bin", 1000)
    _, torrent = swarm.share(path)
    other = swarm.folder / "other.torrent"
    other.write_bytes(rewritten(torrent, silent))
    fetcher = swarm.node(TRACKER_TIMEOUT="60")
    fetcher.wait_for("started")
    began = time.monotonic()
    fetcher.type(f"torrent -setMode download '{other}'")
    fetcher.ask("status")
    fetcher.wait_for("completed")
    assert time.monotonic() - began < 30
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


def test_a_private_torrent_is_told_to_its_own_tracker_only(make_swarm: Any, start_tracker: Any) -> None:
    """BEP 27."""
    private, public = start_tracker(), start_tracker()
    swarm = make_swarm(private)
    path = swarm.file("x.bin", 1000)
    owner = swarm.node()  # of the private tracker
    torrent = swarm.share_also(owner, path)
    secret = swarm.folder / "secret.torrent"
    secret.write_bytes(rewritten(torrent, [f"{private.url}/announce"], private=True))
    (owner.folder / "x.bin").write_bytes(path.read_bytes())
    owner.type(f"torrent -setMode download '{secret}'")  # it is here already, and shared
    owner.wait_for("completed")
    swarm.wait_for_owners(secret, owner.number)
    fetcher = swarm.downloading(secret, tracker=public.url)
    fetcher.wait_for("completed")
    swarm.wait_for_owners(secret, owner.number, fetcher.number)
    assert make_swarm(public).owners(secret) == []
    fetcher.type(f"torrent -setMode send '{path}'")
    fetcher.wait_for("sharing", 2)
    make_swarm(public).wait_for_owners(torrent, fetcher.number)
    assert make_swarm(public).owners(secret) == []
    no_tracker = swarm.folder / "lost.torrent"
    no_tracker.write_bytes(rewritten(torrent, ["wss://127.0.0.1:1"], private=True))
    lost = swarm.node("-setMode", "download", str(no_tracker), tracker=public.url, json=False)
    assert lost.end() == 1
    assert "x.bin is private, and names no tracker that this node can ask" in lost.errors[0]


def test_silent_trackers_do_not_delay_the_end(swarm: Any, silent: list[str]) -> None:
    path = swarm.file("x.bin", 1000)
    _, torrent = swarm.share(path)
    other = swarm.folder / "other.torrent"
    other.write_bytes(rewritten(torrent, silent))
    fetcher = swarm.downloading(other, TRACKER_TIMEOUT="60")
    fetcher.wait_for("completed")
    began = time.monotonic()
    fetcher.type("torrent -setMode exit")
    assert fetcher.end() == 0
    assert time.monotonic() - began < 30  # and not a minute for each of them
