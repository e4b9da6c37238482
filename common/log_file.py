"""The swarm's log as a file: JSON Lines, compressed if the name ends in ``.gz``.

Line 1 is the header, a JSON object with ``"log": "swarm/1"``. Each further line is an event. Every
``KEYFRAME_MS`` or ``KEYFRAME_EVENTS`` the writer adds a ``keyframe`` with the whole state, so that a reader
may begin there. The compressed stream is flushed once a second, so a killed writer leaves a file whose
lines can be read up to that second.
"""

from __future__ import annotations

import datetime
import secrets
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from common.errors import EventError, FileFault, RecordingError
from common.events import MAX_EVENT_BYTES, MAX_KEYFRAME_BYTES, SwarmEvent, decode_event, encode_event
from common.shapes import Shape, ShapeError, cleaned
from common.swarm_shape import MAX_NODES, MAX_TORRENTS, TORRENT
from common.swarm_state import SwarmState
from common.vocabulary import KEYFRAME

FORMAT = "swarm/1"
KEYFRAME_MS = 5000.0  # of the log's time from one keyframe to the next, at most
KEYFRAME_EVENTS = 2000  # from one keyframe to the next, at most
FLUSH_MS = 1000.0  # of the log's time, after which the events are in the file
MAX_HEADER_BYTES = 1 << 20  # of line 1
CHUNK = 1 << 16  # bytes that are read, or unpacked, at a time
_GZIP, _GZIP_WINDOW = b"\x1f\x8b", 31  # its first bytes; zlib's number for it
CLOCK_RULE = (
    "ms since begun, of the tracker's monotonic clock; a node's times are shifted, see its clock events"
)

HEADER: Shape = [
    "record",
    {
        "log": ["one", FORMAT],
        "run": "text",  # names this run: another run has another
        "begun": "text",  # ISO 8601, the wall time of time 0
        "clock": "text",  # how the times were made
        "software": "text",
        "source": "text",  # the program and its options that wrote the log
        "seeds": ["list", "count", 100],  # of random choices
        "torrents": ["map", "torrent", TORRENT, MAX_TORRENTS],  # known when the file was begun
        "nodes": ["list", "node", MAX_NODES],  # known when the file was begun
    },
]


def make_header(source: str, software: str, begun: float | None = None, **fields: Any) -> dict[str, Any]:
    """A header. ``begun``: wall seconds of time 0, now if None; ``fields`` replace the other fields."""
    moment = datetime.datetime.fromtimestamp(time.time() if begun is None else begun, datetime.timezone.utc)
    return {
        "log": FORMAT,
        "run": secrets.token_hex(8),
        "begun": moment.isoformat(timespec="milliseconds"),
        "clock": CLOCK_RULE,
        "software": software,
        "source": source,
        "seeds": [],
        "torrents": {},
        "nodes": [],
        **fields,
    }


class LogWriter:
    """Writes a log into the file ``path``, which it replaces. Not for several threads.

    FileFault if the file cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.events = 0  # without keyframes
        self._state = SwarmState()
        self._keyframes = 0
        self._since_keyframe = 0
        self._keyframe_at = self._flushed_at = 0.0  # ms of the log
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW) if path.name.endswith(".gz") else None
        try:
            self._file: BinaryIO = open(path, "wb")  # noqa: SIM115  # closed by close()
        except OSError as error:
            raise _fault(path, error) from None
        self._put(msgspec.json.encode(cleaned(HEADER, header)))

    def write(self, event: SwarmEvent) -> None:
        """Append one event, which ``check_event`` or ``decode_event`` returned."""
        self._put(encode_event(event))
        self.events += 1
        self._since_keyframe += 1
        self._state.apply(event)
        now = self._state.time
        if self._since_keyframe >= KEYFRAME_EVENTS or now >= self._keyframe_at + KEYFRAME_MS:
            self._write_keyframe()
        if now >= self._flushed_at + FLUSH_MS:
            self._flushed_at = now
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the end of this process."""
        self._out(self._packer.flush(zlib.Z_SYNC_FLUSH) if self._packer else b"")
        try:
            self._file.flush()
        except OSError as error:
            raise _fault(self.path, error) from None

    def close(self) -> None:
        """Write the rest, and close the file. A second call does nothing."""
        if self._file.closed:
            return
        try:
            if self._packer is not None:
                self._out(self._packer.flush())
            self._file.flush()
        except OSError as error:
            raise _fault(self.path, error) from None
        finally:
            with suppress(OSError):
                self._file.close()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write_keyframe(self) -> None:
        self._keyframes += 1
        self._keyframe_at, self._since_keyframe = self._state.time, 0
        data = self._state.as_json()
        self._put(encode_event(SwarmEvent(self._state.time, None, self._keyframes, KEYFRAME, data)))

    def _put(self, line: bytes) -> None:
        self._out(self._packer.compress(line + b"\n") if self._packer else line + b"\n")

    def _out(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise _fault(self.path, error) from None


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except ValueError:
        return False
    return True


class LogReader:
    """Reads a log, event by event, in a bounded amount of memory. A context manager.

    RecordingError if the file is no recording, FileFault if it cannot be read. Wrong lines are left out and
    counted. A file that is cut or damaged gives all events before that place; then ``damage`` says where it
    ends, in one sentence for people. The page reads a recording by the same rules (``recording.js``).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0  # number of the last line that was read
        self._is_cut = False
        self.damage = ""
        self.ignored = 0  # lines that are no events
        self.wrong = ""  # the last of them: its number, and why
        try:
            self._file: BinaryIO = open(path, "rb")  # noqa: SIM115  # closed by __exit__
        except OSError as error:
            raise _fault(path, error) from None
        self._lines = self._read_lines()
        self.header: dict[str, Any] = self._read_header()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[SwarmEvent]:
        """The events, with the keyframes, in the order of the file. Their names and data are not checked."""
        for line in self._lines:
            try:
                event = decode_event(line)
            except EventError as error:
                self.ignored += 1
                self.wrong = f"line {self.line:,}: {error}"
            else:
                yield event

    def _read_header(self) -> dict[str, Any]:
        wrong = 'This file is no recording: line 1 has no "log".'
        try:
            header = msgspec.json.decode(next(self._lines, b""))
            found: dict[str, Any] = cleaned(HEADER, header)
        except ShapeError as error:
            if not isinstance(header, dict) or "log" not in header:
                raise self._refused(wrong) from None
            if header["log"] != FORMAT:
                raise self._refused(f"This recording has another format than {FORMAT}.") from None
            raise self._refused(f"The header of this recording is wrong: {error}.") from None
        except (ValueError, RecursionError):
            raise self._refused(wrong) from None
        return found

    def _refused(self, text: str) -> RecordingError:
        self._file.close()
        return RecordingError(f"{self.path}: {text}")

    def _read_lines(self) -> Iterator[bytes]:
        """The whole lines. Sets ``damage`` if the file ends in a line, or cannot be unpacked further."""
        rest = b""
        for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
            for line in whole:
                self.line += 1
                yield line
            if len(rest) > (MAX_KEYFRAME_BYTES + MAX_EVENT_BYTES if self.line else MAX_HEADER_BYTES):
                self.damage = f"Line {self.line + 1:,} of the recording is too long."
                return
        if rest and not self._is_cut and (not self.line or _is_json(rest)):  # only its newline is missing
            self.line += 1
            yield rest
        elif rest or self._is_cut:
            self.damage = f"The recording ends in the middle of line {self.line + 1:,}."

    def _chunks(self) -> Iterator[bytes]:
        """The unpacked bytes. Sets ``_is_cut`` if the packed ones are damaged or end too early."""
        packed = self._read()
        if not packed.startswith(_GZIP):
            while packed:
                yield packed
                packed = self._read()
            return
        self._is_cut = True
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        with suppress(zlib.error):
            while packed:
                yield unpacker.decompress(packed, CHUNK)
                packed = unpacker.unconsumed_tail
                if unpacker.eof:  # another gzip stream may follow, as in files that were joined
                    packed = unpacker.unused_data or self._read()
                    self._is_cut = bool(packed)
                    unpacker = zlib.decompressobj(_GZIP_WINDOW)
                packed = packed or self._read()

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK)
        except OSError as error:
            raise _fault(self.path, error) from None


def _fault(path: Path, error: OSError) -> FileFault:
    return FileFault(f"{path}: {error.strerror or error}")
