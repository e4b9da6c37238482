"""A storage of each kind against plain dictionaries, through requests, time, crashes and restarts. Its
records are always exactly the answered requests.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from common.addresses import Addr
from common.errors import Forbidden, MessageError, NodeConflict
from common.messages import OwnedFile
from tests.tracker.storage.places import KINDS, SILENCE, StoragePlace, a_redis
from tracker.model import MAX_RECEIPTS_PER_PAIR, Caller, Counts, Receipt, file_key
from tracker.storage import redis_writes

A, B = ("127.0.0.1", 4001), ("127.0.0.1", 4002)
HASHES = ["aa" * 20, "bb" * 20]
SECRETS = ["5e" * 32, "7e" * 32]
EXAMPLES = {"memory": 60, "sqlite": 25, "redis": 12}  # each step asks a Redis seven times

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

node_ids = st.integers(0, 4)
addrs = st.sampled_from([A, B])
proofs = st.sampled_from([None, *SECRETS])
files = st.builds(
    OwnedFile,
    st.sampled_from("fgh"),
    st.sampled_from([None, *HASHES]),
    st.sampled_from([None, 9]),
    st.booleans(),
)


@dataclass
class ModelState:
    """A node, as the model has it."""

    addr: Addr
    secret: str | None
    heard: float
    uploads: int = 0
    receipts: int = 0
    last_receipt: int = 0
    pairs: dict[int, int] = field(default_factory=dict)  # reporter -> receipts
    files: dict[str, OwnedFile] = field(default_factory=dict)


class Against(RuleBasedStateMachine):
    """The same requests to a storage and to a model; whatever one can ask must be answered alike."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)  # a restart syncs many files
        self.place = StoragePlace(self.kind, Path(self.folder.name) / "db")
        self.nodes: dict[int, ModelState] = {}

    def teardown(self) -> None:
        self.place.close()
        self.folder.cleanup()

    @property
    def now(self) -> float:
        return self.place.clock.now

    def refusal(self, node_id: int, addr: Addr | None, proof: str | None) -> type[Exception] | None:
        """By which error a request is refused that only the node itself may make."""
        node = self.nodes.get(node_id)
        if node is None or (node.secret is not None and proof == node.secret):
            return None
        if addr not in (None, node.addr):
            return NodeConflict
        return Forbidden if node.secret is not None else None

    @rule(node_id=node_ids, addr=addrs, proof=proofs, claims=st.booleans())
    def register(self, node_id: int, addr: Addr, proof: str | None, claims: bool) -> None:
        storage, claim = self.place.storage, proof if claims else None
        if error := self.refusal(node_id, addr, proof):
            with pytest.raises(error):
                storage.register(Caller(node_id, addr, proof), claim)
            return
        decided = storage.register(Caller(node_id, addr, proof), claim)
        node = self.nodes.get(node_id)
        assert decided.known is (node is not None)
        assert decided.granted is (claim is not None and (node is None or node.secret is None))
        if node is None:
            node = self.nodes[node_id] = ModelState(addr, claim, self.now)
        elif decided.granted:
            node.secret, node.uploads = claim, 0
        node.addr, node.heard = addr, self.now
        assert (decided.claimed, decided.files) == (node.secret is not None, len(node.files))

    @rule(node_id=node_ids, addr=addrs, proof=proofs, owned=st.lists(files, min_size=1, max_size=4))
    def own(self, node_id: int, addr: Addr, proof: str | None, owned: list[OwnedFile]) -> None:
        if error := self.refusal(node_id, addr, proof):
            with pytest.raises(error):
                self.place.storage.own(Caller(node_id, addr, proof), owned)
            return
        node = self.nodes.setdefault(node_id, ModelState(addr, proof, self.now))
        said = {file_key(file.filename, file.info_hash): file for file in owned}
        news = [file for key, file in said.items() if node.files.get(key) != file]
        node.files.update(said)
        node.addr, node.heard = addr, self.now
        decided = self.place.storage.own(Caller(node_id, addr, proof), owned)
        assert (list(decided.news), decided.files) == (news, len(node.files))

    @rule(node_id=node_ids, addr=addrs, proof=proofs, owned=st.lists(files, min_size=1, max_size=4))
    def withdraw(self, node_id: int, addr: Addr, proof: str | None, owned: list[OwnedFile]) -> None:
        if error := self.refusal(node_id, addr, proof):
            with pytest.raises(error):
                self.place.storage.withdraw(Caller(node_id, addr, proof), owned)
            return
        left = self.place.storage.withdraw(Caller(node_id, addr, proof), owned)
        node = self.nodes.get(node_id)
        if node is not None:
            node.heard = self.now
            for file in owned:
                node.files.pop(file_key(file.filename, file.info_hash), None)
        assert left == (len(node.files) if node else 0)

    @rule(node_id=node_ids, proof=proofs, owner=st.none() | node_ids, file=files, amount=st.integers(0, 10),
          number=st.none() | st.integers(1, 40))  # fmt: skip
    def update(
        self,
        node_id: int,
        proof: str | None,
        owner: int | None,
        file: OwnedFile,
        amount: int,
        number: int | None,
    ) -> None:
        receipt = Receipt(file.filename, owner, file.info_hash, amount, number)
        caller = Caller(node_id, None, proof)
        error = self.refusal(node_id, None, proof) or self.wrong(node_id, receipt)
        if error:
            with pytest.raises(error):
                self.place.storage.update(caller, receipt)
            return
        counted = self.credit(node_id, receipt)
        decided = self.place.storage.update(caller, receipt)
        credited = self.nodes.get(node_id if owner is None else owner)
        assert decided.counted is counted
        assert decided.uploads == (credited.uploads + credited.receipts if credited else 0)
        reporter = self.nodes.get(node_id)
        if reporter is not None and reporter.secret is not None:
            reporter.heard = self.now

    def wrong(self, node_id: int, receipt: Receipt) -> type[Exception] | None:
        reporter = self.nodes.get(node_id)
        if reporter is not None and receipt.number is not None and receipt.number <= reporter.last_receipt:
            return None
        owner = self.nodes.get(node_id if receipt.owner is None else receipt.owner)
        if owner is None:
            return MessageError
        if reporter is None or reporter.secret is None:
            return None
        owned = owner.files.get(file_key(receipt.filename, receipt.info_hash))
        fits = owned is not None and 1 <= (receipt.bytes or 0) <= (owned.size or 10**9)
        return None if owner is not reporter and fits else MessageError

    def credit(self, node_id: int, receipt: Receipt) -> bool:
        """Bring the model up to date; whether it counted."""
        reporter = self.nodes.get(node_id)
        if reporter is not None and receipt.number is not None and receipt.number <= reporter.last_receipt:
            return False
        owner = self.nodes[node_id if receipt.owner is None else receipt.owner]
        if reporter is not None and reporter.secret is not None:
            if owner.pairs.get(node_id, 0) >= MAX_RECEIPTS_PER_PAIR:
                return False
            owner.pairs[node_id] = owner.pairs.get(node_id, 0) + 1
            owner.receipts += 1
        elif owner.secret is not None:
            return False
        else:
            owner.uploads += 1
        if reporter is not None and receipt.number is not None:
            reporter.last_receipt = receipt.number
        return True

    @rule(node_id=node_ids, addr=st.none() | addrs, proof=proofs)
    def exit(self, node_id: int, addr: Addr | None, proof: str | None) -> None:
        if error := self.refusal(node_id, addr, proof):
            with pytest.raises(error):
                self.place.storage.exit(Caller(node_id, addr, proof))
            return
        was_in = self.nodes.pop(node_id, None) is not None
        assert self.place.storage.exit(Caller(node_id, addr, proof)) is was_in

    @rule(seconds=st.sampled_from([0.0, 1.0, 7.0, 21.0, 22.0]))
    def pass_time(self, seconds: float) -> None:
        self.place.pass_time(seconds)
        self.place.storage.expire()
        self.nodes = {n: node for n, node in self.nodes.items() if self.now - node.heard < SILENCE}

    @rule(ended_well=st.booleans())
    def start_again(self, ended_well: bool) -> None:
        if ended_well:
            self.place.restart()
        else:
            self.place.crash()
        for node in self.nodes.values():
            node.heard = self.now

    @invariant()
    def the_same_owners(self) -> None:
        for key in ("", *HASHES):
            for name in "fgh" if not key else "f":
                found = self.place.storage.need(Caller(99), name, key or None, 50)
                expected = [
                    (n, node.addr, node.uploads + node.receipts, file.info_hash, file.complete, file.size)
                    for n, node in self.nodes.items()
                    for file in node.files.values()
                    if (file.info_hash == key if key else file.filename == name)
                ]
                named = [
                    (o.node_id, o.addr, o.uploads, o.info_hash, o.complete, o.size) for o in found.owners
                ]
                assert sorted(named, key=repr) == sorted(expected, key=repr)
                merits = [
                    (not o.complete, -self.nodes[o.node_id].receipts, -self.nodes[o.node_id].uploads)
                    for o in found.owners
                    if o.complete
                ]
                assert merits == sorted(merits)
                assert [o.complete for o in found.owners] == sorted((o[4] for o in named), reverse=True)

    @invariant()
    def the_same_counts(self) -> None:
        owned = [file for node in self.nodes.values() for file in node.files.values()]
        claimed = sum(node.secret is not None for node in self.nodes.values())
        names = {file.filename for file in owned}
        assert self.place.storage.counts() == Counts(len(self.nodes), claimed, len(names), len(owned))


@pytest.mark.parametrize("kind", KINDS)
def test_a_storage_does_as_the_model(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "redis":
        a_redis()  # skips here, before the machine has made its folder
    monkeypatch.setattr(redis_writes, "EXPIRE_NODES", 2)
    machine = type(f"Against{kind.title()}", (Against,), {"kind": kind})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=EXAMPLES[kind], stateful_step_count=40, deadline=None)
    )
