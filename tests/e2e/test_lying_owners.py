"""Owners that send wrong bytes or false claims: detected by piece, reported, and avoided."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from faults.link import LinkFaults
from faults.relay import FaultyRelay

MIB = 1 << 20
SIZE = 4 * MIB


def wrong(at: int, payload: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in payload[:1]) + payload[1:]


def test_one_liar_among_five_owners_costs_one_piece(swarm: Any, slow: dict[str, str]) -> None:
    """Its first piece reveals it; it is named, banned and not credited."""
    path = swarm.file("x.bin", SIZE)
    honest, torrent = swarm.share(path)
    owners = [swarm.play_owner(path, torrent) for _ in range(3)]
    liar = swarm.play_owner(path, torrent, wrong)
    fetcher = swarm.downloading(torrent, **slow, MAX_SPLITTNES_RATE="5")
    completed = fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert [event["sources"] for event in fetcher.seen("piece_failed")] == [[liar.node_id]]
    (lost,) = fetcher.seen("owner_lost")
    assert (lost["node_id"], lost["banned"]) == (liar.node_id, True)
    assert lost["reason"].startswith("sent wrong bytes (piece ")
    peers = {row["node_id"]: row for row in fetcher.ask("peers")["peers"] if row["direction"] == "from"}
    assert peers.keys() == {honest.number, liar.node_id, *(owner.node_id for owner in owners)}
    assert (peers[liar.node_id]["state"], peers[liar.node_id]["reason"]) == ("banned", lost["reason"])
    assert sum(row["amount"] for number, row in peers.items() if number != liar.node_id) >= SIZE
    assert liar.sent < 2 * (32 << 10)  # one piece, and its repeated losses
    credit = {source["node_id"]: int(source["received"] > 0) for source in completed["sources"]}
    swarm.wait_for_uploads(torrent, {**credit, liar.node_id: 0, fetcher.number: 0})


def test_a_liar_that_was_honest_at_first_is_the_last_to_be_asked(swarm: Any, slow: dict[str, str]) -> None:
    """Later data comes without checksums over loopback, so the path may have changed it."""
    path = swarm.file("x.bin", SIZE)
    honest, torrent = swarm.share(path)
    seen: list[int] = []

    def later(at: int, payload: bytes) -> bytes:
        seen.append(len(payload))
        return payload if sum(seen) < MIB else wrong(at, payload)

    liar = swarm.play_owner(path, torrent, later)
    fetcher = swarm.downloading(torrent, **slow)
    fetcher.wait_for("completed")
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    (lost,) = fetcher.seen("owner_lost")
    assert (lost["node_id"], lost["banned"]) == (liar.node_id, False)
    assert lost["reason"].startswith("sent wrong bytes (piece ")
    assert lost["reason"].endswith(", or they were damaged on the way")
    assert sum(seen) < MIB + 4 * (32 << 10)  # bytes in flight
    peers = {row["node_id"]: row for row in fetcher.ask("peers")["peers"]}
    assert (peers[liar.node_id]["state"], peers[liar.node_id]["reason"]) == ("suspect", lost["reason"])


def test_a_liar_now_and_then_is_found_out_too(swarm: Any, slow: dict[str, str]) -> None:
    path = swarm.file("x.bin", SIZE)
    _, torrent = swarm.share(path)
    liar = swarm.play_owner(path, torrent, lambda at, p: wrong(at, p) if at // 600 % 100 == 50 else p)
    fetcher = swarm.fetch(torrent, **slow)
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    (lost,) = fetcher.seen("owner_lost")
    assert lost["node_id"] == liar.node_id  # banned if it was in its first piece, which goes with checksums
    assert lost["reason"].startswith("sent wrong bytes (piece ")


@pytest.mark.parametrize("size", [1000, SIZE])
def test_alone_with_a_liar_a_download_fails_and_says_why(
    swarm: Any, brief: dict[str, str], size: int
) -> None:
    path = swarm.file("x.bin", size)
    honest, torrent = swarm.share(path)
    assert honest.stop() == 0
    liar = swarm.play_owner(path, torrent, wrong)
    fetcher = swarm.fetch(torrent, json=False, **brief)
    assert fetcher.end() == 1
    (reason,) = fetcher.errors
    assert reason.startswith("x.bin: ") and f"node {liar.node_id}: sent wrong bytes" in reason
    assert "x.bin.part is kept" in reason
    assert sorted(entry.name for entry in fetcher.folder.iterdir()) == [
        "x.bin.part",
        "x.bin.resume",
        "x.bin.torrent",
    ]
    asked = liar.requests
    assert swarm.owners(torrent) == [(liar.node_id, 0)]
    assert liar.requests == asked  # not asked again


def test_an_owner_of_another_size(swarm: Any, slow: dict[str, str], brief: dict[str, str]) -> None:
    path = swarm.file("x.bin", SIZE)
    honest, torrent = swarm.share(path)
    other = swarm.play_owner(path, torrent)
    other.size = SIZE - 1
    fetcher = swarm.fetch(torrent, **slow, **brief)
    assert fetcher.end() == 0
    lost = fetcher.wait_for("owner_lost", node_id=other.node_id)
    assert lost["reason"] == f"its file has {SIZE - 1} bytes, the torrent says {SIZE}"
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert honest.stop() == 0
    other.announce()  # the download may have taken longer than the tracker waits
    late = swarm.fetch(torrent, json=False, **brief)
    assert late.end() == 1
    assert f"{SIZE - 1} bytes" in late.errors[0]


def test_an_owner_that_answers_and_sends_nothing(
    swarm: Any, slow: dict[str, str], brief: dict[str, str]
) -> None:
    path = swarm.file("x.bin", 1 * MIB)
    _, torrent = swarm.share(path)
    mute = swarm.play_owner(path, torrent, lambda at, payload: None)
    fetcher = swarm.fetch(torrent, **slow, **brief)  # or the other owner may have sent all before it is asked
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    (lost,) = fetcher.seen("owner_lost")
    assert lost["node_id"] == mute.node_id and lost["reason"].startswith("silent for ")


def test_a_path_that_spoils_bytes_is_not_the_owners_fault(swarm: Any, brief: dict[str, str]) -> None:
    """Over loopback payloads go without checksums: the only owner is asked again, with them."""
    path = swarm.file("x.bin", 4 * MIB)
    honest, torrent = swarm.share(path)
    assert honest.stop() == 0
    owner = swarm.play_owner(path, torrent)
    there, back = LinkFaults(), LinkFaults(corrupt=0.02)
    with FaultyRelay(owner.addr, there, back, seed=1) as relay:
        owner.move(relay.addr)
        fetcher = swarm.fetch(torrent, LOOPBACK_SEGMENT_SIZE="1400", **brief)
        assert fetcher.end(40) == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert fetcher.seen("piece_failed")
    assert not any(event["banned"] for event in fetcher.seen("owner_lost"))


@pytest.mark.parametrize("excuse", ["has all and gives nothing", "is always busy"])
def test_an_owner_that_refuses_every_request_costs_nothing(
    swarm: Any, slow: dict[str, str], excuse: str
) -> None:
    path = swarm.file("x.bin", 1 * MIB)
    honest, torrent = swarm.share(path)
    refusing = swarm.play_owner(path, torrent)
    refusing.busy = excuse == "is always busy"
    refusing.gives = refusing.busy
    fetcher = swarm.fetch(torrent, **slow)
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    received = {source["node_id"]: source["received"] for source in fetcher.seen("completed")[0]["sources"]}
    assert received == {honest.number: MIB, refusing.node_id: 0}
    assert refusing.requests == 0


def test_an_owner_that_begins_fast_and_then_drips_is_done_without(swarm: Any) -> None:
    """Many requests wait at it by then; the honest owner serves them instead."""
    path = swarm.file("x.bin", 16 * MIB)
    honest, torrent = swarm.share(path)
    leaving = threading.Event()
    slow_from = 4 * MIB

    def tire(at: int, payload: bytes) -> bytes | None:
        return None if tired.sent > slow_from and leaving.wait(0.7) else payload

    tired = swarm.play_owner(path, torrent, tire)
    fetcher = swarm.fetch(torrent)
    code = fetcher.end(40)
    leaving.set()
    assert code == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    assert tired.sent < 8 * MIB
