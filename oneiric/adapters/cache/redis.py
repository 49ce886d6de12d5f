"""A cache on Redis: shared between processes, counted and expired by the server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import ceil, inf
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from pydantic import Field

from oneiric.adapters.redis_client import RedisSettings, open_pool, translated
from oneiric.ports.cache import (
    CacheValue,
    check_counter,
    check_key,
    check_ttl,
    pack_value,
    unpack_value,
)
from oneiric.ports.errors import AdapterError, UnavailableError

if TYPE_CHECKING:
    from redis._parsers.base import AsyncPushNotificationsParser
    from redis.asyncio import BlockingConnectionPool, Connection, Redis

T = TypeVar("T")

SCAN_COUNT = 1000


class RedisCacheSettings(RedisSettings):
    """Reach a Redis and keep to one part of it: the keys that begin with `key_prefix`."""

    key_prefix: str = Field(default="oneiric:cache:", min_length=1)
    default_ttl: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class RedisCache:
    """Keep values in Redis under a prefix of their own.

    An entry is plain JSON, readable with `redis-cli`, or bytes after a NUL.
    `init` does not wait for the server: calls fail with `UnavailableError` while
    it is away and work again when it is back. A call that is cancelled or timed
    out may still have reached the server.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"kv", "ttl", "distributed", "invalidation"})

    def __init__(self, settings: RedisCacheSettings | None = None) -> None:
        self._settings = settings or RedisCacheSettings()
        self._backend = self._settings.backend
        self._prefix = self._settings.key_prefix
        self._client: Redis | None = None
        self._pool: BlockingConnectionPool | None = None
        self._feeds: set[Connection] = set()

    async def init(self) -> None:
        """Open the pool; connections follow with the first calls.

        Raises:
            DependencyMissingError: redis is not installed.
            InvalidRequestError: the url is none of Redis.
        """
        if self._pool is None:
            self._pool = open_pool(self._settings)
            from redis.asyncio import Redis

            self._client = Redis(connection_pool=self._pool)

    async def health(self) -> bool:
        """Tell whether the server answers a PING within `healthcheck_timeout`."""
        try:
            await self._run(self._redis().ping(), self._settings.healthcheck_timeout)
        except AdapterError:
            return False
        return True

    async def cleanup(self) -> None:
        """Close all connections; calls in flight fail with `UnavailableError`."""
        pool, self._pool, self._client = self._pool, None, None
        if pool is not None:
            with translated(self._backend):
                for connection in tuple(self._feeds):
                    await connection.disconnect(nowait=True)
                await pool.aclose()

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, or *default* when there is none."""
        packed = await self._command("GET", self._name(key))
        return unpack_value(packed) if isinstance(packed, bytes) else default

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value*, replacing value and time to live of an earlier one."""
        await self._command("SET", self._name(key), pack_value(value), *self._expiry(ttl))

    async def add(self, key: str, value: CacheValue, *, ttl: float | None = None) -> bool:
        """Keep *value* only if *key* is absent, and tell whether it was."""
        expiry = self._expiry(ttl)
        return bool(await self._command("SET", self._name(key), pack_value(value), "NX", *expiry))

    async def delete(self, key: str) -> bool:
        """Forget *key* and tell whether there was one."""
        return bool(await self._command("DEL", self._name(key)))

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheValue]:
        """Return those of *keys* that are present, in one round trip."""
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}
        found = await self._command("MGET", *map(self._name, wanted))
        if not isinstance(found, list):
            raise AdapterError(self._backend, "MGET was not answered with a list")
        return {
            key: unpack_value(packed)
            for key, packed in zip(wanted, found, strict=True)
            if packed is not None
        }

    async def set_many(self, items: Mapping[str, CacheValue], *, ttl: float | None = None) -> None:
        """Keep all *items* in one transaction, or none of them when one is invalid."""
        expiry = self._expiry(ttl)
        packed = {self._name(key): pack_value(value) for key, value in items.items()}
        if packed:
            await self._batch([("SET", name, value, *expiry) for name, value in packed.items()])

    async def increment(self, key: str, delta: int = 1) -> int:
        """Add *delta* to a counter and return it; the server counts."""
        name, step, expiry = self._name(key), check_counter("delta", delta), self._expiry(None)
        create = [("SET", name, 0, "NX", *expiry)] if expiry else []
        return check_counter(key, await self._batch([*create, ("INCRBY", name, step)]))

    async def expire_in(self, key: str) -> float | None:
        """Return the seconds left, `math.inf` without an end, None when absent."""
        left = await self._command("PTTL", self._name(key))
        if not isinstance(left, int) or left == -2:
            return None
        return inf if left == -1 else left / 1000

    async def clear(self) -> None:
        """Forget every key under the prefix, in batches; others' keys stay."""
        pattern = "".join(f"\\{c}" if c in r"*?[]^\-" else c for c in self._prefix) + "*"
        cursor = 0
        while True:
            scan = self._redis().scan(cursor, match=pattern, count=SCAN_COUNT)
            cursor, names = await self._run(scan)
            if names:
                await self._command("UNLINK", *names)
            if not cursor:
                return

    @asynccontextmanager
    async def invalidations(self) -> AsyncIterator[AsyncIterator[Sequence[str]]]:
        """Follow the changes under the prefix by client-side caching's broadcast mode.

        One RESP3 connection is held for it, and asked for a sign of life whenever
        it is silent for `socket_timeout`.

        Source: https://redis.io/docs/latest/develop/reference/client-side-caching/
        """
        if self._pool is None:
            raise UnavailableError(self._backend, "is not up")
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        self._feeds.add(connection)
        try:
            await self._run(self._track(connection))
            yield self._changes(connection)
        finally:
            self._feeds.discard(connection)
            await connection.disconnect(nowait=True)

    async def _track(self, connection: "Connection") -> None:
        async def as_it_is(message: object) -> object:
            return message

        await connection.connect()  # type: ignore[no-untyped-call]
        # The library has no public way to the parser of a connection (8.1).
        parser = cast("AsyncPushNotificationsParser", connection._parser)
        parser.set_invalidation_push_handler(as_it_is)  # type: ignore[no-untyped-call]
        await connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._prefix)
        await connection.read_response()

    async def _changes(self, connection: "Connection") -> AsyncGenerator[Sequence[str], None]:
        asked = False
        while True:
            with translated(self._backend):
                message = await connection.read_response(
                    timeout=self._settings.socket_timeout, push_request=True
                )
                if message is None and not asked:
                    await connection.send_command("PING")
            if message is None and asked:
                raise UnavailableError(self._backend, "fell silent")
            asked = message is None
            if isinstance(message, list) and message[0] == b"invalidate":
                names = message[1] or ()
                yield [name.decode().removeprefix(self._prefix) for name in names]

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _expiry(self, ttl: float | None) -> tuple[str, int] | tuple[()]:
        seconds = check_ttl(self._settings.default_ttl if ttl is None else ttl)
        return () if seconds is None else ("PX", ceil(seconds * 1000))

    def _redis(self) -> "Redis":
        if self._client is None:
            raise UnavailableError(self._backend, "is not up")
        return self._client

    async def _command(self, *words: str | bytes | int) -> object:
        call = self._redis().execute_command(*words)  # type: ignore[no-untyped-call]
        return await self._run(call)

    async def _batch(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> CacheValue:
        """Run *commands* as one transaction; return what the last one answered."""
        batch = self._redis().pipeline(transaction=True)
        for command in commands:
            batch.execute_command(*command)
        # Left to raise by itself, the library would quote the values in its message.
        answers = await self._run(batch.execute(raise_on_error=False))
        with translated(self._backend):
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return cast(CacheValue, answers[-1])

    async def _run(self, call: Awaitable[T], limit: float | None = None) -> T:
        with translated(self._backend):
            async with asyncio.timeout(limit or self._settings.socket_timeout):
                return await call
