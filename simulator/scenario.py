"""Everything that decides a simulated download, drawn from its seed."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

from faults.link import LinkFaults
from node.chunk_udp import wire
from node.chunk_udp.congestion import CONTROLLERS


class Behaviour(enum.Enum):
    """How an owner behaves, which may differ from the pieces that it announces."""

    HONEST = "is honest"
    POLLUTER = "sends wrong bytes"
    LATE_POLLUTER = "sends wrong bytes once it is trusted"
    SOMETIMES = "sends wrong bytes now and then"
    EMPTY = "announces every piece and holds none"
    MUTE = "announces pieces and sends no data"
    BUSY = "queues every fetcher and serves none"
    OTHER_SIZE = "has a file of another size"

    @property
    def lies(self) -> bool:
        """True if it sends wrong bytes."""
        return self in (Behaviour.POLLUTER, Behaviour.LATE_POLLUTER, Behaviour.SOMETIMES)


LIKELY = [
    *Behaviour,
    *3 * [Behaviour.HONEST],
    *2 * [Behaviour.POLLUTER],
    Behaviour.LATE_POLLUTER,
    Behaviour.SOMETIMES,
]


@dataclass(frozen=True)
class OwnerPlan:
    """One owner, and the links to it and back."""

    behaviour: Behaviour
    there: LinkFaults
    back: LinkFaults
    slots: int | None = None  # transfers at a time, for which other fetchers compete; None: no limit
    upload_limit: int | None = None  # bytes a second
    part: float = 1.0  # fraction of the pieces that it holds at first; the rest follows
    dies_at: float | None = None  # seconds after the start
    back_after: float | None = None  # seconds until it is back; None: never


@dataclass(frozen=True)
class Scenario:
    """Everything that decides a run; printed when one fails."""

    seed: int
    size: int
    piece_length: int
    segment_size: int
    checked: bool  # payloads carry checksums, as on every path but loopback
    controller: str
    most_owners: int  # complete owners used at a time
    download_limit: int | None  # bytes a second
    begins_at: float  # virtual seconds; tokens expire at multiples of 30
    hashing: float  # max seconds until a run of bytes is written and hashed
    owners: tuple[OwnerPlan, ...]
    faults: str = ""  # of the fetching node, as after -faults

    @classmethod
    def of(cls, seed: int) -> Scenario:
        """The scenario of ``seed``."""
        chance = random.Random(seed)
        segment_size = chance.choice([512, 1200, 1400, 4000])
        size = int(2 ** chance.uniform(chance.choice([0, 14]), 19))
        piece_length = 2 ** chance.randint(12, 18)
        return cls(
            seed,
            size=size,
            piece_length=max(piece_length, size // 256),
            segment_size=segment_size,
            checked=chance.random() < 0.7,
            controller=chance.choice(sorted(CONTROLLERS)),
            most_owners=chance.choice([1, 2, 3, 3, 5]),
            download_limit=chance.choice([None, None, None, int(10 ** chance.uniform(4.8, 6.5))]),
            begins_at=chance.choice([0.0, 29.9, chance.uniform(0, 1000)]),
            hashing=chance.choice([0.0, 0.001, 0.2]),
            owners=draw_owners(chance, segment_size),
        )

    @property
    def has_liar(self) -> bool:
        """True if any owner sends wrong bytes."""
        return any(owner.behaviour.lies for owner in self.owners)


def draw_owners(chance: random.Random, segment_size: int) -> tuple[OwnerPlan, ...]:
    """One to five owners. The first is honest and complete, and comes back if it dies."""
    network = (bad_network(chance, segment_size), bad_network(chance, segment_size))
    owners = [reliable(chance, *network)]
    for _ in range(chance.choice([0, 1, 2, 4, 4])):
        behaviour = chance.choice(LIKELY)
        if chance.random() < 0.3:  # its own path
            network = (bad_network(chance, segment_size), bad_network(chance, segment_size))
        owners.append(other(chance, behaviour, *network))
    return tuple(owners)


def reliable(chance: random.Random, there: LinkFaults, back: LinkFaults) -> OwnerPlan:
    """An owner from which a download can finish."""
    dies_at = chance.choice([None, None, chance.uniform(0, 1)])
    slots = chance.choice([None, None, None, 1, 2])
    return OwnerPlan(
        Behaviour.HONEST, there, back, slots, dies_at=dies_at, back_after=chance.choice([0.0, 3.0])
    )


def other(chance: random.Random, behaviour: Behaviour, there: LinkFaults, back: LinkFaults) -> OwnerPlan:
    """An owner of any behaviour, with any limits."""
    honest = behaviour is Behaviour.HONEST
    return OwnerPlan(
        behaviour,
        there,
        back,
        slots=chance.choice([None, None, 1]),
        upload_limit=chance.choice([None, None, int(10 ** chance.uniform(4.3, 6))]),
        part=chance.choice([1.0, 1.0, chance.random()]) if honest else 1.0,
        dies_at=chance.choice([None, None, chance.uniform(0, 3)]),
        back_after=chance.choice([None, 0.0, chance.uniform(0, 10)]),
    )


def bad_network(chance: random.Random, segment_size: int) -> LinkFaults:
    """Anything from a clean path to a terrible one. Each fault occurs in half of all paths."""

    def perhaps(most: float) -> float:
        return chance.choice([0.0, chance.uniform(0, most)])

    return LinkFaults(
        loss=perhaps(0.3),
        duplicate=perhaps(0.2),
        reorder=perhaps(0.3),
        reorder_by=perhaps(0.05),
        corrupt=perhaps(0.1),
        delay=chance.choice([0.0, 10 ** chance.uniform(-4, 0)]),
        jitter=perhaps(0.03),
        rate=chance.choice([None, 10 ** chance.uniform(4.7, 7)]),
        queue=int((segment_size + wire.HEADER_SIZE) * chance.uniform(3, 30)),
    )
