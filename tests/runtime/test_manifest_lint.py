"""Everything that is wrong with a manifest is told at once, and what may not be meant apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneiric.core.ref import DOMAINS
from oneiric.errors import JSONValue
from oneiric.remote.errors import InvalidManifestError
from oneiric.remote.manifest import Entry, ManifestHead
from tests.runtime.publishing import ALICE, YAML, later, publisher

HEAD = "schema: oneiric.manifest/2\nname: acme\nversion: 7\nentries:\n"
SAID = "provider: p, factory: 'acme.a:b', owner: me, license: MIT"
WORKFLOW = """\
schema: oneiric.manifest/2
name: acme
version: 7
entries:
  - domain: workflow
    key: flow
    provider: p
    factory: acme.plans:Flow
    owner: me
    license: MIT
    dag:
      nodes:
        - id: charge
          task: charge
        - id: ship
          task: ship
          depends_on: [chrge]
          retry_policy: {attemps: 3}
        - id: mail
          task: "event:mail"
          depends_on: [ship]
"""


def told(folder: Path, text: str, *factories: str) -> tuple[list[str], list[str]]:
    """Return errors and warnings as `line key: what`."""
    maker = publisher(folder)
    report = maker.manifests.lint(maker.write(text), factories=factories)

    def lines(problems: object) -> list[str]:
        assert isinstance(problems, tuple)
        return [f"{p.origin.rpartition(':')[2]} {p.key}: {p.what}" for p in problems]

    return lines(report.errors), lines(report.warnings)


def test_a_workflow_is_checked_as_a_runtime_would(tmp_path: Path) -> None:
    """Unknown dependencies, keys of retries, targets that are no tasks: all at their lines."""
    errors, warnings = told(tmp_path, WORKFLOW)

    at = "entries.0.dag.nodes"
    assert errors == [
        f"18 {at}.1.retry_policy: a retry policy has no 'attemps'; did you mean attempts?",
        f"17 {at}.1.depends_on: there is no step chrge; did you mean charge?",
        f"20 {at}.2.task: event:mail is no task and no action, so it cannot do a step",
    ]
    assert warnings == [
        f"14 {at}.0.task: nobody in this manifest offers task:charge",
        f"16 {at}.1.task: nobody in this manifest offers task:ship",
    ]


@pytest.mark.parametrize(
    ("fields", "key", "begin"),
    [
        ("event_topics: ['order.*', 'a b']", "event_topics.1", "'a b' is no topic"),
        ("event_topics: []", "event_topics", "List should have at least 1 item"),
        ("event_filters: [{path: a, equal: 1}]", "event_filters.0", "a filter has no 'equal'"),
        ("event_filters: [{path: a}]", "event_filters.0", "the filter on a asks nothing"),
        ("retry_policy: {attempts: 0}", "retry_policy", "attempts of a retry policy lies"),
        ("retry_policy: {attempts: 2, on: [x]}", "retry_policy", "a retry policy has no 'on'"),
        ("timeout_seconds: 100000", "", "timeout_seconds lies above 0"),
        ("metadata: {event_priorty: 3}", "", "its metadata has no 'event_priorty'"),
        ("requires: {a: nobody}", "", "'nobody' is not a reference"),
        ("conflicts_with: ['adaptor:b']", "", "'adaptor:b' is not a reference"),
    ],
)
def test_an_event_handler_is_checked_as_a_runtime_would(
    fields: str, key: str, begin: str, tmp_path: Path
) -> None:
    """Topics, filters, retries, limits, references."""
    errors, _ = told(tmp_path, f"{HEAD}  - {{domain: event, key: k, {SAID}, {fields}}}\n")

    (error,) = errors
    assert error.startswith(f"5 entries.0{f'.{key}' if key else ''}: ")
    assert begin in error


def test_a_task_may_say_after_which_errors_to_try_again(tmp_path: Path) -> None:
    """And when it is due."""
    good = "retry_policy: {attempts: 2, on: [x]}, metadata: {schedule: {cron: '0 9 * * mon'}}"
    bad = "metadata: {schedule: {cron: '0 99 * * *'}}"
    text = f"{HEAD}  - {{domain: task, key: a, {SAID}, {good}}}\n"

    errors, warnings = told(tmp_path, f"{text}  - {{domain: task, key: b, {SAID}, {bad}}}\n")

    assert [line.partition(":")[0] for line in errors] == ["6 entries.1.metadata.schedule"]
    assert warnings == []


def test_what_lint_calls_wrong_is_not_packed(tmp_path: Path) -> None:
    """The same eyes look at both."""
    maker = publisher(tmp_path)
    path = maker.write(WORKFLOW)

    with pytest.raises(InvalidManifestError) as caught:
        maker.manifests.pack(path)

    assert [each.as_json() for each in caught.value.problems] == [
        each.as_json() for each in maker.manifests.lint(path).errors
    ]


WARNED = """\
schema: oneiric.manifest/2
name: acme
version: 7
expires: 2026-11-22T00:00:00Z
documentation_url: http://acme.example/
entries:
  - domain: adapter
    key: cache
    provider: acme
    factory: other.cache:Cache
    settings_model: acme_evil:Settings
    priority: -1000
    documentation_url: HTTP://acme.example/cache
    event_topics: ["a"]
    settings: {password: hunter2, url: x}
    artifact: {uri: "http://cdn.example/a", sha256: "%s", length: 1}
""" % ("a" * 64)


def test_what_may_not_be_meant_is_a_warning(tmp_path: Path) -> None:
    """Times, licence and owner, priorities, prefixes, links, settings, addresses."""
    errors, warnings = told(tmp_path, WARNED, "acme")

    assert errors == []
    assert [line.partition(": ")[0] for line in warnings] == [
        "4 expires",
        "5 documentation_url",
        "7 entries.0",
        "13 entries.0.documentation_url",
        "10 entries.0.factory",
        "11 entries.0.settings_model",
        "12 entries.0.priority",
        "14 entries.0.event_topics",
        "15 entries.0.settings.password",
        "16 entries.0.artifact.uri",
    ]
    assert "hunter2" not in str(warnings)
    assert told(tmp_path, YAML, "acme") == ([], [])


def test_a_signed_manifest_is_looked_at_too(tmp_path: Path) -> None:
    """At a later time it is over, which is a warning: its form is right."""
    path = publisher(tmp_path).signed(ALICE)

    report = publisher(tmp_path, later(31)).manifests.lint(path)

    assert report.errors == ()
    (warning,) = report.warnings
    assert warning.what == "it expired 2026-12-20: nobody will apply it"


def test_what_is_no_document_is_one_error_with_its_line(tmp_path: Path) -> None:
    """It is told like any other, not as a failure of the command."""
    errors, warnings = told(tmp_path, "name: acme\nname: again\n")

    assert (errors, warnings) == (["2 name: the key is written twice"], [])


def test_errors_of_form_of_domains_and_warnings_come_together(tmp_path: Path) -> None:
    """One wrong entry hides nothing that is wrong with another."""
    bad = f"  - {{domain: event, key: a, {SAID}, event_filters: [1]}}\n"
    text = f"{HEAD}  - {{domain: oops, key: k}}\n{bad}  - {{domain: task, key: b, {SAID}, x-a: 1"

    errors, warnings = told(tmp_path, f"{text}, priority: 1000}}\n")

    assert [line.partition(": ")[0] for line in errors] == [
        "5 entries.0.domain",
        "5 entries.0.provider",
        "5 entries.0.factory",
        "6 entries.1.event_filters.0",
    ]
    assert [line.partition(": ")[0] for line in warnings] == ["7 entries.2.priority"]


def test_a_faulty_entry_speaks_for_no_good_one_of_its_name(tmp_path: Path) -> None:
    """Whichever stands first."""
    good = f"  - {{domain: task, key: a, {SAID}, priority: 999}}\n"
    bad = f"  - {{domain: task, key: a, {SAID}, odd: 1}}\n"

    first = told(tmp_path, HEAD + good + bad)
    second = told(tmp_path, HEAD + bad + good)

    assert [[line[:18] for line in lines] for lines in first] == [
        ["6 entries.1.odd: u"],
        ["5 entries.0.priori"],
    ]
    assert [[line[:18] for line in lines] for lines in second] == [
        ["5 entries.0.odd: u"],
        ["6 entries.1.priori"],
    ]


TEXTS = ["", "a", "a.b:C", "task:a", "http://[", "2026-11-20T09:30:00Z", "${ input }"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2000, 2000)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.sampled_from(
        ["", "a", "a.b:C", "task:a", "http://[", "2026-11-20T09:30:00Z", "${ input }"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "task", "path", "x-a", "depends_on"]), inner)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from([*Entry.model_fields, "x-own", "odd"])
DOMAIN = st.sampled_from([*DOMAINS, "odd"])


@st.composite
def documents(draw: st.DrawFn) -> JSONValue:
    """Draw a manifest with some of its fields replaced by anything."""
    entries: list[JSONValue] = []
    for _ in range(draw(st.integers(0, 3))):
        good = {"domain": draw(DOMAIN), "key": "k", "provider": "p", "factory": "a.b:C"}
        entries.append({**good, **draw(st.dictionaries(FIELDS, VALUES, max_size=4))})
    head: dict[str, JSONValue] = {
        "schema": "oneiric.manifest/2",
        "name": "acme",
        "version": 1,
        "entries": entries,
    }
    names = st.sampled_from([*ManifestHead.model_fields, "entries", "x-own"])
    return {**head, **draw(st.dictionaries(names, VALUES, max_size=2))}


@settings(max_examples=150, deadline=None)
@given(told=documents() | VALUES)
def test_any_document_is_answered_and_what_lint_passes_is_packed(
    told: JSONValue, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No document makes it fail; what it finds nothing wrong with packs, twice to the same."""
    maker = publisher(tmp_path_factory.getbasetemp())
    path = maker.write(json.dumps(told), "any.json")

    report = maker.manifests.lint(path)

    if report.errors:
        with pytest.raises(InvalidManifestError):
            maker.manifests.pack(path)
    else:
        packed = maker.manifests.pack(path, output=maker.folder / "packed.json")
        assert maker.manifests.pack(maker.folder / "packed.json").data == packed.data
