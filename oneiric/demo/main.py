"""Run the story for a terminal, a pipe or a program."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from oneiric.core.logging import configure_logging
from oneiric.demo.narrators import LiveNarrator, PlainNarrator, SilentNarrator
from oneiric.demo.story import Narrator, StoryReport, tell_story
from oneiric.errors import OneiricError


def run(*, texts: Path, as_json: bool = False) -> int:
    """Tell the story and return the exit code: 0 only if all of it held."""
    configure_logging(sys.stderr, level="error")
    try:
        report = _tell(texts, as_json=as_json)
    except OneiricError as error:
        sys.stderr.write(f"{error.render()}\n")
        return error.exit_code
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        held = "all of it held" if report.ok else "NOT all of it held"
        sys.stdout.write(f"{held}, in {report.seconds:.1f} s\n")
    return 0 if report.ok else 1


def _tell(texts: Path, *, as_json: bool) -> StoryReport:
    if as_json:
        return _run(SilentNarrator(), texts)
    if not sys.stdout.isatty():
        return _run(PlainNarrator(sys.stdout.write), texts)
    with LiveNarrator() as narrator:
        return _run(narrator, texts)


def _run(narrator: Narrator, texts: Path) -> StoryReport:
    return asyncio.run(tell_story(narrator, texts=texts))
