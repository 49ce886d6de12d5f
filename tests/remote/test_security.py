"""Keys in every form that publishers have them in, made by others than us."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from oneiric.remote.errors import InvalidKeyError, SealedKeyError
from oneiric.remote.security import PrivateKey, PublicKey, is_private

SPKI, PKCS8 = "302a300506032b6570032100", "302e020100300506032b657004220420"
MANY = 64


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a private and a public key as `openssl` writes them."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl command on this machine")
    file = tmp_path_factory.mktemp("keys") / "key.pem"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", file], check=True)
    public = subprocess.run(
        [openssl, "pkey", "-in", file, "-pubout"], check=True, capture_output=True
    )
    return file.read_bytes(), public.stdout


def public_forms(key: PublicKey) -> dict[str, str]:
    """Return the documented forms of a public key."""
    der = bytes.fromhex(SPKI) + key.raw
    body = base64.b64encode(der).decode()
    return {
        "base64": key.text,
        "hexadecimal": key.raw.hex(),
        "hexadecimal in capitals": key.raw.hex().upper(),
        "SPKI as base64": body,
        "SPKI as hexadecimal": der.hex(),
        "PEM": f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n",
        "PEM of Windows": f"-----BEGIN PUBLIC KEY-----\r\n{body}\r\n-----END PUBLIC KEY-----\r\n",
    }


def private_forms(key: PrivateKey) -> dict[str, bytes]:
    """Return the documented forms of a private key."""
    der = bytes.fromhex(PKCS8) + key.seed
    body = base64.b64encode(der).decode()
    texts = {
        "base64": base64.b64encode(key.seed).decode(),
        "hexadecimal": key.seed.hex(),
        "PKCS8 as base64": body,
        "PKCS8 as hexadecimal": der.hex(),
        "PEM": f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n",
    }
    return {name: text.encode() for name, text in texts.items()} | {"key file": key.write()}


def test_defect_oneiric_s7_every_documented_form_of_a_key_is_read() -> None:
    """Whatever tool made them; many keys, for a form may only fail for some."""
    for number in range(MANY):
        private = PrivateKey(bytes([number]) * 32)

        for name, text in public_forms(private.public).items():
            assert PublicKey.read(text) == private.public, name
            assert PublicKey.half_of(text.encode()) == private.public, name
        for name, data in private_forms(private).items():
            assert PrivateKey.read(data) == private, name


def test_defect_oneiric_s7_keys_of_openssl_are_read(pem: tuple[bytes, bytes]) -> None:
    """And what we sign with them, `openssl` verifies."""
    private, public = pem
    key = PrivateKey.read(private)

    assert key.public == PublicKey.read(public.decode())
    assert PublicKey.half_of(private) == key.public
    assert (is_private(private), is_private(public)) == (True, False)


def test_a_signature_of_ours_is_one_for_openssl(pem: tuple[bytes, bytes], tmp_path: Path) -> None:
    """The same bytes, the same algorithm, nothing of our own."""
    private, public = pem
    files = {"data": b"what is signed", "public": public}
    files["sig"] = PrivateKey.read(private).sign(files["data"])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    words = ["-verify", "-pubin", "-inkey", "public", "-rawin", "-in", "data", "-sigfile", "sig"]
    done = subprocess.run(
        ["openssl", "pkeyutl", *words], cwd=tmp_path, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_private_key_is_never_taken_for_a_public_one() -> None:
    """Where a form says what it is, it is believed; a sealed key file tells its public half."""
    key = PrivateKey.generate()

    for name in ("PKCS8 as base64", "PKCS8 as hexadecimal", "PEM", "key file"):
        assert is_private(private_forms(key)[name]), name
        assert PublicKey.half_of(private_forms(key)[name]) == key.public, name
        with pytest.raises(InvalidKeyError):
            PublicKey.read(private_forms(key)[name].decode())
    assert PublicKey.half_of(key.write(passphrase=b"secret")) == key.public


def test_a_sealed_key_opens_with_its_passphrase_only() -> None:
    """And nothing of it is in the file as it was."""
    key = PrivateKey.generate()
    data = key.write(passphrase=b"secret")

    assert PrivateKey.read(data, passphrase=b"secret") == key
    assert base64.b64encode(key.seed) not in data
    for passphrase in (None, b"", b"Secret"):
        with pytest.raises(SealedKeyError):
            PrivateKey.read(data, passphrase=passphrase)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "ab" * 31,
        "ab" * 33,
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes.fromhex(PKCS8) + bytes(32)).decode(),
        base64.b64encode(bytes.fromhex("302a300506032b6570032101") + bytes(32)).decode(),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
        "é" * 44,
        "A" * 10_000,
    ],
)
def test_what_is_no_public_key_is_refused_and_never_shown(text: str) -> None:
    """It may be the private one, put in the wrong place."""
    with pytest.raises(InvalidKeyError) as caught:
        PublicKey.read(text)

    assert not text or text not in caught.value.render()
