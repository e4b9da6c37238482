"""``make class``: a tracker and nodes for a class to join. ``make reset``: remove what they have left."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from common.files import lock_file
from configs import CFG
from demo import DemoFailed, Program, events_until, write_random
from tracker.storage.sqlite import is_in_use

FILE = "lecture.bin"
DEFAULT_NODES, MAX_NODES = 10, 100
DEFAULT_SIZE = 16 << 20  # bytes


def start(nodes: int, size: int) -> int:
    """A tracker, a node that shares a file, and ``nodes`` - 1 that fetch it; all serve until Ctrl-C."""
    folder = Path(CFG["directory"]["node_files_dir"])
    with ExitStack() as stack:
        tracker = Program(["tracker.py"], dict(os.environ))
        stack.callback(tracker.stop)
        url = tracker.line().rpartition(" ")[2]
        print(f"tracker: {url}", flush=True)
        original = folder.resolve() / "node1" / FILE
        if not original.exists():
            write_random(original, size)
        torrent = original.with_name(f"{FILE}.torrent")
        for number in range(1, nodes + 1):
            command = f'send "{original}"' if number == 1 else f'download "{torrent}"'
            words = ["TorrentClient.py", "-node_id", str(number), "-tracker", url, "--json"]
            node = Program(words, dict(os.environ), f"{command}\n")
            stack.callback(node.stop)
            for event in events_until(node, "sharing"):
                if event["event"] == "started":
                    print(f"node {number} on {event['addr'][0]}:{event['addr'][1]}", end="", flush=True)
            print(f" shares {FILE}", flush=True)
        print(f"\nTo join: python TorrentClient.py -node_id {nodes + 1} -tracker {url}")
        print(f"and there: download {os.path.relpath(torrent)}\nCtrl-C ends the class.", flush=True)
        while True:
            time.sleep(1)


def leftovers() -> Iterator[Path]:
    """The nodes' folders, both programs' logs, and the tracker's records."""
    folders = CFG["directory"]
    for path in _entries(folders["node_files_dir"]):
        if path.is_dir() and re.fullmatch(r"node\d+", path.name):
            yield path
    for path in _entries(folders["logs_dir"]):
        if re.fullmatch(r"(node\d+|_tracker)\.log(\.\d+)?", path.name):
            yield path
    records = Path(folders["tracker_db_dir"])
    if (records / "nodes.json").exists() or (records / "files.json").exists():
        yield from _entries(folders["tracker_db_dir"])


def _entries(folder: str) -> list[Path]:
    path = Path(folder)
    return sorted(each for each in path.iterdir() if each.name != ".gitkeep") if path.is_dir() else []


def running() -> Iterator[str]:
    """A line for each tracker or node that uses the folders, with the way to stop it."""
    folders = CFG["directory"]
    if is_in_use(Path(folders["tracker_db_dir"])):
        yield f"a tracker runs on {folders['tracker_db_dir']}: Ctrl-C in its terminal stops it"
    for folder in _entries(folders["node_files_dir"]):
        for path in sorted(folder.glob(".claims-*.lock")) if folder.is_dir() else []:
            lock = lock_file(path)
            if lock is None:
                number = path.stem.rpartition("-")[2]
                yield f"node {number} runs on {folder}: exit at its prompt or Ctrl-C in its terminal stops it"
            else:
                lock.release()


def _is_in_use() -> bool:
    """Print what runs. True if anything does."""
    users = list(running())
    for user in users:
        print(user, file=sys.stderr)
    if users:
        print("nothing was removed: stop these first", file=sys.stderr)
    return bool(users)


def reset(is_sure: bool) -> int:
    """Remove the leftovers, after asking. 1 if the user does not want that, or a program uses them."""
    if _is_in_use():
        return 1
    paths = list(leftovers())
    if not paths:
        print("nothing to remove")
        return 0
    for path in paths:
        print(f"  {path}{os.sep if path.is_dir() else ''}")
    if not is_sure:
        if not sys.stdin.isatty():
            print("not removed: nothing can be asked here; YES=1 says yes", file=sys.stderr)
            return 1
        if input("Remove all of this, with the files in it? [y/N] ").strip().casefold() not in ("y", "yes"):
            print("nothing was removed")
            return 1
        if _is_in_use():  # started while the question stood
            return 1
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    print(f"removed {len(paths)}")
    return 0


def main() -> int:
    """``start`` or ``reset``; the exit code."""
    parser = argparse.ArgumentParser(description="A class: start one, or remove what it has left.")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="a tracker and nodes with a shared file, until Ctrl-C")
    starting.add_argument("--nodes", type=int, default=DEFAULT_NODES, metavar="N", help=f"({DEFAULT_NODES})")
    starting.add_argument(
        "--mebibytes", type=int, default=DEFAULT_SIZE >> 20, metavar="N", help="size of the file"
    )
    resetting = commands.add_parser("reset", help="remove node files, logs and tracker records")
    resetting.add_argument("--yes", action="store_true", help="do not ask")
    given = parser.parse_args()
    if given.command == "reset":
        return reset(given.yes)
    if not 1 <= given.nodes <= MAX_NODES or given.mebibytes < 1:
        parser.error(f"1 to {MAX_NODES} nodes and at least 1 mebibyte")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also where SIGINT is ignored
    try:
        return start(given.nodes, given.mebibytes << 20)
    except DemoFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nthe class is over")
        return 0


if __name__ == "__main__":
    sys.exit(main())
