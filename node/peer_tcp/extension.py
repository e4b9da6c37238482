"""The extension protocol's handshake (BEP 10): a bencoded dictionary in message 20, number 0.

    m               the sender's numbers of the extensions that it speaks; 0: not any more
    reqq            requests that the sender accepts at a time
    max_request     bytes that one request may ask for; of this program, others ignore it
    v, p, yourip    client and version, TCP port, the receiver's address as the sender sees it
    metadata_size   bytes of the info dictionary (BEP 9)
    node_id         the sender's number in the classroom, for people to read; of this program, too

Every field is optional. A field of a wrong type counts as absent, as in other clients; bytes that are no
dictionary are an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common import bencode
from common.errors import BencodeError, PeerWireError
from node.peer_tcp.limits import BLOCK

HANDSHAKE_NUMBER = 0  # number of the Extended message that is the handshake
UT_METADATA = "ut_metadata"  # BEP 9
OUR_NUMBERS: Mapping[str, int] = {UT_METADATA: 2}  # under which peers send them to us
MAX_EXTENSIONS = 64  # entries of ``m`` that are used
MAX_CLIENT_CHARACTERS = 64  # characters of a client's name that are shown
MAX_REQQ = 1 << 16  # requests; a larger ``reqq`` counts as this


@dataclass(frozen=True)
class ExtendedHandshake:
    """The fields that this client uses. None or empty: absent."""

    numbers: Mapping[str, int] = field(default_factory=dict)  # ``m``
    reqq: int | None = None
    client: str = ""  # ``v``
    port: int | None = None
    your_ip: bytes = b""  # 4 or 16 bytes
    metadata_size: int | None = None
    max_request: int | None = None
    node_id: int | None = None


def encode_extended_handshake(handshake: ExtendedHandshake) -> bytes:
    """The payload of the Extended message."""
    fields: dict[bytes, bencode.Value] = {
        b"m": {name.encode(): number for name, number in handshake.numbers.items()}
    }
    for key, value in (
        (b"reqq", handshake.reqq),
        (b"max_request", handshake.max_request),
        (b"p", handshake.port),
        (b"v", handshake.client.encode() or None),
        (b"yourip", handshake.your_ip or None),
        (b"metadata_size", handshake.metadata_size),
        (b"node_id", handshake.node_id),
    ):
        if value is not None:
            fields[key] = value
    return bencode.encode(fields)


def decode_extended_handshake(payload: bytes) -> ExtendedHandshake:
    """The handshake that ``payload`` encodes. PeerWireError if it is no dictionary."""
    try:
        fields = bencode.decode_with_spans(payload).values
    except BencodeError as error:
        raise PeerWireError(f"an extended handshake that is not bencoded: {error}") from None
    client = fields.get(b"v")
    your_ip = fields.get(b"yourip")
    return ExtendedHandshake(
        numbers=_numbers(fields.get(b"m")),
        reqq=_integer(fields, b"reqq", 1, MAX_REQQ),
        max_request=_integer(fields, b"max_request", BLOCK, 1 << 40),
        node_id=_integer(fields, b"node_id", 0, (1 << 31) - 1),
        client=_printable(client) if isinstance(client, bytes) else "",
        port=_integer(fields, b"p", 1, 65535),
        your_ip=your_ip if isinstance(your_ip, bytes) and len(your_ip) in (4, 16) else b"",
        metadata_size=_integer(fields, b"metadata_size", 1, 1 << 40),
    )


def _numbers(value: bencode.Value | None) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {
        name.decode("utf-8", "replace"): number
        for name, number in list(value.items())[:MAX_EXTENSIONS]
        if isinstance(number, int) and 0 <= number <= 255
    }


def _integer(fields: Mapping[bytes, bencode.Value], key: bytes, low: int, high: int) -> int | None:
    value = fields.get(key)
    if not isinstance(value, int) or value < low:
        return None
    return min(value, high) if key == b"reqq" else value if value <= high else None


def _printable(name: bytes) -> str:
    text = name[: 4 * MAX_CLIENT_CHARACTERS].decode("utf-8", "replace")[:MAX_CLIENT_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in text)
