"""Message stream encryption: the encrypted handshake that most clients try first.

No BEP describes it; <https://wiki.vuze.com/w/Message_Stream_Encryption> does. A dials B, ``S`` is their
secret (Diffie-Hellman), and SKEY the info hash:

    A → B   Ya (96 bytes), PadA (0 to 512)
    B → A   Yb (96), PadB (0 to 512)
    A → B   HASH("req1", S)   HASH("req2", SKEY) xor HASH("req3", S)
            RC4: VC (8 zero bytes), crypto_provide (4), len PadC (2), PadC, len IA (2), IA
    B → A   RC4: VC, crypto_select (4), len PadD (2), PadD
    both    the payload, plain (crypto_select 1) or RC4 (2)

IA is the beginning of A's payload: its BitTorrent handshake, so that encryption costs no round trip. It is
RC4 in any case. The padding has no end mark: each side searches for the first bytes that it can predict
(HASH("req1", S), the encrypted VC), and gives up after 512 bytes.

Both machines take bytes (``receive``) and have bytes to send (``unsent``) until ``done``. PeerWireError at
the first byte that is surely wrong; among random bytes that is the one after the longest padding.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from common.errors import PeerFault, PeerWireError
from node.peer_tcp.rc4 import Rc4, make_rc4

_PRIME_DIGITS = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563"
)
_PRIME = int(_PRIME_DIGITS, 16)  # of the Diffie-Hellman group, 768 bits
GENERATOR = 2  # of the Diffie-Hellman group
KEY_SIZE = 96  # bytes of a public key, and of the secret
PRIVATE_SIZE = 20  # bytes of a private key
MAX_PADDING = 512  # bytes
PLAIN, RC4 = 1, 2  # the bits of crypto_provide and crypto_select
VC = bytes(8)

_HASH_SIZE = 20
RandomBytes = Callable[[int], bytes]


class Negotiation(ABC):
    """One side of the encrypted handshake. The results count once ``done``."""

    def __init__(self, random_bytes: RandomBytes) -> None:
        self.unsent: list[bytes] = []
        self.done = False
        self.encrypted = False  # RC4 was selected for the payload
        self.incoming: Rc4 | None = None  # for the payload that comes; None: plain
        self.outgoing: Rc4 | None = None
        self.initial_left: int | None = None  # bytes after which ``incoming`` ends; None: it does not
        self._random_bytes = random_bytes
        self._private = int.from_bytes(random_bytes(PRIVATE_SIZE), "big")
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._read_key
        self._secret = b""

    def receive(self, data: memoryview) -> bytes:
        """Take bytes. Returns those after the handshake, as they came; b"" before it is done."""
        self._buffer += data
        while not self.done and self._step():
            pass
        if not self.done:
            return b""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest

    @abstractmethod
    def _on_secret(self) -> None:
        """The other side's key is here."""

    def _send_key(self) -> None:
        public = pow(GENERATOR, self._private, _PRIME).to_bytes(KEY_SIZE, "big")
        size = int.from_bytes(self._random_bytes(2), "big") % (MAX_PADDING + 1)
        self.unsent.append(public + self._random_bytes(size))

    def _read_key(self) -> bool:
        if len(self._buffer) < KEY_SIZE:
            return False
        public = int.from_bytes(self._take(KEY_SIZE), "big")
        if not 1 < public < _PRIME - 1:  # with these the secret would be known to all
            raise PeerWireError("a key that no encrypted handshake has")
        self._secret = pow(public, self._private, _PRIME).to_bytes(KEY_SIZE, "big")
        self._on_secret()
        return True

    def _find(self, mark: bytes) -> bool:
        """Skip the padding and ``mark``. False if more bytes are needed."""
        at = self._buffer.find(mark, 0, MAX_PADDING + len(mark))
        if at >= 0:
            self._take(at + len(mark))
            return True
        if len(self._buffer) >= MAX_PADDING + len(mark):
            raise PeerWireError("bytes that are no encrypted handshake")
        return False

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _key(self, name: bytes, info_hash: bytes) -> Rc4:
        return make_rc4(_hash(name, self._secret, info_hash))


class MseInitiator(Negotiation):
    """The dialling side. ``provide``: the bits PLAIN and RC4 that are offered."""

    def __init__(self, info_hash: bytes, initial: bytes, provide: int, random_bytes: RandomBytes) -> None:
        """``initial``: the first bytes of the payload, at most 65,535."""
        super().__init__(random_bytes)
        self._info_hash = info_hash
        self._initial = initial
        self._provide = provide
        self._padding_left = 0
        self._send_key()

    def _on_secret(self) -> None:
        secret, info_hash = self._secret, self._info_hash
        self._sending, self._receiving = self._key(b"keyA", info_hash), self._key(b"keyB", info_hash)
        self.unsent.append(_hash(b"req1", secret))
        self.unsent.append(_xor(_hash(b"req2", info_hash), _hash(b"req3", secret)))
        fields = VC + self._provide.to_bytes(4, "big") + bytes(2) + len(self._initial).to_bytes(2, "big")
        self.unsent.append(self._sending.update(fields + self._initial))
        self._mark = self._receiving.update(VC)
        self._step = self._read_mark

    def _read_mark(self) -> bool:
        if not self._find(self._mark):
            return False
        self._step = self._read_selection
        return True

    def _read_selection(self) -> bool:
        if len(self._buffer) < 6:
            return False
        fields = self._receiving.update(self._take(6))
        selected, self._padding_left = int.from_bytes(fields[:4], "big"), int.from_bytes(fields[4:], "big")
        if selected not in (PLAIN, RC4) or not selected & self._provide:
            raise PeerWireError(f"a selection of encryption that was not offered ({selected})")
        if self._padding_left > MAX_PADDING:
            raise PeerWireError(f"{self._padding_left} bytes of padding, more than {MAX_PADDING}")
        self.encrypted = selected == RC4
        self._step = self._read_padding
        return True

    def _read_padding(self) -> bool:
        if len(self._buffer) < self._padding_left:
            return False
        self._receiving.update(self._take(self._padding_left))
        if self.encrypted:
            self.incoming, self.outgoing = self._receiving, self._sending
        self.done = True
        return True


class MseResponder(Negotiation):
    """The accepting side. ``accept``: the bits PLAIN and RC4 that may be selected; PLAIN goes first."""

    def __init__(self, info_hashes: Iterable[bytes], accept: int, random_bytes: RandomBytes) -> None:
        super().__init__(random_bytes)
        self.info_hash = b""  # SKEY, once it is known
        self._info_hashes = info_hashes
        self._accept = accept
        self._selected = 0
        self._padding_left = 0

    def _on_secret(self) -> None:
        self._send_key()
        self._mark = _hash(b"req1", self._secret)
        self._step = self._read_mark

    def _read_mark(self) -> bool:
        if not self._find(self._mark):
            return False
        self._step = self._read_info_hash
        return True

    def _read_info_hash(self) -> bool:
        if len(self._buffer) < _HASH_SIZE:
            return False
        wanted = _xor(self._take(_HASH_SIZE), _hash(b"req3", self._secret))
        for info_hash in self._info_hashes:
            if _hash(b"req2", info_hash) == wanted:
                self.info_hash = info_hash
                self._sending, self._receiving = self._key(b"keyB", info_hash), self._key(b"keyA", info_hash)
                self._step = self._read_offer
                return True
        raise PeerFault("asks for a torrent that is not shared here")

    def _read_offer(self) -> bool:
        if len(self._buffer) < 14:
            return False
        fields = self._receiving.update(self._take(14))
        provided, self._padding_left = int.from_bytes(fields[8:12], "big"), int.from_bytes(fields[12:], "big")
        if fields[:8] != VC:
            raise PeerWireError("an encrypted handshake that does not decrypt")
        if self._padding_left > MAX_PADDING:
            raise PeerWireError(f"{self._padding_left} bytes of padding, more than {MAX_PADDING}")
        offered = provided & self._accept
        if not offered:
            raise PeerFault("offers no encryption that is allowed here")
        self._selected = PLAIN if offered & PLAIN else RC4
        self._step = self._read_padding
        return True

    def _read_padding(self) -> bool:
        """PadC and the length of IA. IA itself is payload: it is passed on as it comes."""
        if len(self._buffer) < self._padding_left + 2:
            return False
        initial = self._receiving.update(self._take(self._padding_left + 2))[-2:]
        self.unsent.append(self._sending.update(VC + self._selected.to_bytes(4, "big") + bytes(2)))
        self.encrypted = self._selected == RC4
        self.incoming = self._receiving
        if self.encrypted:
            self.outgoing = self._sending
        else:
            self.initial_left = int.from_bytes(initial, "big")
        self.done = True
        return True


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
