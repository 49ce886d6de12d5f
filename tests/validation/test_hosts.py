"""Which hosts may be asked: one list, for checks, for drift and for pages."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.validation.hosts import HostRefusedError, Hosts, Place, is_metadata
from oneiric.validation.resolving import AllowedResolver


@pytest.mark.parametrize(
    ("listed", "url", "allowed"),
    [
        (["api.example.com"], "https://api.example.com/", True),
        (["api.example.com"], "http://api.example.com/", True),
        (["api.example.com"], "wss://api.example.com/", True),
        (["api.example.com"], "https://api.example.com:8443/", False),
        (["api.example.com:443"], "https://api.example.com/", True),
        (["api.example.com:443"], "https://api.example.com:8443/", False),
        (["API.example.com"], "https://api.EXAMPLE.com./", True),
        (["https://api.example.com/"], "https://api.example.com/x", True),
        (["*.example.com"], "https://a.b.example.com/", True),
        (["*.example.com:8443"], "https://a.example.com:8443/", True),
        (["*.example.com"], "https://a.example.com:8443/", False),
        (["*.example.com"], "https://example.com/", False),
        (["*.example.com"], "https://evilexample.com/", False),
        (["example.com"], "https://example.com.evil.org/", False),
        (["example.com"], "https://example.com@evil.org/", False),
        (["example.com"], "https://example.com\\@evil.org/", False),
        (["127.0.0.1:80"], "http://localhost/", True),
        (["::1"], "http://localhost/", True),
        (["[::1]:8080"], "http://[::1]:8080/", True),
        (["2001:db8::1:80"], "http://[2001:db8::1:80]/", True),
        (["169.254.169.254"], "http://169.254.169.254/", True),
        (["*.google.internal"], "http://metadata.google.internal/", False),
        (["*.internal"], "http://a.google.internal/", True),
        (["metadata.google.internal"], "http://metadata.google.internal/", True),
        ([], "https://api.example.com/", False),
        ([""], "https://api.example.com/", False),
    ],
)
def test_a_list_names_hosts_ports_and_all_below(listed: list[str], url: str, allowed: bool) -> None:
    """What is listed may be asked, and nothing that only looks like it."""
    assert Hosts(listed=listed).allows(url) is allowed


def test_production_is_asked_at_its_own_port() -> None:
    """And at the other usual one where its own is usual; at no others."""
    secure, local = Hosts("https://shop.example.com"), Hosts("http://127.0.0.1:8000/api")
    allowed = {
        "https://shop.example.com": True,
        "http://shop.example.com": True,
        "https://shop.example.com:8443": False,
    }
    assert {url: secure.allows(url) for url in allowed} == allowed
    assert local.allows(Place("https", "localhost", 8000))
    assert not local.allows("http://localhost:6379")
    assert not local.allows("http://localhost")
    assert secure.is_production("https://shop.example.com/x")
    assert not secure.is_production("http://shop.example.com/x")


@given(st.integers(0, 65535), st.sampled_from(["169.254.{}.{}", "::ffff:169.254.{}.{}"]))
def test_any_link_local_address_is_known_in_each_form(number: int, form: str) -> None:
    """The whole range counts, mapped into version 6 too."""
    assert is_metadata(form.format(number // 256, number % 256))


def test_without_a_list_redirects_stay_on_their_host() -> None:
    """Any host may be asked directly, but none other by way of it."""
    hosts = Hosts()
    hosts.check("https://a.example/")
    hosts.check("https://a.example:8443/x", after="https://a.example/")
    with pytest.raises(HostRefusedError):
        hosts.check("https://b.example/", after="https://a.example/")
    with pytest.raises(HostRefusedError, match="credentials"):
        hosts.check("http://169.254.169.254/")


@pytest.mark.parametrize(
    ("listed", "port", "allowed"),
    [
        ([], 80, False),
        (["sneaky.example", "*.example"], 80, False),
        (["169.254.169.254"], 80, True),
        (["169.254.169.254"], 8080, False),
        (["169.254.169.254:8080"], 8080, True),
    ],
)
async def test_no_name_leads_to_what_gives_credentials(
    listed: list[str], port: int, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the address that must be listed, and not the name that leads there."""

    def answered(*_: Any, **__: Any) -> list[Any]:
        kind = socket.AF_INET, socket.SOCK_STREAM, 6, ""
        return [(*kind, ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    resolver = AllowedResolver(Hosts("https://sneaky.example", listed))
    if allowed:
        (found,) = await resolver.resolve("sneaky.example", port)
        assert found["host"] == "169.254.169.254"
    else:
        with pytest.raises(HostRefusedError, match="credentials"):
            await resolver.resolve("sneaky.example", port)
