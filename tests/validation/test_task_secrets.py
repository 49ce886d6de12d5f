"""Tasks refer to secrets, and nothing that is kept shows one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from oneiric.validation.errors import TaskError
from oneiric.validation.models import Deployment, OrchestratorConfig, TaskStatus
from oneiric.validation.orchestrator import Orchestrator
from tests.validation.parts import Parts, parts, served
from tests.validation.tasks import task

SECRET = "s3cret/of the shop"
FORMS = (SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode())
SCRIPT = 'test "$1" = "$KEY" && test -n "$1" && echo "it is $1" && echo "$KEY" >&2'
RUN = ["sh", "-c", SCRIPT, "test", "${ secret.shop-key }"]
CHECK = {
    "url": "/a?key=${ secret.shop-key }",
    "headers": {"Authorization": "Bearer ${ secret.shop-key }"},
    "asserts": ["json $.auth contains Bearer"],
}


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIRIC_SECRET_SHOP_KEY", SECRET)


def asked(**more: Any) -> Any:
    """Return a task of which each part needs the secret."""
    test = {"command": RUN, "env": {"KEY": "${ secret.shop-key }"}}
    body = {"method": "POST", "url": "/b", "body": {"password": "${ secret.shop-key }"}}
    checks = [CHECK, {**body, "name": "log in"}]
    given: dict[str, Any] = {"local_tests": [test], "live_checks": checks, **more}
    return task(**given)


def kept_of(folder: Path) -> bytes:
    """Return all that a run left behind, but keys."""
    return b"".join(
        path.read_bytes()
        for path in (folder / ".oneiric_cache").rglob("*")
        if path.is_file() and "keys" not in path.parts
    )


@pytest.mark.parametrize("path", ["/a", "/gone"])
async def test_promise_no_byte_of_a_secret_is_kept(tmp_path: Path, path: str) -> None:
    """Whatever comes of the run: its journal, its ledger and its proofs know the name alone."""
    (tmp_path / "oneiric.toml").write_text(
        "[validation.deployments]\n"
        """ship = ["sh", "-c", 'echo "$1"; echo "$1" >&2', "ship", "${ secret.shop-key }"]\n"""
    )
    check = {**CHECK, "url": f"{path}?key=${{ secret.shop-key }}"}
    ask = {"headers": {"x-key": "${ secret.shop-key }"}}
    async with served() as service:
        config = OrchestratorConfig(prod_url=service.url, repo_path=tmp_path)
        async with Orchestrator(config) as orchestrator:
            done = await orchestrator.execute_task(
                asked(
                    live_checks=[*asked().criteria.live_checks, check],
                    deployment=Deployment(provider="ship"),
                    drift={"routes": ["/health"], "ask": {**ask, "checks": {"routes": True}}},
                )
            )

    assert done.status is (TaskStatus.DONE if path == "/a" else TaskStatus.PROD_FAIL), done.error
    kept = kept_of(tmp_path)
    assert [form for form in FORMS if form.encode() in kept] == []
    assert b"secret.shop-key" in kept
    said = str([proof.evidence for proof in done.proofs]) + str(done)
    assert [form for form in FORMS if form in said] == []


async def test_a_users_own_validator_is_given_it_and_its_proof_is_masked(tmp_path: Path) -> None:
    """The check reaches the service with its secret, and no proof shows it."""
    async with parts(tmp_path) as found:
        done = await found.orchestrator.execute_task(
            task(live_checks=[{**CHECK, "asserts": []}], required_proofs=2)
        )
    assert done.error is None
    assert found.service.asked.count("GET /a") == 1
    kept = kept_of(tmp_path)
    assert [form for form in FORMS if form.encode() in kept] == []


async def test_all_that_are_missing_are_told_before_anything_is_begun(tmp_path: Path) -> None:
    """The store is asked for each, and nobody for anything else."""
    test = {"command": "true ${ secret.first }", "env": {"A": "${secret.second}"}}
    async with parts(tmp_path) as found:
        with pytest.raises(TaskError) as caught:
            await found.orchestrator.execute_task(asked(local_tests=[test]))
        assert not await found.orchestrator.host.journal.runs()
    assert [each.key for each in caught.value.problems] == ["secret.first", "secret.second"]
    assert found.service.asked == []


async def test_a_secret_that_went_away_makes_its_check_inconclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again just before the step; a check without it is not sent."""

    def forget(found: Parts) -> None:
        monkeypatch.delenv("ONEIRIC_SECRET_SHOP_KEY")

    async with parts(tmp_path) as found:
        detect = found.detector.detect

        async def detected(ask: Any) -> Any:
            forget(found)
            return await detect(ask)

        monkeypatch.setattr(found.detector, "detect", detected)
        done = await found.orchestrator.execute_task(task(live_checks=[CHECK], required_proofs=1))
    assert done.outcome == "inconclusive"
    assert "the store of secrets has no shop-key" in str(done.error)
    assert "GET /a" not in found.service.asked


@pytest.mark.parametrize(
    "check",
    [
        {"url": "/a", "name": "${ secret.shop-key }"},
        {"url": "/a", "asserts": ['json $.a == "${ secret.shop-key }"']},
    ],
)
async def test_a_secret_stands_only_where_it_is_filled_in(
    tmp_path: Path, check: dict[str, Any]
) -> None:
    """A name or an assert that refers to one is told before anything is begun."""
    async with parts(tmp_path) as found:
        with pytest.raises(TaskError) as caught:
            await found.orchestrator.execute_task(task(live_checks=[check]))
    assert "may refer to a secret" in caught.value.problems[0].what
