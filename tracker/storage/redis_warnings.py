"""Warnings about settings of Redis that may lose or refuse records, a line each."""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError

from common.errors import StorageFault

OLDEST_VERSION = (7, 0)  # Redis; Valkey 7.2 and later call themselves Redis 7.2.4


def warnings_about(client: redis.Redis) -> list[str]:
    """The warnings. StorageFault if this Redis is too old."""
    try:
        info: dict[str, Any] = client.info()
    except (Broken, ResponseError) as error:
        return [f"remark: Redis does not say how it keeps records: {error}"]
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        raise StorageFault(f"Redis {version} is too old: 7.0 or later is needed (setting REDIS_URL)")
    return [f"remark: {remark}" for remark in _losses(client, info)]


def _losses(client: redis.Redis, info: dict[str, Any]) -> list[str]:
    warnings = []
    if not int(info.get("aof_enabled", 0)):
        warnings.append(
            "Redis runs without appendonly: what was answered since its last snapshot dies with it"
        )
    elif (policy := _setting(client, "appendfsync")) not in ("always", None):
        warnings.append(
            f"Redis runs with appendfsync {policy}: a power cut may undo what was answered lately"
        )
    if int(info.get("maxmemory", 0)) and info.get("maxmemory_policy") != "noeviction":
        warnings.append(
            f"Redis evicts keys when its memory is full ({info['maxmemory_policy']}): records may vanish; "
            "set maxmemory-policy noeviction"
        )
    if info.get("role") != "master":
        warnings.append("this Redis is a replica: it refuses to take records")
    return warnings


def _setting(client: redis.Redis, name: str) -> str | None:
    try:
        found: dict[str, str] = client.config_get(name)  # type: ignore[assignment]
    except ResponseError:  # hosted ones keep CONFIG to themselves
        return None
    return found.get(name)
