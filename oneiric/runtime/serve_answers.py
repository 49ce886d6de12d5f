"""What `orchestrate` answers where it does not go on, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.domains.workflows.topology import drawing
from oneiric.text.layout import as_table

if TYPE_CHECKING:
    from oneiric.domains.events import EventHandler, InvalidHandlerError
    from oneiric.errors import JSONValue
    from oneiric.runtime.health import PartStatus
    from oneiric.runtime.work_answers import WorkflowPlans

_NOT_FOUND = 6


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """A start that went well, was ready and ended: what each part took."""

    parts: Sequence[PartStatus]
    duration_ms: float
    addresses: Mapping[str, str]
    profile: str
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.orchestrate-check/1`."""
        return {
            "schema": "oneiric.orchestrate-check/1",
            "ready": True,
            "profile": self.profile,
            "duration_ms": round(self.duration_ms, 3),
            "addresses": dict(self.addresses),
            "parts": [part.as_json() for part in self.parts],
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return the parts as a table."""
        rows = [(each.name, each.state, f"{each.duration_ms:.1f}") for each in self.parts]
        table = as_table(("part", "state", "ms"), rows, width=columns)
        return f"{table}\n\nready after {self.duration_ms:.0f} ms, and stopped again"


@dataclass(frozen=True, slots=True)
class InspectAnswer:
    """Workflows and handlers as an orchestrator would have them."""

    plans: WorkflowPlans | None
    missing: Sequence[str]
    handlers: Sequence[EventHandler]
    problems: Sequence[InvalidHandlerError] = ()
    last_event: JSONValue = None
    shows_workflows: bool = True
    shows_events: bool = True

    @property
    def exit_code(self) -> int:
        """6 where a workflow was named that nobody offers."""
        return _NOT_FOUND if self.missing else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.orchestrate-inspect/1`."""
        wrong = self.plans.problems if self.plans else ()
        return {
            "schema": "oneiric.orchestrate-inspect/1",
            "workflows": {
                "summary": dict(self.plans.topologies) if self.plans else {},
                "missing": list(self.missing),
                "problems": [problem.as_json()["error"] for problem in wrong],
            },
            "events": {
                "handlers": [handler.as_json() for handler in self.handlers],
                "problems": [problem.as_json()["error"] for problem in self.problems],
                "last_event": self.last_event,
            },
        }

    def render(self, *, columns: int, colour: bool = False) -> str:
        """Return workflows as drawings, and handlers as a table."""
        return "\n\n".join(self._blocks(columns))

    def _blocks(self, columns: int) -> Iterator[str]:
        if self.shows_workflows:
            for name, plan in self.plans.plans.items() if self.plans else ():
                shape = self.plans.topologies[name] if self.plans else {}
                queue = f"{shape['queue_category']}@{shape['queue_provider'] or 'nobody'}"
                counts = f"{shape['node_count']} nodes, {shape['edge_count']} edges"
                yield f"{name}@{shape['provider']}  {counts}, queue {queue}"
                yield drawing(plan, columns=columns)
            yield from (f"missing: there is no workflow {name}" for name in self.missing)
            if not self.missing and not (self.plans and self.plans.plans):
                yield "there are no workflows"
        if self.shows_events:
            rows = [
                (
                    each.name,
                    ", ".join(map(str, each.topics)) or "**",
                    each.priority,
                    each.fanout,
                    each.max_concurrency,
                )
                for each in self.handlers
            ]
            headers = ("handler", "topics", "priority", "fan-out", "at once")
            yield as_table(headers, rows, width=columns) if rows else "nobody handles events"
            yield from (f"warning: {problem.message}" for problem in self.problems)
