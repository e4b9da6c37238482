"""The event bus."""

from __future__ import annotations

from node import events


def test_all_subscribers_get_every_event_in_order() -> None:
    bus, seen = events.EventBus(), []
    bus.subscribe(lambda event: seen.append(("first", event.name)))
    bus.subscribe(lambda event: seen.append(("second", event.name)))
    bus.emit(events.Stopped(1))
    assert seen == [("first", "stopped"), ("second", "stopped")]


def test_a_subscriber_that_fails_keeps_no_event_from_the_others() -> None:
    bus, seen = events.EventBus(), []

    def broken(event: events.Event) -> None:
        raise ZeroDivisionError

    bus.subscribe(broken)
    bus.subscribe(seen.append)
    bus.emit(events.Stopped(1))
    assert seen == [events.Stopped(1)]
