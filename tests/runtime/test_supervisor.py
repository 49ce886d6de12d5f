"""Services are kept up: started, probed, restarted within an intensity, given up loudly."""

import logging
from pathlib import Path

import pytest

from oneiric.config import load_config
from oneiric.core.activity import Activity, ActivityState
from oneiric.core.candidate import Candidate
from oneiric.errors import NotFoundError, PausedError
from oneiric.runtime.settings import SECTIONS
from oneiric.runtime.supervision import ServiceState
from tests.runtime.pens import events
from tests.runtime.supervised import (
    ALONE,
    MILL,
    POLL,
    QUICK,
    SHOP,
    Bench,
    Machine,
    supervised,
    supervising,
)

# -- starting -----------------------------------------------------------------------------


async def test_services_are_started_after_what_they_require(tmp_path: Path) -> None:
    """Adapters come with the services that require them, and only those."""
    needs = {"oak": {"mill": MILL}, "steam": {"fuel": "adapter:fuel"}}
    offers = (("shop@oak", 0), ("mill@steam", 0), ("adapter:fuel@coal", 0), ("adapter:lamp@oil", 0))
    async with supervised(tmp_path, offers=offers, requires=needs) as bench:
        assert bench.faults.order == ["coal", "steam", "oak"]
        assert [bench.stands(ref).state for ref in (MILL, SHOP)] == [ServiceState.SERVING] * 2
        assert (bench.told(MILL), bench.told(SHOP)) == (["started"], ["started"])
        assert bench.runtime.lifecycle.status("adapter:lamp").generation == 0


async def test_an_adapter_that_does_not_come_up_stops_only_who_needs_it_to_start(
    tmp_path: Path,
) -> None:
    """Links are used when there is work; whether that can wait is the service's to say."""
    needs = {"steam": {"fuel": "adapter:fuel"}}
    bench = Bench(tmp_path, offers=(("mill@steam", 0), ("adapter:fuel@coal", 0)), requires=needs)
    bench.faults.of["coal"].add("start")
    async with supervising(bench):
        assert bench.stands().state is ServiceState.SERVING


async def test_what_is_not_kept_up_is_looked_after_once_somebody_brought_it_up(
    tmp_path: Path,
) -> None:
    """It is not started, and it is restarted like any other."""
    text = QUICK + "[runtime_supervisor.services.mill]\nkeep_up = false\nunhealthy_after = 1\n"
    async with supervised(tmp_path, text=text) as bench:
        await bench.later(30)
        assert (bench.stands().state, bench.faults.made["steam"]) == (ServiceState.IDLE, 0)

        await bench.runtime.lifecycle.activate(MILL)
        await bench.later()
        assert bench.told() == ["started"]
        bench.crash()
        await bench.until(bench.has_made("steam", 2))
        assert bench.told() == ["unhealthy", "restarting", "restarted"]


async def test_a_service_that_is_offered_later_is_started_then(tmp_path: Path) -> None:
    """And one that is offered no more is watched no more."""
    async with supervised(tmp_path) as bench:
        bench.runtime.resolver.register(bench.offer("shop@oak"))
        await bench.later()
        assert bench.stands(SHOP).state is ServiceState.SERVING
        bench.runtime.resolver.withdraw(SHOP)
        await bench.later()
        assert [each.ref for each in bench.supervisor.status().services] == [MILL]


async def test_one_that_does_not_start_is_tried_again_and_then_given_up_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One start and three restarts, with waits that grow; then an error, and the status."""
    caplog.set_level(logging.INFO, "oneiric")
    bench = Bench(tmp_path, text=QUICK)
    bench.faults.of["steam"].add("start")
    async with supervising(bench):
        assert bench.stands().state is ServiceState.WAITING
        assert bench.stands().reason == "init: OSError: no steam"
        assert str(bench.stands().next_attempt_at) == "2026-01-01 00:00:01+00:00"
        await bench.later(600)
        assert bench.faults.made["steam"] == 4

    counted = bench.runtime.metrics.value
    assert counted("oneiric_supervisor_restarts_total", domain="service", key="mill") == 3
    restarting = [each for each in bench.heard if each.kind == "restarting"]
    assert [(each.at - restarting[0].at).seconds for each in restarting] == [0, 2, 6]
    assert bench.told() == ["restarting"] * 3 + ["gave-up"]
    (given_up,) = events(caplog, "service-given-up")
    assert (given_up["levelno"], given_up["key"]) == (logging.ERROR, "mill")
    assert (given_up["restarts"], given_up["reason"]) == (3, "init: OSError: no steam")
    status = bench.supervisor.status()
    assert (status.ok, status.given_up) == (False, (MILL,))
    assert bench.stands().next_attempt_at is None


# -- restarting ---------------------------------------------------------------------------


async def test_an_unhealthy_one_is_restarted_new_before_old(tmp_path: Path) -> None:
    """After so many probes in a row, and not after one less."""
    async with supervised(tmp_path, text=QUICK) as bench:
        (old,) = bench.faults.up
        bench.crash()
        await bench.later(1)
        assert bench.stands().state is ServiceState.UNHEALTHY
        assert (bench.stands().failed_probes, bench.stands().next_attempt_at) == (1, None)
        await bench.later(1)
        assert bench.stands().next_attempt_at is not None
        assert (bench.faults.made["steam"], old.ended) == (1, False)

        bench.faults.of["steam"].add("start")
        await bench.later(1)
        assert (bench.faults.made["steam"], old.ended) == (2, False)
        bench.faults.of["steam"].clear()
        await bench.until(bench.has_made("steam", 3))
        assert (old.ended, bench.stands().state) == (True, ServiceState.SERVING)
        assert bench.stands().generation == 3
        assert bench.told()[1:] == ["unhealthy", "restarting", "restarting", "restarted"]


async def test_one_that_is_well_again_in_time_is_not_restarted(tmp_path: Path) -> None:
    """Not even when its restart was due already."""
    text = QUICK.replace("backoff_seconds = 1", "backoff_seconds = 10")
    async with supervised(tmp_path, text=text) as bench:
        bench.faults.of["steam"].add("health")
        await bench.later(2)
        assert bench.stands().next_attempt_at is not None
        bench.faults.of["steam"].clear()
        await bench.later(60)
        assert (bench.faults.made["steam"], bench.stands().restarts) == (1, 0)
        assert bench.told() == ["started", "unhealthy", "recovered"]


async def test_a_failed_probe_after_a_good_one_begins_a_row_anew(tmp_path: Path) -> None:
    """Only failures in a row count."""
    async with supervised(tmp_path, text=QUICK) as bench:
        for _ in range(20):
            bench.faults.of["steam"] ^= {"health"}
            await bench.later(1)
        assert bench.faults.made["steam"] == 1


async def test_giving_one_up_stops_no_other(tmp_path: Path) -> None:
    """Each has its own count and its own task, also one that hangs."""
    async with supervised(
        tmp_path, text=QUICK, offers=(("mill@steam", 0), ("shop@oak", 0), ("inn@ale", 0))
    ) as bench:
        bench.faults.of["steam"].add("health")
        await bench.until(lambda: bench.stands(MILL).is_given_up)
        bench.crash("oak")
        await bench.until(bench.has_made("oak", 2))
        assert bench.stands("service:inn").state is ServiceState.SERVING
        assert bench.supervisor.status().given_up == (MILL,)


async def test_the_count_ends_with_a_quiet_window(tmp_path: Path) -> None:
    """What crashes rarely is restarted for ever, each time after the first wait."""
    async with supervised(tmp_path, text=QUICK) as bench:
        for crash in range(1, 9):
            bench.crash()
            took = await bench.until(bench.has_made("steam", crash + 1))
            assert took <= 2 * 1.0 + 1.0 + 2 * POLL
            await bench.later(70)
            assert bench.stands().restarts == 0


# -- given up, and not any more ----------------------------------------------------------


async def given_up(bench: Bench) -> None:
    """Have the mill given up, which would be well now."""
    bench.faults.of["steam"].add("health")
    await bench.until(lambda: bench.stands().is_given_up)
    bench.faults.of["steam"].clear()
    bench.crash()
    bench.told()
    made = bench.faults.made["steam"]
    await bench.later(200)
    assert (bench.faults.made["steam"], bench.stands().is_given_up) == (made, True)


@pytest.mark.parametrize("how", ["reset", "resume", "swap", "settings", "offer", "selection"])
async def test_a_given_up_one_is_tried_again_when_something_is_new(
    how: str, tmp_path: Path
) -> None:
    """Somebody reset, resumed or swapped it, or the configuration or the offers changed."""
    async with supervised(tmp_path, text=QUICK) as bench:
        runtime = bench.runtime
        await given_up(bench)
        match how:
            case "reset":
                assert bench.supervisor.reset(MILL).restarts == 0
            case "resume":
                await runtime.lifecycle.pause(MILL)
                await bench.later()
                await runtime.lifecycle.resume(MILL)
            case "swap":
                await runtime.lifecycle.swap(MILL)
            case "settings":
                runtime.resolver.register(Candidate(MILL, "steam", Machine, version="2"))
            case "offer":
                runtime.resolver.register(bench.offer("mill@water", -1))
            case "selection":
                (tmp_path / "oneiric.toml").write_text(
                    f"{QUICK}[services.selections]\nmill = 'steam'\n{ALONE}"
                )
                runtime.reload(load_config(SECTIONS, folder=tmp_path))
        await bench.later()
        assert not bench.stands().is_given_up
        if how != "settings":
            await bench.until(lambda: not any(each.crashed for each in bench.faults.up), limit=20)


async def test_a_given_up_one_that_somebody_brings_up_serves_and_counts_on(tmp_path: Path) -> None:
    """A caller may do so; the restarts within the window are not forgotten for that."""
    bench = Bench(tmp_path, text=QUICK)
    bench.faults.of["steam"].add("start")
    async with supervising(bench):
        await bench.until(lambda: bench.stands().is_given_up)
        bench.faults.of["steam"].clear()
        async with bench.runtime.lifecycle.use(MILL):
            pass
        await bench.later()
        assert (bench.stands().state, bench.stands().restarts) == (ServiceState.SERVING, 3)
        bench.crash()
        await bench.until(lambda: bench.stands().is_given_up)


async def test_what_is_reset_must_be_there(tmp_path: Path) -> None:
    """Another domain, or a misspelt key, is an error."""
    bench = Bench(tmp_path)
    for ref in ("service:mil", "adapter:cache"):
        with pytest.raises(NotFoundError):
            bench.supervisor.reset(ref)
    assert bench.supervisor.reset(f"{MILL}@steam").ref == MILL


# -- quarantine and failover ----------------------------------------------------------------


async def test_another_provider_serves_while_one_is_in_quarantine(tmp_path: Path) -> None:
    """The lifecycle fails over at the third probe; there is nothing to restart."""
    text = "[runtime_supervisor]\nprobe_interval = 1\n[lifecycle]\nquarantine_seconds = 30\n"
    offers = (("mill@steam", 1), ("mill@water", 0))
    async with supervised(tmp_path, text=text, offers=offers) as bench:
        bench.faults.of["steam"].add("health")
        await bench.until(lambda: bench.stands().provider == "water")
        await bench.later()
        assert (bench.stands().state, bench.stands().restarts) == (ServiceState.SERVING, 0)
        assert bench.told() == ["started", "unhealthy", "recovered"]
        bench.faults.of["steam"].clear()
        await bench.until(lambda: bench.stands().provider == "steam")
        await bench.later(5)
        assert (bench.stands().state, bench.told()) == (ServiceState.SERVING, [])


async def test_while_nobody_may_serve_no_restart_is_tried_or_counted(tmp_path: Path) -> None:
    """The only provider is in quarantine: the old instance serves on until that is over."""
    text = "[runtime_supervisor]\nprobe_interval = 1\n[lifecycle]\nquarantine_seconds = 50\n"
    async with supervised(tmp_path, text=text) as bench:
        bench.crash()
        await bench.later(40)
        stands = bench.stands()
        assert (bench.faults.made["steam"], stands.restarts) == (1, 0)
        assert (stands.state, stands.generation) == (ServiceState.UNHEALTHY, 1)
        assert stands.reason == "it has stopped"
        assert stands.waits_for == "no candidate may serve service:mill"
        await bench.until(bench.has_made("steam", 2))
        assert (bench.stands().state, bench.stands().restarts) == (ServiceState.SERVING, 1)


# -- pausing and draining -------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["pause", "drain"])
async def test_what_is_paused_or_drains_is_left_alone_until_it_is_resumed(
    verb: str, tmp_path: Path
) -> None:
    """It is not probed, not restarted, not given up; afterwards it is looked after again."""
    state = {"pause": ServiceState.PAUSED, "drain": ServiceState.DRAINING}[verb]
    async with supervised(tmp_path, text=QUICK) as bench:
        bench.crash()
        await bench.later(2)
        await getattr(bench.runtime.lifecycle, verb)(MILL, note="audit", actor="ada")
        assert (bench.stands().state, bench.stands().next_attempt_at) == (state, None)
        await bench.later(100)
        assert (bench.faults.made["steam"], bench.stands().restarts) == (1, 0)
        assert bench.told() == ["started", "unhealthy", str(state)]

        await bench.runtime.lifecycle.resume(MILL)
        await bench.until(bench.has_made("steam", 2))
        assert bench.told() == ["resumed", "unhealthy", "restarting", "restarted"]


async def test_what_is_paused_from_the_beginning_is_not_started(tmp_path: Path) -> None:
    """Not before it is resumed, and then without a wait."""
    bench = Bench(tmp_path, text=QUICK)
    bench.runtime.lifecycle.hold_off(MILL, Activity(ActivityState.PAUSED))
    async with supervising(bench):
        await bench.later(10)
        assert bench.faults.made["steam"] == 0
        await bench.runtime.lifecycle.resume(MILL)
        await bench.later()
        assert bench.told() == ["paused", "resumed", "started"]


async def test_one_that_fails_because_what_it_requires_is_paused_is_not_restarted(
    tmp_path: Path,
) -> None:
    """Whoever pauses a database does not want its services given up."""
    needs = {"steam": {"fuel": "adapter:fuel"}}
    offers = (("mill@steam", 0), ("adapter:fuel@coal", 0))
    async with supervised(tmp_path, text=QUICK, offers=offers, requires=needs) as bench:
        await bench.runtime.lifecycle.pause("adapter:fuel")
        bench.faults.of["steam"].add("health")
        await bench.later(100)
        assert (bench.faults.made["steam"], bench.stands().failed_probes) == (1, 0)
        await bench.runtime.lifecycle.resume("adapter:fuel")
        await bench.until(bench.has_made("steam", 2))


async def test_a_paused_offer_leaves_its_place_to_the_next_best(tmp_path: Path) -> None:
    """Or to nobody, who is waited for without counting."""
    async with supervised(tmp_path, offers=(("mill@steam", 1),)) as bench:
        await bench.runtime.lifecycle.pause(f"{MILL}@steam")
        await bench.later(100)
        assert (bench.stands().state, bench.stands().restarts) == (ServiceState.WAITING, 0)
        bench.runtime.resolver.register(bench.offer("mill@water"))
        await bench.later()
        assert (bench.stands().state, bench.stands().provider) == (ServiceState.SERVING, "water")


async def test_defect_oneiric_a1_a_pause_holds_between_two_looks(tmp_path: Path) -> None:
    """What is due at the next look is not done, though the supervisor has not looked since."""
    async with supervised(tmp_path, text=QUICK) as bench:
        bench.crash()
        await bench.until(lambda: bench.stands().next_attempt_at is not None)
        await bench.later(POLL)
        await bench.runtime.lifecycle.pause(MILL)
        with pytest.raises(PausedError):
            async with bench.runtime.lifecycle.use(MILL):
                pass
        assert bench.stands().state is ServiceState.PAUSED
        await bench.later(10)
        assert bench.faults.made["steam"] == 1
