"""References to secrets: read from their store just before what needs them, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue
from oneiric.ports.errors import NotFoundError
from oneiric.text.masking import Masking
from oneiric.validation.texts import texts_in, with_texts

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.secrets import SecretStore

PREFIX = "secret."
"""How the names of captured values begin that were read from the store of secrets."""

_REFERENCE = re.compile(r"\$\{\s*secret\.([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)\s*\}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets by name, for what refers to them as `${ secret.NAME }`.

    >>> secrets = Secrets({"KEY": "hunter22"})
    >>> secrets.filled(["--key", "${ secret.KEY }"])
    ['--key', 'hunter22']
    >>> secrets
    Secrets(missing=())
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()

    @property
    def captured(self) -> dict[str, JSONValue]:
        """The values under the names that `as_captured` refers to."""
        return {f"{PREFIX}{name}": value for name, value in self.values.items()}

    @property
    def problem(self) -> str:
        """Why not every reference can be filled in, or an empty text."""
        return f"the store of secrets has no {', '.join(self.missing)}" if self.missing else ""

    @property
    def mask(self) -> list[str]:
        """The texts that nobody may see."""
        return list(self.values.values())

    def filled(self, value: JSONValue) -> Any:
        """Return *value* with each reference in its texts replaced; nothing else is read in them.

        A reference to what is missing stays.
        """
        return with_texts(value, self._filled)

    def masked(self, value: JSONValue) -> Any:
        """Return *value* with the secrets in its texts masked."""
        return with_texts(value, Masking(self.mask).text) if self.values else value

    def _filled(self, text: str) -> str:
        return _REFERENCE.sub(lambda found: self.values.get(found[1], found[0]), text)


def names_in(value: JSONValue) -> frozenset[str]:
    """Return the names of the secrets that the texts of *value* refer to.

    >>> sorted(names_in({"headers": {"A": "Bearer ${ secret.api-token }"}}))
    ['api-token']
    """
    return frozenset(name for text in texts_in(value) for name in _REFERENCE.findall(text))


def as_captured(check: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return a check whose references to secrets are to captured values, which are masked.

    >>> as_captured({"url": "/a", "body": {"key": "${ secret.KEY }"}})["body"]
    {'key': "${ captured['secret.KEY'] }"}
    """
    told = _replaced(check, r"${ captured['secret.\1'] }")
    return cast("dict[str, JSONValue]", told)


def as_words(check: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return a check with a plain word for each secret, for whoever tells what is wrong with it."""
    return cast("dict[str, JSONValue]", _replaced(check, "secret"))


def joined(text: str) -> str:
    """Return *text* with no space within a reference, so that it is one word of a command.

    >>> joined("login ${ secret.KEY }")
    'login ${secret.KEY}'
    """
    return _REFERENCE.sub(r"${secret.\1}", text)


async def read_secrets(store: Link[SecretStore] | Any, names: Iterable[str]) -> Secrets:
    """Return the secrets of those *names*, and which of them the store does not have.

    *store* is not asked where there are no names; it is a link, or anything else with `use()`.

    Raises:
        AdapterError: the store cannot be asked, or refuses.
    """
    wanted = sorted(set(names))
    if not wanted:
        return Secrets()
    values: dict[str, str] = {}
    async with store.use() as held:
        for name in wanted:
            try:
                value = await held.get_secret(name, allow_missing=True)
            except NotFoundError:
                value = None
            if value is not None:
                values[name] = value
    return Secrets(values, tuple(name for name in wanted if name not in values))


def _replaced(value: Mapping[str, JSONValue], by: str) -> JSONValue:
    return with_texts(dict(value), lambda text: _REFERENCE.sub(by, text))
