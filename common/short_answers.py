"""The answers to OWN, UPDATE and EXIT. The tracker's API document is made from them. Pure."""

from __future__ import annotations

from common.messages import Message
from common.validation import Count, Flag


class OwnAnswer(Message, frozen=True):
    """The answer to OWN."""

    files: Count  # how many files the node serves now
    status: str = "File owner added"


class UpdateAnswer(Message, frozen=True):
    """The answer to UPDATE."""

    uploads: Count  # of the credited node, as NEED shows them
    counted: Flag  # False: this receipt was counted before, or is beyond the limits of counting
    status: str = "Database updated"


class ExitAnswer(Message, frozen=True):
    """The answer to EXIT."""

    status: str = "Node removed"
