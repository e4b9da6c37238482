"""Owners that are gone, silent, changed or new in mid-transfer; over real sockets."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import pytest

from common.errors import FileFault, PeerFault
from node.chunk_udp import sockets
from node.chunk_udp.fetcher import Fetcher
from node.settings import TransferSettings
from simulator.served import MemoryTorrent, memory_info
from tests.node.chunk_udp.loopback import CONTENT, INFO, PATIENT, LoopbackDownload, ServedOwner, serving


def test_a_closed_port_is_found_out_quickly() -> None:
    with sockets.udp_socket("127.0.0.1", 0, 1 << 16) as sock:
        addr = sock.getsockname()
    begin = time.monotonic()
    download = LoopbackDownload(1000)
    with pytest.raises(PeerFault, match="no program listens|silent"):
        download.fetch(addr, TransferSettings())
    if sockets.LINUX:
        assert time.monotonic() - begin < 2.0


def test_an_owner_that_falls_silent_in_mid_transfer_is_given_up_in_time() -> None:
    with serving() as served:
        download = LoopbackDownload()
        download.on_bytes = lambda received: served.end() if received > 500_000 else None
        begin = time.monotonic()
        with pytest.raises(PeerFault, match="silent"):
            download.fetch(served.addr, TransferSettings(owner_timeout=0.7, loopback_segment_size=9000))
        assert 0.7 <= time.monotonic() - begin < 10.0
        assert download.todo == download.missing  # all that did not come was given back
        assert download.missing


def test_an_owner_that_is_gone_in_mid_transfer_leaves_the_rest_to_others() -> None:
    with serving() as other, sockets.udp_socket("127.0.0.1", 0, 4 << 20) as sock:
        served = ServedOwner(sock, MemoryTorrent(CONTENT))
        download = LoopbackDownload()

        def leave(received: int) -> None:
            if received > 500_000 and sock.fileno() >= 0:
                served.end()
                sock.close()

        download.on_bytes = leave
        with pytest.raises(PeerFault):
            download.fetch(served.addr, TransferSettings(owner_timeout=5.0, loopback_segment_size=9000))
        assert download.todo == download.missing
        download.fetch(other.addr)
        assert download.is_identical()


def test_an_owner_that_restarts_in_mid_transfer_is_not_even_noticed() -> None:
    """Another process with another secret at the same address: new tokens, nothing else."""
    with sockets.udp_socket("127.0.0.1", 0, 4 << 20) as sock:
        served = [ServedOwner(sock, MemoryTorrent(CONTENT))]
        download = LoopbackDownload()

        def restart(received: int) -> None:
            if received > 500_000 and len(served) == 1:
                served[0].end()
                served.append(ServedOwner(sock, MemoryTorrent(CONTENT), b"another secret"))

        download.on_bytes = restart
        download.fetch(served[0].addr, replace(PATIENT, loopback_segment_size=9000))
        served[-1].end()
        assert download.is_identical()
        assert served[1].owner.counts["token"] > 0


def test_a_file_that_is_not_shared_is_a_fault_that_says_so() -> None:
    with serving() as served, pytest.raises(PeerFault, match="does not share"):
        unknown = memory_info(len(CONTENT), info_hash=b"?" * 20)
        Fetcher(served.addr, unknown, LoopbackDownload(1000), PATIENT).run()


def test_a_file_that_changes_in_mid_transfer_is_a_fault_that_says_so() -> None:
    content = MemoryTorrent(CONTENT)
    with serving(content=content) as served:
        download = LoopbackDownload()
        download.on_bytes = lambda received: setattr(content, "fault", FileFault("it has changed"))
        with pytest.raises(PeerFault, match="has changed"):
            download.fetch(served.addr, replace(PATIENT, loopback_segment_size=9000))
        assert download.todo == download.missing


def test_a_download_that_stops_gives_back_what_is_missing() -> None:
    with serving() as served:
        download = LoopbackDownload()
        download.on_bytes = lambda received: download.stop.set()
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=9000))
        assert download.todo == download.missing
        assert download.missing


def test_a_full_disk_ends_the_thread_and_closes_its_socket() -> None:
    def full(received: int) -> None:
        raise FileFault("no room left")

    with serving() as served:
        download = LoopbackDownload()
        download.on_bytes = full
        with pytest.raises(FileFault):
            download.fetch(served.addr)


def test_an_owner_stops_soon_and_may_be_stopped_twice() -> None:
    with serving() as served:
        begin = time.monotonic()
        served.end()
        assert time.monotonic() - begin < 5.0


def test_too_many_open_files_are_one_owners_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = Fetcher(("127.0.0.1", 9), INFO, LoopbackDownload(1000), PATIENT)

    def failing() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("selectors.DefaultSelector", failing)
    with pytest.raises(PeerFault, match="open files"):
        fetcher.run()
