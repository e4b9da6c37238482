"""Which REQUESTs came before? A network may deliver a datagram twice, and each answer is long.

A fetcher numbers its REQUESTs and never sends a number again: what it asks for anew, after a loss or by a
probe, has a new one. So the same number from the same address and transfer is a copy that the network made,
and only such is known here: what is older than the latest numbers is taken for new, and answered. Pure.
"""

from __future__ import annotations

from collections import OrderedDict

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

REPLAY_WINDOW = 256  # of the latest REQUESTs of an address that are known: what 20 Mb/s ask for in 0.15 s
MAX_REPLAY_ADDRESSES = 1024  # addresses that are remembered; all have proved themselves
_ALL = (1 << REPLAY_WINDOW) - 1


class ReplayWindow:
    """Remembers the latest REQUESTs: a few dozen bytes for each of the addresses that asked last."""

    def __init__(self) -> None:
        # (transfer, its highest sequence, bit n: the one n below that has come), the last to ask at the end
        self._latest: OrderedDict[Address, tuple[int, int, int]] = OrderedDict()

    def is_duplicate(self, request: wire.Request, addr: Address) -> bool:
        """Whether this very ``request`` of ``addr`` has come before; from now on it has."""
        transfer, sequence = request.transfer_id, request.sequence
        known = self._latest.get(addr)
        if known is None or known[0] != transfer:
            self._remember(addr, transfer, sequence, 1)
            return False
        _, highest, come = known
        if sequence > highest:
            come = (come << min(sequence - highest, REPLAY_WINDOW) | 1) & _ALL
            self._remember(addr, transfer, sequence, come)
            return False
        bit = 1 << (highest - sequence) if highest - sequence < REPLAY_WINDOW else 0
        self._remember(addr, transfer, highest, come | bit)
        return bool(come & bit)

    def _remember(self, addr: Address, transfer: int, highest: int, come: int) -> None:
        self._latest[addr] = transfer, highest, come
        self._latest.move_to_end(addr)
        if len(self._latest) > MAX_REPLAY_ADDRESSES:
            self._latest.popitem(last=False)
