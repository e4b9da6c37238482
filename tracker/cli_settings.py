"""The tracker's settings as ``configs`` has them, the logs that they name, and how every tracker begins."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection
from pathlib import Path

from common.errors import SettingError, StorageFault
from common.logs import log, log_file, send_log_to
from common.text import sanitize
from configs import CFG
from tracker.liveness import Liveness
from tracker.log_writer import LogWriter
from tracker.model import Rules
from tracker.ranking import STRATEGIES
from tracker.rate_limits import Limits
from tracker.service import TrackerService
from tracker.settings import STORAGES, TrackerSettings
from tracker.web.access_log import AccessLog
from tracker.web.settings import WebSettings, names

SAVE_INTERVAL = 1.0  # seconds until nodes.json and files.json follow a change
MAX_NEED_RESULTS = 50  # owners in one NEED answer
MAX_REQUEST_BYTES = 1 << 20  # bytes of a request's body; more is answered 413


def settings_from_configs(host: str, port: int) -> TrackerSettings:
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
        SAVE_INTERVAL,
        _one_of("SYNC", ("full", "os")) == "full",
        constants["REDIS_URL"],
        MAX_NEED_RESULTS,
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
        max_request_bytes=MAX_REQUEST_BYTES,
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


def open_access_log(settings: TrackerSettings, cleanup: contextlib.ExitStack) -> AccessLog | None:
    """The one that is wanted; ``cleanup`` closes it. StorageFault if it cannot be written."""
    path = settings.access_log
    if path is None:
        return None
    try:
        access_log = AccessLog(path, settings.log_bytes)
    except OSError as error:
        raise StorageFault(f"cannot write {path}: {error.strerror or error} (setting ACCESS_LOG)") from None
    cleanup.callback(access_log.close)
    return access_log


def begin(
    service: TrackerService, settings: TrackerSettings, cleanup: contextlib.ExitStack, *more: str
) -> None:
    """Open the log and the records, tell of them (and ``more``), and sweep from now on.

    ``cleanup`` ends it all again.
    """
    open_tracker_log(settings, cleanup)
    for remark in [*service.open(), *more]:
        print(sanitize(remark), file=sys.stderr)
        log(remark)
    cleanup.callback(service.close)
    liveness = Liveness(service)
    liveness.start()
    cleanup.callback(liveness.stop)


def open_tracker_log(settings: TrackerSettings, cleanup: contextlib.ExitStack) -> None:
    """StorageFault if it cannot be written; ``cleanup`` writes the last of it."""
    try:
        writer = LogWriter(log_file(settings.log, settings.log_bytes))
    except OSError as error:
        raise StorageFault(
            f"cannot write the log {settings.log}: {error.strerror or error} (setting LOGS_DIR)"
        ) from None
    send_log_to(writer)
    cleanup.callback(writer.close)
