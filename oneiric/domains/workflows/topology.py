"""The shape of a workflow, before anybody runs it: as data, as Mermaid, as lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from oneiric.domains.retry import retry_json
from oneiric.text.layout import paragraph

if TYPE_CHECKING:
    from oneiric.domains.workflows.spec import Workflow
    from oneiric.errors import JSONValue
    from oneiric.runs.plan import Plan, Step

_SPECIAL = re.compile(r"[^\w ./,@:-]", re.ASCII)
_LONGEST = 60
_LEVEL = "   "


def topology(workflow: Workflow, *, category: str, provider: str) -> dict[str, JSONValue]:
    """Return what `workflow plan` tells: nodes in an order that works, and how each is run.

    *category* and *provider* are those of the queue that its messages go to.
    """
    plan, spec = workflow.plan, workflow.spec
    steps = in_order(plan)
    edges: list[JSONValue] = [[name, step.id] for step in steps for name in step.depends_on]
    return {
        "workflow": workflow.key,
        "provider": workflow.candidate.provider,
        "version": plan.version,
        "digest": plan.digest,
        "description": spec.description,
        "node_count": len(steps),
        "edge_count": len(edges),
        "entry_nodes": [step.id for step in steps if not step.depends_on],
        "edges": edges,
        "timeout_seconds": plan.timeout_seconds,
        "fail_fast": plan.fail_fast,
        "groups": dict(plan.groups),
        "checkpoints": "each step",
        "queue_category": category,
        "queue_provider": provider or None,
        "scheduler": spec.scheduler,
        "notifications": spec.notifications,
        "nodes": [_node(step) for step in steps],
    }


def _node(step: Step) -> dict[str, JSONValue]:
    return {
        "id": step.id,
        "task": step.target,
        "depends_on": list(step.depends_on),
        "input": step.input,
        "condition": step.condition,
        "retry_policy": retry_json(step.retry),
        "timeout_seconds": step.timeout_seconds,
        "on_error": str(step.on_error),
        "compensation": step.compensation,
        "group": step.group,
        "cache_key": step.cache_key,
        "signal": step.signal,
        "final": step.is_final,
    }


def in_order(plan: Plan) -> Sequence[Step]:
    """Return the steps so that each comes after all that it depends on, final ones last."""
    depths = _depths(plan)
    return sorted(plan.steps, key=lambda step: (step.is_final, depths[step.id]))


def mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart; labels steer nothing."""
    return "\n".join(_flowchart(plan))


def drawing(plan: Plan, *, columns: int = 100) -> str:
    """Return the plan as lines: each step below what it depends on, one further in a level.

    Where a line would be longer than *columns*, what there is to say of a step goes below it,
    and deep levels are drawn no further in.
    """
    depths, steps = _depths(plan), in_order(plan)
    deepest = columns // (3 * len(_LEVEL))
    names = {
        step.id: f"{_LEVEL * min(depths[step.id], deepest)}{_mark(step)} {step.id}"
        for step in steps
    }
    width = max(map(len, names.values()), default=0)
    targets = max((len(_who(step)) for step in steps), default=0)
    lines = [
        f"{names[step.id]:<{width}}  {_who(step):<{targets}}  {_when(step)}".rstrip()
        for step in steps
    ]
    if max(map(len, lines), default=0) > columns:
        lines = [line for step in steps for line in _below(step, names[step.id], columns)]
    return "\n".join(lines)


def _below(step: Step, name: str, columns: int) -> Iterator[str]:
    """Yield the name of a step, and below it who does it and when, within *columns*."""
    yield name
    further = " " * (len(name) - len(step.id))
    for text in filter(None, (_who(step), _when(step))):
        yield from paragraph(text, columns, first=further, then=further)


def _depths(plan: Plan) -> Mapping[str, int]:
    """Return for each step how long the longest chain before it is, without recursion."""
    depths: dict[str, int] = {}
    waiting = {step.id: set(step.depends_on) for step in plan.steps}
    for name in TopologicalSorter(waiting).static_order():
        depths[name] = max((depths[before] + 1 for before in waiting[name]), default=0)
    return depths


def _flowchart(plan: Plan) -> Iterator[str]:
    yield "flowchart TD"
    places = {step.id: number for number, step in enumerate(in_order(plan), start=1)}
    for step in in_order(plan):
        label = f"{_escaped(step.id)}<br/>{_escaped(_who(step))}"
        yield f'  s{places[step.id]}["{label}"]'
    for step in in_order(plan):
        line = "-.->" if step.condition else "-->"
        yield from (f"  s{places[name]} {line} s{places[step.id]}" for name in step.depends_on)


def _mark(step: Step) -> str:
    return "■" if step.is_final else "◆" if step.signal else "●"


def _who(step: Step) -> str:
    waits = f"signal {step.signal}" if step.signal else ""
    return " then ".join(filter(None, (step.target, waits)))


def _when(step: Step) -> str:
    parts = [f"after {', '.join(step.depends_on)}"] if step.depends_on else []
    parts += [f"if {step.condition}"] if step.condition else []
    parts += [f"up to {step.retry.attempts} times"] if step.retry.attempts > 1 else []
    parts += [f"undone by {step.compensation}"] if step.compensation else []
    parts += ["at the end"] if step.is_final else []
    return "; ".join(parts)


def _escaped(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", short)
