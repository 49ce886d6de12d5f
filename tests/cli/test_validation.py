"""`oneiric validation`: exit codes, documents, reports, going on after a kill, bad input."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.acceptance.commands import environment
from tests.cli.places import DONE, Place

HELD_SECONDS = 4.0
KILLED = ("run", "slow", "-t", "sh -c 'echo once >> tested'", "-e", "/slow", "-r", "2")
LEDGER = ".oneiric_cache/ledger/users.jsonl"
SECRET = "hunter2-very-secret"
PLACES = ("0.headers.Authorization", "1.url")


def seen(place: Place, words: Sequence[str], columns: int = 80) -> tuple[int, str, str]:
    """Run a command at a terminal; return its code, and what stood on stdout and on stderr."""
    ends = [pty.openpty() for _ in range(2)]
    process = subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", "validation", *words],
        cwd=place.folder,
        env=environment({"COLUMNS": str(columns), "TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stdout=ends[0][1],
        stderr=ends[1][1],
    )
    texts = []
    for _, theirs in ends:
        os.close(theirs)
    for ours, _ in ends:
        found = b""
        try:
            while chunk := os.read(ours, 65536):
                found += chunk
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        texts.append(re.sub(r"\x1b\[[\d;]*m", "", found.decode().replace("\r\n", "\n")))
    return process.wait(60), texts[0], texts[1]


def test_a_task_ends_with_the_code_of_what_came_of_it(place: Place) -> None:
    """0 done, 1 failed or drifted, 3 nothing to judge, 4 not checked; 2 and 6 for what is wrong."""
    gone = ("-e", "/gone")
    codes = {
        "done": place.tried().code,
        "failed": place.tried(*gone).code,
        "local": place.say("run", "a", "-t", "false", "-e", "/health").code,
        "drift": place.say("run", "a", "--task", str(drifting(place))).code,
        "nothing": place.say("run", "a", "-e", "/health").code,
        "unchecked": place.say("run", "a", "-t", "no-such-program").code,
        "empty": place.say("run").code,
        "no file": place.say("run", "--task", "gone.yaml").code,
        "no run": place.say("run", "--resume", "gone").code,
    }

    assert codes == {
        "done": 0,
        "failed": 1,
        "local": 1,
        "drift": 1,
        "nothing": 3,
        "unchecked": 4,
        "empty": 2,
        "no file": 6,
        "no run": 6,
    }


def drifting(place: Place) -> Path:
    """Return a task that asks for a route that is gone."""
    file = place.folder / "task.json"
    criteria = {"local_tests": ["true"], "drift": {"routes": ["/gone"]}}
    file.write_text(json.dumps({"title": "a", "criteria": criteria}))
    return file


def test_a_check_ends_with_the_code_of_what_it_found(place: Place) -> None:
    """0 as expected, 1 otherwise or where nobody answers, 4 where it cannot be told, 2 if wrong."""
    codes = [
        place.say("validate", *words).code
        for words in (
            ("/health", "-a", 'json $.status == "ok"'),
            ("/health", "--expected", "2xx,404"),
            ("/health", "--expected", "204"),
            ("http://127.0.0.1:1/",),
            ("/health", "-a", "certificate > 14d"),
            ("/health", "-a", "jsn $.status"),
            ("/health", "--header", "nothing"),
            ("/health", "--body", "{"),
        )
    ]

    assert codes[:4] == [0, 0, 1, 1]
    assert codes[4] in (1, 4)  # there is no certificate to judge
    assert codes[5:] == [2, 2, 2]


def test_drift_ends_with_the_code_of_what_was_found(place: Place) -> None:
    """0 without, 1 with, 4 where something or everything was not compared, 2 if the words are."""
    del place.production.answers["GET", "/api/auth"]
    codes = [
        place.say("check-drift", *words).code
        for words in (
            ("--route", "/api/users"),
            ("--route", "/api/auth"),
            ("--no-health",),
            ("--openapi", "gone.json"),
            ("--fail-on", "nothing"),
        )
    ]

    assert codes == [0, 1, 4, 4, 2]


def test_a_ledger_is_verified_and_one_that_was_touched_is_found_out(place: Place) -> None:
    """0 intact, 1 touched or cut off, 2 for a head that is none, 6 for a task without any."""
    place.tried()
    file = place.folder / LEDGER
    whole = file.read_text()
    known = place.say("proofs", "list", "--json").document["ledgers"][0]
    head = f"{known['entries']}:{known['digest']}"

    intact = place.say("proofs", "verify", "users", "--head", head)
    file.write_text(whole.replace('"outcome":"pass"', '"outcome":"fail"', 1))
    changed = place.say("proofs", "verify", "users", "--json")
    file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    cut = place.say("proofs", "verify", "users")
    file.write_text("".join(reversed(whole.splitlines(keepends=True))))
    moved = place.say("proofs", "verify", "users")

    assert (intact.code, intact.out.startswith("users: 5 entries, intact")) == (0, True)
    assert (changed.code, changed.document["intact"], bool(changed.document["problems"])) == (
        1,
        False,
        True,
    )
    assert (cut.code, moved.code, cut.out.splitlines()[0]) == (1, 1, "users: TOUCHED")
    assert place.say("proofs", "verify", "users", "--head", "x").code == 2
    assert place.say("proofs", "verify", "gone").code == 6
    assert place.say("proofs", "verify", "../users").code == 2


def test_every_command_tells_one_document_with_json(place: Place) -> None:
    """The schema is first, and nothing else is on stdout."""
    done = place.tried("--json")
    schemas = [
        next(iter(place.say(*words, "--json").document.items()))
        for words in (
            ("validate", "/health"),
            ("check-drift", "--route", "/api/users"),
            ("status",),
            ("proofs", "list"),
            ("proofs", "list", "users"),
            ("proofs", "verify", "users"),
            ("baseline", "record"),
            ("baseline", "show"),
            ("baseline", "accept"),
            ("remember", "a text"),
            ("recall", "text"),
            ("init", "--force", "--prod-url", place.production.url),
        )
    ]

    assert {name for name, _ in schemas} == {"schema"}
    assert [schema for _, schema in schemas] == [
        f"oneiric.{name}/1"
        for name in (
            "proof",
            "drift",
            "validation-status",
            "ledgers",
            "proofs",
            "ledger-verification",
            "baseline",
            "baseline",
            "baseline",
            "knowledge",
            "knowledge",
            "written",
        )
    ]
    found = done.document
    assert (found["schema"], found["status"], found["outcome"], found["error"]) == (
        "oneiric.validation-task/1",
        "done",
        "done",
        None,
    )
    assert (found["passed"], found["required"], len(found["proofs"])) == (2, 2, 4)
    assert (found["standard_passed"], found["standard_asked"]) == (2, 2)


def test_an_error_is_one_document_with_json(place: Place) -> None:
    """Code, message, details and hint, and the exit code of the table."""
    done = place.say("run", "x", "--resume", "gone", "--json")

    assert (done.code, list(done.document), done.document["error"]["code"]) == (
        6,
        ["error"],
        "not-found",
    )


def test_reports_are_written_and_quiet_is_one_line(place: Place) -> None:
    """One of each form; the folder has to be there before anything is begun."""
    done = place.tried("--quiet", "--report", "junit=r.xml", "--report", "html=r.html")
    nowhere = place.tried("--report", "html=gone/r.html")
    wrong = place.tried("--report", "pdf=r.pdf")

    assert (done.code, done.out, done.err) == (0, f"users: {DONE}\n", "")
    assert len(ElementTree.parse(place.folder / "r.xml").findall(".//testcase")) > 3
    assert "<html" in (place.folder / "r.html").read_text()
    assert (nowhere.code, wrong.code) == (6, 2)
    assert len(place.say("status", "--json").document["tasks"]) == 1


def test_a_check_that_failed_is_a_failure_in_every_report(place: Place) -> None:
    """Who reads a report sees which address did not answer as it should, and no green one there."""
    words = ["run", "gone", "-t", "true", "-e", "/api/users", "-e", "/gone", "-r", "2"]
    done = place.say(*words, "--report", "junit=r.xml", "--report", "markdown=r.md")

    cases = ElementTree.parse(place.folder / "r.xml").findall(".//testcase")
    failed = [case.find("failure") for case in cases]
    messages = [each.get("message", "") for each in failed if each is not None]
    assert (done.code, len(messages)) == (1, 1)
    assert messages[0].endswith("/gone: status 200: it is 404")
    assert "| `check.2` | failed |" in (place.folder / "r.md").read_text()


def killed(place: Place) -> str:
    """Kill a command in the middle of a check, and return the run that it left."""
    place.production.answers["GET", "/slow"] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", "validation", *KILLED],
        cwd=place.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            assert place.production.waits.wait(60)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    place.production.goes_on.set()
    (left,) = place.say("status", "--json").document["tasks"]
    assert left["status"] == "validating"
    return str(left["run"])


def test_a_command_that_was_killed_is_gone_on_with(place: Place) -> None:
    """What was recorded is not done again, and the task is done with the proofs of one run.

    Another task than it was begun with is refused.
    """
    run = killed(place)

    changed = place.say(*KILLED[:-1], "3", "--resume", run)
    done = place.say(*KILLED, "--resume", run, "--json")
    again = place.say("run", "--resume", run)

    found = done.code, done.document["status"], done.document["run_id"]
    assert found == (0, "done", run), done.err
    assert (changed.code, changed.out) == (3, "")
    assert "gate.production: required_proofs" in changed.err
    assert (place.folder / "tested").read_text() == "once\n"
    assert (again.code, "error[invalid]" in again.err) == (2, True)
    assert place.say("proofs", "verify", "slow").code == 0


def test_who_goes_on_with_a_run_that_is_held_is_told_that_it_waits(place: Place) -> None:
    """On stderr, and with --quiet too: nobody waits for a lease without knowing for what."""
    run = killed(place)
    path = place.folder / ".oneiric_cache" / "oneiric.sqlite"
    with closing(sqlite3.connect(path)) as database:
        until = time.monotonic() + HELD_SECONDS
        query = "UPDATE runs SET holder = 'other', token = token + 1, until = ?, seconds = ?"
        database.execute(query, (until, HELD_SECONDS))
        database.commit()

    done = place.say("run", "--resume", run, "--quiet")

    assert (done.code, done.out) == (0, f"slow: {DONE}\n")
    assert done.err == f"waits until nobody holds the run {run}: 30 s at most\n"


def test_defect_validation_b13_markup_in_titles_is_text(place: Place) -> None:
    """What looks like markup, or steers a terminal, is shown as it is, or not at all."""
    title = "[red]Deploy[/x] \x1b[31m\x07[/]"

    done = place.say("run", title, "-t", "true", "-e", "/health", "-r", "2")
    stored = place.say("remember", title)
    recalled = place.say("recall", "Deploy")
    code, out, _ = seen(place, ["recall", "Deploy"])

    assert (done.code, done.out.startswith("[red]Deploy[/x] ")) == (0, True), done.err
    assert (stored.code, recalled.code, code) == (0, 0, 0)
    assert "[red]Deploy[/x]" in recalled.out
    assert "[red]Deploy[/x]" in " ".join(out.split())
    for text in (done.out, recalled.out, out):
        assert "\x1b[31m" not in text
        assert "\x07" not in text


@pytest.mark.parametrize("text", ["{", "[]", '{"prod_url": 3}', '{"prod_url": "x", "prod": 1}', ""])
def test_defect_validation_b14_a_broken_file_is_told_with_its_place(
    place: Place, text: str
) -> None:
    """One line with the file, exit code 2, and no traceback."""
    (place.folder / ".snipara-orchestrator.json").write_text(text)

    for words in (("run", "x"), ("status",), ("validate", "/health"), ("recall", "x")):
        done = place.say(*words)
        assert (done.code, done.out) == (2, ""), words
        assert re.match(r"error\[invalid-(config|document)\]: ", done.err), done.err
        assert ".snipara-orchestrator.json" in done.err
        assert "Traceback" not in done.err


def test_what_is_wrong_with_options_is_told_with_a_hint(place: Place) -> None:
    """An unknown option, a number that is none, a task of a wrong form."""
    unknown = place.say("run", "x", "--requird-proofs", "3")
    number = place.say("run", "x", "--required-proofs", "0")
    (place.folder / "task.yaml").write_text("title: x\ncriteria: {live_check: [/a]}\n")
    task = place.say("run", "--task", "task.yaml")
    (place.folder / "list.yaml").write_text("- a\n")
    listed = place.say("run", "--task", "list.yaml")
    address = place.say("run", "x", "-e", "ftp://example.com/")
    elsewhere = place.say("run", "x", "-t", "true", "-e", "https://elsewhere.example/")

    for done in (unknown, number, task, listed, address):
        assert (done.code, done.out) == (2, ""), done.err
        assert done.err.startswith("error[")
        assert "Traceback" not in done.err
    assert "--required-proofs" in unknown.err
    assert "live_checks" in task.err
    assert elsewhere.code == 3
    assert "Traceback" not in elsewhere.err


def test_progress_is_told_to_a_person_on_stderr_alone(place: Place) -> None:
    """At a terminal each step is a line on stderr; piped, quiet or with --json there is none.

    Nor is there where the file says `verbose: false`.
    """
    words = ["run", "users", "-t", "true", "-e", "/api/users", "-r", "2"]

    code, out, err = seen(place, words)
    _, _, quiet = seen(place, [*words, "--quiet"])
    _, document, told = seen(place, [*words, "--json"])

    assert (code, out.splitlines()[0]) == (0, f"users: {DONE}")
    for step in ("test.1", "drift", "gate.validation", "check.1", "gate.production"):
        assert step in err
        assert step not in out
    assert (quiet, told) == ("", "")
    assert json.loads(document)["status"] == "done"
    assert place.tried().err == ""
    place.configure(prod_url=place.production.url, verbose=False)
    code, out, still = seen(place, words)
    assert (code, out.splitlines()[0], still) == (0, f"users: {DONE}", "")


def test_nothing_is_wider_than_the_terminal(place: Place) -> None:
    """Differences, what was not compared and proofs are wrapped at 80 columns."""
    del place.production.answers["GET", "/api/auth"]
    place.tried("-e", "/gone")
    for words in (
        ["check-drift", "--route", "/api/users", "--route", "/api/auth"],
        ["check-drift", "--openapi", "gone.json", "--schema", "--config"],
        ["run", "users", "-t", "true", "-e", "/gone", "-e", "/api/auth"],
        ["validate", "/gone"],
        ["proofs", "list", "users"],
        ["proofs", "list"],
        ["baseline", "record"],
    ):
        _, out, _ = seen(place, words)
        assert out
        wide = [line for line in out.splitlines() if len(line) > 80 and "://" not in line]
        assert wide == [], words


def test_an_address_of_production_with_a_password_is_refused_and_not_shown(place: Place) -> None:
    """It would be shown by whoever names production; credentials are sent as headers of checks."""
    place.configure(prod_url=place.production.url.replace("://", f"://me:{SECRET}@"))
    said = [place.say("status"), place.say("status", "--json"), place.tried()]
    place.configure(prod_url=f"{place.production.url}/?token={SECRET}")
    said += [place.say("status"), place.say("validate", "/gone")]

    assert [done.code for done in said] == [2] * len(said)
    assert "prod_url" in said[0].err
    for done in said:
        assert SECRET not in done.out + done.err


def test_knowledge_that_cannot_be_asked_is_unavailable(place: Place) -> None:
    """Whoever calls it from a script can tell that from a failure, and try again later."""
    done = place.say("recall", "x", SNIPARA_API_KEY="snp-k", SNIPARA_API_URL="http://127.0.0.1:1")

    assert (done.code, done.out) == (5, "")
    assert "error[unavailable]: knowledge: adapter:knowledge@snipara failed in health" in done.err


def test_an_agent_joins_a_swarm_under_a_name(place: Place) -> None:
    """With the options that users of the orchestrator know."""
    swarm = place.say("swarm-create", "team", "--json").document["result"]["swarm_id"]
    words = ["-s", swarm, "-a", "one", "--name", "One", "-r", "worker", "-c", "tests"]

    done = place.say("swarm-join", *words, "--json")

    assert (done.code, done.document["result"]["success"]) == (0, True), done.err


def test_no_secret_is_told_or_kept(place: Place) -> None:
    """Neither the key, nor a header, nor a password of an address is anywhere afterwards."""
    place.configure(
        prod_url=place.production.url,
        snipara_api_key=SECRET,
        snipara_api_url="http://127.0.0.1:1",
    )
    criteria = {
        "local_tests": ["true"],
        "live_checks": [
            {"url": "/gone", "headers": {"Authorization": f"Bearer {SECRET}"}},
            {"url": f"/api/users?token={SECRET}"},
        ],
    }
    (place.folder / "task.json").write_text(json.dumps({"title": "x", "criteria": criteria}))
    header = ("--header", f"Authorization: Bearer {SECRET}")
    said = [
        place.say("run", "--task", "task.json", "--report", "json=r.json"),
        place.say("run", "--task", "task.json", "--json"),
        place.say("validate", "/gone", *header, "--json"),
        place.say("validate", f"/gone?api_key={SECRET}", *header),
        place.say("status"),
        place.say("proofs", "list", "x", "--json"),
        place.say("recall", "x"),
        place.say("check-drift"),
    ]

    for done in said:
        assert SECRET not in done.out + done.err
    texts = [f"criteria.live_checks.{each} holds a secret" for each in PLACES]
    told = [each for each in said[1].document["warnings"] if "knowledge" not in each]
    assert [warning[: len(text)] for warning, text in zip(told, texts, strict=True)] == texts
    report = (place.folder / "r.json").read_text()
    for text in texts:
        assert f"warning: {text}" in said[0].err
        assert text in report
    ledger = place.folder / ".oneiric_cache/ledger"
    kept = [place.folder / "r.json", *ledger.iterdir()]
    for file in kept:
        assert SECRET not in file.read_text(), file


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        ('{"fail_onn": "info"}', "fail_onn: unknown key; did you mean fail_on?"),
        ('{"overrides": {"path-remove": "ignore"}}', "overrides: no rule path-remove"),
        ('{"timeout": -1}', "timeout: Input should be greater than 0"),
    ],
)
def test_a_wrong_question_about_drift_is_told_before_the_task_begins(
    place: Place, ask: str, what: str
) -> None:
    """It is bad input, with 2, as all else in the file; no local test was run for it."""
    (place.folder / "asked.yaml").write_text(
        "title: asked\n"
        f"criteria: {{local_tests: [touch ran], required_proofs: 1, drift: {{ask: {ask}}}}}\n"
    )

    told = place.say("run", "--task", "asked.yaml")

    assert (told.code, (place.folder / "ran").exists()) == (2, False), told.err
    assert f"  criteria.drift: {what}" in told.err
