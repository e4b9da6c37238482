"""The dashboard and a recording in one HTML file, which opens from a disk without a server. Pure.

The page is plain ES modules. Inside one file there is no address to import from, so each module becomes the
value of a function's call, in the order of their imports:

    const event_log_js = (() => { ... return { EventLog, countUpTo }; })();

That works because the modules keep to one form: named imports from ``"./NAME.js"``, exports only in front of
a declaration, and no cycles. A strict policy in a ``<meta>`` element lets only these scripts and styles run,
by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping

from common.errors import PageError

INDEX, STYLE, SCRIPT = "index.html", "page.css", "app.js"
STYLE_LINE = '<link rel="stylesheet" href="/static/page.css">'
SCRIPT_LINE = '<script type="module" src="/static/app.js"></script>'
RECORDING_OPENS, RECORDING_ENDS = '<script type="text/plain" id="recording">', "</script>"
"""Between these stands the recording: gzip, as base64. Without one, a caller may put it there later."""

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const|let) (\w+)", re.MULTILINE)
_OTHER_FORM = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def assemble(files: Mapping[str, str], recording: bytes = b"") -> str:
    """The page as one HTML text.

    ``files``: the texts of ``tracker/web/static/`` by name. ``recording``: a log in the format of
    ``common.log_file``, gzipped. PageError if a file is missing, or has a form that this cannot assemble.
    """
    index = _file(files, INDEX)
    for line in (STYLE_LINE, SCRIPT_LINE):
        if index.count(line) != 1:
            raise PageError(f"{INDEX} must have this line once: {line}")
    style, script = _file(files, STYLE), "\n".join(_modules(files, SCRIPT, [], []))
    if "</style" in style or "</script" in script or "<!--" in script:
        raise PageError("a style or script must not hold the end of its element")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    held = f"{RECORDING_OPENS}{base64.b64encode(recording).decode()}{RECORDING_ENDS}"
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>'
    page = index.replace(STYLE_LINE, head).replace(SCRIPT_LINE, "")
    return page.replace("</body>", f'{held}\n<script type="module">{script}</script>\n</body>')


def _modules(files: Mapping[str, str], name: str, done: list[str], open_: list[str]) -> Iterator[str]:
    """The module ``name`` as a constant, after those that it imports and that are not in ``done`` yet."""
    if name in open_:
        raise PageError(f"these modules import each other: {', '.join(open_)}")
    source = _file(files, name)
    for found in _IMPORT.finditer(source):
        needed = f"{found[2]}.js"
        if needed not in done:
            yield from _modules(files, needed, done, [*open_, name])
    done.append(name)
    exported = ", ".join(found[2] for found in _EXPORT.finditer(source))
    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(_as_constants, source))
    if other := _OTHER_FORM.search(body):
        raise PageError(f"{name} has an import or export of another form: {other[0]}")
    yield f"const {name.removesuffix('.js')}_js = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _as_constants(found: re.Match[str]) -> str:
    names = ", ".join(name.strip().replace(" as ", ": ") for name in found[1].split(",") if name.strip())
    return f"const {{ {names} }} = {found[2]}_js;\n"


def _file(files: Mapping[str, str], name: str) -> str:
    try:
        return files[name]
    except KeyError:
        raise PageError(f"the page's file {name} is missing") from None


def _hash(text: str) -> str:
    """The source expression of an inline script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
