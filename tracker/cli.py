"""The composition root: settings in, parts put together, signals obeyed."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from common.errors import LocalFault, SettingError
from common.logs import log
from configs import CFG
from tracker import upkeep
from tracker.assembly import make_service
from tracker.cli_settings import begin, open_access_log, settings_from_configs
from tracker.settings import TrackerSettings
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket

SIGNAL_POLL = 0.2  # seconds; on Windows a signal is seen only between waits


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tracker until SIGINT or SIGTERM, or see to its records; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] and words[0] in upkeep.COMMANDS:
        return upkeep.main(words, Path(CFG["directory"]["tracker_db_dir"]))
    options = _options(words[1:] if words[:1] == ["serve"] else words)
    stop = threading.Event()
    _on_signals(lambda number, frame: stop.set())
    logging.raiseExceptions = False  # on a full disk, logging must not fill the terminal with complaints
    try:
        _run(settings_from_configs(options.host, options.port), stop)
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
        description="The swarm's tracker. check, export or import instead of options: see to its records.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--host", "-host", default=host, help=f"numeric address to listen on (default {host})"
    )
    parser.add_argument(
        "--port", "-port", type=_port, default=port, help=f"TCP port; 0: any free one (default {port})"
    )
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _run(settings: TrackerSettings, stop: threading.Event) -> None:
    service = make_service(settings)
    host, port = settings.listen
    with contextlib.ExitStack() as cleanup:
        sock = listening_socket(host, port)
        cleanup.callback(sock.close)
        begin(service, settings, cleanup, *_warnings(settings))
        app = create_app(service, settings.web, open_access_log(settings, cleanup))
        web = WebServer(app, sock, settings.threads)
        web.start()
        cleanup.callback(web.stop)
        log(f"tracker started at {web.url}")
        print(f"Tracker program started: {web.url}", flush=True)
        while not stop.wait(SIGNAL_POLL):
            pass
        _on_signals(signal.SIG_IGN)  # we are leaving already
        log("tracker stopped")


def _warnings(settings: TrackerSettings) -> list[str]:
    host = settings.listen[0]
    if host == "localhost" or ipaddress.ip_address(host).is_loopback or settings.swarm_key is not None:
        return []
    return [f"warning: whoever reaches {host} may use this tracker; a setting SWARM_KEY keeps strangers out"]


def _on_signals(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # a closed terminal; Ctrl-Break on Windows
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # not here; nohup
        signal.signal(number, action)
