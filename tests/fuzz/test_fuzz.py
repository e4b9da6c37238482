"""Every target swallows its seeds, its corpus, and some thousand inputs more; and an escape would be seen."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from fuzz.__main__ import main, number
from fuzz.running import CORPUS, MAX_ESCAPES, TARGETS, FuzzRun, kept
from fuzz.target import Target

INPUTS = 16_000  # of all targets together; make fuzz has 10 million
LARGEST_CORPUS = 400_000  # bytes

every_target = pytest.mark.parametrize("name", sorted(TARGETS))


@every_target
def test_the_corpus_is_swallowed(name: str) -> None:
    inputs = [*TARGETS[name].seeds, *kept(name)]
    assert len(inputs) > 5
    for data in inputs:
        TARGETS[name].run(data)


@every_target
def test_mutations_are_swallowed(name: str) -> None:
    whole = sum(target.share for target in TARGETS.values())
    run = FuzzRun(TARGETS[name], seed=7)
    run.go(INPUTS * TARGETS[name].share // whole)
    assert run.escapes == [], f"{run.escapes[0].error}: {run.escapes[0].data.hex()}"
    assert len(run.outcomes) > 5, "the inputs do not get far"


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    files = list(CORPUS.iterdir())
    assert {path.stem for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < LARGEST_CORPUS


def _explodes(data: bytes) -> str:
    if data.startswith(b"\xff"):
        raise KeyError("nobody named this")
    return "fine"


def test_an_escape_is_found_told_and_ends_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "bad", Target("bad", _explodes, [b"\xff", b"abc"]))
    assert main(["--inputs", "5000", "--only", "bad", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "ESCAPE bad: KeyError" in said and f"{MAX_ESCAPES} escapes" in said
    assert (tmp_path / "escape-bad-0.bin").read_bytes().startswith(b"\xff")


def test_the_same_seed_gives_the_same_inputs() -> None:
    seen: list[list[bytes]] = [[], []]

    def noting(data: bytes, into: list[bytes]) -> str:
        into.append(data)
        return str(len(data) % 7)

    for into in seen:
        FuzzRun(Target("wire", partial(noting, into=into), TARGETS["wire"].seeds), seed=3).go(2000)
    assert seen[0] == seen[1] and len(set(seen[0])) > 1500


@pytest.mark.parametrize(
    ("text", "inputs"), [("200k", 200_000), ("10M", 10**7), ("10_000_000", 10**7), ("7", 7)]
)
def test_numbers(text: str, inputs: int) -> None:
    assert number(text) == inputs


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1G", "10000M"])
def test_wrong_numbers_are_wrong_usage(text: str) -> None:
    with pytest.raises(SystemExit):
        main(["--inputs", text])
