"""Waiting for one socket and for wake-ups of other threads at the same time."""

from __future__ import annotations

import contextlib
import os
import select
import socket

_HAS_EVENTFD = hasattr(os, "eventfd")  # Linux: one descriptor instead of two


class WakeUp:
    """``set`` may be called from any thread and returns at once; all else is for the thread that waits."""

    def __init__(self) -> None:
        self.is_set = False
        self._event = -1
        if _HAS_EVENTFD:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._reader, self._writer = socket.socketpair()
            self._reader.setblocking(False)
            self._writer.setblocking(False)

    def fileno(self) -> int:
        """A descriptor that is readable once ``set``, until ``clear``."""
        return self._event if _HAS_EVENTFD else self._reader.fileno()

    def set(self) -> None:
        """Wake the thread, now or when it waits next.

        The flag rises last: if ``clear`` ran between the two, the descriptor would stay readable without the
        flag, and the thread would not wait any more.
        """
        if self.is_set:
            return
        with contextlib.suppress(OSError, ValueError):  # closed: the thread has ended
            if _HAS_EVENTFD:
                os.eventfd_write(self._event, 1)
            else:
                self._writer.send(b"\0")
            self.is_set = True

    def clear(self) -> None:
        """Forget all calls of ``set`` so far. Look at what they meant after this call, not before.

        The flag falls last: a ``set`` in between writes nothing, and is seen all the same.
        """
        with contextlib.suppress(BlockingIOError):
            if _HAS_EVENTFD:
                os.eventfd_read(self._event)
            else:
                self._reader.recv(4096)
        self.is_set = False

    def close(self) -> None:
        """Free the descriptors. Later calls of ``set`` do nothing."""
        self.is_set = True
        if _HAS_EVENTFD:
            event, self._event = self._event, -1
            os.close(event)
        else:
            self._reader.close()
            self._writer.close()


class SocketWaiter:
    """Waits for ``sock`` or ``wake``, by poll where there is one: it needs no descriptor of its own."""

    def __init__(self, sock: socket.socket, wake: WakeUp) -> None:
        self._sock, self._wake = sock, wake
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._mask = 0
        if self._poll is not None:
            self._poll.register(wake, select.POLLIN)

    def wait(self, reads: bool, writes: bool, seconds: float) -> None:
        """Return once the socket is ready, ``wake`` is set, or the time is over."""
        if self._poll is None:
            sock, wake = self._sock.fileno(), self._wake.fileno()
            select.select([sock, wake] if reads else [wake], [sock] if writes else [], [], seconds)
            return
        mask = (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0)
        if mask != self._mask:
            if mask:
                self._poll.register(self._sock, mask)
            else:  # a mask of 0 would still report that the peer closed
                self._poll.unregister(self._sock)
            self._mask = mask
        self._poll.poll(seconds * 1000)
