"""The whole transport over real sockets on the loopback interface: clean, faulty and hostile."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from dataclasses import replace

import pytest

from faults.link import LinkFaults
from node.chunk_udp import sockets, wire
from simulator.served import MemoryTorrent
from tests.node.chunk_udp.loopback import (
    CONTENT,
    INFO_HASH,
    PATIENT,
    LoopbackDownload,
    linux,
    relayed,
    serving,
)

# ---- clean


@pytest.mark.parametrize("segment_size", [None, 512, 1400, 7216, 9000, wire.MAX_SEGMENT, 1 << 20])
def test_a_file_arrives_identical_whatever_the_segment_size(segment_size: int | None) -> None:
    settings = PATIENT if segment_size is None else replace(PATIENT, loopback_segment_size=segment_size)
    with serving() as served:
        download = LoopbackDownload()
        counters = download.fetch(served.addr, settings)
        assert download.is_identical()
        assert counters.malformed == 0  # batches are cut where their datagrams end
        assert download.bitfields == [None]
        served.end()  # it counts after it has sent
        assert served.owner.counts["unsent"] == 0
        assert served.owner.uploads.totals[INFO_HASH] >= len(CONTENT)


@linux
@pytest.mark.parametrize("segment_size", [4337, 13_075, 32_735, 991])
def test_a_batch_is_never_larger_than_a_datagram_may_be(segment_size: int) -> None:
    """The system splits what it is given, but takes no more at once than one datagram can carry."""
    with serving() as served:
        download = LoopbackDownload()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=segment_size))
        assert download.is_identical()
        assert served.owner.counts["unsent"] == 0


def test_a_wish_for_tiny_segments_is_not_a_wish_for_silence() -> None:
    with serving() as served:
        download = LoopbackDownload(20_000)
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=100))
        assert download.is_identical()


@pytest.mark.parametrize("controller", ["cubic", "fixed"])
@pytest.mark.parametrize("checked", [True, False])
def test_each_controller_with_and_without_checksums(controller: str, checked: bool) -> None:
    with serving() as served:
        download = LoopbackDownload()
        download.fetch(served.addr, replace(PATIENT, congestion_control=controller, checked=checked))
        assert download.is_identical()


def test_without_batches_or_gathering_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and macOS: one datagram a call."""
    monkeypatch.setattr(sockets, "LINUX", False)
    monkeypatch.setattr(sockets, "GATHERS", False)
    with serving() as served:
        download = LoopbackDownload()
        download.fetch(served.addr)
        assert download.is_identical()


def test_an_owner_that_cannot_batch_and_a_fetcher_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "supports_gso", lambda sock: False)
    with serving() as served:
        download = LoopbackDownload()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=1400))
        assert download.is_identical()


def test_an_empty_file_is_told_of_and_done() -> None:
    with serving(content=MemoryTorrent(b"")) as served:
        download = LoopbackDownload(0)
        download.fetch(served.addr, size=0)
        assert download.bitfields == [None]


def test_over_ipv6() -> None:
    try:
        sockets.udp_socket("::1", 0, 1 << 16).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving("::1") as served:
        download = LoopbackDownload(500_000)
        download.fetch(served.addr)
        assert download.is_identical()


def test_three_owners_at_a_time() -> None:
    with serving() as one, serving() as two, serving() as three:
        third = len(CONTENT) // 3
        parts = [
            LoopbackDownload(third),
            LoopbackDownload(2 * third, third),
            LoopbackDownload(len(CONTENT), 2 * third),
        ]
        threads = [
            threading.Thread(target=part.fetch, args=(served.addr,))
            for part, served in zip(parts, (one, two, three), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(part.is_identical() for part in parts)


# ---- faulty


@pytest.mark.parametrize(
    "faults",
    [
        LinkFaults(loss=0.2),
        LinkFaults(duplicate=0.5),
        LinkFaults(reorder=0.3, reorder_by=0.005),
        LinkFaults(corrupt=0.2),
        LinkFaults(delay=0.02, jitter=0.01),
        LinkFaults(rate=1_000_000, queue=20_000),
        LinkFaults(loss=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1, delay=0.002, jitter=0.002),
    ],
    ids=["loss", "duplicates", "reordering", "corruption", "delay", "narrow", "everything"],
)
def test_a_bad_path_costs_time_but_no_byte(faults: LinkFaults) -> None:
    settings = replace(PATIENT, loopback_segment_size=1400, checked=True)
    with serving() as served, relayed(served, faults) as relay:
        download = LoopbackDownload(100_000)
        download.fetch(relay.addr, settings)
        assert download.is_identical()
        ((there, back),) = relay.links.values()
        assert back.counters.sent > 100_000 // 1400


def test_several_fetchers_over_bad_paths_while_strangers_throw_things_at_the_owner() -> None:
    faults = LinkFaults(loss=0.05, duplicate=0.05, reorder=0.05, corrupt=0.05)
    settings = replace(PATIENT, loopback_segment_size=1400, checked=True)
    done = threading.Event()
    with serving() as served, relayed(served, faults) as relay:
        stranger = threading.Thread(target=throw_things, args=(served.addr, done))
        stranger.start()
        parts = [LoopbackDownload(100_000 * (n + 1), 100_000 * n) for n in range(3)]
        threads = [threading.Thread(target=part.fetch, args=(relay.addr, settings)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        stranger.join()
        assert all(part.is_identical() for part in parts)
        assert len(relay.links) == 3
        LoopbackDownload(1000).fetch(served.addr)  # the owner is alive, and has seen what came before this
        served.end()
        assert served.owner.counts["malformed"] > 0
        assert served.owner.counts["unexpected"] > 0
        assert served.owner.counts["token"] > 3  # answers to strangers' requests, each a token


def throw_things(addr: tuple[str, int], done: threading.Event) -> None:
    """Random, empty, oversized, truncated and misplaced datagrams, a few hundred a second."""
    chance = random.Random(3)
    request = wire.encode(wire.Request(1, 1, 0, 1000, INFO_HASH, bytes(16), 1000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        rounds = 0
        while not done.wait(0.02) or rounds < 5:
            rounds += 1
            for thing in (
                chance.randbytes(chance.randrange(200)),
                b"",
                bytes(9000),
                request[: chance.randrange(len(request))],
                request,
                wire.encode(wire.Data(1, 1, 0, b"not for you", True)),
                wire.encode(wire.Request(1, 1, 2**63, 2**32 - 1, b"?" * 20, bytes(16), 0)),
            ):
                sock.sendto(thing, addr)


def test_the_largest_datagram_of_nonsense_is_survived() -> None:
    with serving() as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with contextlib.suppress(OSError):  # some systems send no more than 9,216 bytes
            sock.sendto(bytes(wire.MAX_DATAGRAM), served.addr)
        download = LoopbackDownload(1000)
        download.fetch(served.addr)
        assert download.is_identical()
