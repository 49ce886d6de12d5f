"""Verbs act on the orchestrator that runs, else on what is stored, else here, and say which."""

import json
from typing import Any

import pytest

from oneiric.runtime.control_verbs import DONE
from oneiric.runtime.operator import HERE
from oneiric.web.control.protocol import VERBS
from tests.cli.calls import Call, document
from tests.control.house import House

RUN = ("workflow", "run", "word-report", "--context", '{"text": "a b c"}')
QUEUED = ("workflow", "enqueue", "word-report", "--context", '{"text": "a b"}')
HASH = ("action-invoke", "compression.hash", "--payload", '{"text": "a"}')
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "list": (("list",), "local"),
    "explain": (("explain", "payment"), "local"),
    "status": (("status",), "local"),
    "activity": (("activity",), "stored"),
    "swap": (("swap", "status", "--provider", "counting"), "stored"),
    "pause": (("pause", "payment"), "stored"),
    "drain": (("drain", "payment"), "stored"),
    "resume": (("resume", "payment"), "stored"),
    "remote-status": (("remote-status",), "stored"),
    "remote-sync": (("remote-sync",), "local"),
    "remote-sync --dry-run": (("remote-sync", "--dry-run"), "local"),
    "secrets-rotate": (("secrets", "rotate", "--all"), "local"),
    "workflow-plan": (("workflow", "plan"), "local"),
    "workflow-run": (RUN, "local"),
    "workflow-enqueue": (QUEUED, "local"),
    "event-emit": (("event", "emit", "--topic", "order.created"), "local"),
    "action-invoke": (HASH, "local"),
}
UNSTORED = {"health", "ping", "probe", "reload", "stop", "rollback"}
"""Verbs that only an orchestrator can do, or that refuse where none runs; `health` tells more."""


def test_every_verb_is_done_where_it_is_said_to_be() -> None:
    """The protocol, what is done live and what is done here name the same verbs."""
    assert VERBS.keys() == DONE.keys()
    assert HERE.keys() == VERBS.keys() - UNSTORED | {"rollback"}
    assert {name.split()[0] for name in COMMANDS} == VERBS.keys() - UNSTORED


@pytest.mark.parametrize("verb", COMMANDS)
def test_promise_c1_the_running_orchestrator_does_it(live: Call, verb: str) -> None:
    """Where one runs, it is asked, and the answer says so."""
    words, _ = COMMANDS[verb]
    assert document(live(*words, "--json"))["applied"] == "live"


@pytest.mark.parametrize("verb", COMMANDS)
def test_promise_c1_without_one_it_is_done_here_or_stored(here: Call, verb: str) -> None:
    """Where none runs, the answer says what was done instead."""
    words, applied = COMMANDS[verb]
    code, out, err = here("--demo", *words, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["applied"] == applied


def test_promise_c1_a_rollback_without_one_does_not_pretend(here: Call) -> None:
    """Nobody knows who served before, and that is what is said."""
    code, out, err = here("--demo", "rollback", "payment")
    assert (code, out) == (5, "")
    assert err.startswith("error[unavailable]: no orchestrator runs here")


def test_promise_c1_who_names_further_offers_asks_about_this_process(live: Call) -> None:
    """`--demo` adds offers to this process, which no other has."""
    assert document(live("--demo", "list", "--json"))["applied"] == "local"


def test_promise_c1_who_names_another_profile_or_file_is_answered_here(
    shared: House, live: Call
) -> None:
    """One that the orchestrator runs with may be named; another asks about another process."""
    (shared.folder / "other.toml").write_text("")

    def where(*words: str) -> Any:
        code, out, err = live(*words, "list", "--json")
        assert (code, err) == (0, ""), err
        return json.loads(out)["applied"]

    assert where("--profile", "default") == "live"
    assert where("--profile", "serverless") == "local"
    assert where("--config", "other.toml") == "local"


def test_a_swap_is_reported_phase_by_phase_and_can_be_rolled_back(live: Call) -> None:
    """The instance that runs is exchanged; the rollback brings the one before back."""
    first = document(live("swap", "lamp", "--provider", "gas", "--json"))
    assert first["report"]["ok"]
    second = document(live("swap", "lamp", "--provider", "oil", "--json"))
    assert (second["report"]["before"], second["report"]["after"]) == ("gas", "oil")
    assert [change["ref"] for change in second["changes"]] == ["service:lamp"]
    code, out, err = live("rollback", "lamp")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "live: gas was selected for service:lamp"
    rows = {row["ref"]: row for row in document(live("status", "--json"))["status"]}
    assert (rows["service:lamp"]["provider"], rows["service:lamp"]["state"]) == ("gas", "ready")
    cleared = document(live("swap", "lamp", "--clear", "--json"))
    assert (cleared["cleared"], cleared["report"]["after"]) == (True, "oil")
    again = live("swap", "lamp", "--clear")
    assert again[1] == (
        "no decision changes\nthere was no selection of an earlier swap for service:lamp\n"
    )


def test_a_swap_that_does_not_hold_ends_with_its_error_and_changes_nothing(live: Call) -> None:
    """The report says in which phase it failed, and why; who served before still does."""
    document(live("swap", "lamp", "--provider", "gas", "--json"))
    told = json.loads(live("swap", "lamp", "--provider", "broken", "--json")[1])
    assert told["report"]["failed_phase"] == "init"
    assert told["report"]["error"]["code"] == "component-failed"
    assert not told["report"]["rolled_back"]
    code, out, _ = live("swap", "lamp", "--provider", "broken")
    assert code == 1
    assert out.splitlines() == [
        "service:lamp  broken refused in init; gas serves",
        "  service:lamp@broken failed in init: ConnectionError: connection refused",
        "live: nothing was selected, and nothing stored for service:lamp",
    ]
    assert document(live("explain", "lamp", "--json"))["winner"] == "gas"


def test_what_is_told_beside_an_answer_is_told_by_its_command(live: Call) -> None:
    """On stderr, as it would be without an orchestrator."""
    code, out, err = live(*RUN, "--resume-checkpoint")
    assert (code, err) == (0, "no run was left unfinished, so a new one was begun\n")
    assert out.startswith("live: word-report succeeded, run ")


def test_a_dry_run_swaps_nothing(live: Call) -> None:
    """It tells which decisions would change."""
    document(live("swap", "lamp", "--provider", "gas", "--json"))
    told = document(live("swap", "lamp", "--provider", "oil", "--dry-run", "--json"))
    assert (told["dry_run"], told["report"], len(told["changes"])) == (True, None, 1)
    assert document(live("explain", "lamp", "--json"))["winner"] == "gas"


def test_a_pause_counts_in_the_running_process_at_once(live: Call) -> None:
    """Work is refused there with the note, and taken again after the resume."""
    live("pause", "action:compression.hash", "--note", "audit")
    code, out, err = live(*HASH)
    assert (code, out) == (3, "")
    assert err.startswith("error[paused]: action:compression.hash is paused by ")
    assert "audit" in err
    assert live("resume", "action:compression.hash")[0] == 0
    assert live(*HASH)[0] == 0


def test_a_drain_waits_for_the_running_process(live: Call) -> None:
    """It answers once nothing is in flight there."""
    told = document(live("drain", "service:status", "--wait", "--json"))
    assert [share["in_flight"] for share in told["processes"]] == [0]
    assert live("resume", "service:status")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "lampp"),
        ("list", "--domain", "adaptor"),
        ("swap", "status", "--provider", "countin"),
        ("swap", "status"),
        ("pause", "service:nobody"),
        ("workflow", "run", "no-such"),
        ("event", "emit", "--topic", "no topic"),
        ("action-invoke", "compression.hash", "--payload", '{"text": 7}'),
        ("action-invoke", "compression.hash", "--send-notification"),
        ("remote-sync", "--manifest", "nowhere.json"),
        ("remote-sync", "--trust", "root.json"),
    ],
)
def test_errors_are_told_as_if_they_had_happened_here(live: Call, words: tuple[str, ...]) -> None:
    """Code, message, further lines, hint and exit code are the same, as text and as JSON."""
    here = live("--demo", *words)
    if "lamp" not in words[-1]:  # which only the running one knows
        assert live(*words) == here
    code, out, err = live(*words, "--json")
    assert (code, err) == (here[0], "")
    assert set(json.loads(out)["error"]) == {"code", "message", "details", "hint"}
    assert here[2].startswith(f"error[{json.loads(out)['error']['code']}]")


def test_what_a_command_prints_is_laid_out_for_its_own_terminal(live: Call, here: Call) -> None:
    """What is piped is not cut; a narrow terminal gets narrow tables."""
    assert max(map(len, live("list")[1].splitlines())) > 80


@pytest.mark.parametrize("words", [("plan",), ("plan", "word-report", "--mermaid")])
def test_a_plan_looks_the_same_wherever_it_is_made(live: Call, words: tuple[str, ...]) -> None:
    """The text is that of the command itself."""
    assert live("workflow", *words) == live("--demo", "workflow", *words)


def test_the_verbs_that_only_a_running_one_knows(shared: House) -> None:
    """Ping says who answers, probe how a component is, reload what counts."""
    asked = shared.asked()
    ping = asked.ask("ping", {}).document
    assert shared.child is not None
    assert (ping["pid"], ping["ready"]) == (shared.child.process.pid, True)
    asked.ask("swap", {"ref": "lamp", "provider": "oil"})
    assert asked.ask("probe", {"ref": "lamp"}).document["healthy"] is True
    asked.ask("swap", {"ref": "beacon", "provider": "dim"})
    dim = asked.ask("probe", {"ref": "beacon"})
    assert (dim.exit_code, dim.document["healthy"]) == (1, False)
    assert asked.ask("reload", {}).document["error"] is None
    wrong = shared.folder / "oneiric.toml"
    wrong.write_text("[app]\nnam = 'x'\n")
    try:
        told = asked.ask("reload", {})
    finally:
        wrong.unlink()
        asked.ask("reload", {})
    assert told.exit_code == 2
    assert "app.nam" in told.text


def test_defect_status_says_who_serves_beside_who_would(shared: House, live: Call) -> None:
    """Where a change has still to be followed, or cannot be, the two are not the same."""
    asked, file = shared.asked(), shared.folder / "oneiric.toml"
    asked.ask("swap", {"ref": "lamp", "provider": "gas"})
    file.write_text("[services.selections]\nlamp = 'broken'\n")
    try:
        asked.ask("reload", {})
        code, out, _ = live("status", "--domain", "service")
    finally:
        file.unlink()
        asked.ask("reload", {})

    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["component", "winner", "state", "serves", "activity"] in [row[:5] for row in rows]
    assert ["service:lamp", "broken", "ready", "gas", "active", "0"] in [row[:6] for row in rows]
