"""The UDP side over real sockets, in this process and in a tracker of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from common.addresses import Addr
from common.compact_peers import decode_peers
from common.errors import LocalFault
from common.udp_tracker import AnnounceAnswer, ConnectAnswer, ConnectRequest, decode_answer
from tests.tracker.udp.test_responder import HASH, request
from tracker.model import Rules
from tracker.rate_limits import Limits, RateLimits
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.udp.server import UdpServer, udp_socket

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server() -> Iterator[UdpServer]:
    service = TrackerService(MemoryStorage(Rules()), Rules())
    server = UdpServer(service.announces, udp_socket("127.0.0.1", 0), RateLimits(Limits()))
    server.start()
    yield server
    server.stop()


def announce(tracker: Addr, host: str, number: int) -> AnnounceAnswer:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.bind((host, 0))
        sock.sendto(ConnectRequest(1).encode(), tracker)
        connected = decode_answer(sock.recv(2048))
        assert isinstance(connected, ConnectAnswer)
        sock.sendto(request(connected.connection_id, number), tracker)
        answer = decode_answer(sock.recv(2048))
    assert isinstance(answer, AnnounceAnswer)
    return answer


def test_two_clients_find_each_other(server: UdpServer) -> None:
    announce(server.addr, "127.0.0.1", 1)
    assert decode_peers(announce(server.addr, "127.0.0.2", 2).peers) == [("127.0.0.1", 6001)]


def test_it_stops_at_once_and_frees_its_port(server: UdpServer) -> None:
    host, port = server.addr
    server.stop()
    udp_socket(host, port).close()


def test_a_taken_port_is_one_line_that_names_the_settings() -> None:
    with udp_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalFault, match=rf"UDP port {port}.*TRACKER_ADDR.*UDP_TRACKER"):
            udp_socket("127.0.0.1", port)


def run(tmp_path: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TRACKER_DB_DIR": str(tmp_path / "db"), "LOGS_DIR": str(tmp_path), **settings}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tracker.py"), *words],
        env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().rpartition(":")[2])


def test_a_tracker_answers_both_ways_at_one_port(tmp_path: Path) -> None:
    with run(tmp_path, "--port", "0") as process:
        try:
            port = port_of(process)
            announce(("127.0.0.1", port), "127.0.0.2", 2)
            names = {"port": 7, "info_hash": HASH, "peer_id": b"p" * 20}
            body = requests.get(f"http://127.0.0.1:{port}/announce", params=names, timeout=60).content
            assert b"\x7f\0\0\x02" in body, "the peer that announced over UDP"
            metrics = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
            assert 'tracker_udp_packets_total{kind="announce"} 1.0' in metrics
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_a_taken_udp_port_is_one_line_and_can_be_done_without(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with udp_socket("127.0.0.1", port):
        with run(tmp_path, "--port", str(port)) as refused:
            out, err = refused.communicate(timeout=60)
        assert (refused.returncode, out, len(err.splitlines())) == (1, "", 1)
        assert f"UDP port {port}" in err
        with run(tmp_path, "--port", str(port), UDP_TRACKER="0") as process:
            try:
                assert port_of(process) == port
            finally:
                process.terminate()
            assert process.wait(60) == 0
