"""Why an owner has its rank in an answer to NEED, as a sentence for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from common.messages import OwnerEntry

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
BY = {"rate": "by recent uploads", "bytes": "by verified bytes", "random": "at random"}
"""The rankings whose figures an answer does not show, in words."""
STANDARD_PEER = "a standard peer: listed after the nodes"


def reasons(owners: Sequence[OwnerEntry], ranking: str) -> list[str]:
    """A reason for each of ``owners``, best first. ``ranking``: a name in ``tracker.ranking.STRATEGIES``."""
    complete = [owner for owner in owners if owner.complete]
    return [
        _reason(complete, index, ranking)
        if owner.complete
        else f"has a part: listed after the complete owners, at random; {_counted(owner.uploads)}"
        for index, owner in enumerate(owners)
    ]


def _reason(owners: Sequence[OwnerEntry], index: int, ranking: str) -> str:
    uploads = owners[index].uploads
    if len(owners) == 1:
        return f"the only complete owner; {_counted(uploads)}"
    ranked = f"ranked {ordinal(index + 1)}"
    if ranking in BY:
        return f"{ranked} {BY[ranking]}; {_counted(uploads)} in all"
    if index == 0:
        next_one = owners[1]
        if next_one.uploads == uploads:
            return f"{ranked}: {_counted(uploads)}, as node {next_one.node_id}; the order of equals is drawn"
        return f"{ranked}: {_counted(uploads)}; node {next_one.node_id} has {next_one.uploads}"
    before = owners[index - 1]
    if before.uploads < uploads:
        return f"{ranked}: {_counted(uploads)}, fewer of them verified than those of node {before.node_id}"
    if before.uploads == uploads:
        return f"{ranked}: {_counted(uploads)}, as node {before.node_id}; the order of equals is drawn"
    ahead = [owners[0], before] if index > 1 else [before]
    others = ", ".join(f"node {owner.node_id} has {owner.uploads}" for owner in ahead)
    return f"{ranked}: {_counted(uploads)}; {others}"


def ordinal(number: int) -> str:
    """``third``, ``11th``, ``22nd``."""
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


def _counted(uploads: int) -> str:
    return f"{uploads} upload{'' if uploads == 1 else 's'}"
