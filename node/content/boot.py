"""The identity of the system's present boot: bytes that were not synced survive a process, but no reboot."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
from pathlib import Path

DIGEST_LENGTH = 16  # bytes
_LINUX = Path("/proc/sys/kernel/random/boot_id")
_MACOS = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")


@functools.cache
def boot_digest() -> bytes:
    """A digest that is different after each boot; zeros if the system has no id."""
    text = _boot_id().strip()
    if not text:
        return bytes(DIGEST_LENGTH)
    return hashlib.blake2b(text, digest_size=DIGEST_LENGTH).digest()


def _boot_id() -> bytes:
    try:
        if sys.platform == "darwin":
            return subprocess.run(_MACOS, capture_output=True, timeout=5, check=True).stdout
        return _LINUX.read_bytes()
    except (OSError, subprocess.SubprocessError):
        return b""
