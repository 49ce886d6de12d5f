"""What becomes of checks where the extra `validation` is not installed."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from oneiric.runs.proof import ProofOutcome
from oneiric.validation.providers import json_paths, json_schemas, patterns
from oneiric.validation.providers.validator import LiveValidator
from tests.validation.checks.service import Service

CACHES = (
    patterns._compiled,
    json_paths._compiled,
    json_paths._library,
    json_schemas._problem,
    json_schemas._unreadable,
    json_schemas._bounded,
    json_schemas._formats,
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the libraries of the extra."""
    for name in ("regex", "jsonpath", "jsonschema"):
        monkeypatch.setitem(sys.modules, name, None)
    for cache in CACHES:
        cache.cache_clear()
    yield
    for cache in CACHES:
        cache.cache_clear()


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    "fields",
    [
        {"asserts": ["json $.status == ok"]},
        {"asserts": ["body matches ok"]},
        {"asserts": ['schema {"type": "object"}']},
        {"capture": {"version": "json $.version"}},
    ],
)
async def test_what_takes_a_missing_library_is_inconclusive_and_says_what_to_install(
    service: Service, validator: LiveValidator, fields: dict[str, Any]
) -> None:
    """Such a check is done, is no pass, and names the extra; it is no problem of the check."""
    check = {"url": service.at("/health"), **fields}
    assert validator.problems([check]) == []
    proof = (await validator.prove(check)).proof
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert "oneiric[validation]" in str(proof.facts["error"])
    assert proof.facts["status"] == 200


@pytest.mark.usefixtures("bare")
async def test_all_other_checks_need_no_extra(service: Service, validator: LiveValidator) -> None:
    """Status, head, text, size and durations are checked with what is always there."""
    asserts = ["header content-type contains json", "body contains ok", "size < 1MB"]
    check = {"url": service.at("/health"), "asserts": [*asserts, "duration < 60s"]}
    assert (await validator.prove(check)).proof.outcome is ProofOutcome.PASSED
