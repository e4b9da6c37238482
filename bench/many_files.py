"""One node that shares many small files: ``python -m bench.many_files --tracker URL --folder DIR``.

It goes through the same calls as the prompt. Prints ``{"event": "completed", "seconds": ..., "known": ...}``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import requests

from node.events import Event
from node.node import Node
from node.settings import NodeSettings

NODE_ID = 1


def ignore(event: Event) -> None:
    """Drop the event."""


def main() -> None:
    """Write the files, share each, ask the tracker how many it knows, leave."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_files")
    parser.add_argument("--tracker", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=4096, help="bytes of each")
    given = parser.parse_args()
    source = given.folder / "source"
    source.mkdir(parents=True)
    names = [source / f"file-{number:05}.bin" for number in range(given.files)]
    for name in names:
        name.write_bytes(os.urandom(given.size))
    node = Node(NodeSettings(NODE_ID, given.folder / "node", (given.tracker,)), ignore)
    node.enter_torrent()
    try:
        begun = time.perf_counter()
        node.share_files([str(name) for name in names])
        seconds = time.perf_counter() - begun
        known = requests.get(f"{given.tracker}/stats", timeout=10).json()["owned"]
    finally:
        node.exit_torrent()
    print(json.dumps({"event": "completed", "seconds": seconds, "known": known}), flush=True)


if __name__ == "__main__":
    main()
