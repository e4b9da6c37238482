"""UDP announces per processor second: our tracker and opentracker, under the same load.

    python -m bench tracker --only udp

The load is one process on loopback, slower than either tracker. So the comparison is of the tracker's
processor time for an announce (user and system), not of the rate. Each client waits for its answer, as
clients do, so the tracker is woken for each packet. The second row is for bursts, where it is not: there a
tracker in C gains more, because waking costs both the same. Every answer names 50 peers (320 bytes).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.judging import Bound, Figure
from bench.processes import BenchError, Child, Children
from bench.tracker.effort import FULL, Effort
from common.udp_tracker import AnnounceEvent, AnnounceRequest, ConnectAnswer, ConnectRequest, decode_answer

SWARMS, PEERS = 100, 60  # torrents, and clients in each
ADDRESSES = 20  # of the clients
ONE_BY_ONE, BURST = 1, 64  # announces on the way
ROUNDS = 5  # of each tracker, in turn
PATIENCE = 600.0  # seconds for a tracker process
ANSWER_SECONDS = 10.0  # to wait for an answer
SHARE = 0.4  # of opentracker's announces per processor second
PORT_TAKEN_BY = "Tracker program started: http://127.0.0.1:"
READY_SECONDS = 10.0  # for opentracker to answer
UNLIMITED = {"ADDRESS_RATE": "1000000", "MAX_NODES_PER_ADDRESS": "100000", "TRACKER_STORAGE": "memory"}


@dataclass
class AnnounceClient:
    """A socket at an address of its own, and the announces of its peers."""

    sock: socket.socket
    requests: list[bytes]


class AnnounceLoad:
    """All clients of one tracker."""

    def __init__(self, port: int) -> None:
        self._clients = [_client(port, number) for number in range(ADDRESSES)]

    def announce(self, seconds: float, at_once: int) -> int:
        """Announce every peer in turn for so long; how many announces were answered.

        ``at_once``: announces on the way.
        """
        answered, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            for client in self._clients:
                answered += self._once(client, at_once)
        return answered

    def join(self) -> None:
        """Announce every peer once."""
        for client in self._clients:
            self._once(client, ONE_BY_ONE)

    def _once(self, client: AnnounceClient, at_once: int) -> int:
        send, receive, requests = client.sock.send, client.sock.recv, client.requests
        for start in range(0, len(requests), at_once):
            burst = requests[start : start + at_once]
            for request in burst:
                send(request)
            for _ in burst:
                if receive(2048)[3] != 1:
                    raise BenchError("an announce over UDP was refused")
        return len(requests)

    def close(self) -> None:
        """Close the sockets."""
        for client in self._clients:
            client.sock.close()


def _client(port: int, number: int) -> AnnounceClient:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(ANSWER_SECONDS)
    sock.bind((f"127.0.1.{number + 1}", 0))
    sock.connect(("127.0.0.1", port))
    sock.send(ConnectRequest(1).encode())
    answer = decode_answer(sock.recv(2048))
    assert isinstance(answer, ConnectAnswer)
    sock.setblocking(True)
    wait = struct.pack("ll", int(ANSWER_SECONDS), 0)  # without a system call more for each packet
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
    peers = range(number, SWARMS * PEERS, ADDRESSES)
    return AnnounceClient(sock, [_request(answer.connection_id, peer) for peer in peers])


def info_hash(swarm: int) -> bytes:
    """The info hash of one of the torrents."""
    return b"%020d" % swarm


def _request(connection_id: int, peer: int) -> bytes:
    """The announce of a leecher, or of a seed in one of ten."""
    swarm, number = peer % SWARMS, peer // SWARMS
    return AnnounceRequest(
        connection_id, peer, info_hash(swarm), b"-XX0001-%012d" % peer, 0, number % 10, 0,
        AnnounceEvent.NONE, bytes(4), peer, 50, 10_000 + peer,
    ).encode()  # fmt: skip


@dataclass
class UdpAnnounces:
    """A tracker under load."""

    child: Child
    crowd: AnnounceLoad

    def per_processor_second(self, seconds: float, at_once: int) -> float:
        """Announces for each second of the tracker's processor time."""
        process = psutil.Process(self.child.pid)
        before = process.cpu_times()
        answered = self.crowd.announce(seconds, at_once)
        after = process.cpu_times()
        return answered / float(after.user + after.system - before.user - before.system)


def _ours(children: Children) -> UdpAnnounces:
    child = children.start(["tracker.py", "--port", "0"], PATIENCE)
    port = int(child.line().removeprefix(PORT_TAKEN_BY))
    return _joined(child, port)


def _opentracker(children: Children, program: str, folder: Path) -> UdpAnnounces:
    lines = "".join(f"{info_hash(swarm).hex()}\n" for swarm in range(SWARMS))
    (folder / "allowed").write_text(lines, encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["-i", "127.0.0.1", "-p", str(port), "-P", str(port), "-d", str(folder), "-w", "allowed"]
    child = children.start(where, PATIENCE, program=program)
    _wait_until_it_answers(port)
    return _joined(child, port)


def _joined(child: Child, port: int) -> UdpAnnounces:
    crowd = AnnounceLoad(port)
    crowd.join()
    return UdpAnnounces(child, crowd)


def _wait_until_it_answers(port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        sock.connect(("127.0.0.1", port))
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                sock.send(ConnectRequest(1).encode())
                sock.recv(2048)
                return
    raise BenchError("opentracker does not answer")


def udp(effort: Effort = FULL) -> Iterator[Figure]:
    """Announces over UDP."""
    program = shutil.which("opentracker")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # opentracker gives up its rights before it reads there
        settings = {**UNLIMITED, "TRACKER_DB_DIR": folder, "LOGS_DIR": folder}
        with Children(settings) as children:
            ours = _ours(children)
            theirs = _opentracker(children, program, Path(folder)) if program else None
            rows = [
                _figure(_rounds(ours, theirs, effort, at_once), at_once) for at_once in (ONE_BY_ONE, BURST)
            ]
            ours.crowd.close()
            if theirs:
                theirs.crowd.close()
    yield from rows


def _rounds(
    ours: UdpAnnounces, theirs: UdpAnnounces | None, effort: Effort, at_once: int
) -> list[tuple[float, float | None]]:
    """Both trackers in turn."""
    return [
        (
            ours.per_processor_second(effort.seconds, at_once),
            theirs.per_processor_second(effort.seconds, at_once) if theirs else None,
        )
        for _ in range(ROUNDS if effort.rounds > 1 else 1)
    ]


def _figure(rounds: list[tuple[float, float | None]], at_once: int) -> Figure:
    """The round with the median ratio. Only announces one by one are judged."""
    rates = tuple(ours for ours, _ in rounds)
    ratios = sorted((ours / theirs, ours, theirs) for ours, theirs in rounds if theirs)
    note = f"{SWARMS} torrents of {PEERS} peers, answers of 320 bytes"
    name = "UDP announces per processor second" if at_once == 1 else f"  in bursts of {at_once}"
    if not ratios:
        return Figure(name, statistics.median(rates), "/s", note=f"{note}; opentracker is not installed")
    _, middle, reference = ratios[len(ratios) // 2]
    bounds = (Bound("ratio", True, SHARE),) if at_once == 1 else ()
    return Figure(name, middle, "/s", "opentracker", reference, bounds, note, rates)
