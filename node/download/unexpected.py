"""Errors that the program did not expect: a fault of its own, which ends one download and nothing else."""

from __future__ import annotations

import traceback

from common.errors import DownloadFailed
from common.logs import log


def unexpected_fault(name: str, error: BaseException) -> DownloadFailed:
    """The fault that ends the download of ``name`` after ``error``. The traceback goes to the log."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        log(line)
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return DownloadFailed(f"{name}: stopped by a fault of this program ({what}); the log has the details")
