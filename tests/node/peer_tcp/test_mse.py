"""The encrypted handshake: both sides against each other, and against junk."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PeerFault, PeerWireError
from node.peer_tcp import events as ev
from node.peer_tcp import mse
from node.peer_tcp.config import Encryption
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.handshake import PROTOCOL
from node.peer_tcp.rc4 import DROPPED, PurePythonRc4, make_rc4
from node.peer_tcp.states import WireState
from tests.node.peer_tcp.pair import (
    CONTENT,
    ID_A,
    ID_B,
    INFO_HASH,
    Pair,
    config_of,
    cut,
    torrent_with,
)

OTHERS = [bytes([number]) * 20 for number in range(5)]


def seeded(seed: int) -> mse.RandomBytes:
    return random.Random(seed).randbytes


def talk(
    provide: int, accept: int, initial: bytes, step: int, seed: int = 1
) -> tuple[mse.MseInitiator, mse.MseResponder, bytes, bytes]:
    """Run both sides, ``step`` bytes at a time. Returns them and the bytes that follow their handshakes."""
    a = mse.MseInitiator(INFO_HASH, initial, provide, seeded(seed))
    b = mse.MseResponder([*OTHERS, INFO_HASH], accept, seeded(seed + 1))
    rest_a = rest_b = b""
    while a.unsent or b.unsent:
        from_a, from_b = b"".join(a.unsent), b"".join(b.unsent)
        a.unsent.clear()
        b.unsent.clear()
        for part in cut(from_a, step):
            rest_b += part if b.done else b.receive(memoryview(part))
        for part in cut(from_b, step):
            rest_a += part if a.done else a.receive(memoryview(part))
    return a, b, rest_a, rest_b


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    ("provide", "accept", "encrypted"),
    [(3, 3, False), (2, 3, True), (3, 2, True), (1, 1, False), (2, 2, True)],
)
def test_both_sides_agree(provide: int, accept: int, encrypted: bool, step: int) -> None:
    initial = b"the handshake of the initiator"
    for seed in range(3):
        a, b, rest_a, rest_b = talk(provide, accept, initial, step, seed)
        assert a.done and b.done and rest_a == b""
        assert a.encrypted is b.encrypted is encrypted
        assert b.info_hash == INFO_HASH
        assert b.incoming is not None and b.incoming.update(rest_b) == initial
        assert b.initial_left == (None if encrypted else len(initial))
        if encrypted:
            assert a.outgoing is not None and a.incoming is not None and b.outgoing is not None
            assert b.incoming.update(a.outgoing.update(b"to b")) == b"to b"
            assert a.incoming.update(b.outgoing.update(b"to a")) == b"to a"
        else:
            assert a.outgoing is a.incoming is b.outgoing is None


def test_no_common_encryption() -> None:
    with pytest.raises(PeerFault, match="offers no encryption"):
        talk(1, 2, b"x", 100)


def test_an_unknown_torrent() -> None:
    a = mse.MseInitiator(b"u" * 20, b"", 3, seeded(1))
    b = mse.MseResponder(OTHERS, 3, seeded(2))
    b.receive(memoryview(b"".join(a.unsent)))
    a.unsent.clear()
    a.receive(memoryview(b"".join(b.unsent)))
    with pytest.raises(PeerFault, match="not shared here"):
        b.receive(memoryview(b"".join(a.unsent)))


@pytest.mark.parametrize("public", [0, 1, mse._PRIME - 1, mse._PRIME, 2**768 - 1])
def test_a_key_that_gives_the_secret_away(public: int) -> None:
    b = mse.MseResponder(OTHERS, 3, seeded(2))
    with pytest.raises(PeerWireError, match="key"):
        b.receive(memoryview(public.to_bytes(96, "big")))


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 700))
@settings(max_examples=50, deadline=None)
def test_junk_ends_either_side_after_the_longest_padding(junk: bytes, step: int) -> None:
    for side in (mse.MseInitiator(INFO_HASH, b"", 3, seeded(1)), mse.MseResponder(OTHERS, 3, seeded(2))):
        received = 0
        try:
            for part in cut(junk, step):
                side.receive(memoryview(part))
                received += len(part)
        except PeerWireError:
            pass
        assert not side.done and received < mse.KEY_SIZE + mse.MAX_PADDING + 20 + step


def test_rc4_in_plain_python_is_the_same() -> None:
    fast, slow = make_rc4(b"k" * 20), PurePythonRc4(b"k" * 20)
    for size in (0, 1, 3, 1000):
        data = bytes(range(256)) * 4
        assert fast.update(data[:size]) == slow.update(data[:size])


def test_rc4_test_vector() -> None:
    # RFC 6229: key 0102030405, key stream at offset 1024
    stream = PurePythonRc4(bytes([1, 2, 3, 4, 5])).update(bytes(16))
    assert DROPPED == 1024 and stream.hex() == "30abbcc7c20b01609f23ee2d5f6bb7df"


@pytest.mark.parametrize("step", [None, 1, 50, 5000])
@pytest.mark.parametrize(
    ("dialler", "acceptor", "encrypts"),
    [("prefer", "prefer", False), ("require", "prefer", True), ("prefer", "require", True)],
)
def test_an_encrypted_connection_carries_a_download(
    dialler: str, acceptor: str, encrypts: bool, step: int | None
) -> None:
    a = config_of(ID_A, torrent_with(()), encryption=Encryption(dialler))
    b = config_of(ID_B, torrent_with(None), encryption=Encryption(acceptor))
    pair = Pair(a, b, encrypted=True, cut=step)
    assert pair.a.state is pair.b.state is WireState.MSE
    pair.connect()
    assert pair.a.encrypts_payload is pair.b.encrypts_payload is encrypts
    assert any(isinstance(event, ev.PeerIdentified) for event in pair.events_b)
    size = 20_000 if step == 1 else 100_000
    pair.a.download.request(0, size, pair.now)
    pair.run()
    assert pair.received[:size] == CONTENT[:size]


def fault_of(wire: PeerWire, data: bytes) -> str:
    """The reason for which ``wire`` closes after these bytes; "" if it does not."""
    failed = [event for event in wire.receive(data, 0.0) if isinstance(event, ev.WireFailed)]
    return str(failed[0].fault) if failed else ""


def test_policies_refuse_the_other_handshake() -> None:
    off = PeerWire(config_of(ID_B, encryption=Encryption.OFF), 0.0)
    assert fault_of(off, b"\x42") == "sent bytes that are not the BitTorrent handshake"
    require = PeerWire(config_of(ID_B, encryption=Encryption.REQUIRE), 0.0)
    assert fault_of(require, PROTOCOL[:19]) == ""
    assert fault_of(require, PROTOCOL[19:]) == "does not encrypt, which is required here"


def test_the_first_wrong_byte_of_a_plain_handshake_closes() -> None:
    accepted = PeerWire(config_of(ID_B), 0.0)
    assert fault_of(accepted, PROTOCOL[:10]) == ""
    assert fault_of(accepted, b"x") == "sent bytes that are not the BitTorrent handshake"


def test_a_key_may_begin_like_a_plain_handshake() -> None:
    accepted = PeerWire(config_of(ID_B), 0.0)
    assert fault_of(accepted, b"\x13") == fault_of(accepted, b"x" * 95) == ""
    assert len(accepted.data_to_send(0.0)) >= mse.KEY_SIZE


def test_two_torrents_in_two_handshakes() -> None:
    from node.peer_tcp.handshake import Handshake, encode_handshake

    inner = encode_handshake(Handshake(b"o" * 20, ID_A))
    accepted = PeerWire(config_of(ID_B), 0.0)
    a = mse.MseInitiator(INFO_HASH, inner, 3, seeded(1))
    assert fault_of(accepted, b"".join(a.unsent)) == ""
    a.unsent.clear()
    a.receive(memoryview(accepted.data_to_send(0.0)))
    assert fault_of(accepted, b"".join(a.unsent)) == "names two torrents in its two handshakes"
