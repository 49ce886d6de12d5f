"""`oneiric validation`: what its answers say, of what counts, what is refused and what is left."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.acceptance.commands import environment
from tests.cli.places import DONE, Place


def test_an_address_that_is_never_asked_is_refused(place: Place) -> None:
    """3 with the name of the host, for one check and for a task; what is wrong besides is 2."""
    metadata, elsewhere = "http://169.254.169.254/", "https://elsewhere.example/"
    (place.folder / "oneiric.toml").write_text("[validation]\nread_only = true\n")
    words = {
        "checked": ("validate", metadata),
        "sent": ("validate", "/health", "-m", "POST"),
        "tried": ("run", "x", "-t", "true", "-e", metadata),
        "not listed": ("run", "x", "-t", "true", "-e", elsewhere),
        "wrong too": ("run", "x", "-t", "a && b", "-e", metadata),
        "no address": ("validate", "ftp://127.0.0.1/"),
    }

    found = {name: place.say(*said) for name, said in words.items()}
    told = place.say("validate", metadata, "--json")

    assert {name: done.code for name, done in found.items()} == {
        "checked": 3,
        "sent": 3,
        "tried": 3,
        "not listed": 3,
        "wrong too": 2,
        "no address": 2,
    }
    assert [name for name, done in found.items() if done.out or "Traceback" in done.err] == []
    assert "error[host-not-allowed]: 169.254.169.254 gives" in found["checked"].err
    assert "error[task-refused]" in found["not listed"].err
    assert "hint: list it in validation.allow_hosts" in found["not listed"].err
    assert (told.code, told.document["error"]["code"]) == (3, "host-not-allowed")
    assert place.production.heard == []


def test_the_schema_of_tasks_is_the_same_document_with_json(place: Place) -> None:
    """It is JSON in any case, and every command that prints takes the option."""
    plain, told = place.say("schema"), place.say("schema", "--json")

    assert (plain.code, told.code, told.out) == (0, 0, plain.out), told.err
    assert told.document["$id"] == "urn:oneiric:schema:task:1"


def test_a_standard_check_that_failed_is_said_to_be_optional_wherever_it_shows(
    place: Place,
) -> None:
    """The table, the document and each report say so; it counts neither for nor against."""
    del place.production.answers["GET", "/"]
    forms = ("html", "markdown", "json")
    reports = [word for form in forms for word in ("--report", f"{form}=r.{form}")]

    done = place.tried(*reports)
    told = place.tried("--json").document

    head, *rows = done.out.splitlines()
    (row,) = [line for line in rows if line.startswith("FAIL")]
    assert head == "users: DONE, 2 of 2 proofs (2 required), 1 of 2 standard checks"
    assert " standard " in row
    assert row.endswith("optional; status 200: it is 404")
    found = [(each["check"], each["is_required"], each["counts"]) for each in told["proofs"]]
    assert found[-2:] == [("cutover.health", True, False), ("cutover.root", False, False)]
    assert all(is_required and counts for _, is_required, counts in found[:-2])
    assert [told[name] for name in ("passed", "required", "standard_passed")] == [2, 2, 1]
    why = f"fail {place.production.url}/: optional; status 200: it is 404"
    for form in forms:
        assert why in (place.folder / f"r.{form}").read_text(), form


def test_what_asks_the_same_as_another_is_said_to_count_once(place: Place) -> None:
    """The number of proofs is that of the checks that can count, whatever else was asked."""
    (place.folder / "oneiric.toml").write_text("[validation]\nrequired_proofs = 2\n")
    again = place.production.url.replace("http://", "HTTP://")

    done = place.say("run", "users", "-t", "true", "-e", "/health", "-e", f"{again}/health#top")
    told = place.say("run", "users", "-t", "true", "-e", "/health", "--json").document

    assert done.out.splitlines()[0] == f"users: {DONE}", done.out
    assert done.out.count("asks what another asks, and counts once") == 1
    assert told["required"] == 2


def test_a_path_that_another_stands_in_for_is_no_failure(place: Place) -> None:
    """Of the paths of a standard check the first that answers is enough, and that is said."""
    del place.production.answers["GET", "/health"]
    place.production.answers["GET", "/healthz"] = {"status": "ok"}

    done = place.tried("--no-drift", "--report", "junit=r.xml")

    assert done.out.splitlines()[0] == f"users: {DONE}", done.out
    assert done.out.count("another was enough; status 200: it is 404") == 1
    url = place.production.url
    why = f"fail {url}/health: another was enough; status 200: it is 404; pass {url}/healthz"
    assert why in (place.folder / "r.xml").read_text()


@pytest.mark.parametrize("more", [[], ["--quiet"], ["--json"]])
def test_who_stops_a_task_is_told_how_to_go_on_with_it(place: Place, more: list[str]) -> None:
    """Ctrl-C leaves the run open: one line on stderr names it, and it can be taken up at once."""
    place.production.answers["GET", "/slow"] = {}
    words = ["run", "slow", "-t", "true", "-e", "/slow", "-r", "2", *more]
    with subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", "validation", *words],
        cwd=place.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert place.production.waits.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    place.production.goes_on.set()
    (left,) = place.say("status", "--json").document["tasks"]

    assert (process.returncode, out) == (130, "")
    assert err == f"left open; go on with: oneiric validation run --resume {left['run']}\n"
    assert place.say("run", "--resume", left["run"], "--quiet").code == 0
