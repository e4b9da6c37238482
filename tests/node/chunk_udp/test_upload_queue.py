"""The upload limit and the turns together, with fetchers that ask as they do. Virtual time only."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from node.chunk_udp import wire
from node.chunk_udp.upload_queue import UploadQueue
from node.rate_limit import RateLimit, limit_of

SECONDS = 6


def request(offset: int, length: int, segment: int = 1440) -> wire.Request:
    return wire.Request(1, 1 + offset, offset, length, b"h" * 20, bytes(16), segment)


class AskingFetcher:
    """Keeps ``window`` bytes requested, a quarter at a time, and requests again ``rtt`` after an answer."""

    def __init__(self, number: int, window: int, rtt: float) -> None:
        self.addr = ("192.0.2.7", number)
        self.length = window // 4
        self.asks_at = deque([0.0] * 4)
        self.rtt = rtt
        self.asked = 0


def serve(
    rate: int | None, fetchers: list[AskingFetcher], segment: int = 1440
) -> list[tuple[float, int, int]]:
    """``(when, port, bytes of datagrams)`` of all that was sent in SECONDS."""
    serving, sent, now = UploadQueue(limit_of(rate), 0.0), [], 0.0
    by_addr = {fetcher.addr: fetcher for fetcher in fetchers}
    while now < SECONDS:
        for fetcher in fetchers:
            while fetcher.asks_at and fetcher.asks_at[0] <= now:
                fetcher.asks_at.popleft()
                wanted = request(fetcher.asked, fetcher.length, segment)
                serving.add(wanted, fetcher.addr, wire.MAX_SEGMENT, now)
                fetcher.asked += fetcher.length
        portion = serving.next(now)
        if portion is None:
            coming = [fetcher.asks_at[0] for fetcher in fetchers if fetcher.asks_at]
            now = max(now + 1e-4, min([*coming, now + (serving.wait(now) or 1.0)]))
            continue
        serving.sent(portion, portion.length, now)
        size = portion.length + -(-portion.length // portion.segment) * wire.HEADER_SIZE
        sent.append((now, portion.addr[1], size))
        fetcher = by_addr[portion.addr]
        if portion.offset + portion.length == portion.request.offset + portion.request.length:
            fetcher.asks_at.append(now + fetcher.rtt)
    return sent


def test_the_limit_holds_whoever_asks_and_is_shared_equally() -> None:
    """A near fetcher, a far one, a greedy one and one that asks with small windows."""
    fetchers = [
        AskingFetcher(1, 200_000, 0.001),
        AskingFetcher(2, 400_000, 0.1),
        AskingFetcher(3, 800_000, 0.01),
    ]
    sent = serve(4_000_000, [*fetchers, AskingFetcher(4, 160_000, 0.02)])
    for start in range(SECONDS * 10 - 9):
        within = sum(size for now, _, size in sent if start / 10 <= now < start / 10 + 1)
        assert 0.95 * 4_000_000 <= within <= 1.05 * 4_000_000
    shares = Counter[int]()
    for now, port, size in sent:
        if now >= 1:
            shares[port] += size
    assert max(shares.values()) <= 1.1 * min(shares.values())


def test_what_one_does_not_use_the_others_get() -> None:
    sent = serve(4_000_000, [AskingFetcher(1, 400_000, 0.01), AskingFetcher(2, 40_000, 0.4)])
    amounts = Counter[int]()
    for _, port, size in sent:
        amounts[port] += size
    assert sum(amounts.values()) >= 0.95 * 4_000_000 * SECONDS
    assert amounts[2] >= 0.8 * 100_000 * SECONDS  # a window for each of its round trips


@pytest.mark.parametrize("rate", [16_000, 100_000, 4_000_000])
def test_no_datagram_is_too_large_for_the_limit(rate: int) -> None:
    serving = UploadQueue(limit_of(rate), 0.0)
    serving.add(request(0, 65_000, wire.MAX_SEGMENT), ("192.0.2.7", 1), wire.MAX_SEGMENT, 0.0)
    portion = serving.next(0.0)
    assert portion is not None
    assert wire.MIN_SEGMENT <= portion.segment <= max(wire.MIN_SEGMENT, 0.03 * rate)


def test_without_a_limit_nothing_waits_for_time() -> None:
    serving = UploadQueue(None, 0.0)
    for number in range(8):
        serving.add(request(number * 262_144, 262_144, 60_000), ("192.0.2.7", 1), wire.MAX_SEGMENT, 0.0)
    amount = 0
    while (portion := serving.next(0.0)) is not None:
        serving.sent(portion, portion.length, 0.0)
        amount += portion.length
    assert amount == 8 * 262_144 and serving.wait(0.0) is None


def test_only_who_has_been_alone_for_a_while_is_served_out_of_turn() -> None:
    serving, here, there = UploadQueue(None, 0.0), ("192.0.2.7", 1), ("192.0.2.7", 2)

    def send_immediately(addr: tuple[str, int], now: float) -> bool:
        return serving.send_immediately(request(0, 10_000), addr, 1200, now) is not None

    assert [send_immediately(here, now) for now in (0.5, 0.9, 1.0, 6.0)] == [False, False, True, True]
    assert not send_immediately(there, 6.1)  # another fetcher asked a moment ago
    assert [send_immediately(here, now) for now in (6.2, 7.0, 7.2)] == [False, False, True]
    assert send_immediately(there, 8.3)  # the other fetcher stopped asking long ago
    assert send_immediately(here, 9.9)
    portion = serving.send_immediately(request(30, 10_000), here, 1200, 10.0)
    assert portion is not None and (portion.offset, portion.length, portion.segment) == (30, 10_000, 1200)
    serving.add(request(0, 10_000), there, 1200, 10.0)
    assert not send_immediately(here, 10.1)  # something waits
    assert (
        UploadQueue(RateLimit(1_000_000), 0.0).send_immediately(request(0, 10_000), here, 1200, 9.0) is None
    )


def test_under_a_limit_little_waits_of_each() -> None:
    """Else an answer would come too late to be useful."""
    serving = UploadQueue(RateLimit(1_000_000), 0.0)
    waiting = Counter[int]()
    for port in range(10):
        for number in range(64):
            serving.add(request(number * 14_400, 14_400), ("192.0.2.7", port), wire.MAX_SEGMENT, 0.0)
    while (portion := serving.queue.next(None, 0.0)) is not None:
        serving.queue.sent(portion, portion.length)
        waiting[portion.addr[1]] += portion.length
    assert waiting[9] <= 0.25 * 1_000_000 / 9 and sum(waiting.values()) <= 1_000_000
