"""Bencoding: one encoding for each value, and a named error for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bencode
from common.errors import BencodeError

VALUES = st.recursive(
    st.integers(-(10**39), 10**39) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=8), inner, max_size=5),
    max_leaves=20,
)
# Made of the bytes that mean something, random input gets past the first byte.
NEARLY = st.lists(st.sampled_from([b"d", b"l", b"i", b"e", b"-", b"0", b"1", b":", b"a", b"1:a"])).map(
    b"".join
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"i0e"),
        (42, b"i42e"),
        (-42, b"i-42e"),
        (2**63, b"i9223372036854775808e"),
        (b"", b"0:"),
        (b"spam", b"4:spam"),
        (b"0123456789", b"10:0123456789"),
        ([], b"le"),
        ([b"spam", 1], b"l4:spami1ee"),
        ({}, b"de"),
        ({b"b": 1, b"a": [], b"B": {}}, b"d1:Bde1:ale1:bi1ee"),
    ],
)
def test_examples_both_ways(value: bencode.Value, encoded: bytes) -> None:
    assert bencode.encode(value) == encoded
    assert bencode.decode(encoded) == value


@pytest.mark.parametrize(
    ("data", "says", "offset"),
    [
        (b"", "truncated", 0),
        (b"x", "0x78", 0),
        (b"i42", "truncated", 1),
        (b"i", "truncated", 1),
        (b"ie", "canonical integer", 0),
        (b"i-e", "canonical integer", 0),
        (b"i-0e", "canonical integer", 0),
        (b"i007e", "canonical integer", 0),
        (b"i-07e", "canonical integer", 0),
        (b"i+1e", "canonical integer", 0),
        (b"i 1e", "canonical integer", 0),
        (b"i1_0e", "canonical integer", 0),
        (b"i\xd9\xa1e", "canonical integer", 0),  # a digit, but not one of ASCII's
        (b"i1.5e", "canonical integer", 0),
        (b"i--1e", "canonical integer", 0),
        (b"i1e ", "after the end", 3),
        (b"i1ei2e", "after the end", 3),
        (b"4:spa", "truncated", 0),
        (b"4", "truncated", 0),
        (b"04:spam", "canonical length", 0),
        (b"00:", "canonical length", 0),
        (b"-1:a", "0x2d", 0),
        (b"1x:a", "canonical length", 0),
        (b"99999999999999999999:a", "truncated", 0),
        (b"l", "truncated", 1),
        (b"li1e", "truncated", 4),
        (b"d", "truncated", 1),
        (b"d1:a", "truncated", 4),
        (b"d1:ae", "0x65", 4),
        (b"d1:ai1e", "truncated", 7),
        (b"di1ei2ee", "a dictionary key", 1),
        (b"dlei2ee", "a dictionary key", 1),
        (b"d1:bi1e1:ai2ee", "order", 7),
        (b"d1:ai1e1:ai2ee", "twice", 7),
        (b"d2:aai1e1:ai2ee", "order", 8),
        (b"ld1:ai-0eee", "canonical integer", 5),
    ],
)
def test_what_is_not_canonical_is_refused_where_it_is(data: bytes, says: str, offset: int) -> None:
    with pytest.raises(BencodeError, match=says) as caught:
        bencode.decode(data)
    assert str(caught.value).endswith(f"at offset {offset}")


@pytest.mark.parametrize("digits", [bencode.MAX_DIGITS + 2, 5_000, 100_000])
@pytest.mark.parametrize("shape", [b"i%se", b"%s:a", b"i-%se", b"i%s"])
def test_overlong_numbers_are_refused_unconverted(digits: int, shape: bytes) -> None:
    with pytest.raises(BencodeError, match="too long"):
        bencode.decode(shape % (b"9" * digits))


@pytest.mark.parametrize("opening", [b"l", b"d1:a"])
def test_the_depth_is_limited(opening: bytes) -> None:
    closing = b"e" * bencode.MAX_DEPTH
    deepest = opening * bencode.MAX_DEPTH + (b"i1e" if opening != b"l" else b"") + closing
    assert bencode.encode(bencode.decode(deepest)) == deepest
    with pytest.raises(BencodeError, match="nested more than 64 deep"):
        bencode.decode(opening + deepest + b"e")
    with pytest.raises(BencodeError, match="nested"):
        bencode.decode(opening * 100_000)


def test_the_number_of_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bencode, "MAX_VALUES", 100)
    assert bencode.decode(b"l" + b"le" * 99 + b"e") == [[]] * 99
    with pytest.raises(BencodeError, match="more than 100 values"):
        bencode.decode(b"l" + b"le" * 100 + b"e")


@pytest.mark.parametrize("value", ["text", 1.5, None, True, (1,), {"a": 1}, [None], {1: 2}, bytearray(b"x")])
def test_other_types_are_not_encoded(value: object) -> None:
    with pytest.raises(TypeError):
        bencode.encode(value)  # type: ignore[arg-type]  # that is the test


def test_what_would_not_be_decoded_is_not_encoded() -> None:
    nested: bencode.Value = []
    for _ in range(bencode.MAX_DEPTH):
        nested = [nested]
    for value in (nested, 10**bencode.MAX_DIGITS, -(10**5000)):
        with pytest.raises(ValueError, match="cannot be encoded"):
            bencode.encode(value)


def test_a_prefix_ends_where_its_value_ends() -> None:
    assert bencode.decode_prefix(b"d1:ai1eeraw bytes") == ({b"a": 1}, 8)


def test_spans_are_the_original_bytes_of_the_outermost_values() -> None:
    data = b"d4:infod4:infoi1ee1:zl1:aee"
    values, spans, unsorted, end = bencode.decode_with_spans(data)
    assert values == {b"info": {b"info": 1}, b"z": [b"a"]}
    assert {key: data[start:end] for key, (start, end) in spans.items()} == {
        b"info": b"d4:infoi1ee",
        b"z": b"l1:ae",
    }
    assert unsorted == () and end == len(data)


def test_keys_out_of_order_and_bytes_after_the_end_are_reported() -> None:
    data = b"d1:bd1:yi1e1:xi2ee1:ai3e1:ci4ee\n"
    values, _, unsorted, end = bencode.decode_with_spans(data)
    assert values == {b"b": {b"y": 1, b"x": 2}, b"a": 3, b"c": 4}
    assert unsorted == (data.index(b"1:x"), data.index(b"1:a")) and data[end:] == b"\n"


@pytest.mark.parametrize("data", [b"", b"i1e", b"le", b"4:info", b"d4:info", b"d1:bi1e1:ai1e1:bi1ee"])
def test_spans_are_of_one_dictionary_whose_keys_are_there_once(data: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode_with_spans(data)


@given(VALUES)
def test_round_trip(value: bencode.Value) -> None:
    encoded = bencode.encode(value)
    assert bencode.decode(encoded) == value
    assert bencode.decode_prefix(encoded + b"rest") == (value, len(encoded))


@given(VALUES, st.data())
def test_every_cut_is_refused(value: bencode.Value, data: st.DataObject) -> None:
    encoded = bencode.encode(value)
    with pytest.raises(BencodeError):
        bencode.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=60) | NEARLY)
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        value = bencode.decode(data)
    except BencodeError as error:
        assert "\n" not in str(error)
    else:
        assert bencode.encode(value) == data
