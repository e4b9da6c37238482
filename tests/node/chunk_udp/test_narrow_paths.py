"""Paths with a smaller MTU than requested, with and without an error for it; over real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from node.chunk_udp import sockets
from tests.node.chunk_udp.loopback import PATIENT, LoopbackDownload, linux, serving


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
    """Linux reports EMSGSIZE, for a batch (before 6.10 or so) EINVAL: batches stay, segments become
    smaller."""
    sent = limited_path(monkeypatch, 1400, batch_errno)
    with serving() as served:
        download = LoopbackDownload(300_000)
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
        download = LoopbackDownload(300_000)
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
        download = LoopbackDownload(100_000)
        download.fetch(served.addr, replace(PATIENT, loopback_segment_size=7216))
        assert download.is_identical()
