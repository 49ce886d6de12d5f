"""`action-invoke workflow.notify --send-notification`: what it prints, sends and keeps."""

import json
from pathlib import Path

import pytest

from tests.acceptance.commands import oneiric
from tests.cli.calls import Call, answer, document
from tests.servers import free_port

BEFORE = ("--demo",)
NOTIFY = ("action-invoke", "workflow.notify", "--payload", '{"message": "Deploy ready"}')
REPORT = ("--workflow", "word-report")
SEND = "--send-notification"
AS_JSON = "[logging]\nemit_json = true\n"


def hooked(folder: Path) -> None:
    """Select a webhook whose receiver is gone."""
    (folder / "oneiric.toml").write_text(
        "[adapters.selections]\nmessaging = 'webhook'\n"
        "[adapters.provider_settings.webhook]\n"
        f"url = 'http://127.0.0.1:{free_port()}/s3cret'\nattempts = 1\n"
    )


def test_the_embedded_provider_logs_by_the_route_of_the_workflow(tmp_path: Path) -> None:
    """Out of the box, without an account; the one document tells what became of it."""
    (tmp_path / "oneiric.toml").write_text(AS_JSON)
    code, out, err = oneiric(*BEFORE, *NOTIFY, *REPORT, SEND, "--json", folder=tmp_path)
    told = json.loads(out)["notification"]
    logged = [json.loads(line) for line in err.splitlines() if "Deploy ready" in line]

    assert code == 0
    assert told == {
        "schema": "oneiric.notification/1",
        "workflow": "word-report",
        "status": "sent",
        "routes": [
            {
                "ref": "adapter:messaging",
                "target": "",
                "channel": "reports",
                "title": "",
                "include_context": True,
                "on": [],
            }
        ],
        "outcomes": [
            {
                "ref": "adapter:messaging",
                "target": "reports",
                "title": "word-report",
                "success": True,
                "provider": "log",
                "message_id": told["outcomes"][0]["message_id"],
                "code": None,
                "error": None,
                "dead_letter": None,
            }
        ],
    }
    assert [each["target"] for each in logged if each["event"] == "notification"] == ["reports"]


def test_people_get_a_line_for_each_route(call: Call) -> None:
    """Below the result of the action."""
    code, out, _ = call(*NOTIFY, *REPORT, SEND, "--notify-target", "ops", "--notify-title", "T")

    assert code == 0
    assert out.splitlines()[-1].startswith("sent through log to ops: message ")
    assert json.loads(out[: out.rindex("}") + 1])["status"] == "logged"


@pytest.mark.parametrize(
    ("words", "code", "status", "line"),
    [
        (REPORT, 0, "not-asked", "--send-notification was not given; 1 route known"),
        ((SEND,), 1, "no-route", "there is no route, for no --workflow is given"),
    ],
)
def test_what_was_not_sent_is_said(
    call: Call, words: tuple[str, ...], code: int, status: str, line: str
) -> None:
    """In words, and by the exit code where it was asked for."""
    told = answer(call(*NOTIFY, *words, "--json"), code)["notification"]
    _, out, _ = call(*NOTIFY, *words)

    assert (told["status"], told["outcomes"]) == (status, [])
    assert line in out.splitlines()[-1]


def test_without_any_of_these_options_nothing_is_said_of_sending(call: Call) -> None:
    """The document is that of any other action."""
    assert "notification" not in document(call(*NOTIFY, "--json"))


def test_what_no_receiver_took_is_kept_and_replayed(call: Call, tmp_path: Path) -> None:
    """Exit code 1 and the letter's id; `event dead-letters` shows and replays it."""
    hooked(tmp_path)
    told = answer(call(*NOTIFY, *REPORT, SEND, "--json"), 1)["notification"]
    (outcome,) = told["outcomes"]
    code, shown, _ = call(*NOTIFY, SEND, "--notify-target", "ops")
    first, second = answer(call("event", "dead-letters", "--json"))["dead_letters"]
    again = answer(call("event", "dead-letters", "replay", first["id"], "--json"), 1)
    (tmp_path / "oneiric.toml").write_text("")
    done = answer(call("event", "dead-letters", "replay", "--json"))

    assert (told["status"], outcome["dead_letter"]) == ("failed", first["id"])
    assert (code, f"kept as dead letter {second['id']}" in shown) == (1, True)
    assert (first["handler"], first["event"]["type"]) == (
        "adapter:messaging",
        "oneiric.notification",
    )
    assert [each["letter"] for each in again["replays"]] == [first["id"]]
    assert [each["success"] for each in done["replays"]] == [True, True]
    assert answer(call("event", "dead-letters", "--json"))["dead_letters"] == []
    assert "s3cret" not in f"{told} {first} {again}"


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("--workflow", "word-repot", SEND), 6, "did you mean workflow:word-report?"),
        (("--workflow", "task:demo-words", SEND), 2, "two domains were given"),
        ((SEND, "--notify-provider", "slak"), 6, "did you mean adapter:messaging@slack?"),
        (("--notify-target", "ops"), 2, "hint: --send-notification"),
        ((SEND, "--notify-provider", "slack"), 1, "token"),
    ],
)
def test_what_cannot_be_done_is_told(
    call: Call, words: tuple[str, ...], code: int, what: str
) -> None:
    """On one line with a hint; a provider that is not set up says what it lacks."""
    found, out, err = call(*NOTIFY, *words)

    assert found == code
    assert what in out + err


def test_another_action_gives_nothing_to_send(call: Call) -> None:
    """It is refused before it runs."""
    code, out, err = call("action-invoke", "compression.hash", SEND)

    assert (code, out) == (2, "")
    assert "gives nothing to send" in err
