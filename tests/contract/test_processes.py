"""What is seen only from outside: imports, missing libraries, and how a process ends."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneiric.adapters.queue.sqlite import SqliteQueue, SqliteQueueSettings
from oneiric.ports import AdapterError
from oneiric.testing import ManualClock
from tests.servers import RedisServer

LIST = """
import json, sys
from oneiric.adapters.plugin import PLUGIN
print(json.dumps({
    "modules": sorted(sys.modules),
    "offers": {c.offer: c.unavailable for c in PLUGIN.candidates},
}))
"""
WITHOUT_REDIS = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError("No module named 'redis'", name="redis")
sys.meta_path.insert(0, Missing())
"""
HIDDEN = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "redis" else real(name)
"""
BRING_UP = """
import asyncio
from oneiric.adapters.cache.redis import RedisCache
from oneiric.ports import DependencyMissingError

async def main():
    cache = RedisCache()
    assert await cache.health() is False
    try:
        await cache.init()
    except DependencyMissingError as error:
        print(error.extra, error.exit_code, error.render())
    await cache.cleanup()

asyncio.run(main())
"""
ONE_CALL = """
import asyncio, sys
from oneiric.adapters.cache.redis import RedisCache, RedisCacheSettings
from oneiric.adapters.http.aiohttp import AiohttpClient
from oneiric.adapters.storage.local import LocalStorage, LocalStorageSettings

async def main():
    cache = RedisCache(RedisCacheSettings(port=int(sys.argv[1]), key_prefix="exit:"))
    store = LocalStorage(LocalStorageSettings(base_path=sys.argv[2]))
    client = AiohttpClient()
    for adapter in (cache, store, client):
        await adapter.init()
    await cache.set("k", 1)
    await store.put("k", b"1")
    if sys.argv[3] == "clean":
        for adapter in (cache, store, client):
            await adapter.cleanup()

asyncio.run(main())
"""


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=here)


def test_listing_offers_imports_no_provider_and_no_library() -> None:
    """So that it costs the same however much is installed."""
    found = json.loads(run(LIST).stdout)

    libraries = {name.partition(".")[0] for name in found["modules"]}
    assert libraries.isdisjoint({"redis", "aiohttp", "pydantic", "structlog", "yaml"})
    assert [name for name in found["modules"] if name.startswith("oneiric.adapters")] == [
        "oneiric.adapters",
        "oneiric.adapters.plugin",
    ]


def test_without_redis_its_offers_say_what_to_install() -> None:
    """They stay in the list, so an explanation can name them."""
    offers = json.loads(run(HIDDEN + LIST).stdout)["offers"]

    assert {offer for offer, why in offers.items() if why == "install oneiric[redis]"} == {
        "adapter:cache@redis",
        "adapter:cache@multitier",
        "adapter:queue@redis-streams",
    }
    assert offers["adapter:cache@memory"] == ""


def test_without_redis_the_provider_names_the_extra() -> None:
    """Should somebody bring it up all the same."""
    done = run(WITHOUT_REDIS + BRING_UP)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "redis 5 error[dependency-missing]: redis at localhost:6379: its library is not installed",
        "hint: pip install 'oneiric[redis]'",
    ]


@pytest.mark.parametrize("end", ["clean", "careless"])
def test_a_process_ends_well_after_one_call(
    redis_server: RedisServer, tmp_path: Path, end: str
) -> None:
    """Twelve times, with or without cleanup."""
    port = str(redis_server.port)
    done = [run(ONE_CALL, port, str(tmp_path), end) for _ in range(12 if end == "clean" else 1)]

    assert {process.returncode for process in done} == {0}
    if end == "clean":
        assert {process.stderr for process in done} == {""}


SHARE = """
import asyncio, sys
from oneiric.adapters.queue.sqlite import SqliteQueue, SqliteQueueSettings

async def main():
    queue = SqliteQueue(SqliteQueueSettings(path=sys.argv[1], durable=False))
    await queue.init()
    for number in range(50):
        await queue.publish(f"{sys.argv[2]}-{number}".encode())
    print("put", flush=True)
    while messages := await queue.read(count=3, timeout=1):
        await queue.ack(*messages)
        for message in messages:
            print(message.body.decode(), message.delivery_count, flush=True)
    if sys.argv[3] == "clean":
        await queue.cleanup()

asyncio.run(main())
"""


def test_processes_share_a_queue_file(tmp_path: Path) -> None:
    """Four open it at the same moment; each message goes to one of them, once."""
    here = Path(__file__).parents[2]
    path = str(tmp_path / "state" / "queue.sqlite")
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SHARE, path, name, "clean"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=here,
        )
        for name in "abcd"
    ]
    outputs = [child.communicate(timeout=60)[0] for child in children]

    assert [child.returncode for child in children] == [0] * 4
    lines = [line for output in outputs for line in output.splitlines() if line != "put"]
    assert sorted(lines) == sorted(f"{name}-{n} 1" for name in "abcd" for n in range(50))


def test_a_reader_that_is_killed_loses_no_message(tmp_path: Path) -> None:
    """What it had read and not acknowledged is delivered again, counted higher."""
    here = Path(__file__).parents[2]
    path = tmp_path / "queue.sqlite"
    hold = SHARE.replace("await queue.ack(*messages)", "await asyncio.sleep(60)").replace(
        'print("put", flush=True)', 'print("put", flush=True); await asyncio.sleep(0.2)'
    )
    child = subprocess.Popen(
        [sys.executable, "-c", hold, str(path), "a", "clean"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=here,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "put\n"
    time.sleep(0.5)
    child.kill()
    child.wait()
    child.stdout.close()

    async def again() -> list[int]:
        clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
        queue = SqliteQueue(SqliteQueueSettings(path=path), clock=clock)
        await queue.init()
        messages = await queue.read(count=100)
        await queue.cleanup()
        return sorted(each.delivery_count for each in messages)

    assert asyncio.run(again()) == [1] * 47 + [2] * 3


def test_a_process_ends_without_cleanup(tmp_path: Path) -> None:
    """A queue that nobody closed does not keep its process alive."""
    here = Path(__file__).parents[2]
    path = str(tmp_path / "queue.sqlite")
    command = [sys.executable, "-c", SHARE, path, "a", "dirty"]
    done = subprocess.run(command, capture_output=True, timeout=30, cwd=here, check=False)
    assert done.returncode == 0


def test_a_newer_or_damaged_queue_file_is_left_alone(tmp_path: Path) -> None:
    """A clear error, and the file is as it was."""
    newer, damaged = tmp_path / "newer.sqlite", tmp_path / "damaged.sqlite"
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    damaged.write_bytes(b"no database at all" * 100)

    async def problem(path: Path) -> str:
        queue = SqliteQueue(SqliteQueueSettings(path=path))
        with pytest.raises(AdapterError) as caught:
            await queue.init()
        return caught.value.render()

    before = [newer.read_bytes(), damaged.read_bytes()]
    assert "schema 99" in asyncio.run(problem(newer))
    assert "file is not a database" in asyncio.run(problem(damaged))
    assert [newer.read_bytes(), damaged.read_bytes()] == before
