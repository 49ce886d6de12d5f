"""What `workflow.audit`, `workflow.notify`, `debug.console` and `data.sanitize` never show."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given as law

from oneiric.actions.data_sanitize import DataSanitize, SanitizePayload
from oneiric.actions.debug_console import ConsolePayload, DebugConsole
from oneiric.actions.workflow_audit import AuditPayload, WorkflowAudit
from oneiric.actions.workflow_notify import NotifyPayload, WorkflowNotify
from oneiric.testing import ManualClock
from oneiric.text.redaction import MASK, redacted
from tests.actions.conftest import Act
from tests.actions.values import HIDDEN, HIDDEN_BY_OWN_NAME, OWN_NAMES, SECRET


def outputs(record: dict[str, Any], names: list[str]) -> dict[str, str]:
    """Return what each action gives for a record, as text."""
    results = [
        DataSanitize().execute(SanitizePayload(data=record, mask_fields=names)),
        DebugConsole().execute(ConsolePayload(message="m", details=record, scrub_fields=names)),
        WorkflowAudit().execute(AuditPayload(event="e", details=record, redact_fields=names)),
    ]
    if not names:
        results.append(WorkflowNotify().execute(NotifyPayload(message="m", context=record)))
    return {type(each).__name__: json.dumps(each.model_dump(mode="json")) for each in results}


@law(record=HIDDEN)
def test_defect_oneiric_z5_no_secret_survives_at_any_depth(record: dict[str, Any]) -> None:
    """Whatever its spelling and whatever it holds, a field named like a secret is masked."""
    shown = outputs(record, [])

    assert {name: SECRET in text for name, text in shown.items()} == dict.fromkeys(shown, False)


@law(record=HIDDEN_BY_OWN_NAME)
def test_defect_oneiric_z5_a_named_field_is_masked_in_any_spelling(record: dict[str, Any]) -> None:
    """`card_number` masks `cardNumber` and `CARD-NUMBER`, at any depth."""
    shown = outputs(record, list(OWN_NAMES))

    assert {name: SECRET in text for name, text in shown.items()} == dict.fromkeys(shown, False)


def test_what_is_no_secret_is_left_as_it_is() -> None:
    """Masking is by names: other fields keep value and type."""
    record = {"id": 7, "list": [1, {"a": None}], "text": "plain", "flag": True}

    assert redacted(record, names=["card"]) == record
    assert redacted(record, names=["***", ""]) == record


async def test_audit_records_what_it_tells(act: Act, caplog: pytest.LogCaptureFixture) -> None:
    """The result is what was logged: secrets masked, credentials cut from URLs."""
    with caplog.at_level(logging.INFO, logger="oneiric"):
        found = await act(
            "workflow.audit",
            event="deployed",
            details={"url": "redis://me:pw@host", "authToken": "t", "who": {"Badge": 7}},
            redact_fields=["badge"],
            include_timestamp=False,
        )

    assert found == {
        "status": "recorded",
        "event": "deployed",
        "channel": "audit",
        "details": {"url": f"redis://{MASK}@host", "authToken": MASK, "who": {"Badge": MASK}},
        "timestamp": None,
    }
    (record,) = caplog.records
    assert isinstance(record.msg, dict)
    assert (record.msg["event"], record.msg["what"]) == ("workflow-audit", "deployed")
    assert record.msg["details"] == found["details"]


def test_audit_tells_when() -> None:
    """The time is the clock's, in UTC."""
    told = WorkflowAudit(clock=ManualClock()).execute(AuditPayload(event="e"))

    assert told.timestamp == "2026-01-01T00:00:00.000000Z"


async def test_notify_says_that_it_only_logged(act: Act, caplog: pytest.LogCaptureFixture) -> None:
    """The message is logged at its level, and nothing is said to be queued or sent."""
    with caplog.at_level(logging.INFO, logger="oneiric"):
        found = await act(
            "workflow.notify", message="Deploy ready", channel="deploys", level="warning"
        )

    assert found == {
        "status": "logged",
        "message": "Deploy ready",
        "channel": "deploys",
        "level": "warning",
        "recipients": [],
        "context": {},
    }
    assert [each.levelname for each in caplog.records] == ["WARNING"]


async def test_console_gives_the_line_only_when_asked(act: Act) -> None:
    """With `echo` the result holds the line that a caller may show."""
    shown = await act("debug.console", message="hi", details={"token": "t", "a": 1})
    silent = await act("debug.console", message="hi", echo=False)

    assert shown["line"] == f'[debug] hi {{"token": "{MASK}", "a": 1}}'
    assert (shown["status"], silent["line"]) == ("emitted", None)
