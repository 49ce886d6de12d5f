"""What became of a result that was to be sent to people, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.runtime.notification_route import NotificationRoute
    from oneiric.runtime.notifications import NotificationOutcome

UNASKED, NO_ROUTE, SENT, PARTIAL, FAILED = "not-asked", "no-route", "sent", "partial", "failed"


@dataclass(frozen=True, slots=True)
class NotificationAnswer:
    """The routes that there are, and what came of each; no outcome where nothing was sent."""

    workflow: str
    routes: tuple[NotificationRoute, ...]
    outcomes: tuple[NotificationOutcome, ...]
    asked: bool

    @property
    def status(self) -> str:
        """One of `sent`, `partial`, `failed`, `no-route` and `not-asked`."""
        if not self.asked:
            return UNASKED
        if not self.outcomes:
            return NO_ROUTE
        sent = sum(outcome.success for outcome in self.outcomes)
        return SENT if sent == len(self.outcomes) else PARTIAL if sent else FAILED

    @property
    def exit_code(self) -> int:
        """0 when all was sent that was to be, else 1; to be sent to nobody is a failure too."""
        return 0 if self.status in (SENT, UNASKED) else 1

    def lines(self) -> list[str]:
        """Return a line for each route, or why nothing was sent."""
        if self.status == UNASKED:
            where = f"{len(self.routes)} route{'' if len(self.routes) == 1 else 's'} known"
            return [f"nothing was sent: --send-notification was not given; {where}"]
        if self.status == NO_ROUTE:
            why = f"{self.workflow} declares none" if self.workflow else "no --workflow is given"
            return [f"nothing was sent: there is no route, for {why}, and no --notify-target"]
        return [_line(outcome) for outcome in self.outcomes]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.notification/1`."""
        return {
            "schema": "oneiric.notification/1",
            "workflow": self.workflow or None,
            "status": self.status,
            "routes": [
                {
                    "ref": str(route.ref),
                    "target": route.target,
                    "channel": route.channel,
                    "title": route.title,
                    "include_context": route.include_context,
                    "on": list(route.on),
                }
                for route in self.routes
            ],
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
        }


def _line(outcome: NotificationOutcome) -> str:
    where = f" to {outcome.target}" if outcome.target else ""
    if outcome.success:
        return f"sent through {outcome.provider}{where}: message {outcome.message_id}"
    kept = f"; kept as dead letter {outcome.letter}" if outcome.letter else ""
    return f"not sent through {outcome.ref}{where}: {outcome.error}{kept}"
