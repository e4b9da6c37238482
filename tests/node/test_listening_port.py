"""The port a node listens on: one of those allowed, however few, or one line that says why not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import LocalFault
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
            tracker_url="http://127.0.0.1:9",  # nobody
            port_range=(low, high),
        )
        entered.append(Node(settings, lambda event: None))
        entered[-1].enter_torrent()
        return entered[-1]

    yield start
    for node in entered:
        node.exit_torrent()


def two_ports() -> tuple[int, int]:
    """Two free ports that follow each other, below those that systems pick of themselves."""
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


def test_a_wide_range_is_left_to_the_system(enter: Enter) -> None:
    assert enter(1024, 65535).addr[1] != 1024
