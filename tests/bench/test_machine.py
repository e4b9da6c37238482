"""Facts of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import machine

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/vdb /with\\040space xfs rw 0 0
first /twice ext4 rw 0 0
second /twice tmpfs rw 0 0
short
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/anywhere/else", "ext4"),
        ("/dev/shm/bench", "tmpfs"),
        ("/dev/shmother", "ext4"),
        ("/with space/x", "xfs"),
        ("/twice", "tmpfs"),  # the later mount hides the earlier one
    ],
)
def test_the_file_system_of_a_folder(folder: str, kind: str) -> None:
    assert machine.file_system(Path(folder), MOUNTS) == kind


def test_a_system_without_mounts_says_unknown() -> None:
    assert machine.file_system(Path("/x"), "") == "unknown"


def test_facts_are_complete_and_known(tmp_path: Path) -> None:
    facts = machine.facts(tmp_path)
    wanted = {"system", "processor", "cores", "python", "openssl", "tcp_congestion_control", "rmem_max"}
    assert wanted | {"file_system"} <= facts.keys()
    assert int(facts["cores"]) >= 1
    assert all(str(value) for value in facts.values())


def test_no_folder_has_room_for_everything(tmp_path: Path) -> None:
    assert machine.ram_folder(1 << 60) is None
    assert machine.disk_folder(1 << 60, [tmp_path]) is None
    assert 0 <= machine.room(tmp_path) < 1 << 60
