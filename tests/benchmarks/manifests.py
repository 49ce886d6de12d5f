"""What a signed manifest costs, from the bytes received to candidates that can be registered."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from nacl.signing import VerifyKey

from oneiric.clock import rfc3339
from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope
from oneiric.remote.heap import settling
from oneiric.remote.offers import Offers, offers_of
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import verify
from tests.benchmarks.measure import Row, Size, by_turns, cpu_ms

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = PrivateKey(bytes(32))
TICK = 0.0005


def verified(size: Size) -> list[Row]:
    """Measure verifying and offering a small and a large manifest, and what waits meanwhile."""
    rows = []
    for count in dict.fromkeys((size.source // 100, size.source)):
        root, data = _root(), _manifest(count)
        what = f"verify and offer a manifest of {count:,}"
        repeats = size.repeats if count < 1000 else max(3, size.repeats // 5)

        def offer(root: TrustRoot = root, data: bytes = data) -> Offers:
            return _offered(root, data)

        found = by_turns({"ours": cpu_ms(offer), "floor": cpu_ms(_floor(data))}, repeats)
        stalls = sorted(longest_stall_ms(offer) for _ in range(3))
        rows += [
            Row(what, found["ours"][0], "ms", found["floor"][0]),
            Row(f"{what}: longest stall", stalls[0], "ms"),
        ]
    return rows


def longest_stall_ms(work: Callable[[], object]) -> float:
    """Return how long the loop waited at most for *work* in a thread, in CPU time of that thread.

    So only the interpreter's lock counts, and not who else uses the machine.
    """
    return asyncio.run(_longest_stall(work)) * 1e3


async def _longest_stall(work: Callable[[], object]) -> float:
    clocks: list[int] = []
    ended: list[float] = []

    def run() -> None:
        clocks.append(time.pthread_getcpuclockid(threading.get_ident()))
        kept = work()
        ended.append(time.thread_time())
        del kept

    task = asyncio.create_task(asyncio.to_thread(run))
    spent = [0.0]
    while not ended:
        spent += [time.clock_gettime(clock) for clock in clocks]
        await asyncio.sleep(TICK)
    await task
    spent.append(max(ended[0], spent[-1]))
    return max(later - before for before, later in pairwise(spent))


def _offered(root: TrustRoot, data: bytes) -> Offers:
    with settling():
        found = verify(data, source="bench", root=root, now=NOW)
        return offers_of(found, allowed=["oneiric"])


def _floor(data: bytes) -> Callable[[], object]:
    """Return what verifies one signature over the same bytes with PyNaCl, and loads them."""
    envelope = Envelope.parse(data)
    key, signed = VerifyKey(KEY.public.raw), envelope.pae
    signature, payload = envelope.signatures[0].sig, envelope.payload
    return lambda: (key.verify(signed, signature), json.loads(payload))


def _root() -> TrustRoot:
    own = KEY.public.id
    told: dict[str, JSONValue] = {
        "keys": {own: {"public": KEY.public.text, "factories": ["oneiric"]}},
        "roles": {"root": {"keys": [own]}, "manifest": {"keys": [own]}},
    }
    return TrustRoot.read(_signed("oneiric.trust/1", told, TRUST), source="bench")


def _manifest(count: int) -> bytes:
    return _signed("oneiric.manifest/2", {"entries": list(map(_entry, range(count)))}, MANIFEST)


def _entry(number: int) -> JSONValue:
    return {
        "domain": "adapter",
        "key": f"cache-{number}",
        "provider": "acme",
        "factory": "oneiric.adapters.cache.memory:MemoryCache",
        "version": "1.2.3",
        "priority": number % 100,
        "capabilities": ["kv", "ttl"],
        "requires": {"log": "service:log"},
        "python_version": ">=3.11",
        "os_platform": ["linux", "macos"],
        "settings": {"size": number, "prefix": f"acme-{number}"},
        "owner": "cache-team@acme.example",
        "license": "MIT",
        "documentation_url": f"https://acme.example/docs/cache-{number}",
    }


def _signed(schema: str, told: dict[str, JSONValue], kind: str) -> bytes:
    head: dict[str, JSONValue] = {
        "schema": schema,
        "name": "bench",
        "version": 1,
        "issued": rfc3339(NOW),
        "expires": rfc3339(NOW + timedelta(days=1)),
    }
    return Envelope(canonical(head | told), kind).signed_by(KEY).as_bytes()
