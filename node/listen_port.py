"""The UDP port that a node listens on: its preferred port if that is free, else any other.

A node that ended without EXIT (kill -9, a power cut) starts again at the same address. So the tracker
recognises the node, instead of seeing a second node that wants the same node_id.
"""

from __future__ import annotations

import contextlib
import socket

from common.errors import LocalFault
from node.chunk_udp.sockets import udp_socket

# Below the ports that systems choose themselves (Linux from 32768, others from 49152), so usually free.
PREFERRED_PORTS = (30_000, 32_767)
BIND_TRIES = 64  # ports that the system may choose before the allowed ones are tried in order


def listening_socket(node_id: int, host: str, ports: tuple[int, int], buffer_size: int) -> socket.socket:
    """A UDP socket bound to one of ``ports`` (first, last). LocalFault if none is free.

    ``buffer_size``: bytes of receive buffer to ask for.
    """
    low, high = ports
    preferred = preferred_port(node_id)
    # In a range narrower than PREFERRED_PORTS, many nodes would prefer the same few ports.
    if low <= preferred <= high and high - low >= PREFERRED_PORTS[1] - PREFERRED_PORTS[0]:
        with contextlib.suppress(OSError):  # in use, or no such host
            return udp_socket(host, preferred, buffer_size)
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


def preferred_port(node_id: int) -> int:
    """The port that node ``node_id`` tries first, the same at every start."""
    first, last = PREFERRED_PORTS
    return first + node_id % (last - first + 1)
