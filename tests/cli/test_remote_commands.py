"""`remote-sync` and `remote-status`: what they print, what they leave, and how they end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.cli.app import main
from oneiric.clock import SystemClock
from oneiric.testing import ManifestSimulator
from tests.acceptance.commands import environment
from tests.remote.sites import configure, entry, files_in, publisher, signed

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Return a caller of `oneiric` in *tmp_path* that gives exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["oneiric", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def site() -> Iterator[ManifestSimulator]:
    """Give a publisher whose manifests are of today."""
    with publisher(SystemClock()) as found:
        yield found


def local(folder: Path, site: ManifestSimulator, *entries: dict[str, Any], name: str) -> str:
    """Write an unsigned manifest, and return its file name."""
    told = {**site.told(1, entries=list(entries)), "name": name}
    (folder / f"{name}.json").write_text(json.dumps(told))
    return f"{name}.json"


def test_promise_c1_a_verified_manifest_is_stored_for_later_commands(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """They have its candidates, whether or not the server is there."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"))
    code, out, err = call("remote-sync")
    assert (code, err) == (0, "")
    assert out.startswith("stored: acme 1: 1 added, 0 changed, 0 removed, 0 unchanged; ")
    site.__exit__(None, None, None)
    code, out, err = call("explain", "adapter:a", "--json")
    assert (code, json.loads(out)["winner"], err) == (0, "acme", "")


def test_a_local_manifest_is_in_this_process_only(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """One that is not configured is named after its manifest; the answer says `local`."""
    configure(tmp_path, "")
    name = local(tmp_path, site, entry("a", "x"), name="mine")
    code, out, err = call("remote-sync", "--manifest", name, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["schema"], told["error"]) == ("oneiric.remote-sync/1", None)
    [source] = told["sources"]
    assert (source["source"], source["applied"]) == ("mine", "local")
    assert source["added"] == ["adapter:a@x"]


def test_a_signed_manifest_that_is_not_configured_needs_its_trust_root(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """Without one it is refused; with one it holds in this process."""
    configure(tmp_path, "")
    site.pin(tmp_path / "acme.root.json")
    site.publish(entry("a", "acme"))
    code, out, err = call("remote-sync", "--manifest", site.uri)
    assert (code, out) == (3, "")
    assert err.startswith("error[unsigned]: ")
    code, out, _ = call("remote-sync", "--manifest", site.uri, "--trust", "acme.root.json")
    assert (code, out.startswith("local: acme 1: 1 added")) == (0, True)


@pytest.mark.parametrize("given", ["m.json", "./m.json", "absolute"])
def test_the_address_of_a_configured_source_means_that_source(
    call: Call, site: ManifestSimulator, tmp_path: Path, given: str
) -> None:
    """However it is written; its own trust counts, so none may be given."""
    name = local(tmp_path, site, entry("a", "x"), name="m")
    configure(tmp_path, f'[remote.sources.here]\nuri = "{name}"\n')
    uri = str(tmp_path / name) if given == "absolute" else given
    code, out, _ = call("remote-sync", "--manifest", uri, "--json")
    assert (code, json.loads(out)["sources"][0]["source"]) == (0, "here")
    code, _, err = call("remote-sync", "--manifest", uri, "--trust", "x")
    assert (code, err.startswith("error[invalid]: ")) == (2, True)


def test_promise_r5_a_dry_run_prints_what_would_change_and_writes_nothing(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """Entries, and decisions with their reasons."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"), entry("b", "acme"))
    call("remote-sync")
    site.publish(entry("a", "other"), {**entry("c", "x"), "factory": "os:system"})
    before = files_in(tmp_path)
    code, out, err = call("remote-sync", "--dry-run")
    assert (code, err) == (0, "")
    why = "os:system is under no allowed prefix (oneiric, oneiric_example, tests)"
    assert out.splitlines() == [
        "acme 2: 2 added, 0 changed, 2 removed, 0 unchanged",
        "  + adapter:a@other",
        "  + adapter:c@x",
        "  - adapter:a@acme",
        "  - adapter:b@acme",
        f"  ! adapter:c@x: {why}",
        "adapter:a  acme -> other",
        "  acme: selected (the only candidate) -> absent",
        "  other: absent -> selected (the only candidate)",
        "adapter:b  acme -> nobody",
        "  acme: selected (the only candidate) -> absent",
        "adapter:c  nobody -> nobody",
        f"  x: absent -> rejected ({why})",
        "dry run: nothing was applied or stored; no running orchestrator was asked",
    ]
    assert files_in(tmp_path) == before
    told = json.loads(call("remote-sync", "--dry-run", "--json")[1])
    assert (told["schema"], told["dry_run"]) == ("oneiric.remote-preview/1", True)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("lie", "code", "exit_code"),
    [("refused", "under-signed", 3), ("invalid", "invalid-envelope", 2), ("gone", "not-found", 6)],
)
def test_defect_oneiric_s21_a_failure_ends_with_its_exit_code(
    call: Call, site: ManifestSimulator, tmp_path: Path, lie: str, code: str, exit_code: int
) -> None:
    """On stderr for people, in the document for machines."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"))
    if lie == "refused":
        site.publish(keys=[site.root_keys[0]])
    elif lie == "invalid":
        site.serve(b'{"payloadType": 1}')
    else:
        site.remove("/manifest.json")
    found, out, err = call("remote-sync")
    assert (found, out) == (exit_code, "")
    assert err.startswith(f"error[{code}]: ")
    found, out, _ = call("remote-sync", "--json")
    assert (found, json.loads(out)["error"]["code"]) == (exit_code, code)


def test_an_unreachable_server_is_no_success(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """Also where what was kept serves on."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"))
    call("remote-sync")
    site.__exit__(None, None, None)
    code, _, err = call("remote-sync")
    assert (code, err.startswith("error[fetch-failed]: ")) == (5, True)
    assert call("explain", "adapter:a")[0] == 0
    told = json.loads(call("remote-status", "--json")[1])
    assert told["sources"]["acme"]["state"] == "offline"
    assert told["sources"]["acme"]["consecutive_failures"] == 1


def test_remote_status_tells_every_source(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """Also before the first sync, and it writes nothing."""
    name = local(tmp_path, site, entry("a", "x"), name="m")
    here = f'[remote.sources.here]\nuri = "{name}"\n'
    configure(tmp_path, signed(tmp_path, site) + here)
    before = files_in(tmp_path)
    told = json.loads(call("remote-status", "--json")[1])
    assert {name: each["state"] for name, each in told["sources"].items()} == {
        "acme": "new",
        "here": "fresh",
    }
    assert files_in(tmp_path) == before
    site.publish(entry("a", "acme"))
    call("remote-sync")
    code, out, err = call("remote-status")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[1].split()[:4] == ["acme", "fresh", "1", "signed"]
    assert lines[2].split()[:4] == ["here", "fresh", "1", "unsigned"]
    assert f"by process {os.getpid()}" in lines[3]


def test_a_source_that_brings_nothing_is_a_warning_for_every_command(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """Never a crash, and never on stdout."""
    configure(tmp_path, signed(tmp_path, site) + '[remote.sources.lost]\nuri = "no.json"\n')
    code, out, err = call("list", "--json")
    assert (code, json.loads(out)["schema"]) == (0, "oneiric.list/1")
    assert err.splitlines() == [
        f"warning: the source lost brings nothing: no file {tmp_path / 'no.json'}",
        "warning: the source acme brings nothing yet: oneiric remote-sync",
    ]


def test_settings_of_an_entry_lie_below_the_configuration(
    call: Call, site: ManifestSimulator, tmp_path: Path
) -> None:
    """`config show --sources` says which manifest set what."""
    model = "oneiric.adapters.cache.memory:MemoryCacheSettings"
    told = {
        **entry("cache", "tiny"),
        "factory": "oneiric.adapters.cache.memory:MemoryCache",
        "settings_model": model,
        "settings": {"max_entries": 3, "default_ttl": 5.0},
        "priority": 1,
    }
    name = local(tmp_path, site, told, name="m")
    configure(
        tmp_path,
        f'[remote.sources.here]\nuri = "{name}"\n'
        "[adapters.provider_settings.tiny]\ndefault_ttl = 7.0\n",
    )
    told = json.loads(call("config", "show", "--sources", "--json")[1])
    found = {each["path"]: (each["value"], each["origin"]) for each in told["settings"]}
    assert found["adapters.provider_settings.tiny.max_entries"] == (
        3,
        "manifest:here 1 (unsigned)",
    )
    assert found["adapters.provider_settings.tiny.default_ttl"] == (7.0, "oneiric.toml:9")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_promise_c3_watching_goes_on_until_a_signal_and_ends_well(
    site: ManifestSimulator, tmp_path: Path, number: int
) -> None:
    """A document for each look; the exit code is 0."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"))
    words = ["remote-sync", "--watch", "--refresh-interval", "0.05", "--json"]
    child = subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        seen = 0
        for line in child.stdout:
            seen += line.startswith("}")
            if seen == 2:
                break
        status = json.loads((tmp_path / ".oneiric_cache/remote_status.json").read_text())
        child.send_signal(number)
        child.stdout.read()
        assert child.wait(20) == 0
    assert (status["pid"], status["refresh_interval"]) == (child.pid, 0.05)


def test_a_reader_that_leaves_a_watch_is_no_mistake_of_ours(
    site: ManifestSimulator, tmp_path: Path
) -> None:
    """It ends as a short command does when nobody reads any more."""
    configure(tmp_path, signed(tmp_path, site))
    site.publish(entry("a", "acme"))
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "oneiric.cli",
            "remote-sync",
            "--watch",
            "--refresh-interval",
            "0.05",
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        said = child.stderr.read()
    assert (child.returncode, said) == (1, "")


@pytest.mark.parametrize(
    "words", [["--trust", "x"], ["--watch", "--dry-run"], ["--refresh-interval", "-1"]]
)
def test_options_that_contradict_each_other_are_refused(
    call: Call, tmp_path: Path, words: list[str]
) -> None:
    """Before anything is looked at."""
    assert call("remote-sync", *words)[0] == 2
    assert not (tmp_path / ".oneiric_cache").exists()
