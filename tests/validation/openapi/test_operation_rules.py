"""Every rule about paths, operations, parameters, bodies, answers and security."""

from __future__ import annotations

from typing import Any

import pytest

from oneiric.errors import InvalidError
from oneiric.ports.drift import Severity
from oneiric.validation.openapi import RULES, Document, Ignored, compare, diff, rule_table
from tests.validation.openapi.documents import JSON, carrying, one, told, whole
from tests.validation.openapi.test_schema_rules import EITHER, PROPERTIES

TODAY = "2026-11-21"
TEXT = {"type": "string"}
OK: dict[str, Any] = {"responses": {}}
GONE: dict[str, Any] = {**OK, "deprecated": True}


def _query(name: str = "q", **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": "query", "schema": TEXT, **more}]}


def _header(**more: Any) -> dict[str, Any]:
    return {"responses": {"200": {"headers": {"X-Rate": {"schema": TEXT, **more}}}}}


def _body(*kinds: str, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {kind: {"schema": TEXT} for kind in kinds}, **more}}


def _answers(*statuses: str) -> dict[str, Any]:
    return {"responses": {status: {"description": "x"} for status in statuses}}


def _answer(kind: str = JSON, schema: Any = None) -> dict[str, Any]:
    return {"responses": {"200": {"content": {kind: {"schema": schema or {}}}}}}


def _secured(*ways: dict[str, list[str]], scheme: str = "basic") -> Document:
    schemes = {"key": {"type": "http", "scheme": scheme}, "oauth": {"type": "oauth2"}}
    return one({"security": list(ways)}, components={"securitySchemes": schemes})


USERS = "POST /users"
PATHS = whole({"/users": {"get": OK}})
GET = whole({"/users": {"get": OK, "post": OK}})

CASES: dict[str, tuple[Document, Document, str]] = {
    "path-added": (whole({}), PATHS, "GET /users"),
    "path-removed": (PATHS, whole({}), "GET /users"),
    "path-removed-before-sunset": (
        one({**GONE, "x-sunset": "2026-12-01"}),
        whole({}),
        USERS,
    ),
    "path-removed-after-deprecation": (
        one({**GONE, "x-sunset": "2026-11-20T00:00:00Z"}),
        whole({}),
        USERS,
    ),
    "operation-added": (PATHS, GET, USERS),
    "operation-removed": (GET, PATHS, USERS),
    "operation-removed-before-sunset": (
        whole({"/users": {"get": OK, "post": {**GONE, "x-sunset": "2026-12-01"}}}),
        PATHS,
        USERS,
    ),
    "operation-removed-after-deprecation": (
        whole({"/users": {"get": OK, "post": GONE}}),
        PATHS,
        USERS,
    ),
    "operation-id-changed": (one({"operationId": "a"}), one({"operationId": "b"}), USERS),
    "operation-deprecated": (one({}), one({**GONE, "x-sunset": "2027-01-01"}), USERS),
    "operation-reactivated": (one({**GONE, "x-sunset": "2027-01-01"}), one({}), USERS),
    "sunset-missing": (one({}), one(GONE), USERS),
    "sunset-unparsable": (one({}), one({**GONE, "x-sunset": "soon"}), USERS),
    "sunset-too-early": (
        one({**GONE, "x-sunset": "2027-01-01"}),
        one({**GONE, "x-sunset": "2026-12-01"}),
        USERS,
    ),
    "sunset-deleted": (one({**GONE, "x-sunset": "2027-01-01"}), one(GONE), USERS),
    "base-path-removed": (
        one({}, servers=[{"url": "https://a.test/v1"}]),
        one({}, servers=[{"url": "https://b.test/v2/"}]),
        "servers /v1",
    ),
    "security-added": (_secured(), _secured({"key": []}), f"{USERS} security"),
    "security-dropped": (_secured({"key": []}), _secured({}), f"{USERS} security"),
    "security-requirement-added": (
        _secured({"key": []}),
        _secured({"key": []}, {"oauth": ["read"]}),
        f"{USERS} security oauth",
    ),
    "security-requirement-removed": (
        _secured({"key": []}, {"oauth": []}),
        _secured({"oauth": []}),
        f"{USERS} security key",
    ),
    "security-scope-added": (
        _secured({"oauth": ["read"]}),
        _secured({"oauth": ["read", "write"]}),
        f"{USERS} security oauth",
    ),
    "security-scope-removed": (
        _secured({"oauth": ["read", "write"]}),
        _secured({"oauth": ["read"]}),
        f"{USERS} security oauth",
    ),
    "security-scheme-changed": (
        _secured({"key": []}),
        _secured({"key": []}, scheme="bearer"),
        f"{USERS} security key",
    ),
    "request-required-parameter-added": (one({}), one(_query(required=True)), f"{USERS} query q"),
    "request-path-parameter-added": (
        one({}),
        one({"parameters": [{"name": "id", "in": "path", "required": True}]}),
        f"{USERS} path id",
    ),
    "request-optional-parameter-added": (one({}), one(_query()), f"{USERS} query q"),
    "request-parameter-removed": (one(_query()), one({}), f"{USERS} query q"),
    "request-parameter-became-required": (
        one(_query()),
        one(_query(required=True)),
        f"{USERS} query q",
    ),
    "request-parameter-became-optional": (
        one(_query(required=True)),
        one(_query()),
        f"{USERS} query q",
    ),
    "request-parameter-style-changed": (
        one(_query(explode=False)),
        one(_query()),
        f"{USERS} query q",
    ),
    "request-parameter-deprecated": (
        one(_query()),
        one(_query(deprecated=True)),
        f"{USERS} query q",
    ),
    "request-parameter-reactivated": (
        one(_query(deprecated=True)),
        one(_query()),
        f"{USERS} query q",
    ),
    "request-required-body-added": (one({}), one(_body(JSON, required=True)), f"{USERS} request"),
    "request-optional-body-added": (one({}), one(_body(JSON)), f"{USERS} request"),
    "request-body-removed": (one(_body(JSON)), one({}), f"{USERS} request"),
    "request-body-became-required": (
        one(_body(JSON)),
        one(_body(JSON, required=True)),
        f"{USERS} request",
    ),
    "request-body-became-optional": (
        one(_body(JSON, required=True)),
        one(_body(JSON)),
        f"{USERS} request",
    ),
    "request-media-type-added": (
        one(_body(JSON)),
        one(_body(JSON, "text/csv")),
        f"{USERS} request text/csv",
    ),
    "request-media-type-removed": (
        one(_body(JSON, "text/csv")),
        one(_body(JSON)),
        f"{USERS} request text/csv",
    ),
    "response-success-status-added": (
        one(_answers("200")),
        one(_answers("200", "201")),
        f"{USERS} 201",
    ),
    "response-success-status-removed": (
        one(_answers("200", "201")),
        one(_answers("200")),
        f"{USERS} 201",
    ),
    "response-failure-status-added": (
        one(_answers("200")),
        one(_answers("200", "404")),
        f"{USERS} 404",
    ),
    "response-failure-status-removed": (
        one(_answers("200", "404")),
        one(_answers("200")),
        f"{USERS} 404",
    ),
    "response-media-type-added": (
        one(_answers("200")),
        one(_answer("text/csv")),
        f"{USERS} 200 text/csv",
    ),
    "response-media-type-removed": (
        one(_answer("text/csv")),
        one(_answers("200")),
        f"{USERS} 200 text/csv",
    ),
    "response-schema-removed": (
        one(_answer(schema=TEXT)),
        one(_answer()),
        f"{USERS} 200 {JSON}",
    ),
    "response-header-added": (one(_answers("200")), one(_header()), f"{USERS} 200 header x-rate"),
    "response-required-header-removed": (
        one(_header(required=True)),
        one(_answers("200")),
        f"{USERS} 200 header x-rate",
    ),
    "response-optional-header-removed": (
        one(_header()),
        one(_answers("200")),
        f"{USERS} 200 header x-rate",
    ),
    "response-header-became-optional": (
        one(_header(required=True)),
        one(_header()),
        f"{USERS} 200 header x-rate",
    ),
    "response-header-became-required": (
        one(_header()),
        one(_header(required=True)),
        f"{USERS} 200 header x-rate",
    ),
}
ELSEWHERE = {"ignored-entry-expired", "too-many-differences"}


@pytest.mark.parametrize("name", CASES)
def test_promise_a_rule_is_told_with_its_place_and_severity(name: str) -> None:
    """Each edit gives the difference that is named after it, judged as the table says."""
    old, new, place = CASES[name]
    found = {(each.code, each.place): each.severity for each in diff(old, new, today=TODAY)}
    beside = {("operation-deprecated", place)} if name.startswith("sunset-") else set()
    assert found.keys() - beside == {(name, place)}
    assert found[name, place] is RULES[name].severity


def test_promise_every_rule_has_a_case() -> None:
    """No rule is without the edit that it is about."""
    schemas = {f"{side}-{name}" for name in EITHER for side in ("request", "response")}
    assert schemas | PROPERTIES.keys() | CASES.keys() | ELSEWHERE == RULES.keys()


def test_promise_rules_are_listed_for_readers() -> None:
    """The table can be shown: every rule once, with words and its direction."""
    assert [each.id for each in rule_table()] == list(RULES)
    assert all(each.meaning for each in rule_table())
    assert {each.direction for each in rule_table()} == {"request", "response", "both"}


def test_promise_severities_can_be_set_and_rules_ignored() -> None:
    """A rule may be given another severity, or be left out."""
    old, new, _ = CASES["path-removed"]
    (item,) = diff(old, new, overrides={"path-removed": "info"})
    assert item.severity is Severity.INFO
    assert diff(old, new, overrides={"path-removed": "ignore"}) == []


@pytest.mark.parametrize("overrides", [{"path-remove": "info"}, {"path-removed": "warn"}])
def test_promise_a_misspelt_override_is_an_error(overrides: dict[str, str]) -> None:
    """An override that names no rule or gives no severity is refused, with the nearest word."""
    with pytest.raises(InvalidError, match="did you mean"):
        diff(PATHS, PATHS, overrides=overrides)


def test_promise_an_earlier_edition_judges_as_it_did() -> None:
    """The table is versioned: what was judged anew is judged as before by the earlier edition."""
    old, new = carrying(TEXT, "request"), carrying({**TEXT, "maxLength": 3}, "request")
    assert [each.severity for each in diff(old, new)] == [Severity.BREAKING]
    assert [each.severity for each in diff(old, new, edition=1)] == [Severity.WARNING]
    with pytest.raises(InvalidError, match="edition 7"):
        diff(old, new, edition=7)


def test_promise_accepted_differences_are_left_out_and_counted() -> None:
    """An accepted difference is no item; how many there are is told."""
    old, new, _ = CASES["response-header-added"]
    entry = Ignored("response-*", "POST /users 200 header *")
    found = compare(old, new, ignore=[entry])
    assert (found.items, found.ignored, found.checked) == ((), 1, 1)
    assert len(diff(old, new, ignore=[Ignored("response-*", "GET *")])) == 1


def test_promise_an_entry_that_expired_accepts_nothing_and_is_told() -> None:
    """After its last day an entry no longer hides anything, and says so itself."""
    old, new, _ = CASES["path-removed"]
    entry = Ignored("path-removed", "*", until="2026-11-20", line=3)
    assert {each.code for each in diff(old, new, ignore=[entry], today="2026-11-20")} == set()
    assert told(old, new, ignore=[entry], today=TODAY) == {
        ("path-removed", "GET /users"),
        ("ignored-entry-expired", "line 3: path-removed *"),
    }
    changed = one({"operationId": "b"})
    items = diff(changed, changed, ignore=[entry], today=TODAY)
    before = diff(changed, changed, ignore=[entry], today=TODAY, edition=2)
    assert [each.severity for each in (*items, *before)] == [Severity.INFO, Severity.WARNING]


def test_promise_renamed_variables_of_paths_are_no_change() -> None:
    """What a variable is called in a path matters to nobody who asks."""

    def make(name: str) -> Document:
        parameter = {"name": name, "in": "path", "required": True, "schema": TEXT}
        return one({"parameters": [parameter]}, path=f"/users/{{{name}}}")

    assert diff(make("id"), make("user_id")) == []


def test_promise_parameters_of_the_path_item_count() -> None:
    """A parameter may be said once for all operations, and again for one."""
    shared = whole({"/a": {"parameters": _query()["parameters"], "get": OK}})
    own = whole({"/a": {"get": {**OK, **_query()}}})
    assert diff(shared, own) == []


def test_promise_schemas_of_parameters_and_headers_are_compared() -> None:
    """A parameter is on the side of requests, a header on that of answers."""
    found = told(one(_query()), one(_query(schema={"type": "integer"})))
    assert found == {("request-type-changed", f"{USERS} query q $")}
    found = told(one(_header()), one(_header(schema={"type": ["string", "null"]})))
    assert found == {("response-became-nullable", f"{USERS} 200 header x-rate $")}


def test_promise_ranges_stand_for_their_statuses_and_media_types() -> None:
    """What moves into a range or the default is still documented."""
    assert told(one(_answers("200", "404")), one(_answers("2XX", "default"))) == {
        ("response-success-status-added", f"{USERS} 2XX"),
        ("response-failure-status-added", f"{USERS} default"),
    }
    narrow, wide = one(_answer(schema=TEXT)), one(_answer("application/*", TEXT))
    assert told(narrow, wide) == {
        ("response-media-type-added", f"{USERS} 200 application/*"),
    }


def test_promise_the_general_security_holds_where_an_operation_says_nothing() -> None:
    """Security of the whole document is that of each operation without its own."""
    old = one({}, security=[{"key": []}])
    new = one({"security": [{"key": []}]})
    assert diff(old, new) == []
    assert told(old, one({"security": []}, security=[{"key": []}])) == {
        ("security-dropped", f"{USERS} security")
    }


def test_promise_documentation_is_no_difference() -> None:
    """Texts, tags, examples and extensions may change."""
    new = one(
        {"summary": "x", "description": "y", "tags": ["z"], "x-owner": "me"},
        tags=[{"name": "z"}],
        servers=[{"url": "https://elsewhere.test"}],
    )
    assert diff(one({}), new) == []
