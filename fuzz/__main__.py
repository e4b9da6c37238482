"""``python -m fuzz``: run all targets, print a line for each; exit code 1 if anything escaped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from fuzz.running import TARGETS, FuzzRun, keep, shares

MAX_INPUTS = 10**9
ROUND = 250_000  # inputs between two lines of a target


def number(text: str) -> int:
    """``10000000``, ``10_000_000``, ``200k``, ``10M``."""
    digits, factor = text.replace("_", ""), 1
    if digits[-1:] in ("k", "M"):
        digits, factor = digits[:-1], {"k": 10**3, "M": 10**6}[digits[-1]]
    if not digits.isdecimal() or not 0 < int(digits) * factor <= MAX_INPUTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number like 200k or 10M")
    return int(digits) * factor


def rounds(inputs: int) -> Iterator[int]:
    """Split ``inputs`` into rounds with seeds of their own: each mutates the finds of the rounds before."""
    for start in range(0, inputs, ROUND):
        yield min(ROUND, inputs - start)


def fuzz(names: list[str], inputs: int, seed: int, keeping: bool, out: Path) -> int:
    """Run all targets, print results, write escapes to ``out``. Returns the number of escapes."""
    total = escaped = 0
    seconds = 0.0
    for target, share in shares(names, inputs):
        run = FuzzRun(target, seed)
        for at, part in enumerate(rounds(share)):
            run.seed = seed + at
            run.go(part)
        for number_, escape in enumerate(run.escapes):
            path = out / f"escape-{target.name}-{number_}.bin"
            path.write_bytes(escape.data)
            print(f"ESCAPE {target.name}: {escape.error} ({path})", flush=True)
        text = f", {keep(run)} kept" if keeping and not run.escapes else ""
        rate = run.inputs / run.seconds if run.seconds else 0.0
        print(
            f"{target.name:10} {run.inputs:>10,} inputs  {rate:>9,.0f}/s  slowest {run.slowest * 1e3:6.1f} ms"
            f"  {len(run.outcomes):>5} outcomes  {len(run.escapes)} escapes{text}",
            flush=True,
        )
        total, seconds, escaped = total + run.inputs, seconds + run.seconds, escaped + len(run.escapes)
    print(f"{'all':10} {total:>10,} inputs in {seconds:,.0f} s of targets, {escaped} escapes")
    return escaped


def main(words: list[str] | None = None) -> int:
    """Options in, an exit code out."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    add = parser.add_argument
    add("--inputs", type=number, default=200_000, metavar="N", help="of all targets together (200k)")
    add(
        "--only",
        nargs="+",
        choices=sorted(TARGETS),
        default=list(TARGETS),
        metavar="TARGET",
        help=", ".join(TARGETS),
    )
    add("--seed", type=int, default=1, metavar="N")
    add("--keep", action="store_true", help="write inputs that did something of their own into fuzz/corpus")
    add("--out", type=Path, default=Path(), metavar="DIR", help="where escapes are written (here)")
    given = parser.parse_args(words)
    return 1 if fuzz(given.only, given.inputs, given.seed, given.keep, given.out) else 0


if __name__ == "__main__":
    sys.exit(main())
