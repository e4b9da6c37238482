"""The choice and order of peers, and the reasons against a peer."""

from __future__ import annotations

from node.download.known_peers import FALLBACK_FAILURES, ONLY_SOURCE_RETRY, RETRY, KnownPeers, PeerKind
from node.download.reasons import Situation, foreign_reason, unused_reason
from node.peer import FoundPeer, Peer
from node.scheduling.smart_ban import WrongBytes


def peer(number: int) -> Peer:
    return Peer("127.0.0.1", 1000 + number, node_id=number)


OWN = peer(9)
SITUATION = Situation(OWN, 2, 3)


def owners(*ids: int, complete: bool = True) -> list[FoundPeer]:
    return [FoundPeer(peer(n), complete) for n in ids]


def ids(candidates) -> list[int]:
    return [candidate.peer.node_id for candidate in candidates]


def ranked(*pairs: tuple[int, int]) -> list[FoundPeer]:
    return [FoundPeer(peer(n), uploads=uploads) for n, uploads in pairs]


def test_the_best_are_chosen_in_the_trackers_order() -> None:
    known = KnownPeers(OWN)
    known.update(ranked((5, 9), (3, 8), (7, 4), (1, 0)))
    assert ids(known.choose(3, 0.0)) == [5, 3, 7]
    assert ids(known.choose(3, 0.0)) == [1]
    assert ids(known.choose(3, 0.0)) == []


def test_nodes_do_not_all_choose_the_same_among_equals_and_each_chooses_the_same_again() -> None:
    def first(own_id: int) -> tuple[int, ...]:
        known = KnownPeers(peer(own_id))
        known.update(ranked((1, 7)) + owners(*range(2, 8)) + owners(*range(20, 30), complete=False))
        return tuple(ids(known.choose(3, 0.0)) + ids(known.choose(3, 0.0, kind=PeerKind.PARTIAL)))

    choices = {first(own_id) for own_id in range(100, 120)}
    assert len(choices) > 15
    assert {choice[0] for choice in choices} == {1}
    assert first(100) == first(100)


def test_partial_peers_are_chosen_apart_and_this_node_is_never_chosen() -> None:
    known = KnownPeers(OWN)
    known.update(owners(9, 4) + owners(5, complete=False))
    assert known.partial_peers() == [peer(5)]
    assert ids(known.choose(3, 0.0)) == [4]
    assert ids(known.choose(3, 0.0)) == []
    assert known.has_usable_partial(0.0)
    assert ids(known.choose(3, 0.0, kind=PeerKind.PARTIAL)) == [5]
    assert not known.has_usable_partial(0.0)


def test_an_active_peer_that_became_complete_stays_a_partial_one() -> None:
    known = KnownPeers(OWN)
    known.update(owners(5, complete=False))
    (candidate,) = known.choose(1, 0.0, kind=PeerKind.PARTIAL)
    known.update(owners(5))
    assert candidate.partial
    known.released(candidate)
    known.update(owners(5))
    assert not candidate.partial


def test_a_failed_peer_is_retried_later_each_time() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    now, rests = 0.0, []
    for _ in range(8):
        (candidate,) = known.choose(1, now)
        known.failed(candidate, "silent", now)
        assert known.choose(1, now + RETRY.first / 2) == []
        rests.append(candidate.retry_at - now)
        now = candidate.retry_at
    assert rests[:3] == [RETRY.first, 2 * RETRY.first, 4 * RETRY.first]
    assert rests[-1] == RETRY.limit


def test_success_is_remembered_as_patience() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    (candidate,) = known.choose(1, 0.0)
    known.failed(candidate, "silent", 0.0)
    (candidate,) = known.choose(1, RETRY.first)
    known.released(candidate)
    (candidate,) = known.choose(1, RETRY.first)
    known.failed(candidate, "silent", 10.0)
    assert candidate.retry_at == 10.0 + RETRY.first


def test_one_to_blame_is_never_asked_again_even_if_the_tracker_forgets_and_names_it_again() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    (candidate,) = known.choose(1, 0.0)
    candidate.banned = True
    known.released(candidate)
    known.update([])
    known.update(owners(1))
    assert known.choose(1, 1e9) == []


def test_a_node_that_came_back_elsewhere_is_a_new_owner() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    (candidate,) = known.choose(1, 0.0)
    known.failed(candidate, "gone", 0.0)
    known.update([FoundPeer(Peer("127.0.0.1", 77, node_id=1))])
    assert [c.peer.addr for c in known.choose(3, 0.0)] == [("127.0.0.1", 77)]


def test_every_owner_not_used_has_a_reason() -> None:
    known = KnownPeers(OWN)
    known.update(ranked((1, 3), (2, 2), (3, 1)) + owners(4, complete=False))
    used, failed = known.choose(2, 0.0)
    known.failed(failed, "silent for 2.0 s", 0.0)
    reasons = {candidate.peer.node_id: unused_reason(candidate, SITUATION) for candidate in known}
    assert reasons == {
        1: "",
        2: "silent for 2.0 s",
        3: "not needed: 2 owners at a time are enough (MAX_SPLITTNES_RATE)",
        4: "not needed: 3 owners of a part are enough (MAX_PARTIAL_OWNERS)",
    }
    known.choose(1, 1e9)
    assert failed.active and unused_reason(failed, SITUATION) == "silent for 2.0 s"  # until it answers
    failed.answered = True
    assert unused_reason(failed, SITUATION) == ""
    used.queue_position = 7
    assert unused_reason(used, SITUATION) == "waits, place 7 in its queue"
    used.queue_position, used.pieces_held = 0, 5
    useless = Situation(OWN, 2, 3, {used.peer})
    assert unused_reason(used, useless) == f"has no piece that {useless.own_name} misses"


def test_peers_of_a_transport_that_the_node_does_not_speak_are_remembered_and_not_used() -> None:
    known = KnownPeers(OWN, ("udp",))
    known.update(
        [*owners(1), FoundPeer(Peer("127.0.0.1", 9, "tcp", 1)), FoundPeer(Peer("127.0.0.1", 8, "tcp"))]
    )
    assert ids(known.choose(3, 0.0)) == [1]
    assert known.foreign == [Peer("127.0.0.1", 8, "tcp")]  # node 1 is used over UDP
    assert (
        foreign_reason(known.foreign[0], "node 3", ["udp"]) == "BitTorrent over TCP; node 3 speaks UDP only"
    )


def test_an_owner_named_twice_is_one_candidate() -> None:
    """Two trackers name it: a second thread for it would work under the first one's name on the board."""
    known = KnownPeers(OWN)
    known.update(owners(1, 1))
    (candidate,) = known.choose(3, 0.0)
    known.update(owners(1, 2, 1))
    assert known.find(candidate.peer) is candidate
    assert ids(known.choose(3, 0.0)) == [2]


def test_one_may_fail_for_days() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    (only,) = known.choose(1, 0.0)
    for _ in range(2000):
        known.failed(only, "silent", 100.0)
    assert only.retry_at == 100.0 + RETRY.limit


def test_the_only_one_rests_for_a_short_while_however_often_it_failed() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1))
    (only,) = known.choose(1, 0.0)
    for _ in range(6):
        known.failed(only, "silent", 100.0)
    assert known.choose(1, 100.0 + ONLY_SOURCE_RETRY - 0.1) == []
    assert known.choose(1, 100.0 + ONLY_SOURCE_RETRY) == [only]


def test_while_another_one_works_the_rest_is_long() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1, 2))
    first, _ = known.choose(2, 0.0)
    for _ in range(6):
        known.failed(first, "silent", 100.0)
    assert known.choose(1, 100.0 + RETRY.limit - 0.1) == []
    assert known.choose(1, 100.0 + RETRY.limit) == [first]


def test_without_progress_a_suspect_comes_before_peers_that_fail_in_turn() -> None:
    known = KnownPeers(OWN)
    known.update(owners(1, 2))
    doubted, failing = (known.find(peer(n)) for n in (1, 2))
    assert doubted is not None and failing is not None
    known.choose(2, 0.0)
    known.released(doubted)
    known.ban(WrongBytes(doubted.peer, 0, proven=False))
    for _ in range(6):
        known.failed(failing, "silent", 100.0)
    now = 100.0 + ONLY_SOURCE_RETRY
    assert known.choose(1, now, no_progress=False) == [failing]
    known.failed(failing, "silent", now)
    assert known.choose(1, now + ONLY_SOURCE_RETRY, no_progress=True) == [doubted]


def test_partial_owners_spread_evenly_however_the_tracker_orders_them() -> None:
    """When each of 30 nodes asks 8 of 29, no node is asked by 0 nodes or by nearly all."""
    everybody = owners(*range(1, 31), complete=False)
    asked = dict.fromkeys(range(1, 31), 0)
    for own_id in range(1, 31):
        choices = []
        for order in (everybody, everybody[::-1]):
            candidates = KnownPeers(peer(own_id))
            candidates.update(order)
            choices.append([c.peer.node_id for c in candidates.choose(8, 0.0, kind=PeerKind.PARTIAL)])
        assert choices[0] == choices[1]
        for node_id in choices[0]:
            assert node_id is not None
            asked[node_id] += 1
    assert min(asked.values()) >= 1
    assert max(asked.values()) <= 16


def test_an_untried_peer_was_never_active() -> None:
    candidates = KnownPeers(peer(1))
    candidates.update(owners(2, complete=False))
    (chosen,) = candidates.choose(8, 0.0, kind=PeerKind.PARTIAL)
    assert candidates.first_untried(0.0) is None
    candidates.released(chosen)
    assert candidates.first_untried(0.0) is None  # tried already
    candidates.update(owners(2, 3, 4, complete=False))
    newcomer = candidates.first_untried(0.0)
    assert newcomer is not None and newcomer == min((peer(3), peer(4)), key=candidates.weight)


def test_the_next_try_is_as_soon_as_a_failed_peer_is_retried() -> None:
    known = KnownPeers(OWN)
    assert known.seconds_to_retry(0.0) == float("inf")
    known.update(owners(1, 2))
    for candidate in known.choose(2, 0.0):
        for _ in range(5):
            known.failed(candidate, "silent", 100.0)
    assert known.seconds_to_retry(100.25) == ONLY_SOURCE_RETRY - 0.25
    assert known.seconds_to_retry(200.0) == 0.0


def test_a_ranking_replaces_the_order_of_the_trackers() -> None:
    known = KnownPeers(OWN)
    known.update(sorted(ranked((5, 9), (7, 8), (3, 8)), key=lambda owner: -owner.peer.port), ranked=True)
    assert ids(known.choose(3, 0.0)) == [7, 5, 3]


def tcp_peer(port: int, node_id: int | None = None) -> Peer:
    return Peer("127.0.0.1", port, "tcp", node_id)


def test_two_addresses_of_a_node_are_one_peer() -> None:
    known = KnownPeers(OWN, ("udp", "tcp"))
    known.update([FoundPeer(peer(2)), FoundPeer(tcp_peer(7002, 2)), FoundPeer(tcp_peer(7003))])
    assert ids(known.choose(9, 0.0)) == [2]
    assert [c.peer.port for c in known.choose(9, 0.0, kind=PeerKind.STANDARD)] == [7003]
    spare = known.find(tcp_peer(7002))
    assert spare is not None
    assert "the same node" in unused_reason(spare, SITUATION)


def test_no_partial_owner_makes_room_for_a_peer_that_would_not_be_chosen() -> None:
    """Neither another address of a node that is used, nor a standard peer, which has its own place."""
    known = KnownPeers(OWN, ("udp", "tcp"))
    partial = [FoundPeer(peer(2), complete=False), FoundPeer(tcp_peer(7002, 2), complete=False)]
    known.update([*partial, FoundPeer(tcp_peer(7003), complete=False)])
    assert known.first_untried(0.0) == peer(2) and known.has_usable_partial(0.0)
    assert ids(known.choose(9, 0.0, kind=PeerKind.PARTIAL)) == [2]
    assert known.first_untried(0.0) is None and not known.has_usable_partial(0.0)


def test_a_node_that_fails_over_one_transport_is_tried_over_the_other_and_never_over_both() -> None:
    """A busy node is silent now and then: one failure does not open a second connection to it."""
    known = KnownPeers(OWN, ("udp", "tcp"))
    known.update([FoundPeer(peer(2)), FoundPeer(tcp_peer(7002, 2))])
    for number in range(FALLBACK_FAILURES):
        assert known.choose(9, 1e3 * number, kind=PeerKind.STANDARD) == []
        (first,) = known.choose(9, 1e3 * number)
        KnownPeers.failed(first, "silent", 1e3 * number)
    (second,) = known.choose(9, 0.0, kind=PeerKind.STANDARD)
    assert second.peer == tcp_peer(7002)
    assert known.choose(9, 1e6) == []
    KnownPeers.released(second)
    assert known.choose(9, 1e6) == [first]


def test_a_banned_node_is_not_used_over_the_other_transport() -> None:
    known = KnownPeers(OWN, ("udp", "tcp"))
    known.update([FoundPeer(peer(2)), FoundPeer(tcp_peer(7002, 2))])
    known.ban(WrongBytes(peer(2), 0, True))
    assert known.choose(9, 1e6) + known.choose(9, 1e6, kind=PeerKind.STANDARD) == []


def test_a_peer_that_connected_to_us_is_a_candidate_at_once() -> None:
    known = KnownPeers(OWN, ("udp", "tcp"))
    assert known.add(FoundPeer(tcp_peer(7002), complete=False))
    (only,) = known.choose(9, 0.0, kind=PeerKind.STANDARD)
    assert not known.add(FoundPeer(tcp_peer(7002))), "it is active"
    KnownPeers.failed(only, "closed the connection", 0.0)
    assert known.choose(9, 0.5, True, PeerKind.STANDARD) == []
    assert known.add(FoundPeer(tcp_peer(7002))), "it connected again"
    assert known.choose(9, 0.5, kind=PeerKind.STANDARD) == [only]


def test_peers_of_a_transport_that_this_node_does_not_have_are_not_known() -> None:
    known = KnownPeers(OWN)
    known.update([FoundPeer(tcp_peer(7002))])
    assert not known.add(FoundPeer(tcp_peer(7002)))
    assert list(known) == []
