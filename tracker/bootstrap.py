"""The composition root: reads the settings, makes the parts and starts them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from flask import Flask

from common.addresses import Addr, join_host_port
from common.errors import SettingError, StorageFault, SwarmError
from common.log_file import make_header
from common.logs import log, log_file, send_log_to
from common.text import sanitize
from configs import CFG
from tracker.auth import SwarmKey
from tracker.liveness import Liveness
from tracker.log_queue import LogQueue
from tracker.model import Rules
from tracker.ranking import STRATEGIES
from tracker.rate_limits import Limits
from tracker.recording import LogRecorder, time_in_recording
from tracker.service import TrackerService
from tracker.settings import SAVE_INTERVAL, STORAGES, TrackerSettings, WebSettings
from tracker.storage.base import Storage
from tracker.storage.group_commit import GroupCommit
from tracker.storage.memory import MemoryStorage
from tracker.web.access_log import AccessLog
from tracker.web.app import create_app

SOFTWARE = "classroom-swarm/0.1"  # in the header of the log

# ---- settings


def settings_from_configs(host: str, port: int) -> TrackerSettings:
    """The settings of ``configs``; SettingError names one that has a wrong value."""
    constants, folders = CFG["constants"], CFG["directory"]
    silence = constants["TRACKER_TIME_INTERVAL"]
    return TrackerSettings(
        listen=(host, port),
        rules=_rules(silence),
        storage=_one_of("TRACKER_STORAGE", STORAGES),
        folder=Path(folders["tracker_db_dir"]),
        save_interval=SAVE_INTERVAL,
        durable=_one_of("SYNC", ("full", "os")) == "full",
        redis_url=constants["REDIS_URL"],
        swarm_key=_unless_none("SWARM_KEY"),
        threads=constants["TRACKER_THREADS"],
        udp=_one_of("UDP_TRACKER", ("0", "1")) == "1",
        web=WebSettings(
            allowed_hosts=_names("ALLOWED_HOSTS"),
            trusted_proxies=_names("TRUSTED_PROXIES"),
            limits=Limits(constants["ADDRESS_RATE"], constants["NODE_RATE"]),
        ),
        log=Path(folders["logs_dir"]) / "_tracker.log",
        access_log=Path(path) if (path := _unless_none("ACCESS_LOG")) else None,
        log_bytes=constants["LOG_BYTES"],
    )


def _rules(silence: float) -> Rules:
    constants = CFG["constants"]
    return Rules(
        silence,
        # Two heartbeats in a deadline: one may be lost without losing the node.
        min(constants["NODE_TIME_INTERVAL"], silence / 2),
        _one_of("RANKING", STRATEGIES),
        constants["RANKING_HALF_LIFE"],
        _one_of("REQUIRE_CLAIM", ("0", "1")) == "1",
        constants["MAX_NODES_PER_ADDRESS"],
    )


def _one_of(name: str, words: Collection[str]) -> str:
    value = str(CFG["constants"][name])
    if value not in words:
        raise SettingError(f"setting {name}={value!r}: one of {', '.join(words)} is wanted")
    return value


def _unless_none(name: str) -> str | None:
    value = str(CFG["constants"][name])
    return None if value in ("none", "") else value


def _names(name: str) -> frozenset[str]:
    """The names in a setting like ``a,b``, in lower case."""
    parts = (part.strip().lower() for part in (_unless_none(name) or "").split(","))
    return frozenset(part for part in parts if part)


# ---- parts


def make_storage(settings: TrackerSettings) -> Storage:
    """The storage that the settings name, not opened yet."""
    if settings.storage == "memory":
        return MemoryStorage(settings.rules)
    if settings.storage == "redis":
        return _redis_store(settings)
    durability = GroupCommit(settings.folder, settings.save_interval, settings.durable)
    return MemoryStorage(settings.rules, durability)


def _redis_store(settings: TrackerSettings) -> Storage:
    try:  # redis-py is optional
        from tracker.storage.redis import RedisStorage
    except ImportError:
        raise SettingError(
            "setting TRACKER_STORAGE='redis': redis-py is missing: pip install -r requirements-redis.txt"
        ) from None
    return RedisStorage(settings.rules, settings.redis_url)


def make_service(settings: TrackerSettings, storage: Storage | None = None) -> TrackerService:
    """The service over ``storage``, or over the one that the settings name."""
    return TrackerService(
        storage or make_storage(settings),
        settings.rules,
        max_results=settings.max_results,
        swarm_key=SwarmKey(settings.swarm_key),
    )


def start(
    service: TrackerService,
    settings: TrackerSettings,
    cleanup: contextlib.ExitStack,
    *warnings: str,
    failed: Callable[[Exception], None],
) -> Flask:
    """Open the logs and the records, remove silent nodes from now on; the application.

    Warnings, those of the storage too, go to stderr and into the log. ``cleanup`` ends it all again.
    LocalFault if something cannot be opened. ``failed``: see ``Liveness``.
    """
    _open_log(settings, cleanup)
    for warning in [*service.open(), *warnings]:
        print(sanitize(warning), file=sys.stderr)
        log(warning)
    cleanup.callback(service.close)
    service.live.start()
    cleanup.callback(service.live.stop)
    liveness = Liveness(service, failed)
    liveness.start()
    cleanup.callback(liveness.stop)
    return create_app(service, settings.web, _open_access_log(settings, cleanup))


def begin_log(
    service: TrackerService,
    settings: TrackerSettings,
    address: Addr | None,
    recorder: LogRecorder | None = None,
) -> None:
    """Begin the live log of this process. ``address``: where it listens; None: another server decides."""
    place = f"process {os.getpid()}" if address is None else join_host_port(*address)
    shared = ", of several on one Redis" if settings.storage == "redis" else ""
    begun = None if recorder is None else recorder.begun
    at_ms = 0.0 if begun is None else time_in_recording(begun)
    header = make_header(f"tracker {place}{shared}", SOFTWARE, begun, run=service.live.epoch)
    if recorder is not None:
        recorder.start(header)
    service.live.begin(header, address, at_ms=at_ms, sink=None if recorder is None else recorder.put)
    with contextlib.suppress(SwarmError):  # Redis does not answer: the log begins without them
        service.note_kept_owners()


def _open_log(settings: TrackerSettings, cleanup: contextlib.ExitStack) -> None:
    try:
        handler = LogQueue(log_file(settings.log, settings.log_bytes))
    except OSError as error:
        raise StorageFault(
            f"cannot write the log {settings.log}: {error.strerror or error} (setting LOGS_DIR)"
        ) from None
    send_log_to(handler)
    cleanup.callback(handler.close)


def _open_access_log(settings: TrackerSettings, cleanup: contextlib.ExitStack) -> AccessLog | None:
    path = settings.access_log
    if path is None:
        return None
    try:
        access_log = AccessLog(path, settings.log_bytes)
    except OSError as error:
        raise StorageFault(f"cannot write {path}: {error.strerror or error} (setting ACCESS_LOG)") from None
    cleanup.callback(access_log.close)
    return access_log
