"""Exact faults: which messages a rule hits, and how often it did. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faults.spec import Rule


@dataclass(frozen=True)
class Facts:
    """The facts of one message. ``span``: the bytes of the content that it carries or asks for."""

    message: str  # its name in capitals
    number: int | None = None  # of its sequence; over TCP: which one of its name on the connection, from 1
    span: tuple[int, int] | None = None
    sender: int | None = None  # node_id; None: not known
    receiver: int | None = None
    piece: int | None = None  # that it carries bytes of, where the message says so; else ``span`` decides


class ExactFaults:
    """The rules of one node, with their counts. ``piece_length`` may become known later."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.piece_length = 0  # bytes; 0: not known
        self.hits: list[tuple[Rule, Facts]] = []  # matched messages, in order; the last MAX_HITS
        self._left = [(rule, rule.times) for rule in rules]

    def hit(self, facts: Facts) -> Rule | None:
        """The first rule that this message falls under; it counts as one of the rule's times."""
        for at, (rule, left) in enumerate(self._left):
            if left != 0 and self._is_meant(rule, facts):
                if left is not None:
                    self._left[at] = (rule, left - 1)
                if len(self.hits) < MAX_HITS:
                    self.hits.append((rule, facts))
                return rule
        return None

    def _is_meant(self, rule: Rule, facts: Facts) -> bool:
        if rule.message and rule.message != facts.message:
            return False
        if rule.number is not None and rule.number != facts.number:
            return False
        if rule.sender is not None and rule.sender != facts.sender:
            return False
        if rule.receiver is not None and rule.receiver != facts.receiver:
            return False
        if rule.piece is None:
            return True
        if facts.message not in CARRIERS:
            return False
        if facts.piece is not None:
            return facts.piece == rule.piece
        if facts.span is None or not self.piece_length:
            return False
        begin = rule.piece * self.piece_length
        return facts.span[0] < begin + self.piece_length and begin < facts.span[1]


CARRIERS = ("DATA", "PIECE")  # messages with bytes of a piece
MAX_HITS = 10_000  # hits that are kept for the log and for tests
