"""Wrong bytes are charged to those who sent them and to nobody else, however many delivered the piece."""

from __future__ import annotations

import hashlib
import random

from node.peer import Peer
from node.scheduling.blame import MAX_ATTEMPTS, MAX_CASES, Blame, Charge, Evidence
from node.scheduling.piece_progress import Contribution

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


def settle(blame: Blame, piece: int = 7) -> list[Charge]:
    """The right bytes of ``piece`` have come."""
    case = blame.case(piece)
    return blame.right(piece, [digest(share, RIGHT) for share in case.shares] if case else [])


def test_who_delivered_a_wrong_piece_alone_is_charged_at_once() -> None:
    assert Blame().wrong(7, [evidence(A, (0, 60), sent=WRONG)]) == [Charge(A, 7, proof=True)]


def test_without_checksums_it_may_have_been_the_path() -> None:
    blame = Blame()
    assert blame.wrong(7, [evidence(A, (0, 60), sent=WRONG, checked=False)]) == [Charge(A, 7, proof=False)]
    half = [evidence(A, (0, 30)), evidence(A, (30, 60), sent=WRONG, checked=False)]
    assert blame.wrong(7, half) == [Charge(A, 7, proof=False)]


def test_of_several_the_one_whose_bytes_differ_from_the_right_ones_is_charged() -> None:
    blame = Blame()
    assert blame.wrong(7, [evidence(A, (0, 10), (40, 60)), evidence(B, (10, 40), sent=WRONG)]) == []
    assert blame.suspected(A) and blame.suspected(B) and not blame.suspected(C)
    assert settle(blame) == [Charge(B, 7, proof=True)]
    assert not blame.suspected(A) and not blame.suspected(B)


def test_one_wrong_byte_in_the_middle_is_enough() -> None:
    blame = Blame()
    sent = RIGHT[:30] + WRONG[30:31] + RIGHT[31:]
    blame.wrong(7, [evidence(A, (0, 30), (31, 60), sent=sent), evidence(B, (30, 31), sent=sent)])
    assert settle(blame) == [Charge(B, 7, proof=True)]


def test_two_liars_in_one_piece_are_both_charged_and_a_doubt_is_no_proof() -> None:
    blame = Blame()
    blame.wrong(
        7,
        [
            evidence(A, (0, 10), sent=WRONG),
            evidence(B, (10, 20), sent=WRONG, checked=False),
            evidence(C, (20, 60)),
        ],
    )
    assert settle(blame) == [Charge(A, 7, proof=True), Charge(B, 7, proof=False)]


def test_a_proof_outweighs_a_doubt_against_the_same_one() -> None:
    blame = Blame()
    blame.wrong(
        7,
        [
            evidence(A, (0, 10), sent=WRONG, checked=False),
            evidence(A, (10, 20), sent=WRONG),
            evidence(B, (20, 60)),
        ],
    )
    assert settle(blame) == [Charge(A, 7, proof=True)]


def test_a_witness_that_lies_is_charged_alone_and_the_case_stays_open() -> None:
    blame = Blame()
    blame.wrong(7, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    assert blame.wrong(7, [evidence(C, (0, 60), sent=WRONG)]) == [Charge(C, 7, proof=True)]
    assert blame.suspected(A)
    assert settle(blame) == [Charge(A, 7, proof=True)]


def test_every_wrong_attempt_of_a_case_is_compared_in_the_end() -> None:
    blame = Blame()
    blame.wrong(7, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    blame.wrong(7, [evidence(B, (0, 30)), evidence(C, (30, 60), sent=WRONG)])
    assert settle(blame) == [Charge(A, 7, proof=True), Charge(C, 7, proof=True)]


def test_a_share_with_too_many_gaps_to_keep_convicts_nobody() -> None:
    blame = Blame()
    blurred = Evidence(Contribution(B, True, 30, ()), hashlib.sha1().digest())
    blame.wrong(7, [evidence(A, (0, 30)), blurred])
    assert settle(blame) == []


def test_what_is_remembered_is_bounded() -> None:
    blame = Blame()
    for piece in range(MAX_CASES + 10):
        blame.wrong(piece, [evidence(A, (0, 30), sent=WRONG), evidence(B, (30, 60))])
    assert blame.case(MAX_CASES - 1) is not None and blame.case(MAX_CASES) is None
    for _ in range(3 * MAX_ATTEMPTS):
        blame.wrong(0, [evidence(A, (0, 30), sent=WRONG), evidence(C, (30, 60))])
    case = blame.case(0)
    assert case is not None and len(case.attempts) == MAX_ATTEMPTS


def test_a_piece_that_was_never_wrong_is_nobodys_case() -> None:
    assert Blame().right(3, []) == []
