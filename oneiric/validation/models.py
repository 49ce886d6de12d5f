"""What is validated, what counts as validated, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    JsonValue,
)

from oneiric.documents.model import refused
from oneiric.text.names import is_name
from oneiric.validation.checks.spec import LiveCheck, SpecCheck, UICheck
from oneiric.validation.config import OrchestratorConfig
from oneiric.validation.proof import Proof, proved
from oneiric.validation.states import TaskOutcome, TaskStatus

__all__ = [
    "Deployment",
    "DriftCriteria",
    "LiveCheck",
    "LocalTest",
    "OrchestratorConfig",
    "Proof",
    "SpecCheck",
    "StandardCheck",
    "Task",
    "TaskOutcome",
    "TaskStatus",
    "UICheck",
    "ValidationCriteria",
]

MAX_ID = 100


def _id(text: str) -> str:
    if not is_name(text):
        raise refused(f"{text!r} is no id: letters, digits, '.', '_' and '-', as it names a file")
    return text


ID: TypeAlias = Annotated[str, Field(max_length=MAX_ID), AfterValidator(_id)]
"""What the id of a task looks like: it names a file and is part of addresses."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _test(value: Any) -> Any:
    return {"command": value} if isinstance(value, str | Sequence) else value


class LocalTestSpec(_Model):
    """One command that passes by ending with 0; it is run without a shell, below the repository."""

    command: str | list[str]
    """The program and its arguments; a text is parted as a shell would part it."""
    name: str = Field(default="", max_length=200)
    """How it is shown, and by which its proof is found; the command itself when empty."""
    timeout: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds that it may take."""
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    """Variables that it gets beside the few that every program gets."""


LocalTest: TypeAlias = Annotated[LocalTestSpec, BeforeValidator(_test)]
"""A local test; a text or a list of arguments stands for its command."""


def _ui(value: Any) -> Any:
    if isinstance(value, Mapping) and "kind" not in value:
        return {**value, "kind": "spec" if "path" in value else "ui"}
    if not isinstance(value, str):
        return value
    if value.startswith(("/", "http://", "https://")):
        return {"kind": "ui", "url": value}
    return {"kind": "spec", "path": value}


UITest: TypeAlias = Annotated[
    Annotated[UICheck | SpecCheck, Field(discriminator="kind")], BeforeValidator(_ui)
]
"""A check in a browser; an address stands for a page, any other text for a file of tests.

A table is a page, and one with a `path` a file of tests, whether or not it says so as `kind`.
"""


class StandardCheck(_Model):
    """A check of the cutover that every task gets; it counts towards no number of proofs."""

    name: str
    """How it is shown."""
    paths: list[str] = Field(min_length=1, max_length=20)
    """Paths below the address of production; the first that answers as expected is enough."""
    expected_status: int | str | list[int | str] = 200
    """What it has to answer."""
    required: bool = True
    """Whether its failure shuts the gate."""


HEALTH = StandardCheck(name="health", paths=["/health", "/healthz", "/ready", "/api/health"])
ROOT = StandardCheck(name="root", paths=["/"], required=False)


class DriftCriteria(_Model):
    """What is compared before production is asked, and after it said no."""

    enabled: bool = True
    """Whether anything is."""
    routes: list[str] | None = None
    """Routes as `GET /users`, a method left out is any that the contract knows; null for none."""
    ask: dict[str, JsonValue] = Field(default_factory=dict)
    """Further fields of the question, as the drift detector documents them."""


class Deployment(_Model):
    """How what was tested locally gets to production, as a step between the gates."""

    provider: str = Field(min_length=1, max_length=100)
    """One of those that the configuration names under `validation.deployments`, or built in."""
    service: str = Field(default="", max_length=200)
    """What is deployed."""
    environment: str = Field(default="production", max_length=100)
    """Where to."""
    timeout: float = Field(default=1_800.0, gt=0, le=86_400)
    """Seconds that it may take."""


class ValidationCriteria(_Model):
    """When a task is done."""

    local_tests: list[LocalTest] = Field(default_factory=list, max_length=200)
    """Commands that must pass first."""
    live_checks: list[LiveCheck] = Field(default_factory=list, max_length=1_000)
    """What production must answer."""
    ui_tests: list[UITest] = Field(default_factory=list, max_length=200)
    """What production must show in a browser."""
    required_proofs: int = Field(default=3, ge=1, le=1_000)
    """How many different checks must be proved, local tests included; one at least live."""
    minimum_score: float = Field(default=0.0, ge=0, le=1)
    """What share of the weight of all checks must pass, where some are not required."""
    without_local_tests: str = Field(default="", max_length=1_000)
    """Why there are no local tests; without a reason, none means not validated."""
    standard_checks: list[StandardCheck] = Field(
        default_factory=lambda: [HEALTH, ROOT], max_length=50
    )
    """Checks of the cutover besides the task's own."""
    drift: DriftCriteria = DriftCriteria()
    """What is compared."""
    deployment: Deployment | None = None
    """How it gets to production; null when it is there."""

    def total_checks(self) -> int:
        """Return how many checks are asked of production."""
        return len(self.live_checks) + len(self.ui_tests)


class Task(_Model):
    """Something that is done when production has proved it.

    What `execute_task` returns is a task with its status, proofs and error; the one that was
    given stays as it is.
    """

    id: ID
    """By which its runs and its ledger are found."""
    title: str = Field(min_length=1, max_length=1_000)
    """What it is, in words."""
    description: str = Field(default="", max_length=100_000)
    """The same, at length."""
    criteria: ValidationCriteria = ValidationCriteria()
    """When it is done."""
    status: TaskStatus = TaskStatus.PENDING
    """How it stands."""
    proofs: list[InstanceOf[Proof]] = Field(default_factory=list)
    """What was proved; only what was seen made counts."""
    swarm_task_id: str | None = None
    """The hierarchical task that it belongs to."""
    created_at: str = ""
    """When it was made, as RFC 3339."""
    completed_at: str | None = None
    """When it was done, as RFC 3339."""
    error: str | None = None
    """Why it is not done, if it was tried."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """What else belongs to it."""
    run_id: str = ""
    """The run that gave it its status."""
    outcome: TaskOutcome | None = None
    """What came of that run; null where there was none."""

    def passing_proofs(self) -> list[Proof]:
        """Return the proofs that passed."""
        return [proof for proof in self.proofs if proof.passed]

    def failing_proofs(self) -> list[Proof]:
        """Return the proofs that did not pass, inconclusive ones too."""
        return [proof for proof in self.proofs if not proof.passed]

    def has_minimum_proofs(self) -> bool:
        """Tell whether as many different checks passed as are required, no standard ones."""
        return proved(self.proofs) >= self.criteria.required_proofs

    def all_proofs_pass(self) -> bool:
        """Tell whether there are proofs, and all passed."""
        return bool(self.proofs) and not self.failing_proofs()
