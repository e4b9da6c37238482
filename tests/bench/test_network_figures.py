"""Runs over emulated links in, judged figures out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.judging import Figure
from bench.network import counting
from bench.network.figures import figures
from bench.network.records import MeasuredFlow, TransferRun, Wire, wire
from bench.network.scenarios import BY_NAME, MBIT, SCENARIOS
from bench.network.topology import FETCHER, owner

TENTH = 20 * MBIT // 10  # bytes that 20 Mb/s carry in a tenth of a second
MEGABYTE = 1_000_000


def run(scenario: str, rate: float, who: str = "ours", done: bool = True, **changes: object) -> TransferRun:
    """A transfer of 10 MB at ``rate`` Mb/s; ``changes`` of its flow, or of its wire."""
    size = 10 * MEGABYTE
    flow = MeasuredFlow(size, size * 8 / rate / 1e6, done, "" if done else "not done in 45 s")
    counted = Wire(11 * MEGABYTE, 100_000, size + 100_000, {"udp": [], "tcp": [], "payload": []})
    flow = replace(flow, **{k: v for k, v in changes.items() if hasattr(flow, k)})  # type: ignore[arg-type]
    counted = replace(counted, **{k: v for k, v in changes.items() if hasattr(counted, k)})  # type: ignore[arg-type]
    return TransferRun(scenario, who, 1, 1, flow, counted)


def by_name(*runs: TransferRun) -> dict[str, Figure]:
    return {row.name.strip(): row for row in figures(runs, SCENARIOS)}


def test_the_median_rate_stands_beside_tcp_and_the_others_in_the_note() -> None:
    rows = by_name(
        *(run("loss1", rate) for rate in (15, 17, 19)),
        run("loss1", 2.1, "TCP cubic"),
        run("loss1", 17.3, "TCP bbr"),
    )
    row = rows["1% loss, 1 owner: ours"]
    assert (row.value, row.reference_name, row.reference, row.ok) == (17, "TCP cubic", 2.1, True)
    assert "TCP bbr 17.3" in row.note


def test_who_is_not_done_has_no_rate_and_is_told_of() -> None:
    row = by_name(run("loss1", 17), run("loss1", 17, done=False), run("loss1", 17, done=False))
    assert row["1% loss, 1 owner: ours"].value == 0
    assert row["1% loss, 1 owner: ours"].ok is False
    assert "2 of 3 not done" in row["1% loss, 1 owner: ours"].note


def test_a_program_that_failed_counts_as_nothing() -> None:
    failed = TransferRun("outages", "ours", 1, 1, MeasuredFlow(0, 0.0, False, "it fell over"), Wire(0, 0, 0))
    rows = by_name(failed)
    assert rows["no link 2 s in 7 s, 1 owner: ours"].value == 0
    assert rows["of what the link offered"].ok is False
    assert rows["redundant payload"].value is None
    fallen = replace(failed, scenario="rival")
    assert by_name(fallen)["of the link that TCP keeps"].ok is False


def test_an_emulator_that_was_late_is_told_of() -> None:
    rows = by_name(run("clean", 18), run("clean", 18, late=0.02))
    assert "emulator late in 1" in rows["no loss, 1 owner: ours"].note


def test_others_alone_are_told_with_their_congestion_control() -> None:
    rows = by_name(run("loss1", 2.1, "TCP cubic", note="cubic, iperf3"))
    assert rows["1% loss, 1 owner: TCP cubic"].value == pytest.approx(2.1)
    assert rows["1% loss, 1 owner: TCP cubic"].note == "cubic, iperf3"


def test_both_directions_are_on_the_wire_and_loss_allows_for_more() -> None:
    clean, half = by_name(run("clean", 18)), by_name(run("loss50", 2, down=20 * MEGABYTE))
    assert clean["on the wire ÷ file"].value == pytest.approx(1.11)
    assert clean["on the wire ÷ file"].ok is True
    assert half["on the wire ÷ file"].value == pytest.approx(2.01)
    assert half["on the wire ÷ file"].ok is True
    assert by_name(run("clean", 18, down=12 * MEGABYTE))["on the wire ÷ file"].ok is False


def test_payload_that_was_there_before_is_redundant() -> None:
    assert by_name(run("twice", 18))["redundant payload"].value == pytest.approx(0.01)
    assert by_name(run("twice", 18))["redundant payload"].ok is True
    assert by_name(run("twice", 18, payload=10_400_000))["redundant payload"].ok is False


def test_the_longest_silence_of_all_runs_counts_where_evenness_does() -> None:
    rows = by_name(run("rough", 12, gap=0.2), run("rough", 12, gap=1.2), run("rough", 12, gap=0.1))
    assert rows["longest without progress"].value == 1.2
    assert rows["longest without progress"].ok is False
    assert by_name(run("clean", 18, gap=1.2))["longest without progress"].ok is None


def test_the_steady_rate_leaves_out_the_beginning_and_the_end() -> None:
    series = [0] * 5 + [10] * 30 + [int(TENTH * 5 * counting.PAYLOAD)] * 50 + [7]
    one = run("fast", 90, series={"payload": series, "udp": [], "tcp": []})
    assert counting.steady(one, BY_NAME["fast"]) == pytest.approx(1.0, rel=0.001)
    assert counting.steady(run("fast", 90), BY_NAME["fast"]) is None


def test_the_worst_return_counts() -> None:
    good, slow = [TENTH] * 90 + [TENTH] * 30, [TENTH] * 20 + [TENTH // 2] * 10
    series = {"payload": [*good, *[0] * 40, *slow, *[TENTH] * 100], "udp": [], "tcp": []}
    assert counting.back(run("outages", 10, series=series), BY_NAME["outages"]) == pytest.approx(5 / 6)


def test_what_a_link_offered_is_less_by_outages_loss_and_slow_times() -> None:
    def part(name: str, begun: float = 0.0) -> float:
        size = 10 * MEGABYTE
        flow = MeasuredFlow(size, 10.0, True, begun=begun)
        return counting.of_link(TransferRun(name, "ours", 1, 1, flow, run(name, 1).wire), BY_NAME[name])

    assert part("twice") == pytest.approx(10 / 25)
    assert part("corrupt30") == pytest.approx(10 / 25 / 0.7)
    assert part("outages") == pytest.approx(10 / 25 / (5 / 7))
    assert part("changing", begun=5.0) == pytest.approx(10 / (7 * 0.25 + 3 * 2.5))


def test_tcp_and_we_share_the_time_that_both_were_there() -> None:
    series = {
        "payload": [],
        "udp": [0] * 30 + [TENTH // 4] * 100,
        "tcp": [TENTH] * 30 + [TENTH * 3 // 4] * 100,
    }
    rows = by_name(run("rival", 5, begun=3.0, seconds=10.0, series=series))
    assert rows["of the link that TCP keeps"].value == pytest.approx(0.75)
    assert rows["of the link that TCP keeps"].ok is True
    assert rows["Jain's index"].value == pytest.approx(0.8)


def test_each_controller_is_judged_by_what_it_promises() -> None:
    even = {"payload": [], "udp": [TENTH // 2] * 100, "tcp": [TENTH // 2] * 100}

    def verdicts(who: str) -> tuple[bool | None, bool | None]:
        rows = by_name(run("rival", 10, who, begun=0.0, seconds=10.0, series=even))
        return rows["of the link that TCP keeps"].ok, rows["Jain's index"].ok

    assert verdicts("ours") == (True, None)
    assert verdicts("ours cubic") == (None, True)
    assert verdicts("ours ledbat") == (False, None)


def test_the_emulators_answer_is_read() -> None:
    def station(sent: int, got: int) -> dict[str, object]:
        series = {"udp": {"2": 5, "0": 7}, "tcp": {}, "payload": {}}
        return {
            "sent": {"tcp": 1, "udp": sent},
            "got": {"tcp": 1, "udp": got},
            "payload": got,
            "series": series,
        }

    stations = {FETCHER: station(10, 300), owner(1): station(100, 5), owner(2): station(200, 5)}
    counted = wire({"stations": stations, "late": 3, "delivered": 300, "busy": 0.2})
    assert (counted.down, counted.up, counted.payload, counted.late) == (300, 10, 300, 0.01)
    assert counted.series["udp"] == [7, 0, 5]


def test_loss_of_all_kinds_adds_up() -> None:
    assert BY_NAME["clean"].loss == 0
    assert BY_NAME["bursts"].loss == pytest.approx(0.05)
    assert BY_NAME["corrupt30"].loss == pytest.approx(0.3)
