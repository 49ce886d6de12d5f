"""A task as a plan: what is said of one that cannot be tried, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oneiric.errors import Problem, RefusedError
from oneiric.validation.compiling import compile_task
from oneiric.validation.errors import TaskError
from oneiric.validation.models import HEALTH, ROOT, StandardCheck
from oneiric.validation.settings import ValidationSettings
from tests.validation.tasks import task

ELSEWHERE: list[dict[str, Any]] = [{"url": "https://api.example.com/users"}]


def wrong(**criteria: Any) -> TaskError:
    """Return what is said of a task where no address of production is set."""
    with pytest.raises(TaskError) as raised:
        compile_task(task(**criteria), ValidationSettings())
    return raised.value


def test_a_task_that_names_no_production_is_told_how_to_name_it_or_do_without() -> None:
    """The standard checks ask production too: that they lack it is said once, with what to do."""
    lacks = wrong(live_checks=ELSEWHERE, standard_checks=[HEALTH, ROOT])
    path = wrong(live_checks=[{"url": "/users"}], standard_checks=[])

    init = "oneiric validation init --prod-url https://api.example.com, or set PROD_URL"
    assert {each.key: each.what for each in lacks.problems} == {
        "criteria.standard_checks": "health, root ask production, and its address is not set;"
        f" {init}, or have none of them: standard_checks: []"
    }
    assert {each.key: each.what for each in path.problems} == {
        "criteria.live_checks.0": "/users is a path, and the address of production is not set;"
        f" {init}"
    }
    assert (lacks.exit_code, path.exit_code) == (2, 2)


def test_a_task_that_asks_nothing_of_production_needs_no_address_of_it() -> None:
    """Neither without standard checks, nor with those that say whole addresses."""
    whole = StandardCheck(name="status", paths=["https://status.example.com/"])

    for standard in ([], [whole]):
        compiled = compile_task(
            task(live_checks=ELSEWHERE, standard_checks=standard), ValidationSettings()
        )
        assert "check.1" in [step.id for step in compiled.plan.steps]


def faulty(*fields: str) -> Callable[..., list[Problem]]:
    """Return a validator's word that those fields of the first check are wrong."""
    return lambda _: [Problem(f"0.{field}", "not so", "checks") for field in fields]


@pytest.mark.parametrize(
    ("check", "fields", "code"),
    [
        ({"url": "http://169.254.169.254/"}, ["url"], "task-refused"),
        ({"url": "https://elsewhere.example/"}, ["url"], "task-refused"),
        ({"url": "/a", "method": "POST"}, ["method"], "task-refused"),
        ({"url": "https://elsewhere.example/"}, ["url", "asserts.0"], "invalid-task"),
        ({"url": "/a", "method": "BREW"}, ["asserts.0"], "invalid-task"),
        ({"url": "/a"}, ["url"], "invalid-task"),
    ],
)
def test_what_may_not_be_asked_is_refused_and_what_is_wrong_is_invalid(
    check: dict[str, Any], fields: list[str], code: str
) -> None:
    """3 where the task is as it should be and a host or a method is not allowed, else 2."""
    settings = ValidationSettings(prod_url="https://api.example.com", read_only=True)

    with pytest.raises(TaskError) as raised:
        compile_task(task(live_checks=[check]), settings, faults=faulty(*fields))

    found = raised.value
    assert (found.code, isinstance(found, RefusedError)) == (code, code == "task-refused")
    assert found.exit_code == (3 if code == "task-refused" else 2)
    assert [each.key for each in found.problems] == [f"criteria.live_checks.0.{f}" for f in fields]
