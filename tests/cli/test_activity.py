"""The commands about activity in this process: what they print, and how they end."""

import getpass
from pathlib import Path

import pytest

from oneiric.cli.app import main
from tests.cli.calls import Call, document

BEFORE = ("--demo",)
COLUMNS = "120"
USER = getpass.getuser()
WITHIN = "running processes follow within 0.5 s"


@pytest.mark.parametrize(
    "named", [["service:payment"], ["payment"], ["--domain", "service", "--key", "payment"]]
)
def test_a_component_is_paused_by_any_of_its_names(call: Call, named: list[str]) -> None:
    """And resumed; a second resume changes nothing."""
    assert call("pause", *named) == (0, f"stored: service:payment is paused; {WITHIN}\n", "")
    assert call("resume", *named) == (0, f"stored: service:payment is active; {WITHIN}\n", "")
    assert call("resume", *named) == (0, "service:payment was active already\n", "")


def test_promise_c1_the_answer_says_that_it_was_stored(call: Call) -> None:
    """No running process was asked; who said so is the user, unless another is named."""
    answer = document(call("pause", "payment", "--note", "audit", "--json"))
    since = answer["activity"].pop("since")
    assert answer == {
        "schema": "oneiric.activity-change/1",
        "ref": "service:payment",
        "applied": "stored",
        "activity": {"state": "paused", "note": "audit", "actor": USER},
        "before": {"state": "active", "note": "", "actor": "", "since": None},
        "takes_work": False,
        "processes": None,
    }
    again = document(call("drain", "payment", "--actor", "ada", "--json"))
    assert again["before"] == {**answer["activity"], "since": since}
    assert (again["activity"]["state"], again["activity"]["actor"]) == ("draining", "ada")
    resumed = document(call("resume", "payment", "--json"))
    assert (resumed["activity"]["state"], resumed["takes_work"]) == ("active", True)


@pytest.mark.parametrize("verb", ["pause", "drain", "resume"])
def test_defect_oneiric_an_unknown_component_is_not_accepted_silently(
    call: Call, tmp_path: Path, verb: str
) -> None:
    """Exit code 6 and the nearest spelling, for a key, a reference and an offer; no file."""
    for text, near in [
        ("paymnt", "payment"),
        ("service:paymnt", "service:payment"),
        ("service:payment@ledgr", "service:payment@ledger"),
    ]:
        code, out, err = call(verb, text)
        assert (code, out) == (6, "")
        assert err.startswith("error[not-found]: no component ")
        assert err.endswith(f"hint: did you mean {near}?\n")
    assert list(tmp_path.iterdir()) == []


def test_what_is_stored_can_be_resumed_when_nobody_offers_it_any_more(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is listed as offered by nobody until then."""
    call("pause", "payment")
    for words, out in [
        (["activity", "--json"], '"offered": false'),
        (["resume", "service:payment"], "stored: service:payment is active"),
        (["activity"], "everything takes work\n"),
    ]:
        monkeypatch.setattr("sys.argv", ["oneiric", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        assert (caught.value.code, out in capsys.readouterr().out) == (0, True)


def test_activity_lists_what_takes_no_work(call: Call) -> None:
    """A line each; as JSON by domain, with counts."""
    assert call("activity") == (0, "everything takes work\n", "")
    call("pause", "payment", "--note", "audit", "--actor", "ada")
    call("pause", "service:status@plain", "--actor", "bob")
    call("drain", "demo-words", "--actor", "cy")

    code, out, err = call("activity")
    assert (code, err) == (0, "")
    found = [line.split() for line in out.splitlines()]
    assert [[each[0], each[1], *each[-2:]] for each in found[1:]] == [
        ["service:payment", "paused", "ada", "audit"],
        ["service:status@plain", "paused", "bob", "-"],
        ["task:demo-words", "draining", "cy", "-"],
    ]
    listed = document(call("activity", "--json"))
    assert (listed["schema"], listed["applied"]) == ("oneiric.activity/1", "stored")
    assert listed["totals"] == {"paused": 2, "draining": 1, "note_only": 0}
    service = listed["domains"]["service"]
    assert service["counts"] == {"paused": 2, "draining": 0, "note_only": 0}
    assert [(each["key"], each["provider"]) for each in service["entries"]] == [
        ("payment", None),
        ("status", "plain"),
    ]
    alone = document(call("activity", "--domain", "task", "--json"))
    assert list(alone["domains"]) == ["task"]
    assert alone["totals"] == {"paused": 0, "draining": 1, "note_only": 0}
    assert call("activity", "--domain", "thing")[0] == 6


def test_status_and_explain_show_what_is_stored(call: Call) -> None:
    """With who said so and why; a paused offer is out of the decision."""
    call("pause", "payment", "--note", "audit", "--actor", "ada")
    call("pause", "service:status@plain", "--actor", "bob")

    rows = document(call("status", "--domain", "service", "--json"))["status"]
    stands = {row["ref"]: (row["activity"]["state"], row["winner"]) for row in rows}
    assert stands["service:payment"] == ("paused", "sandbox")
    assert stands["service:status"] == ("active", "counting")
    assert "note: service:payment: paused by ada: audit\n" in call("status")[1]
    assert document(call("explain", "payment", "--json"))["activity"]["note"] == "audit"
    assert call("explain", "payment")[1].endswith("  note: paused by ada: audit\n")
    assert "  rejected  plain     paused by bob\n" in call("explain", "service:status")[1]


def test_an_offer_whose_place_is_paused_is_said_to_stay_so(call: Call) -> None:
    """A resume of the offer alone does not pretend that it takes work."""
    call("pause", "payment", "--actor", "ada")
    call("pause", "service:payment@ledger")
    out = call("resume", "service:payment@ledger")[1]
    assert out.startswith(f"stored: service:payment@ledger is active; {WITHIN}; ")
    assert out.endswith("; but service:payment is paused by ada\n")


def test_a_paused_action_is_refused(call: Call) -> None:
    """Exit code 3, with who said so."""
    call("pause", "compression.hash", "--actor", "ada")
    code, out, err = call("action-invoke", "compression.hash", "--payload", '{"text": "a"}')
    assert (code, out) == (3, "")
    assert err.startswith("error[paused]: action:compression.hash is paused by ada\n")


def test_an_event_for_a_paused_handler_waits(call: Call) -> None:
    """Exit code 3; it is a dead letter that can be replayed after the resume."""
    call("pause", "order-created")
    assert call("event", "emit", "--topic", "order.created")[0] == 3
    call("resume", "order-created")
    code, out, _ = call("event", "dead-letters", "replay")
    assert (code, "order-created" in out) == (0, True)


@pytest.mark.parametrize("timeout", ["-1", "soon"])
def test_a_timeout_is_a_number_of_seconds(call: Call, timeout: str) -> None:
    """Anything else is wrong usage."""
    code, _, err = call("drain", "payment", "--wait", "--timeout", timeout)
    assert (code, err.startswith("error[usage]: ")) == (2, True)
