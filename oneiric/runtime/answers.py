"""What commands answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.core.activity import ACTIVE
from oneiric.core.decision import Place
from oneiric.runtime.answer import page, table

if TYPE_CHECKING:
    from oneiric.config import Setting
    from oneiric.core.activity import Activity
    from oneiric.core.decision import Decision, DecisionDiff, Standing
    from oneiric.core.status import ComponentStatus
    from oneiric.core.swap import SwapReport
    from oneiric.errors import JSONValue
    from oneiric.runtime.discovery import Discovered
    from oneiric.runtime.notification_answers import NotificationAnswer
    from oneiric.runtime.stored import Dormant
    from oneiric.runtime.telemetry_file import TelemetryFile


@dataclass(frozen=True, slots=True)
class Listing:
    """Every place that has offers, with the decision for it."""

    decisions: tuple[Decision, ...]
    domain: str = ""
    shadowed: bool = False
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def standings(self) -> list[tuple[Decision, Standing | None]]:
        """Return a row for each winner, or for each loser with `shadowed`."""
        rows: list[tuple[Decision, Standing | None]] = []
        for decision in self.decisions:
            shown = [
                standing
                for standing in decision.standings
                if (standing.place is Place.SELECTED) is not self.shadowed
            ]
            rows += [(decision, standing) for standing in shown]
            if not shown and not self.shadowed:
                rows.append((decision, None))
        return rows

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.list/1`: the rows, each with its reference and standing."""
        return {
            "schema": "oneiric.list/1",
            "applied": self.applied,
            "domain": self.domain,
            "shadowed": self.shadowed,
            "components": [
                {
                    "ref": str(decision.ref),
                    **(standing.as_json() if standing else _nobody()),
                    "warning": decision.warning,
                }
                for decision, standing in self.standings()
            ],
        }

    def warnings(self) -> list[str]:
        """Return what is wrong with the decisions but did not stop them."""
        return [decision.warning for decision in self.decisions if decision.warning]

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a row for each standing, and what is wrong."""
        rows = [
            (decision.ref, each.provider, each.place, each.why, each.candidate.source)
            if each
            else (decision.ref, "-", "nobody", _problem(decision), "")
            for decision, each in self.standings()
        ]
        headers = ("component", "provider", "standing", "why", "source")
        empty = "nothing is shadowed" if self.shadowed else "nothing is on offer"
        warnings = (f"warning: {warning}" for warning in self.warnings())
        told = table(headers, rows, columns=columns, empty=empty)
        return page(told, *warnings, _running(self.applied))


def _nobody() -> dict[str, JSONValue]:
    return {"provider": None, "standing": None}


def _problem(decision: Decision) -> str:
    return decision.problem.message if decision.problem else ""


def _running(applied: str) -> str:
    """Return what is said where a running orchestrator answers; nothing where none does."""
    return "live: the running orchestrator says so" if applied == "live" else ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision; under assumptions, with what they change.

    `dormant` is a stored selection for the place that is not in force, `activity` whether it
    takes work.
    """

    decision: Decision
    diff: DecisionDiff | None = None
    dormant: Dormant | None = None
    activity: Activity = ACTIVE
    applied: str = "local"

    @property
    def exit_code(self) -> int:
        """0, or where nobody may serve what that error ends with."""
        problem = self.decision.problem
        return problem.exit_code if problem is not None else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.decision/1`, what else counts, and `assumed` with assumptions."""
        assumed = {} if self.diff is None else {"assumed": self.diff.as_json()}
        return {
            **self.decision.as_json(),
            "applied": self.applied,
            "dormant": _dormant_json(self.dormant),
            "activity": self.activity.as_json(),
            **assumed,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the decision, what else counts, and what the assumptions change."""
        decision = self.decision.render(width=columns, colour=colour)
        dormant = f"  note: {self.dormant}" if self.dormant else ""
        activity = f"  note: {self.activity}" if self.activity.state != "active" else ""
        changes = ""
        if self.diff:
            changes = f"\nchanged by the assumptions:\n{self.diff.render(width=columns)}"
        elif self.diff is not None:
            changes = "\nthe assumptions change nothing"
        rest = page(dormant, activity, changes, _running(self.applied))
        return f"{decision}\n{rest}" if rest else decision


@dataclass(frozen=True, slots=True)
class Status:
    """How each component stands, in the process that `applied` names.

    `dormant` are the stored selections that are not in force, by place. `telemetry` is what the
    process that worked last wrote, or nothing.
    """

    rows: tuple[tuple[Decision, ComponentStatus], ...]
    dormant: Mapping[str, Dormant]
    app: str
    environment: str
    profile: str
    config: str
    applied: str = "local"
    telemetry: TelemetryFile | None = None

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.status/1`."""
        return {
            "schema": "oneiric.status/1",
            "applied": self.applied,
            "app": self.app,
            "environment": self.environment,
            "profile": self.profile,
            "config": self.config,
            "status": [
                {
                    **status.as_json(),
                    "winner": decision.winner.provider if decision.winner else None,
                    "selection": decision.as_json()["selection"],
                    "candidates": len(decision.standings),
                    "dormant": _dormant_json(self.dormant.get(decision.ref)),
                }
                for decision, status in self.rows
            ],
            "telemetry": self.telemetry.as_json() if self.telemetry else None,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a row for each component, and what keeps some from work."""
        rows = [
            (
                each.ref,
                decision.winner.provider if decision.winner else "nobody",
                each.state,
                each.provider or "-",
                each.activity.state,
                each.in_flight,
                decision.selection.origin if decision.selection else "-",
            )
            for decision, each in self.rows
        ]
        headers = ("component", "winner", "state", "serves", "activity", "in flight", "selected by")
        idle = [each for _, each in self.rows if each.activity.state != "active"]
        return page(
            f"{self.app}, {self.environment}; profile {self.profile}\n",
            table(headers, rows, columns=columns, empty="nothing is on offer"),
            *(f"note: {each.ref}: {each.activity}" for each in idle),
            *(f"note: {ref}: {each}" for ref, each in self.dormant.items()),
            _running(self.applied),
        )


def _dormant_json(dormant: Dormant | None) -> Mapping[str, JSONValue] | None:
    return dormant.as_json() if dormant else None


@dataclass(frozen=True, slots=True)
class SwapAnswer:
    """What a swap or a rollback did, or with a dry run would do.

    `cleared` tells whether there was a selection to clear, `report` how the swap of what runs
    went, where something runs.
    """

    ref: str
    provider: str
    applied: str
    changes: tuple[DecisionDiff, ...]
    dry_run: bool = False
    cleared: bool = False
    report: SwapReport | None = None

    @property
    def exit_code(self) -> int:
        """0, or where the swap did not hold what its error ends with."""
        error = self.report.error if self.report else None
        return error.exit_code if error is not None else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.swap-request/1`."""
        return {
            "schema": "oneiric.swap-request/1",
            "ref": self.ref,
            "provider": self.provider or None,
            "applied": None if self.dry_run else self.applied or None,
            "dry_run": self.dry_run,
            "cleared": self.cleared,
            "changes": [diff.as_json() for diff in self.changes],
            "report": self.report.as_json() if self.report else None,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what changes, and what was done about it."""
        changes = [diff.render(width=columns) for diff in self.changes] or ["no decision changes"]
        if self.report is not None:
            kept = f"{self.provider} was selected" if self.provider else _CLEARED
            done = kept if self.report.ok else "nothing was selected, and nothing stored"
            changes = changes if self.changes else []
            return page(*changes, self.report.render(), f"{self.applied}: {done} for {self.ref}")
        clear = not self.provider
        if clear and not self.cleared:
            return page(*changes, f"there was no selection of an earlier swap for {self.ref}")
        if self.dry_run:
            cleared = "; the selection of an earlier swap would be cleared" if clear else ""
            return page(*changes, f"dry run: nothing was stored{cleared}")
        what = _CLEARED if clear else f"{self.provider} was selected"
        asked = "" if self.applied == "live" else "; no running orchestrator was asked"
        return page(*changes, f"{self.applied}: {what} for {self.ref}{asked}")


_CLEARED = "the selection was cleared"


@dataclass(frozen=True, slots=True)
class PluginListing:
    """Every plugin of an installed distribution, with what it brought or why nothing."""

    plugins: tuple[Discovered, ...]
    prefixes: tuple[str, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.plugins/1`."""
        return {
            "schema": "oneiric.plugins/1",
            "allowed_prefixes": list(self.prefixes),
            "registered": sum(len(plugin.candidates) for plugin in self.plugins),
            "plugins": [plugin.as_json() for plugin in self.plugins],
        }


@dataclass(frozen=True, slots=True)
class ConfigListing:
    """Every effective setting, secrets redacted, with who set it."""

    settings: tuple[Setting, ...]
    profile: str
    file: str
    sources: bool = False

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.config/1`; origins only when sources were asked for."""
        return {
            "schema": "oneiric.config/1",
            "file": self.file or None,
            "profile": self.profile,
            "settings": [
                {
                    "path": setting.path,
                    "value": setting.value,
                    **({"origin": setting.origin} if self.sources else {}),
                }
                for setting in self.settings
            ],
        }


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What an action gave, who served it, and in which process; what was sent, if that was said."""

    ref: str
    provider: str
    result: JSONValue
    applied: str = "local"
    notification: NotificationAnswer | None = None

    @property
    def exit_code(self) -> int:
        """0, but 1 where its result was to be sent and was not."""
        return self.notification.exit_code if self.notification else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.action-result/1`; `notification` where there is one."""
        sent = {"notification": self.notification.as_json()} if self.notification else {}
        return {
            "schema": "oneiric.action-result/1",
            "applied": self.applied,
            "ref": self.ref,
            "provider": self.provider,
            "result": self.result,
            **sent,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the result, and what became of its sending."""
        sent = self.notification.lines() if self.notification else ()
        return page(json.dumps(self.result, indent=2, ensure_ascii=False), *sent)
