"""TorrentClient.py with other constants than its own, for tests that need a slow or a talkative node.

``PROGRESS_INTERVAL=0.05`` and the like in the environment, as if they were settings.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

NODE: dict[str, Any] = {
    "PROGRESS_INTERVAL": ("progress_interval", float),
    "DISK_FULL_LIMIT": ("room_limit", float),
    "TRACKER_TIMEOUT": ("tracker_timeout", float),
}
TRANSFER: dict[str, Any] = {
    "LOOPBACK_SEGMENT_SIZE": ("loopback_segment_size", int),
    "SOCKET_BUFFER_SIZE": ("socket_buffer_size", int),
}
TUNABLE = {*NODE, *TRANSFER}


def tuned(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that the environment names, which forgets them."""
    return {field: kind(os.environ.pop(name)) for name, (field, kind) in fields.items() if name in os.environ}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    node, transfer = tuned(NODE), tuned(TRANSFER)
    from node import cli, cli_settings

    made = cli_settings.__dict__
    made["NodeSettings"] = functools.partial(cli_settings.NodeSettings, **node)
    made["TransferSettings"] = functools.partial(cli_settings.TransferSettings, **transfer)
    sys.exit(cli.main())
