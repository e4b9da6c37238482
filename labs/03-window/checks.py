"""The stages of lab 3."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.exchange import SEGMENT, Exchange, Plan


@stage(
    "stop and wait: one request, one answer, the next request",
    2,
    "docs/protocol.md#request-send-this-range; Kurose and Ross, 3.4.1",
)
def s1(run: Run) -> None:
    exchange = Exchange(run, run.part("Sender", 1), Plan(segments=8, delay=run.rng.randint(20, 80) / 1000))
    exchange.on_request = lambda number, now: run.expect(
        len(exchange.outstanding) == 1,
        f"no second request before DATA {min(exchange.outstanding)} has come",
        f"REQUEST {number} with {len(exchange.outstanding)} requests outstanding",
        at=now,
        likely="may_send() does not count what it allowed (wrong/uncounted)",
    )
    exchange.run()


@stage("a lost answer is requested again, once", 2, "docs/protocol.md#loss-detection; RFC 9002, 6.2")
def s2(run: Run) -> None:
    lost = run.rng.randint(2, 7)
    exchange = Exchange(run, run.part("Sender", 1), Plan(segments=8, delay=0.03, drop=frozenset({lost})))
    seconds = exchange.run()
    again = [number for _, number in exchange.repeated]
    likely = "the timeout is shorter than a round trip (wrong/impatient)"
    run.expect(again == [lost], f"only REQUEST {lost} twice", f"repeated: {again}", at=seconds, likely=likely)
    run.expect(
        seconds < 5,
        "the file within 5 s",
        f"{seconds:.1f} s",
        at=seconds,
        likely="the timeout is many round trips long (wrong/patient)",
    )


@stage(
    "a window: as many outstanding as allowed, and no more",
    2,
    "docs/transport.md#congestion-control; Kurose and Ross, 3.4.3",
)
def s3(run: Run) -> None:
    window, trip = run.rng.randint(4, 12), 0.1
    spacing = trip / (2 * window)  # of answers: a window that waits for its last one takes half as long again
    plan = Plan(segments=20 * window, delay=trip / 2, rate=SEGMENT / spacing)
    exchange = Exchange(run, run.part("Sender", window), plan)
    exchange.on_request = lambda number, now: run.expect(
        len(exchange.outstanding) <= window,
        f"at most {window} requests outstanding",
        f"{len(exchange.outstanding)} with REQUEST {number}",
        at=now,
        likely="off by one (wrong/one_more)",
    )
    seconds, most = exchange.run(), 21 * (trip + spacing)
    run.expect(
        seconds <= most,
        f"{plan.segments} segments within {most:.2f} s: {window} each round trip",
        f"{seconds:.2f} s, at most {exchange.most} outstanding",
        at=seconds,
        likely="the window is not used in full, or waits for its last answer (wrong/batches)",
    )


@stage("a whole window is lost", 2, "docs/protocol.md#loss-detection; Kurose and Ross, 3.4.4")
def s4(run: Run) -> None:
    window, first = 5, run.rng.randint(6, 20)
    lost = list(range(first, first + window))
    exchange = Exchange(run, run.part("Sender", window), Plan(40, drop=frozenset(lost), rate=60 * SEGMENT))
    exchange.on_request = lambda number, now: run.expect(
        len(exchange.outstanding) <= window,
        f"at most {window} requests outstanding, also after a timeout",
        f"{len(exchange.outstanding)} with REQUEST {number}",
        at=now,
        likely="a request that timed out is not counted, though it was repeated (wrong/gone)",
    )
    seconds = exchange.run()
    again = sorted(number for _, number in exchange.repeated)
    likely = "every timeout repeats more than the oldest request"
    run.expect(again == lost, f"{lost} repeated once", f"repeated: {again}", at=seconds, likely=likely)


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    delay, window, rate = rng.randint(20, 90), rng.randint(3, 12), rng.choice([100, 200, 400])
    trip = 2 * delay / 1000
    return [
        Question(
            f"Each way takes {delay} ms. Segments a second with stop-and-wait?",
            1 / trip,
            "1/s",
        ),
        Question(f"And a window of {window}?", window / trip, "1/s"),
        Question(
            f"The link carries {rate} segments a second. The window that fills it?",
            rate * trip,
            "segments",
            0.15,
        ),
    ]
