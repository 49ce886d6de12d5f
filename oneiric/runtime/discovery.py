"""Find the plugins of installed distributions, ours included, in one scan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from importlib_metadata import EntryPoint, distributions, entry_points

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.guard import attempt, attempt_within
from oneiric.core.plugin import Plugin
from oneiric.core.registry import offered_by
from oneiric.domains import ALL, Domain
from oneiric.errors import JSONValue
from oneiric.targets import is_allowed, target_of

if TYPE_CHECKING:
    from oneiric.runtime.settings import PluginSettings

OWN = "oneiric"
UNKNOWN = "unknown"
PRIORITIES = range(-1000, 1001)
LEVELS = range(-100, 101)
_GROUPS: Mapping[str, Domain] = {domain.group: domain for domain in ALL.values()}


@dataclass(frozen=True, slots=True)
class Discovered:
    """One entry point, with the candidates it brought or why it brought none.

    Without a group it stands for a distribution whose entry points cannot be read.
    """

    group: str
    name: str
    target: str
    distribution: str
    version: str
    candidates: tuple[Candidate, ...] = ()
    error: str = ""
    skipped: str = ""

    @property
    def package(self) -> str:
        """The top-level package from which the plugin came."""
        return self.target.partition(":")[0].partition(".")[0]

    def as_json(self) -> dict[str, JSONValue]:
        """Return the entry point with the offers it brought."""
        return {
            "group": self.group,
            "name": self.name,
            "target": self.target,
            "distribution": self.distribution,
            "version": self.version,
            "candidates": [str(candidate.offer) for candidate in self.candidates],
            "error": self.error,
            "skipped": self.skipped,
        }


def discover(settings: PluginSettings) -> tuple[Discovered, ...]:
    """Load every plugin that the settings admit; a broken one never stops another.

    Our own rooms come by the same way and are always admitted.
    """
    found = sorted(_found(), key=lambda each: (each[0].distribution != OWN, *_order(each[0])))
    examined = (_examined(plugin, point, settings) for plugin, point in found)
    return tuple(_offering_anew(examined))


def _offering_anew(plugins: Iterable[Discovered]) -> Iterator[Discovered]:
    """Refuse the plugin that brings what another of its distribution has brought already."""
    brought: dict[tuple[str, str], Discovered] = {}
    for plugin in plugins:
        names = [(each.source.id, str(each.offer)) for each in plugin.candidates]
        again = [
            f"{offer} is brought by {first.group}:{first.name} already"
            for source, offer in names
            if (first := brought.get((source, offer)))
        ]
        if again:
            yield replace(plugin, candidates=(), error=f"ValueError: {'; '.join(again)}")
        else:
            brought.update(dict.fromkeys(names, plugin))
            yield plugin


def _order(plugin: Discovered) -> tuple[str, str]:
    return plugin.distribution, plugin.group


def _found() -> Iterator[tuple[Discovered, EntryPoint | None]]:
    """Yield what is installed; one distribution that cannot be read hides no other."""
    scanned = attempt(lambda: list(entry_points()))
    if scanned.value is not None:
        yield from _described(scanned.value)
        return
    for distribution in distributions():
        points = attempt(partial(_points_of, distribution))
        if points.value is not None:
            yield from _described(points.value)
        else:
            name, version = _named(distribution)
            why = f"its entry points cannot be read: {points.reason}"
            yield Discovered("", "", "", name, version, error=why), None


def _points_of(distribution: Any) -> list[EntryPoint]:
    return list(distribution.entry_points)


def _described(points: Iterable[EntryPoint]) -> Iterator[tuple[Discovered, EntryPoint]]:
    read: dict[int, tuple[str, str]] = {}  # metadata takes long to read; a point keeps its alive
    for point in points:
        if point.group in _GROUPS:
            if id(point.dist) not in read:
                read[id(point.dist)] = _named(point.dist)
            name, version = read[id(point.dist)]
            yield Discovered(point.group, point.name, point.value, name, version), point


def _examined(plugin: Discovered, point: EntryPoint | None, settings: PluginSettings) -> Discovered:
    if point is None:
        return plugin
    refusal = _refusal(plugin.distribution, settings)
    if refusal:
        return replace(plugin, skipped=refusal)
    outcome = attempt_within(lambda: _candidates(plugin, point, settings), settings.load_timeout)
    if outcome.value is None:
        return replace(plugin, error=outcome.reason)
    return replace(plugin, candidates=outcome.value)


def _refusal(distribution: str, settings: PluginSettings) -> str:
    if distribution == OWN:
        return ""
    if not settings.auto_load:
        return "plugins.auto_load is off"
    if distribution in map(_normal, settings.deny):
        return "plugins.deny names it"
    if settings.allow and distribution not in map(_normal, settings.allow):
        return "plugins.allow does not name it"
    return ""


def _candidates(
    plugin: Discovered, point: EntryPoint, settings: PluginSettings
) -> tuple[Candidate, ...]:
    loaded = point.load()
    if not isinstance(loaded, Plugin):
        raise TypeError(f"{point.value} is {type(loaded).__name__}, not a Plugin")
    source = Source(
        SourceKind.PLUGIN, plugin.distribution, plugin.version, detail=f"{point.group}:{point.name}"
    )
    problems = [
        f"{candidate.offer}: {problem}"
        for candidate in loaded.candidates
        for problem in _problems(candidate, plugin, settings)
    ]
    if problems:
        raise ValueError("; ".join(problems))
    sourced = tuple(candidate.sourced(source) for candidate in loaded.candidates)
    offered_by(source, sourced)  # which refuses an offer that is made twice
    return sourced


def _problems(candidate: Candidate, plugin: Discovered, settings: PluginSettings) -> Iterable[str]:
    """Yield why a plugin may not make this offer."""
    domain = _GROUPS[plugin.group].name
    if candidate.ref.domain != domain:
        yield f"the group {plugin.group} brings {domain} candidates only"
    if candidate.priority not in PRIORITIES:
        yield f"priority {candidate.priority} lies outside -1000 to 1000"
    if candidate.stack_level not in LEVELS:
        yield f"stack level {candidate.stack_level} lies outside -100 to 100"
    allowed = (OWN, plugin.package, *settings.allowed_prefixes)
    for given in (candidate.factory, candidate.settings_model, candidate.health):
        if given is None:
            continue
        target = given if isinstance(given, str) else target_of(given)
        if not is_allowed(target.partition(":")[0], allowed):
            yield f"{target} is under no allowed prefix ({', '.join(allowed)})"


def prefixes(plugins: Sequence[Discovered], settings: PluginSettings) -> tuple[str, ...]:
    """Return the packages from which factories may be loaded, given what was discovered."""
    packages = {plugin.package for plugin in plugins if plugin.candidates}
    return tuple(sorted({OWN, *packages, *settings.allowed_prefixes}))


def _named(distribution: Any) -> tuple[str, str]:
    """Return the normalised name and the version, as far as the metadata tells them."""
    name = attempt(lambda: _normal(distribution.name)).value or UNKNOWN
    return name, attempt(lambda: str(distribution.version)).value or ""


def _normal(name: str) -> str:
    """Return the one spelling of a distribution's name that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()
