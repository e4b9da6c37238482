"""The stages of lab 4."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.exchange import SEGMENT, Exchange, Plan

TIMERS = "docs/protocol.md#loss-detection"


@stage("the timeout follows the round trip", 2, f"{TIMERS}; RFC 6298, 2.2 and 2.3")
def s1(run: Run) -> None:
    trip = run.rng.randint(40, 400) / 1000
    exchange = Exchange(run, run.part("Sender", 1), Plan(segments=60, delay=trip / 2))
    seconds = exchange.run()
    waits = exchange.timeouts[-1]
    run.expect(
        trip < waits <= 1.5 * trip,
        f"a timeout of {trip:.3f} to {1.5 * trip:.3f} s after 60 round trips of {trip:.3f} s",
        f"timeout() = {waits:.3f} s",
        at=seconds,
        likely="the deviation is never reduced (wrong/nervous), or it is a constant (wrong/constant)",
    )


@stage("a delay that varies is no loss", 2, f"{TIMERS}; RFC 6298, 2.3: four times the deviation")
def s2(run: Run) -> None:
    delay, jitter = run.rng.randint(20, 60) / 1000, run.rng.randint(30, 60) / 1000
    exchange = Exchange(run, run.part("Sender", 1), Plan(segments=150, delay=delay, jitter=jitter))
    seconds = exchange.run()
    needless = len(exchange.repeated)
    when = exchange.repeated[0][0] if exchange.repeated else seconds
    run.expect(
        needless <= 3,
        "at most 3 needless requests of 150: nothing is lost here",
        f"{needless}, the first at {when:.3f} s",
        at=when,
        likely="the timeout is the mean round trip without its deviation (wrong/mean)",
    )


@stage("a lost answer is asked for again after one timeout, not before", 3, f"{TIMERS}; RFC 9002, 6.2.1")
def s3(run: Run) -> None:
    trip, lost = 0.1, run.rng.randint(20, 30)
    exchange = Exchange(run, run.part("Sender", 2), Plan(40, delay=trip / 2, drop=frozenset({lost})))
    exchange.run()
    at, number = exchange.repeated[0]
    last = max(when for when in exchange.arrived.values() if when < at)
    waited = at - last
    run.expect(
        waited >= trip,
        f"no second REQUEST {lost} before {last:.3f} + {trip:.3f} s: the timer begins again with each answer",
        f"REQUEST {number} at {at:.3f} s, {waited:.3f} s after the last answer",
        at=at,
        likely="the timer begins when a request is sent, and never again (wrong/restart)",
    )
    run.expect(
        waited <= 3 * trip and len(exchange.repeated) == 1,
        f"one repeated request, {trip:.1f} to {3 * trip:.1f} s after the last answer",
        f"{len(exchange.repeated)}, the first after {waited:.3f} s",
        at=at,
    )


@stage("each timeout in a row waits twice as long", 2, f"{TIMERS}; RFC 6298, 5.5")
def s4(run: Run) -> None:
    first = run.rng.randint(10, 20)
    exchange = Exchange(run, run.part("Sender", 1), Plan(30, drop=frozenset(range(first, first + 5))))
    exchange.run()
    times = [when for when, _ in exchange.repeated]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    for gap, after, at in zip(gaps, gaps[1:], times[2:], strict=False):
        run.expect(
            1.9 <= after / gap <= 2.1,
            f"twice {gap:.3f} s until the next repetition",
            f"{after:.3f} s",
            at=at,
            likely="again is not used, so a dead path is flooded (wrong/eager)",
        )


@stage("an answer to a repeated request is no measurement", 2, f"{TIMERS}; Karn and Partridge, 1987")
def s5(run: Run) -> None:
    trip, late = 0.1, run.rng.randint(30, 40)
    plan = Plan(late + 12, delay=trip / 2, late=frozenset(range(late, late + 24, 3)), late_by=0.02)
    exchange = Exchange(run, run.part("Sender", 1), plan)
    seconds = exchange.run()
    waits = max(exchange.timeouts[-12:])
    run.expect(
        trip < waits <= 1.5 * trip,
        f"a timeout of {trip:.3f} to {1.5 * trip:.3f} s, though some answers were 20 ms late",
        f"timeout() = {waits:.3f} s",
        at=seconds,
        likely="a late answer, just after its second REQUEST, counts as a short round trip (wrong/karn)",
    )


@stage("three later answers prove a loss, two do not", 3, f"{TIMERS}; RFC 9002, 6.1.1")
def s6(run: Run) -> None:
    lost, late = run.rng.randint(20, 30), run.rng.randint(60, 70)
    plan = Plan(
        100, drop=frozenset({lost}), late=frozenset({late + 1}), late_by=2.5 / 100, rate=100 * SEGMENT
    )
    exchange = Exchange(run, run.part("Sender", 10), plan)
    exchange.run()
    again = [number for _, number in exchange.repeated]
    likely = "an answer that was overtaken by two counts as lost (wrong/two)"
    run.expect(
        again == [lost],
        f"only REQUEST {lost} repeated",
        f"repeated: {again}",
        at=exchange.clock.now,
        likely=likely,
    )
    at, third = exchange.repeated[0][0], exchange.arrived[lost + 3]
    run.expect(
        abs(at - third) < 0.001,
        f"REQUEST {lost} again at {third:.3f} s, when DATA {lost + 3} comes",
        f"at {at:.3f} s",
        at=at,
        likely="the answers say it earlier than the timer does (wrong/timer_only)",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    first, second = rng.randint(80, 160), rng.randint(200, 400)
    smoothed = first + (second - first) / 8
    deviation = first / 2 + (abs(second - first) - first / 2) / 4
    return [
        Question(f"The first round trip takes {first} ms. The timeout then (RFC 6298)?", 3 * first, "ms"),
        Question(f"The second takes {second} ms. The timeout now?", smoothed + 4 * deviation, "ms"),
        Question(
            "The timer runs out four times in a row. The fifth wait is how many times the first?", 16, "times"
        ),
    ]
