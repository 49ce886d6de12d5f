"""`health` where an orchestrator runs."""

import json
from pathlib import Path

from tests.cli.calls import Call, document
from tests.control.house import House


def test_promise_c1_health_is_probed_where_one_runs(shared: House, live: Call) -> None:
    """What is up in it is asked, and nothing is brought up; what is not well ends it with 1."""
    shared.asked().ask("swap", {"ref": "service:lamp", "provider": "gas"})
    well = document(live("health", "--probe", "--json"))
    shared.asked().ask("swap", {"ref": "service:beacon", "provider": "dim"})
    code, out, _ = live("health", "--probe")

    asked = {each["ref"]: (each["provider"], each["healthy"]) for each in well["probes"]}
    assert (well["applied"], well["healthy"]) == ("live", True)
    assert asked["service:lamp"] == ("gas", True)
    assert code == 1
    assert "problem: service:beacon is unhealthy" in out


def test_promise_c1_health_is_what_the_one_that_runs_says_now(shared: House, live: Call) -> None:
    """Not what its file said last: here it wrote none."""
    found = document(live("health", "--json"))

    assert shared.child is not None
    assert (found["applied"], found["probes"]) == ("live", None)
    assert found["runtime"]["orchestrator_pid"] == shared.child.process.pid
    assert found["runtime"]["stale"] is None


def publish(folder: Path, version: int, *keys: str) -> None:
    """Have the manifest of the site offer a cache for each of *keys*."""
    entry = {
        "domain": "adapter",
        "provider": "site",
        "factory": "oneiric.adapters.cache.memory:MemoryCache",
        "version": "1",
    }
    manifest = {
        "schema": "oneiric.manifest/2",
        "name": "site",
        "version": version,
        "issued": "2025-01-01T00:00:00Z",
        "expires": "2099-01-01T00:00:00Z",
        "entries": [{**entry, "key": key} for key in keys],
    }
    (folder / "site.json").write_text(json.dumps(manifest))


def test_defect_what_serves_though_nobody_offers_it_is_shown_and_asked(
    house: House, here: Call
) -> None:
    """An orphan is up like everything else: `status` has a row for it, `health` probes it."""
    (house.folder / "oneiric.toml").write_text("[remote.sources.site]\nuri = 'site.json'\n")
    publish(house.folder, 1, "desk", "shelf")
    house.start()
    asked = house.asked()
    asked.ask("remote-sync", {})
    asked.ask("swap", {"ref": "adapter:shelf", "provider": "site"})
    asked.ask("swap", {"ref": "adapter:shelf", "clear": True})
    publish(house.folder, 2, "desk")
    synced = asked.ask("remote-sync", {})

    rows = {each["ref"]: each for each in document(here("status", "--json"))["status"]}
    services = document(here("status", "--domain", "service", "--json"))["status"]
    probes = document(here("health", "--probe", "--json"))["probes"]

    assert "orphaned: adapter:shelf" in synced.text
    row = rows["adapter:shelf"]
    assert (row["state"], row["provider"], row["winner"], row["candidates"]) == (
        "ready",
        "site",
        None,
        0,
    )
    assert list(rows) == sorted(rows)
    assert {each["ref"].partition(":")[0] for each in services} == {"service"}
    assert ("adapter:shelf", True) in [(each["ref"], each["healthy"]) for each in probes]
    assert "adapter:shelf" in here("status", "--domain", "adapter")[1]
