"""The stages of lab 1."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.tracker import ADDR, Drive, VirtualTracker

RULES = "docs/tracker.md"
FILES = ["notes.pdf", "slides.pdf"]


def drive(run: Run, interval: float = 11.0) -> Drive:
    """A client that shares FILES and wants film.mp4, and a tracker that knows three owners of it."""
    tracker = VirtualTracker(interval)
    for number, uploads in ((11, 2), (12, 5), (13, 0)):
        owner = {"node_id": number, "addr": ["127.0.0.1", 5000 + number], "filename": "film.mp4"}
        tracker.ask({"mode": 0, **owner})
        tracker.ask({"mode": 1, **owner})
        for _ in range(uploads):
            tracker.ask({"mode": 3, "node_id": number, "filename": "film.mp4"})
    client = run.part("TrackerClient", run.rng.randint(20, 99), ADDR, FILES, "film.mp4")
    return Drive(run, client, tracker)


@stage("the first request is REGISTER", 2, f"{RULES}#rules; the course report, 3.1")
def s1(run: Run) -> None:
    driven = drive(run)
    driven.until(1.0)
    first = driven.sent[0][1] if driven.sent else {}
    run.expect(
        first.get("mode") == 0 and "node_id" in first and first.get("addr") == ADDR,
        f"{{'mode': 0, 'node_id': ..., 'addr': {ADDR}}}",
        f"{first}" if first else "nothing was sent: next_request() returned None",
        at=driven.tracker.now,
        likely="a field is missing, or another request comes first (wrong/hasty)",
    )


@stage("each file is announced once", 2, f"{RULES}#rules; the course report, 3.2")
def s2(run: Run) -> None:
    driven = drive(run)
    driven.until(30.0)
    owned = [request.get("filename") for _, request in driven.sent if request.get("mode") == 1]
    run.expect(
        sorted(map(str, owned)) == FILES,
        f"an OWN for each of {FILES}",
        f"OWN for {owned}",
        at=driven.tracker.now,
        likely="only the first is announced (wrong/single), or all with each heartbeat (wrong/chatty)",
    )


@stage("the owners, the best first", 2, f"{RULES}#rules; the course report, 3.3")
def s3(run: Run) -> None:
    driven = drive(run)
    driven.until(5.0)
    owners = [entry[0] for entry in driven.client.owners("film.mp4")]
    run.expect(
        owners == [12, 11, 13],
        "nodes 12, 11 and 13: 5, 2 and 0 uploads counted",
        f"{owners}",
        at=driven.tracker.now,
        likely="the order of the answer is lost (wrong/sorted)",
    )


@stage("a heartbeat within each interval", 3, f"{RULES}#liveness")
def s4(run: Run) -> None:
    interval = float(run.rng.randint(4, 20))
    driven = drive(run, interval)
    driven.until(8 * interval)
    beats = driven.times(0)
    for earlier, later in zip(beats, [*beats[1:], driven.tracker.now], strict=True):
        run.expect(
            later - earlier <= 1.1 * interval + 0.5,
            f"a REGISTER at most {interval:.0f} s after the last one: the tracker said so",
            f"none from {earlier:.1f} to {later:.1f} s",
            at=later,
            likely="the interval is a constant (wrong/constant), or there is no heartbeat (wrong/silent)",
        )
    run.expect(
        len(beats) <= 12,
        "about 9 REGISTERs",
        f"{len(beats)}: each costs the tracker work",
        at=driven.tracker.now,
    )


@stage("a tracker that is busy is asked again, later", 3, f"{RULES}#http; RFC 9110, 10.2.3")
def s5(run: Run) -> None:
    driven, wait = drive(run), float(run.rng.randint(3, 8))
    busy = (503, {"error": "too busy", "retry_after": wait})
    driven.replace = lambda request: busy if len(driven.sent) == 2 else None
    driven.until(40.0)
    (at, refused), (again_at, again) = driven.sent[1], driven.sent[2]
    run.expect(
        again == refused and again_at >= at + wait,
        f"the same request again, at {at + wait:.1f} s or later: retry_after was {wait:.0f}",
        f"{again} at {again_at:.1f} s",
        at=again_at,
        likely="the request is forgotten (wrong/forgetful), or repeated at once (wrong/pushy)",
    )


@stage("a tracker that forgot everything is told again", 3, f"{RULES}#rules")
def s6(run: Run) -> None:
    driven = drive(run)
    driven.until(30.0)
    before = len(driven.times(1))
    driven.tracker.restart()
    run.note(30.0, "the tracker is started again, without its records")
    driven.until(60.0)
    again = len(driven.times(1)) - before
    run.expect(
        again == len(FILES),
        "an OWN for each file after an answer with known: false",
        f"{again}",
        at=60.0,
        likely="known is not looked at (wrong/once)",
    )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    nodes, interval = rng.randint(60, 400), rng.randint(5, 20)
    return [
        Question(
            f"{nodes} nodes, a heartbeat every {interval} s. Requests a second?", nodes / interval, "1/s"
        ),
        Question("A heartbeat may be lost. The deadline is how many intervals?", 2, "intervals"),
        Question(
            f"A node dies. Until it is removed, at most how long ({interval} s interval)?", 2 * interval, "s"
        ),
    ]
