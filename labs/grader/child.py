"""The program of the child process: loads a student's file, and carries out calls that arrive as JSON lines.

Run as ``python -I child.py FILE MEMORY SECONDS``. Requests come on standard input, answers go to standard
output, and the output of the student's file goes to standard error. It imports nothing of ours. The parent
trusts no answer: it judges the values that the calls returned. An answer repeats the random id of its
request, so that no answer can be written in advance.

A solution computes. It starts no process, opens no socket, writes no file, and reads none but itself and the
standard library: ``guard`` ends the process otherwise. It is a fence, not a prison: Python that takes this
program apart gets over it, and then has what the limits and the parent leave it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

MAX_TEXT = 300  # characters of an error's text
DEEDS = {  # audit events (their first letters), and the deed that a solution tried; all are forbidden
    **dict.fromkeys(("os.fork", "os.posix_spawn", "os.spawn", "os.exec", "os.system"), "start a process"),
    **dict.fromkeys(("os.startfile", "subprocess.", "pty.spawn"), "start a process"),
    **dict.fromkeys(("os.kill", "signal.pthread_kill"), "end a process"),
    **dict.fromkeys(
        ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"), "change a folder"
    ),
    **dict.fromkeys(
        ("os.chdir", "os.fchdir", "os.chmod", "os.chown", "os.truncate", "os.utime"), "change a folder"
    ),
    **dict.fromkeys(("shutil.", "tempfile."), "write a file"),
    **dict.fromkeys(("ctypes.",), "use ctypes"),
    **dict.fromkeys(("socket.",), "use the network"),
}
MODULES = {  # not loaded yet when the guard is set
    **dict.fromkeys(("_posixsubprocess", "_winapi", "_multiprocessing"), "start a process"),
    **{"_ctypes": "use ctypes", "_socket": "use the network"},
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM_FILES = ("/dev/null", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo/")


class Objects:
    """The student's file, the objects made of it, and the objects that calls were given."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.module: ModuleType | None = None
        self.objects: list[Any] = []
        self.rngs: dict[int, random.Random] = {}
        self.given: dict[int, tuple[int, Any]] = {}  # id -> (number, object): arguments of the current call

    def load(self) -> None:
        module = ModuleType("mine")
        module.__file__ = self.path
        sys.modules["mine"] = module
        with open(self.path, "rb") as file:
            code = compile(file.read(), self.path, "exec", dont_inherit=True)
        exec(code, vars(module))
        self.module = module

    def answer(self, request: dict[str, Any]) -> Any:
        self.given = {}
        kind, arguments = request["do"], [self.decode(value) for value in request.get("arguments", [])]
        if kind == "load":
            self.load()
            return sorted(name for name in vars(self.module) if not name.startswith("_"))
        if kind == "make":
            self.objects.append(getattr(self.module, request["name"])(*arguments))
            return len(self.objects) - 1
        if kind == "get":
            return self.encode(getattr(self.objects[request["object"]], request["name"]))
        if kind == "value":
            return self.encode(getattr(self.module, request["name"]))
        owner = self.module if request["object"] is None else self.objects[request["object"]]
        member = getattr(owner, request["name"])
        return self.encode(member(*arguments) if callable(member) else member)

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind = value["$"]
        if kind == "rng":
            return self.rngs.setdefault(value["seed"], random.Random(value["seed"]))
        if kind == "bytes":
            return bytes.fromhex(value["hex"])
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in value["items"]}
        if kind == "object":
            fields = {name: self.decode(item) for name, item in value["fields"].items()}
            made = type(value["class"], (SimpleNamespace,), {"__hash__": lambda self: id(self)})(**fields)
            self.given[id(made)] = (len(self.given), made)
            return made
        items = [self.decode(item) for item in value["items"]]
        return tuple(items) if kind == "tuple" else set(items)

    def encode(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if id(value) in self.given:
            return {"$": "reference", "number": self.given[id(value)][0]}
        if isinstance(value, list):
            return [self.encode(item) for item in value]
        if isinstance(value, (tuple, set, frozenset)):
            kind = "tuple" if isinstance(value, tuple) else "set"
            return {"$": kind, "items": [self.encode(item) for item in value]}
        if isinstance(value, bytes):
            return {"$": "bytes", "hex": value.hex()}
        if isinstance(value, dict):
            return {"$": "dict", "items": [[self.encode(k), self.encode(v)] for k, v in value.items()]}
        return {"$": "unknown", "text": f"a {type(value).__name__}"}


def fault(error: BaseException, path: str) -> dict[str, Any]:
    """The error, and the innermost line of the student's file that it passed."""
    lines: list[int | None] = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path
    ]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
    text = str(error)[:MAX_TEXT]
    return {"error": type(error).__name__, "text": text, "line": lines[-1] if lines else None}


def limit(memory: int, seconds: int) -> None:
    """Limits of this process, where the system has them."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def deed(  # the defaults are bound here: a solution that gives these names other values changes nothing
    event: str,
    arguments: tuple[Any, ...],
    readable: tuple[str, ...],
    deeds: tuple[tuple[str, str], ...] = tuple(DEEDS.items()),
    modules: tuple[tuple[str, str], ...] = tuple(MODULES.items()),
    writing: int = WRITING,
    kind_of: Callable[[object], type] = type,
    decoded: Callable[[Any], str] = os.fsdecode,
) -> str:
    """The forbidden deed that a solution tried; "" if there is none. ``readable``: beginnings of names."""
    if event == "open":
        name, flags = arguments[0], arguments[2]
        if kind_of(name) is int or name == "/dev/null":
            return ""
        name = decoded(name)
        if flags & writing:
            return f"write a file: {name!r}"
        if ".." in name or (name[:1] in "/\\" or name[1:2] == ":") and not name.startswith(readable):
            return f"read a file: {name!r}"
        return ""
    for begin, words in modules if event == "import" else deeds:
        if arguments[0] == begin if event == "import" else event.startswith(begin):
            return words
    return ""


def guard(path: str, tell: Callable[[dict[str, Any]], None]) -> None:
    """From now on, end the process, after ``tell``, once it does something that a solution may not."""
    found = [path, __file__, *SYSTEM_FILES, *(entry for entry in sys.path if entry)]
    readable, frame_of, leave, judge = tuple(found), sys._getframe, os._exit, deed
    events = (*DEEDS, "open", "import")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(events):
            return
        words = judge(event, arguments, readable)
        if not words:
            return
        frame: Any = frame_of()
        while frame is not None and frame.f_code.co_filename != path:
            frame = frame.f_back
        tell({"deed": words[:MAX_TEXT], "line": None if frame is None else frame.f_lineno})
        leave(3)

    sys.addaudithook(hook)


def end_with_parent(parent: int, now: Callable[[], int], leave: Callable[[int], object]) -> None:
    """End this process when the grader is gone, whatever the solution does."""
    pause = threading.Event().wait
    while now() == parent:
        pause(0.5)
    leave(3)


def main() -> None:
    path, memory, seconds = sys.argv[1:]
    read = os.fdopen(os.dup(0), "r", encoding="utf-8")
    write = os.fdopen(os.dup(1), "w", encoding="utf-8")
    asked = {"id": ""}  # the request that is being carried out
    encoded = json.JSONEncoder().encode

    def tell(answer: dict[str, Any]) -> None:
        write.write(encoded({**answer, **asked}) + "\n")
        write.flush()

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() ends at once
    os.dup2(2, 1)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=False)  # shows the parent the line of a loop
    limit(int(memory), int(seconds))
    sys.dont_write_bytecode = True
    threading.Thread(target=end_with_parent, args=(os.getppid(), os.getppid, os._exit), daemon=True).start()
    part = Objects(path)
    guard(path, tell)
    decoded = json.JSONDecoder().decode
    for line in read:
        request = decoded(line)
        asked["id"] = request["id"]
        try:
            answer = {"ok": part.answer(request)}
        except BaseException as error:  # SystemExit and KeyboardInterrupt of the student's file too
            answer = fault(error, path)
        try:
            tell(answer)
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            tell({"error": type(error).__name__, "text": "the result is too deep or too large", "line": None})


if __name__ == "__main__":
    main()
