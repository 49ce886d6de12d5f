"""What can go wrong with recipes and their steps.

RecipeError: the file is wrong; every problem with its line
SelectionError: the steps that were asked for are not there, or do not get what they need
GroupBusyError: another run of the same group is under way
InputError: a run was not given what the recipe declares
RecipeRefusedError: the recipe asks for what this machine or itself does not allow
StepError: a step said that it failed, or something made it fail
  StdoutError: a step's stdout did not keep the contract of one JSON line
  SuccessError: what must hold after the step did not
  SecretShownError: what it would have written holds a secret
  StatusError: a request was answered with another status than expected
  MergeError: another step has written the same key
RecipeFailedError: a run ended without success
  ApprovalDeniedError: because somebody denied it, or nobody approved in time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oneiric.errors import (
    InvalidError,
    JSONValue,
    LockedError,
    OneiricError,
    Problem,
    RefusedError,
)

if TYPE_CHECKING:
    from oneiric.runs.run import Run


class _OfRecipe:
    """What is told of a recipe: every problem with its line."""

    recipe: str
    problems: tuple[Problem, ...]

    def details(self) -> Mapping[str, JSONValue]:
        return {"recipe": self.recipe, "problems": [each.as_json() for each in self.problems]}

    def lines(self) -> Sequence[str]:
        return [f"{each.origin}: {each.key}: {each.what}" for each in self.problems]


class RecipeError(_OfRecipe, InvalidError):
    """A recipe that cannot be run: everything that is wrong with it, at once."""

    code = "invalid-recipe"

    def __init__(self, recipe: str, problems: Sequence[Problem], *, hint: str = "") -> None:
        super().__init__(f"the recipe {recipe} is wrong", hint=hint)
        self.recipe = recipe
        self.problems = tuple(problems)


class InputError(RecipeError):
    """Inputs that a recipe cannot be run on: everything that is wrong with them, at once."""

    code = "invalid-inputs"

    @property
    def message(self) -> str:
        return f"the recipe {self.recipe} cannot be run on these inputs"


class RecipeRefusedError(_OfRecipe, RefusedError):
    """A recipe that asks for what is not allowed, and with which nothing else is wrong."""

    code = "recipe-refused"

    def __init__(self, recipe: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            f"the recipe {recipe} asks for what is not allowed",
            hint="widen [recipes] in the configuration, or give --allow-module",
        )
        self.recipe = recipe
        self.problems = tuple(problems)


class SelectionError(InvalidError):
    """Steps were asked for that are not there, or that do not get what they need."""

    code = "invalid-selection"

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        super().__init__("; ".join(problems), hint=hint or "oneiric recipe plan RECIPE")
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"problems": list(self.problems)}


class GroupBusyError(LockedError):
    """Another run of the same group is under way, and the recipe does not wait."""

    code = "group-busy"

    def __init__(self, group: str, runs: Sequence[str]) -> None:
        hint = f"oneiric recipe show {runs[0]}"
        super().__init__(f"another run of the group {group} is under way: {runs[0]}", hint=hint)
        self.group = group
        self.runs = tuple(runs)

    def details(self) -> Mapping[str, JSONValue]:
        return {"group": self.group, "runs": list(self.runs)}


class StepError(OneiricError):
    """A step that failed: `envelope` is the line that it printed, if it printed one.

    One failure may have a *code* of its own, by which a retry knows it: `exit-75`, `timeout`.
    """

    code = "step-failed"

    def __init__(
        self,
        step: str,
        reason: str,
        *,
        envelope: Mapping[str, JSONValue] | None = None,
        code: str = "",
    ) -> None:
        super().__init__(reason)
        self.step = step
        self.envelope = dict(envelope or {})
        if code:
            self.__dict__["code"] = code

    @classmethod
    def raised(cls, step: str, kinds: Sequence[str], reason: str) -> StepError:
        """Return the failure of a step that raised: a retry knows it by the names of *kinds*.

        >>> error = StepError.raised("a", ["FileNotFoundError", "OSError"], "no file")
        >>> [kind.__name__ for kind in type(error).__mro__[:3]]
        ['FileNotFoundError', 'OSError', 'StepError']
        """
        kind = cls
        for name in reversed(kinds):
            kind = type(name, (kind,), {})
        return kind(step, reason)

    def details(self) -> Mapping[str, JSONValue]:
        return {"step": self.step, "envelope": self.envelope}


def kinds_of(error: BaseException) -> list[str]:
    """Return the names by which a retry may know an exception, the nearest first."""
    return [
        kind.__name__
        for kind in type(error).__mro__
        if kind not in (Exception, BaseException, object)
    ]


class StdoutError(StepError):
    """A step that printed something else than exactly one JSON line."""

    code = "stdout-contract"


class SuccessError(StepError):
    """A step after which something does not hold that must."""

    code = "success-not-met"


class SecretShownError(StepError):
    """A step that would write a secret to the context, where everybody could read it."""

    code = "secret-shown"


class StatusError(StepError):
    """A request that was answered with another status than expected."""

    code = "status"


class Status4xxError(StatusError):
    """The answer says that the request was wrong."""


class Status5xxError(StatusError):
    """The answer says that whoever was asked could not do it."""


class MergeError(StepError):
    """A step that wrote a key which another, neither before nor after it, has written too."""

    code = "merge-conflict"


class RecipeFailedError(OneiricError):
    """A run of a recipe that ended without success; `run` tells everything about it."""

    code = "recipe-failed"

    def __init__(self, recipe: str, run: Run) -> None:
        message = str((run.error or {}).get("message") or run.state)
        super().__init__(
            f"the run of {recipe} ended as {run.state}: {message}",
            hint=f"oneiric recipe show {run.run_id}",
        )
        self.recipe = recipe
        self.run = run

    def details(self) -> Mapping[str, JSONValue]:
        return {"recipe": self.recipe, "run": self.run.run_id, "state": str(self.run.state)}


class ApprovalDeniedError(RecipeFailedError):
    """A run that ended because it was not approved."""

    code = "approval-denied"
    exit_code = 3
