"""What is seen only from outside: imports, missing libraries, and how a process ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert not await cache.health()
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
