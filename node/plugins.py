"""A user's own parts of a node: ``-use FILE.py:Class`` replaces a built-in part by a class of that file.

Three kinds of parts can be replaced. The methods of a class decide its kind:

    congestion   a subclass of CongestionController
    piece-order  ``choose(available, availability, rng)`` returns an item of ``available``
    ranking      ``rank(owners)`` returns the owners (FoundPeer), the best first

A plugin that raises, or returns an impossible value, raises PluginError instead: one line with the file and
line, the call with its arguments, and the reason. The download that called it fails with that line; the node
and its other downloads go on.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import PluginError
from common.text import sanitize
from node.chunk_udp.congestion.base import CongestionController

CALL_LIMIT = 1.0  # max seconds of the processor for one call of a plugin
_SHOWN = 60  # characters of an argument that a message shows
_SEGMENT_SIZE = 7216  # bytes; for the trial instance of a congestion controller

Check = Callable[[Any, tuple[Any, ...], Any], str]  # instance, arguments, result -> what is wrong, or ""


@dataclass(frozen=True)
class PluginKind:
    """A kind of part that a user may replace."""

    name: str
    calls: dict[str, Check]  # the methods that the node calls; the first one identifies the kind
    arguments: tuple[Any, ...] = ()  # for a trial instance
    base: type | None = None  # the class that a plugin must inherit


@dataclass(frozen=True)
class Plugin:
    """A loaded class for the settings. ``factory`` makes instances whose calls are checked."""

    kind: str
    spec: str
    factory: Callable[..., Any]


def load(spec: str) -> Plugin:
    """Load the class that ``FILE.py:Class`` names. PluginError if it is no plugin."""
    file, _, name = spec.rpartition(":")
    if not file or not name.isidentifier():
        raise PluginError(f"-use {sanitize(spec)}: FILE.py:Class is wanted")
    path = Path(file).expanduser()
    cls = getattr(_module(path), name, None)
    if not inspect.isclass(cls):
        raise PluginError(f"{sanitize(file)} has no class {name}")
    kind = _kind_of(path, cls)
    checked = _checked(path, cls, kind)
    try:
        checked(*kind.arguments)
    except Exception as error:
        raise _fault(path, f"{name}({_shown(kind.arguments)})", error) from None
    return Plugin(kind.name, spec, checked)


def _window(controller: Any, arguments: tuple[Any, ...], result: Any) -> str:
    window, least = controller.window, controller.minimum_window
    if not isinstance(window, (int, float)) or not math.isfinite(window) or window < least:
        return f"left window at {window!r}; at least two segments ({least} bytes) are needed"
    return ""


def _rate(controller: Any, arguments: tuple[Any, ...], result: Any) -> str:
    valid = isinstance(result, (int, float)) and math.isfinite(result) and result > 0
    return "" if valid else f"returned {result!r}; a positive number of bytes a second is wanted"


def _one_of_available(order: Any, arguments: tuple[Any, ...], result: Any) -> str:
    return "" if result in arguments[0] else f"returned {result!r}, which is not in available"


def _same_owners(ranking: Any, arguments: tuple[Any, ...], result: Any) -> str:
    valid = isinstance(result, list) and all(owner in arguments[0] for owner in result)
    return "" if valid else f"returned {_shown((result,))}; a list of the given owners is wanted"


KINDS = (
    PluginKind(
        "congestion",
        {
            "on_lost": _window,
            "on_received": _window,
            "on_round": _window,
            "on_persistent_congestion": _window,
            "pacing_rate": _rate,
        },
        (_SEGMENT_SIZE,),
        CongestionController,
    ),
    PluginKind("piece-order", {"choose": _one_of_available}),
    PluginKind("ranking", {"rank": _same_owners}),
)


def _module(path: Path) -> Any:
    """The module in the file ``path``, executed."""
    name = f"plugin_{path.stem}_{abs(hash(path)):x}"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"{sanitize(path)}: a file of Python (.py) is wanted")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look for it there
        spec.loader.exec_module(module)
    except PluginError:
        raise
    except SyntaxError as error:
        raise PluginError(f"{sanitize(path)}:{error.lineno}: {error.msg}") from None
    except OSError as error:
        raise PluginError(f"{sanitize(path)}: {error.strerror or error}") from None
    except Exception as error:
        raise _fault(path, "import", error) from None
    return module


def _kind_of(path: Path, cls: type) -> PluginKind:
    for kind in KINDS:
        if (kind.base is not None and issubclass(cls, kind.base)) or (
            kind.base is None and callable(getattr(cls, next(iter(kind.calls)), None))
        ):
            return kind
    wanted = ", ".join(
        kind.base.__name__ if kind.base is not None else f"a method {next(iter(kind.calls))}"
        for kind in KINDS
    )
    raise PluginError(f"{sanitize(path)}: {cls.__name__} is no plugin; it needs one of: {wanted}")


def _checked(path: Path, cls: type, kind: PluginKind) -> type:
    """A subclass of ``cls`` whose calls raise only PluginError."""

    def guarded(name: str, check: Check) -> Callable[..., Any]:
        method = getattr(cls, name)

        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            began = time.thread_time()  # a busy machine is not the plugin's fault
            try:
                result = method(self, *arguments, **named)
            except Exception as error:
                raise _fault(path, _call(cls, method, arguments), error) from None
            took = time.thread_time() - began
            arguments += tuple(named.values())
            wrong = check(self, arguments, result)
            if took > CALL_LIMIT:
                wrong = f"took {took:.1f} s; a call may take {CALL_LIMIT:g} s"
            if wrong:
                where = f"{sanitize(path)}:{_line_of(method)}"
                raise PluginError(f"{where}: {_call(cls, method, arguments)} {wrong}")
            return result

        return call

    calls = {name: guarded(name, check) for name, check in kind.calls.items() if hasattr(cls, name)}
    return type(cls.__name__, (cls,), {**calls, "__module__": cls.__module__, "__doc__": cls.__doc__})


def _fault(path: Path, call: str, error: Exception) -> PluginError:
    """``error``, which ``call`` raised, with the line of the plugin's file that it comes from."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    where = f"{sanitize(path)}:{lines[-1]}" if lines else sanitize(path)
    return PluginError(f"{where}: {call} raised {sanitize(f'{type(error).__name__}: {error}')}")


def _call(cls: type, method: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """``Class.method(name=value, ...)``."""
    try:
        names: Sequence[str] = list(inspect.signature(method).parameters)[1:]
    except (TypeError, ValueError):
        names = ()
    named = [f"{name}={_shown((value,))}" for name, value in zip(names, arguments, strict=False)]
    return f"{cls.__name__}.{method.__name__}({', '.join(named) or _shown(arguments)})"


def _shown(values: Sequence[Any]) -> str:
    texts = (sanitize(repr(value)) for value in values)
    return ", ".join(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..." for text in texts)


def _line_of(method: Callable[..., Any]) -> int:
    return method.__code__.co_firstlineno if hasattr(method, "__code__") else 1
