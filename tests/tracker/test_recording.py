"""The recording of the live log: continued after a restart, cut files, a full disk, a stuck disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from common.errors import LocalFault
from common.events import SwarmEvent, encode_event
from common.log_file import LogReader, make_header
from tracker import recording
from tracker.recording import LogRecorder

PATIENCE = 20.0  # seconds


def line(time: float, seq: int, node: int = 1) -> bytes:
    return encode_event(SwarmEvent(time, None, seq, "tracker:exit", {"node": node}))


def record(path: Path, *lines: bytes) -> list[str]:
    """Write a recording, or continue it; the reasons why it ended early."""
    reasons: list[str] = []
    recorder = LogRecorder(path, reasons.append)
    recorder.start(make_header("a test", "tests", recorder.begun))
    recorder.put(list(lines))
    recorder.close()
    recorder._thread.join(PATIENCE)
    return reasons


def events(path: Path) -> list[tuple[str, float, int]]:
    with LogReader(path) as reader:
        found = [(event.name, event.time, event.seq) for event in reader if event.name != "keyframe"]
    assert reader.damage == ""
    return found


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz"])
def test_a_recording_goes_on_after_a_gap_of_the_downtime(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert record(path, line(5, 1), line(100, 2)) == []
    with LogReader(path) as reader:
        header = reader.header
    assert record(path, line(4100, 1), line(4200, 2)) == []
    assert events(path) == [
        ("tracker:exit", 5, 1), ("tracker:exit", 100, 2), ("gap", 4100, 3),
        ("tracker:exit", 4100, 1), ("tracker:exit", 4200, 2),
    ]  # fmt: skip
    with LogReader(path) as reader:
        assert reader.header == header
        assert next(event.data for event in reader if event.name == "gap") == {"events": 0, "span_ms": 4000}
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("cut", [1, 7, 30, 60])
def test_a_cut_recording_goes_on_with_its_whole_lines(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.jsonl"
    record(path, *(line(number, number) for number in range(1, 6)))
    path.write_bytes(path.read_bytes()[:-cut])
    assert record(path, line(9000, 1)) == []
    found = events(path)
    assert found[-2:] == [("gap", 9000, found[-3][2] + 1), ("tracker:exit", 9000, 1)]
    assert 3 <= len(found) - 2 <= 5 and found[0] == ("tracker:exit", 1, 1)


def test_a_copy_that_was_interrupted_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.gz"
    record(path, line(5, 1))
    path.replace(path.with_name("run.jsonl.gz.before"))
    path.write_bytes(b"half a copy")
    assert record(path, line(50, 1)) == []
    assert [name for name, _, _ in events(path)] == ["tracker:exit", "gap", "tracker:exit"]
    assert [each.name for each in tmp_path.iterdir()] == ["run.jsonl.gz"]


@pytest.mark.parametrize("content", [b"my thesis\n", b'{"log": "other/1"}\n', b"\x1f\x8b junk"])
def test_another_file_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(LocalFault) as caught:
        LogRecorder(path, lambda reason: None)
    assert "thesis.txt" in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == content and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match=r"cannot record into .*nowhere.run: No such file"):
        LogRecorder(tmp_path / "nowhere" / "run", lambda reason: None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_the_recording_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.symlink_to("/dev/full")
    (reason,) = record(path, line(5, 1))
    assert reason.startswith("the recording ended: ") and "No space left" in reason and "\n" not in reason


def test_a_stuck_disk_costs_events_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_BATCHES", 2)
    path, stuck, reached = tmp_path / "run.jsonl", threading.Event(), threading.Event()
    recorder = LogRecorder(path, lambda reason: None)
    write = recorder._write

    def slow_write(*arguments):  # type: ignore[no-untyped-def]
        reached.set()
        assert stuck.wait(PATIENCE)
        write(*arguments)

    monkeypatch.setattr(recorder, "_write", slow_write)
    recorder.start(make_header("a test", "tests"))
    recorder.put([line(1, 1)])
    assert reached.wait(PATIENCE)
    for number in range(2, 12):
        recorder.put([line(number, number)])
    stuck.set()
    recorder.close()
    recorder._thread.join(PATIENCE)
    assert [(name, seq) for name, _, seq in events(path)] == [
        ("tracker:exit", 1), ("tracker:exit", 2), ("tracker:exit", 3), ("gap", 4),
    ]  # fmt: skip
