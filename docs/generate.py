"""``make docs``: write limits.md, settings.md, commands.md, events.md and part of architecture.md.

So is the dashboard's ``vocabulary.js``: the names and shapes of the log's events, for the browser.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

import configs  # noqa: E402
from docs.code_constants import constants  # noqa: E402

PACKAGES = ("common", "node", "tracker", "faults")
NOTICE = "<!-- Written by `make docs`. Change the code that it describes instead. -->"


# ---- limits.md


def limits() -> str:
    """The page of constants: a table for each package, a row for each constant."""
    parts = [NOTICE, "# Limits and other constants", _LIMITS_INTRODUCTION]
    for folder in sorted({path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}):
        rows = [row for path in sorted(folder.glob("*.py")) for row in _constant_rows(path)]
        if rows:
            heading = f"## {folder.relative_to(ROOT).as_posix()}"
            parts += [heading, _table(("constant", "value", "unit and meaning", "file"), rows)]
    return "\n\n".join(parts) + "\n"


_LIMITS_INTRODUCTION = """\
Every buffer, count, queue and wait has a limit. Limits that a user may change are [settings](settings.md).
All other limits, thresholds and time-outs are constants of the code. This page lists each with
its comment."""


def _constant_rows(path: Path) -> Iterator[tuple[str, ...]]:
    name = path.relative_to(ROOT).as_posix()
    for constant, value, comment in constants(path):
        yield f"`{constant}`", value, comment, f"[{path.name}](../{name})"


# ---- settings.md

AUDIENCES = {
    "student": "For students",
    "instructor": "For instructors",
    "operator": "For operators",
    "report": "From the course report",
}

_SETTINGS_INTRODUCTION = """\
Settings stand in [configs.py](../configs.py). To change a setting for one run, put its name in capitals
into the environment: `MAX_SPLITTNES_RATE=5 python TorrentClient.py -node_id 3`. To change it for all runs,
put the line `MAX_SPLITTNES_RATE=5` into a file `.env` beside `configs.py`. The environment wins over
`.env`, and an option on the command line wins over both. A value that does not parse ends the program with
one line that names it, exit code 2."""


def settings() -> str:
    """The page of settings: a table for each audience."""
    heading = ("setting", "default", "unit", "meaning")
    parts = [NOTICE, "# Settings", _SETTINGS_INTRODUCTION]
    for audience, title in AUDIENCES.items():
        rows = [
            (f"`{setting.variable}`", f"`{setting.default_text}`", setting.unit, setting.help)
            for setting in configs.SETTINGS
            if setting.audience == audience
        ]
        parts += [f"## {title}", _table(heading, rows)]
    parts += ["## Fixed numbers", _MODES]
    return "\n\n".join(parts) + "\n"


_MODES = """\
`REGISTER`, `OWN`, `NEED`, `UPDATE` and `EXIT` are the numbers 0 to 4 of the tracker's requests. They are
part of the [protocol](protocol.md) and cannot be changed."""


# ---- commands.md


class _Parser(Exception):
    """Carries a program's parser out of its main function."""


def parser_of(main: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser that ``main`` makes."""

    def caught(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Parser(self)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", caught):
        try:
            main()
        except _Parser as found:
            return found.args[0]  # type: ignore[no-any-return]
    raise AssertionError(f"{main} makes no parser")


def commands() -> str:
    """The page of commands: of make, at a node's prompt, and the options of each program."""
    from labs.__main__ import main as labs
    from node.commands import NOTES, USAGES
    from node.options import parse_options
    from node.tools.cli import main as torrents
    from simulator.__main__ import main as simulator
    from tracker.cli import main as tracker

    prompt = [(f"`{each.command}`", each.meaning) for each in USAGES]
    parts = [
        *(NOTICE, "# Commands", "## make", _table(("command", "effect"), _make_rows())),
        *("## At a node's prompt, or through a pipe", _table(("command", "effect"), prompt)),
        *(NOTES, _COMMANDS_NOTE),
        *("## `python TorrentClient.py`", _options(parser_of(lambda: parse_options([])))),
        _EXIT_CODES,
        *("### Torrents, without a node", _options(parser_of(lambda: torrents([])))),
        *("## `python tracker.py`", _options(parser_of(lambda: tracker([])))),
        *(
            "### Its records, while no tracker runs",
            _options(parser_of(lambda: tracker(["check"]))),
        ),
        *("## `python -m simulator`", _options(parser_of(simulator))),
        *("## `python -m labs`", _options(parser_of(labs))),
    ]
    return "\n\n".join(parts) + "\n"


_COMMANDS_NOTE = """\
TAB completes commands and file names. Arrow-up brings back earlier commands. Pasted lines are carried out
one after the other. Ctrl-D at the prompt, and Ctrl-C twice, leave like `torrent -setMode exit`."""

_EXIT_CODES = """\
Exit codes: 0 if all went well; 1 if not, with the reason in one line; 2 for wrong usage or a setting that
does not parse; 3 if a class of yours (`-use`) failed and the built-in part took over."""


def _make_rows() -> Iterator[tuple[str, ...]]:
    for line in re.findall(r'@echo "(make [^"]*)"', (ROOT / "Makefile").read_text(encoding="utf-8")):
        command, meaning = re.split(r"\s{2,}", line, maxsplit=1)
        yield f"`{command}`", meaning


def _options(parser: argparse.ArgumentParser) -> str:
    """A table of the options of ``parser``, or of each of its subcommands."""
    rows: list[tuple[str, str]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                words = [name, *(_bracketed(each) for each in below._actions if each.dest != "help")]
                meaning = next((each.help for each in action._choices_actions if each.dest == name), "")
                rows.append((f"`{' '.join(words)}`", meaning or ""))
        elif action.help != argparse.SUPPRESS and action.dest != "help":
            rows.append((f"`{_usage(action)}`", (action.help or "") % vars(action)))
    return _table(("option" if parser._actions[-1].option_strings else "command", "effect"), rows)


def _usage(action: argparse.Action) -> str:
    """``-up RATE`` of an option, ``FILE`` of an argument."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    shown = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return shown
    return action.option_strings[0] if action.nargs == 0 else f"{action.option_strings[0]} {shown}"


def _bracketed(action: argparse.Action) -> str:
    return f"[{_usage(action)}]" if action.option_strings and not action.required else _usage(action)


# ---- events.md

_EVENTS_INTRODUCTION = """\
The log of a swarm is a list of events. The dashboard draws it live, a recording keeps it, and the simulator
writes the same. Nodes report most events to the [tracker](tracker.md), which adds its own. The definitions
are data, in [common/vocabulary.py](../common/vocabulary.py). One reducer,
[common/swarm_state.py](../common/swarm_state.py), computes the state of the swarm after any part of the log.
The page has the same reducer in JavaScript."""

_EVENTS_FORM = """\
Every event has the same five fields. The shape is that of qlog, the log format of QUIC.
The names are our own.

```
{"time": 12.5, "node": 7, "seq": 3, "name": "piece:missing", "data": {"torrent": "1c9d50dc3f93", "piece": 5}}
```

| field | meaning |
|---|---|
| `time` | milliseconds since the log's begin, to a microsecond |
| `node` | the node_id of the node that reports; null: the tracker, or the log itself |
| `seq` | number of this event among those of its node, from 1 |
| `name` | one of the names below; a reader ignores events with another |
| `data` | the fields of that name. A reader ignores unknown fields, and events whose data are malformed |

The order of a log is that of its lines. Times may go back from one line to the next, because a report arrives
up to two seconds after its events. The time of a position is the highest time up to there. An event has at
most {event} bytes, a keyframe {keyframe}.

The state of a log has room for {torrents} torrents and {nodes} nodes at a time. A new one replaces the
smallest that is not in use: a torrent that each present node lacks or has stopped, or a node that left or was
removed. Its rows and links go with it. If all are in use, the new one is not drawn.
[common/swarm_room.py](../common/swarm_room.py) has all rules.

Clocks: nodes write times of their own clock. The tracker shifts them by the smallest difference between the
arrival and the sending of a report, minus half a round trip. `clock` has the result and its bound."""

_EVENTS_FILE = """\
A recording has one JSON object a line, packed with gzip if its name ends in `.gz`. Line 1 is the header, each
further line an event. A file that is cut can be read up to its last whole line.

| field of the header | meaning |
|---|---|
| `log` | `"{format}"` |
| `run` | names the run; another run has another |
| `begun` | wall time of time 0, ISO 8601 |
| `clock` | how the times were made, in words |
| `software`, `source` | the program that wrote the log, and its options |
| `seeds` | seeds of random choices |
| `torrents`, `nodes` | those known when the file was begun; later ones come as events |

```
python tracker.py --record RUN.jsonl.gz                    # writes one
python -m simulator --crowd 30 --record RUN.jsonl.gz       # the same of a simulated swarm
python -m labs replay RUN.jsonl.gz -o RUN.html             # one page of it, which opens without a server
```"""

_WRITERS = {
    "node": "by nodes",
    "tracker": "by the tracker",
    "log": "by the log",
    "node or tracker": "by both",
}


def events() -> str:
    """The page of the log: its form, its file, and a table for each event."""
    from common.events import MAX_EVENT_BYTES, MAX_KEYFRAME_BYTES
    from common.log_file import FORMAT
    from common.shapes import MEANINGS
    from common.swarm_shape import MAX_NODES, MAX_TORRENTS
    from common.vocabulary import VOCABULARY

    sizes = {"{event}": f"{MAX_EVENT_BYTES:,}", "{keyframe}": f"{MAX_KEYFRAME_BYTES:,}", "{format}": FORMAT}
    sizes |= {"{torrents}": f"{MAX_TORRENTS}", "{nodes}": f"{MAX_NODES:,}"}
    form, file = (_filled(text, sizes) for text in (_EVENTS_FORM, _EVENTS_FILE))
    types = [(f"`{name}`", meaning) for name, meaning in MEANINGS.items()]
    parts = [
        NOTICE,
        "# The log of a swarm",
        _EVENTS_INTRODUCTION,
        "## An event",
        form,
        "## A recording",
        file,
    ]
    parts += ["## Types", _table(("type", "values"), types), "## The events"]
    for kind in VOCABULARY:
        parts += [f"### {kind.name}", f"Written {_WRITERS[kind.writer]}: {kind.when}."]
        if rows := [_field_row(field) for field in kind.fields]:
            parts.append(_table(("field", "type", "unit", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], text)


def _field_row(field: Any) -> tuple[str, ...]:
    from common.shapes import text_of
    from common.vocabulary import KEYFRAME_FIELDS

    shape = "object" if field in KEYFRAME_FIELDS else text_of(field.shape)
    name = f"`{field.name}`" + " (optional)" * field.optional
    return name, f"`{shape}`", field.unit, field.meaning


# ---- the layers in architecture.md

LAYERS = re.compile(r"(<!-- layers: [^>]*-->\n).*?(<!-- end of layers -->)", re.DOTALL)


def architecture() -> str:
    """The page of the architecture, with the layers that pyproject.toml demands."""
    drawn = "\n".join(_layers(package) for package in ("node", "tracker"))
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return LAYERS.sub(lambda found: f"{found[1]}\n```\n{drawn}```\n\n{found[2]}", page)


def _layers(package: str) -> str:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[[tool.importlinter.contracts]]")
    (contract,) = (text for text in contracts if f'name = "inside the {package}:' in text)
    (listed,) = re.findall(r"^layers = \[(.*?)^\]", contract, re.MULTILINE | re.DOTALL)
    lines = [line.replace(f"{package}.", "") for line in re.findall(r'^\s*"([^"]*)"', listed, re.MULTILINE)]
    return "".join(f"{package if not at else '':8} {line}\n" for at, line in enumerate(lines))


# ---- the dashboard's copy of the log's definitions

VOCABULARY_SCRIPT = "../tracker/web/static/vocabulary.js"
_SCRIPT_NOTICE = """\
/**
 * The definitions of common/vocabulary.py and common/swarm_shape.py: each event's writer and the shape of
 * its data.
 * Written by `make docs`. Change the code that it describes instead.
 */
"""


def vocabulary() -> str:
    """The JavaScript module that has the definitions of the log as data."""
    from common import swarm_shape
    from common.events import ENVELOPE
    from common.vocabulary import ANY, VOCABULARY

    kinds = {kind.name: ["any" if kind.writer == ANY else kind.writer, kind.shape] for kind in VOCABULARY}
    limits = {name: value for name, value in vars(swarm_shape).items() if name.startswith("MAX_")}
    kinds.pop("keyframe")
    rows = "".join(f"  {json.dumps(name)}: {json.dumps(kind)},\n" for name, kind in kinds.items())
    values = {"ENVELOPE": ENVELOPE, "SWARM": swarm_shape.SWARM, "LIMITS": limits}
    written = "".join(f"export const {name} = {json.dumps(value)};\n" for name, value in values.items())
    typed = "/** @type {Record<string, [string, any]>} */\n"
    return f"{_SCRIPT_NOTICE}\n{written}\n{typed}export const KINDS = {{\n{rows}}};\n"


# ---- all of them


def _table(heading: tuple[str, ...], rows: Any) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


PAGES = {
    "limits.md": limits,
    "settings.md": settings,
    "commands.md": commands,
    "events.md": events,
    "architecture.md": architecture,
    VOCABULARY_SCRIPT: vocabulary,
}


def main() -> None:
    """Write each page that has changed, and name it."""
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path.resolve().relative_to(ROOT)}")


if __name__ == "__main__":
    main()
