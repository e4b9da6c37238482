"""Which port a node listens on: its usual one if that is free, else one that the system picks.

A node that ended without a word (kill -9, a power cut) and is started again comes back at the same address.
So the tracker sees the same node, not another one that wants its number, and need not fall silent first.
"""

from __future__ import annotations

import contextlib
import socket

from common.errors import LocalFault
from node.chunk_udp.sockets import udp_socket

# Below the ports that systems pick of themselves (Linux from 32768, others from 49152): free in most cases.
USUAL_PORTS = (30_000, 32_767)
BIND_TRIES = 64  # free ports to hear from the system before the allowed ones are tried in turn


def listening_socket(node_id: int, host: str, ports: tuple[int, int], buffer_size: int) -> socket.socket:
    """A bound UDP socket on one of ``ports`` (first, last); LocalFault if there is none."""
    low, high = ports
    usual = usual_port(node_id)
    if low <= usual <= high and high - low >= USUAL_PORTS[1] - USUAL_PORTS[0]:  # a narrow range: in turn
        with contextlib.suppress(OSError):  # in use, or no such host
            return udp_socket(host, usual, buffer_size)
    for _ in range(BIND_TRIES):
        try:
            sock = udp_socket(host, 0, buffer_size)
        except OSError as error:
            raise LocalFault(
                f"cannot listen on {host}: {error.strerror}; "
                "-host or setting NODE_HOST must be an address of this machine"
            ) from None
        if low <= sock.getsockname()[1] <= high:
            return sock
        sock.close()
    for port in range(max(low, 1), high + 1):
        with contextlib.suppress(OSError):  # in use, or reserved
            return udp_socket(host, port, buffer_size)
    raise LocalFault(f"no port from {low} to {high} is free (AVAILABLE_PORTS_RANGE)")


def usual_port(node_id: int) -> int:
    """Where node ``node_id`` listens if it can: the same one at each start."""
    first, last = USUAL_PORTS
    return first + node_id % (last - first + 1)
