"""The tracker's HTTP API for lab exercises: one class, a method for each request, typed answers.

This file needs nothing but ``requests``: copy it beside your program. Over and above, ``docs/tracker.md``
tells the rules, and a running tracker describes itself at /openapi.json. A whole life:

    >>> with Tracker("http://127.0.0.1:12345", node_id=1, addr=("127.0.0.1", 4001)) as one:
    ...     one.register(claim=True)                  # node_id 1 is mine from now on: others need my secret
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

Whatever the tracker refuses raises Refused, with its words, the field that is wrong, and when to come again.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import requests


class Refused(Exception):
    """The tracker said no."""

    def __init__(self, status: int, error: str, field: str | None, retry_after: float | None) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status  # 400 wrong, 403 no secret, 409 taken, 429 too often, 503 full, 507 disk full
        self.field = field  # the field that is wrong
        self.retry_after = retry_after  # seconds until the tracker wants to hear it again


class Registered(NamedTuple):
    """What REGISTER says."""

    interval: float  # seconds until the next register()
    known: bool  # False: tell it your files again
    claimed: bool  # whether the node_id belongs to a secret


class Owner(NamedTuple):
    """One who has a file."""

    node_id: int
    addr: tuple[str, int]
    uploads: int  # that count for it
    complete: bool  # False: it has a part
    info_hash: str | None
    size: int | None  # bytes


class Credited(NamedTuple):
    """What UPDATE says."""

    uploads: int  # of the one credited, from now on
    counted: bool  # False: said before, or more than one may bring another


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
        """``addr``: where others reach the node; ``swarm_key``: the join code; ``secret``: an earlier one."""
        self.url, self.node_id, self.addr, self.secret = url.rstrip("/"), node_id, addr, secret
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy leads to a tracker on this machine
        if swarm_key is not None:
            self._session.headers["X-Swarm-Key"] = swarm_key
        self._last_receipt = 0

    def register(self, claim: bool = False) -> Registered:
        """REGISTER: come in, and say again every ``interval`` seconds that you are there."""
        answer = self._ask("register", addr=self.addr, **({"claim": True} if claim else {}))
        self.secret = answer.get("secret", self.secret)
        return Registered(answer["interval"], answer.get("known", True), answer.get("claimed", False))

    def own(
        self, filename: str, info_hash: str | None = None, size: int | None = None, complete: bool = True
    ) -> int:
        """OWN: I have this file (or a part of it). How many files I am known to have."""
        return int(
            self._ask(
                "own", addr=self.addr, filename=filename, info_hash=info_hash, size=size, complete=complete
            )["files"]
        )

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[Owner]:
        """NEED: who has it? The best first."""
        found = self._ask("need", filename=filename, info_hash=info_hash, addr=self.addr)["search_result"]
        return [
            Owner(o["node_id"], (o["addr"][0], o["addr"][1]), uploads, o.get("complete", True),
                  o.get("info_hash"), o.get("size"))
            for o, uploads in found
        ]  # fmt: skip

    def update(self, filename: str) -> Credited:
        """UPDATE as in the course report: I have uploaded once. Not for claimed nodes."""
        answer = self._ask("update", filename=filename)
        return Credited(answer["uploads"], answer.get("counted", True))

    def receipt(self, filename: str, owner: int, bytes: int, info_hash: str | None = None) -> Credited:
        """UPDATE as a receipt: ``owner`` delivered to me that many verified bytes. Its number is the time."""
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
        """EXIT: leave, with all I own."""
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
        told: dict[str, Any] = answer.json()
        if answer.ok:
            return told
        wait = answer.headers.get("Retry-After")
        raise Refused(
            answer.status_code, told.get("error", ""), told.get("field"), float(wait) if wait else None
        )
