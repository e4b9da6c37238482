"""The stages of lab 6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.grader.student import Part
from labs.harness.streaming import Choose, Film, Screening, rarest, sequential

ORDERS = "docs/architecture.md#the-life-of-a-download"
FLASH, TRICKLE = Film(nodes=24, pieces=120), Film(nodes=24, pieces=120, every=5.0)
NODES = 32
BLANK = "s2"  # the stage that the unchanged blank fails


def asking(run: Run, part: Part) -> Choose:
    """The student's strategy; its answers are checked and noted."""
    rng = run.random_for_student()

    def choose(needed: Sequence[int], holders: Mapping[int, int], now: float, _: Random) -> int:
        piece = part.choose(list(needed), {piece: holders[piece] for piece in needed}, now, rng)
        if piece not in needed:
            held = f"{needed[0]}-{needed[-1]}" if len(needed) > 3 else ", ".join(map(str, needed))
            run.nonsense(f"choose() returned {piece!r}, which is not needed or not held (needed: {held})")
        return int(piece)

    return choose


@stage("a piece that the source holds", 1, f"{ORDERS}; Cohen 2003, 2.4")
def s1(run: Run) -> None:
    for name in ("Rarest", "Window"):
        choose = asking(run, run.part(name))
        for number in range(60):
            needed = sorted(run.rng.sample(range(200), run.rng.randint(1, 40)))
            holders = {piece: run.rng.randint(1, 9) for piece in needed}
            piece = choose(needed, holders, run.rng.uniform(0, 250), run.rng)
            run.note(float(number), f"{name}: piece {piece} of {len(needed)} needed ones", call=True)


@stage("the rarest one", 2, f"{ORDERS}; Cohen 2003, 2.4.2")
def s2(run: Run) -> None:
    choose = asking(run, run.part("Rarest"))
    for number in range(80):
        needed = sorted(run.rng.sample(range(300), run.rng.randint(5, 60)))
        holders = {piece: run.rng.randint(2, 12) for piece in needed}
        rare = holders[run.rng.choice(needed)] = 1
        piece = choose(needed, holders, 0.0, run.rng)
        run.note(float(number), f"piece {piece} has {holders[piece]} holders", call=True)
        run.expect(
            holders[piece] == rare,
            "a piece with 1 holder: if it leaves, the piece is gone",
            f"piece {piece} with {holders[piece]} holders",
            at=float(number),
            likely="the first one is taken (wrong/first), or the most common one (wrong/common)",
        )


@stage("not all nodes take the same one", 2, f"{ORDERS}; Cohen 2003, 2.4.3")
def s3(run: Run) -> None:
    pieces = list(range(100))
    firsts = Counter(
        asking(run, run.part("Rarest"))(pieces, dict.fromkeys(pieces, 1), 0.0, run.rng) for _ in range(NODES)
    )
    common, times = firsts.most_common(1)[0]
    run.note(0.0, f"{NODES} nodes begin with {len(firsts)} different pieces; {times} took piece {common}")
    run.expect(
        len(firsts) >= 18,
        f"27 ± 6 different first pieces among {NODES} nodes, all of 100 pieces being equally rare",
        f"{len(firsts)}: {times} nodes took piece {common}",
        at=0.0,
        likely="of equally rare pieces the first one is taken (wrong/lowest)",
    )


@stage("soon first, the rarest of it", 2, "Vlavianos et al. 2006 (BiToS)")
def s4(run: Run) -> None:
    choose = asking(run, run.part("Window"))
    for number in range(80):
        now, first = run.rng.uniform(20, 150), run.rng.randint(0, 150)
        needed = sorted(run.rng.sample(range(first, 240), 60))
        holders = {piece: run.rng.randint(2, 9) for piece in needed}
        begin = max(now - 20, needed[0])
        soon = [piece for piece in needed if piece < begin + 30] or needed
        holders[run.rng.choice(soon)] = 1
        piece = choose(needed, holders, now, run.rng)
        run.note(float(number), f"piece {piece}; {begin:.0f} is played or missing first", call=True)
        run.expect(
            piece in soon and holders[piece] == 1,
            f"the piece with 1 holder among those before {begin + 30:.0f}",
            f"piece {piece} with {holders[piece]} holders",
            at=float(number),
            likely="the window stands still (wrong/still), or its order is sequential (wrong/march)",
        )


@stage("a flash crowd: what is played in time", 3, "Shah and Pâris 2007")
def s5(run: Run) -> None:
    seed = run.rng.getrandbits(30)
    yours = Screening(FLASH, lambda number: asking(run, run.part("Window")), seed)
    share = yours.run()
    plain = Screening(FLASH, lambda number: rarest, seed).run()
    run.note(yours.now, f"all nodes join together: {share:.0%} in time, rarest first {plain:.0%}")
    run.expect(
        share >= plain + 0.1,
        f"a tenth more of the pieces in time than rarest first ({plain:.0%})",
        f"{share:.0%}",
        at=yours.now,
        likely="the window is too wide (wrong/wide) or too narrow to have anything rare in it",
    )


@stage("a slow trickle: the order flips", 2, "Shah and Pâris 2007")
def s6(run: Run) -> None:
    seed, in_time = run.rng.getrandbits(30), {}
    strategies = {"yours": asking(run, run.part("Window")), "rarest": rarest, "sequential": sequential}
    for name, choose in strategies.items():
        in_time[name] = Screening(TRICKLE, lambda number, choose=choose: choose, seed).run()  # type: ignore[misc]
        run.note(0.0, f"a node every {TRICKLE.every:.0f} s, {name}: {in_time[name]:.0%} in time")
    run.expect(
        in_time["yours"] >= in_time["sequential"] - 0.02,
        f"as much in time as sequential ({in_time['sequential']:.0%}), which is ahead of rarest first here",
        f"{in_time['yours']:.0%}",
        at=0.0,
        likely="the window begins at the first missing piece only, or holds too much",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    pieces, part = rng.randint(80, 400), rng.choice([0.5, 0.75, 0.9])
    held, nodes = int(pieces * part), rng.randint(20, 60)
    return [
        Question(
            f"{held} of {pieces} pieces came in random order. Pieces that play from the start, on average?",
            held / (pieces - held + 1),
            "pieces",
            0.15,
        ),
        Question(
            f"{NODES} nodes choose one of {pieces} equally rare pieces each. Different ones?",
            pieces * (1 - (1 - 1 / pieces) ** NODES),
            "pieces",
            0.1,
        ),
        Question(
            f"A seed sends 4 pieces a second, {nodes} nodes play one a second. Its share?",
            400 / nodes,
            "%",
        ),
    ]
