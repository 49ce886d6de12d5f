"""Run what a page's reader is told to type, and keep the files that a page shows."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"# ([\w./-]+\.(?:py|toml|yaml|json))")
_SETTING = re.compile(r"[A-Z_]+=")
PROGRAMS = {"oneiric": (sys.executable, "-m", "oneiric.cli"), "python": (sys.executable,)}
"""What is run; any other command of a transcript is only shown."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of a transcript, and what the page says that it prints."""

    command: str
    printed: str

    @property
    def words(self) -> list[str]:
        """The command's words, without a comment at its end."""
        return shlex.split(self.command, comments=True)

    @property
    def runs(self) -> bool:
        """Whether the command is one of `PROGRAMS`, perhaps with variables before it."""
        words = [word for word in self.words if not _SETTING.match(word)]
        return bool(words) and words[0] in PROGRAMS


def typed(text: str) -> Iterator[Typed]:
    """Give the commands of a console block, each a line that begins with `$ `.

    >>> [each.command for each in typed("$ oneiric list\\nnothing is on offer\\n$ make")]
    ['oneiric list', 'make']
    """
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield Typed(command, printed)


def output_of(command: Typed, folder: Path) -> str:
    """Run a command in *folder* and return what it prints, errors included."""
    words = command.words
    settings = [word for word in words if _SETTING.match(word)]
    program, *arguments = words[len(settings) :]
    environ = {**os.environ, **dict(word.split("=", 1) for word in settings)}
    done = subprocess.run(
        [*PROGRAMS[program], *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode()


def file_in(text: str) -> str:
    """Return the name of the file that a block shows, from its first line, or nothing.

    >>> file_in("# oneiric.toml\\n[app]\\n"), file_in("# a remark\\n")
    ('oneiric.toml', '')
    """
    match = _FILE.fullmatch(text.partition("\n")[0])
    return match[1] if match else ""
