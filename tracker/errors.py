"""The errors of the rules, each with its text in one place. Pure."""

from __future__ import annotations

from common.addresses import Addr, join_host_port
from common.errors import Forbidden, MessageError, NodeConflict, RateLimited, TrackerFull


def in_use(node_id: int, addr: Addr, silence: float) -> NodeConflict:
    """The node_id is live at another address, ``addr``."""
    return NodeConflict(
        f"node {node_id} is in use at {where(addr)} until it exits or is silent for {silence:g} s"
    )


def secret_wanted(node_id: int, silence: float) -> Forbidden:
    """The node_id is claimed, and the request came without the right secret."""
    return Forbidden(
        f"node {node_id} belongs to a secret until it exits or is silent for {silence:g} s: "
        "show it as Authorization: Bearer SECRET",
        "secret",
        silence,
    )


def unclaimed(node_id: int) -> Forbidden:
    """REQUIRE_CLAIM is set."""
    return Forbidden(f"node {node_id} is unclaimed, and this tracker wants claims", "secret")


def full_of_nodes(limit: int) -> TrackerFull:
    """No more nodes."""
    return TrackerFull(f"the tracker knows {limit} nodes, its limit")


def full_of_unclaimed(limit: int) -> TrackerFull:
    """No more nodes without a claim; nodes that claim their node_id still have room."""
    return TrackerFull(f"the tracker knows {limit} nodes without a secret, its limit; claim yours")


def full_of_files(limit: int) -> TrackerFull:
    """No more pairs of a node and a file."""
    return TrackerFull(f"the tracker knows {limit} shared files, its limit")


def too_many_files(limit: int, silence: float) -> RateLimited:
    """No more files of this node."""
    return RateLimited(f"a node may serve {limit} files", silence)


def too_many_nodes(limit: int, silence: float) -> RateLimited:
    """No more nodes from this client address."""
    return RateLimited(f"your address has {limit} nodes already", silence)


def full_of_peers(limit: int) -> TrackerFull:
    """No more standard peers."""
    return TrackerFull(f"the tracker knows {limit} peers, its limit")


def not_itself() -> MessageError:
    """A claimed node gives itself a receipt."""
    return MessageError("owner: a claimed node cannot credit itself", "owner")


def unknown(node_id: int, field: str) -> MessageError:
    """The UPDATE credits a node that is not in."""
    return MessageError(f"{field}: the tracker does not know node {node_id}", field)


def no_such_file() -> MessageError:
    """The receipt names a file that its owner does not have."""
    return MessageError("info_hash: the owner does not have this file", "info_hash")


def no_bytes() -> MessageError:
    """The receipt has no number of bytes."""
    return MessageError("bytes is missing", "bytes")


def wrong_bytes() -> MessageError:
    """The receipt is for zero bytes, or for more than the file has."""
    return MessageError("bytes must be from 1 to the size of the file", "bytes")


def where(addr: Addr) -> str:
    """An address as text, with brackets around an IPv6 host."""
    return join_host_port(*addr)
