"""The fetcher: whom it asks, what it takes, and when it tries again."""

import asyncio
import hashlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.backoff import Backoff
from oneiric.clock import SystemClock
from oneiric.errors import InvalidPathError, NotFoundError
from oneiric.remote.errors import (
    AddressError,
    AnswerError,
    ArtifactHostError,
    BreakerOpenError,
    CertificateError,
    FetchFailedError,
    RedirectError,
    TooLongError,
    WrongDigestError,
    WrongLengthError,
)
from oneiric.remote.fetch import Fetcher, FetchLimits
from oneiric.remote.origin import Credential, Origin, local_path, redirected
from oneiric.testing import ManualClock
from oneiric.testing.lies import NotModified, RedirectTo, Sends, Status
from oneiric.testing.loopback import LoopbackServer
from tests.servers import free_port, require

DATA = b'{"some": "document"}'
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = FetchLimits(backoff=Backoff(base_seconds=0.0), timeout=20.0)


def names(folder: Path) -> list[str]:
    """What lies in *folder*."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """A server with one document."""
    with LoopbackServer() as running:
        running.put("/m.json", DATA, etag='"1"')
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """A fetcher that does not wait between attempts."""
    async with Fetcher(clock=SystemClock(), limits=QUICK) as made:
        yield made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a `localhost` that no system trusts."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    words = [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


async def test_a_document_comes_with_its_etag_and_is_found_unmodified(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """What is here already is not sent again."""
    first = await fetcher.get(server.address("/m.json"), limit=100)
    second = await fetcher.get(server.address("/m.json"), limit=100, etag=first.etag)

    assert (first.data, first.etag, first.not_modified) == (DATA, '"1"', False)
    assert (second.data, second.etag, second.not_modified) == (b"", '"1"', True)
    assert [each.fields.get("accept-encoding") for each in server.requests] == ["identity"] * 2


async def test_an_etag_that_could_break_out_of_its_field_is_not_sent(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """What a server called a document long ago is text from afar."""
    await fetcher.get(server.address("/m.json"), limit=100, etag='"1"\r\nX-Evil: 1')

    assert "if-none-match" not in server.requests[0].fields


async def test_unmodified_is_no_answer_to_who_has_nothing(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """A 304 that nobody asked for would leave us without content."""
    server.always("/m.json", NotModified())

    with pytest.raises(AnswerError, match="304"):
        await fetcher.get(server.address("/m.json"), limit=100)


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.org/m.json",
        "http://127.0.0.1.example.org/m.json",
        "http://2130706433/m.json",
        "ftp://example.org/m.json",
        "https:///m.json",
        "https://user:hunter2@example.org/m.json",
        "https://exa mple.org/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:99999/",
        "file://server/share/m.json",
        "javascript:alert(1)",
    ],
)
async def test_only_https_is_fetched_except_on_this_machine(fetcher: Fetcher, uri: str) -> None:
    """M5: TLS only, loopback excepted; and no address that two readers read in two ways."""
    with pytest.raises(AddressError) as refused:
        await fetcher.get(uri, limit=100)

    assert refused.value.code == "bad-address"
    assert "hunter2" not in str(refused.value)


async def test_a_local_file_is_read_by_path_or_by_address(tmp_path: Path, fetcher: Fetcher) -> None:
    """Bounded as what comes over a wire is."""
    file = tmp_path / "a b.json"
    file.write_bytes(DATA)

    assert (await fetcher.get(str(file), limit=100)).data == DATA
    assert (await fetcher.get(file.as_uri(), limit=100)).data == DATA
    with pytest.raises(InvalidPathError, match="longer than 5"):
        await fetcher.get(str(file), limit=5)
    with pytest.raises(NotFoundError):
        await fetcher.get(str(tmp_path / "none.json"), limit=5)


async def test_what_is_not_there_is_not_found(server: LoopbackServer, fetcher: Fetcher) -> None:
    """So that whoever walks a chain of roots knows its end; it is asked once."""
    server.always("/gone.json", Status(410))
    for path in ("/3.root.json", "/gone.json"):
        with pytest.raises(NotFoundError):
            await fetcher.get(server.address(path), limit=100)

    assert len(server.requests) == 2


async def test_what_may_pass_is_tried_again(server: LoopbackServer, fetcher: Fetcher) -> None:
    """A server error and too many requests; then it is there."""
    server.lie("/m.json", Status(500), Status(503), Status(429))

    assert (await fetcher.get(server.address("/m.json"), limit=100)).data == DATA
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 418, 204, 206, 300])
async def test_what_stays_is_asked_once(
    server: LoopbackServer, fetcher: Fetcher, status: int
) -> None:
    """No status that means no is tried again, and none but 200 carries content."""
    server.always("/m.json", Status(status))

    with pytest.raises(AnswerError) as refused:
        await fetcher.get(server.address("/m.json"), limit=100)

    assert (refused.value.status, refused.value.code) == (status, "unexpected-answer")
    assert len(server.requests) == 1


async def test_attempts_end_and_tell_how_many_there_were(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """Three more after the first."""
    server.always("/m.json", Status(502))

    with pytest.raises(FetchFailedError) as failed:
        await fetcher.get(server.address("/m.json"), limit=100)

    assert (failed.value.attempts, failed.value.reason) == (4, "answered 502")
    assert len(server.requests) == 4


async def test_retry_after_is_respected_within_limits(server: LoopbackServer) -> None:
    """It waits as long as it was asked to, and gives up when that is too long."""
    clock = ManualClock()
    server.lie("/m.json", Status(429, retry_after="7"))
    async with Fetcher(clock=clock) as fetcher, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(fetcher.get(server.address("/m.json"), limit=100))
        await clock.until_waiting()
        clock.advance(6.9)
        await asyncio.sleep(0)
        assert clock.waiting == 1
        clock.advance(0.2)
        assert (await task).data == DATA

    server.lie("/m.json", Status(503, retry_after="3600"))
    async with Fetcher(clock=clock) as fetcher:
        with pytest.raises(FetchFailedError) as failed:
            await fetcher.get(server.address("/m.json"), limit=100)
    assert (failed.value.attempts, "3600 s" in failed.value.hint) == (1, True)


async def test_waits_between_attempts_grow_and_vary(server: LoopbackServer) -> None:
    """Jitter keeps a thousand clients from coming back at the same moment."""
    clock = ManualClock()
    chances = iter((0.0, 0.5, 0.75))
    server.lie("/m.json", Status(500), Status(500), Status(500))
    waits = []
    async with (
        Fetcher(clock=clock, chance=lambda: next(chances)) as fetcher,
        asyncio.TaskGroup() as tasks,
    ):
        task = tasks.create_task(fetcher.get(server.address("/m.json"), limit=100))
        for _ in range(3):
            await clock.until_waiting()
            begun = clock.monotonic()
            while clock.waiting:
                clock.advance(0.0625)
                await asyncio.sleep(0)
            waits.append(clock.monotonic() - begun)
        assert (await task).data == DATA

    assert waits == [0.5, 0.75, 1.25]


async def test_defect_oneiric_s21_a_breaker_says_that_it_opens_and_that_it_is_open(
    server: LoopbackServer,
) -> None:
    """The failure that opens it is told as a failure, and so is what is not asked afterwards."""
    clock = ManualClock()
    limits = FetchLimits(retries=0)
    server.always("/m.json", Status(500))
    async with Fetcher(clock=clock, limits=limits) as fetcher:
        failures = []
        for _ in range(3):
            with pytest.raises(FetchFailedError) as failed:
                await fetcher.get(server.address("/m.json"), limit=100)
            failures.append(failed.value.opened_seconds)
        with pytest.raises(BreakerOpenError) as refused:
            await fetcher.get(server.address("/m.json"), limit=100)
        asked = len(server.requests)
        server.honest()
        clock.advance(31)
        told = await fetcher.get(server.address("/m.json"), limit=100)

    assert failures == [0.0, 0.0, 30.0]
    assert asked == 3
    assert (refused.value.code, refused.value.exit_code) == ("breaker-open", 5)
    assert refused.value.details() == {
        "origin": server.origin,
        "retry_in_seconds": 30.0,
        "until": "2026-01-01T00:00:30.000000Z",
        "failures": 3,
        "why": "answered 500",
    }
    assert told.data == DATA
    assert fetcher.breakers.states() == ()


async def test_a_breaker_is_of_one_origin_and_only_failures_open_it(server: LoopbackServer) -> None:
    """A server that says no is there; another server is another matter."""
    dead = f"http://127.0.0.1:{free_port()}"
    limits = FetchLimits(retries=0)
    async with Fetcher(clock=ManualClock(), limits=limits) as fetcher:
        for _ in range(5):
            with pytest.raises(NotFoundError):
                await fetcher.get(server.address("/none"), limit=100)
        for _ in range(3):
            with pytest.raises(FetchFailedError):
                await fetcher.get(f"{dead}/m.json", limit=100)
        with pytest.raises(BreakerOpenError):
            await fetcher.get(f"{dead}/m.json", limit=100)

        assert (await fetcher.get(server.address("/m.json"), limit=100)).data == DATA
        assert [(each.origin, each.is_open) for each in fetcher.breakers.states()] == [(dead, True)]


async def test_one_caller_probes_an_opened_breaker(server: LoopbackServer) -> None:
    """Not a crowd; and one that was cancelled does not leave it closed to all."""
    clock = ManualClock()
    breakers = Fetcher(clock=clock).breakers
    failure = FetchFailedError(server.origin, "it is down")
    for _ in range(3):
        with pytest.raises(FetchFailedError), breakers.watch(server.origin):
            raise failure
    clock.advance(30)

    def cut_short() -> None:
        with breakers.watch(server.origin):
            with pytest.raises(BreakerOpenError), breakers.watch(server.origin):
                pytest.fail("a second one was let in")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        cut_short()
    with pytest.raises(FetchFailedError), breakers.watch(server.origin):
        raise failure
    assert breakers.states()[0].seconds == 60


async def test_defect_oneiric_s10_a_credential_goes_to_its_own_origin_only(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """Not to another host that is asked, nor across a redirect, nor to another port."""
    credential = Credential(Origin.of(server.origin), "s3cret")
    with LoopbackServer() as other:
        other.put("/m.json", DATA)
        server.lie("/m.json", RedirectTo(other.address("/m.json")), RedirectTo("/m.json"))

        await fetcher.get(server.address("/m.json"), limit=100, credential=credential)
        await fetcher.get(other.address("/m.json"), limit=100, credential=credential)
        await fetcher.get(server.address("/m.json"), limit=100, credential=credential)

        assert [each.credential for each in other.requests] == ["", ""]
        assert [each.credential for each in server.requests] == ["Bearer s3cret"] * 3
    assert "s3cret" not in repr(credential)


async def test_a_redirect_goes_only_where_one_may_ask(
    server: LoopbackServer, fetcher: Fetcher
) -> None:
    """Each hop is judged as the first address was, by scheme and by host."""
    with LoopbackServer() as other:
        other.put("/m.json", DATA)
        places = [
            other.address("/m.json"),
            "http://example.org/m.json",
            "file:///etc/passwd",
            "https://user@example.org/",
            "//[::1",
        ]
        own = Origin.of(server.origin).netloc
        for place in places:
            server.lie("/m.json", RedirectTo(place))
            with pytest.raises(RedirectError):
                await fetcher.get(server.address("/m.json"), limit=100, hosts=lambda h: h == own)
        with pytest.raises(ArtifactHostError):
            await fetcher.get(other.address("/m.json"), limit=100, hosts=lambda h: h == own)

        assert other.requests == []


async def test_redirects_end(server: LoopbackServer, fetcher: Fetcher) -> None:
    """A circle is left after five."""
    server.always("/m.json", RedirectTo("/m.json"))

    with pytest.raises(RedirectError, match="more than 5 times"):
        await fetcher.get(server.address("/m.json"), limit=100)

    assert len(server.requests) == 6


async def test_tls_is_verified_and_never_left(
    server: LoopbackServer, certificate: tuple[Path, Path]
) -> None:
    """A certificate that nobody vouches for is refused at once; https does not lead to http."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trust = ssl.create_default_context(cafile=certificate[0])
    with LoopbackServer(tls=context) as secure:
        secure.put("/m.json", DATA)
        secure.put("/down.json", DATA)
        secure.always("/down.json", RedirectTo(server.address("/m.json")))
        async with Fetcher(clock=SystemClock(), limits=QUICK) as fetcher:
            with pytest.raises(CertificateError):
                await fetcher.get(secure.address("/m.json"), limit=100)
        async with Fetcher(clock=SystemClock(), limits=QUICK, trust=trust) as fetcher:
            assert (await fetcher.get(secure.address("/m.json"), limit=100)).data == DATA
            with pytest.raises(RedirectError, match="https to http"):
                await fetcher.get(secure.address("/down.json"), limit=100)

    assert server.requests == []


async def test_a_download_is_there_whole_and_right_or_not_at_all(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """Length and digest are looked at before the file has its name; progress is told."""
    place = tmp_path / "new" / "content"
    told: list[tuple[int, int | None]] = []
    address = server.address("/m.json")

    with pytest.raises(WrongDigestError):
        await fetcher.download(address, place, length=len(DATA), sha256="0" * 64)
    with pytest.raises(WrongLengthError):
        await fetcher.download(address, place, length=len(DATA) + 1, sha256=SHA256)
    with pytest.raises(TooLongError):
        await fetcher.download(address, place, length=len(DATA) - 1, sha256=SHA256)
    assert names(place.parent) == []

    await fetcher.download(
        address, place, length=len(DATA), sha256=SHA256, progress=lambda *args: told.append(args)
    )
    assert place.read_bytes() == DATA
    assert place.stat().st_mode & 0o777 == 0o600
    assert names(place.parent) == ["content"]
    assert told == [(len(DATA), len(DATA))]


async def test_a_download_of_many_pieces_keeps_them_in_order(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """Five megabytes, written in a thread a megabyte at a time."""
    data = bytes(range(256)) * 20_000
    server.put("/big", data)
    sha256 = hashlib.sha256(data).hexdigest()

    await fetcher.download(
        server.address("/big"), tmp_path / "big", length=len(data), sha256=sha256
    )

    assert (tmp_path / "big").read_bytes() == data


async def test_a_cancelled_download_leaves_nothing(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """However far it had come."""
    data = b"x" * 8_000_000
    server.put("/big", data)
    task: asyncio.Task[None]

    def stop(received: int, total: int | None) -> None:
        if received > 3_000_000:
            task.cancel()

    sha256 = hashlib.sha256(data).hexdigest()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(
            fetcher.download(
                server.address("/big"),
                tmp_path / "big",
                length=len(data),
                sha256=sha256,
                progress=stop,
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task

    assert names(tmp_path) == []


async def test_other_content_under_the_same_address_is_noticed(
    server: LoopbackServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    """Even when its length is right; nothing is tried again, for nothing failed."""
    server.always("/m.json", Sends(DATA.upper()))

    with pytest.raises(WrongDigestError) as refused:
        await fetcher.download(
            server.address("/m.json"), tmp_path / "m", length=len(DATA), sha256=SHA256
        )

    assert (refused.value.code, refused.value.exit_code) == ("wrong-digest", 3)
    assert len(server.requests) == 1


@given(uri=st.text(max_size=60) | st.from_regex(r"(https?|file):/{0,3}[\x20-\x7e]{0,40}"))
def test_any_address_is_taken_apart_or_refused(uri: str) -> None:
    """An address comes from afar; whatever it is, the error is ours and shows no secret."""
    for read in (Origin.of, local_path, lambda text: redirected("https://a.example/", text)):
        with suppress(AddressError, RedirectError):
            read(uri)


async def test_a_file_that_is_not_there_does_not_close_a_breaker(server: LoopbackServer) -> None:
    """A server that knows one file and fails with another fails in a row all the same."""
    breakers = Fetcher(clock=ManualClock()).breakers
    for _ in range(3):
        with pytest.raises(NotFoundError), breakers.watch(server.origin):
            raise NotFoundError("file", "2.root.json")
        with pytest.raises(FetchFailedError), breakers.watch(server.origin):
            raise FetchFailedError(server.origin, "503")

    with pytest.raises(BreakerOpenError), breakers.watch(server.origin):
        pass


@pytest.mark.parametrize("uri", ["\0", "a\0b.json", "file:///a%00b"])
def test_an_address_with_a_null_byte_is_refused(uri: str) -> None:
    """No path may hold one, and the system would raise something else."""
    with pytest.raises(AddressError, match="null byte"):
        local_path(uri)
