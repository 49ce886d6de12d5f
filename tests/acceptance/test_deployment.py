"""The files by which the long-running program is deployed say what it understands."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from oneiric.cli.app import COMMANDS, LazyGroup, app
from oneiric.cli.usage import USAGE
from oneiric.config import load_config
from oneiric.runtime.settings import SECTIONS, VARIABLES
from tests.acceptance.commands import ROOT
from tests.docs.markdown import blocks

UNIT = ROOT / "deploy" / "systemd" / "oneiric.service"
OLDER = UNIT.with_name("10-older-systemd.conf")
DOCKERFILE = ROOT / "Dockerfile"
GUIDES = ("deploy-to-cloud-run.md", "run-under-systemd.md")
OWN = {"ONEIRIC_CONFIG", "ONEIRIC_PROFILE", *VARIABLES}


def units(path: Path) -> dict[str, list[str]]:
    """Return what a unit sets, each key with its values, as `Section.Key`."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


def instructions(text: str) -> list[str]:
    """Return the instructions of a Dockerfile, each on one line."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def typed() -> Iterator[str]:
    """Give every command line of every file, and of every page, whoever understands it."""
    yield (ROOT / "Procfile").read_text(encoding="utf-8").partition(": ")[2]
    yield from units(UNIT)["Service.ExecStart"]
    for line in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        word, _, rest = line.partition(" ")
        if word == "RUN":
            yield from rest.split(" && ")
        elif word == "CMD":
            yield json.loads(rest)[-1]
    for name in GUIDES:
        page = (ROOT / "docs" / "how-to" / name).read_text(encoding="utf-8")
        for block in blocks(page):
            if block.language == "sh":
                yield from re.sub(r"\s*\\\n\s*", " ", block.text).splitlines()


def commands() -> list[list[str]]:
    """Return the words after `oneiric` of each command line that calls it, once."""
    found: list[list[str]] = []
    for line in typed():
        words = shlex.split(line.replace("$PORT", "8080").replace("manifest/*", "m.yaml"))
        ours = [n for n, word in enumerate(words) if Path(word).name in ("oneiric", "oneiric.cli")]
        if ours and words[0] not in ("docker", "gcloud"):
            rest = words[ours[-1] + 1 :]
            if rest and rest not in found:
                found.append(rest)
    return found


def parsed(words: list[str]) -> str:
    """Have the real command line read *words* without doing anything; return the command's name."""
    root = get_command(app)
    assert isinstance(root, LazyGroup)
    with root.make_context("oneiric", list(words)) as context:
        rest = [*context._protected_args, *context.args]
        name, command, arguments = root.resolve_command(context, rest)
        while True:
            with command.make_context(name, arguments, parent=context) as inner:
                if not isinstance(command, TyperGroup):
                    return str(name)
                rest = [*inner._protected_args, *inner.args]
                _, command, arguments = command.resolve_command(inner, rest)


def known() -> list[list[str]]:
    """Return the command lines whose command there is."""
    return [words for words in commands() if set(words) & COMMANDS.keys()]


def test_the_files_hold_the_commands_of_a_deployment() -> None:
    """None is missed by how they are found."""
    lines = [" ".join(words) for words in commands()]
    starts = {line.removeprefix("--profile serverless ").partition(" ")[0] for line in lines}
    assert starts == {"orchestrate", "manifest", "health", "supervisor-info", "drain"}
    assert sum("orchestrate" in line for line in lines) == 4


@pytest.mark.parametrize("words", known(), ids=" ".join)
def test_every_command_line_is_understood(words: list[str]) -> None:
    """By the command line itself, every option included."""
    assert parsed(words) in COMMANDS


def test_a_wrong_option_would_be_noticed() -> None:
    """The reading is no pretence."""
    with pytest.raises(USAGE):
        parsed(["manifest", "pack", "--inptu", "m.yaml"])


# -- the image ----------------------------------------------------------------------------


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    """Where hadolint is packed for this machine."""
    linter = Path(sys.executable).with_name("hadolint")
    if linter.exists():
        done = subprocess.run(
            [linter, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_is_small_pinned_and_without_root() -> None:
    """Two stages of one named version, packages by the constraints, another user than root."""
    lines = instructions(DOCKERFILE.read_text(encoding="utf-8"))
    stages = [line.removesuffix(" AS build") for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert len(set(stages)) == 1
    assert re.fullmatch(r"FROM python:\d+\.\d+-slim-[a-z]+", stages[0])
    final = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM ")) :]
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("--constraint constraints.txt" in line for line in installs)
    users = [line.removeprefix("USER ") for line in final if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert not any(" pip " in line or line.startswith("ADD ") for line in final)
    assert any(line.startswith("HEALTHCHECK ") and "/readyz" in line for line in final)
    assert final[-1].startswith('CMD ["sh", "-c", "exec oneiric orchestrate ')


def test_the_manifest_is_verified_when_the_image_is_built() -> None:
    """As it will be used: linted, packed, brought up and probed under the same profile."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    building = " ".join(instructions(text.partition("\nFROM python")[2].partition("\nFROM ")[0]))
    at = [
        building.index(word)
        for word in (
            "ONEIRIC_PROFILE=serverless",
            "oneiric manifest lint ",
            "oneiric manifest pack ",
            "oneiric health --probe --manifest build/serverless_manifest.json",
        )
    ]
    assert at == sorted(at)


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    """The context is a list of what is let in, so that no secret slips into an image."""
    lines = instructions(DOCKERFILE.read_text(encoding="utf-8"))
    given = dict(
        line.removeprefix("ARG ").split("=", 1) for line in lines if line.startswith("ARG ")
    )
    copied = []
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            words = line.split()[1:-1]
            copied += [given[each[2:-1]] if each.startswith("${") else each for each in words]
    for ignore in (".dockerignore", ".gcloudignore"):
        rules = (ROOT / ignore).read_text(encoding="utf-8").splitlines()
        assert "*" in rules
        let_in = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
        for path in copied:
            assert (ROOT / path).exists(), path
            assert any(fnmatchcase(path, rule) for rule in let_in), (ignore, path)


def test_the_configuration_of_an_image_is_right(tmp_path: Path) -> None:
    """Under the profile that the image has; and the variables it sets are known."""
    shutil.copy(ROOT / "deploy" / "serverless.toml", tmp_path / "oneiric.toml")
    config = load_config(SECTIONS, folder=tmp_path, profile="serverless", environ={})
    assert config.profile == "serverless"
    text = DOCKERFILE.read_text(encoding="utf-8") + UNIT.read_text(encoding="utf-8")
    assert set(re.findall(r"ONEIRIC_[A-Z_]+", text)) <= OWN


# -- the unit -----------------------------------------------------------------------------


def test_the_unit_reloads_is_watched_and_may_do_little() -> None:
    """What the page promises is what it sets."""
    unit = {key: values[-1] for key, values in units(UNIT).items()}
    service = {key.removeprefix("Service."): value for key, value in unit.items()}
    wanted = {
        "Type": "notify-reload",
        "ReloadSignal": "SIGHUP",
        "WatchdogSec": "30",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "2 3",
        "KillSignal": "SIGTERM",
        "StateDirectory": "oneiric",
        "WorkingDirectory": "/var/lib/oneiric",
        "User": "oneiric",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "SystemCallFilter": "@system-service",
    }
    assert {key: service.get(key) for key in wanted} == wanted
    older = units(OLDER)
    assert older == {
        "Service.Type": ["notify"],
        "Service.ExecReload": ["/bin/kill -HUP $MAINPID"],
    }


@pytest.mark.parametrize("older", [False, True])
def test_systemd_understands_the_unit(older: bool, tmp_path: Path) -> None:
    """Where it is at hand; what it does not know yet is what the smaller file replaces."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    unit = tmp_path / UNIT.name
    own = Path(sys.executable).with_name("oneiric")
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/oneiric/bin/oneiric", str(own)))
    if older:
        folder = tmp_path / f"{UNIT.name}.d"
        folder.mkdir()
        shutil.copy(OLDER, folder)
    done = subprocess.run(
        [program, "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    too_new = ("notify-reload", "ReloadSignal")
    lines = [line for line in done.stderr.splitlines() if not any(word in line for word in too_new)]
    assert [line for line in lines if UNIT.name in line] == []
