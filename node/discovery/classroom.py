"""The classroom tracker's client: the course report's five requests, with the node's secret.

A tracker may have several addresses: processes that share their records. Requests go to the address that
answers (``node.discovery.failover``). The node's secret and the class's key are sent to these addresses only.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from common.addresses import Addr
from common.errors import MessageError, TrackerBusy, TrackerRefused, TrackerUnavailable
from common.messages import (
    MAX_FILES,
    TCP,
    UDP,
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
from common.metainfo import Metainfo
from common.text import sanitize
from node.discovery.credentials import Claim
from node.discovery.failover import FailOver
from node.discovery.http_client import HINT, HttpClient, HttpResponse
from node.discovery.http_deadline import garbled, no_classroom
from node.discovery.schedule import MAX_RETRY_AFTER
from node.discovery.tracker_url import tracker_url
from node.peer import FoundPeer, Peer

MIN_ASKED_INTERVAL, MAX_ASKED_INTERVAL = 0.1, 3600.0  # seconds between heartbeats that a tracker may ask for
MAX_OWNERS = 1000  # owners in a NEED answer that are read, the best first
MAX_DIGITS = 20  # of a number; no field is longer, and very long numbers take very long to convert
MAX_REASON = 200  # characters of a tracker's error message that are shown
DEFAULT_RETRY_AFTER = 5.0  # seconds to wait for a busy tracker that sends no Retry-After
CONFLICT, FORBIDDEN = 409, 403  # HTTP: the node_id is live elsewhere; a secret is missing or wrong
TOO_MANY, NOT_NOW, NO_ROOM = 429, 503, 507  # HTTP: the tracker is busy
WITHDRAWN = "File owner removed"  # the answer's status to OWN with ``withdraw``
BAD_REQUEST = 400  # HTTP: a field is wrong, or not known
NOT_FOUND, NOT_ALLOWED = 404, 405  # HTTP: the server does not know the request

Message = Register | Own | Need | Update | Exit
OnMoved = Callable[[str, str, str], None]  # URL that answers now, URL before, why (or "")


class TrackerClient:
    """One node's connection to one tracker. Thread-safe. Implements PeerSource.

    Requests raise TrackerUnavailable if no address answers, or none answers now (TrackerBusy), and
    TrackerRefused if the tracker answers with an error. Each ends within a stated time.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        node_id: int,
        timeout: float = 5.0,
        claim: Claim | None = None,
        swarm_key: str = "",
        on_moved: OnMoved = lambda url, before, reason: None,
        tcp_port: int | None = None,
    ) -> None:
        """``urls``: the tracker's addresses, the preferred one first; paths are ignored. ``timeout``: as in
        HttpClient, for each address. ``claim``: proof that ``node_id`` is ours; without it nothing is
        claimed. ``on_moved`` is called when another address answers. ``tcp_port``: where standard peers reach
        this node; with it, NEED asks for standard peers, too.
        """
        self.urls = tuple(tracker_url(url) for url in ([urls] if isinstance(urls, str) else urls))
        self.url = self.urls[0]
        self.node_id = node_id
        self._timeout = timeout
        self._claim = claim
        self._swarm_key = swarm_key
        self._on_moved = on_moved
        self._tcp_port = tcp_port
        self._addr: Addr | None = None
        self._knows_claims = False
        self._knows_receipts = False
        self._http = [HttpClient(url, timeout) for url in self.urls]
        self._lock = threading.Lock()  # guards what follows
        self._failover = FailOver(len(self.urls), random.Random())
        self._busy_until: dict[Mode, tuple[float, TrackerBusy]] = {}  # monotonic seconds

    def with_timeout(self, timeout: float) -> TrackerClient:
        """Another client for the same tracker and node, with another timeout."""
        claim, key, port = self._claim, self._swarm_key, self._tcp_port
        return TrackerClient(self.urls, self.node_id, timeout, claim, key, tcp_port=port)

    @property
    def name(self) -> str:
        """The URL that answered last."""
        return self.urls[self._failover.current]

    @property
    def connections(self) -> int:
        """How many connections were opened. If it grows, the tracker may have restarted meanwhile."""
        return sum(http.connections for http in self._http)

    @property
    def knows_claims(self) -> bool:
        """True if the tracker knows secrets; the course report's tracker does not."""
        return self._knows_claims

    def next_receipt(self) -> int | None:
        """The number of the next receipt; None without a claim."""
        return None if self._claim is None else self._claim.next_receipt()

    # ---- the five requests

    def register(self, addr: Addr) -> RegisterAnswer:
        """REGISTER this node at ``addr``, which later requests repeat.

        TrackerRefused with status 409 if another node has the node_id; 403 if the secret or the swarm key is
        missing or wrong.
        """
        register = Register(self.node_id, addr, self._claim is not None, self._tcp_port)
        fields = self._request(Mode.REGISTER, register)
        self._addr = addr
        self._knows_claims = "claimed" in fields
        if "status" in fields:  # a tracker that asks for no interval leaves it to the node
            fields.setdefault("interval", MAX_ASKED_INTERVAL)
        with self._garbled_if_malformed():
            answer = RegisterAnswer.from_json(fields)
        if answer.secret is not None and self._claim is not None:
            self._claim.keep(answer.secret)
        self._knows_receipts = answer.claimed
        interval = min(max(answer.interval, MIN_ASKED_INTERVAL), MAX_ASKED_INTERVAL)
        return msgspec.structs.replace(answer, interval=interval)

    def own(self, files: Sequence[OwnedFile]) -> int | None:
        """OWN: this node serves ``files``; several requests if there are many. Only after ``register``.

        Returns how many files of this node the tracker knows now; None if the answer has no number.
        """
        if self._addr is None:
            raise ValueError("own() before register()")
        known: object = None
        for start in range(0, len(files), MAX_FILES):
            own = Own(self.node_id, self._addr, tuple(files[start : start + MAX_FILES]), self._tcp_port)
            known = self._request(Mode.OWN, own).get("files")
        return known if type(known) is int else None

    def withdraw(self, files: Sequence[OwnedFile]) -> int | None:
        """OWN with ``withdraw``: this node does not serve ``files`` any more. Only after ``register``.

        Returns how many files of this node the tracker knows now. None if the tracker does not know the
        field: the course report's answers as to any OWN.
        """
        if self._addr is None:
            raise ValueError("withdraw() before register()")
        known: object = None
        for start in range(0, len(files), MAX_FILES):
            some = tuple(files[start : start + MAX_FILES])
            try:
                fields = self._request(
                    Mode.OWN, Own(self.node_id, self._addr, some, self._tcp_port, withdraw=True)
                )
            except TrackerRefused as error:
                if error.status != BAD_REQUEST:
                    raise
                return None
            if fields.get("status") != WITHDRAWN:
                return None
            known = fields.get("files")
        return known if type(known) is int else 0

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[OwnerEntry]:
        """NEED: owners of a file by info hash, or else by name, best first. This node may be among them."""
        return list(self.need_peers(filename, info_hash).owners)

    def need_peers(self, filename: str | None = None, info_hash: str | None = None) -> NeedAnswer:
        """NEED: owners as of ``need``, and standard peers, also if this node cannot use them."""
        need = Need(self.node_id, filename, info_hash, self._addr, (UDP, TCP))
        fields = self._request(Mode.NEED, need)
        owners = fields.get("search_result")
        if isinstance(owners, list):
            fields = {**fields, "search_result": owners[:MAX_OWNERS]}
        with self._garbled_if_malformed():
            return NeedAnswer.from_json(fields)

    def leechers(self, file: OwnedFile) -> list[FoundPeer]:
        """NEED: the standard peers of the file that miss a part of it."""
        peers = self.need_peers(file.filename, file.info_hash).peers
        return [FoundPeer(Peer(*peer.addr, TCP), False) for peer in peers if not peer.complete]

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        """NEED as a PeerSource. An owner that speaks both transports is two peers of one node_id."""
        answer = self.need_peers(info.name, info.info_hash_hex)
        peers: list[FoundPeer] = []
        for owner in answer.owners:
            addresses = [Peer(*owner.addr, node_id=owner.node_id)]
            if self._tcp_port is not None and owner.tcp_port is not None:
                addresses.append(Peer(owner.addr[0], owner.tcp_port, TCP, owner.node_id))
            peers += [FoundPeer(peer, owner.complete, owner.uploads) for peer in addresses]
        peers += [FoundPeer(Peer(*peer.addr, TCP), peer.complete) for peer in answer.peers]
        found(peers)

    def update(
        self,
        filename: str,
        owner: int | None = None,
        info_hash: str | None = None,
        amount: int | None = None,
        receipt: int | None = None,
    ) -> bool:
        """UPDATE: credit ``owner`` (default: this node) with an upload of ``amount`` verified bytes.

        ``receipt``: by this number a repeated request counts once. False if the tracker did not count it.
        """
        message = Update(self.node_id, filename, owner, info_hash, amount, self._addr, receipt)
        return self._request(Mode.UPDATE, message).get("counted") is not False

    def exit(self) -> None:
        """EXIT. Sends nothing before the first REGISTER: the node_id may be another node's."""
        if self._addr is not None:
            self._request(Mode.EXIT, Exit(self.node_id, self._addr))

    def leave(self) -> None:
        """EXIT, and forget the secret: the tracker has forgotten it, too."""
        self.exit()
        if self._claim is not None:
            self._claim.forget()

    def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        for http in self._http:
            http.close()

    # ---- sending

    def _request(self, mode: Mode, message: Message) -> dict[str, Any]:
        """The answer's fields, from the first address that answers."""
        self._check_busy(mode)
        body = json.dumps({"mode": mode.value, **message.to_json()}).encode()
        again = mode is not Mode.UPDATE or self._knows_receipts
        failures: list[TrackerUnavailable] = []
        with self._lock:
            order = self._failover.order(time.monotonic(), test_preferred=mode is Mode.REGISTER)
        for index in order:
            try:
                fields = self._post(self._http[index], body, again)
            except TrackerUnavailable as error:
                failures.append(error)
                if isinstance(error, TrackerBusy) and error.status != NOT_NOW:
                    break  # the limit holds for all processes of a tracker
                with self._lock:
                    self._failover.failed(index, time.monotonic())
            except TrackerRefused:
                self._answered(index, failures)
                raise
            else:
                self._answered(index, failures)
                return fields
        raise self._none_answered(mode, failures)

    def _answered(self, index: int, failures: list[TrackerUnavailable]) -> None:
        with self._lock:
            before = self._failover.answered(index)
        if before != index:
            reason = str(failures[0]).replace(HINT, ")") if failures else ""
            self._on_moved(self.urls[index], self.urls[before], reason)

    def _none_answered(self, mode: Mode, failures: list[TrackerUnavailable]) -> TrackerUnavailable:
        busy = next((error for error in failures if isinstance(error, TrackerBusy)), None)
        if busy is not None:
            with self._lock:
                self._busy_until[mode] = (time.monotonic() + busy.retry_after, busy)
            return busy
        if len(failures) == 1:
            return failures[0]
        *most, last = map(str, failures)
        return TrackerUnavailable(", ".join([*(text.replace(HINT, ")") for text in most), last]))

    def _check_busy(self, mode: Mode) -> None:
        """TrackerBusy while the tracker's Retry-After for this mode lasts."""
        with self._lock:
            until, busy = self._busy_until.get(mode, (0.0, None))
        left = until - time.monotonic()
        if busy is not None and left > 0:
            raise TrackerBusy(str(busy), busy.status, left)

    def _post(self, http: HttpClient, body: bytes, again: bool) -> dict[str, Any]:
        headers = self.headers()
        response = http.post(body, headers, again)
        try:
            fields = json.loads(response.content, parse_int=_integer)
        except (ValueError, RecursionError):
            fields = None
        if response.status == 200 and isinstance(fields, dict):
            return fields
        if _is_of_another_kind(response.status, fields):
            raise no_classroom(http.url, f"HTTP status {response.status}, {len(response.content)} bytes")
        raise self._error(http.url, response, fields if isinstance(fields, dict) else {}, headers)

    def headers(self) -> dict[str, str]:
        """The proofs that every request carries: this node's secret, and the class's key."""
        headers = {}
        if self._claim is not None and (secret := self._claim.secret) is not None:
            headers["Authorization"] = f"Bearer {secret}"
        if self._swarm_key:
            headers["X-Swarm-Key"] = self._swarm_key
        return headers

    def _error(
        self, url: str, response: HttpResponse, fields: dict[str, Any], headers: dict[str, str]
    ) -> TrackerBusy | TrackerRefused:
        """The error for an answer of status 400 or more."""
        error, status = fields.get("error"), response.status
        text = error if isinstance(error, str) else f"HTTP status {status}"
        for value in headers.values():  # a tracker that repeats a secret must not bring it into a log
            text = text.replace(value.removeprefix("Bearer "), "...")
        text = sanitize(text)[:MAX_REASON]
        if status in (TOO_MANY, NOT_NOW, NO_ROOM):
            asked = DEFAULT_RETRY_AFTER if response.retry_after is None else response.retry_after
            message = f"tracker {url} asks us to come back later: {text}"
            return TrackerBusy(message, status, min(asked, MAX_RETRY_AFTER))
        field = fields.get("field")
        name = field if isinstance(field, str) else ""
        if status == FORBIDDEN:
            text = self._forbidden(text, name, response.retry_after)
        return TrackerRefused(f"tracker {url} refuses: {text}", status, name)

    def _forbidden(self, text: str, field: str, retry_after: float | None) -> str:
        """The text for the user after status 403. The tracker's own is meant for programs."""
        if field == "swarm_key":
            given = "is another one" if self._swarm_key else "is not set, or not for this tracker"
            return f"{text}; setting SWARM_KEY {given}"
        advice = (
            f"node {self.node_id} is claimed by a secret that this folder does not have; "
            "take another -node_id, or wait"
        )
        return f"{text}; {advice}" if retry_after is None else f"{advice} {retry_after:g} s"

    @contextmanager
    def _garbled_if_malformed(self) -> Iterator[None]:
        try:
            yield
        except MessageError as error:
            raise garbled(self.name, str(error)) from None


def is_named_without_credit(client: TrackerClient, file: OwnedFile) -> bool:
    """NEED: True if the client's node is named for the file, and has no upload credit."""
    return any(
        owner.node_id == client.node_id and owner.info_hash in (None, file.info_hash) and not owner.uploads
        for owner in client.need(file.filename, file.info_hash)
    )


def _is_of_another_kind(status: int, fields: object) -> bool:
    """True for the answer of a server that does not know the classroom's requests."""
    if status < 400 or status in (NOT_FOUND, NOT_ALLOWED):
        return True
    return not isinstance(fields, dict) and status < 500 and status not in (FORBIDDEN, CONFLICT, TOO_MANY)


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
