"""A user's own classes: loaded with -use, checked at every call, and named by file and line if they fail."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from common.errors import PluginError
from node import plugins
from node.chunk_udp.congestion.manager import CongestionManager
from node.chunk_udp.loss_recovery import RoundTripTime
from node.peer_tcp.choking import PeerTraffic
from node.plugins import Plugin, load
from tests.node.own_classes import CONTROLLER, Write, controller
from tests.node.own_classes import write as write


def test_a_congestion_controller(write: Write) -> None:
    mine = controller(write, "super().on_lost(size, sent_at, now)")
    before = mine.window
    mine.on_lost(1200, 0.0, 1.0)
    assert mine.minimum_window <= mine.window < before


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("self.window /= 0", r"mine\.py:7: Mine\.on_lost\(size=1200, sent_at=0\.0, now=1\.0\) raised Zero"),
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
    with pytest.raises(PluginError, match=r"on_lost\(.*\) took 0 ms; a call may take -1000 ms"):
        mine.on_lost(1200, 0.0, 1.0)


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("x = 1", "Mine", r"mine\.py has no class Mine"),
        ("Mine = 1", "Mine", r"mine\.py has no class Mine"),
        (
            "class Mine:\n  def choos(self): pass",
            "Mine",
            r"is no plugin; it needs one of: the base Congestion",
        ),
        ("class Mine\n  pass", "Mine", r"mine\.py:1: "),
        ("import json\n1 / 0", "Mine", r"mine\.py:2: import raised ZeroDivisionError"),
        ("import nowhere_at_all", "Mine", r"mine\.py:1: import raised ModuleNotFoundError"),
        (
            "class Mine:\n  def __init__(self, must): pass\n  def rank(self, owners): return owners",
            "Mine",
            r"Mine\(\) raised TypeError: .*must",
        ),
        ("import sys\nsys.exit('bye')", "Mine", r"mine\.py:2: import raised SystemExit: bye$"),
        ("x = 1\nexit()", "Mine", r"mine\.py:2: import raised SystemExit$"),
        (
            "class Mine:\n  def __init__(self):\n    exit()\n  def rank(self, owners): return owners",
            "Mine",
            r"mine\.py:3: Mine\(\) raised SystemExit$",
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


def test_a_relative_path_is_shown_as_it_was_written_and_with_the_line(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("class Mine:\n    def rank(self, owners):\n        return 1 / 0\n")
    (path.parent / "sub").mkdir()
    monkeypatch.chdir(path.parent / "sub")
    ranking = load("../mine.py:Mine").factory()
    with pytest.raises(PluginError, match=r"^\.\./mine\.py:3: Mine\.rank\(owners=\[\]\) raised ZeroDiv"):
        ranking.rank([])
    path.write_text("1 / 0\n")
    with pytest.raises(PluginError, match=r"^\.\./mine\.py:1: import raised ZeroDiv"):
        load("../mine.py:Mine")


def test_the_line_of_an_inherited_method_is_not_shown(write: Write) -> None:
    path = write(CONTROLLER.format(body="self.window = 5"))
    mine = load(f"{path}:Mine").factory(1200)
    mine.window = -5
    with pytest.raises(PluginError, match=r"mine\.py: Mine\.pacing_rate\(rtt=Round.*\) returned -"):
        mine.pacing_rate(RoundTripTime())


def test_arguments_without_a_text_of_their_own_are_readable(write: Write) -> None:
    path = write("""
        class Mine:
            def choose(self, available, availability, rng):
                raise OSError(5, "no")
    """)
    with pytest.raises(PluginError, match=r"rng=Random\(\.\.\.\)\) raised OSError: "):
        load(f"{path}:Mine").factory().choose([1], [0], random.Random(1))
    assert repr(RoundTripTime()) == "RoundTripTime(smoothed=0.333000, minimum=inf)"
    assert repr(CongestionManager().join()) == "FlowHandle(1)"


def test_all_arguments_are_shown_where_the_method_does_not_name_them(write: Write) -> None:
    path = write("""
        class Mine:
            def choose(self, available, *others):
                return 1 / 0
    """)
    with pytest.raises(PluginError, match=r"Mine\.choose\(available=\[1\], \[0\], None\) raised Zero"):
        load(f"{path}:Mine").factory().choose([1], [0], None)


@pytest.mark.parametrize("body", ["exit()", "raise SystemExit", "sys.exit()", "raise BaseException"])
def test_an_exit_in_a_call_is_an_error_of_the_class(write: Write, body: str) -> None:
    mine = controller(write, f"import sys; {body}")
    with pytest.raises(PluginError, match=r"mine\.py:7: Mine\.on_lost\(.*\) raised (SystemExit|BaseExc)"):
        mine.on_lost(1200, 0.0, 1.0)


def test_a_choice_of_the_labs_form_is_told_by_its_parameters(write: Write) -> None:
    path = write("""
        class ByName:
            def choose(self, needed, holders, when, chance):
                return max(needed, key=lambda piece: (holders[piece], when))

        class ByNumber:
            def choose(self, a, b, c, d):
                return 99
    """)
    order = load(f"{path}:ByName").factory()
    assert order.choose([1, 4], [0, 3, 0, 0, 2], random.Random(1)) == 1
    says = r"mine\.py:7: ByNumber\.choose\(a=\[1, 4\], b=\{1: 4, 4: 3\}, .* returned 99, which is not needed"
    with pytest.raises(PluginError, match=says):
        load(f"{path}:ByNumber").factory().choose([1, 4], [0, 3, 0, 0, 2], random.Random(1))


@pytest.mark.parametrize("window", ["None", "True", "float('nan')", "2399.0"])
def test_a_window_that_is_none(write: Write, window: str) -> None:
    path = write(f"""
        class Controller:
            def __init__(self, segment):
                self.bytes = 2.0 * segment

            def on_received(self, size, now):
                self.bytes = {window}

            def on_lost(self, sent_at, now):
                pass

            def window(self):
                return self.bytes
    """)
    plugin = load(f"{path}:Controller")
    mine = plugin.factory(1200)
    mine.on_received(1200, 0.0, RoundTripTime(), 1.0, False)  # the window was not full
    assert (plugin.kind, mine.window) == ("congestion", 2400)
    with pytest.raises(PluginError, match=r"mine\.py:12: Controller\.window\(\) returned"):
        mine.on_received(1200, 0.0, RoundTripTime(), 1.0, True)


def test_the_built_in_part_takes_over_from_the_first_fault_on(write: Write) -> None:
    path = write("""
        class Order:
            def choose(self, needed, holders, now, rng):
                return needed[-1] if holders[needed[0]] == 1 else None
    """)
    plugin, told = load(f"{path}:Order"), list[str]()
    plugin.over.tell = told.append
    order, other, rng = plugin.order(), plugin.order(), random.Random(1)
    assert [order.choose([1, 2], [0, 0, 0], rng) for _ in range(3)] == [2, 2, 2]
    assert order.choose([1, 2], [0, 2, 1], rng) == 2  # the rarer one
    assert [each.choose([1, 2], [0, 0, 1], rng) for each in (order, other)] == [1, 1]
    (line,) = told
    assert re.search(
        r"mine\.py:3: Order\.choose\(needed=.* returned None, which .* \(call 4\); .*piece order takes", line
    )


@pytest.mark.parametrize("returned", ["{'node 9'}", "'all'", "{p.name for p in peers}", "1 / 0"])
def test_a_choker_that_names_no_peer_or_too_many_is_replaced(write: Write, returned: str) -> None:
    path = write(f"""
        class Mine:
            def unchoke(self, peers, slots, round, rng):
                return {returned}
    """)
    plugin, told = load(f"{path}:Mine"), list[str]()
    plugin.over.tell = told.append
    peers = {number: PeerTraffic(0, 0, number > 0) for number in range(7)}
    choker = plugin.choker(random.Random(1), None, lambda number: f"node {number}")
    unchoked = choker.round(0.0, peers)
    assert len(told) == 1 and "Mine.unchoke(peers=[AskingPeer(name='node 0'" in told[0]
    assert len(unchoked) == 5 and unchoked <= set(range(1, 7))
    assert choker.round(10.0, peers, seeding=True)


def test_a_choker_is_asked_each_round_and_for_each_new_peer(write: Write) -> None:
    path = write("""
        class Mine:
            calls = []

            def unchoke(self, peers, slots, round, rng):
                self.calls.append((round, [(p.name, p.rate) for p in peers if p.interested]))
                return {p.name for p in peers}
    """)
    plugin = load(f"{path}:Mine")
    choker = plugin.choker(random.Random(1), None, lambda number: f"node {number}")
    quiet = {1: PeerTraffic(0, 0, False)}
    assert choker.round(0.0, quiet) == set()
    eager = {1: PeerTraffic(0, 0, True)}
    assert [choker.round(now, eager) for now in (1.0, 2.0)] == [{1}, {1}]
    assert choker.round(10.0, {1: PeerTraffic(5000, 0, True)}) == {1}
    assert choker._choker.calls == [(0, []), (0, [("node 1", 0.0)]), (1, [("node 1", 500.0)])]
    assert not plugin.over.line


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
