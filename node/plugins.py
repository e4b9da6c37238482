"""A user's own parts of a node: ``-use FILE.py:Class`` replaces a built-in part by a class of that file.

Four kinds of parts can be replaced. The methods of a class decide its kind:

    congestion   ``on_received(size, now)``, ``on_lost(sent_at, now)`` and ``window()``; or a subclass of
                 CongestionController
    piece-order  ``choose(needed, holders, now, rng)`` returns an item of ``needed``;
                 or ``choose(available, availability, rng)`` returns an item of ``available``
    ranking      ``rank(owners)`` returns the owners (FoundPeer), the best first
    choker       ``unchoke(peers, slots, round, rng)`` returns the names of the peers to serve

A plugin that raises, does not return, takes too long, or returns an impossible value, raises PluginError
instead: one line with the file and line, the call with its arguments, and the reason. In a node the line is
shown once, and the built-in part takes over for the rest of the run (``node.user_parts``).
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import math
import random
import re
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
from node.part_calls import PartCalls
from node.user_parts.chokers import UserChoker
from node.user_parts.controllers import MakeController, UserController, WindowController
from node.user_parts.orders import ChooserOrder, UserOrder
from node.user_parts.rankings import UserRanking
from node.user_parts.take_over import TakeOver

CALL_LIMIT = 0.05  # max seconds of the processor for one call of a plugin
_SHOWN = 60  # characters of an argument that a message shows
_ADDRESS = re.compile(r"<(?:[\w<>]+\.)*(\w+) object at 0x[0-9a-fA-F]+>")  # of an object without a repr
_SEGMENT_SIZE = 7216  # bytes; for the trial instance of a congestion controller

Check = Callable[[Any, tuple[Any, ...], Any], str]  # instance, arguments, result -> what is wrong, or ""


@dataclass(frozen=True)
class PluginKind:
    """A kind of part that a user may replace."""

    name: str
    calls: dict[str, Check]  # the methods that the node calls; the first one identifies the kind
    arguments: tuple[Any, ...] = ()  # for a trial instance
    base: type | None = None  # the class that a plugin must inherit
    in_place: bool = False  # called too often for a thread for each call
    builtin: str = ""  # the part of the node that it replaces
    is_small: bool = False  # of the labs' form, which an adapter fits into the node


@dataclass(frozen=True)
class Plugin:
    """A loaded class for the settings.

    ``factory`` makes instances whose calls are checked: they raise PluginError. The methods make parts for a
    node, which raise nothing: ``over`` reports the first fault, and the built-in part takes over.
    """

    kind: str
    spec: str
    factory: Callable[..., Any]
    over: TakeOver

    def order(self) -> UserOrder:
        """The piece order of a download that begins now."""
        return UserOrder(self.factory, self.over)

    def ranking(self) -> UserRanking:
        """The owner ranking of a download."""
        return UserRanking(self.factory, self.over)

    def controller(self, segment_size: int, builtin: MakeController) -> CongestionController:
        """The congestion controller of a connection."""
        return UserController(segment_size, self.factory, builtin, self.over)

    def choker(self, rng: random.Random, upload_limit: int | None, name_of: Callable[[Any], str]) -> Any:
        """The choker of a torrent."""
        return UserChoker(rng, upload_limit, name_of, self.factory, self.over)


def load(spec: str) -> Plugin:
    """Load the class that ``FILE.py:Class`` names. PluginError if it is no plugin."""
    file, _, name = spec.rpartition(":")
    if not file or not name.isidentifier():
        raise PluginError(f"{sanitize(spec)!r} names no class; FILE.py:Class is wanted")
    path = Path(file).expanduser().resolve()
    calls = PartCalls(sanitize(file), str(path))
    cls = getattr(_module(calls), name, None)
    if not inspect.isclass(cls):
        raise PluginError(f"{calls.file} has no class {name}")
    kind = _kind_of(calls, cls)
    factory = _fitted(calls, cls, kind, _factory(calls, name, _checked(calls, cls, kind)))
    factory(*kind.arguments)
    return Plugin(kind.name, spec, factory, TakeOver(calls, kind.builtin))


def _fitted(calls: PartCalls, cls: type, kind: PluginKind, make: Callable[..., Any]) -> Callable[..., Any]:
    """``make``, with an adapter around a class of the labs' form that needs one."""
    if not kind.is_small:
        return make

    def nonsense(text: str) -> None:
        calls.failed_call = calls.failed_call or calls.made
        raise PluginError(f"{_place(calls, cls.window)}: {cls.__name__}.{text}")  # type: ignore[attr-defined]

    if kind.name == "congestion":
        return lambda segment: WindowController(make(segment), segment, nonsense)
    return lambda: ChooserOrder(make())


def _factory(calls: PartCalls, name: str, checked: type) -> Callable[..., Any]:
    """Makes instances of ``checked``; a constructor that fails raises PluginError."""

    def make(*arguments: Any) -> Any:
        def call() -> str:
            return f"{name}({_shown(arguments)})"

        try:
            return calls.on_thread(call, lambda: checked(*arguments))
        except PluginError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit would end the thread without a word
            raise _fault(calls, call(), error) from None

    return make


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


def _one_of_needed(order: Any, arguments: tuple[Any, ...], result: Any) -> str:
    return "" if result in arguments[0] else f"returned {_shown((result,))}, which is not needed"


def _names_of_peers(choker: Any, arguments: tuple[Any, ...], result: Any) -> str:
    peers, slots = arguments[:2]
    if not isinstance(result, (set, frozenset, list, tuple)):
        return f"returned {_shown((result,))}; a set of names of peers is wanted"
    names = [peer.name for peer in peers]
    strangers = [name for name in result if name not in names]
    if strangers:
        return f"returned {_shown(strangers[:1])}, which is the name of no peer"
    return "" if len(set(result)) <= slots else f"returned {len(set(result))} names; there are {slots} slots"


def _anything(part: Any, arguments: tuple[Any, ...], result: Any) -> str:
    return ""


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
        in_place=True,
        builtin="congestion control",
    ),
    PluginKind(
        "congestion",
        {"window": _anything, "on_received": _anything, "on_lost": _anything},
        (_SEGMENT_SIZE,),
        in_place=True,
        builtin="congestion control",
        is_small=True,
    ),
    PluginKind("piece-order", {"choose": _one_of_needed}, builtin="piece order", is_small=True),
    PluginKind("piece-order", {"choose": _one_of_available}, builtin="piece order"),
    PluginKind("ranking", {"rank": _same_owners}, builtin="order of owners"),
    PluginKind("choker", {"unchoke": _names_of_peers}, builtin="choker"),
)
_SMALL_CHOICE = {"needed", "holders"}  # parameters of ``choose`` in the labs' form


def _module(calls: PartCalls) -> Any:
    """The module in the part's file, executed."""
    path = Path(calls.path)
    name = f"plugin_{path.stem}_{abs(hash(path)):x}"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"{calls.file}: a file of Python (.py) is wanted")
        module: Any = importlib.util.module_from_spec(spec)
        module.exit = module.quit = sys.exit  # those of ``site`` close stdin, which the prompt reads
        sys.modules[name] = module  # dataclasses look for it there
        loader = spec.loader
        calls.on_thread(lambda: "import", lambda: loader.exec_module(module))
    except (PluginError, KeyboardInterrupt):
        raise
    except SyntaxError as error:
        where = calls.file if error.filename in (None, calls.path) else sanitize(str(error.filename))
        raise PluginError(f"{where}:{error.lineno}: {sanitize(error.msg)}") from None
    except BaseException as error:  # SystemExit would end the node without a word
        if isinstance(error, OSError) and not _lines(calls, error):
            raise PluginError(f"{calls.file}: {error.strerror or error}") from None
        raise _fault(calls, "import", error) from None
    return module


def _kind_of(calls: PartCalls, cls: type) -> PluginKind:
    for kind in KINDS:
        if _is_of_kind(cls, kind):
            return kind
    if callable(getattr(cls, "may_send", None)):
        raise PluginError(
            f"{calls.file}: {cls.__name__} has a method may_send: python -m labs runs it, a node does not"
        )
    raise PluginError(
        f"{calls.file}: {cls.__name__} is no plugin; it needs one of: the base CongestionController, "
        f"methods on_received, on_lost and window, a method choose, rank or unchoke"
    )


def _is_of_kind(cls: type, kind: PluginKind) -> bool:
    if kind.base is not None:
        return issubclass(cls, kind.base)
    methods = list(kind.calls) if kind.in_place else list(kind.calls)[:1]
    if not all(callable(getattr(cls, name, None)) for name in methods):
        return False
    if kind.name != "piece-order" or not kind.is_small:
        return True
    try:
        names = list(inspect.signature(cls.choose).parameters)[1:]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return False
    return bool(_SMALL_CHOICE & set(names)) or len(names) == 4


def _checked(calls: PartCalls, cls: type, kind: PluginKind) -> type:
    """A subclass of ``cls`` whose calls raise only PluginError."""
    run = calls.in_place if kind.in_place else calls.on_thread
    methods = {
        name: _guarded(calls, run, cls, getattr(cls, name), check)
        for name, check in kind.calls.items()
        if hasattr(cls, name)
    }
    return type(cls.__name__, (cls,), {**methods, "__module__": cls.__module__, "__doc__": cls.__doc__})


def _guarded(
    calls: PartCalls, run: Callable[..., Any], cls: type, method: Callable[..., Any], check: Check
) -> Callable[..., Any]:
    """``method`` whose time and result are checked, and whose errors become PluginError."""

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        calls.made += 1
        number = calls.made

        def text() -> str:
            return _call(cls, method, (*arguments, *named.values()))

        def call() -> tuple[Any, float, str]:
            began = time.thread_time()  # a busy machine is not the plugin's fault
            result = method(self, *arguments, **named)
            took = time.thread_time() - began
            return result, took, check(self, (*arguments, *named.values()), result)

        try:
            result, took, wrong = run(text, call)
        except KeyboardInterrupt:
            raise
        except PluginError:
            calls.failed_call = calls.failed_call or number
            raise
        except BaseException as error:  # SystemExit would end the thread without a word
            calls.failed_call = calls.failed_call or number
            raise _fault(calls, text(), error) from None
        if took > CALL_LIMIT:
            wrong = f"took {1000 * took:.0f} ms; a call may take {1000 * CALL_LIMIT:g} ms"
        if wrong:
            calls.failed_call = calls.failed_call or number
            raise PluginError(f"{_place(calls, method)}: {text()} {wrong}")
        return result

    return guarded


def _fault(calls: PartCalls, call: str, error: BaseException) -> PluginError:
    """``error``, which ``call`` raised, with the line of the plugin's file that it comes from."""
    lines = _lines(calls, error)
    where = f"{calls.file}:{lines[-1]}" if lines else calls.file
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PluginError(f"{where}: {call} raised {sanitize(what)}")


def _lines(calls: PartCalls, error: BaseException) -> list[int]:
    """The lines of the plugin's file that ``error`` passed, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno or 0 for frame in frames if frame.filename == calls.path]


def _call(cls: type, method: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """``Class.method(name=value, ...)``."""
    try:
        parameters = list(inspect.signature(method).parameters.values())[1:]
    except (TypeError, ValueError):
        parameters = []
    names = [each.name for each in parameters if each.kind is not each.VAR_POSITIONAL]
    texts = [f"{name}={_shown((value,))}" for name, value in zip(names, arguments, strict=False)]
    texts += [_shown((value,)) for value in arguments[len(names) :]]
    return f"{cls.__name__}.{method.__name__}({', '.join(texts)})"


def _shown(values: Sequence[Any]) -> str:
    texts = (sanitize(_ADDRESS.sub(r"\1(...)", repr(value))) for value in values)
    return ", ".join(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..." for text in texts)


def _place(calls: PartCalls, method: Callable[..., Any]) -> str:
    """The file, and the line of ``method`` if it is not inherited from another file."""
    code = getattr(method, "__code__", None)
    return f"{calls.file}:{code.co_firstlineno}" if code and code.co_filename == calls.path else calls.file
