"""``python -m bench tracker``: choice, judgement and display of figures; small runs of the cheapest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import main as bench
from bench.judging import Bound, Figure, at_least, at_most, exit_code
from bench.report import amount
from bench.tracker import cli, measurements
from bench.tracker.clients import Load
from bench.tracker.effort import FULL, QUICK, Effort
from bench.tracker.kills import Result
from bench.tracker.siege import Siege
from bench.tracker.siege import figures as besieged
from bench.tracker.throughput import Compared


def test_the_cheapest_figures_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    bench(["tracker", "--quick", "--only", "sweep", "memory", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "the tracker, quick" in shown and f"saved: {out}" in shown
    saved = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["figure"]: row for row in saved["figures"]}
    assert list(rows) == [
        "sweep",
        "sweep: lock held at a time",
        "memory, 5 files a node",
        "  a node with one file",
        "  another ownership",
    ]
    assert rows["sweep"]["note"] == "2,000 nodes, 20 expired"
    assert rows["memory, 5 files a node"]["bounds"] == [{"of": "value", "at_least": False, "limit": 300}]
    assert rows["memory, 5 files a node"]["ok"] is True
    assert rows["  another ownership"]["value"] > 0  # whatever this process had before
    assert saved["effort"]["nodes"] == QUICK.nodes and not saved["skipped"] and not saved["failed"]


def test_what_takes_long_is_measured_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "missing", lambda name: "")
    outcome = cli.BenchOutcome()
    assert not {"siege", "kills", "several"} & {*cli.chosen((), False, outcome)}
    assert outcome.remarks == [
        f"skipped: {name}: takes long; --long, or --only with its name"
        for name in ("siege", "kills", "several")
    ]
    assert cli.chosen((), True, cli.BenchOutcome()) == [*measurements.BY_NAME]
    assert cli.chosen(("kills", "sweep"), False, cli.BenchOutcome()) == ["sweep", "kills"]


def test_without_redis_its_figures_are_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tracker.measurements.find_spec", lambda name: None)
    outcome = cli.BenchOutcome()
    assert cli.chosen(("sweep", "redis", "several"), False, outcome) == ["sweep"]
    reason = "redis-py is not installed (requirements-redis.txt)"
    assert outcome.skipped == [f"redis: {reason}", f"several: {reason}"]


def test_without_a_redis_server_they_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis")
    monkeypatch.setattr("faults.redis_server.program", lambda: None)
    assert measurements.missing("redis-need") == "redis-server is not installed"
    assert measurements.missing("sweep") == ""


def test_one_that_fails_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(effort: Effort) -> Iterator[Figure]:
        raise RuntimeError("the tracker did not start")

    def works(effort: Effort) -> Iterator[Figure]:
        yield Figure("good", 1, "s", bounds=at_most(2))

    monkeypatch.setitem(measurements.BY_NAME, "register", fails)
    monkeypatch.setitem(measurements.BY_NAME, "need", works)
    words = ["--only", "register", "need", "--out", str(tmp_path / "results.json")]
    assert cli.main(words) == 1
    shown = capsys.readouterr().out
    assert "failed: register: the tracker did not start" in shown and "≤ 2.00 s" in shown
    assert cli.main(["--only", "need", *words[3:]]) == 0


def test_what_is_short_makes_the_exit_code_1() -> None:
    good, unjudged = Figure("good", 3, "/s", bounds=at_least(3)), Figure("unjudged", 3, "/s")
    assert exit_code([good, unjudged]) == 0
    assert exit_code([good, Figure("short", 2.9, "/s", bounds=at_least(3))]) == 1


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(1234.5, "/s", "1,234/s"), (3, "writes", "3 writes"), (0.5, "", "0.50"), (12.345, "ms", "12.35 ms")],
)
def test_amounts(value: float, unit: str, shown: str) -> None:
    assert amount(value, unit) == shown


def test_a_rate_stands_beside_the_constant_route() -> None:
    plain = [Load(100.0, [0.001], 0), Load(300.0, [0.001], 0), Load(200.0, [0.001], 0)]
    ours = [Load(150.0, [0.01], 0), Load(90.0, [0.02], 0), Load(130.0, [0.04], 0)]
    rate, wait = Compared(plain, ours).rows("NEED", 0.6, 120, 30)
    assert (rate.value, rate.reference, rate.ratio, rate.ok) == (130, 200, 0.65, True)
    assert rate.rounds == (150, 90, 130)
    assert (wait.value, wait.unit, wait.ok) == (20, "ms", True)
    slow, late = Compared(plain, ours).rows("NEED", 0.7, None, 19)
    assert slow.bounds == (Bound("ratio", True, 0.7),) and slow.ok is False and late.ok is False


def test_two_processes_are_judged_where_there_are_cores_for_them() -> None:
    on_redis = pytest.importorskip("bench.tracker.on_redis", exc_type=ImportError)
    one, two = on_redis.Speed(1000.0, 4e-4, 5e-5), on_redis.Speed(1500.0, 5e-4, 5e-5)
    speeds = {"1 process, json": [one], "1 process, redis": [one], "2 processes, redis": [two]}
    few = list(on_redis.compared(speeds, 2))
    assert [row.ok for row in few] == [None, None, None] and few[2].ratio == 1.5
    assert "1.60 by processor time; 2 cores" in few[2].note
    assert [row.ok for row in on_redis.compared(speeds, 8)] == [None, None, False]


def test_one_lost_write_is_short() -> None:
    assert Result(1000, 99).figures("tracker killed")[0].ok is True
    row = Result(1000, 99, ["node 1"]).figures("tracker killed")[0]
    assert row.ok is False and row.note == "99 acknowledged, 1,000 kills"


def test_who_is_pushed_out_or_not_answered_is_short() -> None:
    calm = Siege([0.1], [0.4], owners=200, memory_before=1 << 20, memory_most=300 << 20)
    assert [row.ok for row in besieged(calm)] == [True] * 4
    lost = Siege([0.1], [0.6], 1, 0, 199, 1 << 20, 301 << 20)
    assert [row.ok for row in besieged(lost)] == [False] * 4
    assert besieged(Siege())[0].ok is False  # no request was answered


def test_quick_is_less_of_everything() -> None:
    for name in ("seconds", "rounds", "nodes", "kills", "redis_kills", "ids", "slow_clients", "herd", "gone"):
        assert getattr(QUICK, name) < getattr(FULL, name)
