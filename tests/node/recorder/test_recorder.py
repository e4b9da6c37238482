"""The flight recorder between real sockets, and the tap that it hangs on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from common.addresses import join_host_port
from node.chunk_udp import sockets
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.peer_tcp.config import Encryption
from node.recorder import FlightRecorder
from node.recorder.diagram import diagram
from node.recorder.rows import MessageRow
from node.settings import TransferSettings
from node.tap import SeveralTaps, Tap
from tests.node.chunk_udp.loopback import CONTENT, INFO, INFO_HASH, LoopbackDownload, ServedOwner, serving
from tests.node.peer_tcp.pair import CONTENT as BLOCKS
from tests.node.peer_tcp.pair import Pair, config_of, torrent_with
from tests.node.recorder.taps import DropOnce

SEGMENT = 1440
SMALL = TransferSettings(owner_timeout=20.0, loopback_segment_size=SEGMENT, checked=True)
SIZE = 100_000


def fetched(
    served: ServedOwner, tap: Tap, settings: TransferSettings = SMALL, size: int = SIZE
) -> LoopbackDownload:
    session = LoopbackDownload(size)
    Fetcher(served.addr, INFO, session, settings, node_id=2, tap=tap).run()
    assert session.is_identical()
    return session


def of(rows: list[MessageRow], message: str) -> list[MessageRow]:
    return [row for row in rows if row["message"] == message]


@contextlib.contextmanager
def recorded_owner(recorder: FlightRecorder) -> Iterator[ServedOwner]:
    with serving() as served:
        served.owner._tap = served.owner._sender._tap = recorder
        yield served


def test_both_ends_record_every_message_of_a_transfer_one_by_one() -> None:
    here, there = FlightRecorder(), FlightRecorder()
    with recorded_owner(there) as served:
        here.introduce(served.addr, 1)
        fetched(served, here)
    ours, theirs = here.recent_messages(1, limit=1000), there.recent_messages(2, limit=1000)
    assert len(ours) == len(theirs), "the fetcher's ASK says that it is node 2"
    assert [row["message"] for row in ours][:3] == ["ASK", "TOKEN", "ASK"]
    spans = sorted((row["fields"]["offset"], row["fields"]["length"]) for row in of(ours, "DATA"))
    assert spans == [(at, min(SEGMENT, SIZE - at)) for at in range(0, SIZE, SEGMENT)]
    for message, ours_is, theirs_is in (("DATA", "in", "out"), ("REQUEST", "out", "in")):
        sides = [[row["fields"] for row in of(rows, message)] for rows in (ours, theirs)]
        assert sides[0] == sides[1]
        assert {row["direction"] for row in of(ours, message)} == {ours_is}
        assert {row["direction"] for row in of(theirs, message)} == {theirs_is}
    if sockets.LINUX:
        batches = (sum(entry[4][2] == 0x12 for entry in end._ring) for end in (here, there))
        assert max(batches) < len(spans) / 2, "one entry for a batch"
    assert [row["time"] for row in ours] == sorted(row["time"] for row in ours)
    json.dumps(ours + theirs, allow_nan=False)


def test_a_lost_datagram_has_a_story() -> None:
    """One dropped DATA is marked as lost, its bytes are requested again, and ten rows show both."""
    lost = 20 * SEGMENT
    recorder, fault = FlightRecorder(), DropOnce(lost)
    with serving() as served:
        recorder.introduce(served.addr, 1)
        fetched(served, SeveralTaps([fault, recorder]))
    recorder.note("verified", piece=0, torrent="69" * 6)
    story = recorder.messages_around(1, lost, SEGMENT, limit=10, piece=0)
    assert len(story) == 10 and len(json.dumps(story)) < 1500
    about = [row for row in story if row["fields"].get("offset") == lost or row["direction"] == "here"]
    what = [(row["message"], row["direction"], row["fields"].get("lost", False)) for row in about]
    assert what[-4:] == [
        ("DATA", "in", True),
        ("REQUEST", "out", False),
        ("DATA", "in", False),
        ("verified", "here", False),
    ]
    first, second = about[-4]["fields"]["sequence"], about[-3]["fields"]["sequence"]
    assert about[-3]["fields"]["again"] == first and about[-2]["fields"]["sequence"] == second
    drawn = "\n".join(diagram(story))
    assert f" DATA {first} [{lost}, {lost + SEGMENT}) ──│" in drawn
    assert f"again (REQUEST {first})" in drawn and "● verified 0" in drawn


def test_a_fault_drops_exactly_one_block_of_the_peer_wire() -> None:
    fault, recorder = DropOnce(1 << 16), FlightRecorder()
    tap = SeveralTaps([fault, recorder]).stream(("127.0.0.1", 1), ("127.0.0.1", 2), True)
    pair = Pair(config_of(b"a" * 20, torrent_with(()), tap=tap), config_of(b"b" * 20)).connect()
    request_all(pair)
    assert fault.dropped.is_set()
    asked, taken = (of(recorder.recent_messages(limit=1000), name) for name in ("request", "piece"))
    assert len(taken) == len(asked) - 1, "what was dropped did not arrive"
    missing = [at for at in range(len(BLOCKS)) if pair.received[at] != BLOCKS[at]]
    assert missing and missing[0] >= 1 << 16 and missing[-1] < (1 << 16) + (1 << 14)


def request_all(pair: Pair) -> None:
    for start in range(0, len(BLOCKS), 1 << 14):
        pair.a.download.request(start, min(start + (1 << 14), len(BLOCKS)), pair.now)
    pair.run()


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("cut", [None, 7])
def test_the_peer_wire_is_recorded_alike_at_both_ends(encrypted: bool, cut: int | None) -> None:
    """However the network cuts the stream, and whether it is encrypted."""
    ends = FlightRecorder(), FlightRecorder()
    policy = Encryption.REQUIRE if encrypted else Encryption.OFF
    taps = [end.stream(("127.0.0.1", 1), ("127.0.0.1", 2), True) for end in ends]
    seed = config_of(b"b" * 20, encryption=policy, tap=taps[1])
    leecher = config_of(b"a" * 20, torrent_with(()), encryption=policy, tap=taps[0])
    pair = Pair(leecher, seed, encrypted, cut).connect()
    request_all(pair)
    assert pair.received == BLOCKS
    rows = [end.recent_messages(limit=1000) for end in ends]
    for outgoing, incoming in ((0, 1), (1, 0)):
        sent = [(row["message"], row["fields"]) for row in rows[outgoing] if row["direction"] == "out"]
        taken = [(row["message"], row["fields"]) for row in rows[incoming] if row["direction"] == "in"]
        assert sent == taken
    assert [row["fields"]["begin"] for row in of(rows[0], "piece")][:4] == [0, 1 << 14, 2 << 14, 3 << 14]
    assert [row["message"] for row in rows[0]][0] == "handshake"


def test_the_ring_forgets_the_oldest_and_keeps_no_payload() -> None:
    recorder = FlightRecorder(recorded=50)
    with serving() as served:
        fetched(served, recorder, TransferSettings(owner_timeout=20.0), len(CONTENT))
    assert len(recorder._ring) == 50
    for entry in recorder._ring:
        assert not any(isinstance(part, memoryview) for part in entry)
        kept = entry[4]
        assert CONTENT.find(kept[sockets.wire.HEADER_SIZE :][:16]) < 0 or len(kept) <= 32
    peer = join_host_port(*served.addr)
    assert recorder.recent_messages(peer, limit=7) == recorder.recent_messages(limit=7)
    assert recorder.recent_messages("127.0.0.1:1") == []


def test_a_flood_does_not_push_messages_out() -> None:
    recorder = FlightRecorder(recorded=100)
    with sockets.udp_socket("127.0.0.1", 0, 1 << 20) as sock:
        owner = Owner(sock, {INFO_HASH: None}, b"secret", tap=recorder)  # type: ignore[dict-item]
        for _ in range(1000):
            owner._take(memoryview(b"junk"), ("127.0.0.1", 5))
        assert len(recorder._ring) == 100
        seen = recorder._ring[-1]
        for _ in range(1000):
            owner._take(memoryview(b"junk"), ("127.0.0.1", 5))
        assert recorder._ring[-1] is seen
