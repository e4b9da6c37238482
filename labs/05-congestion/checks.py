"""The stages of lab 5."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.bottleneck import TCP, YOURS, Bottleneck, jain

CONGESTION = "docs/transport.md#congestion-control"
MEGABIT = 125_000  # bytes
HANDOUT_REMOVES = ("node/chunk_udp/congestion/reno.py",)  # the answer, in full
HANDOUT_DROPS = {"node/chunk_udp/congestion/__init__.py": "Reno"}


@stage("additive increase: one segment for each window that came", 2, f"{CONGESTION}; RFC 5681, 3.1")
def s1(run: Run) -> None:
    segment, windows = run.rng.choice([1000, 1200, 1440]), run.rng.randint(4, 8)
    controller = run.part("Controller", segment)
    before, now = controller.window(), 0.0
    for _ in range(windows):
        left = controller.window()
        while left > 0:
            controller.on_received(segment, now)
            left -= segment
        now += 0.1
        run.note(now, f"a window came; it is {controller.window() / segment:.2f} segments now", call=True)
    grown = (controller.window() - before) / segment
    likely = "a segment for each DATA doubles the window each round trip (wrong/doubling)"
    run.expect(
        0.8 * windows <= grown <= 1.1 * windows,
        f"{windows} segments more after {windows} windows",
        f"{grown:.1f} segments more",
        at=now,
        likely=likely if grown > windows else "the window does not grow enough (wrong/shy)",
    )


@stage("multiplicative decrease: half", 2, f"{CONGESTION}; RFC 5681, 3.1")
def s2(run: Run) -> None:
    controller = run.part("Controller", 1440)
    for number in range(run.rng.randint(400, 600)):
        controller.on_received(1440, number / 1000)
    before = controller.window()
    controller.on_lost(0.9, 1.0)
    after = controller.window()
    run.note(1.0, f"a loss: the window falls from {before:.0f} to {after:.0f} bytes", call=True)
    run.expect(
        0.45 <= after / before <= 0.55,
        f"about half of {before:.0f} bytes",
        f"{after:.0f} bytes, {after / before:.0%}",
        at=1.0,
        likely="the window is set to its least size (wrong/collapse), or hardly reduced (wrong/stubborn)",
    )


@stage("the losses of one round trip reduce once", 3, f"{CONGESTION}; RFC 9002, 7.3.1")
def s3(run: Run) -> None:
    controller, losses = run.part("Controller", 1440), run.rng.randint(5, 12)
    for number in range(500):
        controller.on_received(1440, number / 1000)
    before = controller.window()
    for number in range(losses):
        controller.on_lost(0.9 + number / 1000, 1.0 + number / 1000)
    after = controller.window()
    run.note(1.0, f"{losses} losses of one round trip: from {before:.0f} to {after:.0f} bytes", call=True)
    run.expect(
        after >= 0.45 * before,
        f"one reduction: these {losses} datagrams were requested before the first loss was seen",
        f"{after / before:.0%} of the window is left",
        at=1.0,
        likely="each loss halves the window: sent_at is not compared (wrong/panic)",
    )
    controller.on_lost(1.5, 1.6)
    run.expect(
        controller.window() < 0.6 * after,
        "a second reduction for a datagram that was requested after the first",
        f"the window stays at {controller.window():.0f} bytes",
        at=1.6,
        likely="the window is reduced only once (wrong/once)",
    )


@stage("never fewer than two segments", 1, f"{CONGESTION}; RFC 5681, 3.1, equation 4")
def s4(run: Run) -> None:
    segment, losses = run.rng.choice([1000, 1200, 1440]), run.rng.randint(10, 20)
    controller = run.part("Controller", segment)
    for number in range(losses):
        controller.on_lost(number + 0.5, number + 1.0)
        run.note(number + 1.0, f"a loss: the window is {controller.window():.0f} bytes", call=True)
    run.expect(
        controller.window() >= 2 * segment,
        f"at least {2 * segment} bytes after {losses} losses, so that something moves and a loss can be seen",
        f"{controller.window():.0f} bytes",
        at=float(losses),
        likely="the window is halved without a floor (wrong/bottomless)",
    )


@stage("a link is filled", 2, f"{CONGESTION}; Kurose and Ross, 3.7")
def s5(run: Run) -> None:
    link = Bottleneck(run.rng.randint(4, 8) * MEGABIT, run.rng.randint(10, 25) / 1000)
    (rate,) = link.share(run, [(YOURS, 0.0)], 12.0, since=2.0)
    run.expect(
        rate >= 0.85 * link.rate,
        f"at least 85 % of {link.rate / MEGABIT:.0f} Mb/s",
        f"{rate / MEGABIT:.2f} Mb/s ({rate / link.rate:.0%})",
        at=12.0,
        likely="the window falls too far at each loss, or grows too slowly",
    )


@stage("two flows share a link", 3, f"{CONGESTION}; Chiu and Jain, 1989")
def s6(run: Run) -> None:
    link = Bottleneck(4 * MEGABIT, 0.015)
    rates = link.share(run, [(YOURS, 0.0), (YOURS, run.rng.uniform(2, 4))], 40.0, since=20.0)
    run.expect(
        jain(rates) >= 0.9,
        "two flows with about the same rate (Jain's index of 0.9)",
        f"{rates[0] / MEGABIT:.2f} and {rates[1] / MEGABIT:.2f} Mb/s, an index of {jain(rates):.2f}",
        at=40.0,
        likely="the window grows in proportion to itself: that keeps the distance between two flows",
    )


@stage("beside TCP", 2, f"{CONGESTION}; RFC 8312, 5.1")
def s7(run: Run) -> None:
    link = Bottleneck(4 * MEGABIT, 0.015)
    mine, theirs = link.share(run, [(YOURS, 0.0), (TCP, run.rng.uniform(1, 3))], 30.0, since=15.0)
    part = mine / (mine + theirs)
    run.expect(
        0.2 <= part <= 0.8,
        "between a fifth and four fifths of the link beside one TCP flow",
        f"{part:.0%}: {mine / MEGABIT:.2f} Mb/s beside {theirs / MEGABIT:.2f}",
        at=30.0,
        likely="losses are not answered as TCP answers them (wrong/stubborn, wrong/panic)",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    rate, trip, segment = rng.randint(4, 20), rng.choice([20, 40, 60, 80]), 1440
    full = rate * MEGABIT * trip / 1000 / segment
    loss = rng.choice([0.5, 1, 2])
    mathis = 1.22 * segment * 8 / (trip / 1000 * (loss / 100) ** 0.5) / 1e6
    return [
        Question(
            f"{rate} Mb/s, {trip} ms there and back, {segment}-byte segments: the full window?",
            full,
            "segments",
        ),
        Question("It is halved. Round trips until it is full again?", full / 2, "round trips", 0.1),
        Question(f"{loss} % of the datagrams are lost at random. AIMD's rate (Mathis)?", mathis, "Mb/s", 0.1),
    ]
