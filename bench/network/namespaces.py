"""Network namespaces without names: each lives as long as a process holds it open or runs in it.

Nothing needs to be removed, whatever ends the bench: with the last process the namespaces are gone, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.interrupts import uninterrupted
from bench.processes import BenchError

if sys.platform != "win32":
    import fcntl

CLONE_NEWNET = 0x40000000  # linux/sched.h
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
DEVICE = b"tun0"
MTU = 1500  # bytes
WAITING = 4000  # packets that may wait for the emulator before the system drops them
_REQUEST = struct.Struct("16sH22x")  # struct ifreq
_OURS = "/proc/thread-self/ns/net"
_SETTINGS = {
    "net/ipv4/tcp_congestion_control": "cubic",  # for sockets that do not choose; baselines do
    "net/ipv4/tcp_no_metrics_save": "1",  # no connection learns from an earlier one
    "net/ipv6/conf/all/disable_ipv6": "1",  # neighbours would be looked for on the links
}


def missing() -> str:
    """Why there can be no networks here, in one line; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces exist on Linux only"
    if os.geteuid() != 0:
        return "network namespaces want root"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing (modprobe tun)"
    try:
        subprocess.run(["ip", "-V"], capture_output=True, check=True)
        Namespace().close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespace can be made: {error}"
    return ""


class Namespace:
    """A network of its own, with nothing in it but a loopback device that is down."""

    def __init__(self) -> None:
        with uninterrupted(), _back_again():
            _checked("unshare", CLONE_NEWNET)
            self._held = os.open(_OURS, os.O_RDONLY)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread's new sockets and processes belong to this namespace, until the end of ``with``."""
        with _back_again():
            _checked("setns", self._held, CLONE_NEWNET)
            yield

    def close(self) -> None:
        """Let go of it."""
        os.close(self._held)

    def connect(self, address: str) -> int:
        """Give it ``address`` (``10.0.0.1/24``) on a TUN device, and its loopback; the device's packets,
        from and to the namespace, pass through the file descriptor that is returned."""
        with self.inside():
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUNSETIFF, _REQUEST.pack(DEVICE, IFF_TUN | IFF_NO_PI))
            for name, value in _SETTINGS.items():
                with contextlib.suppress(OSError):  # a kernel without IPv6
                    Path("/proc/sys", name).write_text(value, encoding="ascii")
            commands = [
                "link set lo up",
                f"addr add {address} dev {DEVICE.decode()}",
                f"link set dev {DEVICE.decode()} mtu {MTU} txqueuelen {WAITING} up",
            ]
            done = subprocess.run(
                ["ip", "-batch", "-"], input="\n".join(commands), capture_output=True, encoding="utf-8"
            )
            if done.returncode:
                os.close(tun)
                raise BenchError(f"ip: {done.stderr.strip()}")
        return tun


@contextlib.contextmanager
def _back_again() -> Iterator[None]:
    """Return to this thread's namespace afterwards."""
    ours = os.open(_OURS, os.O_RDONLY)
    try:
        yield
    finally:
        try:
            _checked("setns", ours, CLONE_NEWNET)
        finally:
            os.close(ours)


def _checked(name: str, *arguments: int) -> None:
    """A function of the C library (Python has these two only from 3.12 on); OSError if it fails."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
