"""The tracker's rules: which nodes are in, which files they own, and when they are removed.

Pure functions. Each takes a ``View`` of the records that the request names, and returns a ``Decision``: the
result, and the new records to write. A storage loads the view, calls the function and commits the writes; it
may call it again if a record has changed meanwhile. A function that raises has changed nothing.

A node is in from its first REGISTER or OWN until it exits or is silent for too long. Its node_id belongs to
the address that it was registered with, or to a secret, once a node claims it: then only requests with proof
of that secret are accepted, from any address.
"""

from __future__ import annotations

from collections.abc import Iterable

from common.messages import OwnedFile
from tracker import credit, errors
from tracker.auth import verify
from tracker.model import (
    MAX_FILES_PER_NODE,
    MAX_NODES,
    MAX_OWNERSHIPS,
    MAX_UNCLAIMED,
    Announced,
    Caller,
    Credited,
    Decision,
    FilesDropped,
    FilesOwned,
    NodeLeft,
    NodeRecord,
    Receipt,
    Registered,
    Write,
    file_key,
)
from tracker.view import View

SUSPENDED = 1.0  # seconds; deadlines found this late mean that the tracker itself was stopped


# ---- the five requests; NEED is ``Storage.search``


def register(view: View, caller: Caller, claim: str | None = None) -> Decision[Registered]:
    """REGISTER. ``claim``: hex SHA-256 of the secret that will own the node_id.

    A node_id that is not in, or is unclaimed at the same address, is given to the claim.
    """
    node = view.node(caller.node_id)
    if node is None:
        joined = _join(view, caller, claim)
        claimed = claim is not None
        return Decision(Registered(False, 0, claimed, granted=claimed), (joined,), heard=True)
    check_speaker(view, node, caller, claim)
    granted = claim is not None and node.secret is None
    now = _moved(node, caller, claim if granted else None)
    result = Registered(True, view.file_count(node.node_id), now.secret is not None, granted)
    return Decision(result, () if now is node else (now,), heard=True)


def own(view: View, caller: Caller, files: Iterable[OwnedFile]) -> Decision[Announced]:
    """OWN: all the files or none. It brings the node in, claimed with the proof if there is one."""
    wanted = {file_key(file.filename, file.info_hash): file for file in files}  # the last entry counts
    node = view.node(caller.node_id)
    if node is not None:
        check_speaker(view, node, caller, None)
    news, total = _news(view, caller.node_id, wanted)
    writes: list[Write] = []
    now = _join(view, caller, caller.proof) if node is None else _moved(node, caller, None)
    if now is not node:
        writes.append(now)
    if news:
        writes.append(FilesOwned(caller.node_id, news))
    return Decision(Announced(node is not None, total, news, now.secret is not None), writes, heard=True)


def withdraw(view: View, caller: Caller, keys: Iterable[str]) -> Decision[int]:
    """OWN with ``withdraw``: the node owns these files no longer; how many it still owns.

    It stays in, and keeps its credit. Files that it does not own, and a node that is not in, change nothing.
    """
    node = view.node(caller.node_id)
    if node is None:
        return Decision(0)
    check_speaker(view, node, caller, None)
    dropped = tuple(key for key in dict.fromkeys(keys) if view.file(caller.node_id, key) is not None)
    left = view.file_count(caller.node_id) - len(dropped)
    return Decision(left, (FilesDropped(caller.node_id, dropped),) if dropped else (), heard=True)


def update(view: View, caller: Caller, receipt: Receipt) -> Decision[Credited]:
    """UPDATE. A claimed reporter must name an owner that is in and has the file; else MessageError.

    An unclaimed reporter can only add unverified uploads, to itself or to another unclaimed node.
    """
    reporter = view.node(caller.node_id)
    if reporter is not None:
        check_speaker(view, reporter, caller, None)
    elif view.rules.require_claim:
        raise errors.unclaimed(caller.node_id)
    heard = reporter is not None and speaks_for(reporter, caller)
    credited = caller.node_id if receipt.owner is None else receipt.owner
    if reporter is not None and credit.is_repetition(reporter, receipt):
        known = view.node(credited)
        return Decision(Credited(credited, known.shown if known else 0, False), heard=heard)
    owner = _owner(view, reporter, credited, receipt)
    counted = credit.count(reporter, owner, receipt, view.total)
    if counted is None:
        return Decision(Credited(credited, owner.shown, False), heard=heard)
    now = credit.credited(owner, counted, view.now, view.rules.half_life)
    writes: list[Write] = [counted.total] if counted.total else []
    if reporter is not None and receipt.number is not None:
        if reporter is owner:
            now = now._replace(last_receipt=receipt.number)
        else:
            writes.append(reporter._replace(last_receipt=receipt.number))
    return Decision(Credited(credited, now.shown, True), (now, *writes), heard=heard)


def report(view: View, caller: Caller) -> Decision[None]:
    """A report for the live log: MessageError unless the node is in. It changes no record."""
    node = view.node(caller.node_id)
    if node is None:
        raise errors.unknown(caller.node_id, "node_id")
    check_speaker(view, node, caller, None)
    return Decision(None, heard=speaks_for(node, caller))


def leave(view: View, caller: Caller) -> Decision[bool]:
    """EXIT: True if the node was in. With an address, only the node at that address leaves."""
    node = view.node(caller.node_id)
    if node is None:
        return Decision(False)
    check_speaker(view, node, caller, None)
    return Decision(True, (NodeLeft(node.node_id),))


# ---- when a silent node is removed


def is_expired(deadline: float, now: float) -> bool:
    """True if a node with this deadline must be removed. Each heartbeat sets it to now + silence."""
    return now >= deadline


def was_suspended(deadline: float, now: float, silence: float) -> bool:
    """True if the tracker itself must have been stopped: it finds ``deadline`` much too late.

    Nodes may have sent heartbeats meanwhile which no tracker received. So all get a new deadline.
    """
    return now - deadline > min(SUSPENDED, silence / 4)


# ---- which requests a node accepts as its own


def speaks_for(node: NodeRecord, caller: Caller) -> bool:
    """True if the caller proves to be the node: by its secret, or its address if it has no secret."""
    if node.secret is not None:
        return verify(caller.proof, node.secret)
    return caller.addr == node.addr


def check_speaker(view: View, node: NodeRecord, caller: Caller, claim: str | None) -> None:
    """NodeConflict or Forbidden if the caller may not speak for the node.

    An unclaimed node also obeys requests without an address. ``claim``: the claim that this request makes.
    """
    if speaks_for(node, caller) or (node.secret is None and caller.addr is None):
        if node.secret is None and claim is None and view.rules.require_claim:
            raise errors.unclaimed(node.node_id)
        return
    if caller.addr is not None and caller.addr != node.addr:
        raise errors.in_use(node.node_id, node.addr, view.silence)
    raise errors.secret_wanted(node.node_id, view.silence)


# ---- the steps


def _join(view: View, caller: Caller, claim: str | None) -> NodeRecord:
    """The record of a new node; an error if there is no room for it."""
    if claim is None and view.rules.require_claim:
        raise errors.unclaimed(caller.node_id)
    counts = view.counts()
    if counts.nodes >= MAX_NODES:
        raise errors.full_of_nodes(MAX_NODES)
    if claim is None and counts.nodes - counts.claimed >= MAX_UNCLAIMED:
        raise errors.full_of_unclaimed(MAX_UNCLAIMED)
    limit = view.rules.nodes_per_address
    if caller.home is not None and view.nodes_from(caller.home) >= limit:
        raise errors.too_many_nodes(limit, view.silence)
    assert caller.addr is not None
    return NodeRecord(caller.node_id, caller.addr, claim, caller.home, tcp_port=caller.tcp_port)


def _moved(node: NodeRecord, caller: Caller, claim: str | None) -> NodeRecord:
    """The record with the caller's addresses and a granted claim; ``node`` itself if none is new."""
    assert caller.addr is not None
    if claim is not None:
        node = credit.reset_claims(node)._replace(secret=claim)
    if caller.addr == node.addr and caller.tcp_port == node.tcp_port:
        return node
    return node._replace(addr=caller.addr, tcp_port=caller.tcp_port)


def _news(view: View, node_id: int, wanted: dict[str, OwnedFile]) -> tuple[tuple[OwnedFile, ...], int]:
    """The files that are new or described differently, and how many the node owns with them."""
    news, more = [], 0
    for key, file in wanted.items():
        known = view.file(node_id, key)
        if known != file:
            news.append(file)
            more += known is None
    total = view.file_count(node_id) + more
    if view.counts().owned + more > MAX_OWNERSHIPS:
        raise errors.full_of_files(MAX_OWNERSHIPS)
    if total > MAX_FILES_PER_NODE:
        raise errors.too_many_files(MAX_FILES_PER_NODE, view.silence)
    return tuple(news), total


def _owner(view: View, reporter: NodeRecord | None, credited: int, receipt: Receipt) -> NodeRecord:
    """The node that an UPDATE credits; MessageError if it cannot have delivered that."""
    is_receipt = reporter is not None and reporter.secret is not None
    if is_receipt and reporter is not None and credited == reporter.node_id:
        raise errors.not_itself()
    same = reporter is not None and credited == reporter.node_id
    owner = reporter if same else view.node(credited)
    if owner is None:
        raise errors.unknown(credited, "node_id" if receipt.owner is None else "owner")
    if is_receipt:
        key = file_key(receipt.filename, receipt.info_hash)
        credit.check_amount(receipt, view.file(credited, key))
    return owner
