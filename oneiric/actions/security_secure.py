"""`security.secure`: tokens, password hashes, and comparing in constant time."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, SecretStr, model_validator

from oneiric.actions.kit import Payload, Result, needs
from oneiric.actions.passwords import UnknownHashError, hashed, verified
from oneiric.domains.actions import InvalidPayloadError

Mode: TypeAlias = Literal["token", "password-hash", "password-verify", "compare"]
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "token": (),
    "password-hash": ("password",),
    "password-verify": ("password", "hash"),
    "compare": ("left", "right"),
}


class SecurePayload(Payload):
    """What each mode needs.

    `token`: `length`, in bytes of chance; `password-hash`: `password`; `password-verify`:
    `password` and `hash`; `compare`: `left` and `right`.
    """

    mode: Mode
    length: int = Field(default=32, ge=16, le=1024)
    password: SecretStr | None = Field(default=None, min_length=1, max_length=4096)
    hash: str | None = Field(default=None, max_length=1024)
    left: SecretStr | None = None
    right: SecretStr | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needs(self, self.mode, _NEEDS)
        return self


class SecureResult(Result):
    """The field of the mode: `token`, `hash`, `valid` (and `needs_rehash`) or `equal`."""

    status: Literal["done"] = "done"
    mode: Mode
    token: str | None = None
    hash: str | None = None
    valid: bool | None = None
    needs_rehash: bool | None = None
    equal: bool | None = None


class SecuritySecure:
    """Make tokens, hash passwords with scrypt, verify them, and compare in constant time.

    Hashes of PBKDF2-SHA256 are verified too, and said to need hashing anew.
    """

    payload: ClassVar[type[BaseModel]] = SecurePayload
    result: ClassVar[type[BaseModel]] = SecureResult

    def execute(self, payload: SecurePayload) -> SecureResult:
        """Do it.

        Raises:
            InvalidPayloadError: the hash has no known form, or asks for too much.
        """
        mode, password = payload.mode, _told(payload.password)
        if mode == "token":
            return SecureResult(mode=mode, token=secrets.token_urlsafe(payload.length))
        if mode == "password-hash":
            return SecureResult(mode=mode, hash=hashed(password))
        if mode == "compare":
            left, right = _told(payload.left).encode(), _told(payload.right).encode()
            return SecureResult(mode=mode, equal=hmac.compare_digest(left, right))
        try:
            valid, needs_rehash = verified(password, payload.hash or "")
        except UnknownHashError as error:
            raise InvalidPayloadError.of([("hash", str(error))]) from None
        return SecureResult(mode=mode, valid=valid, needs_rehash=needs_rehash)


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
