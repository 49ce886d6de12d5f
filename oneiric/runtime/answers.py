"""What commands answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.core.activity import ACTIVE
from oneiric.core.decision import Place

if TYPE_CHECKING:
    from oneiric.config import Setting
    from oneiric.core.activity import Activity
    from oneiric.core.decision import Decision, DecisionDiff, Standing
    from oneiric.core.status import ComponentStatus
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


def _nobody() -> dict[str, JSONValue]:
    return {"provider": None, "standing": None}


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

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.decision/1`, `dormant` and `activity`; `assumed` with assumptions."""
        assumed = {} if self.diff is None else {"assumed": self.diff.as_json()}
        return {
            **self.decision.as_json(),
            "dormant": _dormant_json(self.dormant),
            "activity": self.activity.as_json(),
            **assumed,
        }


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


def _dormant_json(dormant: Dormant | None) -> Mapping[str, JSONValue] | None:
    return dormant.as_json() if dormant else None


@dataclass(frozen=True, slots=True)
class SwapAnswer:
    """What a swap from the command line did, or with a dry run would do.

    `cleared` tells whether there was a selection to clear.
    """

    ref: str
    provider: str
    applied: str
    changes: tuple[DecisionDiff, ...]
    dry_run: bool = False
    cleared: bool = False

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
        }


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
