"""The composition root: settings in, parts put together, signals obeyed."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FrameType

from common.errors import LocalFault, SettingError, StorageFault
from common.logs import clean, log, open_log
from configs import CFG
from tracker import upkeep
from tracker.admission import Limits
from tracker.assembly import make_service
from tracker.decisions import Rules
from tracker.liveness import Liveness
from tracker.ranking import STRATEGIES
from tracker.settings import STORAGES, TrackerSettings
from tracker.web.access_log import AccessLog
from tracker.web.app import create_app
from tracker.web.server import WebServer, listening_socket
from tracker.web.settings import WebSettings, names

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
        _run(_settings(options.host, options.port), stop)
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
        _open_log(settings.log, settings.log_bytes)
        for remark in [*service.open(), *_warnings(settings)]:
            print(clean(remark), file=sys.stderr)
            log(remark)
        cleanup.callback(service.close)
        liveness = Liveness(service)
        liveness.start()
        cleanup.callback(liveness.stop)
        app = create_app(service, settings.web, _access_log(settings, cleanup))
        web = WebServer(app, sock, settings.threads)
        web.start()
        cleanup.callback(web.stop)
        log(f"tracker started at {web.url}")
        print(f"Tracker program started: {web.url}", flush=True)
        while not stop.wait(SIGNAL_POLL):
            pass
        _on_signals(signal.SIG_IGN)  # we are leaving already
        log("tracker stopped")


def _settings(host: str, port: int) -> TrackerSettings:
    """Those of ``configs``; SettingError names one that is none of its words."""
    constants, folders = CFG["constants"], CFG["directory"]
    silence = constants["TRACKER_TIME_INTERVAL"]
    rules = Rules(
        silence,
        # Two heartbeats in a deadline: one may be lost without losing the node.
        min(constants["NODE_TIME_INTERVAL"], silence / 2),
        _one_of("RANKING", STRATEGIES),
        constants["RANKING_HALF_LIFE"],
        _one_of("REQUIRE_CLAIM", ("0", "1")) == "1",
    )
    return TrackerSettings(
        (host, port),
        rules,
        _one_of("TRACKER_STORAGE", STORAGES),
        Path(folders["tracker_db_dir"]),
        constants["TRACKER_SAVE_INTERVAL"],
        _one_of("SYNC", ("full", "os")) == "full",
        constants["MAX_NEED_RESULTS"],
        _unless_none("SWARM_KEY"),
        constants["TRACKER_THREADS"],
        _web_settings(silence),
        Path(folders["logs_dir"]) / "_tracker.log",
        Path(path) if (path := _unless_none("ACCESS_LOG")) else None,
        constants["LOG_BYTES"],
    )


def _web_settings(silence: float) -> WebSettings:
    constants = CFG["constants"]
    return WebSettings(
        max_request_bytes=constants["MAX_REQUEST_BYTES"],
        allowed_hosts=names(constants["ALLOWED_HOSTS"]),
        trusted_proxies=names(constants["TRUSTED_PROXIES"]),
        limits=Limits(constants["ADDRESS_RATE"], constants["NODE_RATE"], constants["MAX_NODES_PER_ADDRESS"]),
        silence=silence,
    )


def _one_of(name: str, words: Collection[str]) -> str:
    value = str(CFG["constants"][name])
    if value not in words:
        raise SettingError(f"setting {name}={value!r}: one of {', '.join(words)} is wanted")
    return value


def _unless_none(name: str) -> str | None:
    value = str(CFG["constants"][name])
    return None if value in ("none", "") else value


def _warnings(settings: TrackerSettings) -> list[str]:
    host = settings.listen[0]
    if host == "localhost" or ipaddress.ip_address(host).is_loopback or settings.swarm_key is not None:
        return []
    return [f"warning: whoever reaches {host} may use this tracker; a setting SWARM_KEY keeps strangers out"]


def _access_log(settings: TrackerSettings, cleanup: contextlib.ExitStack) -> AccessLog | None:
    path = settings.access_log
    if path is None:
        return None
    try:
        access_log = AccessLog(path, settings.log_bytes)
    except OSError as error:
        raise StorageFault(f"cannot write {path}: {error.strerror or error} (setting ACCESS_LOG)") from None
    cleanup.callback(access_log.close)
    return access_log


def _open_log(path: Path, max_bytes: int) -> None:
    try:
        open_log(path, max_bytes)
    except OSError as error:
        raise StorageFault(
            f"cannot write the log {path}: {error.strerror or error} (setting LOGS_DIR)"
        ) from None


def _on_signals(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # a closed terminal; Ctrl-Break on Windows
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # not here; nohup
        signal.signal(number, action)
