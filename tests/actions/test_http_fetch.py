"""`http.fetch`: allowed hosts only, redirects included, within limits."""

import time
from typing import Any

import pytest
from pydantic import ValidationError

from oneiric.actions.hosts import ForbiddenHostError, Hosts
from oneiric.actions.http_fetch import FetchSettings
from oneiric.domains import InvalidPayloadError
from oneiric.errors import RefusedError, UnavailableError
from oneiric.ports.errors import AdapterError, NotFoundError
from tests.actions.conftest import Act, GivenSettings

KEY = "http.fetch"


@pytest.fixture
def fetch(act: Act, given: GivenSettings, site: str) -> Act:
    """Return a caller of `http.fetch` that may call the site."""
    given["builtin-http-fetch"] = {
        "allowed_hosts": [site],
        "base_url": site,
        "timeout": 2.0,
        "max_response_bytes": 10_000,
    }

    async def call(**payload: Any) -> Any:
        return await act(KEY, **payload)

    return call


async def test_an_answer_is_told_whole(fetch: Act, site: str) -> None:
    """Status, header fields, text, and JSON where it is."""
    found = await fetch(
        method="POST", url=f"{site}/echo", params={"q": "1"}, json={"a": 1}, headers={"X-Id": "7"}
    )

    assert (found["status"], found["status_code"], found["ok"]) == ("ok", 200, True)
    assert found["json"]["path"] == "/echo?q=1"
    assert (found["json"]["body"], found["json"]["headers"]["x-id"]) == ('{"a":1}', "7")
    assert found["headers"]["content-type"].startswith("application/json")
    assert found["elapsed_ms"] >= 0


async def test_a_path_is_below_the_base_and_bodies_are_as_given(fetch: Act) -> None:
    """A form, or bytes."""
    form = await fetch(method="POST", path="/echo", data={"a": "b c"})
    content = await fetch(method="PUT", path="echo", content="AAH/")

    assert form["json"]["body"] == "a=b+c"
    assert content["json"]["body"] == "\x00\x01\xff"


async def test_a_status_is_an_answer_unless_it_shall_raise(fetch: Act) -> None:
    """`raise_for_status` gives the error of that meaning."""
    found = await fetch(path="/status/404")

    assert (found["status"], found["ok"], found["json"]) == ("error", False, None)
    with pytest.raises(NotFoundError):
        await fetch(path="/status/404", raise_for_status=True)


async def test_defect_oneiric_z3_certificates_are_always_verified(fetch: Act) -> None:
    """A payload that says otherwise is refused, and told what to do instead."""
    with pytest.raises(RefusedError, match="certificates are always verified") as caught:
        await fetch(path="/", verify=False)
    assert "ca_file" in caught.value.hint


async def test_defect_oneiric_z3_nobody_may_be_called_unless_named(act: Act, site: str) -> None:
    """Not this machine either; the error names the setting."""
    with pytest.raises(ForbiddenHostError) as caught:
        await act(KEY, url=site)
    assert "allowed_hosts" in caught.value.hint
    with pytest.raises(InvalidPayloadError, match="there is no base_url"):
        await act(KEY, path="/")


async def test_defect_oneiric_z3_a_redirect_leads_to_allowed_hosts_only(
    fetch: Act, other_site: str
) -> None:
    """Followed when asked for; to another host it is refused before it is called."""
    still = await fetch(path="/redirect", params={"to": "/there"})
    home = await fetch(path="/redirect", params={"to": "/there"}, allow_redirects=True)

    assert (still["status_code"], home["json"]["path"]) == (302, "/there")
    with pytest.raises(ForbiddenHostError):
        await fetch(path="/redirect", params={"to": f"{other_site}/x"}, allow_redirects=True)


async def test_answers_are_bounded_in_time_and_size(fetch: Act) -> None:
    """A payload can shorten the time, and never lengthen it."""
    with pytest.raises(AdapterError, match="longer than 10000 bytes"):
        await fetch(path="/many", params={"size": "10001"})
    assert len((await fetch(path="/many", params={"size": "10000"}))["text"]) == 10_000
    began = time.perf_counter()
    with pytest.raises(UnavailableError):
        await fetch(path="/slow", params={"for": "60"}, timeout=0.1)
    assert time.perf_counter() - began < 2
    with pytest.raises(UnavailableError):
        await fetch(path="/slow", params={"for": "60"}, timeout=50.0)


async def test_header_fields_of_the_connection_are_not_the_callers(fetch: Act) -> None:
    """Nor may there be two bodies, or neither url nor path."""
    for wrong in (
        {"path": "/", "headers": {"HOST": "x"}},
        {"path": "/", "json": 1, "data": {}},
        {},
    ):
        with pytest.raises(InvalidPayloadError):
            await fetch(**wrong)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("api.example.com", "https://API.example.com/x"),
        ("api.example.com:8443", "https://api.example.com:8443"),
        ("*.example.com", "https://a.b.example.com"),
        ("http://intranet", "http://intranet:80/x"),
        ("localhost", "http://localhost"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("https://api.example.com", "https://api.example.com:443"),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, url: str) -> None:
    """By host, port and scheme."""
    assert Hosts([entry], provider="p").allow(url) is True


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("api.example.com", "http://api.example.com/"),
        ("api.example.com", "https://api.example.com:8443/"),
        ("api.example.com", "https://api.example.com.evil.org/"),
        ("api.example.com", "https://api.example.com@evil.org/"),
        ("api.example.com", "https://me:pw@api.example.com/"),
        ("api.example.com", "https://evil.org\\@api.example.com/"),
        ("api.example.com", "https://evil.org#@api.example.com/"),
        ("api.example.com", "https://api.example.com\n.evil.org/"),
        ("api.example.com", "https://\u212fxample.com/"),
        ("api.example.com", "ftp://api.example.com/"),
        ("api.example.com", "//api.example.com/"),
        ("api.example.com", "https://[api.example.com/"),
        ("api.example.com", "https://api.example.com:99999/"),
        ("*.example.com", "https://example.com/"),
        ("*.example.com", "https://evilexample.com/"),
        ("http://intranet", "https://intranet/"),
        ("localhost", "http://127.0.0.1/"),
        ("localhost", "http://2130706433/"),
    ],
)
def test_what_no_entry_names_is_refused(entry: str, url: str) -> None:
    """Lookalikes, credentials and whatever two readers could read in two ways included."""
    with pytest.raises(ForbiddenHostError) as caught:
        Hosts([entry], provider="p").allow(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("entry", ["", "*", "https://", "a b", "host/path", "*.*.x", "ftp://x"])
def test_what_is_no_entry_is_a_wrong_setting(entry: str) -> None:
    """Nothing stands for every host."""
    with pytest.raises(ValidationError):
        FetchSettings(allowed_hosts=(entry,))
