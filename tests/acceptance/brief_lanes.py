"""What is run of the brief, in five checkouts and the one of a systemd unit, and in which order."""

import json
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.brief import (
    PATIENCE_SECONDS,
    QUICK_START,
    READY,
    SERVERLESS,
    Checkout,
    Command,
    alone,
    commands,
    ours,
    until,
    usual_port,
)
from tests.acceptance.commands import ROOT
from tests.acceptance.test_deployment import UNIT, units

FULFILMENT = "fastblocks.workflows.fulfillment"
STEPS = ["validate", "reserve", "charge", "ship", "notify"]
QUICK = {command.line: command for command in commands(QUICK_START)}
CLOUD = {command.line: command for command in commands(SERVERLESS)}
PROCFILE = (ROOT / "Procfile").read_text(encoding="utf-8").partition(": python -m oneiric.cli ")[2]


def named(start: str, block: Mapping[str, Command] = QUICK) -> Command:
    """Return the one command of a block that begins so."""
    (found,) = [command for line, command in block.items() if line.startswith(start)]
    return found


MAIN = named("main.py")
DAG, EVENTS = named("orchestrate --print-dag"), named("orchestrate --events")
PLAN, WATCH = named("workflow plan"), named("remote-sync")
EMIT, NOTIFY = named("event emit"), named("action-invoke")
RUN, AGAIN = (
    named(f"workflow run --workflow {FULFILMENT} --{rest}") for rest in ("context", "workflow")
)
SERVE = named("orchestrate --manifest")
PACK = named("manifest pack", CLOUD)
SUPERVISOR, HEALTH, BARE = (
    named(f"ONEIRIC_PROFILE=serverless {name}", CLOUD)
    for name in ("supervisor-info", "health", "orchestrate")
)
ENQUEUE = f'workflow enqueue --workflow {FULFILMENT} --context \'{{"order_id":"e-1"}}\' --json'


# -- what is run where --------------------------------------------------------------------


def look(checkout: Checkout) -> None:
    """Look only."""
    for command in (named("--demo list"), named("--demo explain"), DAG, EVENTS, PLAN):
        checkout.do(command)
    for line in ("list --json", "list --shadowed --json", "status --json", "plugins --json"):
        checkout.oneiric(line)
    checkout.oneiric("config show")
    checkout.oneiric("manifest inspect docs/sample_remote_manifest.yaml --json")
    checkout.noted["files"] = sorted(path.name for path in checkout.cache.glob("*"))


def work(checkout: Checkout) -> None:
    """Have events handled and workflows run."""
    checkout.do(EMIT)
    checkout.do(RUN)
    checkout.noted["telemetry"] = checkout.kept("runtime_telemetry.json")
    for command in (AGAIN, NOTIFY, EVENTS):
        checkout.do(command)
    checkout.noted["after"] = checkout.kept("runtime_telemetry.json")
    checkout.oneiric(ENQUEUE)


def serve(checkout: Checkout) -> None:
    """Run what goes on until it is told to stop, as the quick start says."""
    with checkout.served(WATCH) as child:
        checkout.noted["watch"] = until(child.stdout, "sample 1")
    checkout.oneiric("remote-status --json")
    with alone():
        port = str(usual_port())
        words = tuple(port if word == "8080" else word for word in SERVE.words)
        with checkout.served(Command(words)) as child:
            checkout.noted["ready"] = until(child.stderr, READY)
            checkout.noted["health"] = checkout.kept("runtime_health.json")
            for path in ("healthz", "readyz", "metrics", "missing"):
                checkout.noted[path] = asked(f"http://127.0.0.1:{port}/{path}")
            child.send_signal(signal.SIGHUP)
            checkout.noted["port"] = port
            checkout.oneiric("health --json")
            checkout.oneiric("swap cache --provider multitier --json")
            checkout.oneiric("secrets rotate --keys k1,k2 --json")
        checkout.said[SERVE.line] = checkout.said[Command(words).line]
    checkout.noted["last health"] = checkout.kept("runtime_health.json")


def go_without_servers(checkout: Checkout) -> None:
    """Prove the serverless profile, and run under it."""
    for command in (PACK, SUPERVISOR, HEALTH):
        checkout.do(command)
    health = Path("/tmp/runtime_health.json")
    with alone():
        with checkout.served(BARE) as child:
            checkout.noted["ready"] = until(child.stderr, READY)
            checkout.noted["health"] = (child.pid, json.loads(health.read_bytes()))
        checkout.noted["last health"] = json.loads(health.read_bytes())
    command = ours(PROCFILE.replace("$PORT", "0"))
    with checkout.served(command) as child:
        said = until(child.stderr, READY)
        (port,) = re.findall(r"http http://0\.0\.0\.0:(\d+)", said)
        paths = ("readyz", "metrics")
        answers = [asked(f"http://127.0.0.1:{port}/{path}")[0] for path in paths]
    checkout.noted["procfile"] = (checkout.said[command.line].code, *answers)
    table(checkout)


def table(checkout: Checkout) -> None:
    """Use each variable that the brief lists for a serverless deployment."""
    info = "supervisor-info --json"
    (checkout.folder / "config").mkdir()
    file = checkout.folder / "config" / "serverless.toml"
    file.write_text((checkout.folder / "deploy" / "serverless.toml").read_text())
    variables = {"ONEIRIC_CONFIG": str(file), "ONEIRIC_RUNTIME_SUPERVISOR__ENABLED": "false"}
    checkout.noted["other"] = checkout.oneiric(info, ONEIRIC_PROFILE="serverless", **variables)
    store = {"ONEIRIC_ACTIVITY_STORE": str(checkout.folder / "kept" / "activity.sqlite")}
    (checkout.folder / "kept").mkdir()
    checkout.oneiric("pause cache --note elsewhere", **store)
    checkout.noted["there"] = checkout.oneiric("activity --json", **store)


def control(checkout: Checkout) -> None:
    """Pause, drain, resume, swap, rotate; start and stop in the background; err."""
    checkout.do(MAIN)
    for line in ("pause cache --note maintenance --json", "drain queue --json"):
        checkout.oneiric(line)
    checkout.noted["paused"] = checkout.oneiric("activity --json")
    checkout.oneiric("status --json")
    checkout.noted["refused"] = checkout.oneiric(ENQUEUE)
    for line in ("resume cache --json", "activity --json"):
        checkout.oneiric(line)
    for line in ("swap cache --provider multitier --json", "explain cache --json"):
        checkout.oneiric(line)
    for line in ("secrets rotate --keys k1,k2 --json", "secrets rotate --all"):
        checkout.oneiric(line)
    blocked = {
        "ONEIRIC_ADAPTERS__SELECTIONS": '{"storage": "local"}',
        "ONEIRIC_ADAPTERS__PROVIDER_SETTINGS": '{"local": {"base_path": "LICENSE"}}',
    }
    checkout.noted["unhealthy"] = checkout.oneiric("health --probe --json", **blocked)
    for line in ("start", "process-status --json", "stop"):
        checkout.oneiric(line)


def unit(checkout: Checkout) -> None:
    """Run the line of the systemd unit, which tells systemd how it stands."""
    line = units(UNIT)["Service.ExecStart"][0].partition("/bin/oneiric ")[2]
    path = checkout.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(PATIENCE_SECONDS)
        config = str(checkout.folder / "oneiric.toml")
        command = ours(line, ONEIRIC_CONFIG=config, NOTIFY_SOCKET=str(path))
        with checkout.served(command) as child:
            checkout.noted["start"] = heard(systemd, "READY=1")
            child.send_signal(signal.SIGHUP)
            checkout.noted["reload"] = heard(systemd, "READY=1")
        checkout.noted["end"] = heard(systemd, "STOPPING=1")
    checkout.noted["code"] = checkout.said[command.line].code


def heard(systemd: socket.socket, sign: str) -> list[str]:
    """Return what is told up to *sign*."""
    words: list[str] = []
    while sign not in words:
        words += systemd.recv(4096).decode().splitlines()
    return words


def asked(url: str) -> tuple[int, str]:
    """Return status and body of an answer over HTTP."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


LANES = (control, serve, go_without_servers, work, look, unit)
