"""The classroom tracker's client: the report's five requests over kept connections.

Thread-safe: each request borrows a session of its own, and a few are kept for the next. Neither proxies
of the environment nor redirects are followed, and an answer that is too long or none of ours is no
answer.
"""

from __future__ import annotations

import ipaddress
import json
import queue
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from common.errors import MessageError, TrackerRefused, TrackerUnavailable
from common.fields import Addr
from common.logs import clean
from common.messages import (
    MAX_FILES,
    Exit,
    Mode,
    Need,
    NeedAnswer,
    Own,
    OwnedFile,
    OwnerEntry,
    Register,
    RegisterAnswer,
    Update,
)
from node.discovery.deadline import DeadlineAdapter

MAX_ANSWER = 4 << 20  # bytes
READ_SIZE = 16 << 10  # bytes at a time
KEPT_SESSIONS = 4
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 3600.0  # seconds between heartbeats, whatever a tracker says
MAX_OWNERS = 1000  # of an answer to NEED that are looked at, the best first
MAX_DIGITS = 20  # of a number; no field takes more, and converting very long ones takes very long
MAX_REASON = 200  # characters of a tracker's error that are passed on

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?\Z")

Message = Register | Own | Need | Update | Exit


def tracker_url(url: str) -> str:
    """``http://HOST:PORT`` of a tracker's address, whatever its path; MessageError if it is none."""
    wrong = MessageError(f"tracker {clean(url)[:MAX_REASON]!r} is no http://HOST:PORT address", "announce")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", 80 if parts.port is None else parts.port
        numeric = f"[{ipaddress.IPv6Address(host)}]" if "[" in parts.netloc else ""
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or parts.username is not None or port == 0:
        raise wrong
    if not (numeric or _HOST.match(host)):
        raise wrong
    return f"http://{numeric or ('127.0.0.1' if host == 'localhost' else host)}:{port}"


class TrackerClient:
    """One node's view of one tracker. Implements Discovery."""

    def __init__(self, url: str, node_id: int, timeout: float = 5.0) -> None:
        """``url``: the tracker's, with or without a path; ``timeout``: seconds to wait for a connection, for
        an answer to begin, and for it to end.
        """
        self.url = tracker_url(url)
        self.node_id = node_id
        self._timeout = timeout
        self._addr: Addr | None = None
        self._sessions: queue.LifoQueue[requests.Session] = queue.LifoQueue(KEPT_SESSIONS)

    @classmethod
    def from_announce_url(cls, url: str, node_id: int, timeout: float = 5.0) -> TrackerClient:
        """The client for the ``announce`` of a torrent: the same host and port is asked."""
        return cls(url, node_id, timeout)

    def register(self, addr: Addr) -> RegisterAnswer:
        """REGISTER: we are in, at ``addr``, which later requests repeat. TrackerRefused 409: node_id is
        taken.
        """
        answer = self._ask(Mode.REGISTER, Register(self.node_id, addr))
        self._addr = addr
        with self._unless_garbled():
            told = RegisterAnswer.from_json(answer)
        return replace(told, interval=min(max(told.interval, SHORTEST_INTERVAL), LONGEST_INTERVAL))

    def own(self, files: Sequence[OwnedFile]) -> None:
        """OWN: we serve these, in as few requests as their number takes. Only after ``register``."""
        if self._addr is None:
            raise ValueError("own() before register()")
        for start in range(0, len(files), MAX_FILES):
            self._ask(Mode.OWN, Own(self.node_id, self._addr, tuple(files[start : start + MAX_FILES])))

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[OwnerEntry]:
        """NEED: owners, best first, ourselves perhaps among them; by info hash if given, else by name."""
        answer = self._ask(Mode.NEED, Need(self.node_id, filename, info_hash, self._addr))
        named = answer.get("search_result")
        if isinstance(named, list):
            answer = {**answer, "search_result": named[:MAX_OWNERS]}
        with self._unless_garbled():
            return list(NeedAnswer.from_json(answer).owners)

    def update(
        self, filename: str, owner: int | None = None, info_hash: str | None = None, amount: int | None = None
    ) -> None:
        """UPDATE: one more upload of ``owner`` (by default our own): ``amount`` verified bytes of a file."""
        self._ask(Mode.UPDATE, Update(self.node_id, filename, owner, info_hash, amount, self._addr))

    def exit(self) -> None:
        """EXIT: we are out. Asks nothing if we never were in: our node_id may be somebody else's."""
        if self._addr is not None:
            self._ask(Mode.EXIT, Exit(self.node_id, self._addr))

    def close(self) -> None:
        """Let go of the connections; a later request opens new ones."""
        while True:
            try:
                self._sessions.get_nowait().close()
            except queue.Empty:
                return

    def _ask(self, mode: Mode, message: Message) -> dict[str, Any]:
        body = json.dumps({"mode": mode.value, **message.to_json()}).encode()
        try:
            status, content = self._exchange(body)
        except FAILURES as error:
            # The tracker may have closed a kept connection, or started anew. To ask again does no harm,
            # except that an upload would count twice if only the answer was lost.
            if mode is Mode.UPDATE or "aborted" not in str(error):
                raise self._unavailable(error) from None
            self.close()
            status, content = self._exchange_again(body)
        return self._judged(status, content)

    def _exchange_again(self, body: bytes) -> tuple[int, bytes]:
        try:
            return self._exchange(body)
        except FAILURES as error:
            raise self._unavailable(error) from None

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        url = f"{self.url}/tracker"
        with (
            self._session() as session,
            session.post(
                url, data=body, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response,
        ):
            return response.status_code, self._read(response)

    def _read(self, response: requests.Response) -> bytes:
        # read1, where this urllib3 has it, returns what is there: a tracker that sends byte by byte
        # cannot hold us.
        read = getattr(response.raw, "read1", response.raw.read)
        content, deadline = bytearray(), time.monotonic() + self._timeout
        while part := read(READ_SIZE, decode_content=False):
            content += part
            if len(content) > MAX_ANSWER:
                raise self._garbled(f"it is longer than {MAX_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise self._garbled(f"it takes longer than {self._timeout:g} s")
        return bytes(content)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        try:
            session = self._sessions.get_nowait()
        except queue.Empty:
            session = requests.Session()
            session.mount("http://", DeadlineAdapter())
            session.trust_env = False  # a proxy of the environment does not lead to a tracker on this machine
            session.headers.update({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        try:
            yield session
        except BaseException:
            session.close()
            raise
        try:
            self._sessions.put_nowait(session)
        except queue.Full:
            session.close()

    def _judged(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content, parse_int=_integer)
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        if status >= 400:
            said = answer.get("error") if isinstance(answer, dict) else None
            text = clean(said)[:MAX_REASON] if isinstance(said, str) else f"HTTP status {status}"
            raise TrackerRefused(f"tracker {self.url} refuses: {text}", status)
        raise self._garbled(f"HTTP status {status}, {len(content)} bytes")

    @contextmanager
    def _unless_garbled(self) -> Iterator[None]:
        try:
            yield
        except MessageError as error:
            raise self._garbled(str(error)) from None

    def _garbled(self, what: str) -> TrackerUnavailable:
        return TrackerUnavailable(f"{self.url} does not answer as a tracker does ({what})")

    def _unavailable(self, error: Exception) -> TrackerUnavailable:
        return TrackerUnavailable(f"tracker {self.url} does not answer ({_reason(error)}); is it running?")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


REASONS = {  # a part of the error's text, in lower case: what people are told
    "timed out": "timeout",
    "refused": "connection refused",
    "resol": "no such host",
    "getaddrinfo": "no such host",
    "unreachable": "network unreachable",
    "badstatusline": "it speaks no HTTP",
}


def _reason(error: Exception) -> str:
    text = str(error).lower()
    return next((reason for part, reason in REASONS.items() if part in text), "connection lost")
