"""The allowed fast set (BEP 6): a few pieces that a newcomer may fetch before it is unchoked.

A peer without pieces has nothing to trade. These pieces give it something. They are chosen by a hash of its
network and the torrent: a peer that connects often, or from neighbouring addresses, always gets the same.
"""

from __future__ import annotations

import hashlib
import ipaddress

ALLOWED_FAST_PIECES = 5  # pieces for a peer that holds fewer


def allowed_fast_set(host: str, info_hash: bytes, piece_count: int, size: int) -> list[int]:
    """``size`` pieces for the peer at the IPv4 address ``host``, fewer if there are not as many.

    Empty for IPv6, for which BEP 6 defines no set.
    """
    address = ipaddress.ip_address(host)
    if address.version != 4:
        return []
    pieces: list[int] = []
    digest = address.packed[:3] + b"\0" + info_hash
    while len(pieces) < min(size, piece_count):
        digest = hashlib.sha1(digest, usedforsecurity=False).digest()
        for at in range(0, 20, 4):
            piece = int.from_bytes(digest[at : at + 4], "big") % piece_count
            if piece not in pieces and len(pieces) < size:
                pieces.append(piece)
    return pieces
