"""Every setting, with its unit and the course report's values, overridable without editing this file.

An environment variable, or a line in ``.env`` beside this file, whose name is the setting's name in
capitals replaces the value here: ``NODE_FILES_DIR=/x``, ``TRACKER_ADDR=127.0.0.1:0``,
``MAX_SPLITTNES_RATE=5``. The environment wins over ``.env``. Only the ``cli`` modules import this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from common.errors import SettingError

CFG: dict[str, dict[str, Any]] = {
    "directory": {
        "logs_dir": "logs/",
        "node_files_dir": "node_files/",
        "tracker_db_dir": "tracker_db/",
    },
    "constants": {
        # The course report's own.
        "AVAILABLE_PORTS_RANGE": [1024, 65535],  # a node's listening port lies in here
        "TRACKER_ADDR": ["localhost", 12345],  # host, TCP port; "localhost" means 127.0.0.1
        "MAX_UDP_SEGMENT_DATA_SIZE": 65527,  # bytes; what a UDP length field can say (IPv4 carries 65,507)
        "BUFFER_SIZE": 9216,  # bytes; datagram limit where the system's is not known to be larger
        "CHUNK_PIECES_SIZE": 7216,  # bytes of file in a segment, at most, on a real network
        "MAX_SPLITTNES_RATE": 3,  # complete owners that one download fetches from at a time
        "NODE_TIME_INTERVAL": 20,  # seconds between a node's REGISTERs, unless the tracker wants it otherwise
        "TRACKER_TIME_INTERVAL": 22,  # seconds of silence after which the tracker drops a node
        # The tracker's.
        "RANKING": "uploads",  # how NEED ranks owners: uploads, rate, bytes or random
        "RANKING_HALF_LIFE": 600.0,  # seconds; strategy "rate": an upload counts half after this
        "TRACKER_STORAGE": "json",  # where the tracker's records are: json (TRACKER_DB_DIR), memory or redis
        "REDIS_URL": "redis://127.0.0.1:6379/0",  # storage redis; also rediss:// and unix://
        "SYNC": "full",  # what an answer waits for: full: the disk; os: the system, which a power cut undoes
        "REQUIRE_CLAIM": "0",  # 1: only who has a secret may share; the report's client has none
        "TRACKER_THREADS": 8,  # threads that answer requests
        "MAX_REQUEST_BYTES": 1048576,  # bytes of a request's body; more is answered 413
        "MAX_NEED_RESULTS": 50,  # owners in one NEED answer, at most
        "ADDRESS_RATE": 1000.0,  # requests a second from one address, in the long run; more is answered 429
        "NODE_RATE": 50.0,  # the same in the name of one node
        "MAX_NODES_PER_ADDRESS": 5000,  # nodes that one address may keep in
        "ALLOWED_HOSTS": "none",  # names, with commas, that a request may call the tracker by
        "TRUSTED_PROXIES": "none",  # addresses, with commas, whose X-Forwarded-For says who asks
        "ACCESS_LOG": "none",  # file for one JSON line an answer
        "TRACKER_SAVE_INTERVAL": 1.0,  # seconds until nodes.json and files.json follow a change
        # The node's and the tracker's.
        "SWARM_KEY": "none",  # what the instructor writes on the board; none: everybody may come
        # The node's.
        "TRACKERS": "none",  # http://HOST:PORT, with commas: processes of one tracker; none: TRACKER_ADDR
        "NODE_HOST": "127.0.0.1",  # address a node listens on and announces
        "CONGESTION_CONTROL": "bbr",  # bbr, cubic, fixed, ledbat or reno
        "LOOPBACK_SEGMENT_SIZE": 65472,  # bytes of file in a segment over loopback, at most
        "SOCKET_BUFFER_SIZE": 4194304,  # bytes asked of the system for a UDP socket's receive buffer
        "HASH_THREADS": 2,  # threads that verify pieces
        "UPLOAD_LIMIT": "none",  # bytes a second that a node sends, like 4MB or 500kB; none: no limit
        "DOWNLOAD_LIMIT": "none",  # the same for what its downloads fetch
        "MAX_PARTIAL_OWNERS": 8,  # owners of a part that one download fetches from at a time, besides
        "UPLOAD_SLOTS": 16,  # transfers that a node serves at a time; others wait in line
        "OWNER_TIMEOUT": 1.8,  # seconds of silence after which an owner loses its rest to the others
        "OWNER_SEARCH_LIMIT": 60.0,  # seconds a download looks for an owner before it fails
        "DISK_FULL_LIMIT": 300.0,  # seconds a download waits for room on a full disk before it fails
        "TRACKER_TIMEOUT": 5.0,  # seconds to wait for the tracker's answer
        "PROGRESS_INTERVAL": 0.25,  # seconds between progress events
        "LOG_BYTES": 5242880,  # bytes after which a log file is rotated; 3 old ones are kept
    },
    "tracker_requests_mode": {
        "REGISTER": 0,
        "OWN": 1,
        "NEED": 2,
        "UPDATE": 3,
        "EXIT": 4,
    },
}


MAX_THREADS = 256  # of one kind; more would only wait for each other, or not start


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number wanted") from None


def _like(example: Any, text: str) -> Any:
    """``text`` as a value of ``example``'s kind; ValueError if it is none."""
    if isinstance(example, int):
        return _whole(text)
    if isinstance(example, float):
        try:
            return float(text)
        except ValueError:
            raise ValueError("a number wanted") from None
    if isinstance(example, list) and isinstance(example[0], str):  # host:port
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError("HOST:PORT wanted")
        return [host, int(port)]
    if isinstance(example, list):  # a pair of numbers: 1024,65535 or 1024-65535 or [1024, 65535]
        ports = [_whole(n) for n in text.strip("[] ").replace("-", ",").split(",")]
        if len(ports) != 2 or not 0 <= ports[0] <= ports[1] <= 65535:
            raise ValueError("two port numbers wanted, the lower one first")
        return ports
    return text


Settings = dict[str, dict[str, Any]]


def overridden(defaults: Settings, environment: Mapping[str, str]) -> Settings:
    """``defaults`` with each value that ``environment`` names replaced; SettingError names a bad one."""
    result = {section: dict(values) for section, values in defaults.items()}
    for section in ("directory", "constants"):
        for name, example in defaults[section].items():
            text = environment.get(name.upper())
            if text is None:
                continue
            try:
                value = _like(example, text.strip())
                if isinstance(value, (int, float)) and not 0 < value < 2**40:
                    raise ValueError("a positive number wanted")
                if name.endswith("_THREADS") and value > MAX_THREADS:
                    raise ValueError(f"at most {MAX_THREADS} threads")
            except ValueError as error:
                raise SettingError(f"setting {name.upper()}={text!r} does not parse: {error}") from None
            result[section][name] = value
    return result


def _load() -> Settings:
    dotenv = {k: v for k, v in dotenv_values(Path(__file__).with_name(".env")).items() if v is not None}
    try:
        return overridden(CFG, {**dotenv, **os.environ})
    except SettingError as error:  # a program that imports its settings cannot go on without them
        print(error, file=sys.stderr)
        sys.exit(2)


CFG = _load()
