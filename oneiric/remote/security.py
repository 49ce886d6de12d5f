"""Ed25519 keys: make, read and write them, sign and verify. The one door to the library.

A key id is derived from the key, so that no document can give a key another's name: the
SHA-256 of its 32 raw bytes, in hexadecimal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from nacl.exceptions import BadSignatureError, CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.signing import SigningKey, VerifyKey
from nacl.utils import random

from oneiric.documents import canonical, parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.remote.errors import InvalidKeyError, SealedKeyError

ALGORITHM = "ed25519"
SCHEMA = "oneiric.key/1"
ROUNDS, MEMORY = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
_RAW = 32
_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before 32 public bytes
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # and before 32 private ones
_LONGEST = 8192
_FORMS = "32 bytes as base64 or hexadecimal, or PEM"
_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")
_SEALED_PEM = "-----BEGIN ENCRYPTED"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half of a key pair that everybody may see.

    >>> key = PrivateKey.generate().public
    >>> PublicKey.read(key.text) == key, len(key.id)
    (True, 64)
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _RAW:
            raise InvalidKeyError(f"an Ed25519 key has 32 bytes, not {len(self.raw)}")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a key: base64 or hexadecimal of its 32 bytes or of its SPKI form, or PEM.

        Raises:
            InvalidKeyError: it is none of these.
        """
        return cls(_decoded(text, _SPKI))

    @classmethod
    def half_of(cls, data: bytes) -> Self:
        """Read the public key from either half of a pair; of a sealed key file no less.

        What may be either, 32 bytes without a word on which, is taken for the public half.

        Raises:
            InvalidKeyError: it is no key.
        """
        if data.lstrip()[:1] == b"{":
            told = _told(data)
            found = cls(_field(told, "public"))
            if found.id != told.get("id"):
                raise InvalidKeyError("the key file names another key than it holds")
            return found
        text = data.decode("ascii", errors="replace")
        if is_private(data):
            return cls(PrivateKey.read(data).public.raw)
        return cls.read(text)

    @property
    def id(self) -> str:
        """The key's name, derived from it: 64 hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def text(self) -> str:
        """The 32 bytes as base64."""
        return base64.b64encode(self.raw).decode("ascii")

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Tell whether this key made *signature* over *data*; a wrong length is no signature."""
        try:
            VerifyKey(self.raw).verify(data, signature)
        except (BadSignatureError, ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The half of a key pair that signs. Its text form never shows it."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _RAW:
            raise InvalidKeyError(f"an Ed25519 key has 32 bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls) -> Self:
        """Make a new key from the system's randomness."""
        return cls(random(_RAW))

    @classmethod
    def read(cls, data: bytes, *, passphrase: bytes | None = None) -> Self:
        """Read a key file of ours, PKCS#8 as PEM, base64 or hexadecimal, or the 32 bytes so.

        Raises:
            InvalidKeyError: it is none of these.
            SealedKeyError: it needs a passphrase, or another one.
        """
        if data.lstrip()[:1] == b"{":
            return cls(_unsealed(data, passphrase))
        return cls(_decoded(data.decode("ascii", errors="replace"), _PKCS8))

    def write(self, *, passphrase: bytes | None = None) -> bytes:
        """Return the content of a key file, sealed when a *passphrase* is given."""
        told: dict[str, JSONValue] = {
            "schema": SCHEMA,
            "algorithm": ALGORITHM,
            "id": self.public.id,
            "public": self.public.text,
        }
        if passphrase is None:
            told["seed"] = _base64(self.seed)
        else:
            salt = random(argon2id.SALTBYTES)
            box = SecretBox(_stretched(passphrase, salt, ROUNDS, MEMORY))
            told |= {"kdf": "argon2id", "rounds": ROUNDS, "memory": MEMORY}
            told |= {"salt": _base64(salt), "box": _base64(bytes(box.encrypt(self.seed)))}
        return canonical(told) + b"\n"

    @property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey(bytes(SigningKey(self.seed).verify_key))

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of a signature over *data*."""
        return bytes(SigningKey(self.seed).sign(data).signature)


def is_private(data: bytes) -> bool:
    """Tell whether *data* says of itself that it is a private key; 32 bare bytes say nothing."""
    if data.lstrip()[:1] == b"{":
        return True
    try:
        return _bytes(data.decode("ascii", errors="replace")).startswith(_PKCS8)
    except InvalidKeyError:
        return False


def _decoded(text: str, prefix: bytes) -> bytes:
    """Return the 32 raw bytes that *text* stands for, with or without their DER *prefix*."""
    raw = _bytes(text)
    if len(raw) == len(prefix) + _RAW and raw.startswith(prefix):
        raw = raw[len(prefix) :]
    if len(raw) != _RAW:
        raise InvalidKeyError(f"it is no Ed25519 key; expected {_FORMS}")
    return raw


def _bytes(text: str) -> bytes:
    if len(text) > _LONGEST:
        raise InvalidKeyError(f"it is longer than a key can be; expected {_FORMS}")
    if _SEALED_PEM in text:
        hint = "openssl pkey -in KEY.pem -out OPEN.pem, then delete that one again"
        raise InvalidKeyError("a sealed PEM is not read", hint=hint)
    lines = [line.strip() for line in text.strip().splitlines()]
    body = "".join(line for line in lines if not line.startswith("-----"))
    if _HEXADECIMAL.match(body):  # base64 that looks like it would be of another length
        return bytes.fromhex(body)
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidKeyError(f"it is no Ed25519 key; expected {_FORMS}") from None


def _told(data: bytes) -> Mapping[str, JSONValue]:
    """Return what a key file says, as far as that is the same for all."""
    try:
        told = parse(data[: _LONGEST + 1], "json")
    except DocumentError as error:
        raise InvalidKeyError(f"it is no key file: {error.problem}") from None
    if not isinstance(told, Mapping) or told.get("schema") != SCHEMA:
        raise InvalidKeyError(f"it is no key file: its schema is not {SCHEMA}")
    return told


def _unsealed(data: bytes, passphrase: bytes | None) -> bytes:
    told = _told(data)
    if "seed" in told:
        seed = _field(told, "seed")
    elif passphrase is None:
        raise SealedKeyError(
            "the key is sealed with a passphrase",
            hint="--passphrase-file FILE, or --passphrase-stdin",
        )
    else:
        box = SecretBox(_stretched(passphrase, _field(told, "salt"), *_cost(told)))
        try:
            seed = box.decrypt(_field(told, "box"))
        except (CryptoError, ValueError):
            raise SealedKeyError("the passphrase does not open the key") from None
    if PrivateKey(seed).public.id != told.get("id"):
        raise InvalidKeyError("the key file names another key than it holds")
    return seed


def _cost(told: Mapping[str, JSONValue]) -> tuple[int, int]:
    """Return rounds and memory of the key file, which may not cost more than ours do."""
    rounds, memory = told.get("rounds"), told.get("memory")
    if (
        not isinstance(rounds, int)
        or not isinstance(memory, int)
        or not 1 <= rounds <= ROUNDS
        or not argon2id.MEMLIMIT_MIN <= memory <= MEMORY
    ):
        raise InvalidKeyError("the key file names a cost that nobody pays")
    return rounds, memory


def _stretched(passphrase: bytes, salt: bytes, rounds: int, memory: int) -> bytes:
    if len(salt) != argon2id.SALTBYTES:
        raise InvalidKeyError("the key file has a salt of another length")
    return argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, opslimit=rounds, memlimit=memory)


def _field(told: Mapping[str, JSONValue], name: str) -> bytes:
    value = told.get(name)
    try:
        return base64.b64decode(value if isinstance(value, str) else "-", validate=True)
    except (ValueError, binascii.Error):
        raise InvalidKeyError(f"{name} of the key file is not base64") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
