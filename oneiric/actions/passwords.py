"""Password hashes: made with scrypt, and those of PBKDF2 still verified.

    $scrypt$ln=15,r=8,p=3$SALT$HASH       ours; base64 without padding
    $pbkdf2-sha256$100000$SALT$HASH       or i=100000; `.` may stand for `+`
    pbkdf2_sha256$100000$SALT$HASH        the salt is text, the hash base64

What a hash asks for is bounded before any of it is spent: a hostile one costs at most
256 MiB and 2,000,000 rounds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

MEMORY_LIMIT = 256 * 1024 * 1024
ROUNDS_LIMIT = 2_000_000
_SCRYPT = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([^$]{1,256})\$([^$]{1,256})"
)
_PBKDF2 = re.compile(r"\$pbkdf2-sha256\$(?:i=)?(\d{1,7})\$([^$]{1,256})\$([^$]{1,256})")
_PBKDF2_TEXT = re.compile(r"pbkdf2_sha256\$(\d{1,7})\$([^$]{1,256})\$([^$]{1,256})")


class UnknownHashError(ValueError):
    """A text that is no hash of a known form, or asks for too much."""


@dataclass(frozen=True, slots=True)
class Scrypt:
    """The cost of scrypt: 2**ln * r * 128 bytes of memory, p times over."""

    ln: int = 15
    r: int = 8
    p: int = 3

    @property
    def memory(self) -> int:
        """The bytes that one hash needs."""
        return (128 * self.r << self.ln) + 128 * self.r * (self.p + 2)

    def derive(self, password: str, salt: bytes, length: int) -> bytes:
        """Return the key of a password."""
        return hashlib.scrypt(
            password.encode(),
            salt=salt,
            n=1 << self.ln,
            r=self.r,
            p=self.p,
            maxmem=2 * MEMORY_LIMIT,
            dklen=length,
        )


CURRENT = Scrypt()


def hashed(password: str) -> str:
    """Return the hash of a password, with a new salt and today's cost."""
    salt = secrets.token_bytes(16)
    key = CURRENT.derive(password, salt, 32)
    cost = f"ln={CURRENT.ln},r={CURRENT.r},p={CURRENT.p}"
    return f"$scrypt${cost}${_text(salt)}${_text(key)}"


def verified(password: str, stored: str) -> tuple[bool, bool]:
    """Tell whether *password* is the one, and whether *stored* should be made anew.

    Keys are compared in constant time.

    Raises:
        UnknownHashError: *stored* has no known form, or asks for too much.
    """
    if match := _SCRYPT.fullmatch(stored):
        cost, key = Scrypt(int(match[1]), int(match[2]), int(match[3])), _bytes(match[5])
        if not (cost.ln and cost.r and 1 <= cost.p <= 16) or cost.memory > MEMORY_LIMIT:
            raise UnknownHashError("the cost that it names is not allowed")
        found = cost.derive(password, _bytes(match[4]), len(key))
        return hmac.compare_digest(found, key), cost != CURRENT
    if match := _PBKDF2.fullmatch(stored):
        rounds, salt, key = match[1], _bytes(match[2]), _bytes(match[3])
    elif match := _PBKDF2_TEXT.fullmatch(stored):
        rounds, salt, key = match[1], match[2].encode(), _bytes(match[3])
    else:
        raise UnknownHashError("it is no hash of a known form")
    if not 1 <= int(rounds) <= ROUNDS_LIMIT:
        raise UnknownHashError("the rounds that it names are not allowed")
    found = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(rounds), len(key))
    return hmac.compare_digest(found, key), True


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    bare = text.rstrip("=").replace(".", "+")
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnknownHashError("a part of it is not base64") from None
    if len(content) < 8:
        raise UnknownHashError("a part of it is too short")
    return content
