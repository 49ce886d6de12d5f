"""Health and version: what production says of itself."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.ports.drift import Severity
from tests.validation.drift.service import Service, codes, detecting, serving, unsure

ONLY_HEALTH = {"routes": False, "schema": False, "config": False}
ONLY_VERSION = {**ONLY_HEALTH, "health": False, "version": True}


async def test_one_path_that_is_well_is_enough(tmp_path: Path) -> None:
    """The usual paths are tried, and those that are not there do not count."""
    service = Service()
    service.routes["GET", "/healthz"] = service.routes.pop(("GET", "/health"))
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_HEALTH)
    assert (codes(report), report.checked, str(report.outcome)) == ([], {"health": 1}, "pass")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"status": "DOWN"}, [("health-failing", Severity.BREAKING)]),
        ({"status": "degraded"}, [("health-degraded", Severity.WARNING)]),
        ({"status": "ok"}, []),
        ({"healthy": False}, [("health-failing", Severity.BREAKING)]),
        ({"ok": False, "status": "ok"}, [("health-failing", Severity.BREAKING)]),
        ({"Status": "OUT_OF_SERVICE"}, [("health-failing", Severity.BREAKING)]),
        ({"state": "not ready"}, [("health-failing", Severity.BREAKING)]),
        ({"status": "starting"}, [("health-degraded", Severity.WARNING)]),
        ("down", [("health-failing", Severity.BREAKING)]),
        (["any"], []),
    ],
)
async def test_what_it_says_counts_and_not_200_alone(
    said: Any, told: list[tuple[str, Severity]], tmp_path: Path
) -> None:
    """Some services answer 200 and say in the body that they are not well."""
    service = Service()
    service.told["health"] = said
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_HEALTH)
    assert [(item.code, item.severity) for item in report.items] == told


FAILING = [("health-failing", Severity.BREAKING)]
DEGRADED = [("health-degraded", Severity.WARNING)]


@pytest.mark.parametrize(
    ("said", "told", "part"),
    [
        ({"checks": {"db": {"status": "down"}}}, FAILING, "checks.db down"),
        ({"checks": {"db": "DOWN"}}, FAILING, "checks.db down"),
        ({"checks": {"db": False}}, FAILING, "checks.db false"),
        ({"checks.db": "down"}, FAILING, "checks.db down"),
        ({"checks.db.status": "down"}, FAILING, "checks.db.status down"),
        ({"components": {"db": {"status": "OUT_OF_SERVICE"}}}, FAILING, "components.db"),
        (
            {"components": {"all": {"status": "UP", "components": {"db": {"status": "DOWN"}}}}},
            FAILING,
            "components.all.components.db down",
        ),
        ({"details": {"db": {"status": "DOWN", "details": {"error": "x"}}}}, FAILING, "details.db"),
        (
            {"checks": {"db:time": [{"status": "pass"}, {"status": "fail"}]}},
            FAILING,
            "db:time fail",
        ),
        ({"checks": [{"name": "a", "status": "ok"}, {"name": "db", "ok": False}]}, FAILING, "db"),
        ({"Services": {"queue": {"healthy": False}}}, FAILING, "Services.queue false"),
        ({"dependencies": [{"state": "broken"}]}, FAILING, "dependencies.0 broken"),
        ({"checks": {"db:time": [{"status": "warn"}]}}, DEGRADED, "checks.db:time: warn"),
    ],
)
async def test_a_part_that_is_down_counts_though_the_whole_says_ok(
    said: Any, told: list[tuple[str, Severity]], part: str, tmp_path: Path
) -> None:
    """What stands beneath the usual containers is looked into, and the part is named."""
    service = Service()
    service.told["health"] = {"status": "ok", **said}
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_HEALTH)
    assert [(item.code, item.severity) for item in report.items] == told
    assert part in report.items[0].message


@pytest.mark.parametrize(
    "said",
    [
        {"order": {"status": "failed"}, "last_job": {"state": "stopped"}},
        {"checks": {"db": {"status": "up", "last_error": {"status": "failed"}}}},
        {"components": {"disk": {"status": "UP", "details": {"exists": False, "mode": "offline"}}}},
        {"components": {"discovery": {"status": "UNKNOWN"}}},
        {"services": {"beta": False}, "dependencies": {"optional": False}},
        {"checks": 3, "components": None, "details": "down", "services": ["down"]},
        {"checks": {"db": {"status": "ok", "latency": "bad"}}, "checks.db.mode": "offline"},
    ],
)
async def test_what_is_no_part_raises_no_alarm(said: Any, tmp_path: Path) -> None:
    """Fields that are called so elsewhere, and what a part tells of itself, say nothing."""
    service = Service()
    service.told["health"] = {"status": "ok", **said}
    async with serving(service), detecting(tmp_path) as detect:
        report = await detect(service.url, checks=ONLY_HEALTH)
    assert (codes(report), str(report.outcome)) == ([], "pass")


async def test_parts_without_end_are_looked_at_within_limits(tmp_path: Path) -> None:
    """Depth and number are limited; nothing breaks."""
    deep: dict[str, Any] = {"status": "down"}
    for _ in range(40):
        deep = {"status": "ok", "checks": {"a": deep}}
    service = Service()
    async with serving(service), detecting(tmp_path) as detect:
        service.told["health"] = deep
        far = await detect(service.url, checks=ONLY_HEALTH)
        service.told["health"] = {"checks": {str(each): "ok" for each in range(2_000)}}
        many = await detect(service.url, checks=ONLY_HEALTH)
    assert (codes(far), codes(many)) == ([], [])


async def test_a_service_without_health_is_unchecked_only_if_it_was_asked(tmp_path: Path) -> None:
    """Nobody asked: absent. Demanded: unchecked. A path that was named and is not there: drift."""
    service = Service()
    del service.routes["GET", "/health"]
    async with serving(service), detecting(tmp_path) as detect:
        implied = await detect(service.url, checks=ONLY_HEALTH)
        demanded = await detect(service.url, checks={**ONLY_HEALTH, "health": True})
        named = await detect(service.url, checks=ONLY_HEALTH, health=["/health"])
        await service.stop()
        down = await detect(service.url, checks=ONLY_HEALTH)
    assert (unsure(implied), [*implied.absent], str(implied.outcome)) == (
        [],
        ["health"],
        "inconclusive",
    )
    assert (unsure(demanded), str(demanded.outcome)) == ([("health", "health")], "inconclusive")
    assert codes(named) == [("health-failing", "/health")]
    assert codes(down) == [("health-unreachable", "/health")]


def _repository(folder: Path, *tags: str) -> str:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(
            ["git", "-C", str(folder), *identity, *words],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    for tag in tags:
        git("tag", tag)
    return git("rev-parse", "HEAD")


async def test_the_version_is_compared_with_the_commit(tmp_path: Path) -> None:
    """Whole or short, wherever it stands in the answer; another one is drift."""
    commit = _repository(tmp_path)
    service = Service()
    async with serving(service), detecting(tmp_path) as detect:
        service.told["version"] = {"build": {"commit": commit[:10], "date": "20261121"}}
        same = await detect(service.url, checks=ONLY_VERSION)
        service.told["version"] = f"release-{'0abcdef' * 2}"
        other = await detect(service.url, checks=ONLY_VERSION)
        service.told["version"] = {"date": "20261121"}
        untold = await detect(service.url, checks=ONLY_VERSION)
    assert (codes(same), same.checked) == ([], {"version": 1})
    assert codes(other) == [("version-differs", "/version")]
    assert other.items[0].facts["expected"] == commit
    assert unsure(untold) == [("version", "/version")]


async def test_the_version_may_be_a_tag(tmp_path: Path) -> None:
    """With or without its v."""
    _repository(tmp_path, "v1.4.2")
    service = Service()
    async with serving(service), detecting(tmp_path) as detect:
        service.told["version"] = {"version": "1.4.2"}
        same = await detect(service.url, checks=ONLY_VERSION)
        service.told["version"] = {"version": "1.4.1"}
        other = await detect(service.url, checks=ONLY_VERSION)
    assert (codes(same), same.checked) == ([], {"version": 1})
    assert codes(other) == [("version-differs", "/version")]


async def test_a_version_that_cannot_be_compared_is_unchecked(tmp_path: Path) -> None:
    """No repository, or nobody who tells; and it is not compared unless somebody asks."""
    service = Service()
    async with serving(service), detecting(tmp_path) as detect:
        bare = await detect(service.url, checks=ONLY_VERSION)
        _repository(tmp_path)
        del service.routes["GET", "/version"]
        await service.start()
        silent = await detect(service.url, checks=ONLY_VERSION)
        usual = await detect(service.url)
    assert (unsure(bare), unsure(silent)) == ([("version", "version")], [("version", "version")])
    assert "version" not in usual.checked


async def test_a_page_for_every_path_says_nothing_of_health(tmp_path: Path) -> None:
    """It is no health endpoint, and makes up for none that fails."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>the app</html>", content_type="text/html")

    async def fails(_: web.Request) -> web.Response:
        return web.Response(status=503)

    service = Service()
    del service.routes["GET", "/health"]
    service.routes["GET", "/{path:.*}"] = page
    async with serving(service), detecting(tmp_path) as detect:
        absent = await detect(service.url, checks=ONLY_HEALTH)
        named = await detect(service.url, checks=ONLY_HEALTH, health=["/status"])
        first = await detect(service.url, checks=ONLY_HEALTH, health=["/"])
        service.routes = {("GET", "/health"): fails, **service.routes}
        await service.start()
        failing = await detect(service.url, checks=ONLY_HEALTH)
    assert (codes(absent), [*absent.absent], str(absent.outcome)) == (
        [],
        ["health"],
        "inconclusive",
    )
    assert unsure(named) == [("health", "health")]
    assert str(first.outcome) == "pass"
    assert codes(failing) == [("health-failing", "/health")]
