"""The relay passes on what it is told to, both ways, for several clients, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from faults.link import LinkFaults
from faults.relay import FaultyRelay

PERFECT = LinkFaults()


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(20)
    return sock


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with udp() as sock:
        yield sock


def test_there_and_back_for_each_client(target: socket.socket) -> None:
    with FaultyRelay(target.getsockname(), PERFECT, PERFECT, 1) as relay, udp() as one, udp() as other:
        for client, text in ((one, b"from one"), (other, b"from the other"), (one, b"again")):
            client.sendto(text, relay.addr)
            got, seen = target.recvfrom(100)
            assert got == text
            target.sendto(b"answer to " + text, seen)
            assert client.recvfrom(100) == (b"answer to " + text, relay.addr)
        assert set(relay.links) == {one.getsockname(), other.getsockname()}


def test_the_faults_of_each_direction_are_its_own(target: socket.socket) -> None:
    with (
        FaultyRelay(target.getsockname(), LinkFaults(duplicate=1), LinkFaults(loss=1), 1) as relay,
        udp() as one,
    ):
        one.sendto(b"x", relay.addr)
        assert target.recv(10) == b"x"
        got, seen = target.recvfrom(10)
        assert got == b"x"
        target.sendto(b"never arrives", seen)
        one.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one.recv(100)
        assert relay.links[one.getsockname()][1].counters.lost == 1


def test_what_is_delayed_comes_later_and_in_order(target: socket.socket) -> None:
    with FaultyRelay(target.getsockname(), LinkFaults(delay=0.05), PERFECT, 1) as relay, udp() as one:
        for number in range(20):
            one.sendto(bytes([number]), relay.addr)
        assert [target.recv(10) for _ in range(20)] == [bytes([number]) for number in range(20)]


def test_the_largest_datagram_passes(target: socket.socket) -> None:
    with FaultyRelay(target.getsockname(), PERFECT, PERFECT, 1) as relay, udp() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        one.sendto(bytes(9000), relay.addr)
        assert target.recv(65_535) == bytes(9000)


def test_a_target_that_is_gone_is_silence(target: socket.socket) -> None:
    with FaultyRelay(target.getsockname(), PERFECT, PERFECT, 1) as relay, udp() as one:
        target.close()
        one.settimeout(0.2)
        for _ in range(3):
            one.sendto(b"x", relay.addr)
            with pytest.raises(TimeoutError):
                one.recv(10)
