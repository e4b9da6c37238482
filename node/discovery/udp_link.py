"""Exchanges with one UDP tracker at one address (BEP 15). Pure: time is an argument.

A connection id proves to the tracker that this machine receives at its address. All announces to the tracker
share one id for CONNECTION_LIFETIME, so that a node with many torrents connects once a minute, not once a
torrent. An announce that needs an id waits for the answer to a connect request.

Packets are lost. Each exchange is one try: it ends with an answer or at its deadline. The next try is the
caller's (``node.discovery.announce_plan`` has the schedule). A tracker that restarted knows none of its ids,
and answers with an error. So after an error to an announce with an id that was not fetched for it, the link
connects again at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from msgspec import structs

from common.errors import TrackerPacketError
from common.udp_tracker import (
    AnnounceAnswer,
    AnnounceRequest,
    ConnectAnswer,
    ConnectRequest,
    ErrorAnswer,
    decode_answer,
)

CONNECTION_LIFETIME = 60.0  # seconds that a client may use a connection id (BEP 15)
CONNECT_RETRY = 15.0  # seconds after which an unanswered connect request is repeated for a new exchange


@dataclass(eq=False)
class UdpExchange:
    """One announce on its way. ``answer`` is None until it has one."""

    request: AnnounceRequest  # its two ids are set when it is sent
    deadline: float  # monotonic seconds
    answer: AnnounceAnswer | ErrorAnswer | None = None
    has_new_id: bool = False  # the connection id was fetched for this exchange
    connection_id: int = 0  # that the announce was sent with
    repeat_every: float | None = None  # seconds; None: sent once
    sent_at: float = field(default=float("-inf"))


class UdpLink:
    """The connection id of one tracker address, and the exchanges that are under way. The caller locks."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._connection_id = 0
        self._valid_until = float("-inf")
        self._connecting: int | None = None  # transaction id of the connect request
        self._connect_sent_at = float("-inf")
        self._waiting: list[UdpExchange] = []  # for a connection id
        self._announcing: dict[int, UdpExchange] = {}  # by transaction id

    @property
    def is_idle(self) -> bool:
        """True if no exchange is under way."""
        return not (self._waiting or self._announcing)

    def begin(self, exchange: UdpExchange, now: float) -> list[bytes]:
        """Start an exchange; returns the datagrams to send."""
        if now < self._valid_until:
            return [self._announce(exchange, now)]
        return self._wait_for_id(exchange, now)

    def receive(self, data: bytes, now: float) -> tuple[list[bytes], list[UdpExchange]]:
        """Take a datagram of the tracker; returns datagrams to send, and the exchanges that ended.

        A datagram that answers nothing is ignored.
        """
        try:
            answer = decode_answer(data)
        except TrackerPacketError:
            return [], []
        if answer.transaction_id == self._connecting:
            if isinstance(answer, ConnectAnswer):
                return self._connected(answer, now), []
            if isinstance(answer, ErrorAnswer):
                self._connecting = None
                ended, self._waiting = self._waiting, []
                return [], self._end(ended, answer)
        exchange = self._announcing.get(answer.transaction_id)
        if exchange is None or not isinstance(answer, (AnnounceAnswer, ErrorAnswer)):
            return [], []
        del self._announcing[answer.transaction_id]
        if isinstance(answer, ErrorAnswer) and not exchange.has_new_id:
            return self._reconnect(exchange, now), []
        return [], self._end([exchange], answer)

    def tick(self, now: float) -> tuple[list[bytes], list[UdpExchange]]:
        """Datagrams to repeat, and the exchanges whose deadline has passed: they have no answer."""
        ended = [exchange for exchange in self._all() if exchange.deadline <= now]
        self._waiting = [exchange for exchange in self._waiting if exchange.deadline > now]
        late = [key for key, exchange in self._announcing.items() if exchange.deadline <= now]
        for key in late:
            del self._announcing[key]
        return self._repeats(now), ended

    def abandon(self) -> list[UdpExchange]:
        """Give up everything under way: the address cannot be reached. Returns the exchanges."""
        ended = self._all()
        self._waiting, self._announcing, self._connecting = [], {}, None
        return ended

    def next_tick(self) -> float:
        """When ``tick`` has something to do, monotonic seconds; infinite without an exchange."""
        times = [exchange.deadline for exchange in self._all()]
        times += [exchange.sent_at + (exchange.repeat_every or 0) for exchange in self._repeated()]
        return min(times, default=float("inf"))

    # ---- steps

    def _wait_for_id(self, exchange: UdpExchange, now: float) -> list[bytes]:
        self._waiting.append(exchange)
        if self._connecting is not None and now < self._connect_sent_at + CONNECT_RETRY:
            return []
        self._connecting = self._new_transaction_id()
        return [self._connect(now)]

    def _connect(self, now: float) -> bytes:
        """The connect request of the present transaction id."""
        assert self._connecting is not None
        self._connect_sent_at = now
        for exchange in self._waiting:
            exchange.sent_at = now
        return ConnectRequest(self._connecting).encode()

    def _connected(self, answer: ConnectAnswer, now: float) -> list[bytes]:
        self._connecting = None
        self._connection_id = answer.connection_id
        self._valid_until = now + CONNECTION_LIFETIME
        waiting, self._waiting = self._waiting, []
        for exchange in waiting:
            exchange.has_new_id = True
        return [self._announce(exchange, now) for exchange in waiting]

    def _reconnect(self, exchange: UdpExchange, now: float) -> list[bytes]:
        """The tracker refused the id, or the announce; a new id tells which."""
        if exchange.connection_id == self._connection_id:
            self._valid_until = float("-inf")
        exchange.has_new_id = True
        return self.begin(exchange, now)

    def _announce(self, exchange: UdpExchange, now: float) -> bytes:
        transaction_id = self._new_transaction_id()
        self._announcing[transaction_id] = exchange
        exchange.connection_id = self._connection_id
        return self._packet(transaction_id, exchange, now)

    @staticmethod
    def _packet(transaction_id: int, exchange: UdpExchange, now: float) -> bytes:
        exchange.sent_at = now
        ids = {"connection_id": exchange.connection_id, "transaction_id": transaction_id}
        return structs.replace(exchange.request, **ids).encode()

    def _repeats(self, now: float) -> list[bytes]:
        """Packets of urgent exchanges again, with the same transaction ids."""
        due = [each for each in self._repeated() if each.sent_at + (each.repeat_every or 0) <= now]
        packets = [
            self._packet(transaction_id, exchange, now)
            for transaction_id, exchange in self._announcing.items()
            if exchange in due
        ]
        if any(exchange in due for exchange in self._waiting):
            packets.append(self._connect(now))
        return packets

    def _repeated(self) -> list[UdpExchange]:
        return [exchange for exchange in self._all() if exchange.repeat_every is not None]

    def _all(self) -> list[UdpExchange]:
        return [*self._waiting, *self._announcing.values()]

    def _new_transaction_id(self) -> int:
        while (number := self._rng.getrandbits(32)) in self._announcing or number == self._connecting:
            pass
        return number

    @staticmethod
    def _end(exchanges: list[UdpExchange], answer: AnnounceAnswer | ErrorAnswer) -> list[UdpExchange]:
        for exchange in exchanges:
            exchange.answer = answer
        return exchanges
