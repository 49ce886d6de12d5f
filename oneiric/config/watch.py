"""Notice that the configuration says something else, however it was saved."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

from watchfiles import watch

from oneiric.clock import Clock, SystemClock
from oneiric.config.paths import LIMIT
from oneiric.errors import OneiricError
from oneiric.files import read_bounded

GLANCE_SECONDS = 1.0
_STEP_MS = 50
_GROUP_MS = 200
_HOPS = 40
_LOOKS = 20


class ConfigWatch:
    """Tell when one of some files may be read otherwise than before.

    The folders are watched, not the files, so that renames, links that are moved, and files
    that come and go are noticed; all folders on the way count in which a link could be moved.
    The system's notices only say when to look: what counts is which files these are and what
    they hold. Notices may be lost, or not be had at all, so a look is taken every second
    besides.

    Args:
        paths: the files; they need not exist.
        poll_interval: seconds between two looks, for where the system tells nothing; 0 has the
            system tell.
        debounce: seconds for which nothing more may change before a change counts.
        clock: paces the looks.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        poll_interval: float = 0.0,
        debounce: float = 0.1,
        clock: Clock | None = None,
    ) -> None:
        self.paths = tuple(path.absolute() for path in paths)
        self.poll_interval = poll_interval
        self.debounce = debounce
        self._clock = clock or SystemClock()
        self.trouble = ""
        """Why the system tells nothing and the files are only looked at, if so."""

    async def changes(self) -> AsyncGenerator[None]:
        """Yield at once, and then after each save; what comes while nobody asks is one save.

        Whoever reads the files when told has read the last state, or is told again. Close it, or
        leave it by cancellation: then its thread and its descriptors are gone.
        """
        seen: tuple[str, ...] = ()
        async with aclosing(self._moments()) as moments:
            async for _ in moments:
                found = await self._settled(seen)
                if found != seen:
                    seen = found
                    yield

    async def _settled(self, seen: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the files hold, once two looks agree; a writer who never ends is cut short.

        Whoever replaces a file may leave half of it, or none, for a moment.
        """
        found = await asyncio.to_thread(_held, self.paths)
        for _ in range(_LOOKS if seen and self.debounce else 0):
            if found == seen:
                break
            await self._clock.sleep(self.debounce)
            before, found = found, await asyncio.to_thread(_held, self.paths)
            if found == before:
                break
        return found

    async def _moments(self) -> AsyncGenerator[None]:
        """Yield whenever it is time for a look."""
        while True:
            yield
            if self.poll_interval:
                await self._clock.sleep(self.poll_interval)
                continue
            try:
                async with aclosing(self._notices()) as notices:
                    async for _ in notices:
                        self.trouble = ""
                        yield
            except (OSError, RuntimeError) as error:  # no more watches or descriptors to be had
                self.trouble = str(error)
                await self._clock.sleep(GLANCE_SECONDS)

    async def _notices(self) -> AsyncGenerator[None]:
        """Yield when the system tells of a change or a second has passed; end when folders moved.

        The one thread waits for the system, and ends before this does.
        """
        loop, stop = asyncio.get_running_loop(), threading.Event()
        folders = await asyncio.to_thread(_folders, self.paths)
        found = watch(
            *folders,
            watch_filter=None,
            debounce=_GROUP_MS,
            step=_STEP_MS,
            stop_event=stop,
            rust_timeout=int(GLANCE_SECONDS * 1000),
            yield_on_timeout=True,
            debug=False,
            raise_interrupt=False,
            force_polling=False,
            recursive=False,
            ignore_permission_denied=False,
        )
        thread = ThreadPoolExecutor(1, "oneiric-config-watch")
        try:
            while await loop.run_in_executor(thread, partial(next, found, None)) is not None:
                yield
                if await asyncio.to_thread(_folders, self.paths) != folders:
                    return
        finally:
            stop.set()
            ended = loop.run_in_executor(thread, found.close)
            thread.shutdown(wait=False)
            await asyncio.shield(ended)


def _held(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return for each path what tells its present state from every other, or why it has none."""
    return tuple(_state(path) for path in paths)


def _state(path: Path) -> str:
    """Tell which file it is, saved when, and what it holds.

    The content alone is not enough: who reads between two looks may read what was there for a
    moment only, and the second look would find all as it was at the first.
    """
    try:
        at = path.stat()
        held = sha256(read_bounded(path, limit=LIMIT)).hexdigest()
    except (OSError, OneiricError) as error:
        return str(error)
    return f"{at.st_dev} {at.st_ino} {at.st_mtime_ns} {at.st_ctime_ns} {held}"


def _folders(paths: Iterable[Path]) -> Mapping[Path, tuple[int, int]]:
    """Return the folders to watch, each with what tells it from another of that name."""
    found: dict[Path, tuple[int, int]] = {}
    for path in paths:
        for folder in folders_of(path):
            with suppress(OSError):  # it just went
                at = folder.stat()
                found[folder] = (at.st_dev, at.st_ino)
    return found


def folders_of(path: Path) -> set[Path]:
    """Return every folder in which a rename can change what *path* leads to.

    That is the one that holds the file, and each that holds a link on the way to it. Where
    something is missing on the way, it is the last folder that is there.
    """
    found: set[Path] = set()
    here, left, hops = Path(path.anchor), deque(path.parts[1:]), _HOPS
    while left:
        part = left.popleft()
        if part == "..":
            here = here.parent
            continue
        step = here / part
        try:
            target = step.readlink() if hops and step.is_symlink() else None
            is_way = target is not None or (bool(left) and step.is_dir())
        except OSError:
            target, is_way = None, False
        if target is not None or not is_way:
            found.add(here)
        if not is_way:
            break
        if target is None:
            here = step
            continue
        hops -= 1
        left.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        here = Path(target.anchor) if target.is_absolute() else here
    return found
