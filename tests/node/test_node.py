"""A node in this process, without a tracker: its address, its threads, its refusals."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import CommandError, DiskFull, LocalFault
from common.metainfo import encode_metainfo
from node import events
from node import node as module
from node.download import coordinator
from node.node import Node
from node.settings import NodeSettings
from node.torrent_table import TorrentTable

LIMIT = 20.0  # seconds until something that must happen has happened
NO_TRACKER = "http://127.0.0.1:9"


class Heard(list[events.Event]):
    """Events of a node."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def emit(self, event: events.Event) -> None:
        with self.changed:
            self.append(event)
            self.changed.notify_all()

    def wait_for(self, kind: type[events.Event]) -> Any:
        """The first event of this kind."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(isinstance(event, kind) for event in self), LIMIT)
            return next(event for event in self if isinstance(event, kind))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make(tmp_path: Path, heard: Heard) -> Iterator[Callable[..., Node]]:
    """``make(...)``: a node with these settings that is not in the torrent yet."""
    nodes: list[Node] = []

    def do(**settings: Any) -> Node:
        nodes.append(Node(NodeSettings(7, tmp_path, (NO_TRACKER,), **settings), heard.emit))
        return nodes[-1]

    yield do
    for node in nodes:
        node.exit_torrent()


def test_a_node_whose_address_goes_away_leaves_its_trackers_and_is_back(
    make: Callable[..., Node], heard: Heard
) -> None:
    node = make()
    node.enter_torrent()
    (tracker,) = node._trackers
    node.on_address_lost("127.0.0.1")
    assert heard.wait_for(events.AddressLost).host == "127.0.0.1"
    assert tracker._away
    node.on_address_restored("127.0.0.1")
    assert heard.wait_for(events.AddressRestored)
    assert not tracker._away


def test_a_transport_that_failed_ends_the_program(make: Callable[..., Node]) -> None:
    """The error leaves its thread, and the launcher's excepthook ends the program with it."""
    with pytest.raises(LocalFault, match="serving over UDP has stopped"):
        make().on_failed(LocalFault("serving over UDP has stopped"))


def test_a_file_check_that_fails_ends_the_program(
    make: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    died = threading.Event()
    causes: list[Any] = []

    def excepthook(args: Any) -> None:
        causes.append(args.exc_value)
        died.set()

    def broken(self: TorrentTable) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(threading, "excepthook", excepthook)
    monkeypatch.setattr(module, "FILE_CHECK", 0.01)
    monkeypatch.setattr(TorrentTable, "check_files", broken)
    make().enter_torrent()
    assert died.wait(LIMIT)
    assert isinstance(causes[0], ZeroDivisionError)


def test_nothing_is_done_before_entering_or_after_leaving(make: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"hello")
    node = make()
    assert (node.status(), node.files(), node.peers(), node.trackers()) == ((), (), (), ())
    assert not node.is_sharing() and node.wait_for_downloads(0)
    for refused in (lambda: node.set_send_mode("x.bin"), lambda: node.set_download_mode("x.torrent")):
        with pytest.raises(CommandError, match="not in the torrent"):
            refused()
    node.exit_torrent()
    node.enter_torrent() if False else None
    with pytest.raises(CommandError, match="not in the torrent"):
        node.set_send_mode("x.bin")


def test_the_node_shares_stops_and_shares_again(
    make: Callable[..., Node], tmp_path: Path, heard: Heard
) -> None:
    (tmp_path / "x.bin").write_bytes(b"hello")
    node = make()
    node.enter_torrent()
    assert heard.wait_for(events.FilesNotShared).filenames == ("x.bin",)
    assert node.set_send_mode("x.bin").state == "sharing" and node.is_sharing()
    node.stop_file("x.bin.torrent")
    assert not node.is_sharing() and node.files()[0].state == "stopped: you stopped it"
    with pytest.raises(CommandError, match="neither shared nor being downloaded"):
        node.stop_file("x.bin")
    node.set_send_mode("x.bin")
    assert node.is_sharing() and len(node.files()) == 1


def test_a_file_that_the_tracker_does_not_know_yet_is_named(
    make: Callable[..., Node], tmp_path: Path, heard: Heard
) -> None:
    (tmp_path / "x.bin").write_bytes(b"hello")
    node = make()
    node.enter_torrent()
    node.set_send_mode("x.bin")
    event = heard.wait_for(events.NotAnnounced)
    assert event.is_retried and "does not answer" in event.reason


def test_a_resumed_download_without_room_shows_what_is_kept(
    make: Callable[..., Node], tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, name: str, needed: int) -> None:
        raise DiskFull("no room left")

    monkeypatch.setattr(coordinator, "check_room", full)
    content = bytes(range(256)) * 128  # two pieces
    hashes = b"".join(hashlib.sha1(content[at : at + 16384]).digest() for at in (0, 16384))
    (tmp_path / "x.bin.torrent").write_bytes(encode_metainfo("x.bin", 32768, 16384, hashes, ""))
    (tmp_path / "x.bin.part").write_bytes(content[:16384] + bytes(16384))
    node = make()
    node.enter_torrent()
    node.set_download_mode("x.bin.torrent").done.wait(LIMIT)
    (row,) = node.status()
    assert (row.state, row.verified, row.size) == ("failed", 16384, 32768)
