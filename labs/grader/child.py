"""The program of the child process: loads a student's file, and carries out calls that arrive as JSON lines.

Run as ``python -I child.py FILE MEMORY SECONDS``. Requests come on standard input, answers go to standard
output, and whatever the student's file prints goes to standard error. It imports nothing of ours. The parent
trusts no answer: it judges from what the calls returned.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import os
import random
import signal
import sys
import traceback
from types import ModuleType, SimpleNamespace
from typing import Any

MAX_TEXT = 300  # characters of an error's text


class Objects:
    """The student's file, the objects made of it, and the objects that calls were given."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.module: ModuleType | None = None
        self.objects: list[Any] = []
        self.rngs: dict[int, random.Random] = {}
        self.given: dict[int, tuple[int, Any]] = {}  # id -> (number, object): arguments of the current call

    def load(self) -> None:
        name = "mine"
        spec = importlib.util.spec_from_file_location(name, self.path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
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
    """What happened, and the innermost line of the student's file that it passed."""
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


def main() -> None:
    path, memory, seconds = sys.argv[1:]
    read = os.fdopen(os.dup(0), "r", encoding="utf-8")
    write = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() ends at once
    os.dup2(2, 1)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=False)  # tells the parent the line of a loop
    limit(int(memory), int(seconds))
    part = Objects(path)
    for line in read:
        try:
            answer = {"ok": part.answer(json.loads(line))}
        except BaseException as error:  # SystemExit and KeyboardInterrupt of the student's file too
            answer = fault(error, path)
        try:
            text = json.dumps(answer)
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            text = json.dumps({"error": type(error).__name__, "text": "the result is too deep", "line": None})
        write.write(text + "\n")
        write.flush()


if __name__ == "__main__":
    main()
