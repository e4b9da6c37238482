"""The whole transport over real sockets on the loopback interface: clean, faulty, hostile, and dying."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from common.errors import FileFault, OwnerFault
from common.ranges import RangeSet
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.chunk_udp import sockets, wire
from node.chunk_udp.facts import Counters
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.settings import TransferSettings

INFO_HASH = b"i" * 20
PATIENT = TransferSettings(owner_timeout=20.0)
CONTENT = random.Random(1).randbytes(3_000_001)

linux = pytest.mark.skipif(not sockets.LINUX, reason="batched calls are Linux's")


class Content:
    """A torrent in memory; ``broken`` makes every read fail as a changed file's does."""

    held = None

    def holds(self, start: int, end: int) -> bool:
        return True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.offered = True
        self.broken = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if self.broken:
            raise FileFault("the file has changed")
        buffer[:] = self._data[offset : offset + len(buffer)]


class Download:
    """A supply: wants all of ``[start, end)`` from one owner, and notes what comes."""

    def __init__(self, end: int = len(CONTENT), start: int = 0) -> None:
        self.todo = RangeSet([(start, end)])
        self.missing = RangeSet([(start, end)])
        self.data = bytearray(end - start)
        self.sizes: list[int] = []
        self.stop = threading.Event()
        self.on_bytes: Callable[[int], None] = lambda received: None
        self._start, self._received = start, 0

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        assert (complete, first_piece, bitfield) == (True, 0, b"")
        self.sizes.append(size)

    def next_span(self, limit: int) -> tuple[int, int] | None:
        return self.todo.take_first(limit)

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        end = offset + len(payload)
        assert self.missing.cut(offset, end) == [(offset, end)]  # asked for, and never here before
        self.data[offset - self._start : end - self._start] = payload
        self._received += len(payload)
        self.on_bytes(self._received)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        for span in spans:
            self.todo.add(*span)

    def not_held(self, spans: object) -> None:
        pass

    def queued(self, place: int) -> None:
        pass

    def wait_for_work(self, timeout: float | None) -> bool:
        return False

    def stopping(self) -> bool:
        return self.stop.is_set()

    def fetch(self, addr: tuple[str, int], settings: TransferSettings = PATIENT) -> Counters:
        """All that is still to do, from the owner at ``addr``."""
        fetcher = Fetcher(addr, INFO_HASH, settings, self)
        fetcher.receive_chunk()
        return fetcher.connection.counters

    def is_identical(self) -> bool:
        return not self.missing and self.data == CONTENT[self._start : self._start + len(self.data)]


class Serving:
    """An owner's listening thread on ``sock``; ``end`` stops it and leaves the socket open."""

    def __init__(self, sock: socket.socket, content: Content, secret: bytes = b"secret") -> None:
        self.addr = sock.getsockname()[:2]
        self.faults: list[tuple[bytes, FileFault]] = []
        self.owner = Owner(sock, {INFO_HASH: content}, secret, lambda *fault: self.faults.append(fault))
        self.thread = threading.Thread(target=self.owner.listen)
        self.thread.start()

    def end(self) -> None:
        self.owner.stop()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def serving(host: str = "127.0.0.1", content: Content | None = None) -> Iterator[Serving]:
    with sockets.udp_socket(host, 0, 4 << 20) as sock:
        served = Serving(sock, content or Content(CONTENT))
        try:
            yield served
        finally:
            served.end()


def relayed(served: Serving, there: LinkFaults, back: LinkFaults | None = None) -> FaultyRelay:
    return FaultyRelay(served.addr, there, back or there, seed=7)


# ---- clean


@pytest.mark.parametrize("segment_size", [None, 512, 1400, 7216, 9000, wire.MAX_SEGMENT, 1 << 20])
def test_a_file_arrives_identical_whatever_the_segment_size(segment_size: int | None) -> None:
    settings = PATIENT if segment_size is None else replace(PATIENT, loopback_segment_size=segment_size)
    with serving() as served:
        download = Download()
        counters = download.fetch(served.addr, settings)
        assert download.is_identical()
        assert counters.malformed == 0  # batches are cut where their datagrams end
        assert download.sizes == [len(CONTENT)]
        served.end()  # it counts after it has sent
        assert served.owner.counts["unsent"] == 0
        assert served.owner.sent[INFO_HASH] >= len(CONTENT)


@linux
@pytest.mark.parametrize("segment_size", [4337, 13_075, 32_735, 991])
def test_a_batch_is_never_larger_than_a_datagram_may_be(segment_size: int) -> None:
    """The system splits what it is given, but takes no more at once than one datagram can carry."""
    with serving() as served:
        download = Download()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=segment_size))
        assert download.is_identical()
        assert served.owner.counts["unsent"] == 0


def test_a_wish_for_tiny_segments_is_not_a_wish_for_silence() -> None:
    with serving() as served:
        download = Download(20_000)
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=100))
        assert download.is_identical()


@pytest.mark.parametrize("controller", ["cubic", "fixed"])
@pytest.mark.parametrize("checked", [True, False])
def test_each_controller_with_and_without_checksums(controller: str, checked: bool) -> None:
    with serving() as served:
        download = Download()
        download.fetch(served.addr, replace(PATIENT, congestion_control=controller, checked=checked))
        assert download.is_identical()


def test_without_batches_or_gathering_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and macOS: one datagram a call."""
    monkeypatch.setattr(sockets, "LINUX", False)
    monkeypatch.setattr(sockets, "GATHERS", False)
    with serving() as served:
        download = Download()
        download.fetch(served.addr)
        assert download.is_identical()


def test_an_owner_that_cannot_batch_and_a_fetcher_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "can_send_batches", lambda sock: False)
    with serving() as served:
        download = Download()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=1400))
        assert download.is_identical()


def test_an_empty_file_is_told_of_and_done() -> None:
    with serving(content=Content(b"")) as served:
        download = Download(0)
        download.fetch(served.addr)
        assert download.sizes == [0]


def test_over_ipv6() -> None:
    try:
        sockets.udp_socket("::1", 0, 1 << 16).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving("::1") as served:
        download = Download(500_000)
        download.fetch(served.addr)
        assert download.is_identical()


def test_three_owners_at_a_time() -> None:
    with serving() as one, serving() as two, serving() as three:
        third = len(CONTENT) // 3
        parts = [Download(third), Download(2 * third, third), Download(len(CONTENT), 2 * third)]
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
        download = Download(100_000)
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
        parts = [Download(100_000 * (n + 1), 100_000 * n) for n in range(3)]
        threads = [threading.Thread(target=part.fetch, args=(relay.addr, settings)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        stranger.join()
        assert all(part.is_identical() for part in parts)
        assert len(relay.links) == 3
        assert served.thread.is_alive()
        served.end()
        assert served.owner.counts["malformed"] > 0
        assert served.owner.counts["unexpected"] > 0
        assert served.owner.counts["token"] > 3  # strangers' requests, none of them answered with more


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
        download = Download(1000)
        download.fetch(served.addr)
        assert download.is_identical()


def test_bytes_from_another_address_are_not_taken() -> None:
    """The fetcher's socket is connected: only the owner is heard."""
    with serving() as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        download = Download(100_000)
        fetcher = Fetcher(served.addr, INFO_HASH, PATIENT, download)
        ours = fetcher._sock.getsockname()  # nobody else can tell where it listens
        terms = fetcher.connection.terms
        for offset in range(0, 100_000, 1000):
            stranger.sendto(wire.encode(wire.Data(terms.transfer_id, 1, offset, bytes(1000))), ours)
        fetcher.receive_chunk()
        assert download.is_identical()
        assert fetcher.connection.counters.stale == 0


# ---- paths that carry less


def limited_path(monkeypatch: pytest.MonkeyPatch, mtu: int, batch_errno: int) -> list[int]:
    """Refuse datagrams above ``mtu`` bytes, in a batch with ``batch_errno``; returns the batches' sizes."""
    sent: list[int] = []
    send_parts = sockets.send_parts

    def limited(sock: socket.socket, parts: Sequence[bytes], addr: tuple[str, int], segment: int) -> None:
        size = segment or sum(len(part) for part in parts)
        if size > mtu:
            code = batch_errno if segment else errno.EMSGSIZE
            raise OSError(code, "refused")
        sent.append(segment)
        send_parts(sock, parts, addr, segment)

    monkeypatch.setattr(sockets, "send_parts", limited)
    return sent


@pytest.mark.parametrize("batch_errno", [errno.EMSGSIZE, errno.EINVAL])
def test_a_path_that_carries_less_than_was_asked_for_gets_less(
    monkeypatch: pytest.MonkeyPatch, batch_errno: int
) -> None:
    """Linux says EMSGSIZE, in a batch (before 6.10 or so) EINVAL: batches stay, segments become smaller."""
    sent = limited_path(monkeypatch, 1400, batch_errno)
    with serving() as served:
        download = Download(300_000)
        settings = replace(PATIENT, loopback_segment_size=7216, congestion_control="fixed")
        download.fetch(served.addr, settings)  # "fixed" asks for four segments, a batch, at once
        assert download.is_identical()
        assert served.owner.counts["unsent"] > 0
        if sockets.LINUX:
            assert any(sent)


@linux
@pytest.mark.parametrize("code", [errno.EIO, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_device_that_cannot_split_gets_one_datagram_at_a_time(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    send_parts = sockets.send_parts

    def no_batches(sock: socket.socket, parts: Any, addr: tuple[str, int], segment: int) -> None:
        if segment:
            raise OSError(code, "refused")
        send_parts(sock, parts, addr, segment)

    monkeypatch.setattr(sockets, "send_parts", no_batches)
    with serving() as served:
        download = Download(300_000)
        settings = replace(PATIENT, loopback_segment_size=7216, congestion_control="fixed")
        download.fetch(served.addr, settings)
        assert download.is_identical()
        assert served.owner.counts["unsent"] > 0


def test_a_path_that_swallows_large_datagrams_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8899's black hole: no error, no segment; smaller ones come through."""
    send_parts = sockets.send_parts

    def black_hole(sock: socket.socket, parts: Any, addr: tuple[str, int], segment: int) -> None:
        if (segment or sum(len(part) for part in parts)) <= 1400:
            send_parts(sock, parts, addr, segment)

    monkeypatch.setattr(sockets, "send_parts", black_hole)
    with serving() as served:
        download = Download(100_000)
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=7216))
        assert download.is_identical()


# ---- owners that fail


def test_a_closed_port_is_found_out_quickly() -> None:
    with sockets.udp_socket("127.0.0.1", 0, 1 << 16) as sock:
        addr = sock.getsockname()
    begin = time.monotonic()
    download = Download(1000)
    with pytest.raises(OwnerFault, match="nobody listens|silent"):
        download.fetch(addr, TransferSettings())
    if sockets.LINUX:
        assert time.monotonic() - begin < 2.0


def test_an_owner_that_falls_silent_in_mid_transfer_is_given_up_in_time() -> None:
    with serving() as served:
        download = Download()
        download.on_bytes = lambda received: served.end() if received > 500_000 else None
        begin = time.monotonic()
        with pytest.raises(OwnerFault, match="silent"):
            download.fetch(served.addr, TransferSettings(owner_timeout=0.7, loopback_segment_size=9000))
        assert 0.7 <= time.monotonic() - begin < 10.0
        assert download.todo == download.missing  # all that did not come was given back
        assert download.missing


def test_an_owner_that_is_gone_in_mid_transfer_leaves_the_rest_to_others() -> None:
    with serving() as other, sockets.udp_socket("127.0.0.1", 0, 4 << 20) as sock:
        served = Serving(sock, Content(CONTENT))
        download = Download()

        def leave(received: int) -> None:
            if received > 500_000 and sock.fileno() >= 0:
                served.end()
                sock.close()

        download.on_bytes = leave
        with pytest.raises(OwnerFault):
            download.fetch(served.addr, TransferSettings(owner_timeout=5.0, loopback_segment_size=9000))
        assert download.todo == download.missing
        download.fetch(other.addr)
        assert download.is_identical()


def test_an_owner_that_restarts_in_mid_transfer_is_not_even_noticed() -> None:
    """Another process with another secret at the same address: new tokens, nothing else."""
    with sockets.udp_socket("127.0.0.1", 0, 4 << 20) as sock:
        served = [Serving(sock, Content(CONTENT))]
        download = Download()

        def restart(received: int) -> None:
            if received > 500_000 and len(served) == 1:
                served[0].end()
                served.append(Serving(sock, Content(CONTENT), b"another secret"))

        download.on_bytes = restart
        download.fetch(served[0].addr, replace(PATIENT, loopback_segment_size=9000))
        served[-1].end()
        assert download.is_identical()
        assert served[1].owner.counts["token"] > 0


def test_a_file_that_is_not_shared_is_a_fault_that_says_so() -> None:
    with serving() as served, pytest.raises(OwnerFault, match="does not share"):
        Fetcher(served.addr, b"?" * 20, PATIENT, Download(1000)).receive_chunk()


def test_a_file_that_changes_in_mid_transfer_is_a_fault_that_says_so() -> None:
    content = Content(CONTENT)
    with serving(content=content) as served:
        download = Download()
        download.on_bytes = lambda received: setattr(content, "broken", True)
        with pytest.raises(OwnerFault, match="has changed"):
            download.fetch(served.addr, replace(PATIENT, loopback_segment_size=9000))
        assert download.todo == download.missing
        assert {info_hash for info_hash, _ in served.faults} == {INFO_HASH}


def test_a_download_that_stops_gives_back_what_is_missing() -> None:
    with serving() as served:
        download = Download()
        download.on_bytes = lambda received: download.stop.set()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=9000))
        assert download.todo == download.missing
        assert download.missing


def test_a_full_disk_ends_the_thread_and_closes_its_socket() -> None:
    def full(received: int) -> None:
        raise FileFault("no room left")

    with serving() as served:
        download = Download()
        download.on_bytes = full
        with pytest.raises(FileFault):
            download.fetch(served.addr)


def test_an_owner_stops_soon_and_may_be_stopped_twice() -> None:
    with serving() as served:
        begin = time.monotonic()
        served.end()
        assert time.monotonic() - begin < 5.0
