"""The expressions of a recipe in the words of plans, and what is wrong with what they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from oneiric.chains import Order
from oneiric.errors import JSONValue, unknown
from oneiric.expressions import ExpressionError, expressions_in, renamed, translated
from oneiric.expressions.grammar import compiled as read_expression
from oneiric.expressions.rewrite import OPENING
from oneiric.recipes.arranging import Misplaced, Placed
from oneiric.recipes.checks import ALWAYS
from oneiric.recipes.recipe import RecipeSpec
from oneiric.recipes.secrets import ROOT as SECRETS
from oneiric.recipes.secrets import is_secret, parted_at_secrets

INPUTS = "inputs"
_ROOTS = (INPUTS, "env", "ctx", "steps", "matrix", SECRETS)
_PARTS = ("output", "state", "error")


class Telling:
    """Tell the texts of steps, and note in `problems` all that is wrong with them."""

    def __init__(
        self, spec: RecipeSpec, placed: Sequence[Placed], problems: list[Misplaced]
    ) -> None:
        self.spec = spec
        self.placed = {each.id: each for each in placed}
        self.problems = problems
        self.secret_inputs = {name for name, each in spec.inputs.items() if each.secret}
        self.secrets = [*spec.secrets, *(f"{INPUTS}.{name}" for name in self.secret_inputs)]

    @cached_property
    def order(self) -> Order[str]:
        """Which step waits for which."""
        placed = self.placed
        return Order(
            {
                name: [other for other in each.depends_on if other in placed]
                for name, each in placed.items()
            }
        )

    def fields(
        self, placed: Placed, fields: Mapping[str, JSONValue], *, hides: bool
    ) -> tuple[dict[str, JSONValue], list[JSONValue]]:
        """Return fields in the words of plans, and those texts that name secrets, each with where.

        Of these the secrets are filled in only when the step is done, so that no journal ever
        holds them. Where nothing is hidden, no secret may be named.
        """
        hidden, roots = list[JSONValue](), _roots(placed)

        def told(value: JSONValue, way: tuple[str, ...]) -> JSONValue:
            if isinstance(value, Mapping):
                return {key: told(each, (*way, key)) for key, each in value.items()}
            if isinstance(value, list):
                return [told(each, (*way, str(n))) for n, each in enumerate(value)]
            if not isinstance(value, str) or OPENING not in value:
                return _as_it_is(value)
            at = ".".join((placed.at, *(part.rstrip("_") for part in way)))
            try:
                names = self._names(placed, at, expressions_in(value))
                if names is None:
                    return None
                if not self._is_secret(names):
                    return translated(value, roots)
                if not hides:
                    self.problems.append(Misplaced(at, "no secret may be named here: it is kept"))
                    return ""
                parts = parted_at_secrets(value, roots, self.secrets)
                hidden.append({"at": [way[0].rstrip("_"), *way[1:]], **parts})
            except ExpressionError as error:
                self.problems.append(Misplaced(at, error.message))
            return ""

        return {key.rstrip("_"): told(each, (key,)) for key, each in fields.items()}, hidden

    def check_env(self) -> None:
        """Note what is wrong with the variables of the recipe; of expressions only secrets."""
        for name, text in self.spec.env.items():
            at = f"env.{name}"
            try:
                for part in expressions_in(text):
                    if not is_secret(part, self.secrets):
                        raise ExpressionError(part.strip(), "only a secret may stand here")
            except ExpressionError as error:
                self.problems.append(Misplaced(at, error.message))

    def condition(self, placed: Placed) -> str:
        """Return the condition of a step, or an empty text where it has none."""
        given, at = placed.spec.if_, f"{placed.at}.if"
        if isinstance(given, bool):
            return "" if given else "false"
        if not given or given.strip() == ALWAYS:
            return ""
        try:
            parts = list(expressions_in(given)) or [given]
            if len(parts) > 1 or (parts[0] != given and not _is_marked(given)):
                raise ExpressionError(given, "a condition is one expression")
            names = self._names(placed, at, parts)
            if names is None:
                return ""
            if not self._is_secret(names):
                return renamed(parts[0], _roots(placed))
            what = "a condition may name no secret: what it says is kept"
            self.problems.append(Misplaced(at, what))
        except ExpressionError as error:
            self.problems.append(Misplaced(at, error.message))
        return ""

    def _names(self, placed: Placed, at: str, parts: Iterable[str]) -> set[tuple[str, ...]] | None:
        """Return what expressions refer to; None where any of it does not exist."""
        names = {name for part in parts for name in read_expression(part).references}
        wrong = [what for name in sorted(names) for what in self._unknown(placed, name)]
        self.problems += [Misplaced(at, what) for what in wrong]
        return None if wrong else names

    def _is_secret(self, names: Iterable[tuple[str, ...]]) -> bool:
        secret = {(SECRETS,), *((INPUTS, name) for name in self.secret_inputs)}
        return any(name[:1] in secret or name[:2] in secret for name in names)

    def _unknown(self, placed: Placed, name: tuple[str, ...]) -> Iterator[str]:
        root, *rest = name
        known: Mapping[str, Iterable[str]] = {
            INPUTS: self.spec.inputs,
            "env": self.spec.env,
            "matrix": (placed.spec.matrix and placed.spec.matrix.model_extra) or {},
            SECRETS: self.spec.secrets,
        }
        if root not in _ROOTS:
            yield f"there is no {unknown(root, _ROOTS)}; there are {', '.join(_ROOTS)}"
        elif root == "matrix" and placed.spec.matrix is None:
            yield "there is no matrix: the step has none"
        elif root == "steps" and rest:
            yield from self._step(placed, rest)
        elif root in known and rest and rest[0] not in known[root]:
            declared = " among its secrets" if root == SECRETS else ""
            yield f"there is no {root}.{unknown(rest[0], known[root])}{declared}"

    def _step(self, placed: Placed, rest: Sequence[str]) -> Iterator[str]:
        name = rest[0]
        found = self.placed.get(name)
        if found is None:
            members = [each.id for each in self.placed.values() if each.spec.name == name]
            if members:
                yield f"{name} is a matrix; name a member, such as steps['{members[0]}']"
            else:
                yield f"there is no step {unknown(name, self.placed)}"
            return
        if rest[1:] and rest[1] not in _PARTS:
            yield f"a step has {', '.join(_PARTS)}, not {rest[1]}"
        is_before = placed.is_final and not found.is_final
        is_known = is_before or placed.id not in self.order or name not in self.order
        if not is_known and not self.order.is_before(name, placed.id):
            yield f"it does not wait for {name}, so steps.{name} may not be there"


def _as_it_is(value: JSONValue) -> JSONValue:
    """Return what a plan has to say for *value* to be left as it is."""
    return value.replace("${", "$${") if isinstance(value, str) else value


def _is_marked(text: str) -> bool:
    """Tell whether a text is one expression and nothing besides."""
    return text.strip().startswith(OPENING) and text.strip().endswith("}}")


def _roots(placed: Placed) -> Mapping[str, str]:
    """Return what the names are called in plans with which paths of recipes begin."""
    roots = {"inputs": "input.inputs", "env": "input.env", "ctx": "context", "steps": "steps"}
    return {**roots, "matrix": f"input.matrix[{placed.id!r}]"} if placed.matrix else roots
