"""Handing in and out: receipts, a folder of hand-ins, Gradescope's zip, a new lab."""

from __future__ import annotations

import csv
import gc
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest

from labs.__main__ import main
from labs.grader import golden
from labs.grader.grade import grade
from labs.grader.lab import LABS, Lab, find, folders, load
from labs.grader.parameters import seed_of
from labs.grader.planted import mistakes
from labs.grader.result import PASSED
from labs.handin import receipt, skeleton
from simulator.flash_crowd import FlashCrowd
from tests.labs.export_rules import check_json

COURSE = "networks"
NOBODY = 65534  # the user without rights
PACK_SECONDS = 60.0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with one cheap stage."""
    return load(skeleton.write("98-receipts", tmp_path_factory.mktemp("labs")))


def receipt_of(lab: Lab, mine: Path, student: str, salt: str = "") -> dict[str, object]:
    *_, result = grade(lab, mine, seed_of(COURSE, salt, lab.name, student), student)
    return receipt.receipt(result)


def test_a_folder_of_hand_ins_becomes_a_table(
    small: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COURSE", raising=False)
    monkeypatch.delenv("TERM_SALT", raising=False)
    monkeypatch.setattr("labs.handin.cli.find", lambda name: small)
    right, ann = small.mine, receipt_of(small, small.mine, "ann")
    told: dict[str, object] = {
        "ann": ann,
        "bob": ann,
        "cy": receipt_of(small, right, "cy", salt="the term before"),
        "dan": receipt_of(small, right, "dan"),
        "fay": {**receipt_of(small, right, "fay"), "stages": {"s1": [PASSED, "0" * 16]}},
        "gus": [1],
        "hal": {**ann, "versions": [], "stages": 7, "student": {}},
        "=1+1": None,
    }
    hands = tmp_path / "hands"
    for student, words in told.items():
        (hands / student).mkdir(parents=True)
        shutil.copy(right, hands / student / "mine.py")
        if words is not None:
            (hands / student / "receipt.json").write_text(json.dumps(words), encoding="utf-8")
    with open(hands / "dan" / "mine.py", "a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert main(["collect", "98", str(hands), "-o", str(tmp_path / "table.csv")]) == 0
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert {student: row["receipt"] for student, row in rows.items()} == {
        "ann": "ok",
        "bob": "refused: the receipt belongs to student 'ann', not 'bob'",
        "cy": "refused: the receipt is of another course, term or student: its seed differs",
        "dan": "refused: the file was changed after the receipt was made",
        "fay": f"refused: stage s1: the receipt says ['passed', '{'0' * 16}'], "
        f"this run {receipt_of(small, right, 'fay')['stages']['s1']}",  # type: ignore[index]
        "gus": f"refused: {hands}/gus/receipt.json is no receipt: it has no format labs/receipt/v1",
        "hal": "refused: the receipt belongs to student {}, not 'hal'",
        "'=1+1": "missing",
    }
    assert {row["points"] for row in rows.values()} == {"1"}


# ---- the zip for Gradescope


def link_python(folder: Path, without_rights: list[str]) -> None:
    """Make ``folder``/python, which setup.sh would install from a network: a Python that anyone may run."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages = sysconfig.get_path("platlib")
    for python in (sys.executable, f"/usr/bin/python{version}"):
        script = f'#!/bin/sh\nPYTHONPATH={packages} exec {python} "$@"\n'
        test = f"PYTHONPATH={packages} {python} -c 'import msgspec'"
        if not subprocess.run([*without_rights, "sh", "-c", test], capture_output=True).returncode:
            folder.mkdir(parents=True)
            (folder / "python").write_text(script, encoding="utf-8")
            (folder / "python").chmod(0o755)
            return
    pytest.skip("no Python with the packages is readable for a user without rights")


def test_the_zip_grades_lab_5_in_a_bare_folder_without_rights(tmp_path: Path) -> None:
    packed, home = tmp_path / "lab5.zip", tmp_path / "autograder"
    assert main(["pack", "05", "--gradescope", str(packed)]) == 0
    with zipfile.ZipFile(packed) as zipped:
        zipped.extractall(home / "source")
        scripts = [zipped.getinfo(name) for name in ("setup.sh", "run_autograder")]
    assert [entry.external_attr >> 16 & 0o111 for entry in scripts] == [0o111, 0o111]
    assert not (home / "source" / "node" / "chunk_udp" / "congestion" / "reno.py").exists()
    for name in ("submission", "results"):
        (home / name).mkdir()
    shutil.copy(find("05").mine, home / "submission" / "mine.py")
    metadata = {"users": [{"email": "ann@example.org"}]}
    (home / "submission_metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    without_rights: list[str] = []
    if hasattr(os, "getuid") and os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is missing: a test as root proves little")
        without_rights = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    link_python(home / "source" / ".venv" / "bin", without_rights)
    if without_rights:
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        for path in (tmp_path, *list(tmp_path.parents)[:-2]):
            path.chmod(path.stat().st_mode | 0o711)
    command = [*without_rights, "bash", str(home / "source" / "run_autograder")]
    environment = {"PATH": os.environ["PATH"], "AUTOGRADER": str(home), "HOME": str(home)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the folder is as it was unpacked
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert time.monotonic() - began <= PACK_SECONDS
    assert done.returncode == 0, done.stderr
    report = check_json(home / "results" / "results.json", "gradescope")
    assert report["score"] == sum(stage.points for stage in find("05").stages), report
    assert report["extra_data"]["seeds"] == {
        "05-congestion": f"{seed_of(COURSE, '', '05-congestion', 'ann@example.org'):016x}"
    }


# ---- a new lab


def test_a_new_lab_passes_its_own_checks_and_catches_its_mistake(tmp_path: Path) -> None:
    lab = load(skeleton.write("08-x", tmp_path))
    *_, result = grade(lab, lab.mine, 1, "ann")
    assert result.has_passed
    [mistake] = mistakes(lab.folder)
    assert list(golden.write(lab)) == []
    assert "likely:   it is squared" in mistake.transcript.read_text(encoding="utf-8")
    text = mistake.path.read_text(encoding="utf-8")
    mistake.path.write_text(text.replace("number * number", "number + number"), encoding="utf-8")
    assert list(golden.write(lab)) == ["08-x: s1 does not catch squared"]


# ---- the same run everywhere

HASHES = """
import json, sys
from labs.grader.grade import grade
from labs.grader.lab import find
for name in sys.argv[1:]:
    *_, result = grade(find(name), find(name).mine, 7, "ann")
    print(json.dumps([[each.status, each.trace_hash, each.calls] for each in result.stages]))
"""
PLAIN = ("03", "04")  # labs whose checks need nothing but the standard library


def run_by(python: str, seed: str) -> list[str] | None:
    """The lines of HASHES; None if this Python cannot be run, or lacks a package."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(LABS.parent)}
    with_packages = python == sys.executable
    command = [python, "-c", HASHES, *PLAIN]
    done = subprocess.run(command, env=environment, cwd=LABS.parent, capture_output=True, text=True)
    if done.returncode and not with_packages and "ModuleNotFoundError" in done.stderr:
        return None
    return None if done.returncode == 127 else done.stdout.splitlines()


@pytest.mark.parametrize("version", ["this", "3.10", "3.11", "3.12", "3.13"])
def test_traces_are_equal_on_each_python_and_hash_seed(version: str) -> None:
    pythons = [sys.executable] if version == "this" else [f"python{version}"]
    if version != "this":
        pythons += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    lines = next(filter(None, (run_by(python, "random") for python in pythons if shutil.which(python))), None)
    if lines is None:
        pytest.skip(f"Python {version} is not there")
    expected = []
    for name in PLAIN:
        *_, result = grade(find(name), find(name).mine, 7, "ann")
        expected.append([[each.status, each.trace_hash, each.calls] for each in result.stages])
    assert [json.loads(line) for line in lines] == expected


def test_a_stage_leaves_no_swarm_in_memory() -> None:
    lab = find("07")
    gc.disable()
    try:
        *_, result = grade(lab, lab.mine, 7, "ann", "s4")
        swarms = [each for each in gc.get_objects() if isinstance(each, FlashCrowd)]
    finally:
        gc.enable()
    assert result.stages[0].status == PASSED and not swarms


SOAKED = "LAB_RUNS" in os.environ
SOLVED = tuple(folder.name for folder in folders()) if SOAKED else ("02", "04")
PARTS = 8 if SOAKED else 1  # of the runs: so the load lasts until the slowest lab is done


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SOLVED)
def test_our_solution_passes_each_time(name: str, part: int) -> None:
    """LAB_RUNS times, in all parts together: make soak-labs N=200."""
    lab, hashes = find(name), set()
    for _ in range(-(-int(os.environ.get("LAB_RUNS", "3")) // PARTS)):
        *_, result = grade(lab, lab.mine, 7, "ann")
        assert result.has_passed, [stage.story for stage in result.stages if stage.story]
        hashes.add(tuple(stage.trace_hash for stage in result.stages))
    assert len(hashes) == 1
