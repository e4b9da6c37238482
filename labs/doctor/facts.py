"""The facts of this computer: versions, ports, datagrams, buffers, names and clocks."""

from __future__ import annotations

import email.utils
import http.client
import importlib.metadata
import platform
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 1.0  # seconds to wait for a datagram, which comes in milliseconds or never
SIZES = (65_507, 9_216, 1_472)  # bytes of datagrams to try, the largest first
WANTED_BUFFER = 4 << 20  # bytes, as a node asks for
OUTSIDE = "192.0.2.1"  # no computer has it: the route to it names this computer's own address
SERVER = "tracker"  # in the answers of a tracker
REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"


@dataclass(frozen=True)
class ComputerFacts:
    """The facts; the checks judge them. A reason is "" if all went well."""

    python: tuple[int, int, int]
    missing: tuple[str, ...]  # packages of requirements.txt that are not installed
    system: str  # "Linux", "Darwin", "Windows"
    release: str  # of the kernel
    host: str
    port: int
    port_taken: str  # why the tracker cannot listen there
    there: str  # why no datagram reaches a socket on the host
    back: str  # why its answer does not come back
    largest: int  # bytes of the largest datagram that arrived on the host
    buffer: int  # bytes of SO_RCVBUF that were granted
    localhost: tuple[str, ...]  # its addresses, in order
    lan: str  # this computer's address in its network; "": none
    lan_blocked: str  # why a datagram over that address does not come back
    steps_back: bool  # the monotonic clock went back
    tracker: str  # its address, if it was named
    tracker_error: str
    ahead: float | None  # seconds by which this computer's wall clock is ahead of the tracker's
    has_tracker: bool = False  # a tracker of this project answers where the port is taken


def gather(host: str, port: int, tracker: str = "") -> ComputerFacts:
    """Look at this computer; takes a second or two where datagrams are lost."""
    there, back = round_trip(host)
    lan = lan_address()
    error, ahead = wall_offset(tracker) if tracker else ("", None)
    port_taken = why_taken(host, port)
    return ComputerFacts(
        python=sys.version_info[:3],
        missing=missing_packages(),
        system=platform.system(),
        release=platform.release(),
        host=host,
        port=port,
        port_taken=port_taken,
        there=there,
        back=back,
        largest=largest_datagram(host),
        buffer=granted_buffer(),
        localhost=addresses("localhost"),
        lan=lan,
        lan_blocked="; ".join(filter(None, round_trip(lan))) if lan else "",
        steps_back=goes_back(),
        tracker=tracker,
        tracker_error=error,
        ahead=ahead,
        has_tracker=bool(port_taken) and answers_as_tracker(host, port),
    )


def missing_packages(path: Path = REQUIREMENTS) -> tuple[str, ...]:
    """The packages that ``path`` names and that are not installed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9_.-]+", line.partition("#")[0]))]
    return tuple(name for name in names if not _is_installed(name))


def _is_installed(name: str) -> bool:
    with suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(name))
    return False


def why_taken(host: str, port: int) -> str:
    """Why a server cannot listen there; "" if it can."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            if sys.platform != "win32":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def answers_as_tracker(host: str, port: int) -> bool:
    """True if a tracker of this project answers there."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    with suppress(OSError, http.client.HTTPException), closing(connection):
        connection.request("HEAD", "/")
        return connection.getresponse().headers.get("Server") == SERVER
    return False


def round_trip(host: str) -> tuple[str, str]:
    """Why a datagram does not come there, and why its answer does not come back."""
    try:
        with udp(host) as asks, udp(host) as answers:
            try:
                asks.sendto(b"there", answers.getsockname())
                answers.recvfrom(16)
            except OSError as error:
                return _why(error), ""
            try:
                answers.sendto(b"back", asks.getsockname())
                asks.recvfrom(16)
            except OSError as error:
                return "", _why(error)
    except OSError as error:
        return _why(error), ""
    return "", ""


def largest_datagram(host: str) -> int:
    """Bytes of the largest datagram that arrives on ``host``; 0: no size arrived."""
    with suppress(OSError), udp(host) as sends, udp(host) as receives:
        for size in SIZES:
            with suppress(OSError):
                sends.sendto(bytes(size), receives.getsockname())
                if len(receives.recv(1 << 16)) == size:
                    return size
    return 0


def granted_buffer() -> int:
    """Bytes of a socket's receive buffer, when a node asks for much."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BUFFER)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def addresses(name: str) -> tuple[str, ...]:
    """The addresses of ``name``, in the order in which programs try them."""
    with suppress(OSError):
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ()


def lan_address() -> str:
    """This computer's own address in its network; "" if it has none. Nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((OUTSIDE, 9))
        found = str(sock.getsockname()[0])
        return "" if found.startswith(("127.", "0.")) else found
    return ""


def goes_back() -> bool:
    """True if the monotonic clock ever gives an earlier time than before."""
    times = [time.monotonic() for _ in range(1000)]
    return any(later < earlier for earlier, later in zip(times, times[1:], strict=False))


def wall_offset(url: str) -> tuple[str, float | None]:
    """Why the tracker at ``url`` does not answer, and by how much its clock is behind this one's."""
    address = url if "://" in url else f"http://{url}"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            date = answer.headers.get("Date", "")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date", "")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)), None
    try:
        return "", time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return "its answer has no Date", None


def udp(host: str) -> socket.socket:
    """A UDP socket on a free port of ``host``. OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {PATIENCE:g} s"
    return error.strerror or str(error)
