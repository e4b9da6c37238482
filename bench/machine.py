"""The machine of the figures: its facts, and where its files can live."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

from node.content.hashing import processors

RAM_FILE_SYSTEMS = ("tmpfs", "ramfs")
SHARED_MEMORY = Path("/dev/shm")  # Linux's RAM file system, writable for all users
SPARE = 512 << 20  # bytes that stay free
UNKNOWN = "unknown"


def facts(folder: Path) -> dict[str, str | int]:
    """Machine and software, and the file system that ``folder`` is on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor(),
        "cores": processors(),
        "memory_bytes": memory("MemTotal"),
        "load_average": load(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "tcp_congestion_control": _setting("net/ipv4/tcp_congestion_control"),
        "rmem_max": _setting("net/core/rmem_max"),
        "wmem_max": _setting("net/core/wmem_max"),
        "file_system": file_system(folder),
    }


def processor() -> str:
    """The processor's name for people."""
    lines = _read("/proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load() -> str:
    """Processes that wanted to run lately (1, 5, 15 minutes): a quiet machine is near 0."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else UNKNOWN


def memory(name: str) -> int:
    """A line of /proc/meminfo in bytes; 0 without that line."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The type of the file system that ``folder`` is on, from a text like /proc/mounts."""
    found, longest = UNKNOWN, -1
    path = folder.resolve()
    for line in (_read("/proc/mounts") if mounts is None else mounts).splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        mount = Path(fields[1].replace("\\040", " "))
        if len(mount.parts) >= longest and (mount == path or mount in path.parents):
            found, longest = fields[2], len(mount.parts)
    return found


def room(folder: Path) -> int:
    """Bytes that can be written below ``folder``, some spared; a RAM file system needs free memory, too."""
    free = shutil.disk_usage(folder).free
    if file_system(folder) in RAM_FILE_SYSTEMS:
        free = min(free, memory("MemAvailable"))
    return max(0, free - SPARE)


def ram_folder(size: int) -> Path | None:
    """A folder in memory with room for ``size`` bytes, if this system has one."""
    usable = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    if usable and file_system(SHARED_MEMORY) in RAM_FILE_SYSTEMS and room(SHARED_MEMORY) >= size:
        return SHARED_MEMORY
    return None


def disk_folder(size: int, also: Iterable[Path]) -> Path | None:
    """A folder that is not in memory with room for ``size`` bytes: the temporary one, or one of ``also``."""
    for folder in (Path(tempfile.gettempdir()), *also):
        if file_system(folder) not in RAM_FILE_SYSTEMS and room(folder) >= size:
            return folder
    return None


def _setting(name: str) -> str:
    return _read(f"/proc/sys/{name}").strip() or UNKNOWN


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
