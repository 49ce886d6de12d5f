"""`compression.hash`: the digest of a value, a text or bytes."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, JsonValue, model_validator

from oneiric.actions.kit import Base64, Encoding, Payload, Result, content_of, encoded, one_of

HashAlgorithm: TypeAlias = Literal["sha256", "sha512", "blake2b"]


class HashPayload(Payload):
    """Exactly one of value (hashed as canonical JSON, RFC 8785), text (UTF-8) and data (base64)."""

    value: JsonValue = None
    text: str | None = None
    data: Base64 | None = None
    algorithm: HashAlgorithm = "sha256"
    encoding: Encoding = "hex"
    salt: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, ("value", "text", "data"))
        return self


class HashResult(Result):
    """The digest; with a salt, of the salt's UTF-8 bytes followed by the content."""

    status: Literal["hashed"] = "hashed"
    algorithm: HashAlgorithm
    encoding: Encoding
    digest: str
    salted: bool


class CompressionHash:
    """Return a digest; for passwords use `security.secure`, for signatures `security.signature`."""

    payload: ClassVar[type[BaseModel]] = HashPayload
    result: ClassVar[type[BaseModel]] = HashResult

    def execute(self, payload: HashPayload) -> HashResult:
        """Hash it."""
        content = content_of(payload.text, payload.value, payload.data)
        digest = hashlib.new(payload.algorithm, payload.salt.encode() + content).digest()
        return HashResult(
            algorithm=payload.algorithm,
            encoding=payload.encoding,
            digest=encoded(digest, payload.encoding),
            salted=bool(payload.salt),
        )
