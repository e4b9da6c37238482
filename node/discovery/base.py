"""What a download needs of whoever knows the owners of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common.messages import OwnedFile, OwnerEntry


class Discovery(Protocol):
    """Knows owners; tells others what we own. Every call ends within a stated time.

    Raises TrackerUnavailable if nobody answers, or not now; TrackerRefused if the answer is no.
    """

    def need(self, filename: str | None = None, info_hash: str | None = None) -> list[OwnerEntry]:
        """Owners of a file, best first (we may be among them); by info hash if given, else by name."""

    def own(self, files: Sequence[OwnedFile]) -> None:
        """Announce verified files that we serve, wholly or in part."""

    def update(
        self,
        filename: str,
        owner: int | None = None,
        info_hash: str | None = None,
        amount: int | None = None,
        receipt: int | None = None,
    ) -> bool:
        """Credit ``owner`` with one more upload: of ``amount`` verified bytes, to us; whether it counted.

        ``receipt`` is larger than the last one's: said twice, it counts once.
        """
