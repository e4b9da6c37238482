"""One libtorrent peer as a process: ``python -m bench.libtorrent_peer seed|leech TORRENT FOLDER [...]``.

A seeder checks its file, prints ``{"event": "ready", "port": N, ...}`` and serves until its standard input
ends. A leecher fetches everything from the given peers and prints ``{"event": "completed", ...}``, or at
its timeout ``{"event": "stopped", ...}``. Default settings, but for uTP and all discovery, which are off: it
is the BitTorrent wire protocol over TCP; with ``--utp`` over uTP only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt

HOST = "127.0.0.1"
POLL = 10  # max milliseconds of one wait for alerts
TUNED = {  # for a fast path: the advice of libtorrent's manual, and more requests in flight
    "hashing_threads": 2,
    "send_buffer_watermark": 8 << 20,
    "send_buffer_watermark_factor": 200,
    "send_buffer_low_watermark": 1 << 20,
    "send_not_sent_low_watermark": 1 << 20,
    "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000,
}


class OutOfTime(Exception):
    """The deadline is over."""


def session(tuned: bool, host: str, utp: bool) -> Any:
    """A session on a free port of ``host``."""
    mask = lt.alert.category_t
    settings: Any = {
        "listen_interfaces": f"{host}:0",
        "alert_mask": int(mask.error_notification | mask.status_notification | mask.connect_notification),
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": utp,
        "enable_incoming_utp": utp,
        "enable_outgoing_tcp": not utp,
        "enable_incoming_tcp": not utp,
        "allow_multiple_connections_per_ip": True,
    }
    if tuned:
        settings.update(TUNED)
    return lt.session(settings)


def alerts(session: Any, deadline: float) -> Iterator[Any]:
    """Each alert as it comes; OutOfTime after ``deadline`` (monotonic); SystemExit when libtorrent fails."""
    while time.monotonic() < deadline:
        session.wait_for_alert(POLL)
        for alert in session.pop_alerts():
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
                raise SystemExit(f"libtorrent: {alert.message()}")
            yield alert
    raise OutOfTime


def add(session: Any, torrent: Path, folder: Path) -> Any:
    """Add ``torrent``, with its content in ``folder``, and let it run."""
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(str(torrent))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    return session.add_torrent(parameters)


def congestion_control(wanted: str) -> str:
    """Set the congestion control of this process's listening TCP socket; returns the one in use.

    Accepted connections inherit it. libtorrent has no setting for it, but its socket is in our process.
    "system": the system's default.
    """
    option = getattr(socket, "TCP_CONGESTION", None)
    if option is None or not os.path.isdir("/proc/self/fd"):
        return "system"
    used = "system"
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as sock:
            if sock.family != socket.AF_INET or sock.type != socket.SOCK_STREAM:
                continue
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                if wanted != "system":
                    with contextlib.suppress(OSError):
                        sock.setsockopt(socket.IPPROTO_TCP, option, wanted.encode())
                used = sock.getsockopt(socket.IPPROTO_TCP, option, 16).rstrip(b"\0").decode()
    return used


def seed(given: argparse.Namespace) -> None:
    """Check the file, serve it until standard input ends."""
    with_deadline = time.monotonic() + given.timeout
    ses = session(given.tuned, given.host, given.utp)
    handle = add(ses, given.torrent, given.folder)
    for alert in alerts(ses, with_deadline):
        if isinstance(alert, lt.torrent_checked_alert):
            break
    if not handle.status().is_seeding:
        raise SystemExit("libtorrent: the file is not what the torrent says")
    tell("ready", port=ses.listen_port(), congestion_control=congestion_control(given.cc))
    sys.stdin.read()


def leech(given: argparse.Namespace) -> None:
    """Fetch everything from all of ``--peer``."""
    ses = session(given.tuned, given.host, given.utp)
    deadline = time.monotonic() + given.timeout
    handle = add(ses, given.torrent, given.folder)
    for alert in alerts(ses, deadline):
        if isinstance(alert, lt.torrent_checked_alert):  # there is nothing yet, and it knows
            break
    added = time.perf_counter()
    connected = 0.0  # not yet
    for peer in given.peer:
        host, _, port = peer.rpartition(":")
        handle.connect_peer((host, int(port)))
    event = "completed"
    try:
        for alert in alerts(ses, deadline):
            if isinstance(alert, lt.peer_connect_alert):
                connected = connected or time.perf_counter()
            elif isinstance(alert, lt.torrent_finished_alert):
                break
    except OutOfTime:
        event = "stopped"
    finished = time.perf_counter()
    status = handle.status()
    tell(
        event,
        seconds=finished - added,
        transfer_seconds=finished - (connected or added),
        pieces=status.num_pieces,
        size=status.total_wanted_done,
        version=lt.__version__,
    )


def tell(event: str, **fields: Any) -> None:
    """One JSON object on a line."""
    print(json.dumps({"event": event, **fields}), flush=True)


def main() -> None:
    """Seed or leech."""
    parser = argparse.ArgumentParser(prog="python -m bench.libtorrent_peer")
    parser.add_argument("role", choices=("seed", "leech"))
    parser.add_argument("torrent", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", nargs="+", default=[], metavar="HOST:PORT", help="seeders, for a leecher")
    parser.add_argument("--host", default=HOST, help="address to listen on")
    parser.add_argument("--utp", action="store_true", help="uTP instead of TCP")
    parser.add_argument("--cc", default="system", help="TCP congestion control of the seeder")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds")
    parser.add_argument("--tuned", action="store_true", help="larger buffers and queues, not the defaults")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        try:
            (seed if given.role == "seed" else leech)(given)
        except OutOfTime:
            raise SystemExit("libtorrent: out of time") from None


if __name__ == "__main__":
    main()
