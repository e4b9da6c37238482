"""An unexpected error in any thread of a download ends it with one line; no other thread hangs."""

from __future__ import annotations

import errno
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from common.bitfield import Bitfield
from common.errors import DiskFull, DownloadFailed, FileFault, PluginError
from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from node import part_calls
from node.chunk_udp.transport import UdpTransport
from node.content.hashing import HashPool
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.discovery.base import PeerSource
from node.download import Download, NodeParts, SwarmTrackers, checking, coordinator, source
from node.download.known_peers import Candidate
from node.download.state import DownloadState
from node.peer import FoundPeer, Peer
from node.settings import NodeSettings, TransferSettings
from node.transport import DownloadSession

PIECE = 32 << 10
FAULT = "x.bin: stopped by a fault of this program (RuntimeError: a bug); the log has the details"
NOBODY = ("127.0.0.1", 9)


TORRENT = encode_metainfo("x.bin", PIECE, PIECE, bytes(20), "")

Make = Callable[..., Download]


@pytest.fixture
def metainfo() -> Metainfo:
    return decode_metainfo(TORRENT)


@pytest.fixture
def hash_pool() -> Iterator[HashPool]:
    pool = HashPool(1)
    yield pool
    pool.close()


@pytest.fixture
def make(tmp_path: Path, hash_pool: HashPool) -> Make:
    """``make(emit, ...)``: a download of a node without a tracker."""
    settings = NodeSettings(1, tmp_path, "http://127.0.0.1:9", search_limit=0.1)
    own = Peer("127.0.0.1", 1, node_id=1)
    transport = UdpTransport(TransferSettings())

    def do(
        emit: Callable[[Any], None],
        data: bytes = TORRENT,
        sources: Sequence[PeerSource] = (),
        changes: Mapping[str, Any] = MappingProxyType({}),  # of the settings
        **parts: Any,
    ) -> Download:
        file = TorrentFile(tmp_path / "x.bin.torrent", data)
        content = ContentStore(file.info, tmp_path, OpenFiles())
        parts = {"transports": {"udp": transport}, **parts}
        shared = NodeParts(replace(settings, **changes), own, hash_pool, emit=emit, **parts)
        return Download(content, file, SwarmTrackers(sources), shared)

    return do


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that ended threads."""
    traces: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda died: traces.append(str(died.exc_value)))
    return traces


def failing(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_an_error_of_the_system_ends_the_download_with_its_reason(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "check_room", failing(OSError(errno.EIO, "the disk is on fire")))
    told: list[Any] = []
    failed = make(told.append)
    failed.start()
    assert failed.done.wait(20)
    assert isinstance(failed.error, FileFault) and str(failed.error) == "x.bin: the disk is on fire"
    assert [event.name for event in told] == ["failed"]
    assert failed.status().state == "failed"


def test_a_failed_download_may_be_started_again_at_once(make: Make) -> None:
    """The part is closed by then, and no piece of it is served."""
    story: list[tuple[Any, ...]] = []
    done = threading.Event()

    def tell(event: Any) -> None:
        if event.name == "failed":
            story.append((failed.over, failed.status().state, failed.content.have.count))
            again.start()

    failed = make(tell)
    again = make(lambda event: done.set() if event.name == "failed" else None)
    failed.start()
    assert failed.done.wait(20) and done.wait(20) and again.done.wait(20)
    assert story == [(True, "failed", 0)]
    assert "no owner" in str(again.error)  # and not that its part is in use


def test_a_fault_of_the_program_is_no_success(
    make: Make, monkeypatch: pytest.MonkeyPatch, traces: list[str]
) -> None:
    monkeypatch.setattr(coordinator, "check_room", failing(RuntimeError("a bug")))
    told: list[Any] = []
    failed = make(told.append)
    failed.start()
    assert failed.done.wait(20)
    assert str(failed.error) == FAULT
    assert [event.name for event in told] == ["failed"]


def test_no_thread_waits_for_a_sources_thread_that_died(metainfo: Metainfo, traces: list[str]) -> None:
    transport: Any = Mock(connect=failing(RuntimeError("a bug")))
    board = DownloadState(metainfo.geometry, Bitfield(1))
    ended: list[Any] = []
    gone = threading.Event()

    def on_end(thread: source.SourceThread, why: Any) -> None:
        ended.append(why)
        gone.set()

    candidate = Candidate(Peer(*NOBODY, node_id=2))
    landing: Any = Mock()
    thread = source.SourceThread(candidate, metainfo, board, landing, transport, on_end)
    board.start([thread.peer])
    thread.start()
    assert gone.wait(20)
    assert isinstance(ended[0], DownloadFailed) and str(ended[0]) == FAULT
    other = Peer("127.0.0.1", 10)
    board.join(other)
    assert board.take(other, PIECE) == (0, PIECE, False)  # its pieces are free for other sources
    thread.join(20)
    assert not traces


def test_a_download_waits_for_its_turn(make: Make) -> None:
    turns = threading.Semaphore(0)
    told: list[Any] = []
    waiting = make(told.append, slots=turns)
    waiting.start()
    assert not waiting.done.wait(0.3)
    assert waiting.status().state == "waiting" and not told
    turns.release()
    assert waiting.done.wait(20)  # it found no owner
    assert turns.acquire(timeout=20)  # and gave its turn back
    late = make(told.append, slots=turns)
    late.start()
    late.cancel()
    assert late.done.wait(20) and late.status().state == "cancelled"


def test_a_complete_file_that_cannot_be_offered_is_complete(tmp_path: Path, make: Make) -> None:
    """A waiting program may have moved it away at once."""
    content = b"hello"
    (tmp_path / "x.bin").write_bytes(content)
    told: list[Any] = []

    def emit(event: Any) -> None:
        told.append(event)
        if event.name == "completed":
            (tmp_path / "x.bin").rename(tmp_path / "taken")

    complete = make(emit, encode_metainfo("x.bin", 5, PIECE, hashlib.sha1(content).digest(), ""))
    complete.start()
    assert complete.done.wait(20)
    assert complete.error is None and complete.status().state == "completed"
    assert [event.name for event in told] == ["hashing", "completed", "sharing_stopped"]


def test_a_file_system_that_does_not_know_its_size_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud drives report 0 of 0 bytes."""
    usage = SimpleNamespace(total=0, used=0, free=0)
    monkeypatch.setattr(checking.shutil, "disk_usage", lambda folder: usage)
    checking.check_room(tmp_path, "x", 1 << 40)
    usage.total = 1 << 40
    with pytest.raises(DiskFull, match="0 are free"):
        checking.check_room(tmp_path, "x", 1)


# ---- one line for an error in any thread


class OneOwner:
    """A tracker that knows one owner."""

    name = "tracker"

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        found([FoundPeer(Peer(*NOBODY, node_id=2))])


class Delivering:
    """A transport whose connections deliver zeros."""

    name = "udp"

    def connect(self, peer: Peer, info: Metainfo, session: DownloadSession) -> Any:
        def run() -> None:
            session.on_bitfield(None)
            while wanted := session.next_range(PIECE):
                session.on_data(wanted.start, bytes(wanted.end - wanted.start))
            while session.wait_for_work(None):
                pass

        return Mock(run=run)


def ended(download: Download, told: list[Any]) -> str:
    """Run ``download`` to its end; returns the one line that it reported."""
    download.start()
    assert download.done.wait(20)
    (line,) = [event.reason for event in told if event.name == "failed"]
    assert "\n" not in line and line == str(download.error)
    return line


def test_an_error_in_a_sources_thread_ends_the_download(make: Make, traces: list[str]) -> None:
    told: list[Any] = []
    broken: Any = Mock(connect=failing(RuntimeError("a bug")))
    assert ended(make(told.append, sources=[OneOwner()], transports={"udp": broken}), told) == FAULT
    assert not traces


def test_an_error_while_a_piece_is_hashed_ends_the_download(
    make: Make, traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.download.write_buffer.WriteBuffer._check", failing(RuntimeError("a bug")))
    told: list[Any] = []
    assert ended(make(told.append, sources=[OneOwner()], transports={"udp": Delivering()}), told) == FAULT
    assert not traces


def test_an_error_while_the_trackers_answer_is_taken_ends_the_download(
    make: Make, traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.download.known_peers.KnownPeers.update", failing(RuntimeError("a bug")))
    told: list[Any] = []
    assert ended(make(told.append, sources=[OneOwner()]), told) == FAULT
    assert not traces


def test_an_error_in_the_coordinators_loop_ends_the_download(
    make: Make, traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.download.source_pool.SourcePool.fill", failing(RuntimeError("a bug")))
    told: list[Any] = []
    assert ended(make(told.append, sources=[OneOwner()]), told) == FAULT
    assert not traces


def test_an_error_of_a_ranking_that_the_user_wrote_ends_the_download(make: Make) -> None:
    fault = PluginError("mine.py:3: Mine.rank() raised ZeroDivisionError")
    ranking = Mock(rank=failing(fault))
    told: list[Any] = []
    download = make(told.append, sources=[OneOwner()], changes={"owner_ranking": lambda: ranking})
    assert ended(download, told) == str(fault)


def test_an_exit_in_a_ranking_ends_the_download(make: Make, traces: list[str]) -> None:
    ranking = Mock(rank=failing(SystemExit(3)))
    told: list[Any] = []
    download = make(told.append, sources=[OneOwner()], changes={"owner_ranking": lambda: ranking})
    assert "(SystemExit: 3)" in ended(download, told)
    assert not traces


def test_an_exit_on_a_sources_thread_ends_the_download(make: Make, traces: list[str]) -> None:
    told: list[Any] = []
    transport = SimpleNamespace(connect=failing(SystemExit(3)))
    assert "(SystemExit: 3)" in ended(
        make(told.append, sources=[OneOwner()], transports={"udp": transport}), told
    )
    assert not traces


def test_a_ranking_that_returns_no_owner_is_named(make: Make) -> None:
    class Mine:
        def rank(self, owners: list[FoundPeer]) -> list[FoundPeer]:
            return []

    told: list[Any] = []
    reason = ended(make(told.append, sources=[OneOwner()], changes={"owner_ranking": Mine}), told)
    assert "(Mine.rank (-use) returned none of 1 owners)" in reason


def test_a_ranking_is_called_without_a_lock(make: Make) -> None:
    """While it runs, the status of the download can be read, and the download can be stopped."""
    called, end, rows = threading.Event(), threading.Event(), threading.Event()

    class Mine:
        def rank(self, owners: list[FoundPeer]) -> list[FoundPeer]:
            called.set()
            end.wait(20)
            return owners

    def look() -> None:
        download.status()
        download.cancel()
        rows.set()

    download = make(lambda event: None, sources=[OneOwner()], changes={"owner_ranking": Mine})
    download.start()
    assert called.wait(20)
    threading.Thread(target=look, daemon=True).start()
    assert rows.wait(10)
    assert download.done.wait(20)
    end.set()


def test_a_ranking_that_is_being_called_is_the_reason_to_wait(make: Make) -> None:
    end = threading.Event()

    class Mine:
        def rank(self, owners: list[FoundPeer]) -> list[FoundPeer]:
            end.wait(20)
            return owners

    told: list[Any] = []
    reason = ended(make(told.append, sources=[OneOwner()], changes={"owner_ranking": Mine}), told)
    end.set()
    assert "(Mine.rank (-use) orders 1 owners)" in reason


def test_a_source_that_is_stuck_in_a_users_part_ends_the_download(
    make: Make, traces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_calls, "STUCK_LIMIT", 0.5)
    calls, end, told = part_calls.PartCalls("mine.py", __file__), threading.Event(), []
    stuck = SimpleNamespace(run=lambda: calls.in_place(lambda: "Mine.on_lost()", lambda: end.wait(20)))
    transport = SimpleNamespace(connect=lambda *_: stuck)
    reason = ended(make(told.append, sources=[OneOwner()], transports={"udp": transport}), told)
    end.set()
    assert re.fullmatch(r"mine\.py:\d+: Mine\.on_lost\(\) has not returned for 0\.5 s; .*", reason)
    assert not traces


def test_an_error_of_a_piece_order_that_the_user_wrote_ends_the_download(make: Make) -> None:
    fault = PluginError("mine.py:3: Mine.choose() raised ZeroDivisionError")
    order = Mock(choose=failing(fault))
    told: list[Any] = []
    changes = {"piece_order": lambda: order}
    download = make(told.append, sources=[OneOwner()], transports={"udp": Delivering()}, changes=changes)
    assert ended(download, told) == str(fault)


def test_a_piece_order_that_is_being_called_delays_neither_status_nor_cancel(make: Make) -> None:
    """The call holds the lock of the download's state."""
    called, end, rows = threading.Event(), threading.Event(), threading.Event()

    class Mine:
        def choose(self, available: Sequence[int], availability: Sequence[int], rng: object) -> int:
            called.set()
            end.wait(20)
            return available[0]

    def look() -> None:
        download.status()
        download.cancel()
        rows.set()

    changes = {"piece_order": Mine}
    download = make(
        lambda event: None, sources=[OneOwner()], transports={"udp": Delivering()}, changes=changes
    )
    download.start()
    assert called.wait(20)
    threading.Thread(target=look, daemon=True).start()
    assert rows.wait(10)
    end.set()
    assert download.done.wait(20)
