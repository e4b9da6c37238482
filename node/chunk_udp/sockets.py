"""The abilities of this system's UDP sockets. The system is asked wherever it answers.

On Linux one system call can send up to 64 segments (UDP_SEGMENT, "GSO") and receive as many from one sender
(UDP_GRO). On other systems each datagram is a call of its own, with the same code above it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Sequence

from node.chunk_udp import wire

LINUX = sys.platform.startswith("linux")
EXCLUSIVE = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # without it Windows shares a bound port
UDP_SEGMENT, UDP_GRO = 103, 104  # linux/udp.h; not in the socket module
IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO = 14, 10, 2  # linux/in.h; not in the socket module
IP_UDP_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}  # bytes
ETHERNET_MTU = 1500  # bytes; assumed where the system does not know the path
GATHERS = hasattr(socket.socket, "sendmsg")  # Python on Windows has neither sendmsg nor recvmsg
USABLE_BUFFER = 0.6  # of SO_RCVBUF: the kernel returns the memory of read datagrams late
MAX_BYTES_IN_BUFFER = 1 << 21  # of file; more would have left the processor's cache when it is read
MAX_RECEIVE = 65_535  # bytes that one receive call returns at most: a datagram, or a batch of them
_TIME = struct.Struct("@ll")  # struct timeval: seconds, microseconds
_SEGMENT, _GRO = struct.Struct("@H"), struct.Struct("@i")
_ANCILLARY = socket.CMSG_SPACE(_GRO.size) if GATHERS else 0


def family_of(host: str) -> socket.AddressFamily:
    """IPv4 or IPv6, of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def udp_socket(host: str, port: int, buffer_size: int) -> socket.socket:
    """A bound UDP socket with as much buffer as the system grants of ``buffer_size`` bytes."""
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # macOS refuses a size above its limit
                sock.setsockopt(socket.SOL_SOCKET, option, buffer_size)
        if LINUX and sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        if EXCLUSIVE is not None:
            sock.setsockopt(socket.SOL_SOCKET, EXCLUSIVE, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def is_loopback(host: str) -> bool:
    """True if ``host`` (numeric) is a loopback address."""
    return ipaddress.ip_address(host).is_loopback


def is_local_address(host: str) -> bool:
    """False if ``host`` (numeric) is no address of this machine. Only a bind finds out."""
    try:
        with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL  # any other error has another cause
    return True


def path_segment_size(
    sock: socket.socket, host: str, wanted: int, loopback_wanted: int, datagram_limit: int
) -> int:
    """Bytes of file in a segment that fits into the MTU of the connected ``sock``'s first link.

    ``datagram_limit`` bounds a loopback datagram where the system's own limit is unknown (macOS: 9,216).
    """
    if is_loopback(host):
        limit = wire.MAX_DATAGRAM if LINUX else datagram_limit
        return max(wire.MIN_SEGMENT, min(loopback_wanted, limit - wire.HEADER_SIZE))
    mtu = ETHERNET_MTU
    if LINUX and sock.family == socket.AF_INET:
        mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return max(wire.MIN_SEGMENT, min(wanted, mtu - IP_UDP_HEADERS[sock.family] - wire.HEADER_SIZE))


def set_timeouts(sock: socket.socket, seconds: float) -> None:
    """Have calls on ``sock`` block for ``seconds`` at most, then raise BlockingIOError or TimeoutError.

    Python's own timeout costs one more system call each time, to ask whether to wait. Linux can wait within
    the call that receives or sends.
    """
    if not LINUX or not seconds:
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    whole, part = divmod(seconds, 1)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, _TIME.pack(int(whole), int(part * 1e6)))


def receive_limit(sock: socket.socket, segment_size: int) -> int:
    """Bytes of file that may be outstanding without overflowing ``sock``'s receive buffer.

    Linux reports twice the granted size, and counts the bookkeeping of each datagram against it (its
    ``truesize``, up to some 2 KB more than the datagram).
    """
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    cost = segment_size + max(1024, segment_size // 8)
    usable = min(int(granted * USABLE_BUFFER), MAX_BYTES_IN_BUFFER * cost // segment_size)
    return max(2, usable // cost) * segment_size


def enable_gro(sock: socket.socket, segment_size: int) -> bool:
    """Receive many segments of one sender in one call, if two fit. False if the system cannot."""
    if not LINUX or 2 * (segment_size + wire.HEADER_SIZE) > MAX_RECEIVE:
        return False
    try:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    except OSError:
        return False
    return True


def supports_gso(sock: socket.socket) -> bool:
    """True if the system splits one large send into segments."""
    if not LINUX:
        return False
    try:
        sock.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


def send_parts(
    sock: socket.socket, parts: Sequence[bytes | memoryview], addr: tuple[str, int], segment: int
) -> None:
    """Send ``parts`` joined, as one datagram, or (``segment`` > 0) as datagrams of ``segment`` bytes each."""
    if segment:
        ancillary = [(socket.IPPROTO_UDP, UDP_SEGMENT, _SEGMENT.pack(segment))]
        sock.sendmsg(parts, ancillary, 0, addr)
    elif GATHERS:
        sock.sendmsg(parts, (), 0, addr)
    else:
        sock.sendto(b"".join(parts), addr)


def receive_batch(sock: socket.socket, buffer: memoryview) -> tuple[int, int]:
    """Receive from the connected ``sock``: bytes received, and bytes of each datagram among them.

    Only after ``enable_gro`` returned True. Elsewhere ``recv_into`` is enough, and costs less.
    """
    size, ancillary, _, _ = sock.recvmsg_into([buffer], _ANCILLARY)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_UDP, UDP_GRO):
            return size, int(_GRO.unpack_from(data)[0])
    return size, size
