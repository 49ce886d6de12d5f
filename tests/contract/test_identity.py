"""Every provider of identity keeps what the port `Identity` promises; then each its own."""

import asyncio
import base64
import json
import logging
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from oneiric.adapters.identity.oidc import OidcIdentity, OidcIdentitySettings
from oneiric.adapters.identity.token import TokenIdentity, TokenIdentitySettings
from oneiric.ports import (
    Identity,
    PermissionDeniedError,
    Principal,
    UnauthenticatedError,
    UnavailableError,
)
from oneiric.testing import ManualClock
from oneiric.testing.lies import Endless, RedirectTo, Sends, Silent, Status
from tests.contract.cases import CASES, Find, ProviderCase, Surroundings, brought_up, for_each
from tests.contract.issuer import (
    AUDIENCE,
    DISCOVERY,
    EMAIL,
    KEYS,
    NAME,
    STATIC,
    Issuer,
    claims,
    ec_key,
    public,
    rsa_key,
    token,
)

OIDC, TOKEN = "adapter:identity@oidc", "adapter:identity@token"
for_oidc = pytest.mark.parametrize("case", [CASES[OIDC]], ids=["identity@oidc"], indirect=True)
for_token = pytest.mark.parametrize("case", [CASES[TOKEN]], ids=["identity@token"], indirect=True)


@pytest.fixture
async def identity(case: ProviderCase, component: Find) -> Identity:
    """The provider of the case."""
    found: Identity = await component(case.offer)
    return found


@for_each("identity")
@pytest.mark.parametrize(
    "shown",
    [
        "", " ", "x", "a.b.c", "." * 100, "é" * 40, "\ud800", "\0",
        STATIC + "x", STATIC[:-1], STATIC.upper(), "x" * 10_000_000,
    ],
    ids=[
        "none", "blank", "short", "dots", "many dots", "accents", "surrogate", "nul",
        "longer", "shorter", "upper", "huge",
    ],
)  # fmt: skip
async def test_what_proves_nothing_is_turned_away(identity: Identity, shown: str) -> None:
    """In one way, at once, and without being repeated."""
    with pytest.raises(UnauthenticatedError) as caught:
        await identity.authenticate(shown)

    assert len(caught.value.render()) < 200
    assert (caught.value.code, caught.value.exit_code) == ("unauthenticated", 3)
    if len(shown) > 5:
        assert shown[:20] not in caught.value.render()


@for_token
async def test_every_known_token_names_its_caller(identity: Identity) -> None:
    """So a new one can be used before the old one goes."""
    assert await identity.authenticate(STATIC) == Principal(subject="ci")
    assert await identity.authenticate(STATIC[::-1]) == Principal(subject="older")


@pytest.mark.parametrize(
    "tokens",
    [
        {"a": "short"},
        {"a": "x" * 31},
        {"a": "with a space in it, though it is long"},
        {"a": "ünïcode-tokens-cannot-be-sent-in-headers"},
        {"": "x" * 32},
        {"a\n": "x" * 32},
        {"a": "x" * 32, "b": "x" * 32},
        {f"name{n}": f"{n:032}" for n in range(65)},
    ],
    ids=["short", "31", "spaces", "accents", "nameless", "newline", "same", "many"],
)
def test_tokens_that_could_be_guessed_or_mixed_up_are_refused(tokens: dict[str, str]) -> None:
    """When the settings are read, and without showing them."""
    with pytest.raises(ValidationError) as caught:
        TokenIdentitySettings(tokens=tokens)  # type: ignore[arg-type]

    assert not any(text in str(caught.value) for text in tokens.values() if len(text) > 5)


async def test_without_tokens_nobody_is_let_in() -> None:
    """What is not configured yet is shut, not open."""
    identity = TokenIdentity(TokenIdentitySettings())

    for shown in ("", STATIC):
        with pytest.raises(UnauthenticatedError):
            await identity.authenticate(shown)


async def test_a_token_takes_as_long_whichever_is_right() -> None:
    """Each shown token is compared with every known one: the last is found like the first."""
    known = {f"name{n}": f"{n:032}" for n in range(64)}
    identity = TokenIdentity(TokenIdentitySettings(tokens=known))  # type: ignore[arg-type]

    found = [await identity.authenticate(text) for text in known.values()]

    assert [each.subject for each in found] == list(known)


@for_oidc
async def test_a_caller_is_known_by_what_the_issuer_says(identity: Identity) -> None:
    """With either kind of key, and an audience that is one of several."""
    caller = Principal(subject="1150", issuer=NAME, email=EMAIL)

    assert await identity.authenticate(token()) == caller
    assert await identity.authenticate(token("elliptic", "ES256")) == caller
    assert await identity.authenticate(token(aud=["x", AUDIENCE])) == caller


NOW = int(time.time())


@for_oidc
@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"},
        {"iss": NAME + "/"},
        {"aud": "https://other.example/tasks"},
        {"aud": []},
        {"exp": NOW - 60},
        {"exp": "soon"},
        {"nbf": NOW + 7200},
        {"iat": NOW + 7200},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": 7},
    ],
    ids=str,
)
async def test_a_token_that_is_wrong_in_one_thing_is_turned_away(
    identity: Identity, wrong: dict[str, Any]
) -> None:
    """However well it is signed."""
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(token(**wrong))

    assert (await identity.authenticate(token())).subject


@for_oidc
@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "eve@example.org"},
        {"email": EMAIL.upper()},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": ""},
        {"email": [EMAIL]},
    ],
    ids=str,
)
async def test_a_caller_who_is_not_let_in_is_told_apart_from_nobody(
    identity: Identity, wrong: dict[str, Any]
) -> None:
    """The issuer knows them, but they are not on the list; an unverified address is none."""
    with pytest.raises(PermissionDeniedError):
        await identity.authenticate(token(**wrong))


def unsigned() -> str:
    return jwt.encode(claims(), "", algorithm="none")


def confused(alg: str) -> str:
    """Sign with the public key as if it were a shared secret, as RFC 8725, 2.1 tells."""
    pem = (
        rsa_key("one")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    parts = [{"alg": alg, "typ": "JWT", "kid": "one"}, claims()]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
    made = jwt.get_algorithm_by_name("HS256").sign(text, pem)
    return (text + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")).decode()


def with_header(**header: Any) -> str:
    return jwt.encode(claims(), rsa_key("one"), algorithm="RS256", headers=header)


def forged() -> str:
    return jwt.encode(claims(), rsa_key("eve"), algorithm="RS256", headers={"kid": "one"})


def changed() -> str:
    head, _, signature = token().split(".")
    said = json.dumps(claims(sub="root")).encode()
    return f"{head}.{base64.urlsafe_b64encode(said).rstrip(b'=').decode()}.{signature}"


def deep() -> str:
    head = base64.urlsafe_b64encode(b"[" * 9_000).rstrip(b"=").decode()
    return f"{head}.e30.e30"


@for_oidc
@pytest.mark.parametrize(
    "shown",
    [
        unsigned,
        lambda: confused("HS256"),
        lambda: confused("RS256"),
        forged,
        changed,
        deep,
        lambda: with_header(kid="one", crit=["b64"], b64=False),
        lambda: with_header(kid="elliptic"),
        lambda: with_header(kid="../../etc/passwd"),
        lambda: with_header(kid="one", alg="RS512"),
        lambda: with_header(kid="eve", jwk=public("eve"), jku="http://127.0.0.1:1/"),
        lambda: jwt.encode(claims(), rsa_key("one"), algorithm="RS512", headers={"kid": "one"}),
        lambda: jwt.encode(claims(), rsa_key("one"), algorithm="PS256", headers={"kid": "one"}),
        lambda: token(sub="x" * 20_000),
        lambda: token()[:-3],
        lambda: token() + "=",
        lambda: f"Bearer {token()}",
    ],
    ids=[
        "none", "HS256 with the public key", "HS256 called RS256", "another key", "changed claims",
        "deep header", "crit", "key of another kind", "path as key", "alg twice", "own key along",
        "RS512", "PS256", "huge", "cut", "padded", "with its scheme",
    ],
)  # fmt: skip
async def test_a_forged_token_is_turned_away(identity: Identity, shown: Any) -> None:
    """Algorithms are those that the settings name, keys those that the issuer has."""
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(shown())

    assert (await identity.authenticate(token())).subject


async def test_a_key_that_comes_with_a_rotation_is_fetched_once(issuer: Issuer) -> None:
    """And the one that has gone counts no more."""
    identity = await opened(issuer, clock := ManualClock())
    await identity.authenticate(token("one"))
    issuer.show(public("two"))
    with pytest.raises(UnauthenticatedError):  # the issuer was asked just now
        await identity.authenticate(token("two"))
    clock.advance(10)
    calls = [identity.authenticate(token("two")) for _ in range(50)]

    assert len(set(await asyncio.gather(*calls))) == 1
    assert issuer.asked == 2
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(token("one"))
    await identity.cleanup()


async def test_a_storm_of_unknown_keys_asks_the_issuer_once_in_a_while(issuer: Issuer) -> None:
    """Whatever strangers send, and callers with good tokens are served meanwhile."""
    clock = ManualClock()
    identity = await opened(issuer, clock)
    storm = [token(f"unknown{n}" if n % 2 else "one") for n in range(2)] * 100

    for _ in range(3):
        answers = await asyncio.gather(*map(identity.authenticate, storm), return_exceptions=True)
        clock.advance(10)

    assert {type(each) for each in answers} == {Principal, UnauthenticatedError}
    assert issuer.asked == 3
    await identity.cleanup()


async def opened(issuer: Issuer, clock: ManualClock, /, **more: Any) -> OidcIdentity:
    """Bring one up that has not asked yet."""
    settings = OidcIdentitySettings.model_validate(
        {
            "issuer": NAME,
            "audience": [AUDIENCE],
            "emails": [EMAIL],
            "jwks_url": issuer.address,
            "timeout": 2,
            **more,
        }
    )
    identity = OidcIdentity(settings, clock=clock)
    await identity.init()
    return identity


@pytest.mark.parametrize(
    "lie",
    [
        Status(500), Status(404), RedirectTo("/other"), Sends(b"not json"), Sends(b"[]"),
        Sends(b'{"keys": {}}'), Sends(b'{"keys": []}'), Sends(b'{"keys": [1, null, {"kty": 7}]}'),
        Sends(json.dumps({"keys": [public("one")] * 101}).encode()), Endless(), Silent(),
    ],
    ids=lambda lie: type(lie).__name__ + repr(getattr(lie, "data", ""))[:24],
)  # fmt: skip
async def test_without_an_issuer_nobody_can_tell(issuer: Issuer, lie: Any) -> None:
    """Which the caller may try again; and it works as soon as the issuer is back."""
    clock = ManualClock()
    identity = await opened(issuer, clock, timeout=0.5)
    issuer.server.always(KEYS, lie)

    with pytest.raises(UnavailableError):
        await identity.authenticate(token())
    unwell = await identity.health()
    issuer.server.honest()
    clock.advance(10)

    assert (unwell.healthy, unwell.detail != "") == (False, True)
    assert (await identity.authenticate(token())).subject
    assert bool(await identity.health())
    await identity.cleanup()


async def test_known_keys_serve_on_while_the_issuer_is_away(issuer: Issuer) -> None:
    """For as long as the settings say, and no longer."""
    clock = ManualClock()
    identity = await opened(issuer, clock, keys_seconds=60, stale_seconds=600)
    await identity.authenticate(token())
    issuer.server.always(KEYS, Status(503))

    clock.advance(300)
    assert (await identity.authenticate(token())).subject
    clock.advance(400)
    with pytest.raises(UnavailableError, match="answered 503"):
        await identity.authenticate(token())
    await identity.cleanup()


async def test_a_key_that_the_issuer_withdrew_ends_with_the_next_look(issuer: Issuer) -> None:
    """Which is due every `keys_seconds`, whatever tokens come."""
    clock = ManualClock()
    identity = await opened(issuer, clock, keys_seconds=60)
    await identity.authenticate(token())
    issuer.show(public("two"))

    assert (await identity.authenticate(token())).subject
    clock.advance(60)
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(token())
    await identity.cleanup()


@pytest.mark.parametrize(
    "jwk",
    [
        {**public("one"), "use": "enc"},
        {**public("one"), "alg": "ES256"},
        {"kty": "oct", "kid": "one", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "alg": "HS256"},
        jwt.get_algorithm_by_name("RS256").to_jwk(rsa_key("one"), as_dict=True) | {"kid": "one"},
        {**public("one"), "n": "AQAB"},
        {**public("one"), "n": "no base64 %"},
        {"kid": "one"},
    ],
    ids=["encrypts", "other alg", "shared secret", "private", "tiny", "broken", "empty"],
)
async def test_a_key_that_is_for_nothing_here_is_left_out(issuer: Issuer, jwk: Any) -> None:
    """Though a token names it; the others of the set count."""
    issuer.show(jwk, public("elliptic", "ES256"))
    identity = await opened(issuer, ManualClock())

    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(token())
    assert (await identity.authenticate(token("elliptic", "ES256"))).subject
    await identity.cleanup()


async def test_a_token_without_a_key_id_needs_an_issuer_with_one_key(issuer: Issuer) -> None:
    """Of the kind that it is signed with."""
    shown = jwt.encode(claims(), rsa_key("one"), algorithm="RS256")
    identity = await opened(issuer, clock := ManualClock())

    assert (await identity.authenticate(shown)).subject
    issuer.show(public("one"), public("two"))
    clock.advance(3_600)
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(shown)
    await identity.cleanup()


@for_oidc
async def test_keys_are_found_by_discovery(here: Surroundings, issuer: Issuer) -> None:
    """Where no address of them is given."""
    name = issuer.server.origin
    here.changes[OIDC] = {"issuer": name, "jwks_url": ""}

    async with brought_up(here) as find:
        identity: Identity = await find(OIDC)
        assert (await identity.authenticate(token(iss=name))).issuer == name
        with pytest.raises(UnauthenticatedError):
            await identity.authenticate(token())


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://other.example"},
        {"issuer": "OWN", "jwks_uri": "http://other.example/keys"},
        {"issuer": "OWN", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "OWN", "jwks_uri": 7},
        {"issuer": "OWN"},
    ],
    ids=["another's", "plain http", "file", "number", "none"],
)
async def test_a_discovery_that_leads_elsewhere_is_not_followed(
    issuer: Issuer, told: dict[str, Any]
) -> None:
    """Keys come by TLS, and from the issuer that is meant."""
    name = issuer.server.origin
    told = {key: name if value == "OWN" else value for key, value in told.items()}
    issuer.server.put(DISCOVERY, json.dumps(told).encode())
    identity = await opened(issuer, ManualClock(), issuer=name, jwks_url="")

    with pytest.raises(UnavailableError):
        await identity.authenticate(token(iss=name))
    await identity.cleanup()


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "issuer.example"},
        {"issuer": ""},
        {"jwks_url": "http://issuer.example/keys"},
        {"jwks_url": "https://ada:hunter2@issuer.example/keys"},
        {"audience": []},
        {"audience": [""]},
        {"emails": []},
        {"emails": [""]},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"refetch_seconds": 0},
    ],
    ids=str,
)
def test_settings_that_would_let_anybody_in_are_refused(wrong: dict[str, Any]) -> None:
    """When they are read."""
    right = {"issuer": NAME, "audience": [AUDIENCE], "emails": [EMAIL]}

    with pytest.raises(ValidationError) as caught:
        OidcIdentitySettings.model_validate(right | wrong)

    assert "hunter2" not in str(caught.value)


async def test_everybody_of_an_issuer_is_let_in_only_when_asked_for(issuer: Issuer) -> None:
    """By the subject `*`; a listed subject needs no address."""
    anybody = await opened(issuer, ManualClock(), emails=[], subjects=["*"])
    one = await opened(issuer, ManualClock(), emails=[], subjects=["7"])

    assert (await anybody.authenticate(token(email=None))).email == ""
    assert (await one.authenticate(token(sub="7"))).subject == "7"
    with pytest.raises(PermissionDeniedError):
        await one.authenticate(token(sub="*"))
    await anybody.cleanup()
    await one.cleanup()


async def test_a_key_too_short_to_be_safe_does_not_count(issuer: Issuer) -> None:
    """Even where the issuer has one."""
    short = rsa.generate_private_key(65537, 1024)
    made: Any = jwt.get_algorithm_by_name("RS256")
    issuer.show({**made.to_jwk(short.public_key(), as_dict=True), "kid": "short"})
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        shown = jwt.encode(claims(), short, algorithm="RS256", headers={"kid": "short"})
    identity = await opened(issuer, ManualClock())

    with pytest.raises(UnauthenticatedError):
        await identity.authenticate(shown)
    await identity.cleanup()


async def test_no_token_reaches_the_log(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """Good or bad, whole or in part."""
    caplog.set_level(logging.DEBUG)
    identity = await opened(issuer, ManualClock())
    good, bad = token(), jwt.encode(claims(), ec_key("eve"), "ES256", headers={"kid": "eve"})
    await identity.authenticate(good)
    with pytest.raises(UnauthenticatedError) as caught:
        await identity.authenticate(bad)
    await identity.cleanup()

    shown = caplog.text + caught.value.render() + repr(identity)
    assert not any(part in shown for each in (good, bad) for part in each.split("."))
