"""Ranges of the content, and the file ranges that hold them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.content.layout import FileRange, Layout


def test_a_range_over_three_files_and_an_empty_one() -> None:
    layout = Layout([10, 0, 5, 20])
    assert layout.size == 35
    assert list(layout.split(8, 18)) == [FileRange(0, 8, 10), FileRange(2, 0, 5), FileRange(3, 0, 3)]
    assert list(layout.split(10, 15)) == [FileRange(2, 0, 5)]
    assert list(layout.split(7, 7)) == []


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 36)])
def test_a_range_outside_the_content_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="range"):
        list(Layout([10, 0, 5, 20]).split(start, end))


def test_no_file_has_a_negative_length() -> None:
    with pytest.raises(ValueError, match="negative"):
        Layout([1, -1])


@given(st.lists(st.integers(0, 20), max_size=8), st.data())
def test_file_ranges_name_the_bytes_of_the_content(lengths: list[int], data: st.DataObject) -> None:
    content = [(file, at) for file, length in enumerate(lengths) for at in range(length)]
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    ranges = list(Layout(lengths).split(start, end))
    assert [(r.file, at) for r in ranges for at in range(r.start, r.end)] == content[start:end]
    assert all(r.start < r.end for r in ranges)
    assert [r.file for r in ranges] == sorted({r.file for r in ranges})  # one range for each file


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any))
def test_the_file_at_an_offset_is_the_one_that_split_names(lengths: list[int]) -> None:
    layout = Layout(lengths)
    for offset in range(layout.size):
        (there,) = layout.split(offset, offset + 1)
        file, first, last = layout.file_at(offset)
        assert (file, offset - first) == (there.file, there.start) and last - first == lengths[file]
    with pytest.raises(IndexError):
        layout.file_at(layout.size)
