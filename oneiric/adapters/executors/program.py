"""Which file a program is, and which folder it starts in; else why none."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from oneiric.errors import InvalidPathError
from oneiric.files import confined
from oneiric.ports.errors import (
    AdapterError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from oneiric.ports.executor import BACKEND

_RUN = "let it be run: chmod +x"


def folder(root: Path, cwd: str) -> Path:
    """Return the real folder *cwd*, which is *root* or below it.

    Raises:
        InvalidRequestError: it lies outside, by its links too, or is no folder.
        NotFoundError: there is no such folder.
        PermissionDeniedError: it may not be entered.
    """
    base, path = _real(root), Path(cwd)
    if path.is_absolute():
        inner = next((path.relative_to(b) for b in (base, root) if path.is_relative_to(b)), None)
        if inner is None:
            raise _outside(cwd, f"it lies outside of {root}")
        path = inner
    try:
        found = confined(base, str(path)) if path.parts else base
    except InvalidPathError as error:
        raise _outside(cwd, error.reason) from error
    mode = _mode(found)
    if not mode:
        raise NotFoundError(BACKEND, "folder", cwd or str(root), hint="make it first")
    if not stat.S_ISDIR(mode):
        raise InvalidRequestError(BACKEND, f"{cwd or root} is no folder")
    if not os.access(found, os.X_OK):
        raise PermissionDeniedError(BACKEND, f"the folder {cwd or root} may not be entered")
    return found


def program(name: str, env: Mapping[str, str], cwd: Path) -> str:
    """Return the file that *name* is: by its path from *cwd*, else by the PATH of *env*.

    Folders of PATH that are not absolute are left out: where they lead depends on who looks.

    Raises:
        NotFoundError: there is none.
        PermissionDeniedError: there is, and it may not be run.
    """
    places = [Path(each) for each in env.get("PATH", "").split(os.pathsep) if each[:1] == "/"]
    found = [cwd / name] if "/" in name else [place / name for place in places]
    files = [each for each in found if stat.S_ISREG(_mode(each))]
    for each in files:
        if os.access(each, os.X_OK):
            return str(each)
    if files:
        raise PermissionDeniedError(BACKEND, f"{name} may not be run", hint=f"{_RUN} {files[0]}")
    hint = "is it installed, and its folder in the PATH that programs are given?"
    raise NotFoundError(BACKEND, "program", name, hint="" if "/" in name else hint)


def refused(name: str, error: OSError) -> AdapterError:
    """Return why the system would not begin the program, in the port's words."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):  # the file was there
        hint = "its first line names a program that is not there"
        return NotFoundError(BACKEND, "interpreter for", name, hint=hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionDeniedError(BACKEND, f"{name} may not be run", hint=f"{_RUN} {name}")
    if error.errno == errno.ENOEXEC:
        hint = "begin it with a line such as #!/bin/sh"
        return InvalidRequestError(BACKEND, f"{name} is no program", hint=hint)
    if error.errno == errno.E2BIG:
        hint = "hand over what is long by stdin or in a file"
        reason = "the arguments and variables are longer than the system takes"
        return InvalidRequestError(BACKEND, reason, hint=hint)
    return UnavailableError(BACKEND, f"{name} cannot be begun: {error.strerror}")


def _real(root: Path) -> Path:
    try:
        return root.resolve()
    except (OSError, RuntimeError) as error:
        raise _outside(str(root), "its links lead nowhere") from error


def _mode(path: Path) -> int:
    """Return what *path* is, or zero where nothing can be seen."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _outside(cwd: str, reason: str) -> InvalidRequestError:
    hint = "programs start below `root` of the executor's settings"
    return InvalidRequestError(BACKEND, f"the folder {cwd}: {reason}", hint=hint)
