"""The handouts: their parts, their commands, their links; and no line of an answer in what students get."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.__main__ import main as labs_main
from labs.grader import cli as grader_cli
from labs.grader.lab import Lab, folders, load
from labs.handin import answers, handout, skeleton
from node.options import parse_options
from tests.docs.test_docs import LINK, anchor, code_lines, text_of, unfenced, without_code
from tracker import cli as tracker_cli

ROOT = Path(__file__).resolve().parents[2]
LABS = [load(folder) for folder in folders()]
every_lab = pytest.mark.parametrize("lab", LABS, ids=[lab.name for lab in LABS])
PARTS = ["Goal", "Predict", "Run", "Observe", "Explain", "Extend", "Hand in"]
TWO_SCREENS = 95  # lines
RECEIVER_DRIVEN = ("03", "04", "05")
TEXTS = {".py", ".md", ".js", ".toml", ".txt", ".html", ".css", ".lua", ".json"}


def document(lab: Lab) -> Path:
    return lab.folder / "README.md"


def commands(path: Path) -> Iterator[list[str]]:
    for line in code_lines(text_of(path)):
        if line.startswith(("python ", "curl ")):
            yield shlex.split(line)


def broken_links(path: Path, root: Path) -> Iterator[str]:
    for target in LINK.findall(without_code(text_of(path))):
        name, _, fragment = target.partition("#")
        aim = (path.parent / name).resolve() if name else path
        if re.match(r"https?:|\w+:", target):
            continue
        if not (aim.exists() and aim.is_relative_to(root)):
            yield f"{path.relative_to(root)}: {target}"
        elif fragment and fragment not in {
            anchor(line.lstrip("# ")) for line in unfenced(text_of(aim)) if line.startswith("#")
        }:
            yield f"{path.relative_to(root)}: {target} (no such heading)"


def assert_has_options(
    show_help: Callable[[], object], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The help that ``show_help`` prints has each option among ``words``."""
    with pytest.raises(SystemExit) as ended:
        show_help()
    usage = capsys.readouterr().out
    assert ended.value.code == 0
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"{option}\b", usage), option


@every_lab
def test_a_handout_has_its_parts_in_order_on_two_screens(lab: Lab) -> None:
    text = text_of(document(lab))
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert len(text.splitlines()) <= TWO_SCREENS
    begin = text.partition("## ")[0]
    assert ("Here the receiver drives" in begin) == (lab.number in RECEIVER_DRIVEN)
    hand_in = text.partition("## Hand in")[2]
    assert all(name in hand_in for name in ("mine.py", "answers.toml", "receipt.json", lab.name))


@every_lab
def test_the_commands_of_a_handout_are_understood(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # -use names a file
    labs_commands = []
    for words in commands(document(lab)):
        if words[1] == "TorrentClient.py":
            parse_options(words[2:])
        elif words[1] == "tracker.py":
            assert_has_options(lambda: tracker_cli.main(["--help"]), words[2:], capsys)
        elif words[1:3] == ["-m", "labs"]:
            labs_commands.append(words[3])
            name = words[3]
            assert_has_options(lambda name=name: labs_main([name, "--help"]), words[4:], capsys)  # type: ignore[misc]
            assert words[4] == lab.number
        elif words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file()
        else:
            assert words[0] == "curl" or words[1] == "-c" or words[2].startswith("simulator"), words
    assert {"predict", "grade", "receipt"} <= set(labs_commands)
    for words in commands(document(lab)):
        if words[:4] == ["python", "-m", "labs", "grade"] and len(words) > 5:
            lab.stage(words[5])


def test_the_commands_for_instructors_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    names = set()
    for line in code_lines(text_of(ROOT / "docs" / "instructor.md")):
        words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
        if words[1:3] == ["-m", "labs"]:
            names.add(words[3])
            assert_has_options(lambda name=words[3]: labs_main([name, "--help"]), words[4:], capsys)  # type: ignore[misc]
    assert names >= {"handout", "collect", "grade", "new", "golden", "replay"}


@every_lab
def test_the_links_of_a_handout_lead_somewhere(lab: Lab) -> None:
    assert not list(broken_links(document(lab), ROOT))


def test_a_new_lab_begins_with_the_same_parts(tmp_path: Path) -> None:
    lab = load(skeleton.write("08-streaming", tmp_path))
    assert re.findall(r"^## (.+)$", text_of(document(lab)), re.MULTILINE) == PARTS
    assert all("{" not in word for words in commands(document(lab)) for word in words)


def test_predictions_have_a_file_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = dataclasses.replace(LABS[0], folder=tmp_path)
    monkeypatch.setattr(grader_cli, "find", lambda text: lab)
    file = tmp_path / "answers.toml"
    labs_main(["predict", "00"])
    assert not file.exists() and "add --student ID" in capsys.readouterr().out
    labs_main(["predict", "00", "--student", "ann"])
    assert answers.read(file) == {"p1": 0, "p2": 0, "p3": 0}
    file.write_text(text_of(file).replace("p2 = 0", "p2 = 7"), encoding="utf-8")
    labs_main(["predict", "00", "--student", "ann"])
    assert answers.read(file)["p2"] == 7


def test_the_tree_for_students_has_no_answer_and_no_broken_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "handout"
    monkeypatch.setenv("TERM_SALT", "autumn")
    handout.write(out)
    assert json.loads(text_of(out / "labs" / "course.json"))["TERM_SALT"] == "autumn"
    for path in out.rglob("*"):
        if path.suffix in TEXTS:
            found = [line for lab in LABS for line in handout.leaks(lab, text_of(path))]
            assert found == [], path
        if path.suffix == ".md":
            assert not list(broken_links(path, out))
    assert not list(out.rglob("wrong"))
    assert handout.LEFT_OUT("", ["answers.toml", "mine.py", "receipt.json"]) == {
        "answers.toml",
        "receipt.json",
    }
    targets = set(re.findall(r"^([a-z-]+):", text_of(out / "Makefile"), re.MULTILINE))
    assert {"demo", "class", "help"} <= targets and "test" not in targets
    students = [out / "Makefile", out / "README.md", *out.glob("labs/*/README.md")]
    assert {
        target for path in students for target in re.findall(r"[`\"]make ([a-z-]+)", text_of(path))
    } <= targets
    assert "handout" not in text_of(out / "README.md")
    for lab in LABS:
        compile(text_of(out / "labs" / lab.name / "mine.py"), "mine.py", "exec")


def test_our_solution_says_where_a_copy_without_it_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labs_main(["grade", "00", "s1"])
    assert "python -m labs handout OUT" in capsys.readouterr().out
    labs_main(["grade", "00", "s1", "--mine", str(LABS[0].mine)])
    assert "handout" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "is_there"),
    [("", False), ('[explain]\ntext = ""\n', False), ('[explain]\ntext = """\nBecause.\n"""\n', True)],
)
def test_an_explanation_is_there_or_missing(text: str, is_there: bool, tmp_path: Path) -> None:
    (file := tmp_path / "answers.toml").write_text(text, encoding="utf-8")
    assert answers.is_explained(file) == is_there


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error there")
def test_output_whose_reader_has_ended_leaves_no_trace() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-u", "-m", "labs", "list"]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_ctrl_c_ends_a_command_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(grader_cli, "list_labs", interrupted)
    assert labs_main(["list"]) == 130
