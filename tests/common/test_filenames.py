"""Names that every system can store, and names that harm on one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MetainfoError
from common.filenames import MAX_NAME_BYTES, check_component, check_name


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "lecture 07.pdf",
        "..a",
        ".hidden",
        "a..b",
        "-rf",
        "~",
        "naïve café.txt",
        "درس‌ها.mp4",
        "講義.mkv",
        "👩‍🏫.png",
        "CONSOLE",
        "com10",
        "null.txt",
        "x.part1.rar",
        "a" * MAX_NAME_BYTES,
        "é" * (MAX_NAME_BYTES // 2),
    ],
)
def test_good_names_stay_as_they_are(name: str) -> None:
    assert check_name(name) == name


BAD = [
    ("", "no file"),
    (".", "no file"),
    ("..", "no file"),
    ("../x", "slash"),
    ("/x", "slash"),
    ("a/b", "slash"),
    ("a\\b", "backslash"),
    ("..\\x", "backslash"),
    ("C:x", "Windows"),
    ("x:stream", "Windows"),
    ("a\0b", "control"),
    ("a\nb", "control"),
    ("a\x1b[31mb", "control"),
    ("a\x7f", "control"),
    ("a\x9b", "control"),
    ("a\u2028b", "control"),
    ("gpj\u202eexe", "direction"),
    ("a\u2067b", "direction"),
    ('a"b', "Windows"),
    ("a<b", "Windows"),
    ("a>b", "Windows"),
    ("a|b", "Windows"),
    ("a?b", "Windows"),
    ("a*b", "Windows"),
    ("a.", "dot or a space"),
    ("a ", "dot or a space"),
    ("...", "dot or a space"),
    ("CON", "device"),
    ("nul", "device"),
    ("nul.txt", "device"),
    ("Nul .txt", "device"),
    ("aux.tar.gz", "device"),
    ("PRN", "device"),
    ("COM1", "device"),
    ("lpt9.log", "device"),
    ("com¹", "device"),
    ("CONIN$", "device"),
    ("a\udcff", "UTF-8"),
    ("a" * (MAX_NAME_BYTES + 1), "longer"),
    ("é" * 126, "longer"),
    ("movie.part", "unfinished"),
    ("movie.PART", "unfinished"),
]


@pytest.mark.parametrize(("name", "reason"), BAD, ids=[ascii(name)[:20] for name, _ in BAD])
def test_bad_names_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(MetainfoError, match=reason) as caught:
        check_name(name)
    message = str(caught.value)
    assert message.isprintable() and message.encode("utf-8")
    assert len(message) < 200


def test_a_component_below_a_folder_may_be_longer_and_end_in_part() -> None:
    assert check_component("a" * 255) and check_component("x.part")
    with pytest.raises(MetainfoError, match="longer than 255"):
        check_component("a" * 256)


@given(st.text())
def test_whatever_passes_is_one_component(name: str) -> None:
    try:
        check_name(name)
    except MetainfoError:
        return
    assert name not in ("", ".", "..") and not set(name) & set('/\\\0:"<>|?*')
    assert 0 < len(name.encode("utf-8")) <= MAX_NAME_BYTES
