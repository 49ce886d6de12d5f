"""A queue on a Redis stream: a consumer group, and the messages of dead consumers reclaimed."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from oneiric.adapters.redis_client import RedisSession, RedisSettings
from oneiric.clock import Clock, SystemClock
from oneiric.core.health import HealthReport
from oneiric.errors import JSONValue
from oneiric.ports.errors import AdapterError, NotSupportedError, UnavailableError
from oneiric.ports.queue import (
    QueueMessage,
    check_body,
    check_count,
    check_delay,
    check_name,
    pack_headers,
    pack_payload,
    subscription,
    unpack_headers,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

_HAS_GROUP = "BUSYGROUP"
_NO_GROUP = "NOGROUP"
_MANY = 10_000
_SCANS = 100
_START = b"0-0"

# Put a message unless its dedup id was seen; both happen, or neither.
_PUT_ONCE = """
local kept = redis.call('GET', KEYS[2])
if kept then return kept end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.call('SET', KEYS[2], id, 'PX', ARGV[1])
return id
"""
# Act only on messages that still belong to the delivery that the caller was given.
_SETTLE = """
local done = 0
for i = 3, #ARGV, 2 do
    local owned = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
    if owned and owned[2] .. ':' .. owned[4] == ARGV[i + 1] then
        done = done + 1
        if ARGV[2] == 'extend' then
            redis.call('XCLAIM', KEYS[1], ARGV[1], owned[2], 0, ARGV[i], 'JUSTID')
        elseif ARGV[2] == 'requeue' then
            redis.call('XCLAIM', KEYS[1], ARGV[1], 'given-back', 0, ARGV[i],
                'IDLE', '2147483647', 'JUSTID')
        else
            if ARGV[2] == 'dead' then
                local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
                if entry then redis.call('XADD', KEYS[2], '*', unpack(entry[2])) end
            end
            redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
            redis.call('XDEL', KEYS[1], ARGV[i])
        end
    end
end
return done
"""


class RedisStreamsQueueSettings(RedisSettings):
    """Reach a Redis, and name the stream and the group of those who share its messages.

    Whoever reads is one consumer of the group, under a name of its own. Times are in
    seconds. What is set aside goes to the stream `STREAM:dead`.
    """

    stream: str = Field(default="oneiric-queue", min_length=1)
    group: str = Field(default="oneiric", min_length=1)
    consumer: str = Field(default="oneiric-consumer", min_length=1)
    visibility_timeout: float = Field(default=60.0, ge=0.001, allow_inf_nan=False)
    dedup_window: float = Field(default=3600.0, ge=0.001, allow_inf_nan=False)


class RedisStreamsQueue:
    """Keep messages in a Redis stream; acknowledged ones leave it.

    A message whose reader fell silent for `visibility_timeout` is delivered to another.
    `init` does not wait for the server: calls fail with `UnavailableError` while it is away
    and work again when it is back. A call that is cancelled or timed out may still have
    reached the server; what it read is delivered again in time.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"queue", "dedup", "distributed"})

    def __init__(
        self, settings: RedisStreamsQueueSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self._settings = settings or RedisStreamsQueueSettings()
        self._backend = self._settings.backend
        self._clock = clock or SystemClock()
        self._consumer = f"{self._settings.consumer}-{self._clock.new_id()}"
        self._session: RedisSession | None = None
        self._client: Redis | None = None
        self._has_group = False
        self._idle = ceil(self._settings.visibility_timeout * 1000)
        self._cursor: bytes | str = _START

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
            await self._run(self._up().ping(), limit=self._settings.healthcheck_timeout)
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Close all connections; calls in flight fail with `UnavailableError`."""
        session, self._session, self._client = self._session, None, None
        self._has_group = False
        if session is not None:
            await session.close()

    async def enqueue(
        self,
        payload: Mapping[str, JSONValue],
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *payload* as JSON and return the message's id."""
        return await self.publish(
            pack_payload(payload), headers=headers, key=key, delay=delay, dedup_id=dedup_id
        )

    async def publish(
        self,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *body* as it is and return the message's id; a delay is not supported."""
        if check_delay(delay):
            raise NotSupportedError(self._backend, "delay")
        fields: dict[str, str | bytes] = {
            "body": check_body(body),
            "headers": pack_headers(headers),
        }
        if check_name("key", key) is not None and key:
            fields["key"] = key
        stream, client = self._settings.stream, self._up()
        once = check_name("dedup id", dedup_id)
        if once is None:
            return _text(await self._run(client.xadd(stream, fields)))  # type: ignore[arg-type]
        window = ceil(self._settings.dedup_window * 1000)
        words = [part for pair in fields.items() for part in pair]
        kept = client.eval(_PUT_ONCE, 2, stream, f"{stream}:seen:{once}", window, *words)
        return _text(await self._run(kept))

    async def read(self, *, count: int = 1, timeout: float = 0) -> list[QueueMessage]:
        """Return up to *count* messages; wait at most *timeout* seconds for the first.

        Those that a silent consumer left come before new ones.
        """
        end = self._clock.monotonic() + check_delay(timeout)
        check_count(count)
        longest = self._settings.socket_timeout / 2
        while True:
            await self._make_group()
            found = await self._reclaim(count)
            left = end - self._clock.monotonic()
            if not found:
                wait = min(left, longest, self._settings.visibility_timeout)
                found = await self._new(count, wait)
            if found or left <= 0:
                return found

    async def ack(self, *messages: QueueMessage) -> int:
        """Forget messages whose work is done, and return how many were."""
        return await self._settle("done", messages)

    async def nack(self, *messages: QueueMessage, requeue: bool = True) -> int:
        """Give messages back to be delivered at once, or set them aside for good."""
        return await self._settle("requeue" if requeue else "dead", messages)

    async def extend(self, *messages: QueueMessage) -> int:
        """Keep messages for another `visibility_timeout` from now, as work goes on."""
        return await self._settle("extend", messages)

    async def visibility(self) -> float:
        """Return the `visibility_timeout` of the settings."""
        return self._settings.visibility_timeout

    async def pending(self) -> int:
        """Return how many messages wait or are being worked on; those set aside do not count."""
        return int(await self._run(self._up().xlen(self._settings.stream)))

    def subscribe(self, *, prefetch: int = 1) -> AsyncIterator[QueueMessage]:
        """Yield messages as they come, reading up to *prefetch* at a time, without end."""
        return subscription(self, prefetch)

    async def _make_group(self) -> None:
        if self._has_group:
            return
        settings = self._settings
        made = self._up().xgroup_create(settings.stream, settings.group, "0", mkstream=True)
        try:
            await self._run(made)
        except AdapterError as error:
            if _HAS_GROUP not in error.reason:
                raise
        self._has_group = True

    async def _reclaim(self, count: int) -> list[QueueMessage]:
        """Take over messages whose consumer was silent for too long, or gave them back."""
        stream, group, consumer = self._place
        entries: list[Any] = []
        for _ in range(_SCANS):  # each looks at ten times as many as it may take over
            self._cursor, entries, *_ = await self._grouped(
                lambda client: client.xautoclaim(
                    stream, group, consumer, self._idle, start_id=self._cursor, count=count
                )
            )
            if entries or self._cursor == _START:
                break
        if not entries:
            return []
        first, last = entries[0][0], entries[-1][0]
        rows = await self._grouped(
            lambda client: client.xpending_range(stream, group, first, last, _MANY, consumer)
        )
        counts = {row["message_id"]: row["times_delivered"] for row in rows}
        return [self._message(id_, fields, counts.get(id_, 0)) for id_, fields in entries]

    async def _new(self, count: int, wait: float) -> list[QueueMessage]:
        stream, group, consumer = self._place
        block = max(1, ceil(wait * 1000)) if wait > 0 else None
        answer = await self._grouped(
            lambda client: client.xreadgroup(group, consumer, {stream: ">"}, count, block)
        )
        batches = [batch for found in dict(answer).values() for batch in found]
        return [self._message(id_, fields, 1) for batch in batches for id_, fields in batch]

    def _message(self, id_: bytes, fields: Mapping[bytes, bytes], deliveries: int) -> QueueMessage:
        """Return a message; one that no queue of ours wrote has no body, so nobody works on it."""
        body, headers = fields.get(b"body", b""), unpack_headers(fields.get(b"headers", b"{}"))
        try:
            key = fields.get(b"key", b"").decode() or None
        except UnicodeDecodeError:
            key, headers = None, None
        if headers is None:
            body, headers = b"", {}
        receipt = f"{self._consumer}:{deliveries}"
        return QueueMessage(_text(id_), body, headers, key, deliveries, receipt)

    async def _settle(self, verb: str, messages: Sequence[QueueMessage]) -> int:
        if not messages:
            return 0
        stream, group, _ = self._place
        pairs = [part for message in messages for part in (message.id, message.receipt)]
        dead = f"{stream}:dead"
        return int(
            await self._grouped(
                lambda client: client.eval(_SETTLE, 2, stream, dead, group, verb, *pairs)
            )
        )

    @property
    def _place(self) -> tuple[str, str, str]:
        return self._settings.stream, self._settings.group, self._consumer

    def _up(self) -> "Redis":
        if self._client is None:
            raise UnavailableError(self._backend, "is not up")
        return self._client

    async def _grouped(self, command: "Callable[[Redis], Any]") -> Any:
        """Run a command that needs the group; make the group again if the server lost it."""
        try:
            return await self._run(command(self._up()))
        except AdapterError as error:
            if _NO_GROUP not in error.reason:
                raise
        self._has_group = False
        await self._make_group()
        return await self._run(command(self._up()))

    async def _run(self, command: Any, *, limit: float | None = None) -> Any:
        if self._session is None:
            raise UnavailableError(self._backend, "is not up")
        return await self._session.run(command, limit=limit)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
