"""JSON values whose texts may hold expressions, and conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from oneiric.errors import JSONValue
from oneiric.expressions.errors import ExpressionError
from oneiric.expressions.grammar import Compiled, Evaluate, Reference, Scope, compiled

MAX_DEPTH = 50
SPREAD = "..."
"""The key whose value, a table, is laid under the other keys of its table."""

_MARKED = re.compile(r"\$\{\{(.*)\}\}|\$\{(.*)\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that is asked whether it holds; null, false, 0 and what is empty do not.

    `needed` are the references for which no `default` stands in.
    """

    text: str
    references: frozenset[Reference]
    needed: frozenset[Reference]
    _evaluate: Evaluate

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Check *text*, with or without `${ … }` around it.

        >>> Condition.parse("${ input.total > 100 }").evaluate({"input": {"total": 120}})
        True

        Raises:
            ExpressionError: it is not in the language.
        """
        marked = _MARKED.fullmatch(text.strip())
        found = compiled(marked[1] or marked[2] if marked else text)
        return cls(text, found.references, found.needed, found.evaluate)

    def evaluate(self, scope: Scope) -> bool:
        """Tell whether it holds.

        Raises:
            ExpressionError: it asks for what is not there, or compares what has no order.
        """
        return bool(self._evaluate(scope))


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value whose texts may hold expressions.

    A text that is one expression becomes its value; expressions within a longer text are
    written into it, texts as they are and other values as JSON. `$${` stands for `${`. In a
    table, the value of the key `...` is a table that is laid under the other keys: what they
    say counts. `needed` are the references for which no `default` stands in.

    >>> template = Template.parse({"to": "${ input.to }", "text": "Hello ${ input.to }, $${"})
    >>> template.evaluate({"input": {"to": "Ada"}})
    {'to': 'Ada', 'text': 'Hello Ada, ${'}
    >>> sorted(template.references)
    [('input', 'to')]
    >>> Template.parse({"...": "${ input }", "to": "Eve"}).evaluate({"input": {"to": 1, "n": 2}})
    {'to': 'Eve', 'n': 2}
    """

    value: JSONValue
    references: frozenset[Reference]
    needed: frozenset[Reference]
    _evaluate: Evaluate | None

    @classmethod
    def parse(cls, value: JSONValue, *, opening: str = "${", closing: str = "}") -> Template:
        """Check *value* and all texts in it.

        Raises:
            ExpressionError: a text holds what is not in the language, or nesting is too deep.
        """
        marks = _Marks(opening, closing)
        evaluate = marks.compile(value, 1)
        return cls(value, frozenset(marks.references), frozenset(marks.needed), evaluate)

    def evaluate(self, scope: Scope) -> JSONValue:
        """Return the value with every expression replaced by its own.

        Raises:
            ExpressionError: an expression asks for what is not there; it names the path.
        """
        return self.value if self._evaluate is None else self._evaluate(scope)


class _Marks:
    """One pass over a value; parts without expressions are kept as they are."""

    def __init__(self, opening: str, closing: str) -> None:
        self.opening = opening
        self.closing = closing
        self.references: set[Reference] = set()
        self.needed: set[Reference] = set()
        self.known: dict[str, Compiled] = {}

    def compile(self, value: JSONValue, depth: int) -> Evaluate | None:
        """Return what makes the value, or None when it holds no expression."""
        if depth > MAX_DEPTH:
            raise ExpressionError(str(self.opening), f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, str):
            return self._text(value) if self.opening in value else None
        if value is None or isinstance(value, int | float):
            return None
        if isinstance(value, Mapping):
            entries = {key: self.compile(each, depth + 1) for key, each in value.items()}
            if SPREAD in value:
                return self._spread(value, entries)
            return self._table(value, entries) if any(entries.values()) else None
        if isinstance(value, list | tuple):
            items = [self.compile(each, depth + 1) for each in value]
            pairs = list(zip(value, items, strict=True))
            if any(items):
                return lambda scope: [make(scope) if make else each for each, make in pairs]
        return None

    def _table(
        self, value: Mapping[str, JSONValue], entries: Mapping[str, Evaluate | None]
    ) -> Evaluate:
        return lambda scope: {
            key: make(scope) if make else value[key] for key, make in entries.items()
        }

    def _spread(
        self, value: Mapping[str, JSONValue], entries: Mapping[str, Evaluate | None]
    ) -> Evaluate:
        below, under = value[SPREAD], entries[SPREAD]
        table = self._table(
            {key: each for key, each in value.items() if key != SPREAD},
            {key: make for key, make in entries.items() if key != SPREAD},
        )

        def evaluate(scope: Scope) -> JSONValue:
            found = under(scope) if under else below
            over = table(scope)
            if not isinstance(found, Mapping) or not isinstance(over, Mapping):
                what = f"{SPREAD} takes a table, not {type(found).__name__}"
                raise ExpressionError(str(below)[:80], what)
            return {**found, **over}

        return evaluate

    def _text(self, text: str) -> Evaluate:
        parts = list(self._parts(text))
        if len(parts) == 1:
            (only,) = parts
            return only.evaluate if isinstance(only, Compiled) else _constant(only)
        return lambda scope: "".join(
            _written(part.evaluate(scope)) if isinstance(part, Compiled) else part for part in parts
        )

    def _parts(self, text: str) -> Iterator[str | Compiled]:
        for is_marked, part in pieces(text, self.opening, self.closing):
            yield self._compiled(part) if is_marked else part

    def _compiled(self, text: str) -> Compiled:
        """Return an expression; one that is there a thousand times is read once."""
        found = self.known.get(text)
        if found is None:
            found = self.known[text] = compiled(text)
            self.references |= found.references
            self.needed |= found.needed
        return found


def pieces(text: str, opening: str, closing: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text, each with whether it is an expression."""
    plain, at = "", 0
    while (start := text.find(opening, at)) >= 0:
        if start and text[start - 1] == "$":
            plain += text[at:start] + opening.removeprefix("$")
            at = start + len(opening)
            continue
        plain += text[at:start]
        end = _end(text, start + len(opening), opening, closing)
        if plain:
            yield False, plain
        yield True, text[start + len(opening) : end]
        plain, at = "", end + len(closing)
    if plain + text[at:]:
        yield False, plain + text[at:]


def _end(text: str, at: int, opening: str, closing: str) -> int:
    """Return where the expression that begins at *at* ends; quoted marks do not end it."""
    quote = ""
    while at < len(text):
        if not quote and text.startswith(closing, at):
            return at
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        at += 1
    raise ExpressionError(text[:80], f"a {opening} is never closed by {closing}")


def _constant(value: str) -> Callable[[Scope], JSONValue]:
    return lambda _: value


def _written(value: JSONValue) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)
