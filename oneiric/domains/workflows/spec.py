"""What a candidate says of its workflow, read strictly and made a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue

from oneiric.documents import json_value
from oneiric.documents.model import validate_settings
from oneiric.domains.metadata import InvalidMetadataError, problem_of
from oneiric.domains.retry import read_retry
from oneiric.errors import ConfigError, DocumentError, InvalidError, JSONValue, PlanError, Problem
from oneiric.expressions.template import SPREAD
from oneiric.runs.check import check_plan
from oneiric.runs.plan import Limits, OnError, Plan, Retry, Step

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.runs.body import Bodies

M = TypeVar("M", bound=BaseModel)

KEYS = ("dag", "workflow")
NODES = ("nodes", "tasks")
NOTIFICATIONS = "notifications"
INPUT = "${ input }"
_OWN = "x-"
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class NodeSpec(BaseModel):
    """One node of a workflow: who does it, on what, after whom.

    `task` is the key of a task, or a reference such as `action:http.fetch`. The node gets the
    run's context with its own `payload` over it.
    """

    model_config = _STRICT

    id: str = Field(validation_alias=AliasChoices("id", "key"))
    task: str = ""
    depends_on: list[str] = Field(default_factory=list)
    payload: JsonValue = None
    retry_policy: JsonValue = None
    timeout_seconds: float | None = Field(default=None, gt=0, lt=1e9)
    condition: str = ""
    on_error: Literal["fail", "continue", "compensate"] = "fail"
    compensation: str = ""
    group: str = ""
    cache_key: str = ""
    signal: str = ""
    default: JsonValue = None
    final: bool = False


class WorkflowSpec(BaseModel):
    """What holds for all nodes of a workflow."""

    model_config = _STRICT

    description: str = ""
    retry_policy: JsonValue = None
    timeout_seconds: float | None = Field(default=None, gt=0, lt=1e9)
    fail_fast: bool = True
    groups: dict[str, int] = Field(default_factory=dict)
    queue_category: str = ""
    scheduler: dict[str, JsonValue] = Field(default_factory=dict)
    notifications: dict[str, JsonValue] | list[JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as one candidate brings it, and the plan of its runs."""

    candidate: Candidate
    spec: WorkflowSpec
    plan: Plan

    @property
    def key(self) -> str:
        """The key of the workflow."""
        return self.candidate.ref.key

    @property
    def queue_category(self) -> str:
        """The key of the adapter that its messages go to: its own word, its scheduler's."""
        scheduler = self.spec.scheduler
        named = scheduler.get("queue_category", scheduler.get("category"))
        return self.spec.queue_category or (named if isinstance(named, str) else "")


def read_workflow(candidate: Candidate, bodies: Bodies, limits: Limits | None = None) -> Workflow:
    """Return the workflow in the metadata of *candidate*, under `dag` or `workflow`.

    Names that begin with `x-` are left out. What the run's context will hold is not known here,
    so references to it are not checked.

    Raises:
        InvalidMetadataError: every problem of the table, of its nodes and of their order.
    """
    reading = _Reading(candidate)
    found = reading.workflow()
    problems = reading.problems
    try:
        check_plan(found.plan, bodies, limits or Limits(), given=_Anything())
    except PlanError as error:
        problems += reading.located(error)
    if problems:
        raise InvalidMetadataError(candidate, problems)
    return found


def notifications_of(candidate: Candidate) -> JSONValue:
    """Return what *candidate* declares under `notifications`, in its table or beside it."""
    metadata = candidate.metadata
    table = next((metadata[key] for key in KEYS if key in metadata), None)
    within = table.get(NOTIFICATIONS) if isinstance(table, Mapping) else None
    return metadata.get(NOTIFICATIONS) if within is None else within


class _Anything(dict[str, JSONValue]):
    """The input of a run that nobody has begun: there may be anything in it."""

    def __contains__(self, key: object) -> bool:
        return True


class _Reading:
    """One pass over the metadata, which notes all that is wrong and goes on."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.problems: list[Problem] = []
        self._origin = str(candidate.source)
        self._at = next((key for key in KEYS if key in candidate.metadata), KEYS[0])
        self._broken: set[str] = set()

    def workflow(self) -> Workflow:
        """Return what is there; with problems it is no use."""
        metadata = self.candidate.metadata
        if all(key in metadata for key in KEYS):
            self._note(KEYS[1], f"it has both {' and '.join(KEYS)}")
        table = self._table(metadata.get(self._at))
        nodes = self._nodes({name: table.pop(name) for name in NODES if name in table})
        table = {**self._beside(), **table}
        spec = self._checked(WorkflowSpec, table, self._at) or WorkflowSpec()
        retry = self._retry(spec.retry_policy, f"{self._at}.retry_policy", Retry())
        plan = Plan(
            f"workflow:{self.candidate.ref.key}",
            tuple(self._step(value, retry, at) for at, value in nodes),
            version=self.candidate.version,
            timeout_seconds=spec.timeout_seconds,
            groups=spec.groups,
            fail_fast=spec.fail_fast,
        )
        return Workflow(self.candidate, spec, plan)

    def located(self, error: PlanError) -> Iterator[Problem]:
        """Give the problems of the plan where they stand in the metadata."""
        for each in error.problems:
            head, _, rest = each.key.partition(".")
            if rest.partition(".")[0] not in self._broken:
                key = f"{self._at}.nodes.{rest}" if head == "steps" else f"{self._at}.{each.key}"
                yield Problem(key.rstrip("."), each.what, self._origin)

    def _table(self, value: JSONValue) -> dict[str, JSONValue]:
        """Return a copy of the table, of plain JSON, without what begins with `x-`."""
        try:
            value = json_value(value)
        except DocumentError as error:
            self._note(".".join(filter(None, (self._at, error.path))), error.problem)
            value = {}
        if not isinstance(value, Mapping):
            self._note(self._at, "it must be a table with nodes")
            value = {}
        return {key: each for key, each in value.items() if not key.startswith(_OWN)}

    def _beside(self) -> Mapping[str, JSONValue]:
        """Return what may stand beside the table as well as in it."""
        metadata = self.candidate.metadata
        names = ("retry_policy", "timeout_seconds", "scheduler", NOTIFICATIONS, "queue_category")
        return {name: metadata[name] for name in names if name in metadata}

    def _nodes(self, found: Mapping[str, JSONValue]) -> list[tuple[str, JSONValue]]:
        name, value = next(iter(found.items()), (NODES[0], None))
        if len(found) > 1:
            self._note(self._at, f"it has both {' and '.join(NODES)}")
        if not isinstance(value, list | tuple) or not value:
            if not self.problems:
                self._note(f"{self._at}.{name}", "it must be a list of nodes, one at least")
            return []
        places = []
        for number, node in enumerate(value):
            named = node.get("id", node.get("key")) if isinstance(node, Mapping) else None
            places.append((named if isinstance(named, str) and named else str(number), node))
        return places

    def _step(self, value: JSONValue, retry: Retry, name: str) -> Step:
        at = f"{self._at}.nodes.{name}"
        if not isinstance(value, Mapping):
            self._note(at, "it must be a table")
            value = {"id": name}
            self._broken.add(name)
        table = {key: each for key, each in value.items() if not key.startswith(_OWN)}
        node = self._checked(NodeSpec, table, at)
        if node is None:
            self._broken.add(name)
            return Step(name, signal="broken")  # others may depend on it
        return Step(
            node.id,
            _target(node.task),
            _input(node),
            tuple(node.depends_on),
            node.condition,
            self._retry(node.retry_policy, f"{at}.retry_policy", retry),
            node.timeout_seconds,
            OnError(node.on_error),
            _target(node.compensation),
            node.group,
            node.cache_key,
            node.signal,
            node.default,
            node.final,
        )

    def _retry(self, policy: JSONValue, at: str, default: Retry) -> Retry:
        if policy is None:
            return default
        try:
            return read_retry(policy, errors=True)
        except InvalidError as error:
            self.problems.append(problem_of(self.candidate, at, error))
            return default

    def _checked(self, model: type[M], table: Mapping[str, Any], at: str) -> M | None:
        try:
            return validate_settings(model, table, key=at, origin_of=lambda _: self._origin)
        except ConfigError as error:
            self.problems += error.problems
            return None

    def _note(self, key: str, what: str) -> None:
        self.problems.append(Problem(key, what, self._origin))


def _target(task: str) -> str:
    return f"task:{task}" if task and ":" not in task else task


def _input(node: NodeSpec) -> JSONValue:
    """Return what a node gets: the run's context, its own payload over it."""
    if node.payload is None:
        return INPUT
    if not isinstance(node.payload, Mapping) or SPREAD in node.payload:
        return node.payload
    return {SPREAD: INPUT, **node.payload}
