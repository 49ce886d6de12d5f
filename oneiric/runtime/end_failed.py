"""What has ended, but not everything of it in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneiric.core.guard import Outcome
from oneiric.errors import OneiricError


class EndFailedError(OneiricError):
    """What has ended, but not everything of it in order."""

    code = "end-failed"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("not everything ended in order", hint="the log says more")
        self.problems = tuple(problems)

    def details(self) -> dict[str, list[str]]:
        return {"problems": list(self.problems)}

    def lines(self) -> Sequence[str]:
        return self.problems


def reasons(ended: Outcome[Any]) -> list[str]:
    """Return why something did not end in order: each reason, where it is a group of them.

    >>> reasons(Outcome(error=ExceptionGroup("", [OneiricError("it jams"), ValueError("two")])))
    ['it jams', 'ValueError: two']
    """
    error = ended.error
    if isinstance(error, BaseExceptionGroup):
        return [told for each in error.exceptions for told in reasons(Outcome(error=each))]
    if error is None:
        return []
    return [error.message if isinstance(error, OneiricError) else ended.reason]
