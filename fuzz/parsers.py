"""The parsers of bytes and texts from outside: accept, or raise the named error. Results are consistent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Protocol
from zlib import crc32

from common import bencode
from common.bitfield import Bitfield
from common.errors import BencodeError, CommandError, MalformedInput, MessageError, MetainfoError, WireError
from common.filenames import check_name
from common.messages import Exit, Mode, Need, NeedAnswer, Own, Register, RegisterAnswer, Update
from common.metainfo import decode_info, decode_metainfo, encode_metainfo
from common.text import sanitize
from common.validation import decode_object
from fuzz.target import Target, outcome
from node.chunk_udp import wire
from node.commands import parse_command, split_words
from node.discovery.tracker_url import tracker_url
from node.shell.completion import quoted

HASH = bytes(range(20))
HEX = HASH.hex().encode()
PIECES = hashlib.sha1(b"hello, swarm\n").digest()


# ---- datagrams


def resealed(datagram: bytes) -> bytes:
    """The datagram with our magic and version, a length that fits, and its checks made right."""
    if len(datagram) < wire.HEADER_SIZE:
        return datagram
    fixed = bytearray(datagram)
    fixed[0], fixed[1] = wire.MAGIC, wire.VERSION
    if fixed[2] != wire.Kind.REQUEST:
        fixed[4:8] = (len(fixed) - wire.HEADER_SIZE).to_bytes(4, "big")
    check = crc32(fixed[:28])
    if fixed[2] != wire.DATA or fixed[3] & wire.CHECKED:
        check = crc32(fixed[wire.HEADER_SIZE :], check)
    fixed[28:32] = check.to_bytes(4, "big")
    return bytes(fixed)


MESSAGES: list[wire.Message] = [
    wire.Ask(1, 1 << 31, HASH),
    wire.Ask(2**64 - 1, 2**32 - 1, HASH, b"t" * 16, 8),
    wire.Token(1, 1 << 31, b"t" * 16),
    wire.Tell(1, 1 << 31, 13, True),
    wire.Tell(1, 1 << 31, 10**12, False, 8192, bytes(range(256)) * 4),
    *(wire.Refuse(1, 7, reason, 3) for reason in wire.Refusal),
    wire.Request(1, 7, 0, 65_536, HASH, b"t" * 16, 1440, True),
    wire.Data(1, 7, 1000, b"payload" * 20, True),
    wire.Data(1, 7, 1000, b"payload" * 20),
]
DATAGRAMS = [wire.encode(message) for message in MESSAGES]


def run_wire(data: bytes) -> str:
    """``wire.decode``, and back."""
    try:
        message = wire.decode(data)
    except WireError as error:
        return outcome(error)
    again = wire.decode(wire.encode(message))
    assert again == message, "decoded, encoded and decoded it is another message"
    return f"{type(message).__name__} {getattr(message, 'reason', '')}"


# ---- bencoding and torrents

TORRENT = encode_metainfo("hello.txt", 13, 32_768, PIECES, "http://127.0.0.1:12345/announce", "fuzz")
FOLDER = bencode.encode(
    {
        b"announce": b"http://[::1]:1/announce",
        b"info": {
            b"files": [
                {b"length": 5, b"path": [b"a", b"b.txt"]},
                {b"length": 8, b"path": [b"a", "übung".encode()]},
            ],
            b"name": b"folder",
            b"piece length": 32_768,
            b"pieces": PIECES,
            b"private": 1,
        },
    }
)
BENCODED = [
    TORRENT,
    FOLDER,
    b"i0e",
    b"i-42e",
    b"0:",
    b"le",
    b"de",
    b"l" * 64 + b"e" * 64,
    b"d1:ai1e1:bl1:cee",
]
TORRENT_WORDS = [
    *(
        b"4:info",
        b"6:length",
        b"4:name",
        b"12:piece length",
        b"6:pieces",
        b"5:files",
        b"4:path",
        b"8:announce",
        b"13:announce-list",
        b"4:attr1:p",
        b"4:attr1:l",
        b"10:path.utf-8",
        b"12:meta versioni2e",
    ),
    *(
        b"2:..",
        b"1:/",
        b"4:a\x1b[m",
        b"5:a.exe",
        b"3:NUL",
        b"i99999999999999999999e",
        b"i-1e",
        b"i0e",
        b"7:private",
    ),
]


def run_bencode(data: bytes) -> str:
    """``bencode.decode``: one value has one encoding, so what is accepted encodes to what it was."""
    try:
        value = bencode.decode(data)
    except BencodeError as error:
        return outcome(error)
    assert bencode.encode(value) == data, "not canonical"
    if isinstance(value, dict):
        values, spans, unsorted, end = bencode.decode_with_spans(data)
        assert values == value and not unsorted and end == len(data)
        assert all(bencode.decode(data[start:end]) == value[key] for key, (start, end) in spans.items())
    return type(value).__name__


def run_metainfo(data: bytes) -> str:
    """``decode_metainfo``: a torrent that is taken is safe to store, by its names and its sizes."""
    try:
        metainfo = decode_metainfo(data)
    except MalformedInput as error:
        return outcome(error)
    assert sanitize(metainfo.name) == metainfo.name or "�" in sanitize(metainfo.name)
    for entry in metainfo.files:
        assert not any(part in ("", ".", "..") or "/" in part or "\\" in part for part in entry.path)
    assert bencode.encode(bencode.decode(metainfo.raw_info)) == metainfo.raw_info, "info is not canonical"
    assert len(metainfo.pieces) == 20 * metainfo.geometry.piece_count
    metadata = decode_info(metainfo.raw_info, metainfo.tiers)
    assert (metadata.files, metadata.info_hash) == (metainfo.files, metainfo.info_hash)
    assert metainfo.size == sum(entry.length for entry in metainfo.files) >= 0
    return f"taken, {len(metainfo.files)} files"


# ---- JSON, both ways


class FromJson(Protocol):
    """A kind of message."""

    def from_json(self, fields: Any) -> Any:
        """The message that a decoded object says."""
        ...


def _as_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


ADDR = ["127.0.0.1", 40_001]
REQUESTS = [
    _as_json(mode=0, node_id=1, addr=ADDR),
    _as_json(mode="OWN", node_id=1, addr=ADDR, filename="x", info_hash=HEX.decode(), size=13, complete=False),
    _as_json(mode=1, node_id=2, addr=["::1", 1], files=[{"filename": "a"}, {"filename": "b", "size": 1}]),
    _as_json(mode=2, node_id=3, filename="x", addr="localhost"),
    _as_json(mode=3, node_id=3, filename="x", owner=1, bytes=13),
    _as_json(mode=4, node_id=1, addr=ADDR),
]
_OWNER = {"node_id": 1, "addr": ADDR, "info_hash": HEX.decode(), "complete": True, "size": 13}
MAX_TOKENS_PER_SECOND = [
    _as_json(status="Node registered", interval=11.0, known=True, files=2),
    _as_json(dest_node_id=2, filename="x", search_result=[[_OWNER, 5], [{"node_id": 2, "addr": ADDR}, 0]]),
    _as_json(error="node_id is missing", field="node_id"),
]
JSON_WORDS = [
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"1.5",
        b'""',
        b"[]",
        b"{}",
        b"[[[[",
        b'"\\ud800"',
    ),
    *(
        b'"\\u0000"',
        b"99999999999999999999",
        b'"127.0.0.1"',
        b'"localhost"',
        b'"::1%lo"',
        b"\xef\xbb\xbf",
        b"\xff",
    ),
    *(
        b'"node_id":',
        b'"addr":',
        b'"files":',
        b'"search_result":',
        b'"info_hash":',
        b'"mode":',
        b'"filename":',
    ),
]
_KINDS: tuple[FromJson, ...] = (Register, Own, Need, Update, Exit)
_TOLD: tuple[FromJson, ...] = (RegisterAnswer, NeedAnswer)


def run_requests(data: bytes) -> str:
    """What a tracker reads: a body, its mode, and each of the five messages out of it."""
    try:
        fields = decode_object(data)
    except MessageError as error:
        return outcome(error)
    return "; ".join([_mode(fields), *(_read(kind, fields) for kind in _KINDS)])


def run_answers(data: bytes) -> str:
    """What a node reads of a tracker's answer."""
    try:
        fields = decode_object(data)
    except MessageError as error:
        return outcome(error)
    return "; ".join(_read(kind, fields) for kind in _TOLD)


def _mode(fields: dict[str, Any]) -> str:
    try:
        return Mode.from_json(fields.get("mode")).name
    except MessageError as error:
        return outcome(error)


def _read(kind: FromJson, fields: dict[str, Any]) -> str:
    try:
        message = kind.from_json(fields)
    except MessageError as error:
        return f"{error.field.rstrip('0123456789[]')}"
    again = kind.from_json(json.loads(json.dumps(message.to_json())))
    assert again == message, "written and read again it is another message"
    return "read"


# ---- what people type, and texts


def run_commands(data: bytes) -> str:
    """A line at the prompt, with and without backslashes that escape; and TAB within it."""
    line = data.decode("utf-8", "surrogateescape")
    said = [_parsed(line, escapes) for escapes in (True, False)]
    for escapes in (True, False):
        found = split_words(line, escapes)
        assert found.last_start < max(1, len(line))
        for word in found.words:
            quoted(word, found.quote, windows=not escapes)
    return " / ".join(said)


def _parsed(line: str, escapes: bool) -> str:
    try:
        command = parse_command(line, escapes)
    except CommandError as error:
        text = str(error)
        assert "\n" not in text and sanitize(text) == text, "an error that is not one clean line"
        return outcome(error)
    return command.verb


def run_texts(data: bytes) -> str:
    """Names, addresses of trackers, bitfields, and what is cleaned for the eye."""
    text = data.decode("utf-8", "surrogateescape")
    shown = sanitize(text)
    assert sanitize(shown) == shown
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    said = [_checked(lambda: check_name(text)), _checked(lambda: tracker_url(text))]
    said.append(_checked(lambda: Bitfield.from_bytes(data[1:], data[0] if data else 0)))
    return " / ".join(said)


def _checked(call: Callable[[], object]) -> str:
    try:
        call()
    except (MetainfoError, MessageError) as error:
        return outcome(error).partition("used:")[2] or type(error).__name__
    except MalformedInput as error:
        return outcome(error)
    return "taken"


TARGETS = [
    Target("wire", run_wire, DATAGRAMS, 25, resealed),
    Target("bencode", run_bencode, BENCODED, 15, None, TORRENT_WORDS),
    Target("metainfo", run_metainfo, BENCODED, 10, None, TORRENT_WORDS),
    Target("requests", run_requests, REQUESTS, 10, None, JSON_WORDS),
    Target("answers", run_answers, MAX_TOKENS_PER_SECOND, 8, None, JSON_WORDS),
    Target(
        "commands",
        run_commands,
        [
            b"torrent -setMode send 'a file.bin'",
            b'torrent --set-mode download "x.torrent"',
            b"torrent -status",
            b"\xef\xbb\xbfhelp",
            b"TORRENT -files",
        ],
        4,
        None,
        [
            b"torrent ",
            b"-setMode ",
            b"send ",
            b"download ",
            b"exit",
            b"'",
            b'"',
            b"\\",
            b"\x1b[2J",
            b"\xe2\x80\xae",
        ],
    ),
    Target(
        "texts",
        run_texts,
        [
            b"hello.txt",
            b"http://127.0.0.1:12345/announce",
            b"http://[::1]:1",
            b"\x09\xff\x80",
            b"../../etc/passwd",
        ],
        4,
        None,
        [
            b"..",
            b"/",
            b"\\",
            b"CON",
            b".part",
            b"\xe2\x80\xae",
            b"\xe2\x80\x8b",
            b"\xed\xa0\x80",
            b"http://",
            b"@",
        ],
    ),
]
