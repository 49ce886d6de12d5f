"""References: the name of a place to fill, `domain:key`, or of one offer for it."""

from typing import Any, Generic, TypeVar

from oneiric.errors import InvalidRefError, nearest
from oneiric.text.names import ALPHABET, is_name

T = TypeVar("T")

DOMAINS = ("adapter", "service", "task", "event", "workflow", "action")
"""The six namespaces, in the order in which people meet them."""


class ComponentRef(str, Generic[T]):
    """Name a place to fill, `domain:key`, or one offer for it, `domain:key@provider`.

    It is text that was checked once, so text and reference find the same entry
    in a table. A port exports a typed one, so that what `use(CACHE)` gives is typed.

    >>> ref = ComponentRef("adapter:cache@redis")
    >>> ref.domain, ref.key, ref.provider, ref.place
    ('adapter', 'cache', 'redis', 'adapter:cache')

    Raises:
        InvalidRefError: the text has another form or names no domain.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "ComponentRef[T]":
        if isinstance(text, ComponentRef):
            return text
        _check(text)
        return super().__new__(cls, text)

    @classmethod
    def of(cls, domain: str, key: str, provider: str = "") -> "ComponentRef[Any]":
        """Compose a reference from its parts."""
        return cls(f"{domain}:{key}@{provider}" if provider else f"{domain}:{key}")

    @property
    def domain(self) -> str:
        """The part before the colon: one of `DOMAINS`."""
        return self.partition(":")[0]

    @property
    def key(self) -> str:
        """The part between colon and `@`."""
        return self.partition(":")[2].partition("@")[0]

    @property
    def provider(self) -> str:
        """The part after `@`, or an empty string when a place is named."""
        return self.partition("@")[2]

    @property
    def place(self) -> "ComponentRef[T]":
        """The reference without its provider."""
        return str.__new__(ComponentRef, self.partition("@")[0]) if "@" in self else self

    def offer(self, provider: str) -> "ComponentRef[T]":
        """Return the reference of *provider*'s offer for this place."""
        text = f"{self.place}@{provider}"
        return str.__new__(ComponentRef, text) if is_name(provider) else ComponentRef(text)


def _check(text: object) -> None:
    if not isinstance(text, str):
        raise InvalidRefError(text, f"it is {type(text).__name__}, not text")
    domain, colon, rest = text.partition(":")
    key, at, provider = rest.partition("@")
    if not colon:
        raise InvalidRefError(text, "it has no colon", hint="write domain:key, as in adapter:cache")
    if domain not in DOMAINS:
        close = nearest(domain, DOMAINS)
        hint = f"did you mean {close}:{rest}?" if close else f"domains: {', '.join(DOMAINS)}"
        raise InvalidRefError(text, f"{domain!r} is no domain", hint=hint)
    if not is_name(key) or (at and not is_name(provider)):
        part = repr(provider) if is_name(key) else repr(key)
        raise InvalidRefError(text, f"{part} is no name", hint=ALPHABET)
