"""A doubled REQUEST is answered once; one that is asked again is always answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.chunk_udp import wire
from node.chunk_udp.replay_window import MAX_REPLAY_ADDRESSES, REPLAY_WINDOW, ReplayWindow

HERE = ("192.0.2.7", 4000)


def request(sequence: int, transfer: int = 1, offset: int = 0) -> wire.Request:
    return wire.Request(transfer, sequence, offset, 3000, b"h" * 20, bytes(16), 1000)


def test_the_same_request_is_a_copy_and_the_same_bytes_under_another_number_are_none() -> None:
    copies = ReplayWindow()
    assert not copies.is_duplicate(request(1), HERE)
    assert copies.is_duplicate(request(1), HERE)
    assert not copies.is_duplicate(request(2), HERE)  # asked again after a loss


def test_requests_that_overtake_each_other_are_all_new() -> None:
    copies = ReplayWindow()
    assert [copies.is_duplicate(request(n), HERE) for n in (5, 3, 4, 3, 1, 5)] == [
        *(False, False, False),
        *(True, False, True),
    ]


@given(st.lists(st.integers(1, 3 * REPLAY_WINDOW) | st.integers(1, (1 << 32) - 1), max_size=200))
def test_a_number_that_has_not_come_is_never_called_a_copy(numbers: list[int]) -> None:
    copies, come = ReplayWindow(), set[int]()
    for number in numbers:
        if copies.is_duplicate(request(number), HERE):
            assert number in come
        elif number in come:
            assert max(come) - number >= REPLAY_WINDOW  # too long ago: answered again
        come.add(number)


def test_transfers_and_addresses_do_not_disturb_each_other() -> None:
    copies = ReplayWindow()
    assert not copies.is_duplicate(request(1, transfer=1), HERE)
    assert not copies.is_duplicate(request(1, transfer=2), HERE)  # a new transfer from the same port
    assert not copies.is_duplicate(request(1, transfer=2), ("192.0.2.8", 4000))
    assert copies.is_duplicate(request(1, transfer=2), HERE)


def test_what_is_remembered_is_bounded() -> None:
    copies = ReplayWindow()
    for port in range(MAX_REPLAY_ADDRESSES + 1):
        copies.is_duplicate(request(1), ("192.0.2.7", port))
    assert len(copies) == MAX_REPLAY_ADDRESSES
    assert copies.is_duplicate(request(1), ("192.0.2.7", MAX_REPLAY_ADDRESSES))
    assert not copies.is_duplicate(request(1), ("192.0.2.7", 0))  # forgotten, so answered
