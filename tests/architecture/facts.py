"""Facts that the README states between markers, compared with the code.

`<!-- fact:extras -->`redis`<!-- /fact -->` states that the words in backticks
between the markers are the extras, in the order in which the code has them.
"""

import importlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.architecture.source import ROOT

_FACT = re.compile(r"<!-- fact:(\S+) -->(.*?)<!-- /fact -->", re.DOTALL)
_WORD = re.compile(r"`([^`]+)`")


def _project() -> dict[str, dict[str, list[str]]]:
    loaded: dict[str, dict[str, list[str]]] = tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    return loaded


def extras() -> list[str]:
    """Return the optional extras of the distribution."""
    return list(_project().get("optional-dependencies", {}))


def pythons() -> list[str]:
    """Return the versions of Python that the distribution declares."""
    prefix = "Programming Language :: Python :: "
    classifiers = [str(text) for text in _project()["classifiers"]]
    return [text.removeprefix(prefix) for text in classifiers if text.startswith(prefix)]


def dependencies() -> list[str]:
    """Return the names of what an install without extras brings."""
    return [re.split(r"[<>=~! ;\[]", str(text))[0] for text in _project()["dependencies"]]


def domains() -> list[str]:
    """Return the six namespaces."""
    from oneiric.core.ref import DOMAINS

    return list(DOMAINS)


def commands() -> list[str]:
    """Return the top-level commands of `oneiric`."""
    import typer

    group = typer.main.get_group(importlib.import_module("oneiric.cli.app").app)
    return sorted(group.list_commands(typer.Context(group)))


def targets() -> list[str]:
    """Return the targets of the Makefile that people call."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)


FACTS: Mapping[str, Callable[[], list[str]]] = {
    "extras": extras,
    "pythons": pythons,
    "dependencies": dependencies,
    "domains": domains,
    "commands": commands,
    "targets": targets,
}


def wrong_facts(page: Path) -> Iterator[str]:
    """Give one line, with file, line and rule, for each fact that the code contradicts."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    for match in _FACT.finditer(text):
        name, stated = match[1], _WORD.findall(match[2])
        place = f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}: readme-fact"
        if name not in FACTS:
            yield f"{place}: no fact {name}; known: {', '.join(FACTS)}"
        elif stated != FACTS[name]():
            yield f"{place}: {name} states {stated}, the code has {FACTS[name]()}"
    opened, closed = text.count("<!-- fact:"), text.count("<!-- /fact -->")
    if not opened == closed == len(_FACT.findall(text)):
        yield f"{page.name}:1: readme-fact: {opened} markers open, {closed} close"
