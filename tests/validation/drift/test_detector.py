"""The detector as a component, and as the brief's users call it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.adapters.executors.process import ProcessExecutor
from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.ports.drift import DRIFT, DriftItem, DriftReport, Severity, Unchecked
from oneiric.ports.errors import InvalidRequestError, UnavailableError
from oneiric.ports.executor import Executor
from oneiric.validation.drift.findings import Found
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift_detector import DriftDetector
from oneiric.validation.providers.drift import ComparingDetector
from tests.validation.drift.service import (
    ONLY_ROUTES,
    Programs,
    Service,
    codes,
    detecting,
    detector_in,
    keep_contract,
    serving,
    unsure,
)
from tests.validation.shop import Shop

NOTHING = {"routes": False, "schema": False, "health": False, "config": False}


async def test_defect_validation_a14_nothing_checked_is_no_pass(tmp_path: Path) -> None:
    """Everything left out, or nothing that applies: inconclusive either way."""
    async with serving() as service, detecting(tmp_path) as detect:
        left_out = await detect(service.url, checks=NOTHING)
        alone = await detect("")
        demanded = await detect("", checks={**NOTHING, "routes": True, "health": True})
    assert (left_out.checked, str(left_out.outcome)) == ({}, "inconclusive")
    assert (unsure(alone), str(alone.outcome)) == ([], "inconclusive")
    assert set(alone.absent) >= {"route", "openapi", "health", "config"}
    assert unsure(demanded) == [("route", "route"), ("health", "health")]


async def test_defect_validation_c7_only_named_hosts_are_asked(tmp_path: Path) -> None:
    """Neither a route, a contract's address, nor a redirect reaches a host that nobody named."""
    inner = Service()
    async with serving(inner), serving() as service, detecting(tmp_path) as detect:

        async def away(_: Any) -> Any:
            return web.Response(status=302, headers={"Location": f"{inner.url}/users"})

        service.routes["GET", "/away"] = away
        await service.start()
        report = await detect(
            service.url,
            routes=[f"{inner.url}/users", "POST /users", "/away", "http://[::1/", "ftp://x/y"],
            openapi={"url": f"{inner.url}/openapi.json"},
            health=[f"{inner.url}/health"],
            config=[f"{inner.url}/config"],
        )
    assert inner.seen == []
    assert {method for method, _ in service.seen} <= {"GET", "HEAD", "OPTIONS"}
    assert not report.checked.get("health")


async def test_a_question_that_is_wrong_says_everything_that_is(tmp_path: Path) -> None:
    """Nothing is compared, and no secret is repeated."""
    wrong = {
        "prod_url": "https://me:hunter2@example.com",
        "route": ["/users"],
        "routes": ["GET /users 999"],
        "timeout": 0,
        "app": "no target",
        "baseline": "../x",
        "repo_path": "a\0b",
    }
    async with detector_in(tmp_path) as detector:
        with pytest.raises(InvalidRequestError) as told:
            await detector.detect(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="no rule route-mising"):
            await detector.detect({"overrides": {"route-mising": "info"}})
    for key in ("prod_url", "route", "routes.0", "timeout", "app", "baseline", "repo_path"):
        assert f"{key}" in told.value.reason
    assert "did you mean routes?" in told.value.reason
    assert "hunter2" not in told.value.reason


async def test_a_detector_is_brought_up_and_down(tmp_path: Path) -> None:
    """Down it says so; init and cleanup may be called again."""
    detector = ComparingDetector(executor=Programs())
    with pytest.raises(UnavailableError):
        await detector.detect({})
    assert not (await detector.health()).healthy
    await detector.init()
    await detector.init()
    assert (await detector.health()).healthy
    await detector.cleanup()
    await detector.cleanup()
    await detector.init()
    assert (await detector.detect({"checks": NOTHING})).checked == {}
    await detector.cleanup()


async def test_what_is_under_way_ends_when_the_detector_is_closed(tmp_path: Path) -> None:
    """With a report in which everything is unchecked; nothing hangs, nothing is called drift."""
    begun = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    service = Service()
    service.routes["GET", "/users"] = wait
    async with serving(service), detector_in(tmp_path) as detector:
        asked = {"prod_url": service.url, "repo_path": str(tmp_path), "checks": ONLY_ROUTES}
        asked["routes"] = ["GET /users", "POST /users"]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(detector.detect(asked))  # type: ignore[arg-type]
            await begun.wait()
            await detector.cleanup()
        report = task.result()
    assert codes(report) == []
    assert {each.place for each in report.unchecked} == {"GET /users", "POST /users"}


async def test_a_detector_serves_as_a_component_by_its_links(tmp_path: Path) -> None:
    """Made by the lifecycle, with its settings and a link to whoever runs programs."""
    resolver = Resolver()
    resolver.register(Candidate("adapter:executor", "process", ProcessExecutor))
    resolver.register(
        Candidate(
            "adapter:drift",
            "compare",
            "oneiric.validation.providers.drift:ComparingDetector",
            settings_model="oneiric.validation.providers.drift:ComparingDetectorSettings",
            requires={"executor": "adapter:executor"},
        )
    )
    lifecycle = LifecycleManager(resolver)
    async with serving() as service:
        async with lifecycle.use(DRIFT) as detector:
            report = await detector.detect(
                {
                    "prod_url": service.url,
                    "repo_path": str(tmp_path),
                    "checks": {**NOTHING, "version": True},
                }
            )
        await lifecycle.close()
    assert report.unchecked[0].reason == "the repository is none of git, or has no commit"


async def test_a_checker_of_another_kind_joins_by_the_table(tmp_path: Path) -> None:
    """What it finds, leaves open and counts stands beside ours; its failure is unchecked."""
    item = DriftItem(
        kind="database", code="database-x", severity=Severity.BREAKING, place="t", message="m"
    )

    async def database(question: DriftQuestion, executor: Executor) -> Found:
        assert executor is not None
        return [item], [Unchecked(kind="database", place="u", reason="r")], {"database": 2}, {}

    async def broken(question: DriftQuestion, executor: Executor) -> Found:
        raise UnavailableError("database at db:5432", "cannot be reached")

    asked: dict[str, Any] = {"checks": {**NOTHING, "schema": True}}
    for checker, expected in ((database, ["t"]), (broken, [])):
        detector = ComparingDetector(executor=Programs(), further={"database": checker})
        await detector.init()
        report = await detector.detect(asked)
        await detector.cleanup()
        assert [each.place for each in report.items] == expected
        assert {each.kind for each in report.unchecked} == {"database"}
    assert report.unchecked[0].reason == "database at db:5432: cannot be reached"
    detector = ComparingDetector(executor=Programs(), further={"database": database})
    await detector.init()
    left_out = await detector.detect({"checks": NOTHING})
    await detector.cleanup()
    assert (left_out.items, left_out.checked) == ((), {})


async def test_accepted_differences_are_left_out_until_their_day(tmp_path: Path) -> None:
    """A file of the repository accepts by code and place; one that cannot be read is told."""
    keep_contract(tmp_path)
    service = Service()
    del service.routes["GET", "/me"]
    async with serving(service), detecting(tmp_path) as detect:
        drifted = await detect(service.url, checks=ONLY_ROUTES)
        (tmp_path / ".oneiric-drift-ignore").write_text("route-missing GET /me until 2999-01-01\n")
        accepted = await detect(service.url, checks=ONLY_ROUTES)
        (tmp_path / "mine").write_text("route-* GET /m* until 2020-01-01\n")
        expired = await detect(service.url, checks=ONLY_ROUTES, ignore="mine")
        lost = await detect(service.url, checks=ONLY_ROUTES, ignore="nowhere")
    assert codes(drifted) == [("route-missing", "GET /me")]
    assert (codes(accepted), accepted.ignored, str(accepted.outcome)) == ([], 1, "pass")
    assert [(each.severity, each.code, each.place) for each in expired.items] == [
        (Severity.BREAKING, "route-missing", "GET /me"),
        (Severity.INFO, "ignored-entry-expired", "line 1: route-* GET /m*"),
    ]
    assert expired.items[1].facts == {"until": "2020-01-01"}
    assert ("ignore", "nowhere") in unsure(lost)


async def test_an_entry_that_expired_and_hides_nothing_is_no_drift(tmp_path: Path) -> None:
    """It is told, so that somebody takes it out; somebody who knows can leave it out."""
    keep_contract(tmp_path)
    (tmp_path / ".oneiric-drift-ignore").write_text("route-missing GET /gone until 2020-01-01\n")
    overrides = {"ignored-entry-expired": "ignore"}
    async with serving(Service()) as service, detecting(tmp_path) as detect:
        told = await detect(service.url, checks=ONLY_ROUTES)
        left_out = await detect(service.url, checks=ONLY_ROUTES, overrides=overrides)
    assert ([each.code for each in told.items], str(told.outcome)) == (
        ["ignored-entry-expired"],
        "pass",
    )
    assert (left_out.items, left_out.ignored) == ((), 1)


async def test_the_report_survives_the_way_through_json(tmp_path: Path) -> None:
    """What a step hands on is what was found."""
    keep_contract(tmp_path)
    service = Service()
    del service.routes["GET", "/me"]
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url)
    assert DriftReport.from_json(report.as_json()) == report


async def test_promise_brief_the_detector_stands_alone(tmp_path: Path) -> None:
    """The brief's example: a report with `has_drift`, `issues` and `recommendations`."""
    service = Service()
    del service.routes["GET", "/me"]
    async with serving(service):
        keep_contract(tmp_path)
        detector = DriftDetector(prod_url=service.url, repo_path=str(tmp_path))
        report = await detector.full_drift_check(
            routes=["/users", "/me"], check_schema=True, check_health=True
        )
        fine = await detector.full_drift_check(routes=["/users"])
        health = await detector.check_health_endpoints()
        schema = await detector.check_schema_drift()
        version = await detector.check_version_drift()
        routes = await detector.check_route_drift(["users"])
    assert report.has_drift
    assert report.issues == ["GET /me: production has no such route: it answered 404"]
    assert report.recommendations == ["deploy what declares it, or take it out of the contract"]
    assert (fine.has_drift, str(fine.outcome)) == (False, "pass")
    assert (health.report.checked, schema.report.checked) == ({"health": 1}, {"openapi": 5})
    assert (str(version.outcome), version.summary()) == (
        "inconclusive",
        "0 compared, 0 drifted, 1 not checked",
    )
    assert "could not be checked" in version.recommendations[0]
    assert routes.report.checked == {"route": 2}


async def test_the_face_compares_a_repository_that_is_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs run in the repository that was named, be it named from elsewhere."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shop = Shop(tmp_path / "repo", f"sqlite:///{tmp_path}/shop.db")
    shop.upgrade()
    for folder in (shop.folder, "../repo"):
        detector = DriftDetector("", folder, database={"url": shop.url})
        summary = await detector.check_schema_drift()
        assert (summary.report.unchecked, summary.issues) == ((), [])
        assert summary.report.checked["database"]


async def test_the_face_takes_an_executor_and_further_questions(tmp_path: Path) -> None:
    """Whoever is given runs the programs, and stays up."""
    executor = ProcessExecutor()
    await executor.init()
    async with serving() as service:
        detector = DriftDetector(
            service.url, tmp_path, executor, headers={"Authorization": "Bearer s3cr3t-token"}
        )
        report = await detector.full_drift_check(["/me"], check_version=True)
    assert (await executor.health()).healthy
    await executor.cleanup()
    assert service.authorizations.count("Bearer s3cr3t-token") == len(service.seen)
    assert [each.kind for each in report.report.unchecked] == ["version"]
    assert "s3cr3t" not in str(report.report.as_json())
