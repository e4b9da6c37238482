"""``python -m labs show``: the command that a failed check names runs, and shows that moment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.events import SwarmEvent, check_event, decode_event
from common.vocabulary import KEYFRAME
from labs import run_log
from labs.__main__ import main
from labs.grader.lab import Lab, folders, load
from labs.grader.planted import mistakes
from labs.grader.trace import Row
from tests.labs.test_replay import lines_in

LABS = [load(folder) for folder in folders()]


def events_in(page: Path) -> list[SwarmEvent]:
    """The events of a page, without the header and the keyframe for the end."""
    events = [decode_event(line) for line in lines_in(page)[1:]]
    assert events[-1].name == KEYFRAME
    return events[:-1]


@pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
def test_what_a_failed_check_says_to_see_is_shown_at_that_moment(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = mistakes(lab.folder)[0]
    mine, page = tmp_path / "mine.py", tmp_path / "run.html"
    mine.write_text(mistake.source(lab.mine.read_text(encoding="utf-8")), encoding="utf-8")
    story = mistake.transcript.read_text(encoding="utf-8")
    command = re.search(r"see it: +python -m labs (.+)", story)
    assert command
    assert main([*command[1].split(), "--mine", str(mine), "-o", str(page)]) == 0
    said = capsys.readouterr().out
    assert str(page) in said and "*****" in said
    events = events_in(page)
    assert all(check_event(event) for event in events)
    assert events[-1].data["reason"].startswith("FAIL: ")
    [last] = events[-1].data["messages"]
    nodes = {event.node for event in events if event.name == "node:started" and event.node is not None}
    others = nodes - {events[-1].node}
    assert (last["message"], last["peer"]) == ("FAIL", min(others, default=None))  # in the others' diagram
    if at := re.search(r"where: +([\d.]+) s", story):
        assert f"***** {at[1]} s: " in said
        assert events[-1].time / 1000 == pytest.approx(float(at[1]), abs=0.001)


def test_a_run_that_passes_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "run.html"
    assert main(["show", "01", "s2", "--all", "--student", "ann", "-o", str(page)]) == 0
    assert "«each file is announced once»" in capsys.readouterr().out
    first, second, *rows = events_in(page)
    assert [first.data["program"], second.data["program"]] == ["you, labs 1", "tracker, labs 1"]
    assert [row.data["messages"][0]["direction"] for row in rows] == ["out", "in"] * (len(rows) // 2)


def test_a_file_that_cannot_be_imported_is_one_line_and_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, page = tmp_path / "mine.py", tmp_path / "run.html"
    mine.write_text("import no_such_module\n", encoding="utf-8")
    assert main(["show", "02", "s1", "--student", "ann", "--mine", str(mine), "-o", str(page)]) == 1
    said = capsys.readouterr()
    assert "no_such_module" in said.err and said.err.count("\n") == 1 and said.out == ""
    assert [each.name for each in tmp_path.iterdir()] == ["mine.py"]


def test_a_row_becomes_a_message_with_its_fields() -> None:
    rows = [
        Row(1.0, "→ REQUEST 2", "may_send() = True", "", "fetcher", "owner", "REQUEST 2", {"offset": 9}),
        Row(1.0, "╳ REQUEST 2 is lost", "", "lost", "fetcher", "owner", "REQUEST 2"),
        Row(2.0, "→ REQUEST 2 [0, 9)", "", "", "fetcher", "owner", "REQUEST 2", {"offset": 9}),
        Row(3.0, "← DATA 2", "", "", "owner", "fetcher", "DATA 2"),
        Row(4.0, "a \x1b note\x00", "", "", "", "", "", {"NAN": float("nan"), "huge": 10**40, "a": [1]}),
    ]  # fmt: skip
    found = [event.data["messages"][0] for event in run_log.events(rows, "x") if event.name != "node:started"]
    assert [(each["direction"], each["message"], each["fields"].get("sequence")) for each in found] == [
        ("out", "REQUEST", 2),
        ("out", "REQUEST", 2),
        ("in", "DATA", 2),
        ("here", "a � note�", None),
    ]
    assert (found[0]["lost"], found[0]["fields"]["offset"]) == (True, 9)
    assert found[1]["again"] == 2
    assert found[3]["fields"]["huge"] == str(10**40)


@pytest.mark.parametrize("number", ["03", "04"])
def test_a_sender_fetches_over_real_sockets(
    number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "live.html"
    assert main(["live", number, "--delay", "5", "--drop", "3", "--window", "4", "-o", str(page)]) == 0
    said = capsys.readouterr().out
    assert "REQUEST 1 [0, 1,440)" in said and re.search(r"60 segments of 1,440 bytes in [\d.]+ s", said)
    messages = [event.data["messages"][0] for event in events_in(page)[2:]]
    assert sum(each["message"] == "DATA" for each in messages) >= 60


def test_a_sender_that_never_sends_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("class Sender:\n    def __init__(self, window): raise ValueError(window)\n", "utf-8")
    assert main(["live", "03", "--mine", str(mine), "-o", str(tmp_path / "x.html")]) == 1
    assert "mine.py:2: Sender(8) raised ValueError: 8" in capsys.readouterr().out
    assert main(["live", "05"]) == 2
