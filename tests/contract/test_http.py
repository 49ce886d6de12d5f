"""Every HTTP client keeps what the port `HTTPClient` promises."""

import math
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oneiric.errors import OneiricError
from oneiric.ports import (
    AdapterError,
    ConflictError,
    HTTPClient,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from tests.contract.cases import Find, ProviderCase, Surroundings, brought_up, for_each
from tests.contract.website import website
from tests.servers import require

pytestmark = for_each("http")


@pytest.fixture
async def client(case: ProviderCase, component: Find) -> HTTPClient:
    """The client of the case, whose base is the web site."""
    found: HTTPClient = await component(case.offer)
    return found


@pytest.fixture
async def other_site() -> AsyncIterator[str]:
    """The address of a second web site, which is another origin."""
    runner = web.AppRunner(website(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    yield f"http://127.0.0.1:{place.port}"
    await runner.cleanup()


@pytest.fixture
async def tls_site(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """The https address of the site and its own certificate, which no system trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)  # noqa: ASYNC221
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(website(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await place.start()
    yield f"https://localhost:{place.port}", certificate
    await runner.cleanup()


async def echoed(client: HTTPClient, method: str, url: str, **options: Any) -> Any:
    return (await client.request(method, url, **options)).json()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_each_verb_is_sent_as_itself(client: HTTPClient, method: str) -> None:
    """The short form and the long one."""
    short = (await getattr(client, method.lower())("/a")).json()
    long = await echoed(client, method.lower(), "/a")

    assert [short["method"], long["method"]] == [method, method]
    assert (await client.head("/a")).content == b""


async def test_the_body_is_what_was_said(client: HTTPClient) -> None:
    """JSON, a form or bytes, with the content type of each."""
    sent = [
        await echoed(client, "POST", "/", json={"ä": [1, None]}),
        await echoed(client, "POST", "/", data={"a": "1 2", "b": "&"}),
        await echoed(client, "POST", "/", content=b"\xff", headers={"Content-Type": "x/y"}),
    ]

    assert [(one["body"], one["headers"]["content-type"]) for one in sent] == [
        ('{"\\u00e4":[1,null]}', "application/json"),
        ("a=1+2&b=%26", "application/x-www-form-urlencoded"),
        ("\xff", "x/y"),
    ]


async def test_parameters_are_added_to_the_query(client: HTTPClient) -> None:
    """After those that the address has."""
    assert (await echoed(client, "GET", "/p?a=1", params={"b": "ä &"}))["path"] == (
        "/p?a=1&b=%C3%A4+%26"
    )


async def test_an_answer_belongs_to_no_library(client: HTTPClient) -> None:
    """Status, headers in any case, content and text."""
    answer = await client.get("/latin")

    assert (answer.status_code, answer.ok, answer.content, answer.text) == (200, True, b"\xe9", "é")
    assert answer.headers["CONTENT-TYPE"] == "text/plain; charset=latin-1"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequestError),
        (401, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, ConflictError),
        (422, InvalidRequestError),
        (429, RateLimitedError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
async def test_any_status_is_an_answer(
    client: HTTPClient, status: int, error: type[AdapterError]
) -> None:
    """It becomes an error only where the caller expects success, and then the right one."""
    answer = await client.get(f"/status/{status}")
    assert answer.status_code == status

    with pytest.raises(error) as caught:
        answer.expect_ok()

    assert type(caught.value) is error
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after == 7


async def test_an_answer_above_the_limit_is_refused(case: ProviderCase, here: Surroundings) -> None:
    """Without reading on; a stream has no such limit."""
    here.changes[case.offer] = {"max_response_bytes": 100_000}
    async with brought_up(here) as find:
        client: HTTPClient = await find(case.offer)
        exact = await client.get("/many?size=100000")
        with pytest.raises(AdapterError, match="100000 bytes"):
            await client.get("/many?size=100001")
        async with client.stream("GET", "/many?size=5000000") as answer:
            size = sum([len(piece) async for piece in answer.chunks()])

    assert len(exact.content) == 100_000
    assert (answer.status_code, size) == (200, 5_000_000)


async def test_a_silent_server_is_unavailable_in_time(client: HTTPClient) -> None:
    """Within the limit of the call."""
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await client.get("/slow?for=30", timeout=0.2)
    with pytest.raises(UnavailableError):
        async with client.stream("GET", "/slow?for=30", timeout=0.2):
            pass

    assert time.monotonic() - began < 20


async def test_an_answer_that_breaks_off_is_unavailable(client: HTTPClient) -> None:
    """Rather than short."""
    with pytest.raises(UnavailableError):
        await client.get("/broken")
    async with client.stream("GET", "/broken") as answer:
        with pytest.raises(UnavailableError):
            [piece async for piece in answer.chunks()]


async def test_an_error_of_the_streams_reader_is_its_own(client: HTTPClient) -> None:
    """The client translates its library's errors, not its caller's."""
    with pytest.raises(TimeoutError):
        async with client.stream("GET", "/many?size=10"):
            raise TimeoutError


@pytest.mark.parametrize(
    ("code", "method", "becomes", "body"),
    [
        (301, "GET", "GET", ""),
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (302, "PUT", "PUT", "b"),
        (303, "PUT", "GET", ""),
        (307, "POST", "POST", "b"),
        (308, "POST", "POST", "b"),
    ],
)
async def test_a_redirect_is_followed_as_browsers_do(
    client: HTTPClient, code: int, method: str, becomes: str, body: str
) -> None:
    """Method and body are kept or dropped by the status; a relative place is joined."""
    content = b"b" if method != "GET" else None
    answer = await echoed(client, method, f"/redirect?code={code}&to=there", content=content)

    assert (answer["method"], answer["path"], answer["body"]) == (becomes, "/there", body)


async def test_credentials_do_not_follow_to_another_host(
    case: ProviderCase, here: Surroundings, other_site: str
) -> None:
    """Neither the configured ones nor the caller's, whatever the header is called."""
    here.changes[case.offer] = {"headers": {"X-Api-Key": "configured"}}
    mine = {"Authorization": "Bearer t", "Cookie": "c=1", "X-Token": "t", "Accept": "x/y"}
    async with brought_up(here) as find:
        client: HTTPClient = await find(case.offer)
        home = await echoed(client, "GET", "/redirect?to=/there", headers=mine)
        away = await echoed(client, "GET", f"/redirect?to={other_site}/there", headers=mine)
        direct = await echoed(client, "GET", f"{other_site}/there")

    secret = {"authorization", "cookie", "x-token", "x-api-key"}
    assert secret <= set(home["headers"])
    assert secret.isdisjoint(away["headers"])
    assert away["headers"]["accept"] == "x/y"
    assert secret.isdisjoint(direct["headers"])


async def test_redirects_are_bounded(client: HTTPClient) -> None:
    """A circle is an error."""
    with pytest.raises(AdapterError, match="redirects more than 5 times"):
        await client.get("/circle")


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[x"])
async def test_a_redirect_to_what_is_no_http_is_refused(client: HTTPClient, to: str) -> None:
    """No other scheme is ever followed."""
    with pytest.raises(InvalidRequestError):
        await client.get("/redirect", params={"to": to})


async def test_health_says_what_the_site_answered(case: ProviderCase, here: Surroundings) -> None:
    """A server that only apologises is not healthy."""
    here.changes[case.offer] = {"healthcheck_path": "/status/499"}
    async with brought_up(here) as find:
        await find(case.offer)
    here.changes[case.offer] = {"healthcheck_path": "/status/503"}
    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match=f"127.0.0.1:{here.http_port}: answered 503"):
            await find(case.offer)


async def test_no_cookie_is_kept(client: HTTPClient) -> None:
    """One caller's session is not another's."""
    await client.get("/cookie")

    assert "cookie" not in (await echoed(client, "GET", "/"))["headers"]


@pytest.mark.parametrize("url", ["ftp://x/y", "http://", "http://[x", "https:///path"])
async def test_an_address_that_is_no_http_is_refused(client: HTTPClient, url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequestError):
        await client.get(url)


async def test_a_request_that_cannot_be_sent_is_refused(client: HTTPClient) -> None:
    """Two bodies, no JSON value, a header with a line break, a timeout that is no time."""
    wrong: list[dict[str, Any]] = [
        {"json": {}, "content": b""},
        {"json": {1, 2}},
        {"json": float("nan")},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.nan},
    ]
    for options in wrong:
        with pytest.raises(InvalidRequestError):
            await client.request("POST", "/", **options)


async def test_a_certificate_that_nobody_trusts_is_refused(
    client: HTTPClient, tls_site: tuple[str, Path]
) -> None:
    """There is no way to switch that off."""
    with pytest.raises(PermissionDeniedError):
        await client.get(tls_site[0])


async def test_own_authorities_can_be_trusted(
    case: ProviderCase, here: Surroundings, tls_site: tuple[str, Path], other_site: str
) -> None:
    """By naming them; and from https no redirect leads to http."""
    here.changes[case.offer] = {"ca_file": str(tls_site[1]), "base_url": tls_site[0]}
    async with brought_up(here) as find:
        client: HTTPClient = await find(case.offer)
        answer = await client.get("/a")
        with pytest.raises(PermissionDeniedError, match="from https to http"):
            await client.get("/redirect", params={"to": other_site})

    assert answer.status_code == 200


async def test_no_error_shows_a_query_or_a_password(client: HTTPClient) -> None:
    """Only scheme, host and port of an address are told."""
    with pytest.raises(AdapterError) as caught:
        await client.get("http://me:hunter2@127.0.0.1:1/p?token=hunter2")

    assert "hunter2" not in caught.value.render() + repr(caught.value)


async def test_a_redirect_is_followed_only_where_the_caller_says_so(
    client: HTTPClient, other_site: str
) -> None:
    """Each place is asked about by its whole address; where it may not lead, it is the answer."""
    asked: list[str] = []

    def home_only(url: str) -> bool:
        asked.append(url)
        return not url.startswith(other_site)

    home = await client.get("/redirect?to=/there", follow=home_only)
    away = await client.get(f"/redirect?to={other_site}/there", follow=home_only)

    assert (home.status_code, away.status_code) == (200, 302)
    assert away.headers["location"] == asked[-1] == f"{other_site}/there"
    assert asked[0].endswith("/there")
