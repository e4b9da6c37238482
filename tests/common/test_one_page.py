"""The page in one file: modules in the order of their imports, and hashes that let only them run."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from common.errors import PageError
from common.one_page import RECORDING_ENDS, RECORDING_OPENS, SCRIPT_LINE, STYLE_LINE, assemble

NODE = shutil.which("node")
STATIC = Path(__file__).resolve().parents[2] / "tracker" / "web" / "static"
INDEX = f"<head>\n{STYLE_LINE}\n{SCRIPT_LINE}\n</head>\n<body>\n</body>\n"
FILES = {
    "index.html": INDEX,
    "page.css": "p { color: red }",
    "app.js": """\
import { twice as double } from "./b.js";
import {
  ONE,
} from "./c.js";

console.log(double(ONE));
""",
    "b.js": """\
import { ONE } from "./c.js";

const hidden = ONE;
export function twice(x) {
  return 2 * x * hidden;
}
""",
    "c.js": """\
const hidden = 20;
export const ONE = hidden + 1;
export class Thing {}
export function* each() {}
""",
}


def parts(page: str) -> tuple[str, str, str]:
    """Script, style and recording of a page."""
    script = re.search(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    recording = re.search(re.escape(RECORDING_OPENS) + "(.*?)" + re.escape(RECORDING_ENDS), page, re.DOTALL)
    assert script and style and recording
    return script[1], style[1], recording[1]


def test_modules_keep_their_own_names_and_run_in_order() -> None:
    page = assemble(FILES, b"\x1f\x8bxyz")
    script, style, recording = parts(page)
    assert style == FILES["page.css"] and base64.b64decode(recording) == b"\x1f\x8bxyz"
    assert "import" not in script and "export" not in script
    assert SCRIPT_LINE not in page and STYLE_LINE not in page
    for name, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in page
    if NODE:
        ran = subprocess.run([NODE, "--input-type=module"], input=script, capture_output=True, text=True)
        assert ran.stdout == "882\n", ran.stderr


def test_the_real_page_can_be_assembled() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir() if path.is_file()}
    script, _, recording = parts(assemble(files))
    assert recording == ""
    modules = re.findall(r"^const (\w+)_js = ", script, re.MULTILINE)
    assert modules[-1] == "app" and sorted(modules) == sorted(
        name[:-3] for name in files if name.endswith(".js")
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.js", 'import { twice } from "./b.js";\nexport const ONE = 1;\n', "import each other"),
        ("c.js", "export default 1;\n", "another form"),
        ("c.js", 'import * as b from "./d.js";\nexport const ONE = 1;\n', "another form"),
        ("b.js", 'import { x } from "./gone.js";\nexport const twice = 1;\n', "gone.js is missing"),
        ("page.css", "</style>", "end of its element"),
        ("index.html", "<body></body>", "must have this line once"),
    ],
)
def test_files_of_another_form_are_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(PageError, match=message):
        assemble({**FILES, name: text})
