"""`security.secure`: tokens, passwords old and new, comparisons."""

import base64
import hashlib
from typing import Any

import pytest

from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act

SECURE = "security.secure"


def pbkdf2(password: str, salt: bytes, rounds: int = 100_000) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


def bare(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


async def verify(act: Act, password: str, stored: str) -> tuple[bool, bool]:
    found: dict[str, Any] = await act(
        SECURE, mode="password-verify", password=password, hash=stored
    )
    return found["valid"], found["needs_rehash"]


async def test_a_password_is_known_by_its_hash(act: Act) -> None:
    """Hashed with scrypt and a salt of its own; another password is not it."""
    first, second = [
        (await act(SECURE, mode="password-hash", password="pä55"))["hash"] for _ in "12"
    ]

    assert first.startswith("$scrypt$ln=15,r=8,p=3$")
    assert first != second
    assert await verify(act, "pä55", first) == (True, False)
    assert await verify(act, "pa55", first) == (False, False)


async def test_hashes_of_pbkdf2_are_verified_and_should_be_made_anew(act: Act) -> None:
    """In each of their usual spellings."""
    salt = b"\xfb\xff0123456789ab"
    key = pbkdf2("secret", salt)
    modular = f"$pbkdf2-sha256$100000${bare(salt)}${bare(key)}"
    text = f"pbkdf2_sha256$100000$seasalt${base64.b64encode(pbkdf2('secret', b'seasalt')).decode()}"

    for stored in (modular, modular.replace("+", "."), modular.replace("$100", "$i=100"), text):
        assert await verify(act, "secret", stored) == (True, True)
        assert await verify(act, "Secret", stored) == (False, True)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$scrypt$ln=15,r=8,p=99$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$scrypt$ln=0,r=8,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$pbkdf2-sha256$9999999$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$pbkdf2-sha256$0$c2FsdHNhbHQ$c2FsdHNhbHQ",
        "$pbkdf2-sha256$1000$c2FsdHNhbHQ$*",
        "$pbkdf2-sha256$1000$c2FsdHNhbHQ$YQ",
    ],
)
async def test_a_hash_that_asks_for_too_much_is_refused(act: Act, stored: str) -> None:
    """Before any of it is spent; so is one of no known form, or with a key of nothing."""
    with pytest.raises(InvalidPayloadError, match=r"payload\.hash") as caught:
        await verify(act, "secret", stored)
    assert "secret" not in str(caught.value)


async def test_tokens_and_comparisons(act: Act) -> None:
    """No two tokens are alike; texts are compared whole, whatever their letters."""
    tokens = {(await act(SECURE, mode="token", length=16))["token"] for _ in range(5)}
    same = await act(SECURE, mode="compare", left="ä", right="ä")
    other = await act(SECURE, mode="compare", left="ä", right="äb")

    assert {len(token) for token in tokens} == {22}
    assert len(tokens) == 5
    assert (same["equal"], other["equal"]) == (True, False)


async def test_a_mode_takes_its_own_fields_only(act: Act) -> None:
    """All that lacks and all that is too much is told."""
    with pytest.raises(InvalidPayloadError) as caught:
        await act(SECURE, mode="password-verify", password="p", left="l")
    assert str(caught.value).endswith("payload: its mode needs hash; its mode does not use left")


@pytest.mark.parametrize(
    "payload",
    [
        {"mode": "compare", "left": None, "right": None},
        {"mode": "compare", "left": None, "right": ""},
        {"mode": "password-hash", "password": None},
        {"mode": "password-hash", "password": ""},
        {"mode": "password-verify", "password": None, "hash": "x"},
    ],
)
async def test_a_secret_that_is_missing_equals_nothing(act: Act, payload: dict[str, Any]) -> None:
    """Two secrets that were not found are not the same secret."""
    with pytest.raises(InvalidPayloadError):
        await act("security.secure", **payload)
