"""A scenario as a table and an outcome as sentences, for ``python -m simulator --seed``."""

from __future__ import annotations

from collections.abc import Sequence

from faults.link import LinkFaults
from simulator.outcome import Outcome
from simulator.scenario import OwnerPlan, Scenario

COLUMNS = ("owner", "behaviour", "holds", "slots", "upload", "dies", "link to it", "link back")


def scenario_text(scenario: Scenario) -> str:
    """The scenario in two sentences and a table of its owners."""
    limit = "no download limit" if scenario.download_limit is None else f"{scenario.download_limit:,} B/s"
    checksums = "with" if scenario.checked else "without"
    sentences = (
        f"Seed {scenario.seed}: one node fetches {scenario.size:,} bytes in pieces of "
        f"{scenario.piece_length:,}, from {scenario.most_owners} complete owners at a time at most.\n"
        f"Datagrams carry {scenario.segment_size:,} bytes {checksums} checksums. Congestion control is "
        f"{scenario.controller}, {limit}; hashing takes up to {scenario.hashing:g} s.\n"
    )
    return sentences + "\n" + table(COLUMNS, [_owner_row(n, o) for n, o in enumerate(scenario.owners, 1)])


def outcome_text(outcome: Outcome) -> str:
    """The outcome in sentences."""
    wrong = "No piece was wrong."
    if outcome.wrong:
        wrong = (
            f"Wrong pieces: {outcome.wrong}, {outcome.mixed} of them from several owners. "
            f"Banned: {outcome.banned}; suspects: {outcome.suspects}."
        )
    return (
        f"The file is right after {outcome.virtual:.3f} virtual seconds and {outcome.events:,} events. "
        f"Connections lost: {outcome.failures}. {wrong}\n"
        f"Trace {outcome.trace}: the same seed gives the same trace."
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as text, each column as wide as its longest cell."""
    widths = [max(len(row[at]) for row in (columns, *rows)) for at in range(len(columns))]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in (columns, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def _owner_row(number: int, owner: OwnerPlan) -> tuple[str, ...]:
    dies = "-"
    if owner.dies_at is not None:
        back = "for good" if owner.back_after is None else f"for {owner.back_after:.1f} s"
        dies = f"at {owner.dies_at:.1f} s {back}"
    return (
        str(number),
        owner.behaviour.value,
        f"{owner.part:.0%}",
        "-" if owner.slots is None else str(owner.slots),
        "-" if owner.upload_limit is None else f"{owner.upload_limit:,} B/s",
        dies,
        _link(owner.there),
        _link(owner.back),
    )


def _link(faults: LinkFaults) -> str:
    parts = [f"{faults.delay * 1000:.1f} ms"]
    parts += [] if faults.rate is None else [f"{faults.rate:,.0f} B/s"]
    for name in ("loss", "duplicate", "reorder", "corrupt"):
        value = getattr(faults, name)
        parts += [f"{name} {value:.0%}"] if value else []
    return ", ".join(parts)
