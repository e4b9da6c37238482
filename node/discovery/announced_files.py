"""The files that one tracker knows of this node, or may have forgotten. Pure; the caller locks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.messages import OwnedFile, RegisterAnswer
from node.discovery.outbox import FileKey, file_key


class AnnouncedFiles:
    """The files of the OWNs since the last EXIT, and those of them that are not served any more."""

    def __init__(self) -> None:
        self._sent: set[FileKey] = set()
        self._withdrawn: dict[FileKey, OwnedFile] = {}
        self._count: int | None = None  # as the tracker answered to the last OWN, if it said so
        self._connections = 0  # of the client, at the last REGISTER

    @property
    def has_withdrawn(self) -> bool:
        """True if files are to be taken back."""
        return bool(self._withdrawn)

    def sent(self, files: Iterable[OwnedFile]) -> None:
        """These files are sent with OWN."""
        self._sent.update(map(file_key, files))

    def counted(self, count: int | None) -> None:
        """The tracker knows ``count`` files of this node now; None: its answer has no number."""
        self._count = count

    def withdraw(self, file: OwnedFile) -> bool:
        """The file is not served any more. False if it was never announced there."""
        if file_key(file) not in self._sent:
            return False
        self._withdrawn[file_key(file)] = file
        return True

    def take_withdrawn(self, served: Sequence[OwnedFile]) -> list[OwnedFile]:
        """Take out the files that are to be taken back, without those that are served again."""
        withdrawn, self._withdrawn = self._withdrawn, {}
        for file in served:
            withdrawn.pop(file_key(file), None)
        return list(withdrawn.values())

    def put_back(self, withdrawn: Iterable[OwnedFile]) -> None:
        """These could not be taken back yet."""
        self._withdrawn = {**{file_key(file): file for file in withdrawn}, **self._withdrawn}

    def taken_back(self, files: Iterable[OwnedFile], count: int) -> None:
        """The tracker does not name this node for ``files`` any more; it knows ``count`` others."""
        self._sent.difference_update(map(file_key, files))
        self._count = count

    def left(self) -> None:
        """EXIT was sent: the tracker knows no file."""
        self._sent.clear()
        self._count = 0

    def may_be_lost(self, answer: RegisterAnswer, served: int, connections: int) -> bool:
        """True if the tracker may lack files that were announced to it.

        It may also count files that are not served any more. So its count is compared with its answer to the
        last OWN. A tracker that restarted with other records may have the same count by chance. Its
        connections are new then. OWN of files that it knows changes nothing.
        """
        before, self._connections = self._connections, connections
        if not answer.known or self._connections != before:
            return True
        if self._count is None:
            return answer.files < served
        return answer.files != self._count
