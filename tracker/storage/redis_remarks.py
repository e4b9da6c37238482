"""What Redis' own settings mean for what was answered 200, in a line each for people."""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError

from common.errors import StorageFault

OLDEST = (7, 0)  # Redis; Valkey 7.2 and later call themselves Redis 7.2.4


def remarks_on(client: redis.Redis) -> list[str]:
    """StorageFault if this Redis is too old; what it may lose, forget or refuse otherwise."""
    try:
        info: dict[str, Any] = client.info()
    except (Broken, ResponseError) as error:
        return [f"remark: Redis does not say how it keeps records: {error}"]
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise StorageFault(f"Redis {version} is too old: 7.0 or later is needed (setting REDIS_URL)")
    return [f"remark: {remark}" for remark in _losses(client, info)]


def _losses(client: redis.Redis, info: dict[str, Any]) -> list[str]:
    remarks = []
    if not int(info.get("aof_enabled", 0)):
        remarks.append(
            "Redis runs without appendonly: what was answered since its last snapshot dies with it"
        )
    elif (policy := _setting(client, "appendfsync")) not in ("always", None):
        remarks.append(f"Redis runs with appendfsync {policy}: a power cut may undo what was answered lately")
    if int(info.get("maxmemory", 0)) and info.get("maxmemory_policy") != "noeviction":
        remarks.append(
            f"Redis evicts keys when its memory is full ({info['maxmemory_policy']}): records may vanish; "
            "set maxmemory-policy noeviction"
        )
    if info.get("role") != "master":
        remarks.append("this Redis is a replica: it refuses to take records")
    return remarks


def _setting(client: redis.Redis, name: str) -> str | None:
    try:
        found: dict[str, str] = client.config_get(name)  # type: ignore[assignment]
    except ResponseError:  # hosted ones keep CONFIG to themselves
        return None
    return found.get(name)
