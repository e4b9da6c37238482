"""The page's pure modules in node.js: the playhead, the sentences, the sequence diagram."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
HERE = Path(__file__).resolve().parent
STATIC = HERE.parents[1] / "tracker" / "web" / "static"
BENCH = HERE.parents[1] / "bench" / "page"
SUITES = sorted(HERE.glob("*.test.mjs"))
MAX_FILE_LINES = 400
# Ways to turn a text into code or markup, and addresses of elsewhere.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.style\.cssText|"
    r"setAttribute\(\"style|https?:(?!//www\.w3\.org/2000/svg)"
)


@pytest.mark.skipif(NODE is None, reason="node.js is not installed")
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suite_in_node(suite: Path) -> None:
    assert NODE is not None
    ran = subprocess.run([NODE, "--test", str(suite)], capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stdout[-4000:]


EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
IMPORT = re.compile(r"(?:import|const) \{([^}]*)\} (?:from \"[^\"]*?|= await load\(\")(\w+)\.js\"")
COLOUR = re.compile(r"#[0-9a-f]{6}\b")


def test_what_a_module_exports_is_used_elsewhere() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for path in [*STATIC.glob("*.js"), *HERE.glob("*.*js"), *BENCH.glob("*.js")]
    ]
    used = {
        (module, name.split(" as ")[0].strip())
        for text in texts
        for names, module in IMPORT.findall(text)
        for name in names.split(",")
    }
    exported = {
        (path.stem, name)
        for path in STATIC.glob("*.js")
        for name in EXPORT.findall(path.read_text(encoding="utf-8"))
    }
    assert len(exported) > 100 and exported - used == set()


def test_the_document_names_each_file_of_the_page() -> None:
    document = (HERE.parents[1] / "docs" / "dashboard.md").read_text(encoding="utf-8")
    tables = [line for line in document.splitlines() if line.startswith("|")]
    named = [name for line in tables for name in re.findall(r"`([a-z_]+\.(?:js|css|html))`", line)]
    files = {path.name for path in STATIC.iterdir() if path.suffix in {".js", ".css", ".html"}}
    assert files - set(named) == set()


def test_the_style_sheet_is_short_and_has_each_colour_once() -> None:
    text = (STATIC / "page.css").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    colours = COLOUR.findall(text)
    assert len(colours) == 20 and len(set(colours)) == 20


def test_scripts_are_short_and_make_no_markup_from_texts() -> None:
    assert len(SUITES) > 2
    found = []
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MAX_FILE_LINES:
            found.append(f"{path.name}: {len(text.splitlines())} lines")
        found += [f"{path.name}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []
