"""The secrets of a run: filled in when a step is done, and masked in all that it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.expressions import ExpressionError, translated
from oneiric.expressions.rewrite import CLOSING, OPENING
from oneiric.expressions.template import pieces
from oneiric.ports.secrets import SecretStore
from oneiric.text.masking import Masking
from oneiric.text.redaction import MASK

ROOT = "secrets"
"""The name with which expressions begin that stand for a secret."""

_TELLING = 4
"""Characters from which on a line of a secret belongs to nothing else by chance."""

_SECRET = re.compile(rf"({ROOT}|inputs)(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])")


class Secrets:
    """Know the secrets of a run by name, and keep them out of what is told.

    >>> secrets = Secrets({"TOKEN": "hunter2"})
    >>> secrets.masked({"said": ["hunter2", "aHVudGVyMg=="]})
    {'said': ['**********', '**********']}
    >>> secrets
    Secrets(TOKEN)
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        found = [line for value in self._values.values() for line in (value, *_lines(value))]
        self.masking = Masking(found)

    def __bool__(self) -> bool:
        return bool(self.masking)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def filled(self, fields: Mapping[str, Any], hidden: Iterable[Mapping[str, Any]]) -> Any:
        """Return *fields* with the texts that name secrets in their places.

        Each of *hidden* tells where (`at`), the `secrets` by name, and the `texts` before, between
        and after them. What a text or a secret says is never read as an expression again.

        Raises:
            NotFoundError: the recipe does not name a secret among its own.
        """
        found: Any = fields
        for each in hidden:
            words = [str(each["texts"][0])]
            for name, text in zip(each["secrets"], each["texts"][1:], strict=True):
                words += [self._secret(name), str(text)]
            found = _with(found, each["at"], "".join(words))
        return found

    def also(self, values: Mapping[str, str]) -> Secrets:
        """Return these secrets and others."""
        return Secrets({**self._values, **values}) if values else self

    def told(self, text: str) -> str:
        """Return *text* with its secrets filled in; what else stands in it stays as it is.

        >>> Secrets({"TOKEN": "hunter2"}).told("me:${{ secrets.TOKEN }} ${{ inputs.n }}")
        'me:hunter2 ${{ inputs.n }}'
        """
        parts = pieces(text, OPENING, CLOSING) if OPENING in text else [(False, text)]
        return "".join(self._part(part) if is_marked else part for is_marked, part in parts)

    def _part(self, part: str) -> str:
        found = self._values.get(_named(part))
        return f"{OPENING}{part}{CLOSING}" if found is None else found

    def masked(self, value: JSONValue) -> Any:
        """Return *value* with each text masked, and each number that is a secret."""
        if not self.masking:
            return value
        if isinstance(value, str):
            return self.masking.text(value)
        if isinstance(value, Mapping):
            return {self.masking.text(key): self.masked(each) for key, each in value.items()}
        if isinstance(value, Sequence):
            return [self.masked(each) for each in value]
        return MASK if str(value) in self._values.values() else value

    def shows(self, value: JSONValue) -> bool:
        """Tell whether *value* holds a secret in any form that would be masked."""
        return bool(self.masking) and self.masked(value) != value

    def _secret(self, name: str) -> str:
        if name not in self._values:
            hint = f"name it in the recipe: secrets: [{name}]"
            raise NotFoundError("secret", name, known=self._values, hint=hint)
        return self._values[name]


class MissingSecretsError(InvalidError):
    """Secrets that a recipe names and the store does not have; no step was begun."""

    code = "missing-secrets"


def parted_at_secrets(
    text: str, roots: Mapping[str, str], known: Sequence[str]
) -> dict[str, JSONValue]:
    """Return the names of the secrets in *text*, and the texts around them as plans read those.

    Inputs that are secret are among the *known* as `inputs.NAME`.

    >>> parted_at_secrets("Bearer ${{ secrets.TOKEN }}", {}, known=["TOKEN"])
    {'texts': ['Bearer ', ''], 'secrets': ['TOKEN']}

    Raises:
        ExpressionError: a secret that the recipe does not name, or one that is not written as it
            is; or as `renamed` does.
    """
    texts, names = [""], list[str]()
    for is_marked, part in pieces(text, OPENING, CLOSING):
        name = _named(part) if is_marked else ""
        if not name or (name.startswith("inputs.") and name not in known):
            marked = f"{OPENING}{part}{CLOSING}" if is_marked else part
            texts[-1] += str(translated(marked, roots))
            continue
        if name not in known:
            raise ExpressionError(part.strip(), f"the recipe names no secret {name}")
        names.append(name)
        texts.append("")
    return {"texts": texts, "secrets": names}


def of_inputs(values: Mapping[str, JSONValue]) -> dict[str, str]:
    """Return inputs that are secret as secrets, by the names that expressions have for them."""
    return {
        f"inputs.{name}": value if isinstance(value, str) else canonical(value).decode()
        for name, value in values.items()
    }


async def read_secrets(store: SecretStore, names: Iterable[str]) -> dict[str, str]:
    """Read secrets by their names, each once.

    Raises:
        MissingSecretsError: names all that are not there.
        AdapterError: the store cannot be read.
    """
    found = {name: await store.get_secret(name, allow_missing=True) for name in names}
    if missing := sorted(name for name, value in found.items() if value is None):
        hint = "set ONEIRIC_SECRET_NAME for each, or give the store of secrets another provider"
        raise MissingSecretsError(f"there is no secret {', '.join(missing)}", hint=hint)
    return cast("dict[str, str]", found)


def is_secret(part: str, known: Sequence[str]) -> bool:
    """Tell whether an expression is one of the *known* secrets and nothing besides."""
    return _named(part) in known


def _lines(value: str) -> list[str]:
    """Return the lines of a secret that has several, for each may be told alone."""
    lines = value.splitlines()
    return [each for each in lines if len(each) >= _TELLING] if len(lines) > 1 else []


def _named(part: str) -> str:
    """Return what an expression that is a secret stands for: its name, or `inputs.NAME`."""
    found = _SECRET.fullmatch(part.strip())
    if found is None:
        return ""
    name = found[2] or found[3]
    return name if found[1] == ROOT else f"{found[1]}.{name}"


def _with(value: Any, at: Sequence[str], text: str) -> Any:
    """Return *value* with *text* in the place that *at* leads to."""
    if not at:
        return text
    key, rest = at[0], at[1:]
    if isinstance(value, Mapping):
        return {**value, key: _with(value.get(key), rest, text)}
    items = list(value)
    items[int(key)] = _with(items[int(key)], rest, text)
    return items
