"""The stages of lab 0."""

from __future__ import annotations

from random import Random
from typing import Any

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage
from labs.harness.log import made_up
from labs.harness.tracker import VirtualTracker

RULES = "docs/tracker.md"
PIECES = 12


def ask(run: Run, tracker: VirtualTracker, name: str) -> dict[str, Any]:
    """The tracker's answer to a request of the student's; it must be 200."""
    body = run.value(name)
    if not isinstance(body, dict):
        run.nonsense(f"{name} is {body!r}; a dict is wanted")
    status, answer = tracker.ask(body)
    run.message(0.0, "you", "tracker", name, text=str(body)[:60])
    run.message(0.0, "tracker", "you", "answer", text=f"{status} {answer}"[:60])
    run.expect(
        status == 200,
        f"200 for {name}",
        f"{status}: {answer.get('error')}",
        at=0.0,
        likely="a field is missing: the answer names it (wrong/no_addr)",
    )
    return answer


@stage("REGISTER", 2, f"{RULES}#rules; the course report, 3.1")
def s1(run: Run) -> None:
    answer = ask(run, VirtualTracker(), "REGISTER")
    run.expect(
        answer["status"] == "Node registered", "Node registered", answer["status"], at=0.0,
        likely="another mode than 0 (wrong/mode)",
    )  # fmt: skip


@stage("OWN, and another node finds you", 3, f"{RULES}#rules")
def s2(run: Run) -> None:
    tracker = VirtualTracker()
    node = run.value("REGISTER")["node_id"]
    for name in ("REGISTER", "OWN"):
        ask(run, tracker, name)
    found = ask(run, tracker, "NEED").get("search_result", [])
    owners = [entry["node_id"] for entry, uploads in found]
    run.expect(
        owners == [node],
        f"NEED finds node {node}",
        f"it finds {owners}",
        at=0.0,
        likely="OWN and NEED name different files (wrong/other_file), or nodes (wrong/other_node)",
    )


@stage("which nodes verified a piece", 3, "docs/events.md")
def s3(run: Run) -> None:
    log = made_up(run.rng, pieces=PIECES)
    for piece in range(PIECES):
        nodes = run.call("verified", log.lines, piece)
        run.note(float(piece), f"piece {piece}", call=True)
        run.expect(
            nodes == log.verified[piece],
            f"nodes {log.verified[piece]} for piece {piece}",
            f"{nodes}",
            at=float(piece),
            likely="failed pieces count too (wrong/any_event), or the order is lost (wrong/ordered)"
            if nodes
            else "no event matches: each line is JSON; its name must be piece:verified",
        )


@stage("the rarest piece", 2, "docs/glossary.md")
def s4(run: Run) -> None:
    for number in range(5):
        log = made_up(run.rng, nodes=9, pieces=PIECES)
        counts = {piece: len(nodes) for piece, nodes in log.verified.items()}
        rare = min(counts, key=lambda piece: (counts[piece], piece))
        told = run.call("rarest", log.lines, PIECES)
        run.note(float(number), f"copies: {', '.join(map(str, counts.values()))}", call=True)
        run.expect(
            told == rare,
            f"piece {rare} with {counts[rare]} copies",
            f"piece {told}",
            at=float(number),
            likely="the most common one (wrong/most), or a piece without any copy is forgotten",
        )


def predict(rng: Random) -> list[Question]:
    """Three numbers to work out before the first run."""
    size, length = rng.randint(20, 90), rng.choice([64, 128, 256])
    pieces = -(-size * 1024 // length)
    return [
        Question(f"A file of {size} MiB in pieces of {length} KiB: how many pieces?", pieces, "pieces", 0.01),
        Question("Bytes of hashes in its .torrent (SHA-1)?", 20 * pieces, "bytes", 0.01),
        Question(
            "3 nodes fetch it from one seed of 1 MiB/s and from each other: at least how long?", size, "s"
        ),
    ]
