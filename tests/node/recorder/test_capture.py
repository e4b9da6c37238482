"""Capture files: valid headers and checksums, and failures that cost no download."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalFault
from common.peer_id import new_peer_id
from node.peer import Peer
from node.peer_tcp.config import Encryption
from node.peer_tcp.transport import TcpTransport
from node.recorder.capture import Capture
from node.recorder.packets import SYN, checksum, tcp_packet, udp_packet
from simulator.served import MemoryTorrent
from tests.labs.tshark import fields_of, needs_tshark, packets_in
from tests.node.test_transport_contract import CONTENT, INFO_HASH, PIECE, FoundPeers, PlayedSession

HERE, PEER = ("127.0.0.1", 40001), ("10.1.2.3", 40002)
HERE6, PEER6 = ("::1", 40001), ("2001:db8::7", 40002)


def words_sum(data: bytes) -> int:
    """RFC 1071 word by word."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=100) | st.sampled_from([b"\xff\xff" * 3, bytes(4), b"\xff", b"\0\1\xff\xfe"]))
def test_the_checksum_is_that_of_the_rfc(data: bytes) -> None:
    assert checksum(data) == 0xFFFF - words_sum(data)


@given(st.binary(max_size=70), st.sampled_from([(HERE, PEER), (HERE6, PEER6)]), st.booleans())
def test_a_packet_sums_to_all_ones(
    payload: bytes, ends: tuple[tuple[str, int], tuple[str, int]], tcp: bool
) -> None:
    packet = tcp_packet(payload, *ends, SYN, 2**32 + 5, 7) if tcp else udp_packet(payload, *ends)
    version = packet[0] >> 4
    header = 20 if version == 4 else 40
    assert version == (4 if ends[0] is HERE else 6)
    addresses = packet[12:20] if version == 4 else packet[8:40]
    if version == 4:
        assert words_sum(packet[:20]) == 0xFFFF and int.from_bytes(packet[2:4], "big") == len(packet)
    body = packet[header:]
    assert words_sum(addresses + bytes([0, 6 if tcp else 17]) + len(body).to_bytes(2, "big") + body) == 0xFFFF
    assert body.endswith(payload)


class Ended(list[str]):
    """Why captures ended."""


def test_a_capture_ends_at_its_limit_after_a_whole_packet(tmp_path: Path) -> None:
    ended = Ended()
    capture = Capture(tmp_path / "run.pcap", ended.append, limit=100_000)
    for _ in range(100):
        capture.sent(b"", [bytes(5000)], 0, HERE, PEER)
    capture.close()
    assert ended == ["it has reached its limit of 100000 bytes"]
    assert len(list(packets_in(tmp_path / "run.pcap"))) == 19


@pytest.mark.skipif(os.name == "nt", reason="limits of a process")
def test_a_full_disk_ends_the_capture_and_nothing_else(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: a write is cut, and the next one fails."""
    ended = Ended()
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    capture = Capture(tmp_path / "run.pcap", ended.append)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, before[1]))
        for _ in range(200):
            capture.sent(b"", [bytes(5000)], 0, HERE, PEER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    capture.close()
    assert len(ended) == 1 and "arge" in ended[0]
    assert 50 < len(list(packets_in(tmp_path / "run.pcap"))) < 140


def test_a_capture_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match="cannot write the capture .*nowhere/run.pcap: No such file"):
        Capture(tmp_path / "nowhere" / "run.pcap", lambda reason: None)


def test_two_nodes_cannot_capture_to_one_file(tmp_path: Path) -> None:
    first = Capture(tmp_path / "run.pcap", lambda reason: None)
    first.sent(b"", [b"x"], 0, HERE, PEER)
    first.flush()
    with pytest.raises(LocalFault, match="run.pcap is being written by another node"):
        Capture(tmp_path / "run.pcap", lambda reason: None)
    assert len(list(packets_in(tmp_path / "run.pcap"))) == 1
    first.close()
    Capture(tmp_path / "run.pcap", lambda reason: None).close()
    assert list(packets_in(tmp_path / "run.pcap")) == []


@needs_tshark
@pytest.mark.parametrize("encryption", [Encryption.OFF, Encryption.REQUIRE])
def test_wireshark_reads_a_download_over_the_peer_wire(tmp_path: Path, encryption: Encryption) -> None:
    """Every block, once, in TCP segments that fit together; encrypted connections, too, before encryption."""
    ended = Ended()
    served, fetched = MemoryTorrent(CONTENT, PIECE), MemoryTorrent(b"", PIECE)
    fetched.info, fetched.have = served.info, served.have.__class__(served.have.size)
    capture = Capture(tmp_path / "run.pcap", ended.append)
    owner = TcpTransport(new_peer_id(), "127.0.0.1", encryption=encryption, tap=capture)
    fetcher = TcpTransport(new_peer_id(), "127.0.0.1", encryption=encryption)
    try:
        owner.start({INFO_HASH: served}, FoundPeers())
        fetcher.start({INFO_HASH: fetched}, FoundPeers())
        session = PlayedSession(served.info)
        fetcher.connect(Peer(*owner.addr, "tcp"), served.info, session).run()
    finally:
        fetcher.stop()
        owner.stop()
        capture.close()
    assert session.data == CONTENT and not ended
    words = ("-o", "tcp.check_checksum:TRUE")
    names = ("tcp.checksum.status", "tcp.analysis.flags", "tcp.flags.fin", "bittorrent.msg.type")
    payload = ("bittorrent.piece.data",)
    rows = fields_of(tmp_path / "run.pcap", [*names, *payload], *words, lua=False)
    assert {row[0] for row in rows} == {"1"} and {row[1] for row in rows} == {""}
    assert rows[-1][2] in ("0", "False") and {row[2] for row in rows[-3:-1]} <= {"1", "True"}
    kinds = [kind for row in rows for kind in row[3].split(",") if kind]
    blocks = [data for row in rows for data in row[4].split(",") if data]
    assert kinds.count("7") == len(blocks) == -(-len(CONTENT) // 16384)
    sent = sorted(bytes.fromhex(block.replace(":", "")) for block in blocks)
    assert sent == sorted(CONTENT[at : at + 16384] for at in range(0, len(CONTENT), 16384))
