"""The classroom messages: accepted fields, refused fields, and the field that an error names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MessageError
from common.messages import (
    MAX_FILES,
    Exit,
    Mode,
    Need,
    NeedAnswer,
    Own,
    OwnedFile,
    OwnerEntry,
    OwnerList,
    PeerEntry,
    Register,
    RegisterAnswer,
    Update,
)

HASH = "ab" * 20
ADDR = ["127.0.0.1", 4001]

node_ids = st.integers(0, 2**31 - 1)
addrs = st.tuples(
    st.ip_addresses(v=4)
    .filter(lambda ip: not ip.is_multicast and not ip.is_unspecified and int(ip) < 2**32 - 1)
    .map(str),
    st.integers(1, 65535),
)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), min_size=1, max_size=60
)
hashes = st.none() | st.text("0123456789abcdef", min_size=40, max_size=40)
sizes = st.none() | st.integers(0, 2**63 - 1)
files = st.builds(OwnedFile, names, hashes, sizes, st.booleans())
tcp_ports = st.none() | st.integers(1, 65535)
spoken = st.lists(st.sampled_from(["udp", "tcp", "utp"]), min_size=1, max_size=3).map(tuple)
needs = st.builds(Need, node_ids, names, hashes, st.none() | addrs, spoken) | st.builds(
    Need, node_ids, st.none(), hashes.filter(bool), st.none() | addrs
)
owner_entries = st.builds(
    OwnerEntry, node_ids, addrs, st.integers(0, 10**9), hashes, st.booleans(), sizes, tcp_ports
)
peer_ids = st.binary(min_size=20, max_size=20).map(bytes.hex)
peer_entries = st.builds(PeerEntry, addrs, st.booleans(), peer_ids)
need_answers = st.builds(
    NeedAnswer,
    node_ids,
    st.none() | names,
    st.lists(owner_entries).map(tuple),
    st.lists(peer_entries, max_size=3).map(tuple),
)
messages = st.one_of(
    st.builds(Register, node_ids, addrs, st.booleans(), tcp_ports),
    st.builds(
        Own, node_ids, addrs, st.lists(files, min_size=1, max_size=5).map(tuple), tcp_ports, st.booleans()
    ),
    needs,
    st.builds(Update, node_ids, names, st.none() | node_ids, hashes, sizes, st.none() | addrs),
    st.builds(Exit, node_ids, st.none() | addrs),
    files,
    st.builds(RegisterAnswer, st.floats(0.01, 1e6), st.booleans(), st.integers(0, 10**6)),
    need_answers,
)


@given(need_answers)
def test_an_encoded_answer_is_what_json_would_make_of_it(answer: NeedAnswer) -> None:
    again = NeedAnswer(answer.dest_node_id, answer.filename, OwnerList(answer.owners), answer.peers)
    for encoded in (answer.encode(), again.encode(), again.encode()):
        assert json.loads(encoded) == answer.to_json()


@given(messages)
def test_every_message_survives_json(message: Any) -> None:
    text = json.dumps(message.to_json())
    assert type(message).from_json(json.loads(text)) == message


BAD_NODE_IDS = [None, True, "1", 1.0, -1, 2**31, [1], {}]
BAD_ADDRS = [
    None, 5, "127.0.0.1", [], ["127.0.0.1"], ["127.0.0.1", 1, 2], ["127.0.0.1", 0], ["127.0.0.1", 65536],
    ["127.0.0.1", True], ["127.0.0.1", "80"], ["127.0.0.1", 80.0], ["example.org", 80], [1, 80], [None, 80],
    ["0.0.0.0", 80], ["::", 80], ["224.0.0.1", 80], ["255.255.255.255", 80], ["1.2.3", 80], ["fe80::1%x", 80],
    ["", 80],
]  # fmt: skip
BAD_NAMES = [
    None,
    "",
    5,
    True,
    ["x"],
    "a\x00b",
    "a\nb",
    "\x1b[31m",
    "a\u2028b",
    "\ud800",
    "é" * 128,
    "x" * 256,
]
BAD_HASHES = ["", "ab", "g" * 40, "ab" * 21, 5, True, [HASH], HASH + "\n", "٠" * 40]
BAD_SIZES = [-1, True, "5", 1.5, 2**63]


def refused(kind: Any, fields: dict[str, Any]) -> str:
    with pytest.raises(MessageError) as caught:
        kind.from_json(fields)
    assert "\n" not in str(caught.value)
    return caught.value.field


@pytest.mark.parametrize("value", BAD_NODE_IDS)
@pytest.mark.parametrize("kind", [Register, Own, Need, Update, Exit])
def test_a_node_id_is_a_small_whole_number(kind: Any, value: object) -> None:
    assert refused(kind, {"node_id": value, "addr": ADDR, "filename": "f"}) == "node_id"


@pytest.mark.parametrize("value", BAD_ADDRS)
@pytest.mark.parametrize("kind", [Register, Own])
def test_an_addr_is_where_one_node_can_be_reached(kind: Any, value: object) -> None:
    assert refused(kind, {"node_id": 1, "addr": value, "filename": "f"}) == "addr"


@pytest.mark.parametrize("value", BAD_NAMES)
@pytest.mark.parametrize("kind", [Own, Need, Update])
def test_a_file_name_is_short_clean_text(kind: Any, value: object) -> None:
    assert refused(kind, {"node_id": 1, "addr": ADDR, "filename": value}) == "filename"


@pytest.mark.parametrize("value", BAD_HASHES)
@pytest.mark.parametrize("kind", [Own, Need, Update])
def test_an_info_hash_is_forty_hex_digits(kind: Any, value: object) -> None:
    assert refused(kind, {"node_id": 1, "addr": ADDR, "filename": "f", "info_hash": value}) == "info_hash"


@pytest.mark.parametrize("value", BAD_SIZES)
def test_sizes_are_counted_in_whole_bytes(value: object) -> None:
    assert refused(Own, {"node_id": 1, "addr": ADDR, "filename": "f", "size": value}) == "size"
    assert refused(Update, {"node_id": 1, "filename": "f", "bytes": value}) == "bytes"


@pytest.mark.parametrize("value", [0, 1, "true", [], 1.0])
def test_complete_is_true_or_false(value: object) -> None:
    assert refused(Own, {"node_id": 1, "addr": ADDR, "filename": "f", "complete": value}) == "complete"


def test_the_longest_name_and_the_extreme_numbers_are_fine() -> None:
    name = "é" * 127 + "x"
    fields = {"node_id": 2**31 - 1, "addr": ["1.2.3.4", 65535], "filename": name, "size": 2**63 - 1}
    assert Own.from_json(fields).files == (OwnedFile(name, None, 2**63 - 1, True),)
    assert Exit.from_json({"node_id": 0}) == Exit(0)


@pytest.mark.parametrize(
    ("host", "meant"),
    [("localhost", "127.0.0.1"), ("::1", "::1"), ("0:0::1", "::1"), ("::ffff:10.0.0.1", "10.0.0.1")],
)
def test_one_host_has_one_spelling(host: str, meant: str) -> None:
    assert Register.from_json({"node_id": 1, "addr": [host, 9]}).addr == (meant, 9)


def test_info_hashes_are_in_lower_case_and_unknown_fields_are_ignored() -> None:
    need = Need.from_json({"node_id": 1, "info_hash": HASH.upper(), "colour": "blue"})
    assert need == Need(1, None, HASH)


def test_need_takes_a_bare_host_and_knows_that_it_tells_nothing() -> None:
    assert Need.from_json({"node_id": 1, "filename": "f", "addr": "localhost"}) == Need(1, "f")
    assert refused(Need, {"node_id": 1, "filename": "f", "addr": "x" * 300}) == "addr"
    assert refused(Need, {"node_id": 1, "filename": "f", "addr": ["localhost", 0]}) == "addr"
    assert refused(Need, {"node_id": 1}) == "filename"


def test_own_of_many_files() -> None:
    fields = {"node_id": 1, "addr": ADDR, "files": [{"filename": "a"}, {"filename": "b", "info_hash": HASH}]}
    assert Own.from_json(fields).files == (OwnedFile("a"), OwnedFile("b", HASH))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "files"),
        ("a", "files"),
        ([{"filename": "a"}] * (MAX_FILES + 1), "files"),
        (["a"], "files[0]"),
        ([{"filename": "a"}, {"filename": ""}], "files[1].filename"),
        ([{"filename": "a", "info_hash": "x"}], "files[0].info_hash"),
    ],
)
def test_one_bad_file_is_named_by_its_place(value: object, field: str) -> None:
    assert refused(Own, {"node_id": 1, "addr": ADDR, "files": value}) == field


@pytest.mark.parametrize(
    ("value", "mode"), [(0, Mode.REGISTER), (4, Mode.EXIT), ("NEED", Mode.NEED), ("own", Mode.OWN)]
)
def test_a_mode_is_a_number_or_a_name(value: object, mode: Mode) -> None:
    assert Mode.from_json(value) is mode


@pytest.mark.parametrize("value", [None, True, False, -1, 5, 1.0, "1", "", "JOIN", [], {}, 10**30])
def test_nothing_else_is_a_mode(value: object) -> None:
    with pytest.raises(MessageError, match="0 REGISTER") as caught:
        Mode.from_json(value)
    assert caught.value.field == "mode"


@pytest.mark.parametrize("value", [None, 0, -1, True, "5", float("inf"), float("nan")])
def test_an_interval_is_a_positive_number(value: object) -> None:
    assert refused(RegisterAnswer, {"interval": value}) == "interval"


@pytest.mark.parametrize("value", [None, {}, [1], [[{}, 1]], [[{"node_id": 1, "addr": ADDR}, -1]], [[[], 0]]])
def test_a_need_answer_that_is_none(value: object) -> None:
    with pytest.raises(MessageError):
        NeedAnswer.from_json({"search_result": value})


@given(
    st.dictionaries(
        st.sampled_from(["node_id", "addr", "filename", "files", "info_hash", "owner"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_any_object_is_a_message_or_a_message_error(fields: dict[str, Any]) -> None:
    for kind in (Register, Own, Need, Update, Exit, RegisterAnswer, NeedAnswer):
        try:
            kind.from_json(fields)
        except MessageError as error:
            assert error.field
