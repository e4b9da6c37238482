"""Dialling: an ordered choice of plain and encrypted handshakes, and the socket to dial from."""

from __future__ import annotations

import contextlib
import enum
import ipaddress
import socket

from common.errors import PeerFault
from node.peer import Peer
from node.peer_tcp.config import Encryption
from node.peer_tcp.limits import CONNECT_TIMEOUT


class Way(enum.Enum):
    """How a dialled connection begins."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"


WAYS = {
    Encryption.PREFER: (Way.PLAIN, Way.ENCRYPTED),
    Encryption.REQUIRE: (Way.ENCRYPTED,),
    Encryption.OFF: (Way.PLAIN,),
}
"""The ways to try, in order. A peer that closes before its handshake is dialled again the next way at once.

Plain comes first: it saves a round trip and two exponentiations, and payload that is sent as it is can be
sent from the page cache. A client that insists on encryption closes at the first plain byte.
"""


def dial(peer: Peer, host: str) -> socket.socket:
    """A socket connected to ``peer``, from the address ``host`` where that can reach it. PeerFault.

    It waits at most CONNECT_TIMEOUT.
    """
    family = socket.AF_INET6 if ":" in peer.host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise PeerFault(f"no socket for it: {error.strerror}") from None
    try:
        sock.settimeout(CONNECT_TIMEOUT)
        if can_reach(host, peer.host):
            with contextlib.suppress(OSError):  # the address is lost: the system chooses another one
                sock.bind((host, 0))
        sock.connect(peer.addr)
    except TimeoutError:
        sock.close()
        raise PeerFault(f"does not answer within {CONNECT_TIMEOUT:g} s") from None
    except OSError as error:
        sock.close()
        raise PeerFault(f"cannot be reached: {error.strerror or error}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def can_reach(host: str, peer_host: str) -> bool:
    """True if a socket bound to ``host`` reaches ``peer_host``.

    A node is seen at the address that it announces, even if the machine has others. But a loopback address
    reaches only loopback addresses, and IPv4 only IPv4.
    """
    if not host:
        return False
    here, there = ipaddress.ip_address(host), ipaddress.ip_address(peer_host)
    return here.version == there.version and here.is_loopback == there.is_loopback
