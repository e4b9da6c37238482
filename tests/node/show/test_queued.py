"""The thread between the callers and the screen."""

from __future__ import annotations

import io
import threading

from node import events
from node.show.output import PlainOutput
from node.show.queued import LIMIT, QueuedScreen
from node.show.screen import TextScreen

HASH = "ab" * 20
PIECE = events.Piece("a", HASH, 1, (2,))


def queued(out: io.StringIO, err: io.StringIO, ignored: tuple[type[events.Event], ...] = ()) -> QueuedScreen:
    return QueuedScreen(TextScreen(PlainOutput(out), PlainOutput(err), verbose=True), ignored)


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


class StuckStream(io.StringIO):
    """Blocks every write until ``go`` is set, as an unread pipe does."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.go.wait()
        return super().write(text)


def test_everything_comes_in_order_from_many_threads_in_whole_lines() -> None:
    out = io.StringIO()
    screen = queued(out, out)

    def tell(who: int) -> None:
        for count in range(50):
            screen.say(f"{who}:{count}")

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert screen.close(threading.Event()) == 0
    shown = [tuple(map(int, line.split(":"))) for line in out.getvalue().splitlines()]
    assert len(shown) == 200
    for who in range(4):
        assert [count for teller, count in shown if teller == who] == list(range(50))


def test_ignored_events_are_not_shown() -> None:
    out = io.StringIO()
    screen = queued(out, out, (events.Piece,))
    screen.event(PIECE)
    screen.event(events.Stopped(3))
    assert screen.close(threading.Event()) == 0
    assert out.getvalue() == "node 3 left the torrent\n"


def test_telling_never_waits_and_what_was_dropped_is_counted() -> None:
    out, err = StuckStream(), io.StringIO()
    screen = queued(out, err)
    screen.say("first")
    assert out.reached.wait(10)
    for _ in range(LIMIT + 5):  # returns although nothing is written
        screen.event(PIECE)
    out.go.set()
    assert screen.close(threading.Event()) == 0
    assert err.getvalue() == "about 5 lines were not shown, because the output was not read\n"
    assert len(out.getvalue().splitlines()) == LIMIT + 1


def test_flush_waits_for_what_was_told() -> None:
    out = io.StringIO()
    screen = queued(out, out)
    screen.say("hello")
    screen.flush()
    assert out.getvalue() == "hello\n"
    assert screen.close(threading.Event()) == 0


def test_frequent_events_are_dropped_before_others() -> None:
    out, err = StuckStream(), io.StringIO()
    screen = queued(out, err)
    screen.say("first")
    assert out.reached.wait(10)
    for _ in range(LIMIT + 5):
        screen.event(PIECE)
    screen.event(events.Stopped(3))
    out.go.set()
    assert screen.close(threading.Event()) == 0
    assert out.getvalue().endswith("node 3 left the torrent\n")


def test_closing_waits_for_a_slow_reader_unless_the_program_was_stopped() -> None:
    out = StuckStream()
    screen = queued(out, out)
    screen.say("first")
    assert out.reached.wait(10)
    screen.say("second")
    assert screen.close(stopped()) == 2  # the line behind the stuck one, and the end
    threading.Timer(0.2, out.go.set).start()
    assert screen.close(threading.Event()) == 0
    assert out.getvalue() == "first\nsecond\n"
