"""Peer ids in Azureus style (BEP 20): ``-CS0100-`` and 12 random bytes.

The two letters name the client and the characters after them its version; A is 10, B is 11. The random rest
tells two peers of one client apart.
"""

from __future__ import annotations

import re
import secrets

PEER_ID_LENGTH = 20  # bytes
OUR_PREFIX = b"-CS0100-"  # the classroom swarm, version 0.1.0

_AZUREUS = re.compile(rb"-([A-Za-z][A-Za-z0-9])([0-9A-Za-z]{3})[0-9A-Za-z.-]-")
_ARIA2 = re.compile(rb"A2-([0-9]{1,3})-([0-9]{1,3})-([0-9]{1,3})-")
_CLIENTS = {
    "AZ": "Vuze",
    "BC": "BitComet",
    "BI": "BiglyBT",
    "BT": "BitTorrent",
    "CS": "classroom swarm",
    "DE": "Deluge",
    "KT": "KTorrent",
    "LT": "libtorrent",
    "lt": "rTorrent",
    "qB": "qBittorrent",
    "RN": "rain",
    "rQ": "rqbit",
    "TR": "Transmission",
    "UT": "uTorrent",
    "WW": "WebTorrent",
}


def new_peer_id() -> bytes:
    """A peer id of this program that no other peer has."""
    return OUR_PREFIX + secrets.token_bytes(PEER_ID_LENGTH - len(OUR_PREFIX))


def client_name(peer_id: bytes) -> str:
    """The client that ``peer_id`` names, in printable ASCII: ``qBittorrent 5.1.0``, or ``unknown client``.

    A peer chooses its peer id freely, so the name may be wrong.
    """
    if found := _ARIA2.match(peer_id):
        return f"aria2 {b'.'.join(found.groups()).decode()}"
    found = _AZUREUS.match(peer_id)
    if found is None:
        return "unknown client"
    code = found[1].decode()
    return f"{_CLIENTS.get(code, code)} {'.'.join(str(int(digit, 36)) for digit in found[2].decode())}"
