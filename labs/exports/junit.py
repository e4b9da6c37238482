"""JUnit XML in pytest's dialect (xunit2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from labs.grader.result import FAILED, PASSED, LabResult, StageResult

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


def text(results: Sequence[LabResult]) -> str:
    """A test suite for each lab, a test case for each stage."""
    root = ElementTree.Element("testsuites")
    for result in results:
        stages = result.stages
        counts = {
            "name": result.lab,
            "tests": str(len(stages)),
            "failures": str(sum(stage.status == FAILED for stage in stages)),
            "skipped": str(sum(stage.status not in (PASSED, FAILED) for stage in stages)),
            "errors": "0",
            "time": f"{sum(stage.seconds for stage in stages):.3f}",
        }
        suite = ElementTree.SubElement(root, "testsuite", counts)
        for stage in stages:
            _case(suite, result.lab, stage)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _case(suite: ElementTree.Element, lab: str, stage: StageResult) -> None:
    name = {"classname": lab, "name": _legal(f"{stage.key} {stage.title}"), "time": f"{stage.seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", name)
    if stage.status == FAILED:
        failure = ElementTree.SubElement(case, "failure", {"message": _legal(stage.summary)})
        failure.text = _legal("\n".join(stage.story))
    elif stage.status != PASSED:
        ElementTree.SubElement(
            case, "skipped", {"message": _legal(f"{stage.status} {stage.summary}".strip())}
        )


def _legal(words: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", words)
