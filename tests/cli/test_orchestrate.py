"""The commands around a long-running orchestrator, as far as they do not go on."""

import json
import os
import re
from pathlib import Path

import pytest

from oneiric.clock import SystemClock, rfc3339
from oneiric.errors import ConfigError
from oneiric.runtime.process import born
from tests.acceptance.commands import ROOT, listing
from tests.cli.calls import Call, answer, document

SAMPLE = (ROOT / "docs" / "sample_remote_manifest.yaml").read_text()
FULFILMENT = "fastblocks.workflows.fulfillment"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Lay the sample manifest into the folder, configured as in our own repository."""
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "sample_remote_manifest.yaml"
    file.write_text(SAMPLE)
    text = "[remote.sources.sample]\nuri = 'docs/sample_remote_manifest.yaml'\n"
    (tmp_path / "oneiric.toml").write_text(text)
    return file


@pytest.mark.parametrize(
    "words",
    [
        ("--print-dag", "--workflow", FULFILMENT, "--inspect-json"),
        ("--events", "--inspect-json"),
        ("--print-dag", "--events", "--json"),
    ],
)
def test_promise_c2_an_inspection_shows_the_sample_and_writes_nothing(
    words: tuple[str, ...], call: Call, shop: Path, tmp_path: Path
) -> None:
    """The rows `orchestrate --print-dag` and `--events`: workflows, and who handles events."""
    before = listing(tmp_path)
    found = document(call("orchestrate", *words))

    assert listing(tmp_path) == before
    assert found["schema"] == "oneiric.orchestrate-inspect/1"
    assert FULFILMENT in found["workflows"]["summary"]
    assert found["workflows"]["missing"] == []
    assert len(found["events"]["handlers"]) == 4
    assert found["events"]["last_event"] is None
    nodes = found["workflows"]["summary"][FULFILMENT]
    assert (nodes["node_count"], nodes["entry_nodes"]) == (5, ["validate"])


def test_an_inspection_shows_a_manifest_that_is_named_only(
    call: Call, shop: Path, tmp_path: Path
) -> None:
    """Without any configuration."""
    (tmp_path / "oneiric.toml").unlink()
    code, out, err = call("orchestrate", "--print-dag", "--manifest", str(shop))

    assert (code, err) == (0, "")
    assert f"{FULFILMENT}@shop  5 nodes, 4 edges, queue queue@sqlite" in out
    assert "handler" not in out


def test_a_missing_workflow_is_told_and_not_found(call: Call) -> None:
    """Exit code 6, in the document and in words."""
    words = ("orchestrate", "--print-dag", "--workflow", "nope")
    found = answer(call(*words, "--inspect-json"), 6)

    assert (found["workflows"]["missing"], found["workflows"]["summary"]) == (["nope"], {})
    assert call(*words) == (6, "missing: there is no workflow nope\n", "")


def test_tables_of_nothing_say_so(call: Call) -> None:
    """A sentence each."""
    out = call("orchestrate", "--print-dag", "--events")[1]
    assert out == "there are no workflows\n\nnobody handles events\n"


def test_what_was_last_told_of_an_event_is_shown(call: Call, tmp_path: Path) -> None:
    """From the file that the telemetry keeps."""
    (tmp_path / ".oneiric_cache").mkdir()
    file = tmp_path / ".oneiric_cache" / "runtime_telemetry.json"
    told = {"schema": "oneiric.runtime-telemetry/1", "last_event": {"topic": "order.created"}}
    file.write_text(json.dumps(told))
    found = document(call("orchestrate", "--events", "--json"))
    file.write_text("half of a")

    assert found["events"]["last_event"] == {"topic": "order.created"}
    assert document(call("orchestrate", "--events", "--json"))["events"]["last_event"] is None


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--workflow", "x"), "--workflow belongs to --print-dag"),
        (("--trust", "root.json"), "--trust belongs to --manifest"),
        (("--http-port", "1", "--no-http"), "exclude each other"),
        (("--http-port", "70000"), "'--http-port'"),
        (("--refresh-interval", "0"), "'--refresh-interval'"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: tuple[str, ...], what: str, call: Call) -> None:
    """Before anything is looked at, with 2."""
    code, out, err = call("orchestrate", *words)

    assert (code, out) == (2, "")
    assert what in err


def test_a_check_starts_is_ready_stops_and_tells(call: Call, shop: Path, tmp_path: Path) -> None:
    """Each part with what it took; nothing runs afterwards, and no work was begun."""
    code, out, _ = call("orchestrate", "--check", "--manifest", str(shop), "--json")
    found = answer((code, out, ""))
    shown = call("orchestrate", "--check", "--no-remote")[1]

    assert (found["schema"], found["ready"]) == ("oneiric.orchestrate-check/1", True)
    states = {part["name"]: part["state"] for part in found["parts"]}
    assert (states["manifests"], states["work"], states["worker"]) == ("started", "started", "off")
    assert all(part["duration_ms"] >= 0 for part in found["parts"])
    assert re.search(r"ready after \d+ ms, and stopped again\n$", shown)
    assert call("process-status")[0] == 6


def test_a_check_that_fails_ends_with_the_error(call: Call) -> None:
    """As the start itself would."""
    code, out, err = call("orchestrate", "--check", "--manifest", "missing.yaml")

    assert (code, out) == (6, "")
    assert "error[not-found]: " in err


def test_promise_m1_a_manifest_outside_the_allowed_folders_is_refused(
    call: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One below the working directory is taken without a signature, no other."""
    other = tmp_path_factory.mktemp("other") / "shop.yaml"
    other.write_text(SAMPLE)
    code, _, err = call("orchestrate", "--check", "--manifest", str(other))

    assert code == 3
    assert "error[unsigned]: " in err


def test_supervisor_info_tells_what_the_profile_switches_and_who_said_so(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row `supervisor-info --json`: toggles with origins, secrets providers in order."""
    plain = document(call("supervisor-info", "--json"))
    monkeypatch.setenv("ONEIRIC_PROFILE", "serverless")
    monkeypatch.setenv("ONEIRIC_WATCH__ENABLED", "true")
    found = document(call("supervisor-info", "--json"))
    shown = call("supervisor-info")[1]

    assert (plain["schema"], plain["profile"]["name"]) == ("oneiric.supervisor-info/1", "default")
    assert plain["profile"]["remote"] == {"enabled": True, "origin": "default"}
    assert found["profile"]["remote"] == {"enabled": False, "origin": "profile serverless"}
    assert found["profile"]["inline_manifest_only"]["enabled"] is True
    assert found["profile"]["watchers"] == {"enabled": True, "origin": "ONEIRIC_WATCH__ENABLED"}
    assert [each["name"] for each in found["secrets"]["order"]] == ["env", "file"]
    assert "profile serverless" in shown.splitlines()[0]


def test_cloud_run_is_serverless_unless_a_profile_is_named(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variable in which it names its service."""
    monkeypatch.setenv("K_SERVICE", "orders")
    names = [document(call(*words, "supervisor-info", "--json"))["profile"]["name"] for words in (
        (), ("--profile", "default"),
    )]  # fmt: skip

    assert names == ["serverless", "default"]


def test_health_probes_what_is_selected_and_proves_the_manifest(
    call: Call, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row `health --probe --json --manifest M`, with the serverless profile."""
    monkeypatch.setenv("ONEIRIC_PROFILE", "serverless")
    config = tmp_path / "oneiric.toml"
    config.write_text(f"{config.read_text()}[adapters.selections]\ncache = 'memory'\n")
    given = call("health", "--probe", "--json", "--manifest", str(shop))
    found = answer(given)

    assert (found["schema"], found["applied"]) == ("oneiric.health/1", "local")
    assert (found["healthy"], found["problems"], found["runtime"]) == (True, [], None)
    assert [(each["ref"], each["provider"], each["healthy"]) for each in found["probes"]] == [
        ("adapter:cache", "memory", True),
        ("service:order-desk", "shop", True),
    ]
    (proof,) = found["manifests"]
    assert (proof["proof"], proof["name"], proof["entries"]) == ("unsigned", "sample", 20)
    assert proof["digest"].startswith("sha256:")
    assert found["profile"]["name"] == "serverless"
    assert found["secrets"]["provider"] == "env"
    assert {each["ref"]: each["state"] for each in found["lifecycle"]}["adapter:cache"] == "ready"


def test_health_ends_with_1_when_something_is_unhealthy(call: Call, tmp_path: Path) -> None:
    """A probe tells of what does not come up; what is paused is not asked."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\nstorage = 'local'\ncache = 'memory'\n"
        "[adapters.provider_settings.local]\nbase_path = 'plain'\n"
    )
    code, out, _ = call("health", "--probe", "--json")
    found = answer((code, out, ""), 1)
    assert call("pause", "adapter:storage")[0] == 0
    later = answer((*call("health", "--probe", "--json")[:2], ""))

    assert [(each["ref"], each["healthy"]) for each in found["probes"]] == [
        ("adapter:cache", True),
        ("adapter:storage", False),
    ]
    assert found["problems"][0].startswith("adapter:storage is unhealthy: ")
    assert [each["ref"] for each in later["probes"]] == ["adapter:cache"]


def test_defect_health_tells_what_a_running_one_could_not_follow_or_keep_up(
    call: Call, tmp_path: Path
) -> None:
    """It is at work, and yet not everything is well."""
    wrong = ConfigError("the configuration of oneiric.toml is wrong").as_json()["error"]
    told = {
        "schema": "oneiric.runtime-health/1",
        "state": "ready",
        "orchestrator_pid": os.getpid(),
        "born": born(os.getpid()),
        "updated_at": rfc3339(SystemClock().now()),
        "interval_seconds": 3_600,
        "watch": {"error": wrong, "failed": {"adapter:pen": "no ink"}},
        "supervisor": {"given_up": ["service:mail"]},
    }
    file = tmp_path / ".oneiric_cache" / "runtime_health.json"
    file.parent.mkdir()
    file.write_text(json.dumps(told))
    found = answer((*call("health", "--json")[:2], ""), 1)
    file.write_text(json.dumps({**told, "watch": None, "supervisor": None}))
    well = call("health")

    assert found["problems"] == [
        "the last good configuration holds: the configuration of oneiric.toml is wrong",
        "adapter:pen does not follow the configuration: no ink",
        "service:mail was given up",
    ]
    assert well[0] == 0


def test_defect_a_health_file_that_says_little_is_no_bug(call: Call, tmp_path: Path) -> None:
    """Where it lies others may write, as in `/tmp`."""
    file = tmp_path / ".oneiric_cache" / "runtime_health.json"
    file.parent.mkdir()
    told = {
        "schema": "oneiric.runtime-health/1",
        "state": "ready",
        "orchestrator_pid": os.getpid(),
        "updated_at": rfc3339(SystemClock().now()),
        "lifecycle_state": {"service": {"mail": {}, "post": 1}},
        "watch": 1,
        "supervisor": {"given_up": 1},
    }
    file.write_text(json.dumps(told))

    assert answer((*call("health", "--json")[:2], ""))["lifecycle"] == []


def test_health_without_anything_says_so_and_is_well(call: Call, tmp_path: Path) -> None:
    """Nothing ran, nothing is selected, and nothing is written."""
    shown = call("health", "--probe")
    assert shown[0] == 0
    assert shown[1].splitlines() == [
        "no orchestrator has run in this folder",
        "profile default, secrets from env",
        "nothing is selected, so nothing was asked",
    ]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--manifest", "https://example.com/m.json"), 2),
        (("--manifest", "missing.yaml"), 6),
        (("--trust", "root.json"), 2),
    ],
)
def test_health_refuses_a_manifest_that_cannot_be_proven(
    words: tuple[str, ...], code: int, call: Call
) -> None:
    """One that is not here cannot be had without a network."""
    assert call("health", *words)[0] == code
