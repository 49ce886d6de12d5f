"""Whoever ends programs when the one who runs them is killed."""

import os
import subprocess
from contextlib import suppress

from oneiric.core.logging import get_logger

_SCRIPT = """
trap '' HUP INT TERM
live=
while read -r sign group; do
  rest=
  for each in $live; do test "$each" = "$group" || rest="$rest $each"; done
  live=$rest
  test "$sign" = - || live="$live $group"
done
for each in $live; do kill -s KILL -- "-$each"; done
"""
_SHELL = "/bin/sh"
_log = get_logger("oneiric.executor")


class Sentry:
    """A small shell that kills groups of processes when this process is gone, however it ended.

    It hears of each group while that runs, and takes the end of what it reads for the end of this
    process. It is begun with the first group; where it cannot be, programs run without it.
    """

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def watch(self, group: int) -> None:
        """Have *group* killed should this process end."""
        self._groups.add(group)
        if not self._tell(f"+ {group}\n"):
            self.end()
            self._begin()

    def forget(self, group: int) -> None:
        """Leave *group* alone; call it before the number can be anybody else's."""
        self._groups.discard(group)
        self._tell(f"- {group}\n")

    def end(self) -> None:
        """End the shell; it begins again with the next group."""
        shell, self._shell = self._shell, None
        if shell is not None and shell.stdin is not None:
            shell.kill()
            shell.wait()
            shell.stdin.close()

    def _begin(self) -> None:
        null = subprocess.DEVNULL
        try:
            self._shell = subprocess.Popen(  # noqa: S603
                [_SHELL, "-c", _SCRIPT],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=null,
                stderr=null,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            _log.warning("executor-sentry-missing", reason=error.strerror)
            return
        if self._shell.stdin is not None:
            os.set_blocking(self._shell.stdin.fileno(), False)
        for group in self._groups:
            self._tell(f"+ {group}\n")

    def _tell(self, line: str) -> bool:
        if self._shell is None or self._shell.stdin is None:
            return False
        with suppress(BlockingIOError):
            try:
                os.write(self._shell.stdin.fileno(), line.encode())
            except BrokenPipeError:
                return False
        return True
