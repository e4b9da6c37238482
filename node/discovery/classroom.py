"""The classroom tracker's client: the report's five requests, with what proves that we may ask.

Thread-safe. A tracker may have several addresses, processes that share their records: requests go to the one
that answers (node.discovery.failover). The secret and the class's key go to these addresses only.
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from common.addresses import Addr
from common.errors import MessageError, TrackerBusy, TrackerRefused, TrackerUnavailable
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
from common.text import sanitize
from node.discovery.credentials import Claim
from node.discovery.failover import FailOver
from node.discovery.http_client import HINT, Answer, Exchange, garbled
from node.discovery.schedule import LONGEST_PUT_OFF

SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 3600.0  # seconds between heartbeats, whatever a tracker says
MAX_OWNERS = 1000  # of an answer to NEED that are looked at, the best first
MAX_DIGITS = 20  # of a number; no field takes more, and converting very long ones takes very long
MAX_REASON = 200  # characters of a tracker's error that are passed on
PUT_OFF = 5.0  # seconds to leave a busy tracker alone that does not say how long
CONFLICT, FORBIDDEN = 409, 403  # HTTP: our node_id lives elsewhere by now; a secret is missing or wrong
TOO_MANY, NOT_NOW, NO_ROOM = 429, 503, 507  # HTTP: later

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?\Z")

Message = Register | Own | Need | Update | Exit
Moved = Callable[[str, str, str], None]  # (URL that answers, the one before, why it is not that one)


def tracker_url(url: str) -> str:
    """``http://HOST:PORT`` of a tracker's address, whatever its path; MessageError if it is none."""
    wrong = MessageError(f"tracker {sanitize(url)[:MAX_REASON]!r} is no http://HOST:PORT address", "announce")
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

    def __init__(
        self,
        urls: str | Sequence[str],
        node_id: int,
        timeout: float = 5.0,
        claim: Claim | None = None,
        swarm_key: str = "",
        moved: Moved = lambda url, before, reason: None,
    ) -> None:
        """``urls``: the tracker's, the preferred one first, with or without a path; ``timeout``: seconds to
        wait for a connection, for an answer to begin, and for it to end, at each of them. ``claim``: how we
        prove that node_id is ours; without it nothing is claimed. ``moved`` is called when another address
        answers.
        """
        self.urls = tuple(tracker_url(url) for url in ([urls] if isinstance(urls, str) else urls))
        self.url = self.urls[0]
        self.node_id = node_id
        self._timeout = timeout
        self._claim = claim
        self._swarm_key = swarm_key
        self._moved = moved
        self._addr: Addr | None = None
        self._knows_claims = False
        self._counts_once = False  # whether the tracker heeds our receipts' numbers
        self._exchanges = [Exchange(url, timeout) for url in self.urls]
        self._lock = threading.Lock()  # guards what follows
        self._failover = FailOver(len(self.urls), random.Random())
        self._put_off: dict[Mode, tuple[float, TrackerBusy]] = {}  # until when, monotonic seconds

    def beside(self, timeout: float) -> TrackerClient:
        """A client of its own for the same tracker and as the same node, with another patience."""
        return TrackerClient(self.urls, self.node_id, timeout, self._claim, self._swarm_key)

    @property
    def answering(self) -> str:
        """The URL that answered last."""
        return self.urls[self._failover.current]

    @property
    def knows_claims(self) -> bool:
        """Whether the tracker said at REGISTER if we are claimed, as ours do and the report's does not."""
        return self._knows_claims

    def receipt(self) -> int | None:
        """The number of the next receipt; None without a claim."""
        return None if self._claim is None else self._claim.receipt()

    def register(self, addr: Addr) -> RegisterAnswer:
        """REGISTER: we are in, at ``addr``, which later requests repeat.

        TrackerRefused 409: node_id is taken; 403: it belongs to a secret, or the swarm to a key, that we do
        not have.
        """
        answer = self._ask(Mode.REGISTER, Register(self.node_id, addr, self._claim is not None))
        self._addr = addr
        self._knows_claims = "claimed" in answer
        if "status" in answer:  # a tracker that says no interval leaves it to us
            answer.setdefault("interval", LONGEST_INTERVAL)
        with self._unless_garbled():
            told = RegisterAnswer.from_json(answer)
        if told.secret is not None and self._claim is not None:
            self._claim.keep(told.secret)
        self._counts_once = told.claimed
        return msgspec.structs.replace(
            told, interval=min(max(told.interval, SHORTEST_INTERVAL), LONGEST_INTERVAL)
        )

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
        self,
        filename: str,
        owner: int | None = None,
        info_hash: str | None = None,
        amount: int | None = None,
        receipt: int | None = None,
    ) -> bool:
        """UPDATE: one more upload of ``owner`` (by default our own): ``amount`` verified bytes of a file.

        ``receipt``: its number, by which a repetition counts once. Whether the tracker counted it.
        """
        message = Update(self.node_id, filename, owner, info_hash, amount, self._addr, receipt)
        return self._ask(Mode.UPDATE, message).get("counted") is not False

    def exit(self) -> None:
        """EXIT: we are out. Asks nothing if we never were in: our node_id may be somebody else's."""
        if self._addr is not None:
            self._ask(Mode.EXIT, Exit(self.node_id, self._addr))

    def leave(self) -> None:
        """EXIT for good: our secret is worth nothing any more."""
        self.exit()
        if self._claim is not None:
            self._claim.forget()

    def close(self) -> None:
        """Let go of the connections; a later request opens new ones."""
        for exchange in self._exchanges:
            exchange.close()

    def _ask(self, mode: Mode, message: Message) -> dict[str, Any]:
        self._check_put_off(mode)
        body = json.dumps({"mode": mode.value, **message.to_json()}).encode()
        again = mode is not Mode.UPDATE or self._counts_once
        failures: list[TrackerUnavailable] = []
        with self._lock:
            order = self._failover.order(time.monotonic(), looking=mode is Mode.REGISTER)
        for index in order:
            try:
                answer = self._judged(self._exchanges[index], body, again)
            except TrackerUnavailable as error:
                failures.append(error)
                if isinstance(error, TrackerBusy) and error.status != NOT_NOW:
                    break  # the other processes have the same records, and count with this one
                with self._lock:
                    self._failover.failed(index, time.monotonic())
            except TrackerRefused:
                self._answered(index, failures)
                raise
            else:
                self._answered(index, failures)
                return answer
        raise self._none_answered(mode, failures)

    def _answered(self, index: int, failures: list[TrackerUnavailable]) -> None:
        with self._lock:
            before = self._failover.answered(index)
        if before != index:
            self._moved(
                self.urls[index], self.urls[before], str(failures[0]).replace(HINT, ")") if failures else ""
            )

    def _none_answered(self, mode: Mode, failures: list[TrackerUnavailable]) -> TrackerUnavailable:
        busy = next((error for error in failures if isinstance(error, TrackerBusy)), None)
        if busy is not None:
            with self._lock:
                self._put_off[mode] = (time.monotonic() + busy.retry_after, busy)
            return busy
        if len(failures) == 1:
            return failures[0]
        *most, last = map(str, failures)
        return TrackerUnavailable(", ".join([*(text.replace(HINT, ")") for text in most), last]))

    def _check_put_off(self, mode: Mode) -> None:
        """What was put off is not asked before its time, whoever wants to."""
        with self._lock:
            until, busy = self._put_off.get(mode, (0.0, None))
        left = until - time.monotonic()
        if busy is not None and left > 0:
            raise TrackerBusy(str(busy), busy.status, left)

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self._claim is not None and (secret := self._claim.secret) is not None:
            headers["Authorization"] = f"Bearer {secret}"
        if self._swarm_key:
            headers["X-Swarm-Key"] = self._swarm_key
        return headers

    def _judged(self, exchange: Exchange, body: bytes, again: bool) -> dict[str, Any]:
        headers = self._headers()
        answer = exchange.post(body, headers, again)
        try:
            fields = json.loads(answer.content, parse_int=_integer)
        except (ValueError, RecursionError):
            fields = None
        if answer.status == 200 and isinstance(fields, dict):
            return fields
        if answer.status >= 400:
            raise self._refusal(exchange.url, answer, fields if isinstance(fields, dict) else {}, headers)
        raise garbled(exchange.url, f"HTTP status {answer.status}, {len(answer.content)} bytes")

    def _refusal(
        self, url: str, answer: Answer, fields: dict[str, Any], headers: dict[str, str]
    ) -> TrackerBusy | TrackerRefused:
        said = fields.get("error")
        text = said if isinstance(said, str) else f"HTTP status {answer.status}"
        for (
            secret
        ) in headers.values():  # a tracker that repeats what it was told does not bring it into a log
            text = text.replace(secret.removeprefix("Bearer "), "...")
        text = sanitize(text)[:MAX_REASON]
        if answer.status in (TOO_MANY, NOT_NOW, NO_ROOM):
            put_off = PUT_OFF if answer.retry_after is None else min(answer.retry_after, LONGEST_PUT_OFF)
            return TrackerBusy(f"tracker {url} asks us to come back later: {text}", answer.status, put_off)
        field = fields.get("field")
        named = field if isinstance(field, str) else ""
        if answer.status == FORBIDDEN:
            text += self._advice(named)
        return TrackerRefused(f"tracker {url} refuses: {text}", answer.status, named)

    def _advice(self, field: str) -> str:
        """What a person can do about a 403."""
        if field == "swarm_key":
            given = "is another one" if self._swarm_key else "is not set, or not for this tracker"
            return f"; setting SWARM_KEY {given}"
        return f"; node {self.node_id} has a secret that is not here: take another -node_id, or wait"

    @contextmanager
    def _unless_garbled(self) -> Iterator[None]:
        try:
            yield
        except MessageError as error:
            raise garbled(self.answering, str(error)) from None


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
