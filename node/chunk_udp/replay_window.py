"""Recognises REQUESTs that the network delivered twice: each would cause a long answer. Pure.

A fetcher never uses a sequence number twice: a request for lost bytes, or a probe, has a new number. So the
same number from the same address and transfer is a duplicate. As in the anti-replay window of IPsec (RFC
4303, section 3.4.3), the latest ``REPLAY_WINDOW`` numbers of an address are kept as bits. Unlike there, a
number below the window is taken for new: answering twice does no harm but cost.
"""

from __future__ import annotations

from collections import OrderedDict

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

REPLAY_WINDOW = 256  # sequence numbers of an address
MAX_REPLAY_ADDRESSES = 1024  # addresses with a window; all are validated
_ALL = (1 << REPLAY_WINDOW) - 1


class ReplayWindow:
    """The latest sequence numbers of the addresses that asked last: a few dozen bytes each."""

    def __init__(self) -> None:
        # (transfer, highest sequence, bits: bit n for the sequence n below that), latest address at the end
        self._latest: OrderedDict[Address, tuple[int, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._latest)

    def is_duplicate(self, request: wire.Request, addr: Address) -> bool:
        """True if ``request`` came from ``addr`` before. From now on it has come."""
        transfer, sequence = request.transfer_id, request.sequence
        known = self._latest.get(addr)
        if known is None or known[0] != transfer:
            self._remember(addr, transfer, sequence, 1)
            return False
        _, highest, seen = known
        if sequence > highest:
            seen = (seen << min(sequence - highest, REPLAY_WINDOW) | 1) & _ALL
            self._remember(addr, transfer, sequence, seen)
            return False
        bit = 1 << (highest - sequence) if highest - sequence < REPLAY_WINDOW else 0
        self._remember(addr, transfer, highest, seen | bit)
        return bool(seen & bit)

    def _remember(self, addr: Address, transfer: int, highest: int, seen: int) -> None:
        self._latest[addr] = transfer, highest, seen
        self._latest.move_to_end(addr)
        if len(self._latest) > MAX_REPLAY_ADDRESSES:
            self._latest.popitem(last=False)
