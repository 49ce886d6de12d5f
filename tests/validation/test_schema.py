"""The JSON Schema of task files takes what the reader takes, as far as forms can say."""

from __future__ import annotations

import jsonschema_rs
import pytest

from oneiric.documents import parse
from oneiric.validation.models import ValidationCriteria
from oneiric.validation.schema import DIALECT, ID, task_schema

VALIDATOR = jsonschema_rs.validator_for(task_schema())
CHECK = "title: a\ncriteria: {live_checks: [{url: /a, "


def test_it_says_what_it_is() -> None:
    """Draft 2020-12, with an id."""
    schema = task_schema()
    assert (schema["$schema"], schema["$id"]) == (DIALECT, ID)
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("title: a", True),
        ("title: a\ncriteria: {local_tests: [make test, [make, test], {command: make}]}", True),
        (
            "title: a\ncriteria: {ui_tests: [/shop, {kind: ui, url: /shop, visible: ['#head']}]}",
            True,
        ),
        ("title: a\ncriteria: {ui_tests: [{url: /shop}, {path: a.spec.ts}]}", True),
        (CHECK + "asserts: [status 2xx, {subject: status, op: '<', value: 400}]}]}", True),
        (
            CHECK + "expected_status: [200, 3xx], retry: {attempts: 3}, analysis: {count: 3}}]}",
            True,
        ),
        (CHECK + "expect: 200}]}", False),
        (CHECK + "timeout: 0}]}", False),
        ("title: a\ncriteria: {live_check: []}", False),
        ("title: a\nstatus: done", False),
        ("criteria: {}", False),
        ("title: ''", False),
    ],
)
def test_forms_are_valid_or_not_as_they_are_when_read(text: str, is_valid: bool) -> None:
    """Texts stand for tests, pages and asserts; what came of a task has no place."""
    assert VALIDATOR.is_valid(parse(text.encode(), "yaml")) is is_valid


def test_a_table_is_a_page_or_a_file_of_tests_without_saying_so() -> None:
    """Its fields tell which."""
    tests = [{"url": "/shop"}, {"path": "a.spec.ts"}, {"kind": "ui", "url": "/shop"}]
    criteria = ValidationCriteria.model_validate({"ui_tests": tests})
    assert [each.kind for each in criteria.ui_tests] == ["ui", "spec", "ui"]
