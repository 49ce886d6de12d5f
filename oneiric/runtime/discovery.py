"""Find the plugins of installed distributions, ours included, in one scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from importlib_metadata import EntryPoint, entry_points

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.factory import is_allowed
from oneiric.core.guard import attempt
from oneiric.core.plugin import Plugin
from oneiric.domains import ALL, Domain
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.runtime.settings import PluginSettings

OWN = "oneiric"
PRIORITIES = range(-1000, 1001)
LEVELS = range(-100, 101)
_GROUPS: Mapping[str, Domain] = {domain.group: domain for domain in ALL.values()}


@dataclass(frozen=True, slots=True)
class Discovered:
    """One entry point, with the candidates it brought or why it brought none."""

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
    found = sorted(
        (point for point in entry_points() if point.group in _GROUPS),
        key=lambda point: (_distribution(point)[0] != OWN, _distribution(point)[0], point.group),
    )
    return tuple(_examined(point, settings) for point in found)


def _examined(point: EntryPoint, settings: PluginSettings) -> Discovered:
    distribution, version = _distribution(point)
    plugin = Discovered(point.group, point.name, point.value, distribution, version)
    refusal = _refusal(distribution, settings)
    if refusal:
        return replace(plugin, skipped=refusal)
    outcome = attempt(lambda: _candidates(plugin, point, settings))
    if outcome.value is None:
        return replace(plugin, error=outcome.reason)
    return replace(plugin, candidates=outcome.value)


def _refusal(distribution: str, settings: PluginSettings) -> str:
    if distribution == OWN:
        return ""
    if not settings.auto_load:
        return "plugins.auto_load is off"
    if distribution in settings.deny:
        return "plugins.deny names it"
    if settings.allow and distribution not in settings.allow:
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
    return tuple(candidate.sourced(source) for candidate in loaded.candidates)


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
    targets = (candidate.factory, candidate.settings_model, candidate.health)
    for target in targets:
        if isinstance(target, str) and not is_allowed(target.partition(":")[0], allowed):
            yield f"{target} is under no allowed prefix ({', '.join(allowed)})"


def prefixes(plugins: Sequence[Discovered], settings: PluginSettings) -> tuple[str, ...]:
    """Return the packages from which factories may be loaded, given what was discovered."""
    packages = {plugin.package for plugin in plugins if plugin.candidates}
    return tuple(sorted({OWN, *packages, *settings.allowed_prefixes}))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Return the normalised name and the version of the distribution that declares *point*."""
    if point.dist is None:
        return "unknown", ""
    return point.dist.name.lower().replace("_", "-"), str(point.dist.version)
