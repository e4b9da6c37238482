"""Bytes that change where they lie: nothing is lost, or the damage is named; a repair keeps the rest."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StorageFault
from faults.disk import MemoryDisk
from tests.tracker.storage.swarm import FOLDER, State, history, node, opened, state_of
from tracker.model import NodeJoined
from tracker.storage.lines import encode_line
from tracker.storage.reading import read_folder
from tracker.storage.upkeep import check

Files = dict[str, bytes]


@functools.cache
def folder() -> tuple[Files, State, str]:
    """A folder after some snapshots and a crash, what it holds, and the newest journal."""
    disk = MemoryDisk()
    keeper, swarm, _ = opened(disk)
    keeper._source = swarm
    for number, changes in enumerate(history(60)):
        keeper.wait(swarm.apply(changes, keeper))
        if number % 14 == 6:
            keeper.save()
    files = disk.files()
    return files, swarm.state, max(path for path in files if "journal" in path)


NAMES = sorted(folder()[0])


def outcome(files: Files) -> tuple[State | None, str]:
    """What a start on these files gives, and all that it says."""
    try:
        _, swarm, contents = opened(MemoryDisk(files))
    except StorageFault as error:
        assert "\n" not in str(error)
        return None, str(error)
    assert not any("\n" in remark for remark in contents.remarks)
    return swarm.state, "\n".join(contents.remarks)


def test_there_is_all_that_can_be_damaged() -> None:
    kinds = ("nodes.json", "files.json", "snapshot.json", "previous/nodes.json", "previous/files.json")
    assert all(str(FOLDER / kind) in NAMES for kind in kinds)
    assert sum("journal" in name for name in NAMES) == 2
    assert all(len(text) > 100 for text in folder()[0].values())


@settings(max_examples=400)
@given(st.sampled_from(NAMES), st.data())
def test_no_change_of_bytes_goes_unnoticed(name: str, data: st.DataObject) -> None:
    files, state, _ = folder()
    text = files[name]
    start = data.draw(st.integers(0, len(text)), "from")
    end = data.draw(st.integers(start, min(len(text), start + 300)), "to")
    put = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"0", b" "])), "in its place")
    damaged = {**files, name: text[:start] + put + text[end:]}
    found, said = outcome(damaged)
    used = name.removeprefix(f"{FOLDER}/")
    if found == state:
        return
    assert name in said, f"{used}: not all is there, and nobody is told"
    if found is None:
        assert "check --repair" in said
    verdict = check(disk := MemoryDisk(damaged), FOLDER, repair=True)
    assert verdict.sound and name in "\n".join(verdict.lines)
    opened(MemoryDisk(disk.files()))


@pytest.mark.parametrize("part", ["nodes.json", "files.json"])
def test_a_damaged_file_is_made_good_by_the_one_before_it(part: str) -> None:
    files, state, _ = folder()
    path = str(FOLDER / part)
    damaged = {**files, path: files[path].replace(b": ", b":  ", 1)}
    disk = MemoryDisk(damaged)
    _, swarm, contents = opened(disk)
    assert swarm.state == state
    (remark,) = contents.remarks
    assert path in remark and f"{part}.corrupt-1" in remark
    assert disk.files()[f"{path}.corrupt-1"] == damaged[path]


def test_a_missing_file_is_made_good_as_well() -> None:
    files, state, _ = folder()
    for part in ("nodes.json", "files.json", "snapshot.json"):
        rest = {path: text for path, text in files.items() if path != str(FOLDER / part)}
        assert outcome(rest)[0] in (state, None), part


def test_a_missing_journal_is_missed() -> None:
    files, _, newest = folder()
    rest = {path: text for path, text in files.items() if path != newest}
    assert outcome(rest) == (None, outcome(rest)[1]) and newest in outcome(rest)[1]


def test_a_damaged_middle_is_named_and_read_around_by_a_repair() -> None:
    files, state, newest = folder()
    lines = files[newest].splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"', b"'", 1)
    damaged = {**files, newest: b"".join(lines)}
    found, said = outcome(damaged)
    number = lines[2].split()[0].decode()
    assert found is None and f"record {number} " in said and newest in said
    disk = MemoryDisk(damaged)
    assert not check(disk, FOLDER, repair=False).sound
    assert disk.files() == damaged
    verdict = check(disk, FOLDER, repair=True)
    assert verdict.sound and any(f"{newest} is kept as" in line for line in verdict.lines)
    assert disk.files()[f"{newest}.corrupt-1"] == damaged[newest]
    assert check(disk, FOLDER, repair=False).lines[-1] == "sound"
    _, swarm, contents = opened(disk)
    assert not contents.remarks
    assert len(swarm.state[0]) >= len(state[0]) - 1


def test_a_crash_in_a_repair_does_not_lose_what_could_be_read() -> None:
    files, _, newest = folder()
    lines = files[newest].splitlines(keepends=True)
    damaged = {**files, newest: b"".join([lines[0], b"?\n", *lines[2:]])}
    disk = MemoryDisk(damaged)
    left: list[Files] = []
    disk.before_call = lambda call: left.append(disk.files())
    check(disk, FOLDER, repair=True)
    expected = state_of(read_folder(disk, FOLDER))
    for half in left:
        again = MemoryDisk(half)
        assert check(again, FOLDER, repair=True).sound
        assert state_of(read_folder(again, FOLDER)) == expected


def test_the_end_of_a_write_that_a_crash_cut_off_is_cut_whatever_is_left_of_it() -> None:
    files, state, newest = folder()
    last = int(files[newest].splitlines()[-1].split()[0])
    group = [encode_line(last + n, last, '[{"left": 1}]') for n in (1, 2, 3)]
    for tail in (
        group[0][:9],
        group[0][:-1],
        b"\0" * 40 + group[1] + group[2],
        b"\n\n",
        group[1][3:] + group[2],
    ):
        found, said = outcome({**files, newest: files[newest] + tail})
        assert found == state and f"{newest}: the last {len(tail)} bytes" in said


def test_a_gap_before_a_record_that_proves_it_is_no_torn_tail() -> None:
    files, _, newest = folder()
    last = int(files[newest].splitlines()[-1].split()[0])
    later = encode_line(last + 2, last + 1, '[{"left": 1}]')
    found, said = outcome({**files, newest: files[newest] + b"junk\n" + later})
    assert found is None and f"record {last + 1} " in said
    found, said = outcome({**files, newest: files[newest] + later})
    assert found is None and f"record {last + 2} " in said


def test_a_journal_of_a_later_version_is_not_touched() -> None:
    files, _, newest = folder()
    number = int(newest.removeprefix(f"{FOLDER}/journal-").removesuffix(".log"))
    header = encode_line(0, 0, json.dumps({"journal": number, "format": 2}))
    assert "another version" in outcome({**files, newest: header})[1]


def test_files_of_the_earlier_version_are_taken_over(tmp_path: Path) -> None:
    files = {
        "/db/nodes.json": b'{\n"1": {"addr": ["127.0.0.1", 4001], "uploads": 3, "rate": 3.0}\n}\n',
        "/db/files.json": b'{\n"f": [{"node_id": 1, "complete": true}]\n}\n',
    }
    disk = MemoryDisk(files)
    keeper, swarm, contents = opened(disk)
    assert not contents.remarks and swarm.state[0] == {1: node(1, 3)} and len(swarm.state[1]) == 1
    keeper._source = swarm
    keeper.wait(swarm.apply([NodeJoined(node(2))], keeper))
    keeper.save()
    assert opened(MemoryDisk(disk.files()))[1].state == swarm.state
    assert disk.files()["/db/previous/nodes.json"] == files["/db/nodes.json"]
