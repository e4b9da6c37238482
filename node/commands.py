"""What a user may type at a node: text in, a Command out (the course report's ``parse_command``). Pure."""

from __future__ import annotations

import difflib
import os
import shlex
import unicodedata
from dataclasses import dataclass

from common.errors import CommandError
from common.text import sanitize

HELP = """\
torrent -setMode send FILE               share FILE: write FILE.torrent, tell the tracker, serve it
torrent -setMode download FILE.torrent   fetch it, in the background
torrent -setMode exit                    tell the tracker, stop
torrent -status                          what is moving
torrent -files                           what I have
torrent -peers                           who is with me, and who is not and why
help                                     these lines
FILE is a path or a name in the node's folder; quote names with spaces."""

VERBS = ("torrent", "help", "exit", "quit")
OPTIONS = ("-setMode", "-status", "-files", "-peers")
MODES = ("send", "download", "exit")

_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212"  # what a PDF or a word processor makes of "-"
_SHOWN = 40  # characters of an unknown word that a message repeats
_TYPED = 1000  # characters of a name in a hint that can be typed as it stands


@dataclass(frozen=True)
class Send:
    """Share ``file``, a path or a name in the node's folder."""

    file: str


@dataclass(frozen=True)
class Download:
    """Fetch what the torrent ``file`` describes."""

    file: str


@dataclass(frozen=True)
class Exit:
    """Leave the torrent and end."""


@dataclass(frozen=True)
class Status:
    """Show downloads."""


@dataclass(frozen=True)
class Files:
    """Show files."""


@dataclass(frozen=True)
class Peers:
    """Show other nodes."""


@dataclass(frozen=True)
class Help:
    """Show what may be typed."""


@dataclass(frozen=True)
class Nothing:
    """An empty line."""


Command = Send | Download | Exit | Status | Files | Peers | Help | Nothing

_PLAIN: dict[str, Command] = {"help": Help(), "?": Help(), "exit": Exit(), "quit": Exit()}
_SHOWS: dict[str, Command] = {"status": Status(), "files": Files(), "peers": Peers(), "help": Help()}


def parse_command(line: str, backslash_escapes: bool = os.name != "nt") -> Command:
    """The command that ``line`` says; CommandError, one line long, if it says none.

    Words are split and quoted as in a shell. Without ``backslash_escapes`` a backslash is a letter like
    any other, as Windows paths need it.
    """
    words = _split(line, backslash_escapes)
    if not words:
        return Nothing()
    verb = words[0].casefold()
    if verb in _PLAIN:
        _no_more(words, 1)
        return _PLAIN[verb]
    if verb == "torrent":
        return _torrent(words)
    raise CommandError(f"unknown command {_shown(words[0])}; {_instead(words[0])}")


def _split(line: str, backslash_escapes: bool) -> list[str]:
    line = line.lstrip("\ufeff").strip()  # a byte order mark is what PowerShell pipes first
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
        raise CommandError("control characters mean nothing here; type the command again")
    words = shlex.shlex(line, posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.commenters = ""
    words.escape = "\\" if backslash_escapes else ""
    try:
        return list(words)
    except ValueError as error:
        if "quotation" in str(error):
            raise CommandError("a quote is opened and not closed") from None
        raise CommandError("a backslash at the end has nothing to quote") from None


def _torrent(words: list[str]) -> Command:
    if len(words) == 1:
        raise CommandError(f"torrent wants one of {', '.join(OPTIONS)}; try: help")
    option = option_name(words[1])
    if option == "setmode":
        return _set_mode(words)
    if option in _SHOWS:
        _no_more(words, 2)
        return _SHOWS[option]
    known = {option_name(name): name for name in OPTIONS}
    hint = _nearest(option, known)
    if option in MODES:
        hint = f"-setMode {option}"
    raise CommandError(f"unknown option {_shown(words[1])} of torrent; {_mean(hint)}")


def option_name(word: str) -> str:
    """``-setMode``, ``--set-mode``, ``-SETMODE`` and ``--set_mode`` are one."""
    bare = word.lstrip(_DASHES).casefold()
    return bare.replace("-", "").replace("_", "") if word[:1] in _DASHES else bare


def _set_mode(words: list[str]) -> Command:
    if len(words) == 2:
        raise CommandError("-setMode wants one of send FILE, download FILE.torrent, exit")
    mode = words[2].casefold()
    if mode == "exit":
        _no_more(words, 3)
        return Exit()
    if mode not in MODES:
        raise CommandError(f"unknown mode {_shown(words[2])}; {_mean(_nearest(mode, {m: m for m in MODES}))}")
    if len(words) == 3 or not words[3]:
        raise CommandError(f"{mode} wants a file: {_usage(mode)}")
    if len(words) > 4:
        joined = _cut(" ".join(words[3:]), _TYPED)
        raise CommandError(
            f'{mode} takes one file; quote names with spaces: torrent -setMode {mode} "{joined}"'
        )
    return Send(words[3]) if mode == "send" else Download(words[3])


def _usage(mode: str) -> str:
    return f"torrent -setMode {mode} {'FILE' if mode == 'send' else 'FILE.torrent'}"


def _no_more(words: list[str], count: int) -> None:
    if len(words) > count:
        raise CommandError(
            f"{' '.join(words[:count])} takes nothing more, but {_shown(words[count])} follows"
        )


def _instead(word: str) -> str:
    """The hint for an unknown first word; people leave "torrent" or "-setMode" out."""
    bare = option_name(word)
    if bare in MODES:
        return _mean(f"torrent -setMode {bare}")
    if bare == "setmode" or bare in _SHOWS:
        return _mean(f"torrent {next((o for o in OPTIONS if option_name(o) == bare), 'help')}")
    return _mean(_nearest(word.casefold(), {verb: verb for verb in VERBS}))


def _nearest(word: str, known: dict[str, str]) -> str | None:
    near = difflib.get_close_matches(word[:_SHOWN], known, n=1)
    return known[near[0]] if near else None


def _mean(hint: str | None) -> str:
    return f"did you mean '{hint}'?" if hint else "try: help"


def _shown(word: str) -> str:
    return f"'{_cut(word)}'"


def _cut(text: str, limit: int = _SHOWN) -> str:
    return sanitize(text if len(text) <= limit else text[:limit] + "…")
