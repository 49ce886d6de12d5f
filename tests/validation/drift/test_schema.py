"""The contract of the repository against the one that production serves."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from oneiric.validation.drift.question import read_question
from tests.validation.drift.service import (
    CONTRACT,
    Service,
    codes,
    detecting,
    keep_contract,
    serving,
    unsure,
)

ONLY_SCHEMA = {"routes": False, "health": False, "config": False}


async def test_an_operation_that_production_no_longer_documents_is_told(tmp_path: Path) -> None:
    """It is gone from the served document, comes back, and is as it was meant."""
    keep_contract(tmp_path)
    async with serving() as service, detecting(tmp_path) as detect:
        assert service.contract is not None
        gone = service.contract["paths"].pop("/me")
        broken = await detect(service.url, checks=ONLY_SCHEMA)
        service.contract["paths"]["/me"] = gone
        repaired = await detect(service.url, checks=ONLY_SCHEMA)
    assert [(item.kind, item.severity.value) for item in broken.items] == [("openapi", "breaking")]
    assert (str(broken.outcome), str(repaired.outcome)) == ("fail", "pass")
    assert repaired.checked == {"openapi": 5}


async def test_a_field_that_was_renamed_is_told_and_repaired(tmp_path: Path) -> None:
    """Who reads `email` finds `mail`: what was required is gone, and that breaks."""
    keep_contract(tmp_path)
    async with serving() as service, detecting(tmp_path) as detect:
        service.contract = json.loads(json.dumps(CONTRACT).replace('"email"', '"mail"'))
        broken = await detect(service.url)
        service.contract = CONTRACT
        repaired = await detect(service.url)
    worst = broken.items[0]
    assert (worst.severity.value, worst.kind) == ("breaking", "openapi")
    assert "GET /users" in worst.place
    assert "email" in f"{worst.place} {worst.message}"
    assert (str(broken.outcome), str(repaired.outcome)) == ("fail", "pass")


async def test_what_of_a_contract_cannot_be_compared_is_no_pass(tmp_path: Path) -> None:
    """A dynamic reference that may mean several schemas is told, unless nothing was changed."""
    anchored = {"$dynamicAnchor": "node", "properties": {"below": {"$dynamicRef": "#node"}}}
    schemas = {"Tree": anchored, "Leaf": {"$dynamicAnchor": "node"}}
    contract = {**CONTRACT, "components": {**CONTRACT["components"], "schemas": schemas}}
    keep_contract(tmp_path, contract)
    async with serving() as service, detecting(tmp_path) as detect:
        service.contract = contract
        same = await detect(service.url, checks=ONLY_SCHEMA)
        service.contract = {**contract, "servers": [{"url": "/"}]}
        other = await detect(service.url, checks=ONLY_SCHEMA)
    assert str(same.outcome) == "pass"
    assert unsure(other) == [("openapi", "components.schemas.Tree.properties.below")]
    assert (codes(other), str(other.outcome)) == ([], "inconclusive")


async def test_a_rule_may_be_milder_here_and_an_accepted_difference_counts_no_more(
    tmp_path: Path,
) -> None:
    """Overrides change how bad it is, or leave it out; both are told in the report."""
    keep_contract(tmp_path)
    async with serving() as service, detecting(tmp_path) as detect:
        assert service.contract is not None
        service.contract["paths"].pop("/me")
        (code,) = [code for code, _ in codes(await detect(service.url, checks=ONLY_SCHEMA))]
        mild = await detect(service.url, checks=ONLY_SCHEMA, overrides={code: "info"})
        left = await detect(service.url, checks=ONLY_SCHEMA, overrides={code: "ignore"})
        strict = await detect(
            service.url, checks=ONLY_SCHEMA, overrides={code: "info"}, fail_on="info"
        )
    assert (mild.has_drift, len(mild.items)) == (False, 1)
    assert (left.items, left.ignored) == ((), 1)
    assert strict.has_drift


async def test_defect_validation_a13_a_schema_that_cannot_be_compared_is_no_pass(
    tmp_path: Path,
) -> None:
    """Nothing to compare is told where it was demanded, and named as absent where it was not."""
    async with serving() as service, detecting(tmp_path) as detect:
        demanded = await detect(service.url, checks={**ONLY_SCHEMA, "schema": True})
        implied = await detect(service.url, checks=ONLY_SCHEMA)
        keep_contract(tmp_path)
        service.contract = None
        unserved = await detect(service.url, checks={**ONLY_SCHEMA, "schema": True})
        named = await detect(
            service.url, checks=ONLY_SCHEMA, openapi={"file": "openapi.json", "url": "/gone.json"}
        )
    assert (unsure(demanded), str(demanded.outcome)) == ([("schema", "schema")], "inconclusive")
    assert (unsure(implied), str(implied.outcome)) == ([], "inconclusive")
    assert "openapi" in implied.absent
    assert (unsure(unserved), str(unserved.outcome)) == ([("openapi", "openapi")], "inconclusive")
    assert unsure(named) == [("openapi", "openapi")]


async def test_documents_that_cannot_be_read_are_unchecked(tmp_path: Path) -> None:
    """Broken here, broken there, outside of the repository, or not there though it was named."""
    (tmp_path / "openapi.yaml").write_text("openapi: 2.0\n")
    async with serving() as service, detecting(tmp_path) as detect:
        here = await detect(service.url, checks=ONLY_SCHEMA)
        keep_contract(tmp_path)
        service.contract = {"openapi": "9.9"}
        there = await detect(service.url, checks=ONLY_SCHEMA)
        outside = await detect(service.url, checks=ONLY_SCHEMA, openapi="../openapi.json")
        missing = await detect(service.url, checks=ONLY_SCHEMA, openapi="api.json")
    for report in (here, there, outside, missing):
        assert (codes(report), str(report.outcome)) == ([], "inconclusive")
        assert {each.kind for each in report.unchecked} == {"openapi"}


async def test_the_document_is_looked_for_at_the_usual_places(tmp_path: Path) -> None:
    """In `docs` too, and in YAML."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "openapi.yml").write_text(
        "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n  /users:\n    get:\n"
        "      responses:\n        200: {description: all}\n"
    )
    async with serving(Service()) as service, detecting(tmp_path) as detect:
        report = await detect(service.url, checks={"schema": False, "health": False})
    assert (codes(report), report.checked) == ([], {"route": 1})


async def test_a_contract_may_be_spread_over_files_of_the_repository(tmp_path: Path) -> None:
    """References beside it are followed, out of the repository never."""
    (tmp_path / "docs" / "parts").mkdir(parents=True)
    contract = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}}
    user = {"$ref": "../openapi/user.json"}
    (tmp_path / "openapi").mkdir()
    (tmp_path / "openapi" / "user.json").write_text(json.dumps(CONTRACT["paths"]["/users"]))
    document = {**contract, "paths": {"/users": user}}
    (tmp_path / "docs" / "openapi.json").write_text(json.dumps(document))
    async with serving() as service, detecting(tmp_path) as detect:
        service.contract = {**contract, "paths": {"/users": CONTRACT["paths"]["/users"]}}
        same = await detect(service.url, checks=ONLY_SCHEMA)
        document["paths"] = {"/users": {"$ref": "../../outside.json"}}
        (tmp_path / "docs" / "openapi.json").write_text(json.dumps(document))
        outside = await detect(service.url, checks=ONLY_SCHEMA)
    assert (codes(same), same.checked) == ([], {"openapi": 2})
    assert [(each.kind, "'..'" in each.reason) for each in outside.unchecked] == [("openapi", True)]


async def test_an_address_of_the_document_may_be_on_another_host_if_that_is_allowed(
    tmp_path: Path,
) -> None:
    """Otherwise nobody asks there."""
    keep_contract(tmp_path)
    async with serving() as service, serving() as other, detecting(tmp_path) as detect:
        service.contract = None
        asked = {"checks": ONLY_SCHEMA, "openapi": {"url": f"{other.url}/openapi.json"}}
        refused = await detect(service.url, **asked)
        host = other.url.removeprefix("http://")
        allowed = await detect(service.url, allow_hosts=[host], **asked)
    assert (unsure(refused), other.seen) == ([("openapi", "openapi")], [("GET", "/openapi.json")])
    assert (unsure(allowed), allowed.checked) == ([], {"openapi": 5})


def test_the_contract_of_these_tests_can_be_asked_about() -> None:
    """The question takes what the report of a step hands it."""
    question = read_question({"prod_url": "https://api.example.com/", "openapi": "openapi.json"})
    assert (question.prod_url, question.openapi.file) == ("https://api.example.com", "openapi.json")
    assert CONTRACT["openapi"] == "3.1.0"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_document_that_is_kept_back_was_not_compared(status: int, tmp_path: Path) -> None:
    """It may be there: nobody said that it must be, and still it is no pass."""

    async def kept_back(_: web.Request) -> web.Response:
        return web.Response(status=status)

    keep_contract(tmp_path)
    service = Service()
    service.contract = None
    service.routes["GET", "/openapi.yaml"] = kept_back
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_SCHEMA)
        service.routes["GET", "/{path:.*}"] = kept_back
        await service.start()
        alike = await detect(service.url, checks=ONLY_SCHEMA)
    assert unsure(report) == [("openapi", "openapi")]
    assert f"answered {status}" in report.unchecked[0].reason
    assert (unsure(alike), "openapi" in alike.absent) == ([], True)
