"""The ASKs of one connection: which are unanswered, and the token that they obtained. Pure."""

from __future__ import annotations

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.events import ConnectionConfig

FIRST_ASK = 1 << 31  # ASKs are numbered from here, REQUESTs from 1: an answer cannot be mistaken
MAX_TOKENS_IN_A_ROW = 8  # without any progress between them


class Asks:
    """Times are monotonic seconds. ``token`` is shown in every ASK and REQUEST."""

    def __init__(self, config: ConnectionConfig) -> None:
        self.token = wire.NO_TOKEN
        self._config = config
        self._next = FIRST_ASK
        self._open: dict[int, float] = {}  # sequence of each unanswered ASK -> when it was sent
        self._tokens_in_a_row = 0
        self._token_from = 0  # the sequence of the first REQUEST that shows this token

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._open

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, first_piece: int, now: float) -> bytes:
        """The datagram of one more ASK, for the bitfield page from ``first_piece`` on."""
        config, sequence = self._config, self._next
        self._next += 1
        self._open[sequence] = now
        return wire.encode(
            wire.Ask(config.transfer_id, sequence, config.info_hash, self.token, first_piece, config.node_id)
        )

    def answered(self, sequence: int) -> float | None:
        """When the ASK with this number was sent; None unless it was unanswered."""
        return self._open.pop(sequence, None)

    def forget_all(self) -> None:
        """Wait for no answer any more: a late answer does not count."""
        self._open.clear()

    def forget_older(self) -> None:
        """Wait for an answer to the latest ASK only."""
        self._open = dict(list(self._open.items())[-1:])

    def on_progress(self) -> None:
        """The owner has accepted the token."""
        self._tokens_in_a_row = 0

    def on_token(self, message: wire.Token, answers_request: bool, next_request: int) -> bool:
        """Take a TOKEN; True if it is new. PeerFault after MAX_TOKENS_IN_A_ROW.

        ``next_request`` is the sequence of the first REQUEST that will show it.
        """
        if message.token != self.token:
            self._count()
            self.token, self._token_from = message.token, next_request
            return True
        if answers_request and message.sequence >= self._token_from:
            self._count()  # the owner does not accept the very token that it gave
        return False

    def _count(self) -> None:
        self._tokens_in_a_row += 1
        if self._tokens_in_a_row > MAX_TOKENS_IN_A_ROW:
            raise PeerFault("does not accept the tokens it gives")
