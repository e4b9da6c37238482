"""Torrents that were made to cost time or memory are refused, or read, within bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import MetainfoError
from common.metainfo import decode_info, decode_metainfo

ROOT = Path(__file__).resolve().parent.parent.parent
PROCESSOR_SECONDS = 60  # a multiple of the need, on a slow machine
MEMORY = 700  # MiB

# All are decoded in a process of their own. It prints for each the result, its seconds and the memory so far.
DECODE = """
import json, re, time
from common.errors import MetainfoError
from common.metainfo import decode_metainfo
for expression in {expressions!r}:
    data = eval(expression)
    begun = time.process_time()
    try:
        result = f"{{len(decode_metainfo(data).files)}} files"
    except MetainfoError as error:
        result = str(error)
    seconds = time.process_time() - begun
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())  # ru_maxrss: of the parent, too
    print(json.dumps([result, seconds, int(peak[1]) >> 10]))
"""
FILES = (
    "b'd4:infod5:filesl' + b''.join(b'd6:lengthi1e4:pathl' + {path} + b'ee' for n in range({count}))"
    " + b'e4:name1:x12:piece lengthi1048576e6:pieces20:' + bytes(20) + b'ee'"
)


COSTLY = {
    FILES.format(path="b'8:f%07d' % n", count=200_000): "200000 files",
    FILES.format(path="b'7:%c/?%04d' % (65 + n % 50, n % 10_000)", count=150_000): "two files of one path",
    FILES.format(path="b'1:a' * 20", count=50_000): "more than 1000000 values",
    "b'd4:infol' + b'le' * 1_100_000 + b'ee'": "more than 1000000 values",
    "b'd4:infod' + b''.join(b'7:%07di1e' % n for n in range(1_100_000)) + b'ee'": "1000000 values",
    "b'd4:info' + b'l' * 10_000 + b'e' * 10_000 + b'e'": "nested more than 64 deep",
    "b'd4:info60000000:' + bytes(60_000_000) + b'e'": "no info dictionary",
    "bytes(65 << 20)": "larger than a torrent may be",
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
def test_what_a_torrent_can_cost_is_bounded() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DECODE.format(expressions=list(COSTLY))],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    for line, says in zip(ran.stdout.splitlines(), COSTLY.values(), strict=True):
        result, seconds, memory = json.loads(line)
        assert says in result
        assert seconds < PROCESSOR_SECONDS and memory < MEMORY, (says, seconds, memory)


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (
            b"d6:lengthi9223372036854775808e4:name1:x12:piece lengthi1e6:pieces0:e",
            "length 9223372036854775808 is",
        ),
        (b"d6:lengthi-1e4:name1:x12:piece lengthi1e6:pieces0:e", "length -1 is not from 0"),
        (b"d6:lengthi1e4:name1:x12:piece lengthi0e6:pieces0:e", "piece length 0 is not from 1"),
        (b"d6:lengthi1e4:name1:x12:piece lengthi-16384e6:pieces0:e", "piece length -16384 is"),
        (b"d6:lengthi1e4:name1:x12:piece lengthi9223372036854775808e6:pieces0:e", "piece length 92"),
        (
            b"d6:lengthi4398046511104e4:name1:x12:piece lengthi1e6:pieces0:e",
            "4398046511104 pieces are more than",
        ),
    ],
)
def test_impossible_sizes_are_refused_as_a_torrent_and_as_metadata(info: bytes, says: str) -> None:
    for decode, data in ((decode_metainfo, b"d4:info" + info + b"e"), (decode_info, info)):
        with pytest.raises(MetainfoError, match=says):
            decode(data)


def test_an_odd_piece_length_is_used_as_it_is() -> None:
    info = decode_info(b"d6:lengthi5e4:name1:x12:piece lengthi3e6:pieces40:" + bytes(40) + b"e")
    assert [info.geometry.piece_range(index) for index in range(2)] == [(0, 3), (3, 5)]
