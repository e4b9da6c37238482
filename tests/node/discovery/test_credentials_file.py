"""A node's secrets: made, kept, forgotten; with crashes, other processes, and a bad disk."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.discovery import credentials as module
from node.discovery.credentials import MAX_SECRETS, RECEIPT_BATCH, SecretStore, is_secrets_name

A, B, C = "http://127.0.0.1:1", "http://127.0.0.1:2", "http://10.0.0.1:1"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def unsaved() -> list[str]:
    """The messages about secrets that could not be saved."""
    return []


@pytest.fixture
def opened(tmp_path: Path, unsaved: list[str]) -> Iterator[Callable[..., SecretStore]]:
    """Opens claims of node 5, closed in the end."""
    made: list[SecretStore] = []

    def open_claims(folder: Path = tmp_path) -> SecretStore:
        made.append(SecretStore(folder, 5, unsaved.append))
        made[-1].open()
        return made[-1]

    yield open_claims
    for claims in made:
        claims.close()


def crash(claims: SecretStore) -> None:
    """The state after kill -9: the files as they are, and no lock."""
    lock = claims._file_lock
    assert lock is not None and lock.descriptor is not None
    os.close(lock.descriptor)
    lock.descriptor = claims._file_lock = None


def test_each_tracker_has_a_secret_of_its_own(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    first, second = claims.claim([A]).secret, claims.claim([B]).secret
    assert first and second and first != second
    assert len(first) == 43  # 32 random bytes in base64url
    assert claims.claim([A]).secret == first


def test_a_secret_is_on_the_disk_before_anybody_hears_of_it_and_only_for_us(
    opened: Callable[..., SecretStore],
) -> None:
    claims = opened()
    secret = claims.claim([A]).secret
    assert json.loads(claims.path.read_text())["trackers"] == {A: secret}
    if os.name == "posix":
        assert stat.S_IMODE(claims.path.stat().st_mode) == 0o600
    assert claims.path.name.startswith(".")


def test_it_survives_a_crash(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    secret, receipts = claims.claim([A]).secret, [claims.next_receipt() for _ in range(3)]
    crash(claims)
    again = opened()
    assert again.claim([A]).secret == secret
    assert again.next_receipt() > receipts[-1]


def test_receipts_only_grow_over_any_number_of_crashes(opened: Callable[..., SecretStore]) -> None:
    numbers = []
    for count in (1, RECEIPT_BATCH, RECEIPT_BATCH + 1, 3):
        claims = opened()
        claims.claim([A])
        numbers += [claims.next_receipt() for _ in range(count)]
        crash(claims)
    assert numbers == sorted(set(numbers)) and numbers[0] >= 1


def test_after_exit_nothing_is_left(opened: Callable[..., SecretStore], tmp_path: Path) -> None:
    claims = opened()
    claim = claims.claim([A])
    secret = claim.secret
    claims.next_receipt()
    claim.forget()
    assert claim.secret is None
    claims.close()
    assert list(tmp_path.iterdir()) == []
    assert opened().claim([A]).secret != secret


def test_a_tracker_that_heard_no_exit_is_kept(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    kept, gone = claims.claim([A]), claims.claim([B])
    secret = kept.secret
    gone.forget()
    claims.close()
    again = opened()
    assert again.claim([A]).secret == secret
    assert json.loads(again.path.read_text())["trackers"] == {A: secret}


def test_several_addresses_of_one_tracker_share_a_secret(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    secret = claims.claim([B]).secret
    assert claims.claim([A, B]).secret == secret  # the one that is known at one of them
    assert claims.claim([A]).secret == secret
    assert claims.claim([C]).secret != secret


def test_what_the_tracker_made_is_kept_if_it_can_be_one(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    claim = claims.claim([A])
    claim.keep("x" * 43)
    assert claim.secret == "x" * 43 == json.loads(claims.path.read_text())["trackers"][A]
    for nonsense in ("", "x" * 31, "x" * 129, "x" * 42 + "\n", "a b" * 20, "é" * 43):
        claim.keep(nonsense)
        assert claim.secret == "x" * 43


def test_the_oldest_secrets_of_very_many_trackers_are_forgotten(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    for port in range(1, MAX_SECRETS + 11):
        claims.claim([f"http://127.0.0.1:{port}"])
    kept = list(json.loads(claims.path.read_text())["trackers"])
    assert kept == [f"http://127.0.0.1:{port}" for port in range(11, MAX_SECRETS + 11)]


def test_another_process_as_the_same_node_gets_no_secret(opened: Callable[..., SecretStore]) -> None:
    """Else a node started twice by mistake would move itself away from where it is."""
    first, second = opened(), opened()
    secret = first.claim([A]).secret
    claim = second.claim([A])
    assert claim.secret is None
    claim.keep("y" * 43)  # the tracker made it one
    assert claim.secret == "y" * 43
    assert json.loads(first.path.read_text())["trackers"] == {A: secret}
    second.close()
    assert first.path.exists()
    first.close()
    assert opened().claim([A]).secret == secret


def test_the_lock_ends_with_the_process(tmp_path: Path, opened: Callable[..., SecretStore]) -> None:
    program = (
        "import os, pathlib; from node.discovery.credentials import SecretStore;"
        f"c = SecretStore(pathlib.Path({str(tmp_path)!r}), 5); c.open(); c.claim([{A!r}]); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 9
    secret = json.loads((tmp_path / ".claims-5.json").read_text())["trackers"][A]
    assert opened().claim([A]).secret == secret


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"trackers": {}}', b'{"trackers": [], "receipt": 1}', b"[" * 100_000,
        b'{"trackers": {"http://h:1": "short"}, "receipt": 1}',
        b'{"trackers": {"http://h:1": 5}, "receipt": 1}',
        b'{"trackers": {}, "receipt": -9999999999999999999}', b'{"trackers": {}, "receipt": "1"}',
        b'{"trackers": {}, "receipt": 1e3}', b'{"trackers": {}, "receipt": -5}',
        b'{"trackers": {}, "receipt": true}',
        b" " * (module.MAX_SECRETS_BYTES + 1), b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_damaged_file_is_made_anew(
    opened: Callable[..., SecretStore], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / ".claims-5.json").write_bytes(content)
    claims = opened()
    secret = claims.claim([A]).secret
    assert secret and json.loads(claims.path.read_text())["trackers"] == {A: secret}
    assert claims.next_receipt() == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
def test_a_file_that_others_could_read_is_closed_to_them(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    secret = claims.claim([A]).secret
    crash(claims)
    claims.path.chmod(0o644)
    again = opened()
    assert again.claim([A]).secret == secret
    assert stat.S_IMODE(again.path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links are not for everybody on Windows")
def test_a_link_in_its_place_is_not_followed(opened: Callable[..., SecretStore], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({"trackers": {A: "z" * 43}, "receipt": 1}))
    (tmp_path / ".claims-5.json").symlink_to(elsewhere)
    assert opened().claim([A]).secret != "z" * 43
    assert "z" * 43 in elsewhere.read_text()


def test_a_disk_that_takes_nothing_stops_nothing(
    opened: Callable[..., SecretStore],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unsaved: list[str],
) -> None:
    monkeypatch.setattr(logging.getLogger("swarm"), "propagate", True)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    claims = opened()
    monkeypatch.setattr(module, "atomic_write", full)
    with caplog.at_level(logging.INFO):
        claim = claims.claim([A])
    assert claim.secret and claim.next_receipt() == 1
    assert "No space left" in caplog.text and claim.secret not in caplog.text
    (told,) = unsaved  # once, though two writes failed
    assert "No space left" in told and claim.secret not in told


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_disk_that_knows_no_permissions_stops_nothing(
    opened: Callable[..., SecretStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # a Windows disk mounted in WSL

    claims = opened()
    secret = claims.claim([A]).secret
    crash(claims)
    claims.path.chmod(0o777)
    monkeypatch.setattr(os, "fchmod", refuse)
    assert opened().claim([A]).secret == secret


def test_a_folder_that_is_not_there_stops_nothing(opened: Callable[..., SecretStore], tmp_path: Path) -> None:
    claims = opened(tmp_path / "missing")
    claim = claims.claim([A])
    assert claim.secret and claim.next_receipt() == 1
    claim.forget()


def test_nothing_shows_a_secret(opened: Callable[..., SecretStore]) -> None:
    claims = opened()
    claim = claims.claim([A])
    assert claim.secret not in f"{claim!r} {claims!r} {claim} {claims}"


def test_names_that_are_ours() -> None:
    for name in (".claims-5.json", ".claims-5.lock", ".CLAIMS-5.json", ".claims-17.json.0a1b"):
        assert is_secrets_name(name)
    for name in ("claims-5.json", ".claims-.json", ".claims-5.jsonx", "x.claims-5.json"):
        assert not is_secrets_name(name)
