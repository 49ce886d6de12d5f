"""A real document about a notification, for its section of `docs/reference/json.md`."""

from __future__ import annotations

from typing import Any

from oneiric.runtime.notification_answers import NotificationAnswer
from oneiric.runtime.notifications import NotificationOutcome, NotificationRoute


def notification_documents() -> dict[str, Any]:
    """Return the document of a route whose receiver did not answer."""
    route = NotificationRoute(provider="slack", channel="orders", on=("failed",))
    outcome = NotificationOutcome(
        ref=str(route.ref),
        target="orders",
        title="order",
        code="unavailable",
        error="https://slack.com: took too long",
        letter="019b76da-a800-7000-8000-000000000001",
    )
    answer = NotificationAnswer("order", (route,), (outcome,), asked=True)
    return {"Notification": answer.as_json()}
