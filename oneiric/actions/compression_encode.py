"""`compression.encode`: compress and decompress, within limits."""

from __future__ import annotations

import base64
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, Protocol, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator

from oneiric.actions.kit import Base64, KitSettings, Payload, Result, content_of, one_of
from oneiric.domains.actions import InvalidPayloadError

Algorithm: TypeAlias = Literal["zlib", "bz2", "lzma"]
_MEMORY = 128 * 1024 * 1024


class CompressionSettings(KitSettings):
    """How much decompressing may give."""

    max_output_bytes: int = Field(default=16 * 1024 * 1024, ge=1)


class CompressionPayload(Payload):
    """Exactly one of text and data; `data` is base64, and the only one to decompress."""

    mode: Literal["compress", "decompress"] = "compress"
    algorithm: Algorithm = "zlib"
    text: str | None = None
    data: Base64 | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, ("text", "data") if self.mode == "compress" else ("data",))
        if self.mode == "decompress" and self.text is not None:
            raise ValueError("decompress takes data, in base64")
        return self


class CompressionResult(Result):
    """Compressed `data` in base64; or what came out, as `text` if it is UTF-8, else `data`."""

    mode: Literal["compress", "decompress"]
    algorithm: Algorithm
    text: str | None = None
    data: str | None = None


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
}
_DECOMPRESS: Mapping[str, Callable[[], _Decompressor]] = {
    "zlib": zlib.decompressobj,
    "bz2": bz2.BZ2Decompressor,
    "lzma": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
}


class CompressionEncode:
    """Compress text or bytes, or decompress them, never to more than the settings allow."""

    payload: ClassVar[type[BaseModel]] = CompressionPayload
    result: ClassVar[type[BaseModel]] = CompressionResult

    def __init__(self, settings: CompressionSettings) -> None:
        self._limit = settings.max_output_bytes

    def execute(self, payload: CompressionPayload) -> CompressionResult:
        """Do it.

        Raises:
            InvalidPayloadError: the data is damaged, ends early, is followed by more, or
                would become longer than the limit.
        """
        content = content_of(payload.text, None, payload.data)
        if payload.mode == "compress":
            packed = _COMPRESS[payload.algorithm](content)
            return self._told(payload, data=base64.b64encode(packed).decode())
        unpacked = self._decompressed(payload.algorithm, content)
        try:
            return self._told(payload, text=unpacked.decode())
        except UnicodeDecodeError:
            return self._told(payload, data=base64.b64encode(unpacked).decode())

    def _decompressed(self, algorithm: Algorithm, content: bytes) -> bytes:
        stream = _DECOMPRESS[algorithm]()
        try:
            found = stream.decompress(content, self._limit + 1)
            while not stream.eof and len(found) <= self._limit:
                more = stream.decompress(b"", self._limit + 1 - len(found))
                if not more:
                    break
                found += more
        except (zlib.error, lzma.LZMAError, OSError, EOFError):
            raise _wrong(f"it is no whole {algorithm} stream") from None
        if len(found) > self._limit:
            raise _wrong(f"it would become longer than {self._limit} bytes")
        if not stream.eof or stream.unused_data:
            raise _wrong(f"it is no whole {algorithm} stream")
        return found

    def _told(
        self, payload: CompressionPayload, *, text: str | None = None, data: str | None = None
    ) -> CompressionResult:
        return CompressionResult(
            mode=payload.mode, algorithm=payload.algorithm, text=text, data=data
        )


def _wrong(what: str) -> InvalidPayloadError:
    return InvalidPayloadError.of([("data", what)])
