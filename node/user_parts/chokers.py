"""A user's choker in the peer wire, with the built-in one behind it. Pure.

``unchoke(peers, slots, round, rng)`` is asked in each round of ``ROUND_SECONDS``. Within a round it is asked
again, with the same number, when a peer begins or ceases to be interested: a new peer need not wait for the
next round.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, TypeVar

from node.peer_tcp.choking import ROUND_SECONDS, Choker, PeerTraffic
from node.user_parts.take_over import TakeOver

K = TypeVar("K", bound=Hashable)


class AskingPeer(NamedTuple):
    """A connected peer, as a user's choker sees it."""

    name: str
    rate: float  # bytes a second that it sent to this node in the last round
    interested: bool  # it wants pieces of this node


class UserChoker(Choker[K]):
    """Asks the user's choker, and ``Choker`` after its first fault. ``name_of`` names a peer."""

    def __init__(
        self,
        rng: random.Random,
        upload_limit: int | None,
        name_of: Callable[[K], str],
        make: Callable[[], Any],
        over: TakeOver,
    ) -> None:
        super().__init__(rng, upload_limit)
        self._own_rng = rng
        self._name_of = name_of
        self._over = over
        self._choker: Any = over.run(make, lambda: None)
        self._number = -1  # of this round
        self._round_ends = float("-inf")
        self._asked_about: set[K] = set()  # the interested peers at the last call
        self._unchoked: set[K] = set()
        self._before: dict[K, int] = {}  # bytes that came from a peer until this round began
        self._rates: dict[K, float] = {}

    def round(self, now: float, peers: Mapping[K, PeerTraffic], seeding: bool = False) -> set[K]:
        """See ``Choker``."""
        builtin = super().round(now, peers, seeding)  # it measures, and knows the number of slots
        return self._over.run(lambda: self._own_round(now, peers), lambda: builtin)

    def _own_round(self, now: float, peers: Mapping[K, PeerTraffic]) -> set[K]:
        interested = {key for key, traffic in peers.items() if traffic.interested}
        is_new = now >= self._round_ends
        if is_new:
            self._begin_round(now, peers)
        if is_new or interested != self._asked_about:
            self._asked_about = interested
            self._unchoked = self._ask(peers) & interested
        return self._unchoked & interested

    def _begin_round(self, now: float, peers: Mapping[K, PeerTraffic]) -> None:
        self._number += 1
        self._round_ends = now + ROUND_SECONDS
        came = {key: traffic.downloaded for key, traffic in peers.items()}
        self._rates = {key: (came[key] - self._before.get(key, 0)) / ROUND_SECONDS for key in came}
        self._before = came

    def _ask(self, peers: Mapping[K, PeerTraffic]) -> set[K]:
        names = {self._name_of(key): key for key in peers}
        asking = [
            AskingPeer(name, self._rates.get(key, 0.0), peers[key].interested) for name, key in names.items()
        ]
        chosen = self._choker.unchoke(asking, self.slots + 1, self._number, self._own_rng)
        return {names[name] for name in chosen}
