"""A task against a real service with a database: broken in each way, told, repaired, done."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneiric.validation.config import OrchestratorConfig
from oneiric.validation.models import Task, ValidationCriteria
from oneiric.validation.orchestrator import Orchestrator
from oneiric.validation.states import TaskStatus
from tests.integration.storefront import PASSWORD, TOKEN, Storefront
from tests.servers import PostgresServer
from tests.validation.shop import Shop


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of the shop, in the store of secrets."""
    monkeypatch.setenv("ONEIRIC_SECRET_SHOP_PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def postgres() -> Any:
    """A PostgreSQL for the tests of this file."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server("postgres"))])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """A repository with migrations, and a database of its own."""
    if request.param == "sqlite":
        return Shop(tmp_path / "repo", f"sqlite:///{tmp_path}/shop.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return Shop(tmp_path / "repo", server.make(tmp_path.name))


@pytest.fixture
def front(shop: Shop, tmp_path: Path) -> Storefront:
    """The service over it, whole."""
    return Storefront(shop, tmp_path)


def task(front: Storefront, **more: Any) -> Task:
    """Deploy the storefront: a local test, a login whose token is used, users as by contract."""
    users = {
        "url": "/users",
        "conforms_to": {"document": "openapi.json"},
        "asserts": ['json $[0].email == "ann@example.com"', "certificate > 14d"],
    }
    criteria = {
        "local_tests": [[sys.executable, "-c", "import store.models"]],
        "live_checks": [
            users,
            {
                "url": "/login",
                "method": "POST",
                "body": {"email": "ann@example.com", "password": "${ secret.shop-password }"},
                "capture": {"token": "json $.token"},
            },
            {"url": "/me", "headers": {"authorization": "Bearer ${ captured.token }"}},
            {
                "url": "/users",
                "asserts": ["duration p95 < 2000ms"],
                "analysis": {"count": 4, "interval_seconds": 0},
            },
        ],
        "required_proofs": 4,
        "drift": {
            "ask": {
                "openapi": {"file": "openapi.json", "url": "/openapi.json"},
                "database": {"models": "store.models:Base"},
            }
        },
    }
    return Task(
        id="deploy-storefront",
        title="Deploy the storefront",
        criteria=ValidationCriteria.model_validate({**criteria, **more}),
    )


async def tried(front: Storefront, **more: Any) -> Task:
    """Serve, try the task once, and return it."""
    async with front.serving() as url:
        toml = (
            f'[adapters.provider_settings.live]\nca_file = "{front.ca_file}"\n'
            f'[adapters.provider_settings.compare]\nca_file = "{front.ca_file}"\n'
            f'database_url = "{front.shop.url}"\n'
        )
        front.shop.write("oneiric.toml", toml)
        config = OrchestratorConfig(prod_url=url, repo_path=front.shop.folder)
        async with Orchestrator(config) as orchestrator:
            return await orchestrator.execute_task(task(front, **more))


def remove_route(front: Storefront) -> None:
    front.gone.add("/users")


def rename_field(front: Storefront) -> None:
    front.renamed = True


def serve_another_contract(front: Storefront) -> None:
    paths: Any = front.document["paths"]
    content = paths["/users"]["get"]["responses"]["200"]["content"]
    del content["application/json"]["schema"]["items"]["properties"]["email"]
    content["application/json"]["schema"]["items"]["required"] = ["id"]


def miss_migration(front: Storefront) -> None:
    undone = "ALTER TABLE users DROP COLUMN name"
    front.shop.sql("DROP TABLE orders", undone, "UPDATE alembic_version SET version_num = 'aaa1'")


def near_expiry(front: Storefront) -> None:
    front.days = 5


def slow(front: Storefront) -> None:
    front.slow_seconds = 2.5


def flapping(front: Storefront) -> None:
    front.is_flapping = True


def repair(front: Storefront) -> None:
    """Make the service what it was meant to be."""
    front.gone.clear()
    front.renamed = front.is_flapping = False
    front.slow_seconds, front.days = 0.0, 90
    front.document = json.loads((front.shop.folder / "openapi.json").read_text())


@dataclass(frozen=True)
class Broken:
    """A way to break it, and what has to come of that."""

    how: Callable[[Storefront], None]
    status: TaskStatus
    code: str
    told: str


BROKEN = [
    Broken(remove_route, TaskStatus.ENV_DRIFT, "drift-found", "/users"),
    Broken(serve_another_contract, TaskStatus.ENV_DRIFT, "drift-found", "email"),
    Broken(miss_migration, TaskStatus.ENV_DRIFT, "drift-found", "orders"),
    Broken(rename_field, TaskStatus.PROD_FAIL, "required-check-failed", "email"),
    Broken(near_expiry, TaskStatus.PROD_FAIL, "required-check-failed", "certificate"),
    Broken(slow, TaskStatus.PROD_FAIL, "required-check-failed", "duration"),
    Broken(flapping, TaskStatus.PROD_FAIL, "required-check-failed", "503"),
]


async def test_a_whole_service_is_done(front: Storefront) -> None:
    """Every check is proved, each once, and no secret stands in anything that is kept."""
    done = await tried(front)

    assert (done.status, done.error) == (TaskStatus.DONE, None)
    assert len(done.passing_proofs()) >= 5
    kept = b"".join(
        path.read_bytes()
        for path in (front.shop.folder / ".oneiric_cache").rglob("*")
        if path.is_file() and "keys" not in path.parts
    )
    assert TOKEN.encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"secret.shop-password" in kept
    assert PASSWORD not in str([proof.evidence for proof in done.proofs])


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.how.__name__)
async def test_what_is_broken_is_told_and_repaired_is_done(
    front: Storefront, broken: Broken
) -> None:
    """The status, the code and the words name what is broken; mended, the same task is done."""
    broken.how(front)

    found = await tried(front)

    assert (found.status, found.metadata["code"]) == (broken.status, broken.code), found.error
    assert broken.told in str(found.error) + str([p.error_message for p in found.proofs])

    repair(front)
    if broken.how is miss_migration:
        front.shop.upgrade()
    done = await tried(front)
    assert (done.status, done.error) == (TaskStatus.DONE, None)


async def test_drift_never_asks_what_might_do_something(front: Storefront) -> None:
    """A route that takes POST alone is logged into by its check, and by nothing else."""
    await tried(front)

    assert front.asked.count("POST /login") == 1
    assert "GET /login" not in front.asked


async def test_a_service_that_is_down_is_no_pass(front: Storefront, tmp_path: Path) -> None:
    """Nobody answers: the task is not done, and says so."""
    async with front.serving() as url:
        gone = url
    config = OrchestratorConfig(prod_url=gone, repo_path=front.shop.folder)
    async with Orchestrator(config) as orchestrator:
        found = await orchestrator.execute_task(task(front))

    assert found.status in (TaskStatus.LOCAL_OK, TaskStatus.ENV_DRIFT)
    assert found.error
