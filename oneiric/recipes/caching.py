"""Earlier results of steps that ask for it: when they serve again, and if not, why not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from oneiric.config.load import variables_named
from oneiric.documents import digest
from oneiric.errors import JSONValue, StoreError
from oneiric.ports.results import Results, StoredResult
from oneiric.recipes.log import tell

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.recipes.context import Context

SCHEMA = 1
WHO = "cache"
"""Who writes what an earlier result had written."""

_WRITTEN = ("stdout_to",)


class Note(Protocol):
    """Store what is to be said of a step of a run; `RunEngine.note` does."""

    async def __call__(
        self, run_id: str, kind: str, data: Mapping[str, JSONValue], /, *, step: str
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What a step is about to do: where it stands, what the plan says of it, and its code.

    `values` are those of the context before it, `code` tells what it runs and may block.
    """

    place: str
    name: str
    run_id: str
    payload: Mapping[str, Any]
    code: Callable[[], Mapping[str, str]]
    values: Mapping[str, JSONValue]
    folder: Path
    env: Mapping[str, str]

    @property
    def spec(self) -> Mapping[str, Any]:
        """What its result depends on besides, as the recipe says."""
        found: Mapping[str, Any] = self.payload.get("held", {}).get("cache") or {}
        return found

    @property
    def files(self) -> list[str]:
        """What it writes to files by itself; an earlier result does not."""
        fields = self.payload.get("fields", {})
        return [str(fields[name]) for name in _WRITTEN if fields.get(name)]

    def parts(self) -> dict[str, str]:
        """Return everything that the result depends on, as digests by name, in order.

        It reads files, and blocks.
        """
        return dict(self._parts())

    def _parts(self) -> Iterator[tuple[str, str]]:
        spec, fields = self.spec, dict(self.payload.get("fields", {}))
        yield "schema", str(SCHEMA)
        yield from self.code().items()
        args = fields.pop("args", {})
        if isinstance(args, Mapping):
            for name in sorted(args):
                yield f"args.{name}", digest(args[name])
        else:
            yield "args", digest(args)
        for name in sorted(fields):
            if name not in ("module", "function"):
                yield name, digest(fields[name])
        if hidden := self.payload.get("hidden"):
            yield "secrets", digest(hidden)
        for name in spec.get("inputs", ()):
            yield f"file {name}", digest_of(self.folder / name)
        for key in dict.fromkeys((*spec.get("keys", ()), *_read(fields))):
            yield f"key {key}", digest(self.values[key]) if key in self.values else ""
        variables = {**variables_named(spec.get("env", ())), **self.env}
        for name in spec.get("env", ()):
            yield f"variable {name}", digest(variables.get(name))
        yield "outputs", digest(self.payload.get("held", {}).get("outputs"))
        yield "version", digest(spec.get("version", 1))
        yield "cache_key", digest(self.payload.get("held", {}).get("cache_key", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a step from earlier: its result if that serves, and why or why not."""

    why: str
    key: str = ""
    parts: Mapping[str, str] | None = None
    result: StoredResult | None = None

    @property
    def outputs(self) -> Mapping[str, JSONValue]:
        """What the step had written to the context, by key."""
        kept = self._kept("outputs")
        return kept if isinstance(kept, Mapping) else {}

    @property
    def envelope(self) -> Mapping[str, JSONValue]:
        """The line that it had printed."""
        kept = self._kept("envelope")
        return kept if isinstance(kept, Mapping) else {}

    def unfit(self, why: str) -> Found:
        """Return what is known when the result serves no more."""
        return Found(why, self.key, self.parts)

    def _kept(self, name: str) -> JSONValue:
        value = self.result.value if self.result else None
        return value.get(name) if isinstance(value, Mapping) else None


class Cache:
    """Look for earlier results of steps, and keep new ones; what fails is as good as no cache.

    Args:
        store: where results are kept.
        clock: tells how old they are.
        is_on: whether they are used and kept at all.
        note: stores what is known of a step with its run.
        refresh: patterns of steps that are done in any case.
    """

    def __init__(
        self,
        store: Results,
        clock: Clock,
        note: Note,
        *,
        is_on: bool = True,
        refresh: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._note = note
        self._is_on = is_on
        self._refresh = refresh

    async def find(self, work: Work) -> Found:
        """Return the earlier result that serves, or why the step is to be done."""
        if not self._is_on:
            return Found("the cache is off")
        try:
            return await asyncio.to_thread(self._find, work)
        except (StoreError, OSError) as error:
            return Found(f"the cache cannot be used: {error}")

    def _find(self, work: Work) -> Found:
        parts = work.parts()
        key = digest([[name, text] for name, text in parts.items()])
        if any(fnmatchcase(work.name, pattern) for pattern in self._refresh):
            return Found("it was asked to be done anew", key, parts)
        found = self._store.get(key)
        if found is None:
            return Found(_difference(self._store.last(work.place), parts), key, parts)
        ttl = work.spec.get("ttl")
        if ttl is not None and found.at + ttl < self._clock.now().timestamp():
            return Found("the earlier result is too old", key, parts)
        if missing := [name for name in work.files if not (work.folder / name).exists()]:
            return Found(f"there is no file {missing[0]}", key, parts)
        return Found(f"nothing has changed since run {found.origin}", key, parts, found)

    async def tell(self, work: Work, found: Found) -> None:
        """Have the journal of the run hold why the step is done, or not."""
        is_served = found.result is not None
        said: dict[str, JSONValue] = {"text": found.why, "is_served": is_served}
        await self._note(work.run_id, "why", said, step=work.name)

    async def keep(
        self, work: Work, found: Found, envelope: Mapping[str, JSONValue], aside: Context
    ) -> None:
        """Keep what came of a step that has succeeded."""
        if found.parts is None:
            return
        outputs = {entry.key: entry.new for entry in aside.history}
        value: JSONValue = {"envelope": dict(envelope), "outputs": outputs}
        at = self._clock.now().timestamp()
        result = StoredResult(found.key, work.place, dict(found.parts), value, work.run_id, at)
        try:
            await asyncio.to_thread(self._store.put, result)
        except StoreError as error:
            tell(f"{work.name}: its result is not kept: {error}")


def _difference(last: StoredResult | None, parts: Mapping[str, str]) -> str:
    """Return the first thing that is otherwise than the last time, in words."""
    if last is None:
        return "there is no earlier result"
    for name in dict.fromkeys((*parts, *last.parts)):
        if last.parts.get(name) != parts.get(name):
            return f"{name} has changed since run {last.origin}"
    return f"the result of run {last.origin} is gone"


def _read(fields: Mapping[str, Any]) -> list[str]:
    """Return the keys of the context that a command is given besides its arguments."""
    stdin = fields.get("stdin") or {}
    named = (stdin.get("ctx"), fields.get("stdin_from_ctx"), *fields.get("shell_env_keys", ()))
    return [key for key in named if key]


def digest_of(path: Path) -> str:
    """Return the digest of a file, or of the names and contents of all files in a folder.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return "missing"
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return digest([[each.relative_to(path).as_posix(), digest_of(each)] for each in files])
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
