"""Serve an application on an address of this machine, for as long as a block lasts."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web

from oneiric.errors import (
    InvalidError,
    InvalidPathError,
    LockedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from oneiric.web.app import GUARDED
from oneiric.web.limits import LIMITS, Connection, Crowd
from oneiric.web.unix import short_path

GRACE_SECONDS = 10.0
_BACKLOG = 1_024
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class TCP:
    """A host and a port; with port 0 the system chooses one."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a socket, which only its owner may connect to."""

    path: Path


@dataclass(frozen=True, slots=True)
class Served:
    """Where an application can be reached: `url`, and on TCP the real `port`."""

    url: str
    port: int = 0


@asynccontextmanager
async def served(
    app: web.Application, address: TCP | Unix, *, grace: float = GRACE_SECONDS
) -> AsyncIterator[Served]:
    """Serve *app* at *address*, and at the end let requests that are under way finish.

    What is not done after *grace* seconds is cancelled.

    Raises:
        RefusedError: others than this machine could ask, and nobody is asked who they are.
        InvalidError: there is no such port.
        LockedError: a living process has the socket.
        InvalidPathError: something that is no socket lies at the path, or it is too long.
        NotFoundError: there is no such host, or no such folder.
        UnavailableError: the port is in use, or the system does not let it be served.
    """
    if isinstance(address, Unix):
        with _unix_socket(address.path) as bound:
            async with _accepting(app, bound, grace):
                yield Served(f"unix:{address.path}")
        return
    bound = await _tcp_socket(address, guarded=app[GUARDED])
    with bound:
        host, port = bound.getsockname()[:2]
        async with _accepting(app, bound, grace):
            shown = f"[{host}]" if ":" in host else host
            yield Served(f"http://{shown}:{port}", port)


@asynccontextmanager
async def _accepting(
    app: web.Application, bound: socket.socket, grace: float
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, shutdown_timeout=grace / 2)  # which waits twice as long
    await runner.setup()
    crowd, loop, server = Crowd(app[LIMITS]), asyncio.get_running_loop(), runner.server
    assert server is not None
    try:
        accepting = await loop.create_server(
            lambda: Connection(server, crowd, loop), sock=bound, backlog=_BACKLOG
        )
        try:
            yield
        finally:
            accepting.close()
    finally:
        await runner.cleanup()
        for task in crowd.tasks:  # what goes on for clients that have gone as well
            task.cancel()
        if crowd.tasks:
            await asyncio.wait(crowd.tasks, timeout=grace)


async def _tcp_socket(address: TCP, *, guarded: bool) -> socket.socket:
    loop, shown = asyncio.get_running_loop(), f"{address.host}:{address.port}"
    if not 0 <= address.port < 1 << 16:
        raise InvalidError(f"there is no port {address.port}")
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotFoundError("host", address.host) from None
    family, kind, protocol, _, place = found[0]
    if not guarded and not ip_address(str(place[0]).partition("%")[0]).is_loopback:
        raise RefusedError(
            f"{shown} is open to other machines, and no authentication is configured",
            hint="serve on 127.0.0.1, or configure who may ask",
        )
    bound = socket.socket(family, kind, protocol)
    try:
        bound.settimeout(0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise _told(shown, error) from None
    return bound


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Give a socket that is bound to *path* and listens not yet; remove it at the end.

    Nobody can connect before it listens, and by then it is its owner's alone.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.settimeout(0)
        try:
            with _folder_of(path), short_path(path) as near:
                _remove_stale(path, near)
                with suppress(OSError):  # only Linux knows the mode of what is not bound yet
                    os.fchmod(bound.fileno(), _MODE)
                bound.bind(near)
                path.chmod(_MODE)
                own = path.lstat()
                bound.listen(_BACKLOG)  # within the turn: who comes next finds it alive
        except OSError as error:
            raise _told(str(path), error) from None
        try:
            yield bound
        finally:
            with suppress(OSError), _folder_of(path):
                if os.path.samestat(path.lstat(), own):
                    path.unlink()


@contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Let one process at a time look for a socket and put one there."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _remove_stale(path: Path, near: str) -> None:
    """Remove the socket of a process that has ended."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InvalidPathError(str(path), "it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(0)
        try:
            asking.connect(near)
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # nobody takes the calls that wait already, but somebody lives
            pass
    raise LockedError(f"a living process listens at {path}")


def _told(where: str, error: OSError) -> UnavailableError | NotFoundError:
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno == errno.EADDRINUSE:
        hint = "another port, or 0 for any that is free"
        return UnavailableError(f"{where} is in use", hint=hint)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError("folder of", where)
    return UnavailableError(f"{where}: {reason}")
