"""HTTP connections on which the head of an answer is there in time, too, however slowly its bytes drip.

A timeout of ``requests`` is for each read by itself: whoever sends a byte now and then holds it for ever.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection

GRACE = 0.5  # seconds: silence is for the system to tell, and first


class _Connection(urllib3.connection.HTTPConnection):
    def getresponse(self) -> Any:
        """The answer, once its head is here; soon after one whole timeout nothing more is received."""
        sock = self.sock
        timeout = sock.gettimeout() if sock is not None else None
        if timeout is None:
            return super().getresponse()
        timer = threading.Timer(timeout + GRACE, _cut, (sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed by now
        sock.shutdown(socket.SHUT_RDWR)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """To be mounted for ``http://``."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with connections of ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool}
