"""What every provider on Redis shares: settings, a pool, and errors in the house's words.

The library is imported when a pool is opened, not before.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from oneiric.adapters.settings import AdapterSettings
from oneiric.kept import Kept
from oneiric.ports.errors import (
    AdapterError,
    DependencyMissingError,
    InvalidRequestError,
    PermissionDeniedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

T = TypeVar("T")

_WRONG_VALUE = ("value is not an integer", "increment or decrement", "WRONGTYPE")


class RedisSettings(AdapterSettings):
    """Reach a Redis: by `url` (`redis://`, `rediss://`, `unix://`), or by its parts.

    A `url` outranks the parts. `socket_timeout` bounds every call as a whole,
    waiting for one of `max_connections` included.
    """

    url: SecretStr | None = None
    host: str = "localhost"
    port: int = Field(default=6379, ge=1, le=65535)
    db: int = Field(default=0, ge=0)
    username: str | None = None
    password: SecretStr | None = None
    ssl: bool = False
    socket_timeout: float = Field(default=5.0, gt=0)
    healthcheck_timeout: float = Field(default=2.0, gt=0)
    max_connections: int = Field(default=50, ge=1)
    client_name: str = "oneiric"

    @property
    def backend(self) -> str:
        """Name and address, without credentials, as errors and logs show it."""
        if self.url is None:
            return f"redis at {self.host}:{self.port}"
        parts = urlsplit(self.url.get_secret_value())
        return f"redis at {parts.netloc.rpartition('@')[2] or parts.path}"


def open_pool(settings: RedisSettings) -> "BlockingConnectionPool":
    """Make a pool that connects on first use, speaks RESP3 and never repeats a command.

    A command that was repeated after a broken connection might count twice, so
    whether to call again is left to the caller (`AdapterError.retryable`).

    Raises:
        DependencyMissingError: redis is not installed.
        InvalidRequestError: the url is none of Redis.
    """
    try:
        from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError as error:
        raise DependencyMissingError(settings.backend, extra="redis") from error
    password = settings.password and settings.password.get_secret_value()
    options: dict[str, Any] = {
        "db": settings.db,
        "username": settings.username,
        "password": password,
        "protocol": 3,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": settings.socket_timeout,
        "socket_connect_timeout": settings.socket_timeout,
        "timeout": settings.socket_timeout,
        "max_connections": settings.max_connections,
        "client_name": settings.client_name,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if settings.url is None:
        kind = SSLConnection if settings.ssl else Connection
        return BlockingConnectionPool(
            connection_class=kind, host=settings.host, port=settings.port, **options
        )
    try:
        return BlockingConnectionPool.from_url(settings.url.get_secret_value(), **options)
    except ValueError:
        raise InvalidRequestError(
            "redis", "its url must begin with redis://, rediss:// or unix://"
        ) from None


class RedisSession:
    """Run commands on one pool, each as a task of its own, which `close` ends.

    A caller that is cancelled or runs out of time only stops waiting: a command
    that was interrupted would cost its connection. It ends by itself, within the
    limits that the pool sets for each of its parts.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.pool = open_pool(settings)
        self._backend = settings.backend
        self._limit = settings.socket_timeout
        self._calls = Kept()

    async def run(self, call: Coroutine[Any, Any, T], *, limit: float | None = None) -> T:
        """Await *call* for at most *limit* seconds, by default `socket_timeout`.

        Raises:
            AdapterError: what the library's error means, or that the session was closed.
        """
        task = self._calls.start(call)
        with translated(self._backend):
            try:
                async with asyncio.timeout(limit or self._limit):
                    return await asyncio.shield(task)
            except asyncio.CancelledError as error:
                current = asyncio.current_task()
                if task.cancelled() and current is not None and not current.cancelling():
                    raise UnavailableError(self._backend, "was closed") from error
                raise

    async def close(self) -> None:
        """End all calls and close all connections."""
        for call in tuple(self._calls):
            call.cancel()
        await self._calls.settle()
        with translated(self._backend):
            await self.pool.aclose()


@contextmanager
def translated(backend: str) -> Iterator[None]:
    """Turn the library's errors inside the block into the port's.

    Raises:
        AdapterError: the error that says the same.
    """
    from redis import exceptions as known

    try:
        yield
    except (
        known.AuthenticationError,
        known.AuthorizationError,
        known.NoPermissionError,
        known.AuthenticationWrongNumberOfArgsError,
    ) as error:
        raise PermissionDeniedError(backend, _said(error)) from error
    except (
        known.ConnectionError,
        known.TimeoutError,
        known.ReadOnlyError,
        known.OutOfMemoryError,
        known.TryAgainError,
        known.ClusterDownError,
    ) as error:
        raise UnavailableError(backend, _said(error)) from error
    except known.RedisError as error:
        if str(error).startswith(_WRONG_VALUE):
            raise InvalidRequestError(backend, _said(error)) from error
        raise AdapterError(backend, _said(error)) from error
    except TimeoutError as error:
        raise UnavailableError(backend, "took too long") from error
    except OSError as error:
        raise UnavailableError(backend, error.strerror or "cannot be reached") from error


def _said(error: Exception) -> str:
    return str(error).partition(", with args")[0] or type(error).__name__
