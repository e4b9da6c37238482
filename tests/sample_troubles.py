"""Mishaps of the made-up recording: loss, a wrong hash, silence, a gap, congestion, an early exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sample_swarm import PieceTransfer, SampleSwarm

PIECE_LENGTH = 65_536
SEED = 1
Name = Any  # int or str


class Troubles:
    """Each method makes one mishap happen now."""

    def __init__(self, swarm: SampleSwarm) -> None:
        self._swarm = swarm

    def _pick(self) -> PieceTransfer | None:
        running = [t for t in self._swarm.transfers if isinstance(t.taker, int) and isinstance(t.giver, int)]
        return self._swarm.dice.choice(running) if running else None

    def lose(self) -> None:
        """A lost datagram, asked for again; the flight recorder's rows about it."""
        moving = self._pick()
        if moving is None:
            return
        giver, taker, offset = moving.giver, moving.taker, moving.piece * PIECE_LENGTH + int(moving.done)
        messages = _messages_of_a_loss(giver, moving.piece, offset)
        self._swarm.dumps += 1
        lost = {"peer": giver, "message": "DATA", "offset": offset, "length": 1400}
        self._swarm.about(
            taker,
            "datagram:lost",
            5,
            reason="three later ones arrived",
            others=self._swarm.dice.randrange(3),
            **lost,
        )
        self._swarm.about(
            taker,
            "datagram:repaired",
            27.5,
            by="asked again",
            cost_ms=22.5,
            cost_bytes=1400,
            others=0,
            **lost,
        )
        self._swarm.write(
            taker,
            "messages:dumped",
            28,
            reason="datagram lost",
            dump=self._swarm.dumps,
            first=0,
            total=len(messages),
            messages=messages,
        )

    def spoil(self) -> None:
        """A piece with a wrong hash."""
        moving = self._pick()
        if moving is not None:
            self._swarm.transfers.remove(moving)
            self._swarm.bad.add((moving.taker, moving.piece))
            self._swarm.plans.append((self._swarm.now + self._swarm.end / 15, self._swarm.bad.clear))
            self._swarm.plans.sort(key=lambda plan: plan[0])
            self._swarm.about(moving.taker, "piece:received", 1, piece=moving.piece)
            self._swarm.about(moving.taker, "piece:failed", 9, piece=moving.piece, peers=[moving.giver])
            self._swarm.view(
                moving.taker, moving.giver, "suspect", 0, f"sent wrong bytes in piece {moving.piece}"
            )

    def silent(self) -> None:
        """The last node falls silent for a twelfth of the run, and loses its transfers."""
        name = max(name for name in self._swarm.members if isinstance(name, int))
        self._swarm.members[name].present = False
        for each in [t for t in self._swarm.transfers if name in (t.giver, t.taker)]:
            self._swarm.give_up(each, "does not answer")
        self._swarm.write(
            None,
            "node:silent",
            self._swarm.end / 40,
            node=name,
            silent_ms=round(self._swarm.end / 40, 3),
            removed=False,
        )
        self._swarm.plans.append((self._swarm.now + self._swarm.end / 12, lambda: self._awake(name)))
        self._swarm.plans.sort(key=lambda plan: plan[0])

    def _awake(self, name: Name) -> None:
        self._swarm.members[name].present = True
        silent_ms = round(self._swarm.end / 40 + self._swarm.end / 12, 3)
        self._swarm.write(None, "node:back", node=name, silent_ms=silent_ms)
        self._swarm.about(name, "torrent:state", state="downloading", reason="")

    def gap(self) -> None:
        """A node loses some of its events, and then gets faults."""
        name = self._swarm.dice.choice(
            [n for n, m in self._swarm.members.items() if isinstance(n, int) and n != SEED and m.present]
        )
        self._swarm.write(name, "gap", events=214, span_ms=2100.0)
        self._swarm.about(
            name,
            "piece:held",
            1,
            ranges=[[piece, piece + 1] for piece in sorted(self._swarm.members[name].held)],
        )
        for each in self._swarm.transfers:
            if each.taker == name:
                self._swarm.about(name, "piece:requested", 2, piece=each.piece, peers=[each.giver])
        self._swarm.write(name, "node:faults", 3, spec="loss=5%,delay=40ms,seed=7")

    def reduce(self) -> None:
        """A congestion controller halves its window."""
        if (moving := self._pick()) is not None:
            self._swarm.about(
                moving.taker,
                "congestion:reduced",
                peer=moving.giver,
                window=24_000,
                reason="2% of a round lost",
            )

    def leave(self) -> None:
        """The last node leaves."""
        name = sorted(name for name in self._swarm.members if isinstance(name, int))[-1]
        self._swarm.members[name].present = False
        for each in [t for t in self._swarm.transfers if name in (t.giver, t.taker)]:
            self._swarm.give_up(each, "left")
        self._swarm.write(name, "node:left")
        self._swarm.write(None, "tracker:exit", 1, node=name)


def _messages_of_a_loss(giver: Name, piece: int, offset: int) -> list[dict[str, Any]]:
    rows = [
        ("out", "REQUEST", 60.2, {"sequence": 17}),
        ("in", "DATA", 48.9, {"sequence": 17}),
        ("in", "DATA", 48.1, {"sequence": 17}),
        ("out", "REQUEST", 21.4, {"sequence": 19}),
        ("in", "DATA", 0.9, {"sequence": 19}),
        ("here", "verified", 0.0, {"piece": piece}),
    ]
    messages = [
        {
            "ago_ms": ago,
            "direction": direction,
            "peer": None if direction == "here" else giver,
            "message": message,
            "fields": fields if direction == "here" else {**fields, "offset": offset, "length": 1400},
        }
        for direction, message, ago, fields in rows
    ]
    messages[2]["lost"], messages[3]["again"] = True, 17
    return messages
