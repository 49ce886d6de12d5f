"""Load the configuration. The only module that reads the environment."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from oneiric.config.layers import Layers
from oneiric.config.paths import ConfigFile, find_file
from oneiric.config.profiles import PROFILES, built_in
from oneiric.config.sections import Config
from oneiric.config.variables import Variable, values_of, variables_in
from oneiric.documents.model import unknown_keys, validate_settings
from oneiric.errors import ConfigError, JSONValue, Problem, nearest

_NONE: Mapping[str, str] = MappingProxyType({})
_PROFILES = "profiles"
_OWN = ("ONEIRIC_CONFIG", "ONEIRIC_PROFILE")
PROCESS = ("K_SERVICE", "NOTIFY_SOCKET", "PORT", "WATCHDOG_PID", "WATCHDOG_USEC")
"""Variables that set no key, and are handed on as they are: of systemd and of Cloud Run."""


def load_config(
    sections: Mapping[str, type[BaseModel]],
    *,
    path: Path | None = None,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] = _NONE,
    further: Callable[[Config, Sequence[Problem]], Iterable[Problem]] | None = None,
) -> Config:
    """Read the file, the profile and the environment, and check it all against *sections*.

    The environment is read and never changed. What is missing has the model's
    default; then count, each over the one before: the file, the profile (built
    in, then `[profiles.NAME]` of the file), `ONEIRIC_SECTION__KEY`.

    >>> config = load_config({}, environ={}, folder=Path("/nowhere"))
    >>> config.profile, config.file
    ('default', None)

    Args:
        sections: section name to the model of its settings.
        path: the file; else `ONEIRIC_CONFIG`, else what `find_file` finds in *folder*.
        profile: its name; else `ONEIRIC_PROFILE`, else `serverless` where Cloud Run names its
            service in `K_SERVICE`, else `default`.
        environ: the variables; `os.environ` when left out.
        folder: where the file is looked for, and what its relative path starts from; the
            working directory when left out. Paths in settings start from the working
            directory in any case.
        variables: single names to dotted keys, `ONEIRIC_STACK_ORDER` to `resolver.stack_order`.
        further: called when something is wrong, to tell what else is: with the settings that
            are right, defaults in place of the others, and the problems found so far.

    Raises:
        ConfigError: with every problem at once, each with where it was written.
        NotFoundError: the file that was named does not exist.
        InvalidPathError: it is no regular file, or longer than 1 MiB.
        UnavailableError: it cannot be read.
        DocumentError: it is not one strict TOML, YAML or JSON document.
    """
    seen = dict(os.environ if environ is None else environ)
    here = Path.cwd() if folder is None else folder
    named = path or (Path(seen["ONEIRIC_CONFIG"]) if seen.get("ONEIRIC_CONFIG") else None)
    file = find_file(here, named=named)
    usual = "serverless" if seen.get("K_SERVICE") else "default"
    name = profile or seen.get("ONEIRIC_PROFILE") or usual
    asked = "--profile" if profile else "ONEIRIC_PROFILE"
    layers = Layers()
    problems = _lay_file(layers, file, name, asked, sections)
    filed = deepcopy(layers.values)
    problems += _lay_variables(layers, seen, variables, sections)
    checked, more = _check(layers, sections)
    problems += more
    process = MappingProxyType({each: seen[each] for each in PROCESS if seen.get(each)})
    config = Config(file.path, name, here, MappingProxyType(checked), layers, filed, named, process)
    if problems:
        problems += further(config, problems) if further else ()
        where = file.shown if file.path else "the environment"
        raise ConfigError(f"the configuration of {where} is wrong", problems=problems)
    return config


def _lay_file(
    layers: Layers,
    file: ConfigFile,
    name: str,
    asked: str,
    sections: Mapping[str, type[BaseModel]],
) -> list[Problem]:
    values = dict(file.values)
    profiles = values.pop(_PROFILES, {})
    if not isinstance(profiles, Mapping):
        return [Problem(_PROFILES, "it must be a table of profiles", file.origin(_PROFILES))]
    problems = _profile_problems(profiles, file, name, sections)
    base: Mapping[str, JSONValue] = {}
    try:
        base = built_in(name, written=profiles)
    except ConfigError as error:
        problems.append(Problem("profile", f"{error.message}; {error.hint}", asked))
    layers.lay(values, file.origin)
    layers.lay({key: base[key] for key in base if key in sections}, lambda _: f"profile {name}")
    chosen = profiles.get(name)
    if isinstance(chosen, Mapping):
        layers.lay(
            chosen, lambda path: f"profile {name} at {file.origin(f'{_PROFILES}.{name}.{path}')}"
        )
    return problems


def _profile_problems(
    profiles: Mapping[str, JSONValue],
    file: ConfigFile,
    name: str,
    sections: Mapping[str, type[BaseModel]],
) -> list[Problem]:
    """Check the keys of the profiles that are not chosen: a slip shows before its day."""
    problems: list[Problem] = []
    for profile, values in profiles.items():
        path = f"{_PROFILES}.{profile}"
        if not isinstance(values, Mapping):
            problems.append(Problem(path, "it must be a table of sections", file.origin(path)))
        elif profile != name:
            for section, entries in values.items():
                where = f"{path}.{section}"
                if section not in sections:
                    problems.append(_unknown(where, section, sections, file.origin(where)))
                elif isinstance(entries, Mapping):
                    problems += unknown_keys(
                        sections[section], entries, key=where, origin_of=file.origin
                    )
    return problems


def _lay_variables(
    layers: Layers,
    environ: Mapping[str, str],
    names: Mapping[str, str],
    sections: Mapping[str, type[BaseModel]],
) -> list[Problem]:
    problems = []
    found = [each for each in variables_in(environ, names) if each.name not in _OWN]
    for outcome in values_of(found, sections):
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            variable, value = outcome
            _lay_variable(layers, variable, value)
    return problems


def _lay_variable(layers: Layers, variable: Variable, value: JSONValue) -> None:
    for key in reversed(variable.keys):
        value = {key: value}
    assert isinstance(value, Mapping)
    layers.lay(value, lambda _: variable.name)


def _check(
    layers: Layers, sections: Mapping[str, type[BaseModel]]
) -> tuple[dict[str, BaseModel], list[Problem]]:
    checked: dict[str, BaseModel] = {}
    problems = [
        _unknown(name, name, sections, layers.place(name))
        for name in layers.values
        if name not in sections
    ]
    for name, model in sections.items():
        values = layers.values.get(name, {})
        if not isinstance(values, Mapping):
            problems.append(Problem(name, "it must be a table", layers.place(name)))
            checked[name] = model.model_construct()
            continue
        try:
            checked[name] = validate_settings(model, values, key=name, origin_of=layers.place)
        except ConfigError as error:
            problems += error.problems or [Problem(name, error.message, layers.place(name))]
            checked[name] = _salvaged(model, values, {problem.key for problem in problems}, name)
    return checked, problems


def _salvaged(
    model: type[BaseModel], values: Mapping[str, JSONValue], wrong: AbstractSet[str], name: str
) -> BaseModel:
    """Return what is right of a section, defaults in place of what is *wrong*."""
    keys = {path.removeprefix(f"{name}.").partition(".")[0] for path in wrong}
    kept = {key: value for key, value in values.items() if key not in keys}
    try:
        return validate_settings(model, kept, key=name, origin_of=str)
    except ConfigError:
        return model.model_construct()


def _unknown(path: str, name: str, known: Mapping[str, object], origin: str) -> Problem:
    close = nearest(name, known)
    what = f"unknown section; did you mean {close}?" if close else "unknown section"
    return Problem(path, what, origin)


def known_profiles(*, path: Path | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of all profiles, built in and of the file that would be loaded.

    Raises:
        OneiricError: the file cannot be read, as in `load_config`.
    """
    named = os.environ.get("ONEIRIC_CONFIG")
    file = find_file(folder or Path.cwd(), named=path or (Path(named) if named else None))
    written = file.values.get(_PROFILES)
    return tuple(sorted({*PROFILES, *(written if isinstance(written, Mapping) else ())}))


def variables_named(names: Iterable[str]) -> dict[str, str]:
    """Return those of the variables that are set, for a program that is to have them."""
    return {name: os.environ[name] for name in names if name in os.environ}
