"""TAB at the prompt: commands, and the files that fit them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from common.filenames import TORRENT_SUFFIX
from common.text import sanitize
from node.commands import ALONE, WITH_FILE, WITH_NAME, option_name, split_words

MAX_OTHERS = 50  # torrents of other nodes that are offered
OPTIONS = ("-setMode", *(f"-{verb}" for verb in (*ALONE[1:-1], *WITH_NAME)))
MODES = (*WITH_FILE, "exit")
SHORT = ("torrent", *WITH_FILE, *WITH_NAME, *ALONE)


class CommandCompleter(Completer):
    """Completes commands. ``folder`` is the node's; the folders of other nodes stand beside it.

    ``names`` returns the names of the node's torrents.
    """

    def __init__(self, folder: Path, names: Callable[[], Iterable[str]] = lambda: ()) -> None:
        self._folder = folder
        self._names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The words that may stand at the cursor."""
        text = document.text_before_cursor
        split = split_words(text)
        start = split.last_start if split.last_start >= 0 else len(text)
        word = split.words.pop() if split.last_start >= 0 else ""
        before = [option_name(each) for each in split.words]
        known = _following(before)
        if known is not None:
            yield from _matching(known, word, start - len(text))
        elif before and before[-1] in WITH_FILE and _following(before[:-1]) is not None:
            yield from self._files(before[-1], word, text[start:])
        elif before and before[-1] in WITH_NAME and _following(before[:-1]) is not None:
            yield from self._torrents(word, text[start:])

    def _torrents(self, word: str, raw: str) -> Iterator[Completion]:
        quote = raw[:1] if raw[:1] in ("'", '"') else ""
        for name in self._names():
            if name.startswith(word) and sanitize(name) == name:
                yield Completion(quoted(name, quote) + " ", -len(raw), display=name)

    def _files(self, verb: str, word: str, raw: str) -> Iterator[Completion]:
        """Files first, then torrents of other nodes, then folders."""
        found = self._paths(word, _is_torrent if verb == "download" else _is_content)
        folders = list(filter(self._is_folder, found))
        others = self._torrents_of_other_nodes() if verb == "download" and not word else []
        quote = raw[:1] if raw[:1] in ("'", '"') else ""
        for name in sorted(set(found) - set(folders)):
            yield Completion(quoted(name, quote) + " ", -len(raw), display=os.path.basename(name))
        for name in others:
            yield Completion(quoted(name, quote) + " ", -len(raw))
        for name in sorted(folders):
            text = quoted(f"{name}/", quote)  # the next TAB goes on inside the closed quote
            yield Completion(text, -len(raw), display=os.path.basename(name) + "/")

    def _paths(self, word: str, is_wanted: Callable[[str], bool]) -> list[str]:
        """Paths that begin with ``word``, in the current folder and in the node's.

        As in a shell, a hidden folder is found if its dot was typed.
        """
        paths = PathCompleter(
            get_paths=lambda: [".", str(self._folder)],
            file_filter=lambda path: _fits(path, is_wanted),
            expanduser=True,
        )
        found = [word + each.text for each in paths.get_completions(Document(word), CompleteEvent())]
        shows_hidden = os.path.basename(word).startswith(".")
        unique = dict.fromkeys(found)
        return [path for path in unique if shows_hidden or not os.path.basename(path).startswith(".")]

    def _is_folder(self, name: str) -> bool:
        path = os.path.expanduser(name)
        return os.path.isdir(path) or (self._folder / path).is_dir()

    def _torrents_of_other_nodes(self) -> list[str]:
        """Torrents in the folders of other nodes, as paths that can be typed."""
        found = sorted(self._folder.parent.glob(f"node*/*{TORRENT_SUFFIX}"))
        paths = [os.path.relpath(path) for path in found if path.parent != self._folder]
        return [path for path in paths if sanitize(path) == path][:MAX_OTHERS]


def _following(before: list[str]) -> tuple[str, ...] | None:
    """The commands that may follow these words; None: no command may."""
    if before == ["torrent"]:
        return OPTIONS
    if before in (["torrent", "setmode"], ["setmode"]):
        return MODES
    return None if before else SHORT


def _matching(known: Iterable[str], word: str, position: int) -> Iterator[Completion]:
    for name in known:
        if name.casefold().startswith(word.casefold()):
            yield Completion(name + " ", position, display=name)


def _fits(path: str, is_wanted: Callable[[str], bool]) -> bool:
    name = os.path.basename(path)
    return sanitize(name) == name and (is_wanted(name) or os.path.isdir(path))


def _is_torrent(name: str) -> bool:
    return name.endswith(TORRENT_SUFFIX)


def _is_content(name: str) -> bool:
    return not name.endswith((TORRENT_SUFFIX, ".part")) and not name.startswith(".")


def quoted(name: str, quote: str = "", windows: bool = os.name == "nt") -> str:
    """``name`` as it must be typed to be one word. ``quote``: the word begins with this quote."""
    special = r"[^\w@%+=:,./\\-]" if windows else r"[^\w@%+=:,./-]"
    if not quote and not re.search(special, name.removeprefix("~/")):  # the home folder, also between quotes
        return name
    if quote == "'" and "'" not in name:
        return f"'{name}'"
    if windows:
        return f'"{name}"'  # names on Windows have no double quote
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
