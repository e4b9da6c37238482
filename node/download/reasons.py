"""Why a peer is not used, as a sentence for ``-peers`` and for the log. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from node.download.known_peers import Candidate, PeerKind
from node.peer import Peer

USELESS = "has no piece"  # how the sentence about a useless peer begins
_TRANSPORTS = {"udp": "the classroom's transport over UDP", "tcp": "BitTorrent over TCP"}


@dataclass(frozen=True)
class Situation:
    """The facts of the download that the sentences need."""

    own: Peer  # this node
    complete: int  # owners of the whole content that it fetches from at a time (MAX_SPLITTNES_RATE)
    partial: int  # owners of a part (MAX_PARTIAL_OWNERS)
    useless: Collection[Peer] = ()  # connected peers that hold no piece that is missing here

    @property
    def own_name(self) -> str:
        """This node's name in a sentence."""
        return "this node" if self.own.node_id is None else f"node {self.own.node_id}"


def unused_reason(candidate: Candidate, situation: Situation) -> str:
    """Why ``candidate`` is not used; "" if it is."""
    if candidate.active:
        return _silence_of(candidate, situation)
    if candidate.kind is PeerKind.STANDARD and candidate.is_spare:
        return "not needed: the same node is used over another transport"
    if candidate.reason or candidate.suspect:
        return candidate.reason or candidate.suspect
    if candidate.kind is PeerKind.STANDARD:
        return "not needed: enough peers are connected (MAX_PEERS)"
    if candidate.kind is PeerKind.PARTIAL:
        return f"not needed: {_enough(situation.partial, 'of a part')} (MAX_PARTIAL_OWNERS)"
    return f"not needed: {_enough(situation.complete, 'at a time')} (MAX_SPLITTNES_RATE)"


def _silence_of(candidate: Candidate, situation: Situation) -> str:
    """Why a connected peer sends nothing; "" if it does."""
    if is_tried_again(candidate):
        return candidate.reason
    is_standard = candidate.kind is PeerKind.STANDARD
    if candidate.queue_position and not is_standard:
        return f"waits, place {candidate.queue_position} in its queue"
    if is_useless(candidate, situation):
        return f"{USELESS} that {situation.own_name} misses"
    return candidate.status or ("it is being connected to" if candidate.queue_position else "")


def is_useless(candidate: Candidate, situation: Situation) -> bool:
    """True if a connected peer listed its pieces, and none is missing here."""
    return candidate.pieces_held is not None and candidate.peer in situation.useless


def is_tried_again(candidate: Candidate) -> bool:
    """True if a peer that failed is connected to once more, and has not answered so far."""
    return candidate.active and bool(candidate.failures) and not candidate.answered


def foreign_reason(peer: Peer, own: str, transports: Iterable[str]) -> str:
    """Why a peer is not used whose transport this node does not speak."""
    spoken = " and ".join(name.upper() for name in transports)
    return f"{_TRANSPORTS.get(peer.transport, peer.transport)}; {own} speaks {spoken} only"


def _enough(count: int, owners: str) -> str:
    return f"1 owner {owners} is enough" if count == 1 else f"{count} owners {owners} are enough"
