"""A magnet link becomes a download, or a reason, whatever its peers do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from common.errors import DownloadFailed, PeerFault
from common.magnet import Magnet
from node import events
from node.content.hashing import HashPool
from node.discovery.named_peers import NamedPeers
from node.download import NodeParts
from node.metadata import MagnetDownload
from node.peer import FoundPeer, Peer
from node.settings import NodeSettings

RAW = b"d6:lengthi5e4:name1:a12:piece lengthi32768e6:pieces20:" + bytes(20) + b"e"
MAGNET = Magnet(hashlib.sha1(RAW).digest(), "a", ("http://127.0.0.1:1/announce",))
PATIENCE = 20.0
Answer = Callable[[Callable[[int, int], None], Callable[[], bool]], bytes]


class PlayedTransport:
    """Gives the test's answers; ``asked`` are the ports of the peers."""

    name = "tcp"

    def __init__(self, answers: dict[int, Answer]) -> None:
        self.answers = answers
        self.asked: list[int] = []

    def fetch_metadata(
        self, peer: Peer, info_hash: bytes, on_progress: Any, closing: Callable[[], bool]
    ) -> bytes:
        self.asked.append(peer.port)
        return self.answers[peer.port](on_progress, closing)


def gives(raw: bytes) -> Answer:
    return lambda on_progress, closing: raw


def fails(on_progress: Any, closing: Callable[[], bool]) -> bytes:
    raise PeerFault("has none")


class Fetched:
    """A MagnetDownload, with its events and its started downloads."""

    def __init__(
        self, answers: dict[int, Answer], folder: Path, search_limit: float, sources: Sequence[Any]
    ) -> None:
        self.said: list[events.Event] = []
        self.begun: list[bytes] = []
        self.download = Mock(done=threading.Event(), error=None)
        self.download.done.set()
        self.transport = PlayedTransport(answers)
        settings = NodeSettings(None, folder, (), search_limit=search_limit)
        own = Peer("127.0.0.9", 1, "tcp")
        self.pool = HashPool(1)
        transports: dict[str, Any] = {"tcp": self.transport}
        parts = NodeParts(settings, own, self.pool, transports, self.said.append)
        sources = sources or [NamedPeers([("127.0.0.1", port) for port in answers])]
        self.fetch = MagnetDownload(MAGNET, sources, parts, self.begin)

    def begin(self, data: bytes) -> Any:
        self.begun.append(data)
        return self.download

    def run(self) -> MagnetDownload:
        self.fetch.start()
        assert self.fetch.done.wait(PATIENCE)
        return self.fetch


@pytest.fixture
def fetched(tmp_path: Path) -> Iterator[Callable[..., Fetched]]:
    made: list[Fetched] = []

    def make(answers: dict[int, Answer], search_limit: float = 60.0, sources: Sequence[Any] = ()) -> Fetched:
        made.append(Fetched(answers, tmp_path, search_limit, sources))
        return made[-1]

    yield make
    for each in made:
        each.pool.close()


def test_the_first_right_answer_begins_the_download(fetched: Callable[..., Fetched]) -> None:
    played = fetched({1: fails, 2: gives(b"a lie"), 3: gives(RAW)})
    assert played.run().error is None
    (torrent,) = played.begun
    assert RAW in torrent and b"8:announce27:http://127.0.0.1:1/announce" in torrent
    reasons = {row.addr[1]: row.reason for row in played.fetch.peers()}
    assert reasons[2] == "sent metadata that does not match the info hash"


def test_peers_that_have_none_are_asked_again_until_the_limit(fetched: Callable[..., Fetched]) -> None:
    played = fetched({1: fails, 2: fails}, search_limit=0.5)
    error = played.run().error
    assert isinstance(error, DownloadFailed)
    assert str(error) == "a: no metadata for 0.5 s (2 peers, neither has the metadata)"
    assert played.begun == []
    (failed,) = [event for event in played.said if isinstance(event, events.Failed)]
    assert failed.reason == str(error)
    assert played.fetch.status().state == "failed"
    said = [event.reason for event in played.said if isinstance(event, events.Metadata)]
    assert "2 peers, neither has the metadata" in said


def test_without_a_peer_the_reason_says_so(fetched: Callable[..., Fetched]) -> None:
    assert str(fetched({}, search_limit=0.3).run().error) == "a: no metadata for 0.3 s (no peers yet)"


class HeldSource:
    """A tracker that answers once ``go_on`` is set."""

    name = "held"

    def __init__(self, peers: list[FoundPeer]) -> None:
        self.peers = peers
        self.go_on = threading.Event()

    def find(self, info: Any, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        assert self.go_on.wait(PATIENCE)
        found(self.peers)


def said_of(played: Fetched) -> list[str]:
    return [event.reason for event in played.said if isinstance(event, events.Metadata)]


def test_no_peers_is_not_said_before_the_first_answers(
    fetched: Callable[..., Fetched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.metadata.fetch.QUIET_SECONDS", PATIENCE)
    source = HeldSource([FoundPeer(Peer("127.0.0.1", 1, "tcp"))])
    played = fetched({1: gives(RAW)}, sources=[source])
    played.fetch.start()
    threading.Timer(0.6, source.go_on.set).start()  # more than two looks later
    assert played.fetch.done.wait(PATIENCE)
    assert said_of(played)[:1] == ["asking 1 peer for the metadata"]


def test_no_peers_is_said_if_the_first_answers_are_late(
    fetched: Callable[..., Fetched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.metadata.fetch.QUIET_SECONDS", 0.1)
    source = HeldSource([])
    played = fetched({}, sources=[source], search_limit=1.0)
    assert played.run().error is not None
    assert said_of(played) == ["no peers yet"]
    source.go_on.set()


def test_progress_is_shown_while_it_comes(fetched: Callable[..., Fetched]) -> None:
    half, go_on = threading.Event(), threading.Event()

    def slowly(on_progress: Callable[[int, int], None], closing: Callable[[], bool]) -> bytes:
        on_progress(50, 100)
        half.set()
        assert go_on.wait(PATIENCE)
        return RAW

    played = fetched({1: slowly})
    played.fetch.start()
    assert half.wait(PATIENCE)
    status = played.fetch.status()
    assert (status.state, status.reason) == ("metadata", "50% of the metadata")
    go_on.set()
    assert played.fetch.done.wait(PATIENCE)


def test_it_can_be_cancelled(fetched: Callable[..., Fetched]) -> None:
    asked = threading.Event()

    def waits(on_progress: object, closing: Callable[[], bool]) -> bytes:
        asked.set()
        while not closing():
            threading.Event().wait(0.01)
        raise PeerFault("not needed any more")

    played = fetched({1: waits})
    played.fetch.start()
    assert asked.wait(PATIENCE)
    played.fetch.cancel()
    assert played.fetch.done.wait(PATIENCE)
    assert isinstance(played.said[-1], events.Cancelled) and played.begun == []


def test_named_peers_are_found_at_once_and_once() -> None:
    found: list[Sequence[FoundPeer]] = []
    peers = NamedPeers([("127.0.0.1", 5), ("127.0.0.1", 5), ("::1", 6)])
    peers.find(Mock(), found.append)
    assert [each.peer for each in found[0]] == [Peer("127.0.0.1", 5, "tcp"), Peer("::1", 6, "tcp")]
