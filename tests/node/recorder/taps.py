"""Faults for tests: taps that drop exactly one message."""

from __future__ import annotations

import threading

from common.errors import WireError
from node.chunk_udp import wire
from node.peer_tcp import messages as m
from node.tap import Address, Buffer, StreamTap, Tap


class DropOnce(Tap):
    """Drops the first incoming DATA whose offset is ``offset``; over TCP the block that begins there."""

    single = True

    def __init__(self, offset: int, piece_length: int = 1 << 16) -> None:
        self._offset = offset
        self._piece_length = piece_length
        self.dropped = threading.Event()

    def passes(self, datagram: Buffer, outgoing: bool, here: Address, peer: Address) -> bool:
        try:
            message = wire.decode(datagram)
        except WireError:
            return True
        is_it = not outgoing and isinstance(message, wire.Data) and message.offset == self._offset
        return self._passes(is_it)

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        return _DropBlock(self)

    def _passes(self, is_it: bool) -> bool:
        if not is_it or self.dropped.is_set():
            return True
        self.dropped.set()
        return False

    def block_passes(self, block: m.Block) -> bool:
        return self._passes(block.piece * self._piece_length + block.begin == self._offset)


class _DropBlock(StreamTap):
    single = True

    def __init__(self, fault: DropOnce) -> None:
        self._fault = fault

    def took(self, message: object) -> bool:
        return not isinstance(message, m.BlockRun) or self._fault.block_passes(message.blocks[0])
