"""schemathesis against a real tracker: answers to allowed and forbidden requests follow the schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

if sys.version_info < (3, 11):
    pytest.skip("schemathesis needs Python 3.11", allow_module_level=True)
schemathesis = pytest.importorskip("schemathesis", reason="a development requirement")

from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.generation.hypothesis.builder import (  # noqa: E402
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.specs.openapi.checks import (  # noqa: E402
    negative_data_rejection,
    positive_data_acceptance,
)

from common.filenames import MAX_COMPONENT_BYTES  # noqa: E402
from tracker.web.openapi import document  # noqa: E402

EXAMPLES = 6  # for each operation, in addition to schemathesis's own cases at each field's limits

schema = schemathesis.openapi.from_dict(document())
OPERATIONS = [(path, method) for path, methods in document()["paths"].items() for method in methods]


def values(body: object) -> Iterator[object]:
    """Everything in a JSON value."""
    if isinstance(body, dict):
        body = list(body.values())
    if isinstance(body, list):
        for value in body:
            yield from values(value)
    yield body


def is_beyond_a_schema(body: object, answer: dict[str, Any]) -> bool:
    """Errors that JSON Schema cannot express: an unknown node, 1.0 for an integer, the bytes of a name, the
    fields of each kind of event.
    """
    return (
        "the tracker does not know" in answer["error"]
        or answer["field"] == "events"
        or any(
            isinstance(value, float) or (isinstance(value, str) and len(value.encode()) > MAX_COMPONENT_BYTES)
            for value in values(body)
        )
    )


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_api_is_as_described(unlimited_tracker: Any, path: str, method: str) -> None:
    """The cases are made here: ``schema.parametrize`` would make all of them in each worker."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def call(case: Any) -> None:
        response = case.call(base_url=unlimited_tracker.url)
        excluded = []
        if path in ("/announce", "/scrape"):  # an error is a bencoded text with status 200
            excluded = [negative_data_rejection]
        if response.status_code == 400 and is_beyond_a_schema(case.body, json.loads(response.content)):
            excluded = [positive_data_acceptance]
        case.validate_response(response, excluded_checks=excluded)

    modes = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.FUZZING, HypothesisTestMode.COVERAGE]
    config = HypothesisTestConfig(project=schema.config, modes=modes, seed=1)
    create_test(operation=schema[path][method.upper()], test_func=call, config=config)()
