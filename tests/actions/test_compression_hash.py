"""`compression.hash`: known digests, and what exactly is hashed."""

import hashlib

import pytest

from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_a_text_has_its_known_digest(act: Act) -> None:
    """SHA-256 of `abc`, given as text or as base64."""
    whole = await act("compression.hash", text="abc")

    assert whole == {
        "status": "hashed",
        "algorithm": "sha256",
        "encoding": "hex",
        "digest": ABC,
        "salted": False,
    }
    assert (await act("compression.hash", data="YWJj"))["digest"] == ABC


async def test_equal_values_have_equal_digests(act: Act) -> None:
    """A value is hashed as canonical JSON: neither order nor spelling of numbers counts."""
    one = await act("compression.hash", value={"a": 1, "b": [True, None]})
    other = await act("compression.hash", value={"b": [True, None], "a": 1.0})

    assert one == other
    assert one["digest"] == hashlib.sha256(b'{"a":1,"b":[true,null]}').hexdigest()
    assert (await act("compression.hash", value=None))["digest"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake2b"])
async def test_a_salt_comes_before_the_content(act: Act, algorithm: str) -> None:
    """The digest is that of the salt followed by the text, in either encoding."""
    found = await act("compression.hash", text="b", salt="a", algorithm=algorithm)

    assert (found["digest"], found["salted"]) == (hashlib.new(algorithm, b"ab").hexdigest(), True)
    in_base64 = await act("compression.hash", text="", algorithm="sha256", encoding="base64")
    assert in_base64["digest"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


async def test_a_payload_is_exactly_one_content(act: Act) -> None:
    """Nothing, two contents and a weak algorithm are refused."""
    for wrong in ({}, {"text": "a", "value": 1}, {"text": "a", "algorithm": "md5"}):
        with pytest.raises(InvalidPayloadError):
            await act("compression.hash", **wrong)
