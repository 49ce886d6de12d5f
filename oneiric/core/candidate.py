"""An offer to fill a place, and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.errors import ComponentError, InvalidCandidateError, InvalidRefError, JSONValue
from oneiric.machine import check_python
from oneiric.targets import is_target
from oneiric.text.names import is_name

if TYPE_CHECKING:
    from pydantic import BaseModel

Factory: TypeAlias = Callable[..., Any]
HealthCheck: TypeAlias = Callable[[Any], Any]


class SourceKind(StrEnum):
    """How an offer reached this process."""

    CODE = "code"
    PLUGIN = "plugin"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an offer came from: code, an installed distribution, or a manifest.

    Two registrations of one provider under one `id` replace each other; `detail`
    and `version` are told to people and do not count.
    """

    kind: SourceKind = SourceKind.CODE
    name: str = ""
    version: str = field(default="", compare=False)
    detail: str = field(default="", compare=False)
    signed: bool = field(default=True, compare=False)

    @property
    def id(self) -> str:
        """The text that tells sources apart, such as `plugin:oneiric`."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"{self.id}{version}{'' if self.signed else ' (unsigned)'}"


CODE = Source()
LARGEST = 2**53
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_FORMS: Mapping[str, tuple[type, str]] = {
    "source": (Source, "a Source"),
    "requires": (Mapping, "a mapping"),
    "metadata": (Mapping, "a mapping"),
    "version": (str, "text"),
    "blocking": (bool, "True or False"),
    "unavailable": (str, "text"),
}


@dataclass(frozen=True, slots=True, init=False)
class Candidate:
    """One offer to fill a place: who, how it is made, and what it needs.

    Nothing is called or imported before a component is brought up, so a factory,
    a settings model and a health check may each be given as text, `package.module:attr`.

    >>> offer = Candidate("adapter:cache", "memory", dict, priority=10)
    >>> offer.offer, offer.capabilities
    ('adapter:cache@memory', frozenset())

    Args:
        ref: the place to fill.
        provider: who offers, unique for the place within a source.
        factory: called as `factory(settings, **links)`; `settings` only with a `settings_model`.
        requires: keyword of the factory to the reference whose Link it receives.
        settings_model: a pydantic model that checks the provider's settings.
        capabilities: what it can do; callers may need some of them.
        stack: the layer it belongs to; empty for its distribution's or manifest's name.
        stack_level: rank of that layer where the stack order does not name it.
        priority: rank within a level.
        blocking: whether sync phases run in a thread of their own.
        health: called with the instance, beside the instance's own `health`.
        python_version: versions it runs on, such as `>=3.11,<3.14`; empty for all.
        os_platform: systems it runs on (`linux`, `macos`, `windows`); empty for all.
        conflicts_with: places or offers beside which it may not serve.
        unavailable: why it cannot serve on this machine, such as `install oneiric[redis]`.
        metadata: whatever else callers want to know; JSON values. It is kept as it is and
            never copied, so lists and tables inside are to be left alone from now on.
        source: where the offer came from.

    Raises:
        InvalidCandidateError: a field has the wrong form; names the offer and its source.
    """

    ref: ComponentRef[Any]
    provider: str
    factory: Factory | str
    requires: Mapping[str, ComponentRef[Any]]
    settings_model: type[BaseModel] | str | None
    capabilities: frozenset[str]
    stack: str
    stack_level: int
    priority: int
    version: str
    blocking: bool
    health: HealthCheck | str | None
    python_version: str
    os_platform: tuple[str, ...]
    conflicts_with: tuple[ComponentRef[Any], ...]
    unavailable: str
    metadata: Mapping[str, JSONValue]
    source: Source

    def __init__(
        self,
        ref: str,
        provider: str,
        factory: Factory | str,
        *,
        requires: Mapping[str, str] = _NOTHING,
        settings_model: type[BaseModel] | str | None = None,
        capabilities: Iterable[str] = frozenset(),
        stack: str = "",
        stack_level: int = 0,
        priority: int = 0,
        version: str = "",
        blocking: bool = False,
        health: HealthCheck | str | None = None,
        python_version: str = "",
        os_platform: Iterable[str] = (),
        conflicts_with: Iterable[str] = (),
        unavailable: str = "",
        metadata: Mapping[str, JSONValue] = _NOTHING,
        source: Source = CODE,
    ) -> None:
        keep = object.__setattr__.__get__(self)  # half the cost of a partial, 18 times
        keep("ref", ref)
        keep("provider", provider)
        keep("source", source)
        keep("requires", requires or _NOTHING)
        keep("metadata", metadata or _NOTHING)
        keep("version", version)
        keep("blocking", blocking)
        keep("unavailable", unavailable)
        self._check_forms()
        keep("factory", factory)
        keep("settings_model", settings_model)
        keep("stack", stack or source.name)
        keep("stack_level", stack_level)
        keep("priority", priority)
        keep("health", health)
        keep("python_version", python_version)
        if metadata:
            keep("metadata", MappingProxyType(metadata))
        try:
            keep("ref", ComponentRef(ref))
            if requires:
                if not all(isinstance(keyword, str) for keyword in requires):
                    raise self._invalid("requires must have keywords of its factory as keys")
                links = {name: ComponentRef[Any](other) for name, other in requires.items()}
                keep("requires", MappingProxyType(links))
            others = self._several("conflicts_with", conflicts_with)
            keep("conflicts_with", tuple(map(ComponentRef, others)))
        except InvalidRefError as error:
            raise self._invalid(error.message, hint=error.hint) from error
        keep("capabilities", frozenset(self._several("capabilities", capabilities)))
        keep("os_platform", tuple(dict.fromkeys(self._several("os_platform", os_platform))))
        self._check()

    def _check_forms(self) -> None:
        for name, (form, told) in _FORMS.items():
            given = getattr(self, name)
            if given is not _NOTHING and not isinstance(given, form):
                raise self._invalid(f"{name} must be {told}, not {given!r}")

    def _several(self, name: str, given: Iterable[str]) -> tuple[str, ...]:
        """Return texts as a tuple, where a single text is one and not its letters."""
        if isinstance(given, str):
            return (given,)
        try:
            several = tuple(given)
        except TypeError:
            raise self._invalid(f"{name} must be text or several, not {given!r}") from None
        for one in several:
            if not isinstance(one, str):
                raise self._invalid(f"{one!r} is no name")
        return several

    def _check(self) -> None:
        if self.ref.provider:
            raise self._invalid("a candidate fills a place, so its ref has no @provider")
        stack = (self.stack,) if self.stack else ()
        for name in (self.provider, *self.capabilities, *self.os_platform, *stack):
            if not is_name(name):
                raise self._invalid(f"{name!r} is no name")
        for number_name in ("stack_level", "priority"):
            number = getattr(self, number_name)
            if type(number) is not int:
                raise self._invalid(f"{number_name} must be an integer, not {number!r}")
            if abs(number) > LARGEST:
                raise self._invalid(f"{number_name} lies beyond ±2^53")
        self._check_targets()

    def _check_targets(self) -> None:
        if self.python_version != "" and (wrong := check_python(self.python_version)):
            raise self._invalid(f"python_version: {wrong}")
        for name, given in (("factory", self.factory), ("health", self.health)):
            if isinstance(given, str):
                if not is_target(given):
                    raise self._invalid(f"{name} {given!r} is not package.module:attr")
            elif (name == "factory" or given is not None) and not callable(given):
                raise self._invalid(f"its {name} is {type(given).__name__}, not callable")
        model = self.settings_model
        if model is None:
            return
        if not (is_target(model) if isinstance(model, str) else hasattr(model, "model_validate")):
            raise self._invalid(f"settings_model {model!r} is no pydantic model, nor names one")

    def _invalid(self, reason: str, *, hint: str = "") -> InvalidCandidateError:
        offer = f"{self.ref}@{self.provider}"
        return InvalidCandidateError(offer, reason, origin=str(self.source), hint=hint)

    def __hash__(self) -> int:
        return hash((self.ref, self.provider, self.source))

    @property
    def offer(self) -> ComponentRef[Any]:
        """The reference that names this offer, `domain:key@provider`."""
        return self.ref.offer(self.provider)

    def failure(
        self, phase: str, reason: str, cause: BaseException | None = None
    ) -> ComponentError:
        """Return the error that says in which phase it failed, and why."""
        return ComponentError(self.ref, self.provider, phase, reason, cause=cause)

    def sourced(self, source: Source) -> Candidate:
        """Return the same offer as coming from *source*; its stack follows unless it set one."""
        stack = "" if self.stack == self.source.name else self.stack
        return replace(self, source=source, stack=stack)
