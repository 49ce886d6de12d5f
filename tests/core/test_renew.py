"""What is made anew where it stands: an offer beside the one that serves its place, or that one."""

import asyncio

from oneiric.core.lifecycle import LifecycleManager
from tests.core.components import CACHE, Ledger, Phased, offer, running, until

BESIDE = f"{CACHE}@b"


def numbers(lifecycle: LifecycleManager) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return provider and generation of the place, and of the offer."""
    place, beside = lifecycle.status(CACHE), lifecycle.status(BESIDE)
    return (place.provider, place.generation), (beside.provider, beside.generation)


async def test_an_offer_is_renewed_beside_the_one_that_serves() -> None:
    """Nobody is selected, the old one ends when nobody holds it, and the place serves on."""
    ledger = Ledger()
    async with running(offer(ledger, "a", Phased, priority=1), offer(ledger, "b", Phased)) as ours:
        await ours.activate(CACHE)
        await ours.activate(BESIDE)
        async with ours.use(BESIDE) as old:
            renewing = asyncio.create_task(ours.renew(BESIDE))
            await until(lambda: numbers(ours)[1] == ("b", 3))
            ended = len(ledger.ended)
            async with ours.use(BESIDE) as new:
                is_new = new is not old
        report = await renewing

        assert (report.ok, report.ref, is_new, ended) == (True, BESIDE, True, 0)
        assert numbers(ours) == (("a", 1), ("b", 3))
        assert (len(ledger.ended), ours.resolver.resolve(CACHE).provider) == (1, "a")
    assert ledger.open == 0


async def test_an_offer_that_serves_its_place_is_renewed_for_both() -> None:
    """Whoever asks for either next gets the new one."""
    ledger = Ledger()
    async with running(offer(ledger, "b", Phased)) as ours:
        await ours.activate(CACHE)
        report = await ours.renew(BESIDE)
        async with ours.use(CACHE) as one, ours.use(BESIDE) as other:
            is_same = one is other

        assert (report.ok, is_same, numbers(ours)) == (True, True, (("b", 2), ("b", 2)))
    assert ledger.open == 0


async def test_renewals_and_swaps_at_once_lose_no_call() -> None:
    """One after the other, whoever asks for which."""
    ledger = Ledger()
    async with running(offer(ledger, "a", Phased, priority=1), offer(ledger, "b", Phased)) as ours:
        over = asyncio.Event()

        async def work(ref: str) -> int:
            count = 0
            while not over.is_set():
                async with ours.use(ref) as one:
                    one.work()
                    await asyncio.sleep(0)
                    one.work()
                count += 1
            return count

        busy = [asyncio.create_task(work(ref)) for ref in (CACHE, BESIDE) * 4]
        for turn in range(40):
            asked = (ours.renew(BESIDE), ours.swap(CACHE, provider="ab"[turn % 2]))
            reports = await asyncio.gather(*asked)
            assert all(report.ok for report in reports)
        over.set()
        assert all(await asyncio.gather(*busy))
    assert (ledger.open, ledger.late) == (0, [])
