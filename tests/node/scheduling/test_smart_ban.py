"""Smart ban: the sources of wrong bytes are reported, and no other ones."""

from __future__ import annotations

import hashlib
import random

from node.peer import Peer
from node.scheduling.piece_progress import Contribution
from node.scheduling.smart_ban import MAX_ATTEMPTS, MAX_FAILED_PIECES, Evidence, SmartBan, WrongBytes

A = Peer("127.0.0.1", 1, node_id=1)
B = Peer("127.0.0.1", 2, node_id=2)
C = Peer("127.0.0.1", 3, node_id=3)
RIGHT = random.Random(1).randbytes(60)
WRONG = bytes(byte ^ 1 for byte in RIGHT)


def evidence(source: Peer, *spans: tuple[int, int], sent: bytes = RIGHT, checked: bool = True) -> Evidence:
    share = Contribution(source, checked, sum(end - start for start, end in spans), spans)
    return Evidence(share, digest(share, sent))


def digest(share: Contribution, content: bytes) -> bytes:
    return hashlib.sha1(b"".join(content[start:end] for start, end in share.spans)).digest()


def settle(smart_ban: SmartBan, piece: int = 7) -> list[WrongBytes]:
    """The right bytes of ``piece`` have come."""
    digests = [digest(item, RIGHT) for item in smart_ban.contributions(piece)]
    return smart_ban.passed(piece, digests)[0]


def test_the_only_source_of_a_wrong_piece_is_reported_at_once() -> None:
    assert SmartBan().failed(7, [evidence(A, (0, 60), sent=WRONG)]) == [WrongBytes(A, 7, proven=True)]


def test_without_checksums_wrong_bytes_are_no_proof() -> None:
    smart_ban = SmartBan()
    assert smart_ban.failed(7, [evidence(A, (0, 60), sent=WRONG, checked=False)]) == [
        WrongBytes(A, 7, proven=False)
    ]
    half = [evidence(A, (0, 30)), evidence(A, (30, 60), sent=WRONG, checked=False)]
    assert smart_ban.failed(7, half) == [WrongBytes(A, 7, proven=False)]


def test_of_several_sources_those_with_different_bytes_are_reported() -> None:
    smart_ban = SmartBan()
    assert smart_ban.failed(7, [evidence(A, (0, 10), (40, 60)), evidence(B, (10, 40), sent=WRONG)]) == []
    digests = [digest(item, RIGHT) for item in smart_ban.contributions(7)]
    assert smart_ban.passed(7, digests) == ([WrongBytes(B, 7, proven=True)], {A})


def test_one_wrong_byte_in_the_middle_is_enough() -> None:
    smart_ban = SmartBan()
    sent = RIGHT[:30] + WRONG[30:31] + RIGHT[31:]
    smart_ban.failed(7, [evidence(A, (0, 30), (31, 60), sent=sent), evidence(B, (30, 31), sent=sent)])
    assert settle(smart_ban) == [WrongBytes(B, 7, proven=True)]


def test_two_polluters_of_one_piece_are_both_reported() -> None:
    smart_ban = SmartBan()
    smart_ban.failed(
        7,
        [
            evidence(A, (0, 10), sent=WRONG),
            evidence(B, (10, 20), sent=WRONG, checked=False),
            evidence(C, (20, 60)),
        ],
    )
    assert settle(smart_ban) == [WrongBytes(A, 7, proven=True), WrongBytes(B, 7, proven=False)]


def test_proven_wrong_bytes_outweigh_unproven_ones() -> None:
    smart_ban = SmartBan()
    smart_ban.failed(
        7,
        [
            evidence(A, (0, 10), sent=WRONG, checked=False),
            evidence(A, (10, 20), sent=WRONG),
            evidence(B, (20, 60)),
        ],
    )
    assert settle(smart_ban) == [WrongBytes(A, 7, proven=True)]


def test_a_later_attempt_by_one_source_is_reported_and_the_piece_stays_failed() -> None:
    smart_ban = SmartBan()
    smart_ban.failed(7, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    assert smart_ban.failed(7, [evidence(C, (0, 60), sent=WRONG)]) == [WrongBytes(C, 7, proven=True)]
    assert 7 in smart_ban
    assert settle(smart_ban) == [WrongBytes(A, 7, proven=True)]


def test_every_failed_attempt_is_compared_in_the_end() -> None:
    smart_ban = SmartBan()
    smart_ban.failed(7, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    smart_ban.failed(7, [evidence(B, (0, 30)), evidence(C, (30, 60), sent=WRONG)])
    assert settle(smart_ban) == [WrongBytes(A, 7, proven=True), WrongBytes(C, 7, proven=True)]


def test_a_truncated_contribution_proves_nothing() -> None:
    smart_ban = SmartBan()
    blurred = Evidence(Contribution(B, True, 30, ()), hashlib.sha1().digest())
    smart_ban.failed(7, [evidence(A, (0, 30)), blurred])
    assert settle(smart_ban) == []


def test_kept_digests_are_bounded() -> None:
    smart_ban = SmartBan()
    for piece in range(MAX_FAILED_PIECES + 10):
        smart_ban.failed(piece, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    assert MAX_FAILED_PIECES - 1 in smart_ban and MAX_FAILED_PIECES not in smart_ban
    for _ in range(3 * MAX_ATTEMPTS):
        smart_ban.failed(0, [evidence(A, (0, 30), sent=WRONG), evidence(C, (30, 60))])
    assert len(smart_ban.contributions(0)) == 2 * MAX_ATTEMPTS


def test_a_piece_that_never_failed_has_no_evidence() -> None:
    assert SmartBan().passed(3, []) == ([], set())
