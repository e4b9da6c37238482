"""Every setting of both programs: name, default, unit, audience and description.

An environment variable, or a line of the file ``.env`` in this folder, replaces the default. Its name is the
setting's name in capitals: ``NODE_FILES_DIR=/x``, ``TRACKER_ADDR=127.0.0.1:0``, ``MAX_SPLITTNES_RATE=5``. The
environment wins over ``.env``. ``CFG`` holds the values in the course report's layout. Only the ``cli``
modules import it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values

from common.addresses import split_host_port
from common.errors import SettingError

Audience = Literal["student", "instructor", "operator", "report"]
Settings = dict[str, dict[str, Any]]

MAX_SECONDS = 10**7  # four months
MAX_COUNT = 10**9
MAX_BYTES = 2**40
MAX_THREADS = 256
MIN_DATAGRAM, MAX_DATAGRAM = 576, 65_527  # bytes; every IPv4 host accepts 576
MIN_SEGMENT, MAX_SEGMENT = 512, 65_472  # bytes


@dataclass(frozen=True)
class Setting:
    """One setting. ``parse`` raises ValueError with the reason if a text is no value of it."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    unit: str  # "" if it has none
    audience: Audience
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that replaces the default."""
        return self.name.upper()

    @property
    def section(self) -> str:
        """Its section of ``CFG``."""
        return "directory" if self.name.islower() else "constants"

    @property
    def default_text(self) -> str:
        """The default as an environment variable would write it."""
        if isinstance(self.default, list):
            return (":" if isinstance(self.default[0], str) else ",").join(map(str, self.default))
        return str(self.default)


# ---- parsers


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError("a whole number wanted") from None
        _check_within(value, low, high)
        return value

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("a number wanted") from None
        _check_within(value, low, high)
        return value

    return parse


def _check_within(value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # nan is not
        raise ValueError(f"a number from {low:,} to {high:,} wanted")


def _text(text: str) -> str:
    return text


def _path(text: str) -> str:
    if not text:
        raise ValueError("a path wanted")
    return os.path.expanduser(text)


def _optional_path(text: str) -> str:
    return text if text in ("", "none") else _path(text)


def _address(text: str) -> list[Any]:
    return list(split_host_port(text))


def _ports(text: str) -> list[int]:
    """``1024,65535``, ``1024-65535`` or ``[1024, 65535]``."""
    whole = _whole(0, 65535)
    ports = [whole(part.strip()) for part in text.strip("[] ").replace("-", ",").split(",")]
    if len(ports) != 2 or ports[0] > ports[1]:
        raise ValueError("two port numbers wanted, the lower one first")
    return ports


_seconds = _whole(1, MAX_SECONDS)
_some_seconds = _number(0.01, MAX_SECONDS)
_count = _whole(1, MAX_COUNT)
_per_second = _number(0.001, MAX_COUNT)
_datagram = _whole(MIN_DATAGRAM, MAX_DATAGRAM)


# ---- settings

SETTINGS: tuple[Setting, ...] = (
    Setting("logs_dir", "logs/", _path, "", "instructor", "folder of both programs' logs"),
    Setting("node_files_dir", "node_files/", _path, "", "student", "folder of the nodes' folders"),
    Setting("tracker_db_dir", "tracker_db/", _path, "", "operator", "folder of the tracker's records"),
    # The course report's constants.
    Setting(
        "AVAILABLE_PORTS_RANGE", [1024, 65535], _ports, "ports", "operator",
        "UDP ports that a node may listen on: its preferred one (30000 + node id), else a free one",
    ),
    Setting(
        "TRACKER_ADDR", ["localhost", 12345], _address, "", "student",
        "HOST:PORT where the tracker listens and nodes look for it, like [::1]:12345 for IPv6; localhost is"
        " 127.0.0.1",
    ),
    Setting(
        "MAX_UDP_SEGMENT_DATA_SIZE", 65527, _datagram, "bytes", "report",
        "maximum size of a loopback datagram (IPv4 carries 65,507)",
    ),
    Setting(
        "BUFFER_SIZE", 9216, _datagram, "bytes", "report",
        "maximum size of a loopback datagram on systems that do not tell their limit (not Linux)",
    ),
    Setting(
        "CHUNK_PIECES_SIZE", 7216, _whole(MIN_SEGMENT, MAX_SEGMENT), "bytes", "report",
        "maximum file bytes in a segment on a real network; the path's MTU may demand less",
    ),
    Setting(
        "MAX_SPLITTNES_RATE", 3, _whole(1, 1000), "owners", "student",
        "complete owners that one download fetches from at the same time",
    ),
    Setting(
        "NODE_TIME_INTERVAL", 20, _seconds, "seconds", "instructor",
        "time between two REGISTER requests of a node; a busy tracker asks for more",
    ),
    Setting(
        "TRACKER_TIME_INTERVAL", 22, _seconds, "seconds", "instructor",
        "silence after which the tracker removes a node",
    ),
    # The tracker's.
    Setting(
        "RANKING", "uploads", _text, "", "instructor",
        "how the tracker ranks owners: uploads, rate, bytes or random",
    ),
    Setting(
        "RANKING_HALF_LIFE", 600.0, _some_seconds, "seconds", "instructor",
        "age at which an upload counts half (ranking rate)",
    ),
    Setting(
        "TRACKER_STORAGE", "json", _text, "", "operator",
        "where the tracker keeps its records: json (in TRACKER_DB_DIR), memory (lost at its end) or redis",
    ),
    Setting(
        "REDIS_URL", "redis://127.0.0.1:6379/0", _text, "", "operator",
        "address of Redis for TRACKER_STORAGE=redis; rediss:// and unix:// work too",
    ),
    Setting(
        "SYNC", "full", _text, "", "operator",
        "what an answer waits for: full (the disk) or os (the operating system; a power cut may lose it)",
    ),
    Setting(
        "REQUIRE_CLAIM", "0", _text, "", "instructor",
        "1: only nodes with a secret may share; the course report's own client has none",
    ),
    Setting(
        "TRACKER_THREADS", 12, _whole(1, MAX_THREADS), "threads", "operator",
        "threads of the tracker that answer requests",
    ),
    Setting(
        "ADDRESS_RATE", 1000.0, _per_second, "requests/s", "operator",
        "requests accepted from one address (sustained; burst 10 s); more are answered 429",
    ),
    Setting(
        "NODE_RATE", 50.0, _per_second, "requests/s", "operator",
        "requests accepted for one node id (sustained; burst 10 s); more are answered 429",
    ),
    Setting(
        "MAX_NODES_PER_ADDRESS", 5000, _count, "nodes", "operator",
        "registered nodes and standard peers that one address may have",
    ),
    Setting(
        "UDP_TRACKER", 1, _whole(0, 1), "", "operator",
        "1: the tracker answers BitTorrent's announces over UDP, too, at its port number; 0: it does not",
    ),
    Setting(
        "ALLOWED_HOSTS", "none", _text, "", "operator",
        "host names, separated by commas, by which requests may call the tracker; numeric addresses and"
        " localhost always work",
    ),
    Setting(
        "TRUSTED_PROXIES", "none", _text, "", "operator",
        "addresses, separated by commas, of proxies whose X-Forwarded-For names the client",
    ),
    Setting(
        "ACCESS_LOG", "none", _optional_path, "", "operator",
        "file that gets one JSON line for each answer of the tracker",
    ),
    # The tracker's and the node's.
    Setting(
        "SWARM_KEY", "none", _text, "", "student",
        "join code, the same for the tracker and its nodes; none: any client is accepted",
    ),
    Setting(
        "LOG_BYTES", 5242880, _whole(1024, MAX_BYTES), "bytes", "operator",
        "size at which a log file is rotated; 3 old ones are kept",
    ),
    # The node's.
    Setting(
        "TRACKERS", "none", _text, "", "operator",
        "http://HOST:PORT of each process of one tracker, separated by commas; none: TRACKER_ADDR",
    ),
    Setting(
        "NODE_HOST", "127.0.0.1", _text, "", "student",
        "IPv4 address that a node listens on and announces",
    ),
    Setting(
        "TCP_PORT", 0, _whole(0, 65535), "port", "student",
        "TCP port on which a node listens for standard BitTorrent peers; 0: any free one",
    ),
    Setting(
        "MAX_PEERS", 50, _whole(1, 1000), "connections", "instructor",
        "TCP connections of one torrent to standard BitTorrent peers",
    ),
    Setting(
        "ENCRYPTION", "prefer", _text, "", "student",
        "how TCP connections begin: prefer (encrypted if the peer can), require or off",
    ),
    Setting(
        "PIECE_ORDER", "rarest", _text, "", "student",
        "order in which pieces are fetched: rarest, sequential or random",
    ),
    Setting(
        "CONGESTION_CONTROL", "bbr", _text, "", "student",
        "congestion control: bbr, cubic, reno, ledbat (yields to other traffic) or fixed (the report's)",
    ),
    Setting(
        "UPLOAD_LIMIT", "none", _text, "bytes/s", "student",
        "maximum rate that a node sends at, like 4MB or 500kB; none: no limit",
    ),
    Setting(
        "DOWNLOAD_LIMIT", "none", _text, "bytes/s", "student",
        "maximum rate of all downloads of a node together",
    ),
    Setting(
        "MAX_PARTIAL_OWNERS", 8, _whole(1, 1000), "owners", "instructor",
        "partial owners that one download fetches from at the same time, in addition to the complete ones",
    ),
    Setting(
        "UPLOAD_SLOTS", 16, _whole(1, 100_000), "transfers", "instructor",
        "transfers that a node serves at the same time; further ones are queued",
    ),
    Setting(
        "REPORT", "on", _text, "", "student",
        "on: a node reports what happens to its tracker, for the page and the log; off: it does not",
    ),
    Setting(
        "OWNER_TIMEOUT", 1.8, _number(0.1, 3600), "seconds", "instructor",
        "silence after which an owner is given up and its ranges are requested from other owners",
    ),
    Setting(
        "OWNER_SEARCH_LIMIT", 60.0, _some_seconds, "seconds", "instructor",
        "time that a download looks for an owner before it fails",
    ),
)  # fmt: skip

FORMER = (
    "LOOPBACK_SEGMENT_SIZE", "SOCKET_BUFFER_SIZE", "HASH_THREADS", "PROGRESS_INTERVAL", "TRACKER_TIMEOUT",
    "TRACKER_SAVE_INTERVAL", "DISK_FULL_LIMIT", "MAX_REQUEST_BYTES", "MAX_NEED_RESULTS",
)  # fmt: skip
"""Settings of earlier versions; constants now."""

REQUEST_MODES = {"REGISTER": 0, "OWN": 1, "NEED": 2, "UPDATE": 3, "EXIT": 4}


def settings_from(environment: Mapping[str, str]) -> Settings:
    """``CFG`` with the values that ``environment`` names; SettingError names one that cannot be used."""
    values: Settings = {"directory": {}, "constants": {}, "tracker_requests_mode": dict(REQUEST_MODES)}
    for setting in SETTINGS:
        text = environment.get(setting.variable)
        values[setting.section][setting.name] = setting.default if text is None else _parsed(setting, text)
    for name in FORMER:
        if name in environment:
            raise SettingError(f"{name}={environment[name]!r}: {name} is a constant now; remove this setting")
    return values


def _parsed(setting: Setting, text: str) -> Any:
    try:
        return setting.parse(text.strip())
    except ValueError as error:
        raise SettingError(f"setting {setting.variable}={text!r} does not parse: {error}") from None


# ---- .env


def read_env_file(path: Path) -> dict[str, str]:
    """The lines of a ``.env`` file; empty without a file. SettingError if it cannot be read as text.

    UTF-8, or UTF-16 with a byte order mark: Windows PowerShell's ``>`` writes that.
    """
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingError(f"{path}, line {line}, is not UTF-8: save the file as UTF-8") from None
    if "\0" in text:  # UTF-16 without its mark
        raise SettingError(f"{path} is not UTF-8: save the file as UTF-8")
    values = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in values.items() if value is not None}


def _load() -> Settings:
    try:
        return settings_from({**read_env_file(Path(__file__).with_name(".env")), **os.environ})
    except SettingError as error:  # a program that imports its settings cannot go on without them
        print(error, file=sys.stderr)
        sys.exit(2)


CFG = _load()
