"""Paths inside folder torrents: every one is stored safely, none meets another, on any system."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MetainfoError
from common.filenames import MAX_NAME_BYTES, check_component, check_name
from common.safe_paths import MAX_PATH_BYTES, StoredPath, safe_component, safe_name, safe_paths

LONG = "x" * 300
ODD_NAMES = [
    *("", ".", "..", "...", " ", "a.", "a ", "a. .", "/", "a/b", "\\", "..\\..", "C:", "a\0b", "a\nb"),
    *("NUL", "nul.txt", "CON .a", "COM1", "aux", "~", "_", "a~b", "\udcff\udc80", "gpj\u202eexe"),
    *(
        "a",
        "A",
        "a.txt",
        "A.TXT",
        "é",
        "e\u0301",
        "É",
        "ß",
        "ss",
        "ſ",
        "İ",
        "K",
        "\u212a",
        LONG,
        LONG + ".txt",
    ),
    *("é" * 200, "." + LONG, LONG + "." + LONG, "x.part", ".part"),
]
names = st.sampled_from(ODD_NAMES) | st.text(max_size=5)


def mark(path: str) -> str:
    return hashlib.sha1(path.encode()).hexdigest()[:8]


def paths(*lines: str) -> list[StoredPath]:
    return [("t", *line.split("/")) for line in lines]


@pytest.mark.parametrize(
    "name", ["a", "lecture 07.pdf", ".hidden", "a..b", "-rf", "~", "講義.mkv", "e\u0301", "x" * 255]
)
def test_a_good_name_stays(name: str) -> None:
    assert safe_component(name) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        ("a/b\\c", "a_b_c"),
        ('<>:"|?*', "_______"),
        ("What? Part 1: The End...", "What_ Part 1_ The End___"),
        ("a\0\n\x7f\u2028\u202eb", "a_____b"),
        ("a\udcff", "a_"),
        ("nul.txt", "_nul.txt"),
        ("CON", "_CON"),
        ("CON.", "CON_"),
        ("NUL ", "NUL_"),
        ("x" * 256 + ".txt", f"{'x' * 242}~{mark('x' * 256 + '.txt')}.txt"),
        ("é" * 200, f"{'é' * 123}~{mark('é' * 200)}"),
        ("a." + "b" * 300, f"a.{'b' * 244}~{mark('a.' + 'b' * 300)}"),
    ],
)
def test_each_rule_by_example(name: str, stored: str) -> None:
    assert safe_component(name) == stored


def test_the_folder_of_a_torrent_leaves_room_for_the_files_beside_it() -> None:
    assert safe_name("course") == "course"
    assert safe_name("course.PART") == "course_PART"
    assert safe_name(".part") == "_part"
    assert len(safe_name("x" * 250)) == MAX_NAME_BYTES


@given(st.text() | names)
def test_any_name_is_stored_safely_and_only_once_renamed(name: str) -> None:
    stored, folder = safe_component(name), safe_name(name)
    assert check_component(stored) == stored == safe_component(stored)
    assert check_name(folder) == folder == safe_name(folder)


@pytest.mark.parametrize("twin", ["A.TXT", "A.txt"])
def test_the_later_of_two_names_that_some_disk_takes_for_one_is_marked(twin: str) -> None:
    first, second, third = safe_paths(paths("a.txt", twin, "b"))
    assert (first, third) == (("t", "a.txt"), ("t", "b"))
    stem = twin.partition(".")[0]
    assert second[1].startswith(f"{stem}~") and second[1].endswith(twin.partition(".")[2])


def test_accents_composed_and_decomposed_are_one_name_on_some_disks() -> None:
    first, second = safe_paths(paths("é", "e\u0301"))
    assert first == ("t", "é") and second[1].startswith("e\u0301~")


def test_folders_that_differ_in_case_may_become_one_as_long_as_their_files_differ() -> None:
    listed = paths("Docs/a", "docs/b")
    assert safe_paths(listed) == listed
    stored = safe_paths(paths("Docs/a", "docs/A"))
    assert (
        stored[0] == ("t", "Docs", "a") and stored[1][:2] == ("t", "docs") and stored[1][2].startswith("A~")
    )


def test_a_file_that_is_a_folder_on_some_disks_is_marked_wherever_it_stands() -> None:
    for listed in (paths("A", "a/b"), paths("a/b", "A")):
        stored = dict(zip(listed, safe_paths(listed), strict=True))
        assert stored["t", "a", "b"] == ("t", "a", "b")
        assert stored["t", "A"][1].startswith("A~")


def test_repaired_names_are_kept_apart_too() -> None:
    stored = safe_paths(paths("a?", "a*", "a_", "A_"))
    assert stored[0] == ("t", "a_")
    assert len({path[1].lower() for path in stored}) == 4


def test_a_long_path_loses_its_middle() -> None:
    listed = [("t", *["folder" * 8] * 20, name) for name in ("a.txt", "b.txt")]
    stored = safe_paths(listed)
    assert [len(path) for path in stored] == [3, 3]
    assert stored[0][1] == stored[1][1] and len(stored[0][1]) == 9
    assert [path[2] for path in stored] == ["a.txt", "b.txt"]


def test_files_that_cannot_be_kept_apart_are_refused() -> None:
    with pytest.raises(MetainfoError, match="one path"):
        safe_paths(paths("a", "a"))
    for listed in (paths("a", "a/b"), paths("a/b", "a")):
        with pytest.raises(MetainfoError, match="one of its folders"):
            safe_paths(listed)
    marked = safe_paths(paths("a", "A"))[1][1]
    with pytest.raises(MetainfoError, match="one path"):
        safe_paths(paths(marked, "a", "A"))
    with pytest.raises(MetainfoError, match="one of its folders"):
        safe_paths(paths(f"{marked}/b", "a", "A"))
    assert len(set(safe_paths(paths("a", "A", marked)))) == 3


def as_any_disk_sees(path: StoredPath) -> StoredPath:
    return tuple(unicodedata.normalize("NFC", name).lower() for name in path)


@given(st.lists(st.lists(names, min_size=1, max_size=4).map(lambda found: ("t", *found)), max_size=8))
def test_all_paths_are_safe_and_distinct_or_refused(listed: list[StoredPath]) -> None:
    try:
        stored = safe_paths(listed)
    except MetainfoError:
        return
    assert len(stored) == len(listed)
    for path in stored:
        assert all(check_component(name) for name in path)
        assert len("/".join(path).encode()) <= MAX_PATH_BYTES
    for see in (tuple, as_any_disk_sees):
        seen = {see(path) for path in stored}
        assert len(seen) == len(stored)
        assert not seen & {see(path[:depth]) for path in stored for depth in range(1, len(path))}


@given(st.lists(st.lists(names, min_size=1, max_size=3).map(lambda found: ("t", *found)), max_size=6))
def test_stored_paths_are_stored_unchanged(listed: list[StoredPath]) -> None:
    """A folder that was renamed once, and of which a new torrent is made, keeps its names."""
    try:
        stored = safe_paths(listed)
    except MetainfoError:
        return
    assert safe_paths(stored) == stored
