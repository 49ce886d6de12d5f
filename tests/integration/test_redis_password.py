"""A real Redis whose password is rotated while it is used."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneiric.config import load_config
from oneiric.ports import CACHE
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS
from tests.runtime.pens import until
from tests.servers import RedisServer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Run a Redis that wants a password."""
    server = RedisServer(tmp_path, password="first-password")
    server.start()
    yield server
    server.stop()


async def test_promise_l3_a_password_rotates_while_the_cache_is_used(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Allow the new one, rotate, forbid the old one and cut its connections: 0 failures."""
    shelf = tmp_path / "secrets.json"
    shelf.write_text(json.dumps({"redis-password": "first-password"}))
    shelf.chmod(0o600)
    (tmp_path / "oneiric.toml").write_text(f"""
[plugins]
auto_load = false
[adapters.selections]
cache = "redis"
secrets = "file"
[adapters.provider_settings.file]
path = "{shelf.as_posix()}"
[adapters.provider_settings.redis]
port = {redis.port}
password = {{ secret = "redis-password" }}
""")
    stop, done, failures = asyncio.Event(), 0, list[Exception]()

    async def call(number: int) -> None:
        nonlocal done
        while not stop.is_set():
            try:
                async with runtime.lifecycle.use(CACHE) as cache:
                    await cache.set(f"k{number}", done)
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                failures.append(error)
            done += 1
            await asyncio.sleep(0.001)

    def set_passwords(*rules: str) -> None:
        assert redis.run("ACL", "SETUSER", "default", *rules).startswith(b"+OK")

    config = load_config(SECTIONS, folder=tmp_path, environ={})
    async with RuntimeOrchestrator(config) as runtime, asyncio.TaskGroup() as group:
        await runtime.lifecycle.activate(CACHE)
        for number in range(16):
            group.create_task(call(number))
        await until(lambda: done > 100)
        set_passwords(">second-password")
        shelf.write_text(json.dumps({"redis-password": "second-password"}))
        report = await runtime.secrets.rotate(["redis-password"])
        redis.password = "second-password"
        set_passwords("<first-password")
        rotated = done
        await until(lambda: done > rotated + 100)
        stop.set()

    assert ([each.ref for each in report.swapped], report.exit_code) == ([CACHE], 0)
    assert failures == []
    assert report.changed == {"redis-password": True}
