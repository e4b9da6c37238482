"""The tracker's HTTP API for lab exercises: one class, a method for each request, typed answers.

This file needs only ``requests``: copy it next to your program. ``docs/tracker.md`` explains the rules, and a
running tracker describes its API at /openapi.json. The life of two nodes:

    >>> with Tracker("http://127.0.0.1:12345", node_id=1, addr=("127.0.0.1", 4001)) as one:
    ...     one.register(claim=True)                  # node_id 1 belongs to this secret now
    ...     one.own("lecture.mp4", size=9_000_000, info_hash="ab" * 20)
    ...     two = Tracker(one.url, node_id=2, addr=("127.0.0.1", 4002))
    ...     two.register(claim=True)
    ...     [owner.node_id for owner in two.need("lecture.mp4")]
    ...     two.receipt("lecture.mp4", owner=1, bytes=9_000_000, info_hash="ab" * 20)
    ...     two.need("lecture.mp4")[0].uploads
    ...     two.exit()
    Registered(interval=11.0, known=False, claimed=True)
    1
    Registered(interval=11.0, known=False, claimed=True)
    [1]
    Credited(uploads=1, counted=True)
    1

A request that the tracker refuses raises Refused, with the reason, the wrong field, and the time to wait.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import requests


class Refused(Exception):
    """The tracker refused a request."""

    def __init__(self, status: int, error: str, field: str | None, retry_after: float | None) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status  # 400 wrong, 403 no secret, 409 taken, 429 too often, 503 full, 507 disk full
        self.field = field  # the field that is wrong
        self.retry_after = retry_after  # seconds to wait before the next try


class Registered(NamedTuple):
    """The answer to REGISTER."""

    interval: float  # seconds until the next register()
    known: bool  # False: announce your files again
    claimed: bool  # True: the node_id belongs to a secret


class Owner(NamedTuple):
    """A node that has a file."""

    node_id: int
    addr: tuple[str, int]
    uploads: int  # that the tracker counted
    complete: bool  # False: it has a part of the file
    info_hash: str | None
    size: int | None  # bytes


class Credited(NamedTuple):
    """The answer to UPDATE."""

    uploads: int  # of the credited node, this one included
    counted: bool  # False: counted before, or over the limit of one receiver


class Tracker:
    """One node's view of a tracker. Leaves (EXIT) at the end of a ``with``."""

    def __init__(
        self,
        url: str,
        node_id: int,
        addr: tuple[str, int],
        swarm_key: str | None = None,
        secret: str | None = None,
    ) -> None:
        """``addr``: of the node's UDP socket; ``swarm_key``: the join code; ``secret``: of an earlier run."""
        self.url, self.node_id, self.addr, self.secret = url.rstrip("/"), node_id, addr, secret
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy leads to a tracker on this machine
        if swarm_key is not None:
            self._session.headers["X-Swarm-Key"] = swarm_key
        self._last_receipt = 0

    def register(self, claim: bool = False) -> Registered:
        """REGISTER: join; repeat it every ``interval`` seconds."""
        answer = self._ask("register", addr=self.addr, **({"claim": True} if claim else {}))
        self.secret = answer.get("secret", self.secret)
        return Registered(answer["interval"], answer.get("known", True), answer.get("claimed", False))

    def own(
        self, filename: str, info_hash: str | None = None, size: int | None = None, complete: bool = True
    ) -> int:
        """OWN: this node has the file, or a part of it. Returns how many files it has."""
        return int(
            self._ask(
                "own", addr=self.addr, filename=filename, info_hash=info_hash, size=size, complete=complete
            )["files"]
        )

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[Owner]:
        """NEED: the owners of a file, best first."""
        found = self._ask("need", filename=filename, info_hash=info_hash, addr=self.addr)["search_result"]
        return [
            Owner(o["node_id"], (o["addr"][0], o["addr"][1]), uploads, o.get("complete", True),
                  o.get("info_hash"), o.get("size"))
            for o, uploads in found
        ]  # fmt: skip

    def update(self, filename: str) -> Credited:
        """UPDATE as in the course report: this node uploaded once. Not for claimed nodes."""
        answer = self._ask("update", filename=filename)
        return Credited(answer["uploads"], answer.get("counted", True))

    def receipt(self, filename: str, owner: int, bytes: int, info_hash: str | None = None) -> Credited:
        """UPDATE as a receipt: ``owner`` delivered ``bytes`` verified bytes. The time is its number."""
        self._last_receipt = max(self._last_receipt + 1, time.time_ns() // 1_000_000)
        answer = self._ask(
            "update",
            filename=filename,
            owner=owner,
            bytes=bytes,
            info_hash=info_hash,
            receipt=self._last_receipt,
        )
        return Credited(answer["uploads"], answer.get("counted", True))

    def exit(self) -> None:
        """EXIT: leave; the node's files are no longer announced."""
        self._ask("exit")
        self._session.close()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *error: object) -> None:
        self.exit()

    def _ask(self, request: str, **fields: Any) -> dict[str, Any]:
        headers = {} if self.secret is None else {"Authorization": f"Bearer {self.secret}"}
        body = {
            "node_id": self.node_id,
            **{name: value for name, value in fields.items() if value is not None},
        }
        answer = self._session.post(f"{self.url}/{request}", json=body, headers=headers, timeout=10)
        fields_of_answer: dict[str, Any] = answer.json()
        if answer.ok:
            return fields_of_answer
        wait = answer.headers.get("Retry-After")
        raise Refused(
            answer.status_code,
            fields_of_answer.get("error", ""),
            fields_of_answer.get("field"),
            float(wait) if wait else None,
        )
