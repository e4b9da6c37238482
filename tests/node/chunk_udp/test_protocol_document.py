"""docs/protocol.md agrees with the code: its examples and JSON are taken from there."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from common import messages
from common.metainfo import decode_metainfo, encode_metainfo
from node.chunk_udp import asks, wire

DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
CONTENT = b"hello, swarm\n"
TORRENT = encode_metainfo(
    "hello.txt",
    len(CONTENT),
    32_768,
    hashlib.sha1(CONTENT).digest(),
    "http://127.0.0.1:12345/announce",
    "classroom-swarm",
)
INFO_HASH = decode_metainfo(TORRENT).info_hash
RAW_INFO = decode_metainfo(TORRENT).raw_info
TRANSFER = 0x1122334455667788
TOKEN = bytes.fromhex("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
FIRST = asks.FIRST_ASK

EXAMPLES: dict[str, wire.Message] = {
    "ASK": wire.Ask(TRANSFER, FIRST, INFO_HASH),
    "TOKEN": wire.Token(TRANSFER, FIRST, TOKEN),
    "ASK again": wire.Ask(TRANSFER, FIRST + 1, INFO_HASH, TOKEN),
    "TELL": wire.Tell(TRANSFER, FIRST + 1, len(CONTENT), True),
    "REFUSE": wire.Refuse(TRANSFER, FIRST + 1, wire.Refusal.NOT_SHARED),
    "ASK for metadata": wire.Ask(TRANSFER, FIRST + 2, INFO_HASH, TOKEN, wants_metadata=True),
    "METADATA": wire.MetadataPage(TRANSFER, FIRST + 2, len(RAW_INFO), 0, RAW_INFO),
    "REQUEST": wire.Request(TRANSFER, 1, 0, len(CONTENT), INFO_HASH, TOKEN, 1440, True),
    "DATA": wire.Data(TRANSFER, 1, 0, CONTENT, True),
}


def dump(datagram: bytes) -> str:
    """As hexdump draws it: offset, sixteen bytes, characters."""
    lines = []
    for at in range(0, len(datagram), 16):
        part = datagram[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:04x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  |{text}|")
    return "\n".join(lines)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_message_has_a_worked_example(name: str) -> None:
    assert f"**{name}**" in DOCUMENT
    assert dump(wire.encode(EXAMPLES[name])) in DOCUMENT


def test_the_torrent_is_shown_as_it_is_written() -> None:
    assert dump(TORRENT) in DOCUMENT
    assert INFO_HASH.hex() in DOCUMENT


def test_every_type_and_reason_has_its_number() -> None:
    for kind in wire.Kind:
        assert f"| `{kind.value:#04x}` | {kind.name} |" in DOCUMENT
    for reason in wire.Refusal:
        assert f"| {reason.value} | {reason.name} |" in DOCUMENT


def test_the_json_is_read_by_those_whom_it_is_for() -> None:
    requests: dict[messages.Mode, Any] = {
        messages.Mode.REGISTER: messages.Register,
        messages.Mode.OWN: messages.Own,
        messages.Mode.NEED: messages.Need,
        messages.Mode.UPDATE: messages.Update,
        messages.Mode.EXIT: messages.Exit,
    }
    seen = set()
    for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL):
        fields: dict[str, Any] = json.loads(text)
        if "mode" in fields:
            mode = messages.Mode.from_json(fields["mode"])
            seen.add(mode)
            message = requests[mode].from_json(fields)
            assert set(message.to_json()) | {"mode"} >= set(fields)
        elif "interval" in fields:
            assert messages.RegisterAnswer.from_json(fields).to_json() == fields
        elif "search_result" in fields:
            assert messages.NeedAnswer.from_json(fields).to_json() == fields
        else:
            assert "status" in fields or "error" in fields
    assert seen == set(messages.Mode)
