"""What one check takes from its answer for those after it, and how they refer to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from oneiric.errors import JSONValue, Problem
from oneiric.expressions import ExpressionError, Template
from oneiric.validation.checks.answer import NO_JSON, Answer
from oneiric.validation.checks.notation import capture_source
from oneiric.validation.checks.spec import LiveCheck
from oneiric.validation.providers.json_paths import found_at, path_problem
from oneiric.validation.providers.patterns import pattern_problem, searched

ROOT = "captured"
ORIGIN = "checks"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Source:
    """Where in an answer a value is taken from.

    >>> Source.of("json $.token")
    Source(kind='json', at='$.token')
    """

    kind: str
    at: str

    @classmethod
    def of(cls, text: str) -> Source:
        """Read `json PATH`, `header NAME` or `body REGEX`.

        Raises:
            PydanticCustomError: it is none of them.
        """
        return cls(*capture_source(text))

    @property
    def problem(self) -> str:
        """Why nothing could ever be taken from there, or an empty text."""
        if self.kind == "json":
            return path_problem(self.at)
        return pattern_problem(self.at) if self.kind == "body" else ""

    def take(self, answer: Answer) -> JSONValue:
        """Return what is there in *answer*; None where nothing is.

        Raises:
            OneiricError: it cannot be looked for.
        """
        if self.kind == "header":
            return answer.headers.get(self.at)
        if self.kind == "body":
            return searched(self.at, answer.text)
        if answer.value is NO_JSON:
            return None
        nodes = found_at(self.at, cast("JSONValue", answer.value))
        return nodes[0] if nodes else None


def template(check: LiveCheck) -> Template:
    """Return what of a check may refer to what others captured.

    Raises:
        ExpressionError: it holds what is no expression.
    """
    headers: Mapping[str, JSONValue] = dict(check.headers)
    return Template.parse({"url": check.url, "headers": headers, "body": check.body})


def filled(check: LiveCheck, captured: Mapping[str, JSONValue]) -> LiveCheck:
    """Return the check with what was captured in place of each reference to it.

    Its identity stays that of the check as it was declared.

    Raises:
        ExpressionError: it refers to what is not there.
    """
    texts = (check.url, *check.headers.values())
    if check.body is None and not any("${" in text for text in texts):
        return check
    made = template(check)
    if not made.references:
        return check
    values = cast("Mapping[str, JSONValue]", made.evaluate({ROOT: dict(captured)}))
    headers = cast("Mapping[str, JSONValue]", values["headers"])
    head = {name: each if isinstance(each, str) else str(each) for name, each in headers.items()}
    update = {"url": str(values["url"]), "headers": head, "body": values["body"]}
    return check.model_copy(update={"id": check.identity, **update})


def wanted(check: LiveCheck) -> frozenset[str]:
    """Return the names that a check needs others to have captured.

    Raises:
        ExpressionError: it holds what is no expression, or refers to anything else.
    """
    names = set()
    for path in template(check).references:
        if path[0] != ROOT or len(path) < 2:
            raise ExpressionError(".".join(path), f"only {ROOT}.NAME can be referred to")
        names.add(path[1])
    return frozenset(names)


def capture_problems(checks: Sequence[LiveCheck | None]) -> Iterator[Problem]:
    """Yield what is wrong with the captures of *checks*: unknown ones, repeated ones, cycles.

    None stands for a check that has none. The key of a problem begins with the number of its
    check, from 0.
    """
    takers: dict[str, int] = {}
    for number, check in enumerate(checks):
        for name in check.capture if check else ():
            if not _NAME.fullmatch(name):
                yield Problem(f"{number}.capture.{name}", "it is no name for a capture", ORIGIN)
            if name in takers:
                what = f"check {takers[name]} captures one of that name"
                yield Problem(f"{number}.capture.{name}", what, ORIGIN)
            takers.setdefault(name, number)
    needs = {}
    for number, check in enumerate(checks):
        try:
            needs[number] = wanted(check) if check else frozenset()
        except ExpressionError as error:
            yield Problem(str(number), error.message, ORIGIN)
            continue
        for name in sorted(needs[number] - takers.keys()):
            yield Problem(str(number), f"no check captures {name}", ORIGIN)
    _, stuck = _ordered(needs, takers)
    for number in stuck:
        yield Problem(str(number), "it waits for captures that wait for it", ORIGIN)


def groups(checks: Sequence[LiveCheck | None]) -> list[list[int]]:
    """Return the numbers of the checks that captures join, each group in the order to do them.

    Groups know nothing of each other, and can be done at once. None stands for a check that has
    no captures.

    Raises:
        ExpressionError: a check holds what is no expression.
    """
    takers = {
        name: number for number, check in enumerate(checks) if check for name in check.capture
    }
    needs = {number: wanted(check) if check else frozenset() for number, check in enumerate(checks)}
    group = {number: {number} for number in needs}
    for number, names in needs.items():
        for name in names & takers.keys():
            joined = group[number] | group[takers[name]]
            group.update(dict.fromkeys(joined, joined))
    order, stuck = _ordered(needs, takers)
    place = {number: at for at, number in enumerate((*order, *stuck))}
    found = {id(each): sorted(each, key=place.__getitem__) for each in group.values()}
    return sorted(found.values(), key=min)


def _ordered(
    needs: Mapping[int, Iterable[str]], takers: Mapping[str, int]
) -> tuple[list[int], list[int]]:
    """Return the checks with those before them that they need, and those in cycles."""
    left = {
        number: {takers[name] for name in names if name in takers}
        for number, names in needs.items()
    }
    order: list[int] = []
    while ready := [number for number, others in left.items() if not others & left.keys()]:
        order += ready
        for number in ready:
            del left[number]
    return order, list(left)
