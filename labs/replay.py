"""``python -m labs replay``: a recording as one HTML file, which opens from a disk without a server.

The file is the dashboard with the recording inside. The events are in order of time: in the recording they
stand as their reports arrived, up to two seconds late. Keyframes are left out where the page computes them
itself, but one for the end is added: the page begins there, and need not compute that state first.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from common.errors import EventError, FileFault, RecordingError
from common.events import SwarmEvent, check_event, decode_event, encode_event
from common.files import atomic_write
from common.log_file import LogReader
from common.one_page import assemble
from common.swarm_state import SwarmState
from common.vocabulary import KEYFRAME

PAGE = Path(__file__).resolve().parent.parent / "tracker" / "web" / "static"  # read as files, not imported
MAX_EVENTS = 1_000_000  # that a browser opens in seconds
BEST = 9  # zlib's level


class ReplayLine(NamedTuple):
    """One event of a replay."""

    time: float  # ms
    node: int | None
    is_barrier: bool  # no event passes it: a keyframe, or a gap of the log itself
    text: bytes  # JSON


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``replay`` to ``python -m labs``."""
    parser = commands.add_parser(
        "replay", help="make one HTML file of a recording: it opens without a server"
    )
    parser.add_argument("recording", type=Path, metavar="FILE.jsonl.gz", help="written by --record")
    parser.add_argument("-o", "--output", type=Path, metavar="RUN.html", help="default: FILE.html")
    parser.set_defaults(run=replay)


def replay(options: argparse.Namespace) -> int:
    """Write the file, and print its name, size and length of time."""
    source: Path = options.recording
    output: Path = options.output or source.with_name(f"{source.name.partition('.')[0]}.html")
    if output.exists() and output.samefile(source):
        raise FileFault(f"{output}: this is the recording itself")
    with LogReader(source) as log:
        lines = list(_lines(log))
        ordered = in_order_of_time(lines)
        texts = [msgspec.json.encode(log.header), *(line.text for line in ordered), *_end(ordered)]
        remarks = [log.damage] if log.damage else []
        if log.ignored:
            remarks.append(f"lines that are no events are left out: {log.ignored:,}, the last is {log.wrong}")
    for remark in remarks:
        print(f"{source}: {remark}", file=sys.stderr)
    if not lines:
        raise RecordingError(f"{source}: This recording has no events.")
    page = assemble(page_files(), _packed(texts)).encode()
    try:
        atomic_write(output, page, sync=False)
    except OSError as error:
        raise FileFault(f"{output}: {error.strerror or error}") from None
    seconds = max(line.time for line in lines) / 1000
    print(f"{output}: {len(lines):,} events, {seconds:,.1f} s, {len(page) / 1e6:.1f} MB")
    return 0


def page_files() -> dict[str, str]:
    """The dashboard's files by name."""
    wanted = (path for path in PAGE.iterdir() if path.suffix in (".js", ".css", ".html"))
    return {path.name: path.read_text(encoding="utf-8") for path in wanted}


def _lines(log: LogReader) -> Iterator[ReplayLine]:
    """The events that the page needs: a keyframe counts only where events are missing before it."""
    is_broken = True
    for number, event in enumerate(log):
        if number >= MAX_EVENTS:
            raise RecordingError(
                f"{log.path}: A page holds {MAX_EVENTS:,} events, and this recording has more."
            )
        if event.name == KEYFRAME and not is_broken:
            continue
        with suppress(EventError):  # a name or data that the page would ignore: so it need not look again
            event = check_event(event)
            is_broken = event.name == "gap" and event.node is None
            is_barrier = is_broken or event.name == KEYFRAME
            yield ReplayLine(event.time, event.node, is_barrier, encode_event(event))


def in_order_of_time(lines: list[ReplayLine]) -> list[ReplayLine]:
    """The lines sorted by time. Those of one node keep their order, and none passes a barrier."""
    ordered: list[ReplayLine] = []
    begin = 0
    for at, line in enumerate(lines):
        if line.is_barrier:
            ordered += _sorted(lines[begin:at])
            ordered.append(line)
            begin = at + 1
    return ordered + _sorted(lines[begin:])


def _sorted(lines: list[ReplayLine]) -> list[ReplayLine]:
    latest: dict[int | None, float] = {}
    keys: list[float] = []
    for line in lines:
        latest[line.node] = max(latest.get(line.node, 0.0), line.time)
        keys.append(latest[line.node])
    return [lines[at] for at in sorted(range(len(lines)), key=keys.__getitem__)]


def _end(lines: list[ReplayLine]) -> list[bytes]:
    """A keyframe for the end; none after a gap: the page would take it for more than what it computes."""
    if not lines or lines[-1].is_barrier:
        return []
    state = SwarmState()
    for line in lines:
        state.apply(decode_event(line.text))
    return [encode_event(SwarmEvent(lines[-1].time, None, 1, KEYFRAME, state.as_json()))]


def _packed(lines: list[bytes]) -> bytes:
    packer = zlib.compressobj(BEST, zlib.DEFLATED, 31)  # 31: with the header of gzip
    return b"".join([*(packer.compress(line + b"\n") for line in lines), packer.flush()])
