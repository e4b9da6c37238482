"""A swarm of real processes on free ports and in temporary folders, and owners that the test plays itself."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.bitfield import Bitfield
from common.messages import OwnedFile
from common.metainfo import Metainfo, decode_metainfo
from node.chunk_udp import wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.responder import Responder, SendChunk
from node.discovery.classroom import TrackerClient
from node.transport import SentBlock, StreamSocket
from tests.e2e.disks import mount as mount

if TYPE_CHECKING:
    from tests.processes import NodeProcess, TrackerProcess

# A download that has time to be interrupted: two small segments at a time, a few MB a second.
SLOW = {"LOOPBACK_SEGMENT_SIZE": "600", "SOCKET_BUFFER_SIZE": "4096", "PROGRESS_INTERVAL": "0.05"}
BRIEF = {"OWNER_SEARCH_LIMIT": "2", "OWNER_TIMEOUT": "1"}  # seconds; lost owners are given up soon
MIB = 1 << 20

# Suites run side by side. Each has node ids, and so usual ports, of its own: no other node takes a killed
# node's port.
_numbers = itertools.count(1 + os.getpid() % 20_000 * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Windows can only be asked to end a process, not stop it or interrupt it."""
    skip = pytest.mark.skip(reason="sends signals that Windows does not have")
    here = Path(__file__).parent
    for item in items:
        if sys.platform == "win32" and here in item.path.parents:
            item.add_marker(skip)


class OwnerInTest:
    """An owner with a real UDP socket, played by a thread of the test: registered at a real tracker.

    ``bend`` may change the segments of an answer; None is silence.
    """

    def __init__(self, content: bytes, metainfo: Metainfo, tracker: str, bend: Bend) -> None:
        self.node_id = next(_numbers)
        self.info, self.size, self.is_served = metainfo, len(content), True
        self.requests = 0
        self.busy = False  # whether it refuses every request as busy
        self.gives = True  # False: it refuses every request as not held
        self.sent = 0  # payload bytes, right or wrong
        self.have = Bitfield.full(metainfo.geometry.piece_count)  # the pieces that it claims to hold
        self._content = content
        self._bend = bend
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._answerer = Responder(AddressValidator(bytes(32)), {metainfo.info_hash: self})
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._client = TrackerClient(tracker, self.node_id)
        self._file = OwnedFile(metainfo.name, metainfo.info_hash_hex, self.size)
        self.announce()

    def announce(self) -> None:
        """Tell the tracker of the file, again if it has been silent since."""
        self._client.register(self._sock.getsockname())
        self._client.own([self._file])

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Never called: the test sends the segments itself."""
        raise NotImplementedError

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Never called, either."""
        raise NotImplementedError

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int:
        """Never called, either."""
        raise NotImplementedError

    @property
    def addr(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._sock.getsockname()
        return host, port

    def move(self, addr: tuple[str, int]) -> None:
        """Be found at ``addr`` instead, from where a relay leads here."""
        self._client.exit()
        self._client.register(addr)
        self._client.own([self._file])

    def _listen(self) -> None:
        while True:
            datagram, addr = self._sock.recvfrom(65_535)
            if not datagram:
                return
            answer = self._answerer.handle_requests(datagram, addr, time.monotonic())
            if self.busy and isinstance(answer, (SendChunk, wire.Tell)):
                asked = answer.request if isinstance(answer, SendChunk) else answer
                answer = wire.Refuse(asked.transfer_id, asked.sequence, wire.Refusal.BUSY, queue_position=1)
            if isinstance(answer, SendChunk) and not self.gives:
                request = answer.request
                answer = wire.Refuse(request.transfer_id, request.sequence, wire.Refusal.NOT_HELD)
            if isinstance(answer, wire.Tell):
                answer = replace(answer, size=self.size)
            if isinstance(answer, SendChunk):
                self._send_chunk(answer.request, addr)
            elif answer is not None:
                self._sock.sendto(wire.encode(answer), addr)

    def _send_chunk(self, request: wire.Request, addr: tuple[str, int]) -> None:
        self.requests += 1
        end = request.offset + request.length
        for at in range(request.offset, end, request.segment_size):
            payload = self._bend(at, self._content[at : min(end, at + request.segment_size)])
            if payload is not None:
                self.sent += len(payload)
                data = wire.Data(request.transfer_id, request.sequence, at, payload, request.checked)
                self._sock.sendto(wire.encode(data), addr)

    def leave(self) -> None:
        """Stop answering and leave the tracker."""
        self._sock.sendto(b"", self._sock.getsockname())
        self._thread.join()
        self._sock.close()
        self._client.exit()
        self._client.close()


Bend = Callable[[int, bytes], "bytes | None"]  # (offset, payload): the payload to send instead


class ProcessSwarm:
    """Nodes of one test at one tracker."""

    def __init__(
        self, folder: Path, tracker: TrackerProcess, start: Callable[..., NodeProcess], test: str
    ) -> None:
        self.folder = folder
        self.tracker = tracker
        self._start = start
        self._random = random.Random(test)  # each test has files of its own, the same ones each time
        self._owners: list[OwnerInTest] = []

    def number(self) -> int:
        """An unused node id."""
        return next(_numbers)

    def file(self, name: str, size: int) -> Path:
        """A file of its own: ``size`` random bytes in a folder that is no node's."""
        path = self.folder / "originals" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self._random.randbytes(size))
        return path

    def node(
        self, *words: str, number: int = 0, tracker: str = "", json: bool = True, **others: Any
    ) -> NodeProcess:
        """Start a node; without words it reads commands from its pipe."""
        number = number or self.number()
        every = ["-node_id", str(number), "-tracker", tracker or self.tracker.url]
        process = self._start(*every, *words, *(["--json"] if json else []), **others)
        process.number = number
        process.folder = self.folder / "files" / f"node{number}"
        return process

    def share(self, path: Path, *words: str, **others: Any) -> tuple[NodeProcess, Path]:
        """A new node that shares ``path``, and the tracker knows: the node and the torrent."""
        owner = self.node(*words, **others)
        return owner, self.share_also(owner, path)

    @staticmethod
    def share_also(owner: NodeProcess, path: Path) -> Path:
        """A running node shares one more file: its torrent."""
        count = len(owner.seen("sharing"))
        owner.type(f'torrent -setMode send "{path}"')
        torrent = Path(owner.wait_for("sharing", count + 1)["torrent"])
        owner.ask("files")  # commands run in order: by now the tracker knows the file
        return torrent if torrent.is_absolute() else owner.folder.parents[1] / torrent

    def fetch(self, torrent: Path, **others: Any) -> NodeProcess:
        """A new node that fetches ``torrent`` and ends."""
        return self.node("-setMode", "download", str(torrent), **others)

    def downloading(self, torrent: Path, *words: str, **others: Any) -> NodeProcess:
        """A new node that fetches ``torrent`` and takes further commands."""
        node = self.node(*words, **others)
        node.type(f"torrent -setMode download '{torrent}'")
        return node

    def play_owner(self, path: Path, torrent: Path, bend: Bend = lambda at, payload: payload) -> OwnerInTest:
        """Be an owner of ``path`` as ``torrent`` describes it, if ``bend`` lets it."""
        metainfo = decode_metainfo(torrent.read_bytes())
        self._owners.append(OwnerInTest(path.read_bytes(), metainfo, self.tracker.url, bend))
        return self._owners[-1]

    def owners(self, torrent: Path) -> list[tuple[int, int]]:
        """(node id, uploads) of the owners that the tracker names for ``torrent``, best first."""
        client = TrackerClient(self.tracker.url, next(_numbers))
        try:
            found = client.need(info_hash=decode_metainfo(torrent.read_bytes()).info_hash_hex)
        finally:
            client.close()
        return [(owner.node_id, owner.uploads) for owner in found]

    def wait_for_owners(self, torrent: Path, *expected: int) -> None:
        """Wait until the tracker names just these nodes for ``torrent``."""
        self._wait_for(lambda: sorted(number for number, _ in self.owners(torrent)), sorted(expected))

    def wait_for_uploads(self, torrent: Path, expected: dict[int, int]) -> None:
        """Wait until the tracker names exactly these nodes for ``torrent``, with these numbers of uploads."""
        self._wait_for(lambda: dict(self.owners(torrent)), expected)

    def wait_until_forgotten(self, number: int) -> None:
        """Wait until the tracker has removed node ``number``."""
        self._wait_for(lambda: str(number) in self.records(), False)

    def wait_for_exit(self, number: int) -> None:
        """Wait until the tracker has removed node ``number``, sooner than by its silence."""
        self._wait_for(lambda: str(number) in self.records(), False, patience=5)

    @staticmethod
    def _wait_for(look: Callable[[], object], expected: object, patience: float = 30) -> None:
        deadline = time.monotonic() + patience
        while (seen := look()) != expected:
            assert time.monotonic() < deadline, f"the tracker says {seen}, not {expected}"
            time.sleep(0.05)

    def wait_for_records(self, expected: dict[int, int]) -> None:
        """Wait until nodes.json gives these nodes these numbers of uploads."""
        self._wait_for(lambda: {n: self.records().get(str(n), {}).get("uploads") for n in expected}, expected)

    def records(self) -> dict[str, Any]:
        """The tracker's nodes.json."""
        return json.loads((self.tracker.db / "nodes.json").read_text(encoding="utf-8"))

    def close(self) -> None:
        """The owners that the test plays end with it."""
        for owner in self._owners:
            owner.leave()


@pytest.fixture
def make_swarm(
    tmp_path: Path, start_node: Callable[..., Any], request: pytest.FixtureRequest
) -> Iterator[Callable[[Any], ProcessSwarm]]:
    """``make_swarm(tracker)``: a swarm at a tracker that the test has for itself."""
    made: list[ProcessSwarm] = []

    def make(tracker: TrackerProcess) -> ProcessSwarm:
        made.append(ProcessSwarm(tmp_path, tracker, start_node, request.node.nodeid))
        return made[-1]

    yield make
    for swarm in made:
        swarm.close()


@pytest.fixture
def swarm(make_swarm: Callable[[Any], ProcessSwarm], shared_tracker: TrackerProcess) -> ProcessSwarm:
    """A swarm at the tracker shared by all tests, which no test stops."""
    return make_swarm(shared_tracker)


@pytest.fixture
def slow() -> dict[str, str]:
    """Settings of a node whose downloads are slow enough to be interrupted."""
    return dict(SLOW)


@pytest.fixture
def brief() -> dict[str, str]:
    """Settings of a node that soon gives up."""
    return dict(BRIEF)


@pytest.fixture
def frozen_in_the_middle() -> Callable[..., None]:
    """``frozen_in_the_middle(node)`` stops a downloading node (SIGSTOP) once pieces came, but not all.

    While it is stopped nothing can finish, so what the test does then happens in mid-download for certain.
    """

    def freeze(node: NodeProcess, **fields: object) -> None:
        node.wait_for("piece", **fields)
        node.freeze()
        assert not node.seen("completed"), "too fast to be stopped in the middle"

    return freeze


@pytest.fixture
def sha1() -> Callable[[Path], str]:
    """A file's SHA-1, to compare."""
    return lambda path: hashlib.sha1(path.read_bytes()).hexdigest()
