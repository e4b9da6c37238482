"""The commands of a node: text in, a Command out (the course report's ``parse_command``). Pure."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from dataclasses import dataclass

from common.errors import CommandError
from common.text import sanitize

_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212"  # PDF files and word processors turn "-" into longer dashes
_SHOWN = 40  # characters of an unknown word that a message repeats
_TYPED = 1000  # characters of a name in a hint that can be typed as it stands


@dataclass(frozen=True)
class Command:
    """A verb and its object; ``""`` for an empty line.

    On the command line there is one more verb, ``serve``: of a torrent and its finished content.
    """

    verb: str
    # WITH_FILE: a path, or a name in the node's folder; WITH_NAME: a torrent of this node; dump: a peer
    file: str = ""
    argument: str = ""  # select: numbers of files; serve: the path of the content


WITH_FILE = ("send", "download", "stop")
WITH_NAME = ("pause", "resume", "pieces", "select")
ALONE = ("exit", "status", "files", "peers", "list", "dump", "faults", "help")
_WANTED = {
    "send": "FILE",
    "download": "FILE.torrent",
    "stop": "FILE",
    "select": "NAME 1,3-5",
    "dump": "NODE",
}
_BEFORE = {"command": "", "option": "torrent ", "mode": "torrent -setMode "}  # words, by kind
_SYNONYMS = {"quit": "exit", "?": "help"}


@dataclass(frozen=True)
class CommandHelp:
    """A row of ``help``."""

    command: str
    meaning: str


USAGES = (
    CommandHelp("torrent -setMode send FILE", "share FILE, or a folder: hash, announce and serve it"),
    CommandHelp("torrent -setMode download FILE.torrent", "fetch its content in the background"),
    CommandHelp("torrent -setMode stop FILE", "stop sharing FILE, or fetching it"),
    CommandHelp("torrent -setMode exit", "tell the tracker and end"),
    CommandHelp("torrent -status", "downloads, and the upload rate"),
    CommandHelp("torrent -files", "files that this node shares"),
    CommandHelp("torrent -peers", "other nodes and peers, and the trackers"),
    CommandHelp("torrent -list", "torrents that classroom nodes share"),
    CommandHelp("torrent -pieces NAME", "a map of the pieces of a download, and how rare they are"),
    CommandHelp("torrent -dump [NODE]", "the last messages, of all peers or with NODE, as a diagram"),
    CommandHelp("torrent -faults SPEC", "faults of this node's messages from now on, or: off"),
    CommandHelp("torrent -select NAME 1,3-5", "fetch these files of a torrent only, or: all"),
    CommandHelp("torrent -pause NAME", "fetch and serve nothing of a torrent for now"),
    CommandHelp("torrent -resume NAME", "go on with it"),
    CommandHelp("help", "this list"),
)
NOTES = """\
FILE is a path or a name in the node's folder; quote names with spaces. download takes a magnet link, too,
and a name or an info hash that torrent -list shows. NAME is a torrent's name, or begins its info hash.
NODE is a number, or HOST:PORT of a standard peer. SPEC: loss=5%,delay=40ms or drop "DATA 2" once.
Short forms: send FILE, download FILE.torrent, stop FILE, pause NAME, exit, status, list, ..."""


def parse_command(line: str, backslash_escapes: bool = os.name != "nt") -> Command:
    """The command on ``line``; CommandError, one line long, if it is not a command.

    Words are split as ``split_words`` does. The report's ``torrent`` and ``-setMode`` may be left out.
    """
    line = without_prompt(line)
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
        raise CommandError("control characters mean nothing here; type the command again")
    split = split_words(line, backslash_escapes)
    if split.quote:
        raise CommandError("a quote is opened and not closed")
    words = split.words
    if not words:
        return Command("")
    kind = "command"
    if option_name(words[0]) == "torrent":
        kind, words = "option", words[1:]
    if words and option_name(words[0]) == "setmode":
        kind, words = "mode", words[1:]
    if not words:
        wanted = "send FILE, download FILE.torrent, stop FILE, exit"
        if kind == "mode":
            raise CommandError(f"-setMode wants one of {wanted}")
        known = ", ".join(f"-{verb}" for verb in (*ALONE[1:-1], *WITH_NAME))
        raise CommandError(f"torrent wants one of -setMode, {known}; try: help")
    return _command(kind, words[0], words[1:])


def without_prompt(line: str) -> str:
    """``line`` without a byte order mark (PowerShell pipes one first) and without a pasted prompt."""
    return re.sub(r"^(?:\$\s+|node \d+>\s*)+", "", line.lstrip("\ufeff").strip())


@dataclass
class Words:
    """A line in words. ``quote`` is the quote that is still open at its end, if any."""

    words: list[str]
    last_start: int = -1  # where the last word begins; -1: the line does not end in a word
    quote: str = ""


def split_words(line: str, backslash_escapes: bool = os.name != "nt") -> Words:
    """The words of ``line``, with quotes as in a shell.

    A backslash stands for itself, as Windows paths need it, except before a space, a quote or another
    backslash. Without ``backslash_escapes`` (on Windows) it always stands for itself.
    """
    found = Words([])
    escaped = False
    for at, character in enumerate(line):
        if not found.quote and not escaped and _is_space(character):
            found.last_start = -1
            continue
        if found.last_start < 0:
            found.words.append("")
            found.last_start = at
        if escaped:
            escaped = False
            found.words[-1] += character
        elif backslash_escapes and _is_escape(line, at, found.quote):
            escaped = True
        elif character == found.quote:
            found.quote = ""
        elif not found.quote and character in "'\"":
            found.quote = character
        else:
            found.words[-1] += character
    return found


def _is_space(character: str) -> bool:
    return character.isspace() and character not in "\u2028\u2029"


def _is_escape(line: str, at: int, quote: str) -> bool:
    """True if ``line[at]`` is a backslash that makes the next character an ordinary one."""
    following = line[at + 1 : at + 2]
    if line[at] != "\\" or quote == "'" or not following:
        return False
    return following in '"\\' or (not quote and (following == "'" or _is_space(following)))


def option_name(word: str) -> str:
    """``setmode`` for ``-setMode``, ``--set-mode``, ``-SETMODE`` and ``--set_mode``."""
    bare = word.lstrip(_DASHES).casefold()
    return bare.replace("-", "").replace("_", "") if word[:1] in _DASHES else bare


def _command(kind: str, word: str, rest: list[str]) -> Command:
    verb = option_name(word)
    verb = _SYNONYMS.get(verb, verb)
    if verb == "select":
        return _select(_BEFORE[kind] + verb, rest)
    if verb in WITH_FILE or verb in WITH_NAME:
        return Command(verb, _one_name(_BEFORE[kind] + verb, rest, "file" if verb in WITH_FILE else "name"))
    if verb not in ALONE:
        raise CommandError(f"unknown {kind} {_shown(word)}; {_hint(kind, verb)}")
    if verb == "dump" and rest:
        return Command(verb, _one_name(_BEFORE[kind] + verb, rest, "peer"))
    if verb == "faults" and rest:
        return Command(verb, " ".join(f'"{word}"' if " " in word else word for word in rest))
    if rest:
        raise CommandError(f"{_BEFORE[kind]}{verb} takes nothing more, but {_shown(rest[0])} follows")
    return Command(verb)


def _hint(kind: str, verb: str) -> str:
    known = {name: name for name in (*WITH_FILE, *WITH_NAME, *ALONE)}
    if kind != "mode":
        known |= {"torrent": "torrent", "setmode": "-setMode"}
    near = difflib.get_close_matches(verb[:_SHOWN], known, n=1)
    return f"did you mean '{known[near[0]]}'?" if near else "try: help"


def _one_name(command: str, words: list[str], noun: str) -> str:
    verb = command.split()[-1]
    if not words or not words[0]:
        raise CommandError(f"{verb} wants a {noun}: {command} {_WANTED.get(verb, 'NAME')}")
    if len(words) > 1:
        joined = _cut(" ".join(words), _TYPED)
        raise CommandError(f'{verb} takes one {noun}; quote names with spaces: {command} "{joined}"')
    return words[0]


def _select(command: str, words: list[str]) -> Command:
    if len(words) < 2 or not words[0]:
        raise CommandError(f"select wants a name and numbers of files: {command} {_WANTED['select']}")
    name = _one_name(command, words[:-1], "name")
    return Command("select", name, words[-1])


def _shown(word: str) -> str:
    return f"'{_cut(word, _SHOWN)}'"


def _cut(text: str, limit: int) -> str:
    return sanitize(text if len(text) <= limit else text[:limit] + "…")
