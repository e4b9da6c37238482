"""Raw runs in, judged figures out."""

from __future__ import annotations

import pytest

from bench.figures import GIB, MIB, cpu, figures, median
from bench.judging import Bound, Figure
from bench.records import CrowdRun, Flooded, HashRun, ManyFiles, Measured, TheirTransfer, Transfer, Usage


def transfer(seconds: float, size: int = GIB, rss: int = 50 * MIB, in_place: float = 0.0) -> Transfer:
    return Transfer(size, seconds, in_place or seconds, (Usage(1.5, rss),), Usage(2.5, rss))


def theirs(seconds: float) -> TheirTransfer:
    return TheirTransfer(GIB, seconds, seconds + 0.5, Usage(1.0, MIB), Usage(2.0, MIB), "2.0.9", "cubic")


def by_name(measured: Measured) -> dict[str, Figure]:
    rows = figures(measured)
    assert len({(row.name, row.note) for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def test_nothing_measured_gives_no_figures() -> None:
    assert figures(Measured(GIB)) == []


def test_the_median_run_counts_not_the_best() -> None:
    measured = Measured(GIB, sha1=[GIB, 2 * GIB, 3 * GIB], ours=[transfer(1), transfer(2), transfer(10)])
    row = by_name(measured)["download, 1 owner"]
    assert row.value == GIB / 2
    assert row.reference == 2 * GIB
    assert row.ratio == 0.25
    assert row.ok is False


def test_the_rate_that_is_judged_ends_with_the_last_piece_and_the_other_with_the_file_in_place() -> None:
    rows = by_name(Measured(GIB, sha1=[2.0 * GIB], ours=[transfer(1, in_place=4)]))
    assert (rows["download, 1 owner"].ratio, rows["download, 1 owner"].ok) == (0.5, True)
    assert (rows["  to file in place"].ratio, rows["  to file in place"].ok) == (0.125, None)


@pytest.mark.parametrize(("seconds", "ok"), [(2.0, True), (1.9, False)])
def test_twice_as_fast_as_libtorrent(seconds: float, ok: bool) -> None:
    row = by_name(Measured(GIB, ours=[transfer(1)], theirs=[theirs(seconds)]))["download ÷ libtorrent"]
    assert row.ok is ok
    assert "2.0.9" in row.note and "cubic" in row.note


def test_start_to_end_counts_what_comes_before_and_after_the_transfer() -> None:
    rows = by_name(Measured(GIB, ours=[transfer(1, in_place=2)], theirs=[theirs(3.5)]))
    row = rows["  the same, start to end"]
    assert (row.value, row.reference, row.ratio, row.ok) == (GIB / 2, GIB / 4, 2.0, None)


@pytest.mark.parametrize(("seconds", "ok"), [(1.1, True), (1.2, False)])
def test_three_owners_must_not_be_slower_than_one(seconds: float, ok: bool) -> None:
    rows = by_name(Measured(GIB, ours=[transfer(1)], three_owners=[transfer(seconds)]))
    assert rows["download, 3 owners"].ok is ok


def test_reports_may_cost_a_twentieth_and_nothing_at_all_when_they_are_off() -> None:
    silent, earlier = [transfer(1.0)], [Transfer(GIB, 1.0, 1.0, (Usage(1.5, 1),), Usage(2.45, 1))]
    rows = by_name(Measured(GIB, reporting=[transfer(1.06)], silent=silent, before=earlier))
    assert rows["download with reports"].ok is False
    assert (rows["CPU, commit before"].value, rows["CPU, commit before"].ok) == (3.95, False)
    rows = by_name(Measured(GIB, reporting=[transfer(1.04)], silent=silent, before=silent))
    assert rows["download with reports"].ok and rows["CPU, commit before"].ok


def test_a_reference_that_is_missing_leaves_a_figure_unjudged() -> None:
    row = by_name(Measured(GIB, ours=[transfer(1)]))["download, 1 owner"]
    assert (row.value, row.ratio, row.ok) == (GIB, None, None)


@pytest.mark.parametrize(("large", "ok"), [(54, True), (70, False), (120, False)])
def test_memory_is_small_and_does_not_grow_with_the_file(large: int, ok: bool) -> None:
    measured = Measured(GIB, ours=[transfer(1)], large=[transfer(4, 4 * GIB, large * MIB)])
    small_row, large_row = (row for row in figures(measured) if row.name == "peak RSS, owner")
    assert small_row.ok is True
    assert large_row.ok is ok


def test_the_largest_peak_of_all_runs_and_owners_counts() -> None:
    many = Transfer(GIB, 1, 1, (Usage(1, 40 * MIB), Usage(1, 101 * MIB)), Usage(1, 10 * MIB))
    row = by_name(Measured(GIB, ours=[transfer(1), many]))["peak RSS, owner"]
    assert (row.value, row.ok) == (101 * MIB, False)


def test_cpu_is_per_gib_and_without_what_idling_takes() -> None:
    assert cpu([Usage(3.0, None), Usage(5.0, None), Usage(9.0, None)], Usage(1.0, None), 2 * GIB) == 2.0
    assert cpu([Usage(1.0, None)], Usage(2.0, None), GIB) == 0.0
    assert cpu([Usage(None, None)], None, GIB) is None


def test_cpu_says_how_much_of_it_was_the_kernels() -> None:
    one = Transfer(GIB, 1, 1, (Usage(2.0, None, 0.5),), Usage(1.0, None, 1.0))
    rows = by_name(Measured(GIB, ours=[one]))
    assert rows["CPU, owner"].note.startswith("25%")
    assert rows["CPU, downloader"].note.startswith("100%")


def test_a_system_that_tells_no_usage_gets_no_rows_of_it() -> None:
    blind = Transfer(GIB, 1, 1, (Usage(None, None),), Usage(None, None))
    names = by_name(Measured(GIB, ours=[blind]))
    assert not [name for name in names if "RSS" in name or "CPU" in name]


def test_many_files() -> None:
    rows = by_name(Measured(GIB, many_files=[ManyFiles(10_000, 4096, 20.0, 10_000, Usage(5, 60 * MIB))]))
    assert rows["many files, a second"].value == 500
    assert rows["many files, peak RSS"].value == 60 * MIB


def test_median_of_what_is_known() -> None:
    assert median([]) is None
    assert median([None, 3.0, None, 1.0]) == 2.0


def test_a_bound_holds_at_its_limit() -> None:
    figure = Figure("x", 3.0, "B/s", "y", 2.0)
    assert Bound("ratio", True, 1.5).holds(figure) is True
    assert Bound("ratio", False, 1.5).holds(figure) is True
    assert Bound("value", True, 3.1).holds(figure) is False
    assert Bound("value", True, 1.0).holds(Figure("x", None, "B")) is None


@pytest.mark.parametrize(("last", "ok"), [(13.0, True), (13.2, False)])
def test_a_crowd_is_judged_by_its_last_node_and_by_the_median_run(last: float, ok: bool) -> None:
    runs = [CrowdRun(2, 64 * MIB, 4_000_000, 10.0, (9.0, end), 5.0) for end in (last, 11.0, 99.0)]
    rows = by_name(Measured(GIB, crowds=runs))
    row = rows["swarm, 1 seed + 2 nodes, last"]
    assert (row.value, row.reference, row.ok) == (last, 10.0, ok)


def test_a_flood_is_judged_beside_the_undisturbed_rate_and_a_failure_is_no_rate() -> None:
    def run(name: str, seconds: float | None) -> Flooded:
        return Flooded(name, 100_000.0, GIB, None if seconds is None else 2.5, seconds)

    floods = [run("undisturbed", 1), run("junk", 1.9), run("mixed", 2.1), run("forged tokens", None)]
    rows = by_name(Measured(GIB, flooded=[*floods, run("a port that nobody reads", 9)]))
    assert {name.partition(": ")[2]: row.ok for name, row in rows.items()} == {
        "undisturbed": None,
        "junk": True,
        "mixed": False,
        "forged tokens": False,
        "a port that nobody reads": None,
    }
    assert "1 of 1 failed" in rows["flood: forged tokens"].note
    assert "begun after 2.5 s" in rows["flood: junk"].note


@pytest.mark.parametrize(("rate", "ok"), [(0.9, True), (0.8, False)])
def test_create_and_verify_are_judged_by_sha1_of_memory(rate: float, ok: bool) -> None:
    rows = by_name(Measured(GIB, create=[HashRun(2.0 * GIB, 1.0 * GIB, rate * GIB, rate * GIB)] * 3))
    for name in ("create_torrent", "verify"):
        assert (rows[name].ratio, rows[name].ok) == (rate, ok)
        assert rows[f"  {name} ÷ SHA-1 in a cache"].ratio == rate / 2
