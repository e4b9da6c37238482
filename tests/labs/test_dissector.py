"""labs/swarm.lua against ``wire.decode``: every field of every message, and datagrams that are none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import WireError
from node.chunk_udp import wire
from node.chunk_udp.fetcher import Fetcher
from node.recorder import FlightRecorder
from node.recorder.capture import Capture
from node.settings import TransferSettings
from node.tap import SeveralTaps
from tests.labs.tshark import captured, fields_of, needs_tshark, packets_in
from tests.node.chunk_udp.loopback import INFO, LoopbackDownload, serving
from tests.node.chunk_udp.test_protocol_document import EXAMPLES
from tests.node.chunk_udp.test_wire import MESSAGES, U32

pytestmark = needs_tshark
HEADER = ("magic", "version", "type", "family", "flags", "length", "transfer_id", "sequence", "check")
FLAGS = ("checked", "complete", "rare_only", "wants_metadata")
BODY = ("offset", "first_piece", "info_hash", "token", "node_id", "padding", "size", "bitfield", "page")
REST = ("reason", "queue_position", "segment_size", "payload", "payload.length", "check.status")
NAMES = (*HEADER, *(f"flags.{flag}" for flag in FLAGS), *BODY, *REST)
FIELDS = ("swarm.malformed", *(f"swarm.{name}" for name in NAMES))
NUMBERED_ASKS = st.builds(
    wire.Ask, st.just(7), U32, st.binary(min_size=20, max_size=20), node_id=st.integers(0, 2**31 - 1)
)
RARE_REQUESTS = st.builds(
    wire.Request,
    *(st.just(7), U32, st.integers(0, 2**64 - 1), U32, st.binary(min_size=20, max_size=20)),
    *(st.binary(min_size=16, max_size=16), U32, st.booleans(), st.booleans()),
)


def dissected(capture: Path) -> list[dict[str, str]]:
    """The fields that are there, of each packet."""
    rows = [dict(zip(FIELDS, row, strict=True)) for row in fields_of(capture, FIELDS)]
    return [{name.removeprefix("swarm."): value for name, value in row.items() if value} for row in rows]


def expected(datagram: bytes) -> dict[str, Any]:
    """The fields of ``datagram`` as ``wire`` sees it, by the dissector's names."""
    message = wire.decode(datagram)
    flags, check = datagram[3], int.from_bytes(datagram[28:32], "big")
    length = message.length if isinstance(message, wire.Request) else len(datagram) - wire.HEADER_SIZE
    fields: dict[str, Any] = {
        **{"magic": wire.MAGIC, "version": wire.VERSION, "type": datagram[2], "family": datagram[2] >> 4},
        **{"flags": flags, "length": length, "transfer_id": message.transfer_id},
        **{"sequence": message.sequence, "check": check, "check.status": 1},
        "flags.checked": getattr(message, "checked", False),
        "flags.complete": getattr(message, "complete", False),
        "flags.rare_only": getattr(message, "rare_only", False),
        "flags.wants_metadata": getattr(message, "wants_metadata", False),
    }
    return fields | body_of(message)


def body_of(message: wire.Message) -> dict[str, Any]:
    match message:
        case wire.Ask():
            place = "offset" if message.wants_metadata else "first_piece"
            number = {} if message.node_id is None else {"node_id": message.node_id}
            known = {"info_hash": message.info_hash, "token": message.token, "padding": bytes(56)}
            return {place: message.first_piece, **number, **known}
        case wire.Token():
            return {"offset": 0, "token": message.token}
        case wire.Tell():
            bits = {"bitfield": message.bitfield} if message.bitfield else {}
            return {"first_piece": message.first_piece, "size": message.size, **bits}
        case wire.Refuse():
            return {"offset": 0, "reason": message.reason, "queue_position": message.queue_position}
        case wire.MetadataPage():
            page = {"page": message.page} if message.page else {}
            return {"offset": message.offset, "size": message.size, **page}
        case wire.Request():
            known = {"info_hash": message.info_hash, "token": message.token}
            return {"offset": message.offset, "segment_size": message.segment_size, **known}
        case wire.Data():
            payload = bytes(message.payload)
            return {"offset": message.offset, "payload": payload, "payload.length": len(payload)}


def parsed(row: dict[str, str]) -> dict[str, Any]:
    """tshark's text as numbers and bytes."""
    texts = ("info_hash", "token", "padding", "bitfield", "page", "payload")
    return {
        name: bytes.fromhex(value.replace(":", "")) if name in texts else int(value, 0)
        for name, value in row.items()
    }


def assert_same(tmp_path: Path, datagrams: Sequence[bytes]) -> None:
    rows = dissected(captured(tmp_path / "run.pcap", datagrams))
    assert len(rows) == len(datagrams)
    for datagram, row in zip(datagrams, rows, strict=True):
        assert parsed(row) == expected(datagram)


def test_every_example_of_the_document_is_dissected_as_the_code_decodes_it(tmp_path: Path) -> None:
    assert {type(message) for message in EXAMPLES.values()} == set(wire.Message.__args__)  # type: ignore[attr-defined]
    assert_same(tmp_path, [wire.encode(message) for message in EXAMPLES.values()])


@settings(max_examples=3, deadline=None, suppress_health_check=[*HealthCheck], report_multiple_bugs=False)
@given(messages=st.lists(MESSAGES | NUMBERED_ASKS | RARE_REQUESTS, min_size=60, max_size=90))
def test_every_field_of_any_message_is_dissected_as_the_code_decodes_it(
    tmp_path: Path, messages: list[wire.Message]
) -> None:
    assert_same(tmp_path, [wire.encode(message) for message in messages])


def bent(chance: random.Random, whole: list[bytes]) -> bytes:
    """A datagram that is cut, or longer, or has wrong bytes, or is rubbish behind the magic."""
    datagram = bytearray(chance.choice(whole))
    kind = chance.randrange(4)
    if kind == 0:
        del datagram[chance.randrange(len(datagram)) :]
    elif kind == 1:
        datagram += chance.randbytes(chance.randrange(1, 40))
    elif kind == 2:
        for _ in range(chance.choice((1, 1, 2, 8))):
            datagram[chance.randrange(len(datagram))] = chance.randrange(256)
    else:
        datagram = bytearray(b"\xc5\x01" + chance.randbytes(chance.randrange(150)))
    return bytes(datagram) if chance.random() < 0.5 else sealed(datagram)


def sealed(datagram: bytearray) -> bytes:
    """``datagram`` with a right check, so that what else is wrong with it counts."""
    if len(datagram) >= wire.HEADER_SIZE:
        covers_body = datagram[2] != wire.DATA or datagram[3] & wire.CHECKED
        check = crc32(datagram[32:] if covers_body else b"", crc32(datagram[:28]))
        datagram[28:32] = check.to_bytes(4, "big")
    return bytes(datagram)


def is_message(datagram: bytes) -> bool:
    try:
        wire.decode(datagram)
    except WireError:
        return False
    return True


def test_ten_thousand_malformed_and_cut_datagrams(tmp_path: Path) -> None:
    """No Lua error, and what the dissector finds sound is exactly what ``wire.decode`` accepts."""
    chance = random.Random(15)
    whole = [wire.encode(message) for message in EXAMPLES.values()]
    whole.append(wire.encode(wire.Tell(1, 2, 3, False, 8, b"\xff" * 20)))
    datagrams = [bent(chance, whole) for _ in range(10_000)]
    rows = dissected(captured(tmp_path / "fuzz.pcap", datagrams))
    sound = [row.get("check.status") == "1" and "malformed" not in row for row in rows]
    assert sound == [is_message(datagram) for datagram in datagrams]
    assert 100 < sum(sound) < 5000


def test_a_capture_with_cut_packets_shows_their_headers(tmp_path: Path) -> None:
    """As tcpdump -s makes them: the file has less of a packet than there was."""
    path = captured(tmp_path / "whole.pcap", [wire.encode(EXAMPLES["DATA"]), wire.encode(EXAMPLES["ASK"])])
    raw = path.read_bytes()
    packets, at = raw[:24], 24
    while at < len(raw):
        size = int.from_bytes(raw[at + 8 : at + 12], "little")
        kept = 28 + wire.HEADER_SIZE + 2
        packets += raw[at : at + 8] + kept.to_bytes(4, "little") + raw[at + 12 : at + 16 + kept]
        at += 16 + size
    (tmp_path / "cut.pcap").write_bytes(packets)
    rows = fields_of(tmp_path / "cut.pcap", ["swarm.sequence", "_ws.col.Info", "swarm.payload"])
    part = "(the capture has only a part of it)"
    assert rows == [["1", f"DATA 1 {part}", ""], ["2147483648", f"ASK 2147483648 {part}", ""]]


def test_a_download_as_a_node_captured_it(tmp_path: Path) -> None:
    """Each datagram of a real download, in order, with right checksums, as recorder and decoder see it."""
    recorder, ended = FlightRecorder(), list[str]()
    capture = Capture(tmp_path / "run.pcap", ended.append)
    with serving() as served:
        session = LoopbackDownload(100_000)
        small = TransferSettings(owner_timeout=20.0, loopback_segment_size=1440)
        Fetcher(served.addr, INFO, session, small, tap=SeveralTaps([recorder, capture])).run()
    capture.close()
    assert session.is_identical() and not ended
    names = ("swarm.type", "swarm.sequence", "swarm.check.status", "udp.checksum.status")
    sums = ("ip.checksum.status", "udp.dstport")
    words = ("-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
    rows = fields_of(tmp_path / "run.pcap", [*names, *sums], *words)
    assert all(row[2:5] == ["1", "1", "1"] for row in rows)
    messages = recorder.recent_messages(limit=10_000)
    assert len(rows) == len(messages)
    for row, message in zip(rows, messages, strict=True):
        assert wire.Kind(int(row[0], 16)).name == message["message"]
        assert int(row[1]) == message["fields"]["sequence"]
        assert (int(row[5]) == served.addr[1]) == (message["direction"] == "out")
    datagrams = [packet[28:] for packet in packets_in(tmp_path / "run.pcap")]
    assert [parsed(row) for row in dissected(tmp_path / "run.pcap")] == list(map(expected, datagrams))
    assert {datagram[2] for datagram in datagrams} == {0x01, 0x02, 0x03, 0x11, 0x12}
