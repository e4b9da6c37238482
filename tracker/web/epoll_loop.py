"""The server's loop with epoll: a turn costs as much as the connections on which something happened.

waitress asks every connection in every turn whether it wants to read or write, and hands all of them to the
system again. With a hundred open pages and nodes that takes longer than the requests. Here the system keeps
what it is asked for. A connection is asked again after an event on it, and when another thread ``note``s it.
"""

from __future__ import annotations

import contextlib
import select
from collections import deque
from typing import Any

from waitress import wasyncore


class ScanningLoop:
    """waitress's own loop, for systems without epoll: it needs no notes."""

    def note(self, channel: Any) -> None:
        """``channel`` may want to read or write from now on, or no longer."""

    def forget(self, channel: Any) -> None:
        """``channel`` is being closed."""

    def loop(self, timeout: float, map: dict[int, Any], use_poll: bool) -> None:
        """Wait for events and handle them until ``map``, the channels by file number, is empty."""
        wasyncore.loop(timeout, use_poll, map)


class EpollLoop(ScanningLoop):
    """Any thread may call ``note`` and ``forget``. For an effect at once, wake the loop afterwards."""

    def __init__(self, server: Any) -> None:
        """``server`` looks for idle connections when it is asked whether it wants to read."""
        self._server = server
        self._noted: deque[Any] = deque()
        self._polled: dict[int, tuple[Any, int]] = {}  # by file number: the channel, what it waits for
        self._epoll = select.epoll()

    def note(self, channel: Any) -> None:
        self._noted.append(channel)

    def forget(self, channel: Any) -> None:
        self._polled.pop(channel._fileno, None)  # closing it ends its registration

    def loop(self, timeout: float, map: dict[int, Any], use_poll: bool) -> None:
        self._noted.extend(map.values())
        with self._epoll:
            while map:
                self._noted.append(self._server)
                while self._noted:
                    self._ask(self._noted.popleft())
                for number, events in self._epoll.poll(timeout):
                    channel = map.get(number)
                    if channel is not None:
                        wasyncore.readwrite(channel, events)
                        self._noted.append(channel)

    def _ask(self, channel: Any) -> None:
        """Have the system wait for what the channel wants."""
        number = channel._fileno
        if number is None:  # it is closed
            return
        wanted = select.EPOLLIN | select.EPOLLPRI if channel.readable() else 0
        if channel.writable() and not channel.accepting:
            wanted |= select.EPOLLOUT
        known, polled = self._polled.get(number, (None, 0))
        if known is not channel:
            polled = 0
        if wanted == polled:
            return
        self._polled[number] = channel, wanted
        with contextlib.suppress(OSError, ValueError):  # it is being closed
            if not polled:
                self._epoll.register(number, wanted)
            elif wanted:
                self._epoll.modify(number, wanted)
            else:
                self._epoll.unregister(number)


def new_loop(server: Any) -> ScanningLoop:
    """The best loop of this system."""
    return EpollLoop(server) if hasattr(select, "epoll") else ScanningLoop()
