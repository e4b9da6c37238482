"""Owners that die, hang, come back elsewhere or change their file, while they are fetched from."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

NOTICED = 2.0  # max seconds until the rest of a silent owner is requested elsewhere
SLACK = 0.5  # seconds for a busy machine
MIB = 1 << 20
LONGER = 5.0  # seconds that a fault may cost a whole download
FINE = {"PROGRESS_INTERVAL": "0.05"}


def transfer(node: Any) -> float:
    """Seconds that a download spent fetching."""
    return float(node.seen("completed")[0]["transfer_seconds"])


def usual(swarm: Any, torrent: Any, scale: Any, owners: int, size: int = 0) -> float:
    """Seconds of a download from ``owners`` owners: measured where there is time, else computed."""
    if not scale.measured:
        return float((size or scale.size) / (owners * scale.rate))
    undisturbed = swarm.fetch(torrent, **FINE)
    assert undisturbed.end() == 0
    return transfer(undisturbed)


def kill(owner: Any) -> None:
    owner.kill()


def hang(owner: Any) -> None:
    owner.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("strike", [kill, hang])
def test_one_of_three_is_gone(
    swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any, strike: Callable[[Any], None]
) -> None:
    path = swarm.file("x.bin", scale.size)
    (victim, torrent), *_ = [swarm.share(path, **scale.limit) for _ in range(3)]
    undisturbed = usual(swarm, torrent, scale, 3)
    fetcher = swarm.fetch(torrent, **FINE)
    in_the_middle(fetcher)
    since = watch()
    strike(victim)
    # Near the end late requests are repeated at other owners, so the loss may go unnoticed.
    fetcher.wait_until("notice", lambda: fetcher.seen("owner_lost") or fetcher.seen("completed"))
    noticed = since.seconds
    lost = [event["reason"] for event in fetcher.seen("owner_lost", node_id=victim.number)]
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    longer = transfer(fetcher) - undisturbed
    what = f"owner {'killed' if strike is kill else 'stopped'}, 2 of 3 left"
    note(what, noticed=noticed, longer=longer, reason=lost[0] if lost else "done without it")
    assert noticed < NOTICED + SLACK
    assert longer < LONGER


def test_all_but_one_are_gone(swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any) -> None:
    size = 2 * scale.size  # so large that the survivor still has work when the stopped owner is given up
    path = swarm.file("x.bin", size)
    (survivor, torrent), *others = [swarm.share(path, **scale.limit) for _ in range(3)]
    fetcher = swarm.fetch(torrent, **FINE)
    here = in_the_middle(fetcher, 0.2)
    since = watch()
    for (other, _), strike in zip(others, (kill, hang), strict=True):
        strike(other)
    fetcher.wait_for("completed")
    rate = (size - here) / since.seconds
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    own = size / usual(swarm, torrent, scale, 1, size)
    note("all owners but one gone", rate_MB=rate / 1e6, survivors_own_MB=own / 1e6, share=rate / own)
    if scale.measured:
        assert rate > 0.8 * own
    assert survivor.stop() == 0


@pytest.mark.parametrize("how", ["killed", "hung", "killed, back at another port"])
def test_the_last_one_is_gone_for_a_while(
    swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any, how: str
) -> None:
    path = swarm.file("x.bin", scale.size)
    owner, torrent = swarm.share(path, **scale.limit)
    before = tuple(owner.wait_for("started")["addr"])
    fetcher = swarm.fetch(torrent, **FINE)
    in_the_middle(fetcher, 0.2)
    (hang if how == "hung" else kill)(owner)
    away = watch()
    lost = fetcher.wait_for("owner_lost", node_id=owner.number)
    reason = "silent for " if how == "hung" else "no program listens at its address"
    assert lost["reason"].startswith(reason) and not lost["banned"]
    here = fetcher.seen("progress")[-1]["received"]
    fetcher.wait_until("so long", lambda: away.seconds >= scale.gone)
    with contextlib.ExitStack() as stack:
        if how == "hung":
            owner.thaw()
        else:
            if how != "killed":
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(before)
            owner, _ = swarm.share(path, number=owner.number, **scale.limit)
    back = watch()
    fetcher.wait_until("more", lambda: fetcher.seen("progress")[-1]["received"] > here)
    goes_on = back.seconds
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    note(f"the only owner {how}, back after {scale.gone:g} s", goes_on_after=goes_on)
    assert goes_on < 10
    sources = fetcher.seen("completed")[0]["sources"]  # one node, at one or more addresses
    assert {source["node_id"] for source in sources} == {owner.number}
    assert scale.size <= sum(source["received"] for source in sources) < scale.size + MIB
    if "port" in how:
        addr = tuple(owner.wait_for("started")["addr"])
        assert addr != before
        assert sum(source["received"] for source in sources if tuple(source["addr"]) == addr) > 0


def test_none_comes_back(swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any) -> None:
    path = swarm.file("x.bin", scale.size)
    owner, torrent = swarm.share(path, **scale.limit)
    limit = min(scale.gone, 10)
    fetcher = swarm.downloading(torrent, OWNER_SEARCH_LIMIT=f"{limit:g}", **FINE)
    in_the_middle(fetcher, 0.2)
    owner.kill()
    since = watch()
    reason = fetcher.wait_for("failed")["reason"]
    note("the only owner gone for good", fails_after=since.seconds, search_limit=limit, says=reason)
    assert reason.startswith("x.bin: ") and "x.bin.part is kept" in reason
    assert f"no owner for {limit:g} s" in reason
    assert f"node {owner.number}: no program listens at its address" in reason
    assert (fetcher.folder / "x.bin.part").stat().st_size == scale.size
    assert since.seconds < limit + 5
    assert fetcher.seen("waiting")
    (row,) = fetcher.ask("status")["downloads"]
    assert (row["state"], row["reason"]) == ("failed", reason)
    swarm.share(path)  # a later owner has the rest
    fetcher.type(f"torrent -setMode download '{torrent}'")
    completed = fetcher.wait_for("completed")
    verified = fetcher.wait_for("download_started", 2)["verified"]
    assert 0 < verified < scale.size
    assert sum(source["received"] for source in completed["sources"]) == scale.size - verified
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()


def test_one_drips_just_often_enough_not_to_be_silent(swarm: Any, scale: Any, watch: Any, note: Any) -> None:
    path = swarm.file("x.bin", scale.size)
    _, torrent = swarm.share(path, **scale.limit)
    undisturbed = usual(swarm, torrent, scale, 1)
    last = watch()

    def drip(at: int, payload: bytes) -> bytes | None:
        if last.seconds < 0.8 * NOTICED:
            return None
        last.again()
        return payload

    dripping = swarm.play_owner(path, torrent, drip)
    fetcher = swarm.fetch(torrent, **FINE)
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == path.read_bytes()
    longer = transfer(fetcher) - undisturbed
    given = {s["node_id"]: s["received"] for s in fetcher.seen("completed")[0]["sources"]}
    note("owner that drips", longer=longer, bytes_from_it=given.get(dripping.node_id, 0))
    assert longer < LONGER
    assert given.get(dripping.node_id, 0) < scale.size / 4


def test_one_has_its_file_overwritten(
    swarm: Any, scale: Any, in_the_middle: Any, watch: Any, note: Any
) -> None:
    original = swarm.file("x.bin", scale.size)
    content = original.read_bytes()
    copy = original.with_name("copy") / "x.bin"
    copy.parent.mkdir()
    copy.write_bytes(content)
    (victim, torrent), *others = [swarm.share(file, **scale.limit) for file in (copy, original, original)]
    undisturbed = usual(swarm, torrent, scale, 3)
    fetcher = swarm.fetch(torrent, **FINE)
    in_the_middle(fetcher)
    since = watch()
    copy.write_bytes(bytes(scale.size))
    lost = fetcher.wait_for("owner_lost", node_id=victim.number)
    noticed = since.seconds
    assert fetcher.end() == 0
    assert (fetcher.folder / "x.bin").read_bytes() == content
    assert not fetcher.seen("piece_failed")  # not one wrong byte was sent
    assert str(copy) in victim.wait_for("sharing_stopped")["reason"]
    # It is asked again over TCP, and has no such torrent there.
    reasons = {"its copy has changed", "closed the connection before its handshake"}
    assert {event["reason"] for event in fetcher.seen("owner_lost")} <= reasons
    assert lost["reason"] in reasons
    assert [owner.stop() for owner, _ in others] == [0, 0]
    longer = transfer(fetcher) - undisturbed
    note("owner's file overwritten", noticed=noticed, longer=longer, reason=lost["reason"])
    assert longer < LONGER
