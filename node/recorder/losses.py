"""Finds lost messages among rows: bytes that were requested, did not come, and were requested again. Pure.

A fetcher that sends a second REQUEST for the same bytes counts the first one's DATA as lost. Where it was
lost cannot be seen from here: the REQUEST may have been. A DATA that comes late after all was not lost.

At the owner a repeated REQUEST marks the DATA that answered the first one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.ranges import RangeSet
from node.recorder.rows import IN, OUT, MessageRow

MAX_OPEN = 256  # requests of one transfer whose answers are awaited: more than a window has

_Transfer = tuple[int | str | None, str]  # the peer, and the transfer id


@dataclass
class _Request:
    """A REQUEST, the bytes that have not come yet, and the rows of its answers."""

    missing: RangeSet
    outgoing: bool
    answers: list[MessageRow] = field(default_factory=list)  # of an owner
    lost: list[MessageRow] = field(default_factory=list)  # derived rows


def marked(rows: list[MessageRow]) -> list[MessageRow]:
    """``rows`` with ``lost`` and ``again`` in their fields, and with a row for each DATA that never came."""
    transfers: dict[_Transfer, dict[int, _Request]] = {}
    result: list[MessageRow] = []
    for row in rows:
        fields = row["fields"]
        if "transfer" in fields:
            requests = transfers.setdefault((row["peer"], fields["transfer"]), {})
            if row["message"] == "REQUEST":
                result += _on_request(requests, row)
            elif row["message"] == "DATA":
                late = _on_data(requests, row)
                if late:
                    result = [each for each in result if id(each) not in late]
            elif row["message"] in ("REFUSE", "TOKEN"):
                requests.pop(fields["sequence"], None)  # answered, and not with data
        result.append(row)
    return result


def _on_request(requests: dict[int, _Request], row: MessageRow) -> list[MessageRow]:
    """Note the request. Returns rows of the DATA that it declares lost."""
    fields, derived = row["fields"], list[MessageRow]()
    start, end, sequence = fields["offset"], fields["offset"] + fields["length"], fields["sequence"]
    for earlier, request in requests.items():
        lost = request.missing.cut(start, end)
        if not lost or earlier == sequence:
            continue
        fields["again"] = earlier
        if request.outgoing:
            rows = [_lost_row(row, earlier, *span) for span in lost]
            request.lost += rows
            derived += rows
        for answer in request.answers:
            offset = answer["fields"]["offset"]
            if any(first <= offset < last for first, last in lost):
                answer["fields"]["lost"] = True
    requests[sequence] = _Request(RangeSet([(start, end)]), row["direction"] == OUT)
    if len(requests) > MAX_OPEN:
        del requests[next(iter(requests))]
    return derived


def _on_data(requests: dict[int, _Request], row: MessageRow) -> set[int]:
    """Note an answer. Returns the ids of derived rows that turn out wrong: their DATA was only late."""
    fields = row["fields"]
    request = requests.get(fields["sequence"])
    if request is None:
        return set()
    start, end = fields["offset"], fields["offset"] + fields["length"]
    if not request.outgoing:
        request.answers.append(row)
        return set()
    request.missing.cut(start, end)
    late = {id(each) for each in request.lost if start <= each["fields"]["offset"] < end}
    request.lost = [each for each in request.lost if id(each) not in late]
    if not request.missing and not request.lost:
        del requests[fields["sequence"]]
    return late


def _lost_row(request: MessageRow, sequence: int, start: int, end: int) -> MessageRow:
    fields: dict[str, Any] = {
        "sequence": sequence,
        "transfer": request["fields"]["transfer"],
        "offset": start,
        "length": end - start,
        "lost": True,
    }
    return {**request, "direction": IN, "message": "DATA", "fields": fields}
