"""An issuer of tokens on loopback, with real keys that it can rotate."""

import json
import time
from functools import cache
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from oneiric.testing import LoopbackServer
from tests.contract.chat import TOKEN

NAME = "https://issuer.example"
AUDIENCE = "https://service.example/tasks"
EMAIL = "tasks@project.iam.gserviceaccount.com"
STATIC = f"{TOKEN}-longer-than-thirty-two-characters"
KEYS = "/keys.json"
DISCOVERY = "/.well-known/openid-configuration"


@cache
def rsa_key(kid: str) -> rsa.RSAPrivateKey:
    """Return the key of that name; making one takes long."""
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(kid: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def claims(**more: Any) -> dict[str, Any]:
    """Return what a token of Cloud Tasks says; None leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": NAME,
        "aud": AUDIENCE,
        "sub": "1150",
        "email": EMAIL,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
        **more,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(kid: str = "one", alg: str = "RS256", **more: Any) -> str:
    """Return a signed token; *more* are claims in place of the usual ones."""
    key = ec_key(kid) if alg.startswith("ES") else rsa_key(kid)
    return jwt.encode(claims(**more), key, algorithm=alg, headers={"kid": kid})


def public(kid: str, alg: str = "RS256") -> dict[str, Any]:
    """Return the JWK of a key."""
    key = ec_key(kid) if alg.startswith("ES") else rsa_key(kid)
    made: Any = jwt.get_algorithm_by_name(alg)
    told: dict[str, Any] = made.to_jwk(key.public_key(), as_dict=True)
    return {**told, "kid": kid, "alg": alg, "use": "sig"}


class Issuer:
    """Serve a discovery document and keys, and count who asks."""

    def __init__(self) -> None:
        self.server = LoopbackServer()

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.show(public("one"), public("elliptic", "ES256"))
        told = {"issuer": self.server.origin, "jwks_uri": self.address}
        self.server.put(DISCOVERY, json.dumps(told).encode())
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)

    @property
    def address(self) -> str:
        """Where the keys are."""
        return self.server.address(KEYS)

    @property
    def asked(self) -> int:
        """How often somebody asked for the keys."""
        return len(self.server.asked(KEYS))

    def show(self, *keys: Any) -> None:
        """Have exactly these keys from now on."""
        self.server.put(KEYS, json.dumps({"keys": keys}).encode())
