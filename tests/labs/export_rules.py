"""What each export must be, whatever the student's file did: for the tests of this folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema

from labs.grader.lab import LABS

SCHEMAS = LABS / "schemas"
XML_CHARACTERS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")  # XML 1.0, 2.2
NUMBER = re.compile(r"\d+(\.\d+)?")  # SUREFIRE_TIME and xs:string counts, as pytest writes them
# The elements of junit-10.xsd (jenkinsci/xunit-plugin) that we write: their attributes, those that are
# required, and the elements inside in their order.
SUITE = {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"}
XUNIT2: dict[str, tuple[set[str], set[str], tuple[str, ...]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), ("testsuite",)),
    "testsuite": (SUITE, {"name", "tests", "failures", "errors"}, ("testcase",)),
    "testcase": ({"name", "classname", "time"}, {"name", "classname"}, ("skipped", "failure", "system-out")),
    "failure": ({"type", "message"}, set(), ()),
    "skipped": ({"type", "message"}, set(), ()),
    "system-out": (set(), set(), ()),
}


def check_json(path: Path, schema: str) -> Any:
    """The value in ``path``, which fits labs/schemas/SCHEMA.json. NaN and infinity are no JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    value = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    rules = json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.validate(value, rules, jsonschema.Draft202012Validator)
    return value


def check_junit(path: Path) -> ElementTree.Element:
    """The tree in ``path``, which has the structure of junit-10.xsd."""
    text = path.read_text(encoding="utf-8")
    assert XML_CHARACTERS.fullmatch(text)
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        allowed, required, children = XUNIT2[element.tag]
        assert required <= set(element.attrib) <= allowed, element.tag
        assert {child.tag for child in element} <= set(children), element.tag
        for name in set(element.attrib) & {"tests", "failures", "errors", "skipped", "time"}:
            assert NUMBER.fullmatch(element.attrib[name]), name
    for suite in root:
        cases = list(suite)
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return root


def autolab_reads(line: str) -> Any:
    """What Autolab's server makes of a line: it edits the text before it parses it."""
    return json.loads(re.sub(r"([a-zA-Z0-9]+):", r'"\1":', line))


def check_all(folder: Path) -> Any:
    """Our report in ``folder``; every export beside it is valid."""
    check_json(folder / "gradescope", "gradescope")
    check_json(folder / "classroom50", "classroom50")
    check_junit(folder / "junit")
    assert "\x00" not in (folder / "markdown").read_text(encoding="utf-8")
    return check_json(folder / "json", "report")
