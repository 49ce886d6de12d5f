"""A cache on Redis: shared between processes, counted and expired by the server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import ceil, inf
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from oneiric.adapters.redis_client import RedisSession, RedisSettings, translated
from oneiric.core.health import HealthReport
from oneiric.ports.cache import (
    TTL_LIMIT,
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
    from redis.asyncio import Connection, Redis

SCAN_COUNT = 1000


class RedisCacheSettings(RedisSettings):
    """Reach a Redis and keep to one part of it: the keys that begin with `key_prefix`."""

    key_prefix: str = Field(default="oneiric:cache:", min_length=1)
    default_ttl: float | None = Field(default=None, gt=0, le=TTL_LIMIT)


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
        self._session: RedisSession | None = None
        self._client: Redis | None = None
        self._feeds: set[Connection] = set()

    async def init(self) -> None:
        """Open the pool; connections follow with the first calls.

        Raises:
            DependencyMissingError: redis is not installed.
            InvalidRequestError: the url is none of Redis.
        """
        if self._session is None:
            self._session = RedisSession(self._settings)
            from redis.asyncio import Redis

            self._client = Redis(connection_pool=self._session.pool)

    async def health(self) -> HealthReport:
        """Tell whether the server answers a PING within `healthcheck_timeout`, or why not."""
        try:
            await self._command("PING", limit=self._settings.healthcheck_timeout)
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Close all connections; calls in flight fail with `UnavailableError`."""
        session, self._session, self._client = self._session, None, None
        if session is not None:
            for connection in tuple(self._feeds):
                await connection.disconnect(nowait=True)
            await session.close()

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
        cursor: object = 0
        while True:
            words = ("SCAN", str(cursor), "MATCH", pattern, "COUNT", SCAN_COUNT)
            cursor, names = cast("tuple[object, list[bytes]]", await self._command(*words))
            if names:
                await self._command("UNLINK", *names)
            if not int(str(cursor)):
                return

    @asynccontextmanager
    async def invalidations(self) -> AsyncIterator[AsyncIterator[Sequence[str]]]:
        """Follow the changes under the prefix by client-side caching's broadcast mode.

        One RESP3 connection is held for it, and asked for a sign of life whenever
        it is silent for `socket_timeout`.

        Source: https://redis.io/docs/latest/develop/reference/client-side-caching/
        """
        connection: Connection = self._up().pool.make_connection()  # type: ignore[no-untyped-call]
        self._feeds.add(connection)
        try:
            with translated(self._backend):
                async with asyncio.timeout(self._settings.socket_timeout):
                    await self._track(connection)
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

    def _up(self) -> RedisSession:
        if self._session is None:
            raise UnavailableError(self._backend, "is not up")
        return self._session

    async def _command(self, *words: str | bytes | int, limit: float | None = None) -> object:
        session, client = self._up(), cast("Redis", self._client)
        call = client.execute_command(*words)  # type: ignore[no-untyped-call]
        return await session.run(call, limit=limit)

    async def _batch(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> CacheValue:
        """Run *commands* as one transaction; return what the last one answered."""
        session, batch = self._up(), cast("Redis", self._client).pipeline(transaction=True)
        for command in commands:
            batch.execute_command(*command)
        # Left to raise by itself, the library would quote the values in its message.
        answers = await session.run(batch.execute(raise_on_error=False))
        with translated(self._backend):
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return cast(CacheValue, answers[-1])
