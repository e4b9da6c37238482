"""Hand-ins that attack the grader: each is one line, no points, valid exports, and nothing left behind."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from labs.exports import WRITERS, write_all
from labs.grader import student
from labs.grader.grade import begun, grade
from labs.grader.lab import LABS, find
from labs.grader.result import FAILED, LabResult
from tests.labs.export_rules import check_all

LAB = find("05")
OVER = 2.0  # seconds that a stage may last longer than the limit that it breaks
START = 10.0  # seconds to begin a process and grade, on a machine with other work
FIRST = """
_plain = Controller.on_received
def _hostile(self, size, now):
    BODY
    return _plain(self, size, now)
Controller.on_received = _hostile
"""
ANSWERS = "import os\n    os.write(4, b'{\"ok\": null}\\n' * COUNT)"  # 4: the answers' pipe in the child
FENCE = (
    "import builtins, os, sys; main = sys.modules['__main__']; main.DEEDS.clear(); main.MODULES.clear()\n"
    "    main.deed = main.guard = builtins.isinstance = builtins.next = lambda *_: False\n"
    "    main.WRITING, os._exit = 0, print\n    os.fork()"
)
HOSTILE = {  # what the first call does, then goes on rightly: words of the line that the student reads
    "endless loop": ("while True: pass", "ran for 1 s of the processor"),
    "patched clock": ("import time; time.time = time.monotonic = lambda: 0\n    while 1: 1", "ran for"),
    "sleep": ("import time; time.sleep(99)", "did not return for 2 s"),
    "recursion": ("_hostile(self, size, now)", "RecursionError"),
    "crash": ("import os; os.abort()", "ended the process (exit code -6)"),
    "memory": ("bytearray(1 << 30)", "MemoryError"),
    "exit": ("import os; os._exit(0)", "ended the process (exit code 0)"),
    "sys.exit": ("raise SystemExit(0)", "SystemExit"),
    "input": ("input('passed? ')", "EOFError"),
    "results": ("open('results.json', 'w').write('{\"score\": 100}')", "tried to write a file: 're"),
    "results by os": ("import os; os.open('r', os.O_CREAT)", "tried to write a file"),
    "fork": ("import os; os.fork()", "start a process"),
    "fork in a session": ("import os\n    if os.fork() == 0: os.setsid(); input()", "start a process"),
    "program": ("import subprocess; subprocess.Popen(['sleep', '99'])", "start a process"),
    "shell": ("import os; os.system('sleep 99 &')", "start a process"),
    "parent": ("import os; os.kill(os.getppid(), 9)", "tried to end a process"),
    "parent's files": ("import os; open(f'/proc/{os.getppid()}/environ').read()", "to read a file: '/proc/"),
    "our solution": ("import sys; open(sys.argv[0] + '/../../05-congestion/mine.py')", "to read a file"),
    "network": ("import socket; socket.socket()", "tried to use the network"),
    "ctypes": ("import ctypes", "tried to use ctypes"),
    "the fence": (FENCE, "tried to start a process"),
    "an answer in advance": (ANSWERS.replace("COUNT", "1"), "wrote to the grader's pipe"),
    "many answers": (ANSWERS.replace("COUNT", "9999"), "wrote to the grader's pipe"),
    "a huge line": ("import os\n    while 1: os.write(4, b'x' * 9999)", "returned more than 4 MB"),
    "no JSON": ("import os\n    os.write(4, b'[' * 99999 + b'\\n')", "wrote to the grader's pipe"),
}  # fmt: skip
RETURNED = {  # what window() returns: words of the line
    "text": ("'passed'", "bytes are wanted"),
    "nan": ("float('nan')", "nan"),
    "infinity": ("float('inf')", "inf"),
    "a long list": ("[0] * 200_000", "more than 100,000 values"),
    "a huge number": ("10 ** 4000", "150 digits"),
    "a huge text": ("'x' * (5 << 20)", "more than 4 MB"),
    "deep": ("[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]", "nested too deep"),
    "an object": ("object()", "a object"),
    "None": ("None", "None"),
}


def hand_in(folder: Path, addition: str) -> Path:
    mine = folder / "mine.py"
    mine.write_text(LAB.mine.read_text(encoding="utf-8") + addition, encoding="utf-8")
    return mine


def graded(mine: Path, folder: Path, stage: str) -> LabResult:
    """Grade one stage, as ``python -m labs grade`` does with every export; nothing is left behind."""
    before = set(mine.parent.iterdir())
    result = begun(LAB, mine, 1, "ann", stage)
    for result in grade(LAB, mine, 1, "ann", stage):
        write_all({name: folder / name for name in WRITERS}, [result])
    assert set(mine.parent.iterdir()) == before
    for process in psutil.process_iter(["cmdline"]):
        assert str(mine) not in (process.info["cmdline"] or []), "a process is left behind"
    return result


def check_failed(result: LabResult, folder: Path, words: str) -> None:
    [stage] = result.stages
    assert (stage.status, stage.points) == (FAILED, 0)
    assert words in stage.summary and "\n" not in stage.summary
    report = check_all(folder)
    assert report["points"] == 0 and report["labs"][0]["stages"][0]["summary"] == stage.summary


@pytest.mark.skipif(os.name == "nt", reason="its acts are those of POSIX")
@pytest.mark.parametrize(("body", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_call_is_one_line_and_no_points(
    body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "CALL_SLEEP", limit := 2.0 if "sleep(" in body else 10.0)
    (hands := tmp_path / "hands").mkdir()
    mine = hand_in(hands, FIRST.replace("BODY", f"print('passed')\n    {body}"))
    began = time.monotonic()
    check_failed(graded(mine, tmp_path, "s1"), tmp_path, words)
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert time.monotonic() - began < limit + OVER + START


def test_many_short_sleeps_reach_the_limit_of_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "STAGE_SLEEP", 0.4)
    (hands := tmp_path / "hands").mkdir()
    mine = hand_in(hands, FIRST.replace("BODY", "import time; time.sleep(0.05)"))
    check_failed(graded(mine, tmp_path, "s1"), tmp_path, "did not return within 0.4 s of the stage")


def test_a_pause_of_the_grader_is_not_the_students_sleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(0.0, 3600.0)  # an hour passes between any two looks at the clock
    clock = SimpleNamespace(monotonic=lambda: next(hours), sleep=time.sleep)
    monkeypatch.setattr(student, "time", clock)
    (hands := tmp_path / "hands").mkdir()
    once = "import time; time.sleep(0.0 if hasattr(time, 'slept') else 0.4); time.slept = True"
    assert graded(hand_in(hands, FIRST.replace("BODY", once)), tmp_path, "s1").has_passed


@pytest.mark.parametrize(("value", "words"), RETURNED.values(), ids=RETURNED)
def test_an_impossible_result_is_one_line_and_no_points(value: str, words: str, tmp_path: Path) -> None:
    (hands := tmp_path / "hands").mkdir()
    mine = hand_in(hands, f"\nController.window = lambda self: {value}\n")
    check_failed(graded(mine, tmp_path, "s5"), tmp_path, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("print('passed'); raise SystemExit", "SystemExit"),
        ("import os; os._exit(0)", "ended the process (exit code 0)"),
        ("import os; os.fork()", "mine.py:1: import tried to start a process"),
        ("x = (", "mine.py:1: import raised SyntaxError"),
        ("\0", "import raised"),
        ("", "mine.py has no Controller"),
    ],
)
def test_a_file_that_attacks_as_it_is_imported(text: str, words: str, tmp_path: Path) -> None:
    (hands := tmp_path / "hands").mkdir()
    mine = hands / "mine.py"
    mine.write_text(text, encoding="utf-8")
    check_failed(graded(mine, tmp_path, "s1"), tmp_path, words)


def test_a_right_solution_may_print_and_import_what_computes(tmp_path: Path) -> None:
    (hands := tmp_path / "hands").mkdir()
    imports = (
        "\nimport collections, dataclasses, decimal, heapq, itertools, math, random, re, statistics, time\n"
    )
    mine = hand_in(hands, f"{imports}print(open(__file__).read(3), random.SystemRandom().random() < 1)\n")
    assert graded(mine, tmp_path, "s1").has_passed
    assert check_all(tmp_path)["points"] == LAB.stage("s1").points


@pytest.mark.skipif(os.name == "nt", reason="its acts are those of POSIX")
def test_a_process_that_holds_the_pipe_open_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"  # without its fence
    child.write_text(student.CHILD.read_text(encoding="utf-8").replace("    guard(path, tell)\n", ""))
    monkeypatch.setattr(student, "CHILD", child)
    monkeypatch.setattr(student, "CALL_SLEEP", 3600.0)  # the end of the process is what ends the call
    (hands := tmp_path / "hands").mkdir()
    body = "import os, time\n    if os.fork() == 0: time.sleep(3600)\n    os._exit(0)"
    mine = hand_in(hands, FIRST.replace("BODY", body))
    check_failed(graded(mine, tmp_path, "s1"), tmp_path, "ended the process (exit code 0)")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_grader_leaves_valid_exports(tmp_path: Path) -> None:
    (hands := tmp_path / "hands").mkdir()
    begun_file = tmp_path / "json"
    mine = hand_in(hands, FIRST.replace("BODY", "import time; time.sleep(99)"))
    files = [word for name in WRITERS for word in (f"--{name}", str(tmp_path / name))]
    command = [sys.executable, "-m", "labs", "grade", "05", "--mine", str(mine), *files]
    process = subprocess.Popen(command, cwd=LABS.parent, stdout=subprocess.DEVNULL)
    try:
        while not (begun_file.exists() and (tmp_path / "markdown").exists()):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    report = check_all(tmp_path)
    assert {stage["status"] for stage in report["labs"][0]["stages"]} == {"not finished"}
    left = [each for each in psutil.process_iter(["cmdline"]) if str(mine) in (each.info["cmdline"] or [])]
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
