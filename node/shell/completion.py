"""TAB at the prompt: verbs, options, modes, and the files that would do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from common.text import sanitize
from node.commands import MODES, OPTIONS, VERBS, option_name

LIMIT = 200  # names offered at once
LOOKED_AT = 10_000  # names of a folder that are looked at
_NEEDS_QUOTES = set(" \t'\"\\`$&|;<>()*?[]{}#~!")


@dataclass(frozen=True)
class Typed:
    """A line up to the cursor: the whole words before, and the one being typed."""

    before: tuple[str, ...]
    word: str  # without its quotes
    raw_length: int  # characters of it on the line, quotes included
    quote: str  # the quote it opens with, if any


def typed(text: str, backslash_escapes: bool = os.name != "nt") -> Typed:
    """``text`` taken apart as parse_command would, except that it may end anywhere."""
    words: list[str] = []
    word, start, quote, opened, escaped = "", -1, "", "", False
    for at, character in enumerate(text):
        if start < 0:
            if character.isspace():
                continue
            start, opened = at, character if character in "'\"" else ""
        if escaped:
            word, escaped = word + character, False
        elif character == "\\" and backslash_escapes and quote != "'":
            escaped = True
        elif quote:
            quote, word = ("", word) if character == quote else (quote, word + character)
        elif character in "'\"":
            quote = character
        elif character.isspace():
            words.append(word)
            word, start, opened = "", -1, ""
        else:
            word += character
    return Typed(tuple(words), word, len(text) - start if start >= 0 else 0, opened)


def quoted(name: str, quote: str = "", windows: bool = os.name == "nt") -> str:
    """``name`` as it must be typed to be one word; ``quote`` is the one it was begun with."""
    if not quote and not _NEEDS_QUOTES & set(name if not windows else name.replace("\\", "")):
        return name
    if quote == "'" and "'" not in name:
        return f"'{name}'"
    if windows:
        return f'"{name}"'  # a Windows name has no double quote
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


class CommandCompleter(Completer):
    """Completes commands; ``folder`` is the node's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand where the cursor is."""
        line = typed(document.text_before_cursor)
        before = [word.casefold() for word in line.before[:1]] + [
            option_name(word) for word in line.before[1:]
        ]
        if not before:
            yield from self._of(VERBS, line)
        elif before == ["torrent"]:
            yield from self._of(OPTIONS, line)
        elif before == ["torrent", "setmode"]:
            yield from self._of(MODES, line)
        elif before == ["torrent", "setmode", "send"]:
            yield from self._files(line, "")
        elif before == ["torrent", "setmode", "download"]:
            yield from self._files(line, ".torrent")

    def _of(self, known: Iterable[str], line: Typed) -> Iterator[Completion]:
        wanted = line.word.casefold()
        for name in known:
            if name.casefold().startswith(wanted):
                yield Completion(name + " ", start_position=-line.raw_length, display=name)

    def _files(self, line: Typed, suffix: str) -> Iterator[Completion]:
        folder, prefix = os.path.split(line.word)
        stem = line.word[: len(line.word) - len(prefix)]
        names: dict[str, bool] = {}  # name -> is it a folder
        for place in self._places(folder):
            names.update(_names(place, prefix, suffix))
        for name in sorted(names, key=lambda name: (names[name], name))[:LIMIT]:  # folders last
            text = quoted(stem + name, line.quote)
            if names[name]:  # goes on inside: the word stays open
                text = text[:-1] + "/" + text[-1] if text[-1] in "'\"" else text + "/"
                text = text.rstrip("'\"") if text[0] in "'\"" else text
            else:
                text += " "
            yield Completion(text, start_position=-line.raw_length, display=name + "/" * names[name])

    def _places(self, folder: str) -> list[Path]:
        if folder:
            there = Path(os.path.expanduser(folder))
            return [there] if there.is_absolute() else [there, self._folder / there]
        return [Path(), self._folder]


def _names(place: Path, prefix: str, suffix: str) -> dict[str, bool]:
    """Names in ``place`` that start with ``prefix``; folders, and files that end with ``suffix``."""
    found: dict[str, bool] = {}
    try:
        with os.scandir(place) as entries:
            for count, entry in enumerate(entries):
                if count >= LOOKED_AT:
                    break
                if not entry.name.startswith(prefix) or (entry.name.startswith(".") and not prefix):
                    continue
                if sanitize(entry.name) != entry.name:  # on the line it would not look like what it is
                    continue
                is_folder = entry.is_dir()
                if is_folder or (entry.name.endswith(suffix) and not (not suffix and _is_ours(entry.name))):
                    found[entry.name] = is_folder
    except OSError:
        return found
    return found


def _is_ours(name: str) -> bool:
    """What nobody wants to share: torrents and unfinished downloads."""
    return name.endswith((".torrent", ".part"))
