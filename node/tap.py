"""Taps: how the messages of both transports are observed, or dropped on purpose.

A transport hands its tap every datagram, and every message of the peer wire. The flight recorder and the
capture for Wireshark are taps. So is a fault that drops exactly one message.

    chunk_udp   one ``Tap`` for all sockets: ``sent`` and ``received`` once for each system call
    peer_tcp    ``Tap.stream`` makes a ``StreamTap`` for each connection: bytes without encryption

A tap with ``single`` gets each message by itself, with its payload, before the transport acts on it, and may
drop it (``passes``). Transports then make one system call for each datagram and read blocks into memory. So
it costs time. Any other tap sees batches, and payloads only as long as the call lasts.

The methods are called on the threads of the transports. They return quickly and do not raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Address = tuple[str, int]  # host and port
Buffer = bytes | memoryview


class DatagramSocket(Protocol):
    """The part of a UDP socket that sending later needs."""

    def getsockname(self) -> Any:
        """Its own address."""

    def send(self, data: bytes, flags: int = 0, /) -> int:
        """To the peer that it is connected to."""

    def sendto(self, data: bytes, address: Any, /) -> int:
        """To any peer."""


class StreamFaults(Protocol):
    """The messages of one connection of the peer wire that are on their way, in both directions.

    Messages are whole, with their lengths, and not encrypted. They arrive in the order in which they set out.
    Times are seconds.
    """

    def put(self, message: bytes, outgoing: bool, now: float) -> None:
        """A message sets out. It may be lost, changed or delayed."""

    def take(self, outgoing: bool, now: float) -> bytes:
        """The messages that have arrived by ``now``; each is returned once."""

    def due(self, outgoing: bool) -> float:
        """When ``take`` has something next; infinite: nothing is on its way."""

    def size(self, outgoing: bool) -> int:
        """Bytes that are on their way."""


class StreamTap:
    """Sees one connection of the peer wire. This base class does nothing."""

    single = False  # True: it wants each message by itself, and all bytes
    faults: StreamFaults | None = None  # what happens to the messages on their way

    def wrote(self, data: bytes) -> None:
        """Whole messages leave, or a handshake, or headers of blocks: as they are before encryption."""

    def took(self, message: object) -> bool:
        """A message arrived: of ``peer_tcp.messages``, or a ``Handshake``. False: ignore it.

        Without ``single`` the answer does not count, and runs of messages come in one call.
        """
        return True

    def payload_wrote(self, data: Buffer) -> None:
        """With ``single``: content of a block leaves, after its header."""

    def read(self, data: Buffer) -> None:
        """With ``single``: these bytes arrived, decrypted. ``took`` follows for each message in them."""

    def closed(self) -> None:
        """The connection is over."""


class Tap:
    """Sees all messages of a node. This base class does nothing."""

    single = False  # True: it wants each datagram by itself, and may drop it

    def opened(self, sock: DatagramSocket) -> None:
        """With ``single``: a UDP socket of this node, bound or connected."""

    def passes(self, datagram: Buffer, outgoing: bool, here: Address, peer: Address) -> bool:
        """With ``single``: False drops or delays this datagram, before it is sent or once it was received.

        ``sent`` is called nevertheless, because the sender cannot know; ``received`` is not.
        """
        return True

    def due(self, here: Address) -> list[tuple[bytes, Address]]:
        """With ``single``: received datagrams that were delayed until now, with their peers."""
        return []

    def wait(self, here: Address) -> float:
        """With ``single``: seconds until ``due`` has something, more than 0; infinite: nothing is delayed."""
        return float("inf")

    def sent(self, heads: Buffer, parts: Sequence[Buffer], step: int, here: Address, peer: Address) -> None:
        """One call sent ``parts`` joined: datagrams of ``step`` bytes, the last one shorter; 0: one datagram.

        A part is a whole datagram, or header and payload of a DATA are two. ``heads``: that datagram, or the
        headers of all DATA. They are valid until the call returns.
        """

    def received(self, batch: memoryview, step: int, here: Address, peer: Address) -> None:
        """One call received ``batch``: datagrams of ``step`` bytes, the last one perhaps shorter."""

    def introduce(self, peer: Address, node_id: int) -> None:
        """The node at ``peer`` has this number, according to a tracker or the node itself."""

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        """A tap for one TCP connection, which begins now. ``here``: this node's end."""
        return NO_STREAM_TAP


NO_TAP = Tap()
NO_STREAM_TAP = StreamTap()


class SeveralTaps(Tap):
    """Hands everything to each of ``taps``, in order. A message that one drops is not shown to later ones.

    So faults come first.
    """

    def __init__(self, taps: Sequence[Tap]) -> None:
        self._taps = tuple(taps)
        self.single = any(tap.single for tap in taps)

    def opened(self, sock: DatagramSocket) -> None:
        """As ``Tap.opened``."""
        for tap in self._taps:
            tap.opened(sock)

    def passes(self, datagram: Buffer, outgoing: bool, here: Address, peer: Address) -> bool:
        """False if one of the taps drops or delays the datagram."""
        return all(tap.passes(datagram, outgoing, here, peer) for tap in self._taps)

    def due(self, here: Address) -> list[tuple[bytes, Address]]:
        """As ``Tap.due``."""
        return [found for tap in self._taps for found in tap.due(here)]

    def wait(self, here: Address) -> float:
        """As ``Tap.wait``."""
        return min(tap.wait(here) for tap in self._taps)

    def sent(self, heads: Buffer, parts: Sequence[Buffer], step: int, here: Address, peer: Address) -> None:
        """As ``Tap.sent``."""
        for tap in self._taps:
            tap.sent(heads, parts, step, here, peer)

    def received(self, batch: memoryview, step: int, here: Address, peer: Address) -> None:
        """As ``Tap.received``."""
        for tap in self._taps:
            tap.received(batch, step, here, peer)

    def introduce(self, peer: Address, node_id: int) -> None:
        """As ``Tap.introduce``."""
        for tap in self._taps:
            tap.introduce(peer, node_id)

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        """As ``Tap.stream``."""
        return _SeveralStreamTaps([tap.stream(here, peer, dialled) for tap in self._taps])


class _SeveralStreamTaps(StreamTap):
    def __init__(self, taps: Sequence[StreamTap]) -> None:
        self._taps = tuple(taps)
        self.single = any(tap.single for tap in taps)
        self.faults = next((tap.faults for tap in taps if tap.faults is not None), None)

    def wrote(self, data: bytes) -> None:
        for tap in self._taps:
            tap.wrote(data)

    def took(self, message: object) -> bool:
        return all(tap.took(message) for tap in self._taps)

    def payload_wrote(self, data: Buffer) -> None:
        for tap in self._taps:
            tap.payload_wrote(data)

    def read(self, data: Buffer) -> None:
        for tap in self._taps:
            tap.read(data)

    def closed(self) -> None:
        for tap in self._taps:
            tap.closed()
