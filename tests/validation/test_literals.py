"""Secrets that a task says in clear are told by their places; those it refers to are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from oneiric.validation.literals import literal_secrets
from tests.validation.parts import parts
from tests.validation.tasks import task

SECRET = "hunter2-very-secret"
REFERENCE = "${ secret.shop-key }"

PLACES: list[tuple[str, dict[str, Any]]] = [
    ("live_checks.0.headers.Authorization", {"headers": {"Authorization": f"Bearer {SECRET}"}}),
    ("live_checks.0.headers.X-Api-Key", {"headers": {"X-Api-Key": SECRET, "Accept": "a/b"}}),
    ("live_checks.0.headers.Cookie", {"headers": {"Cookie": f"sid={SECRET}"}}),
    ("live_checks.0.body.user.password", {"body": {"user": {"password": SECRET, "name": "me"}}}),
    ("live_checks.0.url", {"url": f"https://me:{SECRET}@api.example.com/a"}),
    ("live_checks.0.url", {"url": f"/a?page=2&token={SECRET}"}),
    ("local_tests.0.command", {"command": f"login --password {SECRET}"}),
    ("local_tests.0.command", {"command": ["login", f"--token={SECRET}"]}),
    ("local_tests.0.env.DB_PASSWORD", {"command": "true", "env": {"DB_PASSWORD": SECRET}}),
    ("ui_tests.0.url", {"url": f"/a?token={SECRET}"}),
    ("drift.ask.headers.Authorization", {"headers": {"Authorization": SECRET}}),
    ("drift.ask.served", {"served": f"https://me:{SECRET}@api.example.com/openapi.json"}),
]


def criteria(place: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return criteria that have *fields* at the beginning of *place*."""
    listed = place.partition(".")[0]
    if listed == "drift":
        return {"drift": {"ask": fields}}
    return {listed: [{"url": "/a", **fields} if listed == "live_checks" else fields]}


def with_reference(value: Any) -> Any:
    """Return *value* with a reference in place of the secret."""
    if isinstance(value, dict):
        return {name: with_reference(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_reference(each) for each in value]
    return value.replace(SECRET, REFERENCE) if isinstance(value, str) else value


@pytest.mark.parametrize(("place", "fields"), PLACES)
def test_a_secret_in_clear_is_told_by_its_place_and_never_shown(
    place: str, fields: dict[str, Any]
) -> None:
    """Whoever reads the warning knows where to write a reference; nobody reads the secret."""
    found = literal_secrets(criteria(place, fields))

    assert list(found) == [f"criteria.{place}"]
    (told,) = found.values()
    assert REFERENCE.replace("shop-key", "NAME") in told
    assert SECRET not in told


@pytest.mark.parametrize(("place", "fields"), PLACES)
def test_a_reference_to_a_secret_is_none(place: str, fields: dict[str, Any]) -> None:
    """What is read when it is needed stays nowhere."""
    assert literal_secrets(criteria(place, with_reference(fields))) == {}


def test_what_only_sounds_like_a_secret_is_none() -> None:
    """Names of captures and asserts about tokens hold no secret, nor do usual addresses."""
    check = {
        "url": "https://me@api.example.com/a?page=2",
        "headers": {"Accept": "application/json"},
        "body": {"name": "me", "password": "${ captured.password }", "token": None},
        "capture": {"token": "json $.token"},
        "asserts": ['json $.token == "t"'],
    }
    test = {"command": "pytest -k token --maxfail=1", "env": {"CI": "1"}}

    assert literal_secrets({"live_checks": [check], "local_tests": [test]}) == {}


async def test_a_task_is_done_though_it_says_a_secret_and_the_warning_stays_with_it(
    tmp_path: Path,
) -> None:
    """It is a warning: what was asked is asked, and whoever takes the run up is told again."""
    check = {"url": "/a", "headers": {"X-Api-Key": SECRET}}
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(task(live_checks=[check, {"url": "/b"}]))
        again = await found.orchestrator.task(done.run_id)

    assert str(done.status) == "done"
    (warning,) = cast("list[str]", done.metadata["warnings"])
    assert warning.startswith("criteria.live_checks.0.headers.X-Api-Key holds a secret")
    assert again.metadata["warnings"] == done.metadata["warnings"]
