"""The storage in Redis, which any number of tracker processes share: ``Storage``'s rules as Lua scripts.

Each request is one script (``lua/``), so one round trip, and one transaction: Redis runs nothing else
meanwhile. The time is Redis' own, so the clocks of the trackers' machines do not matter. What survives a
crash is what Redis is told to keep (``appendonly``); ``open`` says so when that is not all. docs/scale.md has
the keys.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from common.addresses import Addr
from common.errors import StorageFault, StorageUnreachable, SwarmError
from common.messages import OwnedFile, OwnerEntry
from tracker import errors
from tracker.model import (
    MAX_CREDIT_PER_PAIR,
    MAX_FILES_PER_NODE,
    MAX_NODES,
    MAX_OWNERSHIPS,
    MAX_PAIRS,
    MAX_RECEIPTS_PER_PAIR,
    MAX_UNCLAIMED,
    Announced,
    Caller,
    Counts,
    Credited,
    Found,
    Gone,
    NodeView,
    Receipt,
    Registered,
    Rules,
    SwarmView,
    Swept,
    file_key,
)
from tracker.storage.redis_line import RedisLine
from tracker.storage.redis_remarks import remarks_on

FORMAT = "1"  # of the keys and what is in them
STOPPED_FOR = 1.0  # seconds; a sweep later than this means that nobody could be heard
SLICE = 200  # nodes and files that one script removes, about: some milliseconds
SALTS = 1 << 20  # what the order among equals begins with


class RedisStore:
    """Implements Storage."""

    def __init__(
        self, rules: Rules, url: str, tag: str = "{tracker}", clock: Callable[[], float] | None = None
    ) -> None:
        """``tag``: what all keys begin with; its braces keep them on one server of a cluster. ``clock``:
        seconds, instead of Redis' own; for tests. Connects to nothing yet.
        """
        self.silence = rules.silence
        self._rules = rules
        self._clock = clock
        self._written = (0.0, "")  # a silence, and the rules with it as the scripts read them
        self._line = RedisLine(url, f"{tag}:deadlines")
        self._lock = threading.Lock()  # guards what follows
        self._gone: list[Gone] = []  # since the last sweep
        self._stood_still = 0.0  # seconds, since the last sweep

    def open(self) -> Sequence[str]:
        """Begin, beside whoever else uses this Redis; remarks on what it would lose in a crash."""
        try:
            answer = self._ask("open", format=FORMAT, salt=secrets.randbelow(SALTS))
            if answer["format"] != FORMAT:
                raise StorageFault(f"the records in Redis have format {answer['format']}, not {FORMAT}")
            wanted = (self._rules.ranking, f"{self._rules.half_life:.17g}")
            if (answer.get("ranking"), answer.get("half_life")) != wanted:
                self._rank_anew()
            return remarks_on(self._line.client)
        except StorageUnreachable as error:
            raise StorageFault(f"{error} (setting REDIS_URL)") from None

    # ---- the five requests

    def register(self, caller: Caller, claim: str | None = None) -> Registered:
        """REGISTER."""
        answer = self._ask("register", caller, claim=claim)
        return Registered(answer["known"], answer["files"], answer["claimed"], answer["granted"])

    def own(self, caller: Caller, files: Sequence[OwnedFile]) -> Announced:
        """OWN."""
        said = {_file(file.filename, file.info_hash): file for file in files}  # the last word counts
        listed = [(file, _about(owned)) for file, owned in said.items()]
        answer = self._ask("own", caller, files=listed)
        owned = list(said.values())
        news = tuple(owned[at - 1] for at in answer["news"] or ())
        return Announced(answer["known"], answer["files"], news, answer["claimed"])

    def need(self, caller: Caller, filename: str | None, info_hash: str | None, limit: int) -> Found:
        """NEED."""
        answer = self._ask("need", caller, filename=filename, info_hash=info_hash, limit=limit)
        owners, name = [], None
        for node_id, addr, uploads, file, about in answer["owners"] or ():
            owned = _owned_file(file, about)
            name = name or owned.filename
            owners.append(
                OwnerEntry(node_id, _addr(addr), uploads, owned.info_hash, owned.complete, owned.size)
            )
        return Found(tuple(owners), answer["total"], name)

    def update(self, caller: Caller, receipt: Receipt) -> Credited:
        """UPDATE. Without a number it is not tried again: it might count twice."""
        answer = self._ask(
            "update",
            caller,
            receipt.number is not None,
            owner=receipt.owner,
            file=_file(receipt.filename, receipt.info_hash),
            bytes=None if receipt.bytes is None else str(receipt.bytes),
            number=None if receipt.number is None else str(receipt.number),
        )
        credited = caller.node_id if receipt.owner is None else receipt.owner
        return Credited(credited, answer["uploads"], answer["counted"])

    def exit(self, caller: Caller) -> bool:
        """EXIT."""
        return bool(self._ask("exit", caller)["was_in"])

    # ---- time

    def sweep(self) -> Swept:
        """Remove who is due; also tells who was removed before a request of this process."""
        try:
            wait = float(self._ask("sweep")["wait"])
        except StorageFault:
            return Swept(STOPPED_FOR)  # the requests say what is wrong; nobody is removed meanwhile
        with self._lock:
            swept = Swept(wait, tuple(self._gone), self._stood_still)
            self._gone, self._stood_still = [], 0.0
        return swept

    # ---- looking

    def counts(self) -> Counts:
        """How much there is."""
        answer = self._ask("counts")
        return Counts(answer["nodes"], answer["claimed"], answer["files"], answer["owned"])

    def nodes(self, limit: int) -> Sequence[NodeView]:
        """Those that fall due first."""
        answer = self._ask("nodes", limit=limit)
        return [NodeView(node[0], _addr(node[1]), *node[2:]) for node in answer["nodes"] or ()]

    def swarms(self, limit: int) -> Sequence[SwarmView]:
        """Those with the most owners."""
        views = []
        for file, about, whole, part in self._ask("swarms", limit=limit)["swarms"] or ():
            owned = _owned_file(file, about)
            views.append(SwarmView(owned.filename, owned.info_hash, owned.size, whole, part))
        return views

    def health(self) -> str:
        """Redis' answer to a write."""
        try:
            self._ask("health")
        except StorageFault as fault:
            return str(fault)
        return ""

    def close(self) -> None:
        """Hang up: Redis has it all."""
        self._line.client.close()
        self._line.client.connection_pool.disconnect()

    # ---- asking

    def _ask(self, name: str, caller: Caller | None = None, repeatable: bool = True, **more: Any) -> Any:
        """A script's answer, or the error by which it refuses."""
        request = _without_none(
            node_id=caller.node_id if caller else None,
            addr=f"{caller.addr[0]} {caller.addr[1]}" if caller and caller.addr else None,
            proof=caller.proof if caller else None,
            **more,
        )
        while True:
            answer = self._line.run(name, self._rules_now(), request, repeatable)
            self._note(answer)
            if "refused" in answer:
                raise self._error(answer["refused"], caller.node_id if caller else 0)
            if "again" not in answer:
                return answer

    def _rules_now(self) -> str:
        """As the scripts read them; written anew only when they change."""
        silence, text = self._written
        if silence != self.silence or self._clock:
            text = self._write_rules()
        return text

    def _write_rules(self) -> str:
        rules = {
            **asdict(self._rules),
            "silence": self.silence,
            **({"now": self._clock()} if self._clock else {}),
            "slice": SLICE,
            "stopped_for": STOPPED_FOR,
            "max_nodes": MAX_NODES,
            "max_unclaimed": MAX_UNCLAIMED,
            "max_ownerships": MAX_OWNERSHIPS,
            "max_files": MAX_FILES_PER_NODE,
            "max_pairs": MAX_PAIRS,
            "max_receipts": MAX_RECEIPTS_PER_PAIR,
            "max_credit": MAX_CREDIT_PER_PAIR,
        }
        self._written = rules["silence"], json.dumps(rules)
        return self._written[1]

    def _note(self, answer: Any) -> None:
        if answer["gone"] or answer["stood_still"]:
            with self._lock:
                self._gone += [Gone(node_id, _addr(addr)) for node_id, addr in answer["gone"] or ()]
                self._stood_still += answer["stood_still"]

    def _error(self, refused: dict[str, Any], node_id: int) -> SwarmError:
        refused_by: dict[str, Callable[[], SwarmError]] = {
            "unclaimed": lambda: errors.unclaimed(node_id),
            "in_use": lambda: errors.in_use(node_id, _addr(refused["addr"]), self.silence),
            "secret": lambda: errors.secret_wanted(node_id),
            "full_of_nodes": lambda: errors.full_of_nodes(MAX_NODES),
            "full_of_unclaimed": lambda: errors.full_of_unclaimed(MAX_UNCLAIMED),
            "full_of_files": lambda: errors.full_of_files(MAX_OWNERSHIPS),
            "too_many_files": lambda: errors.too_many_files(MAX_FILES_PER_NODE, self.silence),
            "itself": errors.not_itself,
            "unknown": lambda: errors.unknown(refused["node_id"], refused["field"]),
            "no_such_file": errors.no_such_file,
            "no_bytes": errors.no_bytes,
            "bytes": errors.wrong_bytes,
        }
        return refused_by[refused["kind"]]()

    def _rank_anew(self) -> None:
        """The owners in Redis are in another strategy's order, or in none yet."""
        cursor = "0"
        while (cursor := self._ask("rank_anew", cursor=cursor)["cursor"]) != "0":
            pass


def _file(filename: str | None, info_hash: str | None) -> str:
    """What a file is called in Redis' keys; see ``lua/4_files.lua``."""
    known_hash, name = file_key(filename, info_hash)
    return known_hash or f":{name}"


def _about(file: OwnedFile) -> str:
    size = "" if file.size is None else file.size
    return f"{'w' if file.complete else 'p'}{size}:{file.filename}"


def _owned_file(file: str, about: str) -> OwnedFile:
    head, _, filename = about.partition(":")
    size = int(head[1:]) if head[1:] else None
    return OwnedFile(filename, None if file.startswith(":") else file, size, head[0] == "w")


def _addr(text: str) -> Addr:
    host, port = text.rsplit(" ", 1)
    return host, int(port)


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
