"""A user's own classes: loaded with -use, checked at every call, and named by file and line if they fail."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import PluginError
from node import plugins
from node.chunk_udp.congestion.base import CongestionController
from node.plugins import Plugin, load

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write(source)``: a file ``mine.py``."""

    def do(source: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return do


CONTROLLER = """
from node.chunk_udp.congestion.reno import Reno


class Mine(Reno):
    def on_lost(self, size, sent_at, now):
        {body}
"""


def controller(write: Write, body: str) -> CongestionController:
    plugin = load(f"{write(CONTROLLER.format(body=body))}:Mine")
    assert plugin.kind == "congestion"
    made = plugin.factory(1200)
    assert isinstance(made, CongestionController)
    return made


def test_a_congestion_controller(write: Write) -> None:
    mine = controller(write, "super().on_lost(size, sent_at, now)")
    before = mine.window
    mine.on_lost(1200, 0.0, 1.0)
    assert mine.minimum_window <= mine.window < before


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "self.window /= 0",
            r"mine\.py:7: Mine\.on_lost\(size=1200, sent_at=0\.0, now=1\.0\) raised Zero",
        ),
        ("self.window = 5", r"mine\.py:6: Mine\.on_lost\(size=1200, .*\) left window at 5; at least two seg"),
        ("self.window = None", r"left window at None"),
        ("raise ValueError('two\\nlines')", r"raised ValueError: two.lines$"),
    ],
)
def test_a_call_that_fails_is_named_with_its_line_and_arguments(write: Write, body: str, says: str) -> None:
    mine = controller(write, body)
    with pytest.raises(PluginError, match=says) as caught:
        mine.on_lost(1200, 0.0, 1.0)
    assert str(caught.value).isprintable()


def test_a_piece_order(write: Write) -> None:
    path = write("""
        class Last:
            def choose(self, available, availability, rng):
                return available[-1] if len(available) > 1 else 99
    """)
    plugin = load(f"{path}:Last")
    assert plugin.kind == "piece-order"
    order, rng = plugin.factory(), random.Random(1)
    assert order.choose([1, 4, 6], [0] * 7, rng) == 6
    with pytest.raises(PluginError, match=r"mine\.py:3: Last\.choose\(available=\[1\], .* returned 99, wh"):
        order.choose([1], [0, 0], rng)


def test_an_owner_ranking(write: Write) -> None:
    path = write("""
        class Reversed:
            def rank(self, owners):
                return list(reversed(owners)) if owners else None
    """)
    plugin = load(f"{path}:Reversed")
    assert plugin.kind == "ranking"
    ranking = plugin.factory()
    assert ranking.rank(["a", "b"]) == ["b", "a"]
    with pytest.raises(PluginError, match=r"returned None; a list of the given owners is wanted"):
        ranking.rank([])


def test_a_call_that_takes_too_long_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "CALL_LIMIT", -1.0)
    mine = controller(write, "pass")
    with pytest.raises(PluginError, match=r"on_lost\(.*\) took 0\.0 s; a call may take -1 s"):
        mine.on_lost(1200, 0.0, 1.0)


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("x = 1", "Mine", r"mine\.py has no class Mine"),
        ("Mine = 1", "Mine", r"mine\.py has no class Mine"),
        (
            "class Mine:\n  def choos(self): pass",
            "Mine",
            r"is no plugin; it needs one of: Congestion",
        ),
        ("class Mine\n  pass", "Mine", r"mine\.py:1: "),
        ("import json\n1 / 0", "Mine", r"mine\.py:2: import raised ZeroDivisionError"),
        ("import nowhere_at_all", "Mine", r"mine\.py:1: import raised ModuleNotFoundError"),
        (
            "class Mine:\n  def __init__(self, must): pass\n  def rank(self, owners): return owners",
            "Mine",
            r"Mine\(\) raised TypeError: .*must",
        ),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(write: Write, source: str, name: str, says: str) -> None:
    path = write(source)
    with pytest.raises(PluginError, match=says) as caught:
        load(f"{path}:{name}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:", ":Mine", "mine.py:a b", ""])
def test_what_is_no_spec(spec: str) -> None:
    with pytest.raises(PluginError, match="FILE.py:Class is wanted"):
        load(spec)


def test_a_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="nowhere.py: No such file"):
        load(f"{tmp_path / 'nowhere.py'}:Mine")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(PluginError, match="a file of Python"):
        load(f"{tmp_path / 'notes.txt'}:Mine")


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    loaded: list[Plugin] = []
    for folder, answer in (("a", "1"), ("b", "2")):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(f"class Mine:\n  def choose(self, a, b, c): return {answer}\n")
        loaded.append(load(f"{path}:Mine"))
    assert [plugin.factory().choose([1, 2], [], None) for plugin in loaded] == [1, 2]
