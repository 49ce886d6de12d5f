"""Every command line of the product's brief, from a fresh checkout, does what is said of it.

Five checkouts at once, each with the commands that belong together, one after another.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.acceptance.brief import Checkout, Command, fine, plain
from tests.acceptance.brief_lanes import (
    AGAIN,
    BARE,
    CLOUD,
    DAG,
    EMIT,
    ENQUEUE,
    EVENTS,
    FULFILMENT,
    HEALTH,
    LANES,
    MAIN,
    NOTIFY,
    PACK,
    PLAN,
    QUICK,
    RUN,
    SERVE,
    STEPS,
    SUPERVISOR,
    WATCH,
    named,
)
from tests.acceptance.commands import ROOT

pytestmark = pytest.mark.timeout(600)  # the first waits for all that is run, on a busy machine

Lane: TypeAlias = Callable[[str], Checkout]


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """Have everything run at once; give what returns a checkout when its commands are through."""

    def through(does: Callable[[Checkout], None], folder: Path) -> Checkout:
        checkout = Checkout(folder)
        does(checkout)
        return checkout

    with ThreadPoolExecutor(len(LANES)) as pool:
        begun: dict[str, Future[Checkout]] = {
            does.__name__: pool.submit(
                through, does, tmp_path_factory.mktemp(does.__name__[:8]) / "oneiric"
            )
            for does in LANES
        }
        yield lambda name: begun[name].result()


@pytest.fixture
def looked(lane: Lane) -> Checkout:
    return lane("look")


@pytest.fixture
def worked(lane: Lane) -> Checkout:
    return lane("work")


@pytest.fixture
def served(lane: Lane) -> Checkout:
    return lane("serve")


@pytest.fixture
def serverless(lane: Lane) -> Checkout:
    return lane("go_without_servers")


@pytest.fixture
def controlled(lane: Lane) -> Checkout:
    return lane("control")


# -- the quick start ----------------------------------------------------------------------


def test_no_command_of_the_brief_is_left_out(lane: Lane) -> None:
    """Each of its lines was run, and ended with 0."""
    said = {}
    for does in LANES:
        said.update({line: done.code for line, done in lane(does.__name__).said.items()})
    assert {line: said[line] for line in (*QUICK, *CLOUD)} == dict.fromkeys((*QUICK, *CLOUD), 0)
    assert (len(QUICK), len(CLOUD)) == (12, 4)


def test_defect_oneiric_cli_the_demonstration_runs(controlled: Checkout) -> None:
    """`main.py`: sources, decisions, swaps under load, and not one call failed."""
    out = fine(controlled, MAIN).out

    assert re.search(r"^ +20 from manifest:sample 1 \(unsigned\)$", out, re.MULTILINE)
    assert re.search(r"^swap +adapter:cache +memory -> files ", out, re.MULTILINE)
    assert re.search(r"^[\d,]+ calls .+, 0 failed$", out, re.MULTILINE)
    assert "all of it held" in out


def test_defect_oneiric_cli_list_shows_who_serves_in_words_and_json(looked: Checkout) -> None:
    """`list`: adapters with their reasons, and every domain as a document; also who is shadowed."""
    lines = fine(looked, named("--demo list")).out.splitlines()
    rows = dict(line.split()[:2] for line in lines[1:])
    everything = plain(looked, "list --json")["components"]
    shadowed = plain(looked, "list --shadowed --json")["components"]

    assert {key: rows[f"adapter:{key}"] for key in ("cache", "queue", "secrets", "orders")} == {
        "cache": "memory",
        "queue": "sqlite",
        "secrets": "env",
        "orders": "book",
    }
    assert "priority 50 (plugin:oneiric " in lines[1]
    domains = {each["ref"].partition(":")[0] for each in everything}
    assert domains == {"adapter", "service", "task", "event", "workflow", "action"}
    assert "manifest:sample 1 (unsigned)" in {each["source"] for each in everything}
    assert {each["standing"] for each in shadowed} == {"shadowed"}
    assert ("adapter:cache", "redis") in {(each["ref"], each["provider"]) for each in shadowed}


def test_defect_oneiric_cli_explain_takes_a_key(looked: Checkout) -> None:
    """`explain status --domain service --key status`: who serves, and why not the other."""
    assert fine(looked, named("--demo explain")).out.splitlines() == [
        "service:status",
        "  selected  plain     priority 20",
        "  shadowed  counting  priority 10 is below 20",
    ]


@pytest.mark.parametrize("command", [DAG, PLAN], ids=["orchestrate --print-dag", "workflow plan"])
def test_defect_oneiric_cli_the_dag_of_a_workflow_is_shown(
    command: Command, looked: Checkout
) -> None:
    """Order of nodes, edges, queue, retries, checkpoints and hints for notifications."""
    found = plain(looked, command)
    summary = found["summary" if "summary" in found else "workflows"]
    summary = summary.get("summary", summary)[FULFILMENT]

    assert found.get("missing", found["workflows"].get("missing", [])) == []
    assert [node["id"] for node in summary["nodes"]] == STEPS
    assert summary["edges"] == [list(pair) for pair in pairwise(STEPS)]
    assert (summary["node_count"], summary["edge_count"]) == (5, 4)
    assert summary["entry_nodes"] == ["validate"]
    assert (summary["queue_category"], summary["queue_provider"]) == ("queue", "sqlite")
    assert summary["checkpoints"] == "each step"
    assert summary["notifications"] == {"channel": "orders", "on": ["failed", "succeeded"]}
    for node in summary["nodes"]:
        assert node["task"] == f"task:fastblocks.tasks.{node['id']}"
        assert (node["retry_policy"]["attempts"], node["retry_policy"]["on"]) == (
            3,
            ["UnavailableError"],
        )
    undone = {node["id"]: node["compensation"] for node in summary["nodes"] if node["compensation"]}
    assert undone == {
        "reserve": "task:fastblocks.tasks.release",
        "charge": "task:fastblocks.tasks.refund",
    }


def test_defect_oneiric_cli_the_handlers_of_events_are_shown(
    looked: Checkout, worked: Checkout
) -> None:
    """With topics, filters, fan-out and retries; and the last event, once there was one."""
    found = plain(looked, EVENTS)["events"]
    handlers = {each["name"]: each for each in found["handlers"]}
    created = handlers["fastblocks.order.created"]
    last = plain(worked, EVENTS)["events"]["last_event"]

    assert len(handlers) == 4
    assert created["topics"] == ["fastblocks.order.created"]
    assert created["filters"] == [{"path": "payload.region", "any_of": ["apac", "eu", "us"]}]
    assert (created["fanout_policy"], created["max_concurrency"]) == ("broadcast", 4)
    assert created["retry_policy"]["attempts"] == 3
    assert handlers["fastblocks.carrier.express"]["fanout_policy"] == "exclusive"
    assert found["last_event"] is None
    assert (last["topic"], last["matched_handlers"]) == ("fastblocks.order.created", 4)


def test_defect_oneiric_cli_a_local_manifest_is_followed(served: Checkout) -> None:
    """`remote-sync --watch` tells of its first look, goes on, and ends with 0 at SIGTERM."""
    assert fine(served, WATCH).err == ""
    assert re.match(
        r"\w+: sample 1 \(unsigned\): 0 added, 0 changed, 0 removed, 20 unchanged; \d+ ms\n",
        served.noted["watch"],
    )


def test_defect_oneiric_cli_what_was_synced_is_known_afterwards(served: Checkout) -> None:
    """`remote-status`: when, how many of each domain, and within which budget."""
    found = plain(served, "remote-status --json")

    assert found["last_source"] == "docs/sample_remote_manifest.yaml"
    assert (found["last_registered"], found["consecutive_failures"]) == (20, 0)
    assert found["last_per_domain"] == {
        "action": 1, "adapter": 3, "event": 4, "service": 1, "task": 9, "workflow": 2,
    }  # fmt: skip
    assert found["last_success_at"] > "2026"
    assert found["last_error"] == ""
    assert found["last_duration_ms"] > 0
    assert found["latency_budget_ms"] == 5000
    assert found["sources"]["sample"]["state"] == "fresh"


def test_defect_oneiric_cli_an_event_is_handled_by_who_matches(worked: Checkout) -> None:
    """`event emit --topic`: of two exclusive carriers the first declines, and the next takes it."""
    found = plain(worked, EMIT)
    outcomes = {each["handler"]: each["outcome"] for each in found["results"]}

    assert (found["topic"], found["matched_handlers"]) == ("fastblocks.order.created", 4)
    assert outcomes == {
        "fastblocks.order.created": "handled",
        "fastblocks.order.trail": "handled",
        "fastblocks.carrier.express": "declined",
        "fastblocks.carrier.standard": "handled",
    }
    for each in found["results"]:
        assert each["attempts"] == 1
        assert each["dead_letter"] is None
        assert each["success"] is (each["outcome"] == "handled")
        assert not each["success"] or each["value"]["order_id"] == "demo-123"


def test_defect_oneiric_cli_a_workflow_is_run(worked: Checkout) -> None:
    """`workflow run --workflow`: each step's result, made from that of the one before."""
    found = fine(worked, RUN).document
    results = found["results"]

    assert (found["workflow"], found["state"], found["error"]) == (FULFILMENT, "succeeded", None)
    assert found["steps"] == dict.fromkeys(STEPS, "succeeded")
    assert {result["order_id"] for result in results.values()} == {"demo-123"}
    assert [results[step]["status"] for step in STEPS] == [
        "already-placed", "reserved", "charged", "shipped", "notified",
    ]  # fmt: skip
    assert results["charge"]["amount_cents"] == results["validate"]["amount_cents"] > 0
    assert results["ship"]["tracking"] in results["notify"]["text"]
    assert [(each["target"], each["success"]) for each in found["notifications"]] == [
        ("orders", True)
    ]


def test_defect_oneiric_cli_a_workflow_goes_on_from_what_was_stored(worked: Checkout) -> None:
    """`--resume-checkpoint`: nothing was left unfinished, so it says that it begins anew."""
    said = fine(worked, AGAIN)
    found = said.document

    assert (found["state"], found["resumed"], found["checkpoints"]) == ("succeeded", False, True)
    assert found["run_id"] != fine(worked, RUN).document["run_id"]
    assert list(found["results"]) == STEPS
    assert "no run was left unfinished, so a new one was begun" in said.err.splitlines()


def test_defect_oneiric_cli_a_notification_is_sent(worked: Checkout) -> None:
    """`action-invoke workflow.notify --send-notification`: where it went, and by whom."""
    said = fine(worked, NOTIFY)
    sent = said.document["notification"]
    (outcome,) = sent["outcomes"]

    assert (sent["workflow"], sent["status"]) == (FULFILMENT, "sent")
    assert [(route["channel"], route["on"]) for route in sent["routes"]] == [
        ("orders", ["failed", "succeeded"])
    ]
    assert (outcome["target"], outcome["provider"], outcome["success"]) == ("deploys", "log", True)
    assert "'text': 'Deploy ready'" in said.err


def test_what_was_done_is_in_the_telemetry(worked: Checkout) -> None:
    """`runtime_telemetry.json` has the last event, workflow and action, with what each took."""
    first, after = worked.noted["telemetry"], worked.noted["after"]
    event, workflow = first["last_event"], first["last_workflow"]

    assert (event["topic"], event["matched_handlers"], event["failures"]) == (
        "fastblocks.order.created", 4, 0,
    )  # fmt: skip
    assert all(each["attempts"] == 1 and each["duration_ms"] > 0 for each in event["handlers"])
    assert workflow["run"] == fine(worked, RUN).document["run_id"]
    assert (workflow["workflow"], workflow["node_count"]) == (FULFILMENT, 5)
    assert [node["node"] for node in workflow["nodes"]] == STEPS
    assert all(node["duration_ms"] > 0 and node["attempts"] == 1 for node in workflow["nodes"])
    assert after["last_workflow"]["run"] == fine(worked, AGAIN).document["run_id"]
    assert after["last_event"] == event


def test_defect_oneiric_cli_the_orchestrator_serves_http(served: Checkout) -> None:
    """`orchestrate --http-port 8080` is ready, well, measured; at SIGTERM it ends with 0."""
    said = fine(served, SERVE)
    during, after = served.noted["health"], served.noted["last health"]

    assert f"http http://127.0.0.1:{served.noted['port']}" in served.noted["ready"]
    for path in ("healthz", "readyz"):
        status, body = served.noted[path]
        assert (status, json.loads(body)["ok"]) == (200, True)
    status, body = served.noted["metrics"]
    assert status == 200
    assert "oneiric_build_info{" in body
    assert "oneiric_http_requests_total{" in body
    assert served.noted["missing"][0] == 404
    assert (during["state"], during["watchers_running"], during["remote_enabled"]) == (
        "ready", True, True,
    )  # fmt: skip
    assert during["last_remote_registered"] == 20
    assert (after["state"], after["watchers_running"]) == ("stopped", False)
    assert said.err.endswith("orchestrator stopped\n")
    assert "config-rejected" not in served.noted["ready"] + said.err


def test_health_tells_of_the_orchestrator_that_runs(served: Checkout) -> None:
    """`health --json` beside it: its snapshot, and that everything is well."""
    found = fine(served, "health --json").document

    assert (found["healthy"], found["problems"]) == (True, [])
    assert found["runtime"]["state"] == "ready"
    assert f"pid {found['runtime']['orchestrator_pid']}," in served.noted["ready"]


def test_defect_oneiric_cli_verbs_reach_the_orchestrator_that_runs(served: Checkout) -> None:
    """`swap` and `secrets rotate` act there, and not in a process that ends at once."""
    swapped = plain(served, "swap cache --provider multitier --json")
    rotated = plain(served, "secrets rotate --keys k1,k2 --json")
    cache = served.noted["last health"]["lifecycle_state"]["adapter"]["cache"]

    assert (swapped["applied"], swapped["provider"]) == ("live", "multitier")
    assert cache["swaps"]["count"] == 1
    assert (rotated["applied"], rotated["keys"], rotated["failed"]) == ("live", ["k1", "k2"], [])


# -- serverless ---------------------------------------------------------------------------


def test_defect_oneiric_cli_a_manifest_is_packed_canonically(serverless: Checkout) -> None:
    """`manifest pack`: sorted, nothing between, every entry of the source, no more."""
    assert "20 entries" in fine(serverless, PACK).out
    packed = (serverless.folder / "build" / "serverless_manifest.json").read_text()
    found = json.loads(packed)

    assert packed == json.dumps(
        found, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).rstrip("\n")
    assert len(found["entries"]) == 20
    assert {entry["domain"] for entry in found["entries"]} == {
        "action", "adapter", "event", "service", "task", "workflow",
    }  # fmt: skip


def test_defect_oneiric_cli_supervisor_info_proves_the_profile(serverless: Checkout) -> None:
    """`supervisor-info --json`: what the profile switches, and the order of secrets' stores."""
    found = plain(serverless, SUPERVISOR)
    profile = found["profile"]

    assert profile["name"] == "serverless"
    assert {name: profile[name]["enabled"] for name in profile if name != "name"} == {
        "watchers": False,
        "remote": False,
        "inline_manifest_only": True,
        "supervisor": True,
    }
    assert {profile[name]["origin"] for name in profile if name != "name"} == {"profile serverless"}
    assert found["supervisor"] == {"enabled": True, "origin": "profile serverless"}
    assert [each["name"] for each in found["secrets"]["order"]] == ["env", "file"]


def test_defect_oneiric_cli_health_proves_a_manifest(serverless: Checkout) -> None:
    """`health --probe --manifest`: what was brought up and asked, and what is in the manifest."""
    found = fine(serverless, HEALTH).document
    (proof,) = found["manifests"]

    assert (found["healthy"], found["problems"]) == (True, [])
    assert found["profile"]["name"] == "serverless"
    assert found["secrets"]["provider"] == "env"
    assert ("service:order-desk", "shop", True) in {
        (each["ref"], each["provider"], each["healthy"]) for each in found["probes"]
    }
    assert (proof["path"], proof["proof"], proof["name"], proof["entries"]) == (
        "build/serverless_manifest.json", "unsigned", "sample", 20,
    )  # fmt: skip
    assert re.fullmatch("sha256:[0-9a-f]{64}", proof["digest"])


def test_defect_oneiric_cli_the_health_is_written_where_it_is_wanted(serverless: Checkout) -> None:
    """`orchestrate --no-remote --health-path`: ready without watchers, and stopped in the end."""
    pid, during = serverless.noted["health"]
    after = serverless.noted["last health"]

    assert fine(serverless, BARE).err.splitlines()[-1] == "orchestrator stopped"
    assert f"pid {pid}, http -" in serverless.noted["ready"]
    assert (during["orchestrator_pid"], during["state"]) == (pid, "ready")
    assert (during["watchers_running"], during["remote_enabled"]) == (False, False)
    assert (after["orchestrator_pid"], after["state"]) == (pid, "stopped")


def test_defect_oneiric_cli_the_procfile_starts(serverless: Checkout) -> None:
    """At all addresses, where anybody may ask whether it is ready, and nobody for more."""
    assert serverless.noted["procfile"] == (0, 200, 403)


def test_the_variables_of_a_deployment_are_heeded(serverless: Checkout) -> None:
    """Another file, the supervisor off, and another place for what is paused."""
    other = serverless.noted["other"].document
    there = serverless.noted["there"].document["domains"]["adapter"]["entries"]

    assert other["config"] == str(serverless.folder / "config" / "serverless.toml")
    assert other["supervisor"] == {
        "enabled": False,
        "origin": "ONEIRIC_RUNTIME_SUPERVISOR__ENABLED",
    }
    assert [(each["ref"], each["note"]) for each in there] == [("adapter:cache", "elsewhere")]
    assert (serverless.folder / "kept" / "activity.sqlite").exists()
    assert not (serverless.cache / "domain_activity.sqlite").exists()


def test_defect_oneiric_cli_the_systemd_unit_starts_and_reloads(lane: Lane) -> None:
    """Its line is ready, reads everything anew at SIGHUP, and ends with 0; systemd is told."""
    noted = lane("unit").noted

    assert "READY=1" in noted["start"]
    assert "RELOADING=1" in noted["reload"]
    assert "STOPPING=1" in noted["end"]
    assert noted["code"] == 0


# -- the map of commands ------------------------------------------------------------------


def test_looking_leaves_nothing_behind(looked: Checkout) -> None:
    """No command of the map that only looks writes a file, and each says something."""
    assert looked.noted["files"] == []
    for line, said in looked.said.items():
        assert (said.code, said.err) == (0, ""), line
        assert said.out.strip(), line


def test_status_tells_of_every_component(looked: Checkout, controlled: Checkout) -> None:
    """`status --json`: who would serve, and what takes no work."""
    found = {each["ref"]: each for each in plain(looked, "status --json")["status"]}
    later = {each["ref"]: each for each in plain(controlled, "status --json")["status"]}

    assert found["adapter:cache"]["winner"] == "memory"
    assert found[f"workflow:{FULFILMENT}"]["winner"] == "shop"
    assert {each["activity"]["state"] for each in found.values()} == {"active"}
    assert later["adapter:cache"]["activity"]["state"] == "paused"
    assert later["adapter:queue"]["activity"]["state"] == "draining"


def test_what_is_paused_takes_no_work_until_it_is_resumed(controlled: Checkout) -> None:
    """`pause`, `drain`, `activity`, `resume`: who, why, how many; a queue that drains refuses."""
    paused = controlled.noted["paused"].document
    (cache, queue) = paused["domains"]["adapter"]["entries"]
    (left,) = plain(controlled, "activity --json")["domains"]["adapter"]["entries"]
    refused = controlled.noted["refused"]

    assert plain(controlled, "pause cache --note maintenance --json")["takes_work"] is False
    assert (cache["ref"], cache["state"], cache["note"]) == (
        "adapter:cache", "paused", "maintenance",
    )  # fmt: skip
    assert cache["actor"]
    assert (queue["ref"], queue["state"]) == ("adapter:queue", "draining")
    assert (paused["totals"]["paused"], paused["totals"]["draining"]) == (1, 1)
    assert (refused.code, refused.document["error"]["code"]) == (3, "paused")
    assert plain(controlled, "resume cache --json")["takes_work"] is True
    assert left["ref"] == "adapter:queue"


def test_a_run_is_put_into_the_queue(worked: Checkout) -> None:
    """`workflow enqueue`: which run, by which message of which queue."""
    found = plain(worked, ENQUEUE)

    assert (found["workflow"], found["queue_provider"]) == (FULFILMENT, "sqlite")
    assert found["run_id"]
    assert (worked.cache / "queue.sqlite").exists()


def test_defect_oneiric_cli_a_swap_holds_in_the_next_process(controlled: Checkout) -> None:
    """`swap` claims nothing about components that it did not bring up."""
    swapped = plain(controlled, "swap cache --provider multitier --json")
    explained = plain(controlled, "explain cache --json")

    assert swapped["applied"] == "stored"
    assert explained["winner"] == "multitier"
    assert "swap at " in explained["selection"]["origin"]


def test_defect_oneiric_cli_secrets_rotate_says_what_it_did(controlled: Checkout) -> None:
    """`secrets rotate --keys k1,k2` and `--all`: beside nobody, nobody had kept any."""
    found = plain(controlled, "secrets rotate --keys k1,k2 --json")

    assert (found["keys"], found["invalidated"]) == (["k1", "k2"], 0)
    assert (found["applied"], found["note"].partition(",")[0]) == (
        "local",
        "no orchestrator runs here",
    )
    assert "no orchestrator runs here" in fine(controlled, "secrets rotate --all").out


def test_plugins_tells_what_each_brought(looked: Checkout) -> None:
    """`plugins`: groups, who is allowed, how many candidates, and no errors."""
    found = plain(looked, "plugins --json")
    own = {each["group"] for each in found["plugins"] if each["distribution"] == "oneiric"}

    assert own >= {"oneiric.actions", "oneiric.adapters"}
    brought = sum(len(each["candidates"]) for each in found["plugins"])
    assert found["registered"] == brought > 20
    assert [each["error"] for each in found["plugins"] if each["error"]] == []


def test_a_manifest_is_shown_without_being_trusted(looked: Checkout) -> None:
    """`manifest inspect`: what it offers, and that nobody asked whether to believe it."""
    found = plain(looked, "manifest inspect docs/sample_remote_manifest.yaml --json")

    assert (found["name"], found["trusted"], sum(found["by_domain"].values())) == (
        "sample", False, 20,
    )  # fmt: skip


def test_the_configuration_of_the_checkout_is_right(looked: Checkout) -> None:
    """Each provider gets the settings that are meant for it, and no other's."""
    assert re.search(r"memory\.max_entries +100000", fine(looked, "config show").out)


def test_defect_oneiric_cli_a_failed_probe_is_not_0(controlled: Checkout) -> None:
    """`health --probe` brings up what is selected; what does not come up makes it end with 1."""
    said = controlled.noted["unhealthy"]
    probes = {each["ref"]: each["healthy"] for each in said.document["probes"]}

    assert said.code == 1
    assert probes["adapter:storage"] is False
    assert said.document["problems"][0].startswith("adapter:storage ")


def test_defect_oneiric_cli_start_and_stop_need_no_file_named(controlled: Checkout) -> None:
    """`start` returns when it is ready, and `stop` when it has ended."""
    status = controlled.said["process-status --json"].document

    assert re.match(r"started: process \d+ is ready", fine(controlled, "start").out)
    assert (status["running"], status["ready"]) == (True, True)
    assert re.match(rf"stopped: process {status['pid']} has ended", fine(controlled, "stop").out)


def test_what_the_brief_names_is_where_it_says() -> None:
    """Fixtures and tests, by the brief's own paths."""
    for path in (
        "docs/examples/FASTBLOCKS_PARITY_FIXTURE.yaml",
        "docs/sample_remote_manifest.yaml",
        "tests/integration/test_migration_parity.py",
        "tests/runtime/test_notifications.py",
        "tests/runtime/test_supervisor.py",
        "tests/runtime/test_telemetry.py",
    ):
        assert (ROOT / path).is_file(), path
