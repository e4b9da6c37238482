"""Lab 7: client and server against the swarm.

size is the file's in bytes; upload and download rates are bytes a second; times are seconds.
"""

from __future__ import annotations

import random
from typing import Any

Peer = (
    Any  # peer.name, peer.rate (bytes a second that it sent to us lately), peer.interested (it wants from us)
)


def client_server(size: float, seed: float, downloads: list[float]) -> float:
    """Least seconds until each client has the file, which only the server sends, at ``seed``."""
    # answer
    return max(len(downloads) * size / seed, size / min(downloads))
    # blank
    # return size / seed  # yours
    # end of answer


def swarm(size: float, seed: float, uploads: list[float], downloads: list[float]) -> float:
    """Least seconds until each node has the file, if every node sends its pieces to the rest."""
    # answer
    together = seed + sum(uploads)
    return max(size / seed, size / min(downloads), len(downloads) * size / together)
    # blank
    # return size / seed  # yours
    # end of answer


class Choker:
    """Why does anyone upload at all? Tit for tat: send to the peers that send to you."""

    def __init__(self) -> None:
        self.lucky = ""  # the name of the peer that is unchoked by chance

    def unchoke(self, peers: list[Peer], slots: int, round: int, rng: random.Random) -> set[str]:
        """The names of at most ``slots`` interested peers to send to in this round of 10 seconds.

        All slots but one go to the peers that sent most to us. The last slot goes to a random interested
        peer, drawn again every third round (round 0, 3, 6, ...): otherwise no new peer could begin.
        """
        # answer
        wanting = [peer for peer in peers if peer.interested]
        best = {peer.name for peer in sorted(wanting, key=lambda peer: -peer.rate)[: slots - 1]}
        rest = sorted(peer.name for peer in wanting if peer.name not in best)
        if rest and (round % 3 == 0 or self.lucky not in rest):
            self.lucky = rng.choice(rest)
        return best | {self.lucky} & set(rest)
        # blank
        # return set()  # yours
        # end of answer
