"""Run the story for a terminal, a pipe or a program."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from oneiric.core.logging import configure_logging
from oneiric.demo.narrators import LiveNarrator, PlainNarrator, SilentNarrator
from oneiric.demo.story import Narrator, StoryReport, open_runtime, tell_story
from oneiric.errors import OneiricError
from oneiric.runtime.settings import LoggingSettings
from oneiric.text.printable import printable


def run(*, texts: Path, as_json: bool = False) -> int:
    """Tell the story and return the exit code: 0 only if all of it held."""
    code = 1
    try:
        code = _shown(texts, as_json=as_json)
    except* BrokenPipeError:  # whoever read has read enough; nothing more can be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _shown(texts: Path, *, as_json: bool) -> int:
    try:
        report = _tell(texts, as_json=as_json)
    except OneiricError as error:
        if as_json:
            _print(json.dumps(error.as_json(), indent=2))
        else:
            sys.stderr.write(printable(f"{error.render()}\n"))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    if as_json:
        _print(json.dumps(report.as_json(), indent=2))
    else:
        for problem in report.problems():
            _print(f"did not hold: {problem}")
        held = "all of it held" if report.ok else "NOT all of it held"
        _print(f"{held}, in {report.seconds:.1f} s")
    return 0 if report.ok else 1


def _tell(texts: Path, *, as_json: bool) -> StoryReport:
    if as_json:
        return _run(SilentNarrator(), texts)
    if not sys.stdout.isatty():
        return _run(PlainNarrator(_print), texts)
    with LiveNarrator() as narrator:
        return _run(narrator, texts)


def _print(text: str) -> None:
    sys.stdout.write(printable(f"{text}\n"))
    sys.stdout.flush()


def _run(narrator: Narrator, texts: Path) -> StoryReport:
    runtime = open_runtime()
    settings = runtime.config.section("logging")
    assert isinstance(settings, LoggingSettings)
    asked = "level" in settings.model_fields_set
    level = settings.level if asked else "error"  # what it breaks on purpose is no news
    configure_logging(sys.stderr, level=level, emit_json=settings.emit_json)
    return asyncio.run(tell_story(runtime, narrator, texts=texts))
