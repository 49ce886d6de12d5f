"""`health` where an orchestrator runs."""

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
