"""`security.signature`: an HMAC over a message."""

from __future__ import annotations

import hmac
from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, JsonValue, SecretStr, model_validator

from oneiric.actions.kit import Base64, Encoding, Payload, Result, content_of, encoded, one_of
from oneiric.clock import Clock, SystemClock, rfc3339

SignatureAlgorithm: TypeAlias = Literal["sha256", "sha384", "sha512"]


class SignaturePayload(Payload):
    """Exactly one of message (UTF-8), body (signed as canonical JSON) and data (base64)."""

    secret: SecretStr = Field(min_length=1)
    message: str | None = None
    body: JsonValue = None
    data: Base64 | None = None
    algorithm: SignatureAlgorithm = "sha256"
    encoding: Encoding = "hex"
    header: str = Field(default="X-Signature", pattern=r"^[A-Za-z0-9-]+$")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        one_of(self, ("message", "body", "data"))
        return self


class SignatureResult(Result):
    """The signature, the name of the header to send it in, and when it was made.

    The timestamp is not part of what was signed.
    """

    status: Literal["signed"] = "signed"
    algorithm: SignatureAlgorithm
    encoding: Encoding
    signature: str
    header: str
    timestamp: str


class SecuritySignature:
    """Sign with HMAC (RFC 2104); the secret stands in no result and no error."""

    payload: ClassVar[type[BaseModel]] = SignaturePayload
    result: ClassVar[type[BaseModel]] = SignatureResult

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def execute(self, payload: SignaturePayload) -> SignatureResult:
        """Sign it."""
        content = content_of(payload.message, payload.body, payload.data)
        key = payload.secret.get_secret_value().encode()
        return SignatureResult(
            algorithm=payload.algorithm,
            encoding=payload.encoding,
            signature=encoded(hmac.digest(key, content, payload.algorithm), payload.encoding),
            header=payload.header,
            timestamp=rfc3339(self._clock.now()),
        )
