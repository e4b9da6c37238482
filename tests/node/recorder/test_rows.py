"""Messages described from their first bytes, whatever these are, and losses found among rows."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.peer_tcp import messages as m
from node.peer_tcp.handshake import Handshake, encode_handshake
from node.recorder import FlightRecorder, stream_rows
from node.recorder.datagram_rows import describe
from node.recorder.diagram import diagram
from node.recorder.losses import marked
from node.recorder.rows import MessageRow
from tests.node.chunk_udp.test_protocol_document import EXAMPLES

HERE, PEER = ("127.0.0.1", 1), ("127.0.0.1", 2)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_message_is_described_by_its_first_72_bytes(name: str) -> None:
    message = EXAMPLES[name]
    datagram = wire.encode(message)
    kind, fields = describe(datagram[:72], len(datagram))
    assert kind == name.split()[0]
    assert fields["transfer"] == f"{message.transfer_id:016x}" and fields["sequence"] == message.sequence
    for field in ("offset", "first_piece", "size", "segment_size", "queue_position"):
        if field in fields:
            assert fields[field] == getattr(message, "first_piece" if name == "ASK for metadata" else field)
    for flag in ("complete", "checked", "rare_only", "wants_metadata"):
        assert fields.get(flag, False) == getattr(message, flag, False)
    if isinstance(message, (wire.Ask, wire.Request)):
        assert fields["torrent"] == message.info_hash.hex()[:12]
        assert fields.get("no_token", False) == (message.token == wire.NO_TOKEN)
    if isinstance(message, wire.Refuse):
        assert fields["reason"] == message.reason.name


@given(st.binary(max_size=200) | st.builds(lambda tail: b"\xc5\x01" + tail, st.binary(max_size=200)))
def test_any_datagram_is_described(datagram: bytes) -> None:
    recorder = FlightRecorder()
    recorder.received(memoryview(datagram), len(datagram), HERE, PEER)
    rows = recorder.recent_messages()
    assert len(rows) == 1 and len(diagram(rows)) == 2
    json.dumps(rows)


PEER_WIRE: list[m.WireMessage] = [
    m.KeepAlive(),
    m.Choke(),
    m.NotInterested(),
    m.Have(7),
    m.PieceSet(b"\xf0"),
    m.RequestRun([(1, 2, 3), (1, 5, 3)]),
    m.Cancel(4, 5, 6),
    m.Port(6881),
    m.HaveNone(),
    m.RejectRequest(7, 8, 9),
    m.AllowedFast(3),
    m.Extended(0, b"d1:md6:ut_pexi1eee"),
    m.Extended(3, b"x" * 100_000),
]


@pytest.mark.parametrize("message", PEER_WIRE, ids=lambda message: type(message).__name__)
def test_a_message_of_the_peer_wire_is_described_alike_where_it_leaves_and_where_it_arrives(
    message: m.WireMessage,
) -> None:
    recorder = FlightRecorder()
    tap = recorder.stream(HERE, PEER, True)
    tap.wrote(m.encode(message))
    tap.took(message)
    rows = [(row["message"], row["fields"]) for row in recorder.recent_messages()]
    half = len(rows) // 2
    assert rows[:half] == rows[half:] and half
    assert sum(len(part) for entry in recorder._ring for part in entry if isinstance(part, bytes)) <= 4352


def test_handshakes_and_long_runs() -> None:
    recorder = FlightRecorder()
    tap = recorder.stream(HERE, PEER, True)
    handshake = Handshake(b"i" * 20, b"-CS0000-" + b"x" * 12)
    tap.wrote(encode_handshake(handshake))
    tap.took(handshake)
    requests = [(1, at, 16384) for at in range(0, 5000 * 16384, 16384)]
    tap.wrote(m.encode_requests(requests))
    tap.took(m.RequestRun(requests))
    first, second, *rows = recorder.recent_messages(limit=1000)
    assert first["fields"] == second["fields"] == {"torrent": "69" * 6, "peer_id": handshake.peer_id.hex()}
    assert [row["fields"].get("more", 0) for row in rows][-1] == 5000 - 256
    assert len(rows) == 2 * 256 + 2 and rows[256]["fields"] == {"more_bytes": (5000 - 256) * 17}


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_any_written_bytes_are_described(data: bytes, more: int) -> None:
    json.dumps(list(stream_rows.written(data, len(data) + more)))


# ---- losses


def datagram(message: str, sequence: int, offset: int, length: int, out: bool) -> MessageRow:
    fields: dict[str, Any] = {"sequence": sequence, "transfer": "0" * 16, "offset": offset, "length": length}
    direction = "out" if out else "in"
    return {"time": 0.0, "direction": direction, "peer": 1, "message": message, "fields": fields}


def told(rows: list[MessageRow]) -> list[tuple[str, int, bool, int | None]]:
    return [
        (
            row["message"],
            row["fields"]["sequence"],
            row["fields"].get("lost", False),
            row["fields"].get("again"),
        )
        for row in marked(rows)
    ]


def test_a_second_request_declares_the_first_answer_lost() -> None:
    rows = [
        datagram("REQUEST", 1, 0, 300, True),
        datagram("DATA", 1, 0, 100, False),
        datagram("DATA", 1, 200, 100, False),
        datagram("REQUEST", 2, 100, 100, True),
        datagram("DATA", 2, 100, 100, False),
    ]
    assert told(rows)[3:] == [("DATA", 1, True, None), ("REQUEST", 2, False, 1), ("DATA", 2, False, None)]


def test_a_late_answer_was_not_lost() -> None:
    rows = [
        datagram("REQUEST", 1, 0, 100, True),
        datagram("REQUEST", 2, 0, 100, True),
        datagram("DATA", 1, 0, 100, False),
    ]
    assert told(rows) == [("REQUEST", 1, False, None), ("REQUEST", 2, False, 1), ("DATA", 1, False, None)]


def test_at_the_owner_the_data_that_was_asked_for_again_is_marked() -> None:
    rows = [
        datagram("REQUEST", 1, 0, 200, False),
        datagram("DATA", 1, 0, 100, True),
        datagram("DATA", 1, 100, 100, True),
        datagram("REQUEST", 2, 100, 100, False),
    ]
    assert [lost for _, _, lost, _ in told(rows)] == [False, False, True, False]
    assert told(rows)[-1][3] == 1


def test_a_refused_request_was_not_lost() -> None:
    rows = [
        datagram("REQUEST", 1, 0, 100, True),
        datagram("REFUSE", 1, 0, 0, False),
        datagram("REQUEST", 2, 0, 100, True),
    ]
    assert [again for *_, again in told(rows)] == [None, None, None]


@given(st.randoms(use_true_random=False))
def test_in_any_order_no_row_is_dropped_and_arrived_bytes_are_not_lost(chance: random.Random) -> None:
    rows = []
    for sequence in range(1, 12):
        at = chance.randrange(6) * 100
        rows.append(datagram("REQUEST", sequence, at, 200, True))
        rows += [
            datagram("DATA", sequence, at + part, 100, False) for part in (0, 100) if chance.random() < 0.6
        ]
    chance.shuffle(rows)
    shown = marked(rows)
    assert [row for row in shown if not row["fields"].get("lost")] == rows
    after: set[tuple[int, int]] = set()
    for row in reversed(shown):
        fields = row["fields"]
        if fields.get("lost"):
            span = range(fields["offset"], fields["offset"] + fields["length"], 100)
            assert (fields["sequence"], span[0]) not in after, "it came later: not lost, but late"
        elif row["message"] == "DATA":
            after.add((fields["sequence"], fields["offset"]))
