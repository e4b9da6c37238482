"""The tracker's command line: options, signals, the terminal."""

from __future__ import annotations

import argparse
import contextlib
import io
import ipaddress
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from common.errors import LocalFault, SettingError, SwarmError
from common.logs import log, send_log_to
from common.text import sanitize
from configs import CFG
from tracker.bootstrap import begin_log, make_service, settings_from_configs, start
from tracker.log_queue import LogQueue
from tracker.rate_limits import RateLimits
from tracker.recording import LogRecorder
from tracker.service import TrackerService
from tracker.settings import TrackerSettings
from tracker.storage import admin
from tracker.terminal_events import TerminalEvents
from tracker.udp.server import UdpServer, udp_socket
from tracker.web.seeing import REPORT, SWARM
from tracker.web.server import WebServer, listening_socket

PORT_TRIES = 20  # for port 0: ports whose number may be taken for UDP
SIGNAL_POLL = 0.2  # seconds; on Windows a signal is seen only between waits


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tracker until SIGINT or SIGTERM, or a command on its records; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] and words[0] in admin.COMMANDS:
        return admin.main(words, Path(CFG["directory"]["tracker_db_dir"]))
    options = _options(words[1:] if words[:1] == ["serve"] else words)
    stop = threading.Event()
    _on_signals(lambda number, frame: stop.set())
    logging.raiseExceptions = False  # on a full disk, logging must not fill the terminal with complaints
    try:
        settings = settings_from_configs(options.host, options.port)
        _run(settings, stop, options.quiet, _recorder(options.record))
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except LocalFault as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    host, port = CFG["constants"]["TRACKER_ADDR"]
    parser = argparse.ArgumentParser(
        prog="tracker.py",
        description="The swarm's tracker. check, export or import in place of options: work on its records.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", "-host", default=host, help=f"numeric address to listen on (default {host})")
    add("--port", "-port", type=_port, default=port, help=f"TCP port; 0: any free one (default {port})")
    add("--quiet", "-quiet", action="store_true", help="print no line for each event on a terminal")
    add(
        "--record",
        metavar="FILE",
        help="write the swarm's log into FILE (.jsonl or .jsonl.gz), or continue it",
    )
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _recorder(file: str | None) -> LogRecorder | None:
    """For the option --record; LocalFault if ``file`` cannot be written or is something else."""

    def ended(reason: str) -> None:
        log(reason)
        print(sanitize(reason), file=sys.stderr, flush=True)

    return None if file is None else LogRecorder(Path(file), ended)


def _run(settings: TrackerSettings, stop: threading.Event, quiet: bool, recorder: LogRecorder | None) -> None:
    service = make_service(settings)
    shows = not quiet and sys.stdout is not None and sys.stdout.isatty()
    kept, failures = "", list[Exception]()

    def failed(error: Exception) -> None:
        failures.append(error)
        stop.set()

    with contextlib.ExitStack() as cleanup:
        sock, udp_sock = _sockets(settings)
        cleanup.callback(sock.close)
        if udp_sock is not None:
            cleanup.callback(udp_sock.close)
        if recorder is not None:
            cleanup.callback(recorder.close)
        app = start(service, settings, cleanup, *_warnings(settings), failed=failed)
        web = WebServer(app, sock, settings.threads, failed, watching=(REPORT, SWARM))
        begin_log(service, settings, web.address, recorder)
        web.start()
        cleanup.callback(web.stop)
        if udp_sock is not None:
            limits = RateLimits(settings.web.limits)
            udp = UdpServer(service.announces, udp_sock, limits, failed)
            udp.start()
            cleanup.callback(udp.stop)
        log(f"tracker started at {web.url}{'' if udp_sock is None else ', and over UDP'}")
        print(f"Tracker program started: {web.url}", flush=True)
        if shows:
            _show_events(cleanup)
        while not stop.wait(SIGNAL_POLL):
            pass
        _on_signals(signal.SIG_IGN)  # the tracker ends already
        if failures:
            raise LocalFault(f"a thread of the tracker ended: {type(failures[0]).__name__}: {failures[0]}")
        log("tracker stopped")
        kept = _kept(service, settings)
    if shows:
        _say_goodbye(kept)


def _sockets(settings: TrackerSettings) -> tuple[socket.socket, socket.socket | None]:
    """The TCP socket, and the UDP socket with the same number; LocalFault if one is taken."""
    for attempt in range(1, PORT_TRIES + 1):
        sock = listening_socket(*settings.listen)
        if not settings.udp:
            break
        try:
            return sock, udp_socket(*sock.getsockname()[:2])
        except LocalFault:
            sock.close()
            if settings.listen[1] or attempt == PORT_TRIES:  # a fixed port, or no pair of ports is free
                raise
    return sock, None


def _say_goodbye(kept: str) -> None:
    try:
        print(f"\rTracker stopped; {kept}", flush=True)  # over the ^C of the terminal
    except OSError:  # the terminal is closed
        sys.stdout = None  # else the interpreter tries again and exits with 120


def _show_events(cleanup: contextlib.ExitStack) -> None:
    """Print the log's lines of joins, OWNs, NEEDs, exits and removals from now on.

    They go through a queue of their own: a terminal whose output is paused holds up neither requests nor the
    log file.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may have any character
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("[%(asctime)s]  %(message)s", datefmt="%H:%M:%S"))
    events = TerminalEvents()
    terminal.addFilter(lambda record: events.shows(record.getMessage(), time.monotonic()))
    handler = LogQueue(terminal)
    send_log_to(handler)
    cleanup.callback(handler.close)


def _kept(service: TrackerService, settings: TrackerSettings) -> str:
    """The records that remain after the end."""
    if settings.storage == "memory":
        return "its records were in memory only"
    place = "Redis" if settings.storage == "redis" else f"{settings.folder}/"
    try:
        if fault := service.health():
            return fault
        counts = service.counts()
    except SwarmError as error:  # Redis does not answer
        return str(error)
    return f"{_counted(counts.nodes, 'node')} and {_counted(counts.files, 'file')} are kept in {place}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _warnings(settings: TrackerSettings) -> list[str]:
    host = settings.listen[0]
    if host == "localhost" or ipaddress.ip_address(host).is_loopback or settings.swarm_key is not None:
        return []
    return [
        f"warning: any client that reaches {host} may use this tracker; "
        "with the setting SWARM_KEY only nodes that have the key"
    ]


def _on_signals(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # a closed terminal; Ctrl-Break on Windows
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # not on this system; nohup
        signal.signal(number, action)
