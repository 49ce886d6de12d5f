"""What can be wrong with an expression, or with what it asks for."""

from __future__ import annotations

from collections.abc import Mapping

from oneiric.errors import InvalidError, JSONValue


class ExpressionError(InvalidError):
    """An expression that says nothing legal, or that asks for what is not there.

    `path` leads to the value that is missing, such as `steps.load.output.rows`, or is empty.
    """

    code = "invalid-expression"

    def __init__(self, text: str, problem: str, *, path: str = "") -> None:
        super().__init__(f"{text!r}: {problem}")
        self.text = text
        self.problem = problem
        self.path = path

    def details(self) -> Mapping[str, JSONValue]:
        return {"text": self.text, "problem": self.problem, "path": self.path}


class MissingError(ExpressionError):
    """A value that is not there, for which `default` may stand in."""
