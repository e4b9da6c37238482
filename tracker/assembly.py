"""The parts, put together as the settings say. Reads no settings of its own, and starts nothing."""

from __future__ import annotations

from common.errors import SettingError
from tracker.auth import SwarmKey
from tracker.service import TrackerService
from tracker.settings import TrackerSettings
from tracker.storage.base import Storage
from tracker.storage.folder import FolderKeeper
from tracker.storage.memory import InProcess


def make_storage(settings: TrackerSettings) -> Storage:
    """The storage of that name."""
    if settings.storage == "memory":
        return InProcess(settings.rules)
    if settings.storage == "redis":
        return _redis_store(settings)
    return InProcess(settings.rules, FolderKeeper(settings.folder, settings.save_interval, settings.durable))


def _redis_store(settings: TrackerSettings) -> Storage:
    """Only here is its client wanted, which not everybody has."""
    try:
        from tracker.storage.redis_store import RedisStore
    except ImportError:
        raise SettingError(
            "setting TRACKER_STORAGE='redis': redis-py is missing: pip install -r requirements-redis.txt"
        ) from None
    return RedisStore(settings.rules, settings.redis_url)


def make_service(settings: TrackerSettings, storage: Storage | None = None) -> TrackerService:
    """The service over ``storage``, or over the one that the settings name."""
    return TrackerService(
        storage or make_storage(settings),
        settings.rules,
        max_results=settings.max_results,
        swarm_key=SwarmKey(settings.swarm_key),
    )
