"""`compression.encode`: round trips, limits, and what is no stream."""

import base64
import bz2
import lzma
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given as law
from hypothesis import strategies as st

from oneiric.actions.compression_encode import (
    CompressionEncode,
    CompressionPayload,
    CompressionSettings,
)
from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act, GivenSettings
from tests.actions.values import TEXT

ALGORITHMS = ("zlib", "bz2", "lzma")
PACK: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
}


def run(**payload: Any) -> Any:
    kit = CompressionEncode(CompressionSettings(max_output_bytes=100_000))
    return kit.execute(CompressionPayload.model_validate(payload)).model_dump()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@law(text=TEXT, algorithm=st.sampled_from(ALGORITHMS))
def test_any_text_comes_back(text: str, algorithm: str) -> None:
    """Compressed and decompressed it is the same text."""
    packed = run(mode="compress", algorithm=algorithm, text=text)
    again = run(mode="decompress", algorithm=algorithm, data=packed["data"])

    assert (packed["text"], again["text"], again["data"]) == (None, text, None)


@law(content=st.binary(max_size=64), algorithm=st.sampled_from(ALGORITHMS))
def test_any_bytes_come_back(content: bytes, algorithm: str) -> None:
    """As text where they are UTF-8, else as base64."""
    packed = run(mode="compress", algorithm=algorithm, data=b64(content))
    again = run(mode="decompress", algorithm=algorithm, data=packed["data"])

    found = again["text"].encode() if again["data"] is None else base64.b64decode(again["data"])
    assert found == content


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_defect_oneiric_z2_a_bomb_is_refused_before_it_grows(
    act: Act, given: GivenSettings, algorithm: str
) -> None:
    """A few hundred bytes that stand for many megabytes cost no more than the limit."""
    given["builtin-compression"] = {"max_output_bytes": 1000}
    bomb = b64(PACK[algorithm](bytes(50_000_000)))

    began = time.perf_counter()
    with pytest.raises(InvalidPayloadError) as caught:
        await act("compression.encode", mode="decompress", algorithm=algorithm, data=bomb)

    assert str(caught.value).endswith("payload.data: it would become longer than 1000 bytes")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_limit_itself_is_allowed(algorithm: str) -> None:
    """As many bytes as the settings say come out; one more does not."""
    exact = b64(PACK[algorithm](b"a" * 100_000))
    above = b64(PACK[algorithm](b"a" * 100_001))

    assert run(mode="decompress", algorithm=algorithm, data=exact)["text"] == "a" * 100_000
    with pytest.raises(InvalidPayloadError):
        run(mode="decompress", algorithm=algorithm, data=above)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_damaged_stream_is_refused(algorithm: str) -> None:
    """Garbage, a stream that ends early and one that is followed by more."""
    whole = PACK[algorithm](b"hello " * 100)
    for wrong in (b"", b"garbage", whole[:-3], whole + b"more"):
        with pytest.raises(InvalidPayloadError, match="it is no whole"):
            run(mode="decompress", algorithm=algorithm, data=b64(wrong))


async def test_a_payload_is_exactly_one_of_text_and_data(act: Act) -> None:
    """None, both, text to decompress and what is no base64 are refused."""
    for wrong in (
        {},
        {"text": "a", "data": "YQ=="},
        {"text": "a", "mode": "decompress"},
        {"data": "*", "mode": "decompress"},
    ):
        with pytest.raises(InvalidPayloadError):
            await act("compression.encode", **wrong)
