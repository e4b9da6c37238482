"""A fetcher's tokens expire, or its owner restarts: no byte is lost, and no request repeats without end."""

from __future__ import annotations

import pytest

from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.address_validation import EPOCH, AddressValidator
from node.chunk_udp.asks import MAX_TOKENS_IN_A_ROW
from node.chunk_udp.connection import ConnectionState
from tests.node.chunk_udp.conversation import (
    HERE,
    PlayedOwner,
    ask_of,
    connect,
    fetch_all,
    requests_of,
    take,
    told,
    whole,
)


def test_an_expired_token_costs_a_round_trip_and_no_byte() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    assert whole(fetch_all(connection, owner, 0.1, 20_000), 20_000)
    before = owner.answerer.counts["token"]
    assert whole(fetch_all(connection, owner, 3 * EPOCH, 50_000), 50_000)
    assert owner.answerer.counts["token"] > before
    assert connection.stats.lost_bytes == 0  # no congestion: nothing was lost


def test_an_owner_that_restarts_is_another_secret_and_no_byte_is_lost() -> None:
    owner = PlayedOwner()
    connection = told(connect(), owner)
    fetch_all(connection, owner, 0.1, 20_000)
    assert whole(fetch_all(connection, PlayedOwner(b"another"), 0.5, 50_000), 50_000)


def test_an_owner_that_asks_for_another_token_for_ever_is_left() -> None:
    connection = connect()
    with pytest.raises(PeerFault, match="tokens"):  # noqa: PT012  # which one raises is not the point
        for number in range(MAX_TOKENS_IN_A_ROW + 1):
            sent = connection.datagrams_to_send()
            ask = ask_of(sent[-1])
            token = number.to_bytes(16, "big").replace(b"\0", b"x")
            take(connection, [wire.encode(wire.Token(ask.transfer_id, ask.sequence, token))], 0.01 * number)


def test_an_owner_that_refuses_the_very_token_it_gives_is_left() -> None:
    """The same TOKEN for every REQUEST: no byte comes, and yet it is never silent."""
    owner = PlayedOwner()
    connection = told(connect(), owner)
    token = AddressValidator(b"secret").make(HERE, 0.0)
    span: tuple[int, int] | None = (0, 1000)
    with pytest.raises(PeerFault, match="tokens"):  # noqa: PT012
        for turn in range(100):
            now = 1 + 0.01 * turn
            assert span is not None
            connection.request(*span, now)
            for request in requests_of(connection.datagrams_to_send()):
                take(connection, [wire.encode(wire.Token(request.transfer_id, request.sequence, token))], now)
            span = connection.tracker.take_lost(1000)


def test_tokens_that_expire_between_questions_are_no_fault() -> None:
    """An owner that is asked now and then what it has, and delivers nothing meanwhile, is a good owner."""
    owner = PlayedOwner()
    connection = told(connect(), owner)
    for turn in range(1, 3 * MAX_TOKENS_IN_A_ROW):
        now = turn * 3 * EPOCH
        connection.ask_file_size(now)
        for _ in range(2):
            take(connection, owner.answers(connection.datagrams_to_send(), now), now)
        assert connection.state is ConnectionState.FETCHING
