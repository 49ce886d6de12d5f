"""What all providers promise alike: phases, concurrency, cancellation, silence about secrets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from oneiric.core.handle import Handle
from oneiric.core.health import HealthReport
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.errors import OneiricError
from oneiric.ports import AdapterError, Command, NotificationMessage, UnavailableError
from oneiric.text.tracing import Span, Trace
from tests.contract.cases import (
    ALLOWED,
    CANDIDATES,
    CASES,
    PASSWORD,
    Find,
    ProviderCase,
    Surroundings,
    for_each,
)
from tests.contract.issuer import STATIC, token

pytestmark = for_each()


async def _cache(cache: Any) -> object:
    await cache.set("one", "call")
    return await cache.get("one")


async def _secrets(store: Any) -> object:
    return await store.get_secret("db-password")


async def _storage(store: Any) -> object:
    await store.put("one", b"call")
    return await store.get("one")


async def _queue(queue: Any) -> object:
    put = await queue.publish(b"call")
    [message] = await queue.read(timeout=1)
    return message.body if await queue.ack(message) and put else b""


async def _executor(executor: Any) -> object:
    return (await executor.run(Command(["true"]))).exit_code


async def _http(client: Any) -> object:
    return (await client.get("/status/204")).status_code


async def _messaging(messenger: Any) -> object:
    message = NotificationMessage(id="1", text="Deploy ready", target="deploys")
    return bool((await messenger.send_notification(message)).message_id)


async def _monitoring(monitor: Any) -> object:
    span = Span(name="x", trace=Trace.new(), start_ns=1, end_ns=2)
    await monitor.export_spans([span])
    return True


async def _identity(identity: Any) -> object:
    shown = token() if "oidc" in identity.capabilities else STATIC
    return (await identity.authenticate(shown)).subject in ("ci", "1150")


async def _knowledge(knowledge: Any) -> object:
    await knowledge.remember("one call", ttl_days=None)
    found = await knowledge.recall("call", limit=1)
    return found["memories"][0]["content"]


ONE_CALL: Mapping[str, tuple[Callable[[Any], Awaitable[object]], object]] = {
    "cache": (_cache, "call"),
    "secrets": (_secrets, PASSWORD),
    "storage": (_storage, b"call"),
    "queue": (_queue, b"call"),
    "executor": (_executor, 0),
    "http": (_http, 204),
    "identity": (_identity, True),
    "knowledge": (_knowledge, "one call"),
    "messaging": (_messaging, True),
    "monitoring": (_monitoring, True),
}


async def works(case: ProviderCase, instance: Any) -> bool:
    call, expected = ONE_CALL[case.key]
    return await call(instance) == expected


async def test_it_serves_and_is_healthy(case: ProviderCase, component: Find) -> None:
    """Brought up by the lifecycle with the case's settings."""
    instance = await component(case.offer)

    assert bool(await instance.health())
    assert await works(case, instance)


async def test_init_twice_changes_nothing(case: ProviderCase, component: Find) -> None:
    """What is open stays open, and nothing is opened a second time."""
    instance = await component(case.offer)
    await instance.init()

    assert await works(case, instance)


async def test_two_inits_at_once_open_it_once(case: ProviderCase, component: Find) -> None:
    """Whoever comes second changes nothing, so one cleanup closes everything."""
    instance = await component(case.offer)
    await instance.cleanup()
    await asyncio.gather(instance.init(), instance.init())

    assert await works(case, instance)
    await instance.cleanup()


async def test_cleanup_twice_and_init_again(case: ProviderCase, component: Find) -> None:
    """Cleanup is idempotent and not the end."""
    instance = await component(case.offer)
    await instance.cleanup()
    await instance.cleanup()
    await instance.init()

    assert bool(await instance.health())
    assert await works(case, instance)


async def test_after_cleanup_a_call_fails_in_the_ports_words(
    case: ProviderCase, component: Find
) -> None:
    """Or still works where there is nothing to close; health never raises."""
    instance = await component(case.offer)
    await instance.cleanup()

    healthy = await instance.health()
    [result] = await asyncio.gather(works(case, instance), return_exceptions=True)

    assert HealthReport.of(healthy).detail != "" or bool(healthy)
    assert result is True or isinstance(result, UnavailableError)


async def test_fifty_calls_at_once(case: ProviderCase, component: Find) -> None:
    """None fails and none hangs."""
    instance = await component(case.offer)

    async with asyncio.timeout(20):
        results = await asyncio.gather(*(works(case, instance) for _ in range(50)))

    assert results == [True] * 50


async def test_cleanup_with_calls_in_flight(case: ProviderCase, component: Find) -> None:
    """Each call ends with a result or an error of the port; none hangs."""
    instance = await component(case.offer)
    calls = [asyncio.create_task(works(case, instance)) for _ in range(50)]
    await asyncio.sleep(0.002)

    async with asyncio.timeout(20):
        await instance.cleanup()
        results = await asyncio.gather(*calls, return_exceptions=True)

    assert [r for r in results if r is not True and not isinstance(r, AdapterError)] == []
    await instance.init()
    assert await works(case, instance)


async def test_cancelled_calls_leave_it_usable(case: ProviderCase, component: Find) -> None:
    """Wherever the call stood when it was cancelled."""
    instance = await component(case.offer)
    for steps in range(12):
        calls = [asyncio.create_task(works(case, instance)) for _ in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        for call in calls:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(r) for r in results} <= {asyncio.CancelledError, bool}

    assert bool(await instance.health())
    assert await works(case, instance)


async def test_no_secret_is_shown(
    case: ProviderCase, component: Find, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by repr, nor in a log line, nor in an error, nor in a report of health."""
    caplog.set_level(logging.DEBUG)
    instance = await component(case.offer)
    await works(case, instance)
    shown = [repr(instance), str(instance), repr(await instance.health())]
    await instance.cleanup()
    shown += [repr(await instance.health()), caplog.text]
    await instance.init()
    try:
        await getattr(instance, "get_secret", instance.health)("absent")
    except (OneiricError, TypeError) as error:
        shown.append(repr(error))

    assert PASSWORD not in "".join(shown)


async def test_providers_swap_under_load(case: ProviderCase, here: Surroundings) -> None:
    """From each to every other of its port and back, with calls in flight: none fails."""
    ref = f"adapter:{case.key}"
    others = [c for c in CASES.values() if c.key == case.key and c.server in ("", case.server)]
    resolver, done, running = Resolver(), 0, True
    for candidate in CANDIDATES:
        resolver.register(candidate)

    async with LifecycleManager(resolver, settings=here, allowed=ALLOWED) as lifecycle:
        await lifecycle.swap(case.offer)

        async def call() -> None:
            nonlocal done
            while running:
                handle: Handle[Any] = lifecycle.use(ref)
                async with handle as instance:
                    assert await works(case, instance)
                    done += 1
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as callers:
            for _ in range(16):
                callers.create_task(call())
            reports = [
                await lifecycle.swap(offer)
                for other in [*others, *others]
                for offer in (other.offer, case.offer)
            ]
            running = False

    assert [report for report in reports if report.failed_phase] == []
    assert done > len(reports)
