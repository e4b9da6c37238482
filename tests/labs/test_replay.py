"""``python -m labs replay`` without a browser: order, size, and words about files that cannot be shown."""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import SwarmEvent, decode_event
from common.log_file import LogWriter, make_header
from common.swarm_state import SwarmState
from labs import replay
from labs.__main__ import main
from labs.replay import ReplayLine, in_order_of_time
from tests.sample_log import write_sample


def lines_in(page: Path) -> list[bytes]:
    """The recording inside a page."""
    found = re.search(r'id="recording">([^<]*)</script>', page.read_text(encoding="utf-8"))
    assert found
    return gzip.decompress(base64.b64decode(found[1])).splitlines()


def event(time: float, node: int | None = None, name: str = "node:left") -> SwarmEvent:
    return SwarmEvent(time, node, 1, name, {})


def test_the_page_has_all_events_and_of_the_keyframes_only_one_for_its_end(tmp_path: Path) -> None:
    recording = tmp_path / "run.jsonl.gz"
    count = write_sample(recording, nodes=3, pieces=10, seconds=20)
    assert main(["replay", str(recording)]) == 0
    header, *lines, last = lines_in(tmp_path / "run.html")
    events = [decode_event(line) for line in lines]
    assert header.startswith(b'{"log":"swarm/1"') and len(events) == count
    assert "keyframe" not in {each.name for each in events}
    state = SwarmState()
    for each in events:
        state.apply(each)
    keyframe = decode_event(last)
    assert keyframe.name == "keyframe"
    assert keyframe.data == msgspec.json.decode(msgspec.json.encode(state.as_json()))


LINES = st.builds(ReplayLine, st.floats(0, 9), st.none() | st.integers(0, 2), st.booleans(), st.binary())


@given(st.lists(LINES, max_size=20))
def test_lines_are_in_order_of_time_and_those_of_a_node_in_their_own(lines: list[ReplayLine]) -> None:
    found = in_order_of_time(lines)
    for node in (None, 0, 1, 2):
        assert [each for each in found if each.node == node] == [each for each in lines if each.node == node]
    assert barriers(found) == barriers(lines)
    for part in parts(found):
        highest: dict[int | None, float] = {}
        times = [highest.setdefault(each.node, 0) for each in part]
        for at, each in enumerate(part):
            times[at] = highest[each.node] = max(highest[each.node], each.time)
        assert times == sorted(times)


def barriers(lines: list[ReplayLine]) -> list[tuple[int, ReplayLine]]:
    """Where each barrier stands."""
    return [(at, each) for at, each in enumerate(lines) if each.is_barrier]


def parts(lines: list[ReplayLine]) -> list[list[ReplayLine]]:
    """The lines between the barriers."""
    ends = [at for at, _ in barriers(lines)] + [len(lines)]
    return [lines[start:end] for start, end in zip([0, *(at + 1 for at in ends)], ends, strict=False)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rubbish", 'run: This file is no recording: line 1 has no "log".\n'),
        (None, "run: No such file or directory\n"),
        ([], "run: This recording has no events.\n"),
        ([event(at, 1) for at in range(6)], "run: A page holds 5 events, and this recording has more.\n"),
    ],
    ids=["rubbish", "missing", "empty", "too long"],
)
def test_a_file_that_cannot_be_shown_is_one_line(
    tmp_path: Path,
    content: bytes | list[SwarmEvent] | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "MAX_EVENTS", 5)
    path = tmp_path / "run"
    if isinstance(content, list):
        with LogWriter(path, make_header("a test", "x")) as log:
            for each in content:
                log.write(each)
    elif content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path), "-o", str(tmp_path / "run.html")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/{message}"
    assert not (tmp_path / "run.html").exists()


def test_a_cut_recording_is_shown_and_said_to_be_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    write_sample(path, nodes=2, pieces=5, seconds=20)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:40], b"rubbish\n", lines[40], lines[41][:20]]))
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: The recording ends in the middle of line 43.",
        f"{path}: lines that are no events are left out: 1, the last is line 41: not JSON: "
        "JSON is malformed: invalid character (byte 0)",
    ]
    *events, keyframe = lines_in(tmp_path / "run.html")
    assert len(events) == 41 and b'"keyframe"' in keyframe
