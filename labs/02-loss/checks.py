"""The stages of lab 2."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.buffer import COUNT, SIZE, Buffer, Pacing

PACING = "docs/transport.md#pacing"


def setting(rng: Random) -> Buffer:
    """A buffer and a reader of this student's."""
    return Buffer(buffer=rng.randint(20, 60) * SIZE, drain=rng.randint(300, 900) * SIZE)


def pacer(run: Run, buffer: Buffer) -> object:
    """The student's Pacer."""
    return run.part("Pacer", SIZE, buffer.buffer, float(buffer.drain))


@stage("how many of 2,000 datagrams survive", 3, f"{PACING}; Kurose and Ross, 3.3")
def s1(run: Run) -> None:
    for number, factor in enumerate((0.8, 1.5, 3, 8, 20)):
        buffer = setting(run.rng)
        rate = int(buffer.drain * factor * run.rng.uniform(0.9, 1.1))
        real = buffer.survivors(rate)
        told = run.call("survivors", COUNT, SIZE, buffer.buffer, float(rate), float(buffer.drain))
        run.note(float(number), f"{real} of {COUNT} survive at {rate / 1e6:.1f} MB/s", call=True)
        run.expect(
            isinstance(told, (int, float)) and abs(told - real) <= 0.02 * COUNT,
            f"{real}: a buffer of {buffer.buffer} bytes, {buffer.drain} read a second, sent at {rate}",
            f"{told}",
            at=float(number),
            likely="what is read meanwhile is forgotten (wrong/full), or has no end (wrong/plenty)",
        )


@stage("none is lost", 3, f"{PACING}; RFC 8085, 3.1")
def s2(run: Run) -> None:
    buffer = setting(run.rng)
    pacing = Pacing(run, buffer, (tick / 1000 for tick in range(16_000)))
    pacing.send(pacer(run, buffer))
    run.expect(
        pacing.lost == 0,
        "no datagram lost",
        f"{pacing.lost} of {COUNT} lost, the first at {pacing.first_loss or 0:.3f} s",
        at=pacing.first_loss,
        likely="more is sent than is read (wrong/rush), or parts of a token are lost (wrong/whole)",
    )


@stage("and not too slowly", 2, f"{PACING}; RFC 9002, 7.7")
def s3(run: Run) -> None:
    buffer = setting(run.rng)
    pacing = Pacing(run, buffer, (tick / 1000 for tick in range(16_000)))
    pacing.send(pacer(run, buffer))
    least = COUNT * SIZE / buffer.drain
    run.expect(
        pacing.ended_at <= 1.12 * least,
        f"all sent within {1.12 * least:.2f} s: the reader needs {least:.2f} s",
        f"{pacing.ended_at:.2f} s",
        at=pacing.ended_at,
        likely="the rate is too careful (wrong/timid), or one datagram a call is too few (wrong/metronome)",
    )


@stage("a clock that ticks irregularly", 3, f"{PACING}; RFC 9002, 7.7")
def s4(run: Run) -> None:
    buffer, ticks, now = setting(run.rng), list[float](), 0.0
    while now < 16:
        now += run.rng.choice([0.0005, 0.002, 0.01, 0.025])
        ticks.append(now)
    pacing = Pacing(run, buffer, ticks)
    pacing.send(pacer(run, buffer))
    run.expect(
        pacing.lost == 0 and pacing.ended_at <= 1.2 * COUNT * SIZE / buffer.drain,
        f"no datagram lost, all sent within {1.2 * COUNT * SIZE / buffer.drain:.2f} s",
        f"{pacing.lost} lost, {pacing.ended_at:.2f} s",
        at=pacing.first_loss if pacing.lost else pacing.ended_at,
        likely="the time since the last call is not looked at",
    )


@stage("after a pause, no flood", 2, f"{PACING}; RFC 8085, 3.1.7: the bucket has a brim")
def s5(run: Run) -> None:
    buffer, pause = setting(run.rng), run.rng.randint(1, 3)
    ticks = [tick / 1000 for tick in range(500)] + [0.5 + pause + tick / 1000 for tick in range(16_000)]
    pacing = Pacing(run, buffer, ticks)
    pacing.send(pacer(run, buffer))
    run.expect(
        pacing.lost == 0,
        f"no datagram lost after a pause of {pause} s",
        f"{pacing.lost} lost; {pacing.most_at_once} were sent at once",
        at=pacing.first_loss,
        likely="tokens are saved without a limit (wrong/brimless)",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    buffer, drain, rate = rng.choice([64, 128, 208]), rng.randint(20, 60), rng.randint(100, 400)
    kept = min(COUNT, buffer * 1024 / SIZE + COUNT * drain / rate)
    return [
        Question(
            f"A buffer of {buffer} KiB holds how many datagrams of {SIZE} bytes?",
            buffer * 1024 / SIZE,
            "datagrams",
        ),
        Question(
            f"{COUNT} of them come at {rate} MB/s; {drain} MB/s are read. How many survive?",
            kept,
            "datagrams",
        ),
        Question("Sent as slowly as they are read, how long do they take?", COUNT * SIZE / drain / 1e6, "s"),
    ]
