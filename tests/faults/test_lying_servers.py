"""Servers that send too much, too slowly, too little or nonsense: all of it ends, bounded."""

import resource
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from oneiric.backoff import Backoff
from oneiric.clock import SystemClock
from oneiric.errors import UnavailableError
from oneiric.remote.errors import (
    EncodedError,
    FetchFailedError,
    TooLongError,
    TooSlowError,
)
from oneiric.remote.fetch import Fetcher, FetchLimits
from oneiric.testing.lies import (
    Declares,
    Drips,
    Endless,
    EndlessHead,
    Garbage,
    Gzipped,
    HangsUp,
    Lie,
    Silent,
    Truncated,
)
from oneiric.testing.loopback import LoopbackServer

DATA = b'{"some": "document"}' * 100
LIMIT = 1 << 20


def names(folder: Path) -> list[str]:
    """What lies in *folder*."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """A server with one document."""
    with LoopbackServer() as running:
        running.put("/m.json", DATA)
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """A fetcher that waits a second for each of two attempts."""
    limits = FetchLimits(backoff=Backoff(base_seconds=0.0), timeout=1.0, retries=1)
    async with Fetcher(clock=SystemClock(), limits=limits) as made:
        yield made


async def test_promise_m2_endless_content_is_refused_at_its_limit(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """What comes is counted, whatever was declared; memory stays where it was."""
    server.always("/m.json", Endless())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(TooLongError) as refused:
        await fetcher.get(server.address("/m.json"), limit=LIMIT)

    assert refused.value.code == "too-long"
    assert len(server.requests) == 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 64 * LIMIT  # kilobytes on Linux; on macOS bytes, which are fewer still


async def test_defect_oneiric_s9_what_declares_too_much_is_not_even_read(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """A limit of size holds while fetching, before any byte of content."""
    server.always("/m.json", Declares(LIMIT + 1))

    with pytest.raises(TooLongError, match=f"declares {LIMIT + 1} bytes"):
        await fetcher.get(server.address("/m.json"), limit=LIMIT)


@pytest.mark.parametrize("lie", [Drips(seconds=0.3), Silent()], ids=["drips", "silent"])
async def test_promise_m2_a_slow_server_is_left_after_its_time(
    server: LoopbackServer, fetcher: Fetcher, lie: Lie
) -> None:
    """The limit is for the whole answer: a byte now and then does not prolong it."""
    server.always("/m.json", lie)
    started = time.monotonic()

    with pytest.raises(TooSlowError) as failed:
        await fetcher.get(server.address("/m.json"), limit=LIMIT)

    assert (failed.value.code, failed.value.attempts) == ("too-slow", 2)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "lie",
    [Truncated(5), Declares(len(DATA) + 7), HangsUp(), Garbage(), EndlessHead()],
    ids=["truncated", "too-little", "hangs-up", "garbage", "endless-head"],
)
async def test_a_broken_answer_is_tried_again_and_then_told(
    server: LoopbackServer, fetcher: Fetcher, lie: Lie
) -> None:
    """Nothing of it is taken; when the server comes to its senses, all is well."""
    server.always("/m.json", lie)
    with pytest.raises(FetchFailedError) as failed:
        await fetcher.get(server.address("/m.json"), limit=LIMIT)
    assert failed.value.attempts == 2

    server.honest()
    server.lie("/m.json", lie)
    assert (await fetcher.get(server.address("/m.json"), limit=LIMIT)).data == DATA


async def test_content_beyond_what_was_declared_is_no_content(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """The declared bytes and no more, or none: how much came at once decides which."""
    server.always("/m.json", Declares(5))

    async def taken() -> bytes:
        try:
            return (await fetcher.get(server.address("/m.json"), limit=LIMIT)).data
        except FetchFailedError:
            return b""

    assert await taken() in (b"", DATA[:5])
    assert await taken() in (b"", DATA[:5])


@pytest.mark.parametrize("zeros", [0, 100_000_000], ids=["honest", "bomb"])
async def test_promise_m2_nothing_is_unpacked(
    server: LoopbackServer, fetcher: Fetcher, zeros: int
) -> None:
    """Identity was asked for; an answer in gzip is refused, whatever is inside."""
    server.always("/m.json", Gzipped(zeros))

    with pytest.raises(EncodedError) as refused:
        await fetcher.get(server.address("/m.json"), limit=LIMIT)

    assert refused.value.code == "content-encoded"


@pytest.mark.parametrize(
    "lie",
    [Truncated(5), Drips(seconds=0.5), HangsUp(), Gzipped(1000), Endless()],
    ids=["truncated", "drips", "hangs-up", "gzipped", "endless"],
)
async def test_a_failed_download_leaves_nothing_behind(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path, lie: Lie
) -> None:
    """No partial file, whatever the server did."""
    server.always("/m.json", lie)
    with pytest.raises((FetchFailedError, TooLongError, EncodedError)):
        await fetcher.download(
            server.address("/m.json"), tmp_path / "m", length=len(DATA), sha256="0" * 64
        )

    assert names(tmp_path) == []


async def test_a_full_disk_is_told_as_such_and_is_nobodys_fault(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """The server is not left alone for it, and nothing is tried again."""
    (tmp_path / "file").touch()
    for _ in range(4):
        with pytest.raises(UnavailableError, match=r"not a directory|file exists") as failed:
            await fetcher.download(
                server.address("/m.json"),
                tmp_path / "file" / "m",
                length=len(DATA),
                sha256="0" * 64,
            )
        assert failed.value.code == "unavailable"
    assert len(server.requests) == 4
    assert fetcher.breakers.states() == ()
