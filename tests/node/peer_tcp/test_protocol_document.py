"""docs/protocol.md, part 4, says what the code does: its tables and examples are taken from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.peer_tcp import limits
from node.peer_tcp import messages as m
from node.peer_tcp.extension import OUR_NUMBERS, ExtendedHandshake, encode_extended_handshake
from node.peer_tcp.handshake import Handshake, encode_handshake
from node.peer_tcp.metadata import MetadataKind, MetadataMessage, encode_metadata
from node.peer_tcp.states import STATES
from tests.node.chunk_udp.test_protocol_document import INFO_HASH, RAW_INFO, dump

DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXTENDED = ExtendedHandshake(
    OUR_NUMBERS,
    limits.REQUESTS_ACCEPTED,
    "classroom-swarm",
    6881,
    bytes([127, 0, 0, 1]),
    len(RAW_INFO),
    limits.MAX_REQUEST,
)
EXAMPLES: dict[m.MessageId | None, tuple[str, m.WireMessage]] = {
    None: ("", m.KeepAlive()),
    m.MessageId.CHOKE: ("", m.Choke()),
    m.MessageId.UNCHOKE: ("", m.Unchoke()),
    m.MessageId.INTERESTED: ("", m.Interested()),
    m.MessageId.NOT_INTERESTED: ("", m.NotInterested()),
    m.MessageId.HAVE: ("piece", m.Have(258)),
    m.MessageId.BITFIELD: ("a bit for each piece, the highest first", m.PieceSet(b"\xf8")),
    m.MessageId.REQUEST: ("piece, begin, length", m.BlockRequest(1, 16384, 16384)),
    m.MessageId.PIECE: ("piece, begin, the block", m.Block(1, 16384, 2, 0, b"hi")),
    m.MessageId.CANCEL: ("piece, begin, length", m.Cancel(1, 16384, 16384)),
    m.MessageId.PORT: ("UDP port of a DHT node (2 bytes)", m.Port(6881)),
    m.MessageId.SUGGEST_PIECE: ("piece", m.SuggestPiece(2)),
    m.MessageId.HAVE_ALL: ("", m.HaveAll()),
    m.MessageId.HAVE_NONE: ("", m.HaveNone()),
    m.MessageId.REJECT_REQUEST: ("piece, begin, length", m.RejectRequest(0, 0, 16384)),
    m.MessageId.ALLOWED_FAST: ("piece", m.AllowedFast(4)),
    m.MessageId.EXTENDED: ("number (1 byte), its payload", m.Extended(0, b"de")),
}


def state_rows() -> list[str]:
    """The rows of the table of states."""
    rows = []
    for state, rule in STATES.items():
        timeout = "none"
        if rule.timeout is not None:
            timeout = f"{rule.timeout:.0f} s " + ("from the start" if rule.from_start else "of silence")
        then = ", ".join(each.value for each in rule.next_states) or "the end"
        rows.append(f"| {state.value} | {rule.waits_for} | {timeout} | {then} |")
    return rows


def message_row(number: m.MessageId | None) -> str:
    """The row of a message."""
    payload, message = EXAMPLES[number]
    name = "keep-alive (no id)" if number is None else str(number)
    return (
        f"| {'' if number is None else int(number)} | {name} | {payload} | `{m.encode(message).hex(' ')}` |"
    )


def test_the_table_of_states() -> None:
    assert "\n".join(state_rows()) in DOCUMENT


@pytest.mark.parametrize("number", EXAMPLES)
def test_every_message_has_its_row(number: m.MessageId | None) -> None:
    assert message_row(number) in DOCUMENT


def test_every_id_has_an_example() -> None:
    assert set(EXAMPLES) == {None, *m.MessageId}


def test_the_handshakes() -> None:
    assert dump(encode_handshake(Handshake(INFO_HASH, b"-CS0100-0123456789ab"))) in DOCUMENT
    assert dump(encode_extended_handshake(EXTENDED)) in DOCUMENT


def test_the_metadata_messages() -> None:
    for kind in MetadataKind:
        encoded = encode_metadata(MetadataMessage(kind, 0, b"", len(RAW_INFO))).decode()
        assert f"| {kind.value} | {kind.name.lower()}" in DOCUMENT and f"`{encoded}`" in DOCUMENT


def test_the_numbers_of_the_text() -> None:
    for text in (
        f"more than {limits.REQUESTS_ACCEPTED} requests open",
        f"rejected {limits.BAD_REQUESTS} times",
        f"dropped {limits.UNREQUESTED_BLOCKS} times",
        f"{limits.IDLE_MESSAGES:,} at once and {limits.IDLE_MESSAGE_RATE:.0f} a second",
        f"within {limits.MESSAGE_TIMEOUT:.0f} seconds",
        f"After {limits.KEEP_ALIVE_AFTER:.0f} seconds",
        f"for {limits.REQUEST_TIMEOUT:.0f} seconds return",
        f"at most {limits.METADATA_QUEUE} pieces wait",
        f"at most {limits.REQUESTS_AT_MOST}.",
        f"{limits.REQUESTS_AT_FIRST} blocks are\n  outstanding at first",
    ):
        assert text in DOCUMENT, text
