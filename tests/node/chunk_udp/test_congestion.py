"""The contract of congestion controllers; Reno and CUBIC against their RFCs' own formulas.

LEDBAT's and BBR's tests are in ``congestion/``; tests/simulator runs all controllers over links.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from common.errors import SettingError
from node.chunk_udp.congestion import CONTROLLERS, make_controller
from node.chunk_udp.congestion.base import INITIAL_SEGMENTS, MINIMUM_SEGMENTS, CongestionController
from node.chunk_udp.congestion.cubic import BETA, C, Cubic
from node.chunk_udp.congestion.fixed import WINDOW_SEGMENTS
from node.chunk_udp.congestion.manager import CongestionManager, FlowHandle
from node.chunk_udp.congestion.reno import LOSS_REDUCTION_FACTOR, Reno
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

SEGMENT = 1000


def trip(*seconds: float) -> RoundTripTime:
    """Round trips that took these seconds."""
    rtt = RoundTripTime()
    for sample in seconds:
        rtt.sample(sample)
    return rtt


RTT = 0.1
TRIP = trip(RTT)


def a_round_trip(controller: CongestionController, now: float) -> float:
    """A full window asked for at ``now`` and received one round trip later; when that is."""
    for _ in range(int(controller.window / SEGMENT)):
        controller.on_received(SEGMENT, now, TRIP, now + RTT, True)
    return now + RTT


every_controller = pytest.mark.parametrize("name", sorted(CONTROLLERS))

Step = Callable[[CongestionController, FlowHandle, float], None]


@st.composite
def rounds(draw: DrawFn) -> RoundSample:
    """Samples of one round trip, the strangest included."""
    return RoundSample(
        delivered=draw(st.integers(0, 1 << 24)),
        lost=draw(st.integers(-(1 << 20), 1 << 24)),  # below 0: bytes presumed lost came after all
        rate=draw(st.one_of(st.just(0.0), st.floats(1, 1e10))),
        app_limited=draw(st.booleans()),
        lowest_rtt=draw(st.one_of(st.just(float("inf")), st.floats(1e-5, 5))),
        in_flight=draw(st.integers(0, 1 << 24)),
    )


@st.composite
def steps(draw: DrawFn) -> Step:
    """One thing that may happen to a controller."""
    kind = draw(st.sampled_from(["received", "received", "round", "round", "lost", "persistent", "shrink"]))
    size, age = draw(st.integers(1, 64 * SEGMENT)), draw(st.floats(0, 2))
    rtt, limited = draw(st.floats(0.0001, 2)), draw(st.booleans())
    ended = draw(rounds()) if kind == "round" else None

    def step(controller: CongestionController, share: FlowHandle, now: float) -> None:
        if kind == "received":
            controller.on_received(size, now - age, trip(rtt), now, limited)
        elif kind == "lost":
            controller.on_lost(size, now - age, now)
        elif ended is not None:
            controller.on_round(ended, share, now)
        elif kind == "persistent":
            controller.on_persistent_congestion(now)
        else:
            controller.segment_size = max(512, controller.segment_size // 4)

    return step


@every_controller
@given(
    steps=st.lists(st.tuples(steps(), st.floats(0, 5)), max_size=60), segment=st.sampled_from([512, 61_440])
)
def test_the_window_holds_two_segments_whatever_happens(
    name: str, steps: list[tuple[Step, float]], segment: int
) -> None:
    controller, share, now = make_controller(name, segment), CongestionManager().join(), 0.0
    for step, pause in steps:
        now += pause
        step(controller, share, now)
        assert math.isfinite(controller.window)
        assert controller.window >= controller.minimum_window == MINIMUM_SEGMENTS * controller.segment_size
        for rtt in (TRIP, RoundTripTime(), trip(0.0)):
            rate = controller.pacing_rate(rtt)
            assert rate > 0
            assert math.isfinite(rate) or name == "fixed"  # it requests all at once by design


@every_controller
def test_the_losses_of_one_round_trip_reduce_the_window_once(name: str) -> None:
    controller = make_controller(name, SEGMENT)
    controller.on_lost(SEGMENT, 1.00, 1.10)
    once = controller.window
    for sent_at in (0.99, 1.00, 1.05, 1.10):
        controller.on_lost(SEGMENT, sent_at, 1.15)
    assert controller.window == once


@every_controller
def test_receiving_in_any_order_never_shrinks_it(name: str) -> None:
    controller = make_controller(name, SEGMENT)
    controller.on_lost(SEGMENT, 0.5, 0.6)
    for sent_at in (0.7, 0.61, 0.9, 0.65, 0.8):
        before = controller.window
        controller.on_received(SEGMENT, sent_at, TRIP, 1.0, True)
        assert controller.window >= before


@every_controller
def test_it_does_not_grow_while_nothing_needs_it(name: str) -> None:
    controller = make_controller(name, SEGMENT)
    before = controller.window
    for _ in range(100):
        controller.on_received(SEGMENT, 1.0, TRIP, 1.1, False)
    assert controller.window == before


@every_controller
def test_it_is_deterministic(name: str) -> None:
    def course() -> list[tuple[float, float]]:
        controller, share = make_controller(name, SEGMENT), CongestionManager().join()
        seen = []
        for turn in range(80):
            now = turn * 0.1
            controller.on_received(SEGMENT, now - RTT, TRIP, now, True)
            if turn % 7 == 6:
                controller.on_lost(SEGMENT, now - RTT, now)
            rate = 1e5 * (1 + turn % 3)
            controller.on_round(RoundSample(10_000, 1000 * (turn % 5), rate, False, RTT, 10_000), share, now)
            seen.append((controller.window, controller.pacing_rate(TRIP)))
        return seen

    assert course() == course()


@every_controller
def test_it_paces_fast_enough_to_fill_the_window_in_a_round_trip(name: str) -> None:
    controller = make_controller(name, SEGMENT)
    assert controller.pacing_rate(TRIP) * RTT >= controller.window


@every_controller
def test_a_window_that_collapsed_comes_back(name: str) -> None:
    """A window recovers from persistent congestion: with answers it soon is as large as at the start."""
    controller, share, now = make_controller(name, SEGMENT), CongestionManager().join(), 0.0
    for turn in range(100):
        size = min(int(controller.window), 50 * SEGMENT)  # the path's capacity
        for _ in range(size // SEGMENT):
            controller.on_received(SEGMENT, now, TRIP, now + RTT, size == int(controller.window))
        now += RTT + 1e-6
        controller.on_round(RoundSample(size, 0, size / RTT, False, RTT, size), share, now)
        if turn == 10:
            controller.on_persistent_congestion(now)
    assert controller.window >= INITIAL_SEGMENTS * SEGMENT


def test_an_unknown_name_is_a_setting_that_does_not_parse() -> None:
    with pytest.raises(SettingError, match="no congestion control 'x'; there is bbr, cubic"):
        make_controller("x", SEGMENT)


def test_fixed_is_fixed() -> None:
    controller = make_controller("fixed", SEGMENT)
    controller.on_received(SEGMENT, 0.0, TRIP, RTT, True)
    controller.on_lost(SEGMENT, 1.0, 2.0)
    controller.on_persistent_congestion(3.0)
    assert controller.window == WINDOW_SEGMENTS * SEGMENT


# ---- Reno, RFC 9002 section 7 and appendix B


def reno_after_a_loss(segments: float) -> Reno:
    """Lost at a window of ``segments``, at time 0."""
    controller = Reno(SEGMENT)
    controller.window = segments * SEGMENT
    controller.on_lost(SEGMENT, -0.05, 0.0)
    return controller


def test_reno_doubles_its_window_each_round_trip_until_the_first_loss() -> None:
    """7.3.1: in slow start the window grows by the bytes that were acknowledged."""
    controller, now, windows = Reno(SEGMENT), 0.0, []
    for _ in range(4):
        windows.append(controller.window / SEGMENT)
        now = a_round_trip(controller, now)
    assert windows == [INITIAL_SEGMENTS * 2**turn for turn in range(4)]


def test_a_loss_halves_renos_window() -> None:
    """7.3.2: ssthresh is half of the window, and recovery begins there (kLossReductionFactor)."""
    assert reno_after_a_loss(40).window == 20 * SEGMENT
    assert LOSS_REDUCTION_FACTOR == 0.5


@pytest.mark.parametrize("segments", [8, 40, 400])
def test_afterwards_reno_grows_by_one_segment_each_round_trip(segments: int) -> None:
    """7.3.3 and B.5: max_datagram_size * acked_bytes / congestion_window."""
    controller, now = reno_after_a_loss(segments), 0.0
    begin = controller.window
    for _ in range(10):
        now = a_round_trip(controller, now + 1e-9)
    assert controller.window - begin == pytest.approx(10 * SEGMENT, rel=0.1)


def test_in_recovery_reno_does_not_grow() -> None:
    """7.3.2: until something that was asked for after its begin is here."""
    controller = reno_after_a_loss(40)
    controller.on_received(SEGMENT, -0.01, TRIP, 0.05, True)
    assert controller.window == 20 * SEGMENT
    controller.on_received(SEGMENT, 0.01, TRIP, 0.11, True)
    assert controller.window > 20 * SEGMENT


def test_reno_saws() -> None:
    """Each loss halves the window, and it grows back by one segment each round trip."""
    controller, now = reno_after_a_loss(40), 0.0
    for _ in range(3):
        trips = 0
        while controller.window < 40 * SEGMENT:
            now = a_round_trip(controller, now + 1e-9)
            trips += 1
        assert trips == pytest.approx(20, abs=2)
        controller.on_lost(SEGMENT, now, now)
        assert controller.window == pytest.approx(20 * SEGMENT, rel=0.05)


def test_persistent_congestion_sends_reno_back_into_slow_start() -> None:
    """7.6.2: the minimum window; the threshold stays at what the loss made it, half of the window."""
    controller = Reno(SEGMENT)
    controller.window = 100 * SEGMENT
    controller.on_persistent_congestion(1.0)
    assert controller.window == controller.minimum_window == 2 * SEGMENT
    now, windows = 1.0, []
    for _ in range(7):
        now = a_round_trip(controller, now + 1e-9)
        windows.append(round(controller.window / SEGMENT))
    assert windows[:4] == [4, 8, 16, 32]
    assert windows[-1] <= 50 + 14 + 4  # doubled up to 50 or what a whole window made of it, then one by one


# ---- CUBIC, RFC 9438


def after_a_loss_at(segments: float) -> Cubic:
    """A controller that lost at a window of ``segments``, at time 0."""
    controller = Cubic(SEGMENT)
    controller.window = segments * SEGMENT
    controller.on_lost(SEGMENT, -0.05, 0.0)
    return controller


def test_it_begins_with_the_usual_window_and_doubles_it_each_round_trip() -> None:
    controller, now = Cubic(SEGMENT), 0.0
    windows = []
    for _ in range(4):
        windows.append(controller.window / SEGMENT)
        now = a_round_trip(controller, now)
    assert windows == [INITIAL_SEGMENTS * 2**turn for turn in range(4)]


def test_a_loss_leaves_seven_tenths() -> None:
    assert after_a_loss_at(100).window == pytest.approx(0.7 * 100 * SEGMENT)
    assert BETA == 0.7


def test_what_was_asked_for_before_the_loss_does_not_make_it_grow() -> None:
    controller = after_a_loss_at(100)
    before = controller.window
    controller.on_received(SEGMENT, -0.01, TRIP, 0.05, True)
    assert controller.window == before


@pytest.mark.parametrize("w_max", [200.0, 500.0, 2000.0])
def test_it_follows_the_cubic_curve(w_max: float) -> None:
    """W_cubic(t) = C (t - K)^3 + W_max, K = cbrt(W_max (1 - beta) / C): figures 1 and 2."""
    controller, now = after_a_loss_at(w_max), 0.0
    k = (w_max * (1 - BETA) / C) ** (1 / 3)
    epoch = RTT  # the curve begins with the first bytes that were asked for after the loss
    while now < 2 * k:
        now = a_round_trip(controller, now + 1e-9)
        # Bytes received at t aim at W_cubic(t + RTT) and reach it within a round trip.
        expected = C * (now - epoch + RTT - k) ** 3 + w_max
        assert controller.window / SEGMENT == pytest.approx(expected, rel=0.03)


def test_it_is_back_where_it_lost_after_k_seconds_and_lingers_there() -> None:
    w_max = 1000.0
    controller, now = after_a_loss_at(w_max), 0.0
    k = (w_max * (1 - BETA) / C) ** (1 / 3)
    window: dict[int, float] = {}
    while now < 2 * k:
        now = a_round_trip(controller, now + 1e-9)
        window[round(100 * now / k / 5) * 5] = controller.window / SEGMENT
    assert window[100] == pytest.approx(w_max, rel=0.01)
    assert window[125] - window[75] < 0.02 * w_max  # the plateau
    assert window[25] - window[5] > 5 * (window[100] - window[80])  # concave before it
    assert window[195] - window[175] > 5 * (window[120] - window[100])  # convex after it


def test_it_is_never_slower_than_reno() -> None:
    """The Reno-friendly region (4.3): a small window grows as Reno's, by alpha a round trip."""
    controller, now = after_a_loss_at(20), 0.0
    begin = controller.window / SEGMENT
    for _ in range(12):
        now = a_round_trip(controller, now + 1e-9)
    alpha = 3 * (1 - BETA) / (1 + BETA)
    assert controller.window / SEGMENT >= begin + 12 * alpha * 0.9


def test_past_its_last_peak_it_grows_as_fast_as_reno() -> None:
    """4.3: alpha makes up for the smaller reduction; once that is made good, it is 1 segment a round trip."""
    controller, now = after_a_loss_at(20), 0.0
    while controller.window < 21 * SEGMENT:
        now = a_round_trip(controller, now + 1e-9)
    begin = controller.window / SEGMENT
    for _ in range(8):
        now = a_round_trip(controller, now + 1e-9)
    assert controller.window / SEGMENT >= begin + 8 * 0.9


def test_a_window_grows_by_half_a_round_trip_at_most() -> None:
    """4.2: the target is at most 1.5 windows away, however long ago the curve began."""
    controller = after_a_loss_at(100)
    controller.on_received(SEGMENT, 0.01, TRIP, 0.1, True)
    before = controller.window
    a_round_trip(controller, 1000.0)
    assert controller.window <= 1.51 * before


def test_fast_convergence_leaves_room_for_newcomers() -> None:
    """4.7: lost below the last peak, so the new peak is lower than the window was."""
    controller = after_a_loss_at(1000)
    now = a_round_trip(controller, 1e-9)
    segments = controller.window / SEGMENT
    assert segments < 1000
    controller.on_lost(SEGMENT, now, now)
    peak = segments * (1 + BETA) / 2
    k = ((peak - segments * BETA) / C) ** (1 / 3)
    start = now + RTT
    while now < start + k:
        now = a_round_trip(controller, now + 1e-9)
    assert controller.window / SEGMENT == pytest.approx(peak, rel=0.03)


def test_persistent_congestion_begins_again_from_the_smallest_window() -> None:
    controller = Cubic(SEGMENT)
    controller.window = 100 * SEGMENT
    controller.on_persistent_congestion(1.0)
    assert controller.window == controller.minimum_window
    now = 1.0
    for _ in range(4):  # in slow start: the window was only temporarily too large
        now = a_round_trip(controller, now + 1e-9)
    assert controller.window == 32 * SEGMENT
