"""The port a node listens on: one of the allowed ports, or one line with the reason."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import LocalFault
from node.listen_port import PREFERRED_PORTS, listening_socket, preferred_port
from node.node import Node
from node.settings import NodeSettings

Enter = Callable[[int, int], Node]


@pytest.fixture
def enter(tmp_path: Path):
    """``enter(low, high)``: a node that has entered with that range of ports; it leaves with the test."""
    entered: list[Node] = []

    def start(low: int, high: int) -> Node:
        settings = NodeSettings(
            node_id=1,
            folder=tmp_path,
            trackers=("http://127.0.0.1:9",),  # no tracker there
            port_range=(low, high),
        )
        entered.append(Node(settings, lambda event: None))
        entered[-1].enter_torrent()
        return entered[-1]

    yield start
    for node in entered:
        node.exit_torrent()


def two_ports() -> tuple[int, int]:
    """Two consecutive free ports, below the range from which systems pick ports."""
    for low in range(20_001, 30_000, 2):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
        ):
            try:
                first.bind(("127.0.0.1", low))
                second.bind(("127.0.0.1", low + 1))
            except OSError:
                continue
            return low, low + 1
    raise AssertionError("no two free ports")


def test_a_narrow_range_is_kept_and_its_end_is_said(enter: Enter) -> None:
    low, high = two_ports()
    assert enter(low, high).addr == ("127.0.0.1", low)
    assert enter(low, high).addr == ("127.0.0.1", high)
    with pytest.raises(LocalFault, match=rf"no port from {low} to {high} is free"):
        enter(low, high)


ALL = (1024, 65535)
LOCALHOST = "127.0.0.1"
BUFFER = 1 << 16


def a_node_with_a_free_port() -> int:
    """A node id whose usual port is free."""
    for node_id in range(2_000_000, 2_001_000):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((LOCALHOST, preferred_port(node_id)))
            return node_id
    raise AssertionError("no free port")


def test_a_node_comes_back_at_its_preferred_port() -> None:
    node_id = a_node_with_a_free_port()
    for _ in range(2):
        with listening_socket(node_id, LOCALHOST, ALL, BUFFER) as sock:
            assert sock.getsockname() == (LOCALHOST, preferred_port(node_id))


def test_a_preferred_port_that_is_taken_is_left_to_who_has_it() -> None:
    node_id = a_node_with_a_free_port()
    with (
        listening_socket(node_id, LOCALHOST, ALL, BUFFER) as first,
        listening_socket(node_id, LOCALHOST, ALL, BUFFER) as second,
    ):
        assert first.getsockname() != second.getsockname()
        assert second.getsockname()[1] >= ALL[0]


def test_preferred_ports_outside_of_the_range_are_not_taken() -> None:
    with listening_socket(1, LOCALHOST, (40_000, 65_535), BUFFER) as sock:
        assert sock.getsockname()[1] >= 40_000


def test_preferred_ports_are_ports_below_those_that_systems_pick() -> None:
    assert {preferred_port(node_id) for node_id in range(3000)} == set(
        range(PREFERRED_PORTS[0], PREFERRED_PORTS[1] + 1)
    )
    assert preferred_port(2**31 - 1) in range(PREFERRED_PORTS[0], PREFERRED_PORTS[1] + 1)
