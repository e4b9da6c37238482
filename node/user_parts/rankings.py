"""A user's owner ranking in a download, with the tracker's order behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from node.peer import FoundPeer
from node.user_parts.take_over import TakeOver


class UserRanking:
    """An ``OwnerRanking``: the user's, and the tracker's order after its first fault."""

    def __init__(self, make: Callable[[], Any], over: TakeOver) -> None:
        self._over = over
        self._ranking: Any = over.run(make, lambda: None)

    def rank(self, owners: list[FoundPeer]) -> list[FoundPeer]:
        """The owners to ask, the best first."""
        return self._over.run(lambda: self._ranking.rank(list(owners)), lambda: owners)

    @property
    def name(self) -> str:
        """Of the user's class."""
        return type(self._ranking).__name__
