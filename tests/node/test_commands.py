"""Valid commands, and the messages for other input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CommandError
from node.commands import Command, parse_command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("torrent -setMode send a.bin", Command("send", "a.bin")),
        ("  torrent   -setMode\tsend  a.bin \r", Command("send", "a.bin")),
        ("TORRENT --set-mode SEND a.bin", Command("send", "a.bin")),
        ("Torrent -setmode Send A.bin", Command("send", "A.bin")),
        ("torrent --set_mode send a.bin", Command("send", "a.bin")),
        ("torrent –setMode send a.bin", Command("send", "a.bin")),  # an en dash, out of a PDF
        ("\ufefftorrent -setMode send a.bin", Command("send", "a.bin")),  # out of PowerShell's pipe
        ('torrent -setMode send "my file.bin"', Command("send", "my file.bin")),
        ("torrent -setMode send 'my file.bin'", Command("send", "my file.bin")),
        ("torrent -setMode send my\\ file.bin", Command("send", "my file.bin")),
        ("torrent -setMode send naïve-файл-文件.bin", Command("send", "naïve-файл-文件.bin")),
        (
            "torrent -setMode send #1;x&y|z$(q)*",
            Command("send", "#1;x&y|z$(q)*"),
        ),  # no shell has its hands in this
        ("torrent -setMode send -", Command("send", "-")),
        ("torrent -setMode download a.bin.torrent", Command("download", "a.bin.torrent")),
        ("torrent -setMode exit", Command("exit")),
        ("exit", Command("exit")),
        ("quit", Command("exit")),
        ("torrent -status", Command("status")),
        ("torrent --files", Command("files")),
        ("torrent -PEERS", Command("peers")),
        ("torrent -list", Command("list")),
        ("torrent -pause a.bin", Command("pause", "a.bin")),
        ("torrent resume 'a b'", Command("resume", "a b")),
        ("pieces a.bin", Command("pieces", "a.bin")),
        ("torrent -select a.bin 1,3-5", Command("select", "a.bin", "1,3-5")),
        ('select "a b" 2', Command("select", "a b", "2")),
        ("download magnet:?xt=urn:btih:ab&dn=x", Command("download", "magnet:?xt=urn:btih:ab&dn=x")),
        ("help", Command("help")),
        ("?", Command("help")),
        ("torrent -help", Command("help")),
        ("send a.bin", Command("send", "a.bin")),
        ("-setMode send a.bin", Command("send", "a.bin")),
        ("download a.bin.torrent", Command("download", "a.bin.torrent")),
        ("stop a.bin", Command("stop", "a.bin")),
        ("torrent -setMode stop a.bin", Command("stop", "a.bin")),
        ("status", Command("status")),
        ("FILES", Command("files")),
        ("-peers", Command("peers")),
        ("node 12> torrent -setMode send a.bin", Command("send", "a.bin")),  # a pasted block
        ("$ node 1> status", Command("status")),
        ("send $x", Command("send", "$x")),
        ("", Command("")),
        ("node 1>", Command("")),
        (" \t ", Command("")),
    ],
)
def test_commands(line: str, command: Command) -> None:
    assert parse_command(line, backslash_escapes=True) == command


@pytest.mark.parametrize(
    ("line", "file"),
    [
        (r"torrent -setMode send C:\data\new.bin", r"C:\data\new.bin"),
        (r'torrent -setMode send "C:\my data\new.bin"', r"C:\my data\new.bin"),
        (r'torrent -setMode send "C:\my data\"', "C:\\my data\\"),
        (r"torrent -setMode send \\server\share\x", r"\\server\share\x"),
    ],
)
def test_windows_paths_keep_their_backslashes(line: str, file: str) -> None:
    assert parse_command(line, backslash_escapes=False) == Command("send", file)


@pytest.mark.parametrize(
    ("line", "file"),
    [
        (r"send C:\data\new.bin", r"C:\data\new.bin"),
        (r'send "C:\my data\new.bin"', r"C:\my data\new.bin"),
        (r"send 'C:\my data\new.bin'", r"C:\my data\new.bin"),
        (r"send my\ file.bin", "my file.bin"),
        (r"send don\'t", "don't"),
        (r'send "a\"b\\c"', 'a"b\\c'),
        ("send a\\", "a\\"),
    ],
)
def test_elsewhere_a_backslash_quotes_spaces_and_quotes_and_is_itself_otherwise(line: str, file: str) -> None:
    assert parse_command(line, backslash_escapes=True) == Command("send", file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("torent -setMode send a", "unknown command 'torent'; did you mean 'torrent'?"),
        ("exti", "unknown command 'exti'; did you mean 'exit'?"),
        ("zzz", "unknown command 'zzz'; try: help"),
        (
            "torrent",
            "torrent wants one of -setMode, -status, -files, -peers, -list, -dump, -faults, -pause, -resume,"
            " -pieces, -select; try: help",
        ),
        ("torrent -stauts", "unknown option '-stauts'; did you mean 'status'?"),
        ("torrent -setMode", "-setMode wants one of send FILE, download FILE.torrent, stop FILE, exit"),
        ("torrent -setMode snd a", "unknown mode 'snd'; did you mean 'send'?"),
        ("torrent -setMode send", "send wants a file: torrent -setMode send FILE"),
        ("send ''", "send wants a file: send FILE"),
        ("download", "download wants a file: download FILE.torrent"),
        (
            "torrent -setMode send my file.bin",
            'send takes one file; quote names with spaces: torrent -setMode send "my file.bin"',
        ),
        ("send my file.bin", 'send takes one file; quote names with spaces: send "my file.bin"'),
        ("torrent -pause", "pause wants a name: torrent pause NAME"),
        ("pieces a b", 'pieces takes one name; quote names with spaces: pieces "a b"'),
        ("select a", "select wants a name and numbers of files: select NAME 1,3-5"),
        ("select a b 1", 'select takes one name; quote names with spaces: select "a b"'),
        ("torrent -setmod send x", "unknown option '-setmod'; did you mean '-setMode'?"),
        ("torrent -setMode exit now", "torrent -setMode exit takes nothing more, but 'now' follows"),
        ("torrent -status all", "torrent status takes nothing more, but 'all' follows"),
        ("dump 1 2", 'dump takes one peer; quote names with spaces: dump "1 2"'),
        ("help me", "help takes nothing more, but 'me' follows"),
        ('torrent -setMode send "a', "a quote is opened and not closed"),
        ("torrent -setMode send don't", "a quote is opened and not closed"),
        ("torrent -setMode send a\x00b", "control characters mean nothing here; type the command again"),
        ("\x1b[A", "control characters mean nothing here; type the command again"),
    ],
)
def test_what_means_nothing_is_explained(line: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_command(line, backslash_escapes=True)
    assert str(caught.value) == message


def test_a_long_unknown_word_is_cut() -> None:
    with pytest.raises(CommandError) as caught:
        parse_command("x" * 100_000)
    assert len(str(caught.value)) < 100


def test_separators_of_unicode_do_not_break_a_message() -> None:
    with pytest.raises(CommandError, match="^unknown command 'a�b'; try: help$"):
        parse_command("a\u2028b")


PARTS = st.sampled_from(
    ["torrent", "-setMode", "send", "download", "exit", "help", '"', "'", "\\", " ", "a b"]
)


@given(st.one_of(st.text(max_size=60), st.lists(PARTS, max_size=8).map(" ".join)), st.booleans())
def test_any_text_is_a_command_or_a_command_error_of_one_line(line: str, backslash_escapes: bool) -> None:
    try:
        assert isinstance(parse_command(line, backslash_escapes), Command)
    except CommandError as error:
        assert str(error) and len(str(error).splitlines()) == 1


@given(st.text(st.characters(exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_any_quoted_name_arrives_as_it_is(name: str) -> None:
    quoted = "'" + name.replace("'", "'\"'\"'") + "'"
    assert parse_command(f"torrent -setMode send {quoted}", backslash_escapes=True) == Command("send", name)
