"""Baselines: what production was like, and what has changed since."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import NotFoundError, OneiricError
from oneiric.ports.errors import UnavailableError
from oneiric.validation.drift.baseline import Baseline, Baselines
from oneiric.validation.drift.config import changes
from tests.validation.drift.service import (
    Service,
    codes,
    detector_in,
    keep_contract,
    serving,
    unsure,
)

ONLY_CONFIG = {"routes": False, "schema": False, "health": False}
CONFIG: dict[str, Any] = {
    "pool": {"size": 5},
    "flags": ["a"],
    "database": "postgres://me:s3cr3t@db/x",
    "api_key": "s3cr3t",
}


def _asked(service: Service, folder: Path, **more: Any) -> dict[str, Any]:
    return {"prod_url": service.url, "repo_path": str(folder), "config": ["/config"], **more}


async def test_a_later_difference_at_the_same_place_is_not_accepted(tmp_path: Path) -> None:
    """Who accepts that a value is another one accepts that one, and no further."""
    service = Service()
    service.told["config"] = {"debug": False}
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path, checks=ONLY_CONFIG)
        await detector.record(asked)
        service.told["config"] = {"debug": "a little"}
        await detector.accept(asked)
        accepted = await detector.detect(asked)
        service.told["config"] = {"debug": True}
        later = await detector.detect(asked)
    assert (codes(accepted), accepted.ignored) == ([], 1)
    assert codes(later) == [("config-changed", "/config $.debug")]


async def test_configuration_is_compared_with_what_was_recorded(tmp_path: Path) -> None:
    """Each value that changed is told by its path, until it is as before or somebody accepts it."""
    service = Service()
    service.told["config"] = CONFIG
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path, checks=ONLY_CONFIG)
        await detector.record(asked)
        same = await detector.detect(asked)
        service.told["config"] = {**CONFIG, "pool": {"size": 50}, "flags": [], "new": 1}
        service.headers = {}
        changed = await detector.detect(asked)
        await detector.accept(asked)
        accepted = await detector.detect(asked)
        service.told["config"] = CONFIG
        service.headers = {"X-Frame-Options": "DENY"}
        repaired = await detector.detect(asked)
    assert (codes(same), same.checked, str(same.outcome)) == ([], {"config": 2}, "pass")
    assert codes(changed) == [
        ("config-removed", "/config $.flags[0]"),
        ("config-changed", "/config $.pool.size"),
        ("header-removed", "header x-frame-options"),
        ("config-added", "/config $.new"),
    ]
    assert (codes(accepted), accepted.ignored, accepted.has_drift) == ([], 4, False)
    assert codes(repaired) == []


async def test_a_baseline_keeps_no_secrets_and_is_its_owners_alone(tmp_path: Path) -> None:
    """Neither in the file nor in a report; what is masked is equal to what is masked."""
    keep_contract(tmp_path)
    service = Service()
    service.told["config"] = CONFIG
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path, headers={"Authorization": "Bearer s3cr3t-token"})
        await detector.record(asked)
        service.told["config"] = {**CONFIG, "api_key": "0ther-s3cr3t", "database": "sqlite:///x"}
        report = await detector.detect(asked)
    (file,) = (tmp_path / ".oneiric_cache" / "baselines").iterdir()
    assert file.name == "default.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "s3cr3t" not in file.read_text()
    assert "s3cr3t" not in json.dumps(report.as_json())
    assert codes(report) == [("config-changed", "/config $.database")]


async def test_without_a_contract_the_baseline_tells_routes_and_schema(tmp_path: Path) -> None:
    """What was served once has to be served still."""
    service = Service()
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path, config=[])
        baseline = await detector.record(asked)
        same = await detector.detect(asked)
        del service.routes["GET", "/users"]
        assert service.contract is not None
        del service.contract["paths"]["/me"]
        await service.start()
        broken = await detector.detect(asked)
    assert {(each.method, each.path, each.status) for each in baseline.routes} == {
        ("GET", "/users", 200),
        ("POST", "/users", 0),
        ("GET", "/users/{id}", 200),
        ("DELETE", "/users/{id}", 0),
        ("GET", "/me", 401),
    }
    assert baseline.health == "/health"
    assert (codes(same), unsure(same)) == ([], [])
    assert {item.kind for item in broken.items} == {"route", "openapi"}
    assert ("route-status", "GET /users") in codes(broken)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_route_that_is_named_is_recorded_besides_those_of_the_contract(
    is_kept: bool, tmp_path: Path
) -> None:
    """Naming one drops none, whether the repository has the contract or production serves it."""
    service = Service()
    if is_kept:
        keep_contract(tmp_path)
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path, config=[])
        alone = await detector.record(asked)
        more = await detector.record({**asked, "routes": ["/health", "GET /users"]})

    found = {(each.method, each.path) for each in more.routes}
    assert found == {*((each.method, each.path) for each in alone.routes), ("GET", "/health")}


async def test_a_baseline_that_is_asked_for_and_not_there_is_unchecked(tmp_path: Path) -> None:
    """Absent where nobody asked; unchecked where it was named, demanded or is broken."""
    service = Service()
    async with serving(service), detector_in(tmp_path) as detector:
        base = _asked(service, tmp_path, config=[], checks=ONLY_CONFIG)
        implied = await detector.detect(base)
        named = await detector.detect({**base, "baseline": "before"})
        demanded = await detector.detect({**base, "checks": {**ONLY_CONFIG, "config": True}})
        folder = tmp_path / ".oneiric_cache" / "baselines"
        folder.mkdir(parents=True)
        (folder / "default.json").write_text('{"schema": "oneiric.baseline/9"}')
        broken = await detector.detect(base)
    assert (unsure(implied), [*implied.absent]) == ([], ["config"])
    for report in (named, demanded, broken):
        assert (unsure(report), str(report.outcome)) == ([("config", "config")], "inconclusive")


async def test_nothing_is_recorded_of_a_service_that_does_not_answer(tmp_path: Path) -> None:
    """Neither is a difference accepted without a baseline."""
    service = Service()
    async with serving(service), detector_in(tmp_path) as detector:
        asked = _asked(service, tmp_path)
        with pytest.raises(NotFoundError):
            await detector.accept(asked)
        with pytest.raises(NotFoundError):
            await detector.show()
        await service.stop()
        with pytest.raises(UnavailableError):
            await detector.record(asked)
    assert not (tmp_path / ".oneiric_cache").exists()


def test_baselines_are_kept_by_names_that_name_a_file_here(tmp_path: Path) -> None:
    """Written whole, read back the same, listed; no name leads out."""
    baselines = Baselines(tmp_path / "kept")
    one = Baseline(name="one", at="2026-11-20T09:30:00.000000Z", prod_url="https://example.com")
    path = baselines.write(one)
    assert (baselines.read("one"), baselines.names()) == (one, ["one"])
    assert path.read_bytes().startswith(b'{"accepted":[]')
    with pytest.raises(NotFoundError, match="no baseline ono") as missing:
        baselines.read("ono")
    assert missing.value.hint == "did you mean one?"
    for name in ("../one", "", "a/b"):
        with pytest.raises(OneiricError):
            baselines.read(name)


def test_true_and_one_are_two_values() -> None:
    """JSON tells them apart, though Python does not."""
    assert [each.how for each in changes({"a": True}, {"a": 1})] == ["changed"]
    assert list(changes({"a": 1}, {"a": 1.0})) == []
