"""A student's file in a child process, as the grader sees it.

Each call has limits: ``CALL_SECONDS`` of the processor, and ``CALL_SLEEP`` for one that sleeps. A busy
machine is not the student's fault: a time when the process or the grader waited for a processor, or was
stopped, does not count. The whole stage has limits of time and memory. A call that breaks one ends the
process. Whatever happens becomes a StudentFault of one line, with the file's line.

A solution may write to the answers' pipe, or leave a process that holds it open. So each answer repeats the
random id of its request, nothing may be in the pipe before a request, and an end of the process is noticed
even where the pipe does not end.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.text import sanitize
from labs.grader.processor import Sleep, processor_seconds
from labs.grader.stage import StudentFault
from labs.grader.values import BadValue, Reference, decode, encode

CHILD = Path(__file__).with_name("child.py")
CALL_SECONDS = 1.0  # of the processor, for one call
CALL_SLEEP = 10.0  # seconds without use of the processor, for one call
STAGE_SECONDS = 60  # of the processor, for all calls of a stage
STAGE_SLEEP = 300.0  # seconds without use of the processor, for all calls of a stage
MEMORY = 512 << 20  # bytes
LOOK = 0.1  # seconds between two looks at a call that has not returned
SHORT = 0.01  # seconds; whether a shorter call slept is not looked at
MAX_LINE = 4 << 20  # bytes of an answer
MAX_AHEAD = 2  # lines in the pipe that were not asked for
CHUNK = 1 << 16  # bytes
MAX_PRINTED = 2000  # characters of the file's output that are shown
_LONG_FLOAT = re.compile(r"\d+\.\d{6,}")
SHOWN = 60  # characters of an argument in a message
Line = tuple[str, tuple[Any, ...]]


class Student:
    """Makes and calls objects of the student's file. A context manager; the process ends with it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.calls = 0  # so far
        self.answers = 0  # to calls, and to the import
        self.last = ""  # the last call and its result
        self._watched: tuple[int, Callable[[str], None]] | None = None
        self._names: list[str] = []
        self._slept = 0.0  # seconds, in all calls

    def __enter__(self) -> Student:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._printed = tempfile.TemporaryFile()
        environment = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(CHILD), str(self.path), str(MEMORY), str(STAGE_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            cwd=self._folder.name,
            env={**environment, "PYTHONHASHSEED": "0"},
            start_new_session=True,
            bufsize=0,
        )
        self._sleep = Sleep(self._process.pid, 2 * LOOK)
        assert self._process.stdin is not None
        if os.name != "nt":
            os.set_blocking(self._process.stdin.fileno(), False)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._flood = ""  # "line": an answer was too long, "lines": there were too many
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._reader.join(1.0)
        if not self._reader.is_alive():  # else a process that is left holds the pipe open
            self._process.stdout.close()
        self._printed.close()
        self._folder.cleanup()

    def load(self) -> None:
        """Run the file. StudentFault if it cannot be run."""
        if not self.path.is_file():
            raise StudentFault(f"{self.path.name} is missing", 0)
        names = self._ask({"do": "load"}, "import")
        if not isinstance(names, list):
            raise self._fault("import wrote to the grader's pipe")
        self._names = names

    def make(self, name: str, *arguments: Any) -> Part:
        """An object of the class ``name``."""
        self._need(name)
        request = {"do": "make", "name": name, "arguments": encode(list(arguments))}
        return Part(self, self._ask(request, f"{name}({_shown(arguments)})"), name)

    def call(self, name: str, *arguments: Any) -> Any:
        """The result of the function ``name``."""
        self._need(name)
        return self.call_on(None, "", name, arguments)

    def value(self, name: str) -> Any:
        """The value of a name of the file."""
        self._need(name)
        return self._decoded(self._ask({"do": "value", "name": name}, name), (), name)

    def call_on(self, number: int | None, owner: str, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of a method, or the value of an attribute; ``number`` None: of a function."""
        request = {"do": "call", "object": number, "name": name, "arguments": encode(list(arguments))}
        text = f"{name}({_shown(arguments)})"
        show = self._watched[1] if self._watched is not None and self._watched[0] == self.calls + 1 else None
        if show is not None:
            show(f"call {self.calls + 1}: {owner}{'.' if owner else ''}{name}")
            for number, value in enumerate(arguments, 1):
                show(f"  argument {number}: {sanitize(repr(value))}")
        try:
            result = self._decoded(self._ask(request, text), arguments, text)
        except StudentFault as fault:
            if show is not None:
                show(f"  {fault.line}")
            raise
        if show is not None:
            show(f"  returned: {sanitize(repr(result))}")
        self.last = f"{text} = {_short(result)}"
        return result

    def watch_call(self, number: int, show: Callable[[str], None]) -> None:
        """``show`` call ``number`` with all of its arguments, and then its result."""
        self._watched = number, show

    def printed(self) -> str:
        """The file's output, without stack traces; at most MAX_PRINTED characters."""
        self._printed.seek(0)
        return self._printed.read(MAX_PRINTED).decode("utf-8", "replace")

    # ---- one request

    def _ask(self, request: dict[str, Any], text: str) -> Any:
        if request["do"] in ("call", "make"):
            self.calls += 1
        number = secrets.token_hex(8)
        if not self._lines.empty():
            raise self._forged(text)
        with contextlib.suppress(OSError):  # the process has ended: its last words may be in the pipe
            self._write(json.dumps({**request, "id": number}).encode() + b"\n", text)
        line = self._wait(text)
        if not line:
            raise self._fault(
                f"{text} ended the process (exit code {self._exit_code()}); nothing counts after it"
            )
        try:
            answer = json.loads(line)
            if answer["id"] != number:
                raise ValueError
            if "ok" in answer:
                self.answers += 1
                return answer["ok"]
            if "deed" in answer:
                words = f"{text} tried to {answer['deed']}; a solution may not"
            else:
                words = f"{text} raised {answer['error']}{': ' if answer['text'] else ''}{answer['text']}"
            where = answer["line"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._forged(text) from None
        raise self._fault(words, where)

    def _forged(self, text: str) -> StudentFault:
        self._end()
        if self._flood == "line":
            return self._fault(f"{text} returned more than {MAX_LINE >> 20} MB")
        return self._fault(f"{text} wrote to the grader's pipe; nothing counts after it")

    def _write(self, data: bytes, text: str) -> None:
        """Write to the process, which need not read. OSError if it has ended."""
        assert self._process.stdin is not None
        view, slept = memoryview(data), 0.0
        while view:
            written = self._process.stdin.write(view)
            view = view[written or 0 :]
            if not written:
                began = time.monotonic()
                time.sleep(LOOK)
                slept += self._sleep.of(time.monotonic() - began)
                if slept > CALL_SLEEP:
                    raise self._stuck(text, f"was not begun for {CALL_SLEEP:g} s")

    def _wait(self, text: str) -> bytes:
        """The answer's line; b"" if the process has ended."""
        slept, began = self._slept, time.monotonic()
        with contextlib.suppress(queue.Empty):
            line = self._lines.get(timeout=LOOK)  # nearly every call
            if time.monotonic() - began > SHORT:
                self._look(began, text, slept)
            return line
        used = processor_seconds(self._process.pid)
        while True:
            began = self._look(began, text, slept)
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=LOOK)
                self._look(began, text, slept)
                return line
            if self._process.poll() is not None:  # another process may hold the pipe open
                with contextlib.suppress(queue.Empty):
                    return self._lines.get(timeout=LOOK)
                return b""
            now_used = processor_seconds(self._process.pid)
            if used is not None and now_used is not None and now_used - used > CALL_SECONDS:
                raise self._stuck(text, f"ran for {CALL_SECONDS:g} s of the processor")

    def _look(self, began: float, text: str, slept: float) -> float:
        """Count the sleep since the monotonic time ``began``, and return the time now.

        ``slept``: the sleep of the calls before this one.
        """
        now = time.monotonic()
        slept_now = self._sleep.of(now - began)
        if not self._is_answer_unread():
            self._slept += slept_now
        if self._slept - slept > CALL_SLEEP:
            raise self._stuck(text, f"did not return for {CALL_SLEEP:g} s")
        if self._slept > STAGE_SLEEP:
            raise self._stuck(text, f"did not return within {STAGE_SLEEP:g} s of the stage")
        return now

    def _is_answer_unread(self) -> bool:
        """True if the process has written, and the reading thread has had no processor yet (POSIX)."""
        pipe = self._process.stdout
        if os.name == "nt" or pipe is None:
            return False
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([pipe], [], [], 0)[0])
        return False

    def _stuck(self, text: str, how: str) -> StudentFault:
        number = None
        if hasattr(signal, "SIGUSR1"):
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.SIGUSR1)
            time.sleep(LOOK)  # for the trace to be written
            self._printed.seek(0)
            found = re.findall(r'File "([^"]+)", line (\d+)', self._printed.read().decode("utf-8", "replace"))
            number = next((int(line) for file, line in found if Path(file) == self.path), None)
        self._end()
        return self._fault(f"{text} {how} and was stopped", number)

    def _fault(self, words: str, number: object = None) -> StudentFault:
        where = f"{self.path.name}:{number}: " if isinstance(number, int) else f"{self.path.name}: "
        return StudentFault(sanitize(where + words)[:400], self.calls)

    def _decoded(self, result: Any, arguments: tuple[Any, ...], text: str) -> Any:
        try:
            return _resolved(decode(result), _objects(arguments))
        except BadValue as error:
            raise self._fault(f"{text} returned {error}") from None
        except (ValueError, TypeError, LookupError, RecursionError):  # nothing that our child writes
            raise self._forged(text) from None

    def _need(self, name: str) -> None:
        if name not in self._names:
            raise StudentFault(f"{self.path.name} has no {name}", self.calls)

    # ---- the process

    def _read(self) -> None:
        """Put the lines of the pipe into the queue; stop where they are too long or too many."""
        assert self._process.stdout is not None
        rest, descriptor = b"", self._process.stdout.fileno()
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(descriptor, CHUNK):
                *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
                for line in lines[: MAX_AHEAD + 1]:
                    self._lines.put(line)
                if len(rest) > MAX_LINE or self._lines.qsize() > MAX_AHEAD:
                    self._flood = "line" if len(rest) > MAX_LINE else "lines"
                    self._lines.put(b"?")
                    break
        self._lines.put(b"")

    def _exit_code(self) -> int | str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
            return "SIGXCPU, too much processor time" if code == -24 else code
        return "unknown"

    def _end(self) -> None:
        """End the process, and all that it started."""
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)


class Part:
    """One object of the student's file: ``part.rank(owners)`` calls its method."""

    def __init__(self, student: Student, number: int, name: str) -> None:
        self._student = student
        self._number = number
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            return self._student.call_on(self._number, self._name, name, arguments)

        return call


def _objects(arguments: tuple[Any, ...]) -> list[Any]:
    """The dataclasses among the arguments, in the order in which the child meets them."""
    found: list[Any] = []
    for value in arguments:
        if isinstance(value, (list, tuple)):
            found += _objects(tuple(value))
        elif isinstance(value, dict):
            found += _objects(tuple(value.values()))
        elif hasattr(value, "__dataclass_fields__") and type(value).__name__ != "Rng":
            found.append(value)
    return found


def _resolved(value: Any, objects: list[Any]) -> Any:
    """``value`` with the argument that each Reference stands for."""
    if isinstance(value, Reference):
        if not 0 <= value.number < len(objects):
            raise BadValue("an object of another call")
        return objects[value.number]
    if isinstance(value, (list, tuple)):
        return type(value)(_resolved(item, objects) for item in value)
    if isinstance(value, set):
        return {_resolved(item, objects) for item in value}
    if isinstance(value, dict):
        return {key: _resolved(item, objects) for key, item in value.items()}
    return value


def _shown(arguments: tuple[Any, ...]) -> str:
    return ", ".join(_short(value) for value in arguments)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = _LONG_FLOAT.sub(lambda found: f"{float(found[0]):.6g}", repr(value))
    text = sanitize("rng" if type(value).__name__ == "Rng" else text)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
