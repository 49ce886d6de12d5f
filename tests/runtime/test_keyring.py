"""Keys are made for their owner only, found by name, and never shown."""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from oneiric.errors import InvalidError, InvalidPathError, NotFoundError, OneiricError
from oneiric.remote.errors import InvalidKeyError, SealedKeyError
from oneiric.remote.security import PrivateKey
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.keyring import Keyring, read_passphrase

KEY = PrivateKey(b"\7" * 32)
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
SEED = base64.b64encode(KEY.seed).decode()


def ring(folder: Path, passphrase: bytes | None = None) -> Keyring:
    return Keyring(
        folder, runtime=lambda: RuntimeOrchestrator.open(folder=folder), passphrase=passphrase
    )


def test_a_new_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Folder 0700, file 0600, named after its id; no two are the same."""
    made = [ring(tmp_path).generate() for _ in range(2)]

    folder = tmp_path / ".oneiric_cache" / "keys"
    assert {each.path for each in made} == set(folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for each in made:
        assert stat.S_IMODE(each.path.stat().st_mode) == 0o600
        assert each.path.stem == each.public.id[:16]
        assert ring(tmp_path).private(str(each.path)).public == each.public


def test_a_key_is_never_written_over_another_unless_forced(tmp_path: Path) -> None:
    """Whoever loses a key loses whoever trusts it."""
    path = tmp_path / "deep" / "key.json"
    first = ring(tmp_path).generate(path)
    before = path.read_bytes()

    with pytest.raises(InvalidPathError, match="exists already"):
        ring(tmp_path).generate(path)

    assert path.read_bytes() == before
    second = ring(tmp_path).generate(path, force=True)
    assert ring(tmp_path).private(str(path)).public == second.public != first.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_sealed_key_needs_its_passphrase_but_its_public_half_does_not(tmp_path: Path) -> None:
    """And the answer never holds the private half."""
    path = tmp_path / "key.json"
    made = ring(tmp_path, b"correct horse").generate(path)
    seed = ring(tmp_path, b"correct horse").private(str(path)).seed

    assert made.is_sealed
    assert base64.b64encode(seed) not in path.read_bytes()
    assert base64.b64encode(seed).decode() not in str(made.as_json())
    assert ring(tmp_path).public(str(path)) == made.public
    for passphrase in (None, b"wrong"):
        with pytest.raises(SealedKeyError, match=r"sealed|open the key"):
            ring(tmp_path, passphrase).private(str(path))


def test_a_key_can_be_a_secret_of_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through whichever secrets adapter serves, several in a row."""
    monkeypatch.setenv("ONEIRIC_SECRET_SIGNING_KEY", SEED)
    keys = ring(tmp_path)

    assert keys.private("secret:signing-key") == KEY
    assert keys.public("secret:signing-key") == KEY.public
    assert keys.either("secret:signing-key") == KEY
    with pytest.raises(OneiricError) as caught:
        keys.private("secret:other")
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("form", "is_private"),
    [
        (lambda: KEY.write(), True),
        (lambda: SEED.encode(), True),
        (lambda: KEY.seed.hex().encode() + b"\n", True),
        (lambda: base64.b64encode(PKCS8 + KEY.seed), True),
        (lambda: _pem("PUBLIC", "302a300506032b6570032100", KEY.public.raw), False),
        (lambda: _pem("PRIVATE", PKCS8.hex(), KEY.seed), True),
    ],
    ids=["key file", "base64", "hexadecimal", "PKCS8", "public PEM", "private PEM"],
)
def test_a_key_is_private_unless_it_says_otherwise(
    form: Callable[[], bytes], is_private: bool, tmp_path: Path
) -> None:
    """So that a root key of somebody else can be named by what they sent."""
    path = tmp_path / "key"
    path.write_bytes(form())

    assert ring(tmp_path).either(str(path)) == (KEY if is_private else KEY.public)
    assert ring(tmp_path).either(f"public:{KEY.public.text}") == KEY.public


@pytest.mark.parametrize("text", [SEED, KEY.seed.hex(), f"{KEY.seed.hex().upper()}\n"])
def test_a_private_key_is_never_published_for_want_of_a_word(text: str, tmp_path: Path) -> None:
    """Where a file may hold either half, its public one is not guessed."""
    path = tmp_path / "key"
    path.write_text(text)

    with pytest.raises(InvalidKeyError, match="which half") as caught:
        ring(tmp_path).public(str(path))

    assert text.strip() not in caught.value.render()


def test_what_is_no_key_is_named_and_not_shown(tmp_path: Path) -> None:
    """Its file is, its content is not."""
    path = tmp_path / "key"
    path.write_text("hunter2")

    with pytest.raises(InvalidKeyError) as caught:
        ring(tmp_path).private(str(path))
    with pytest.raises(InvalidKeyError) as text:
        ring(tmp_path).public("public:hunter2")
    with pytest.raises(NotFoundError):
        ring(tmp_path).private(str(tmp_path / "gone"))

    assert caught.value.message.startswith(f"{path}: it is no Ed25519 key")
    assert "hunter2" not in caught.value.render() + text.value.render()


def test_a_passphrase_is_all_but_one_line_end() -> None:
    """As editors and `echo` leave it."""
    for data in (b" a b ", b" a b \n", b" a b \r\n"):
        assert read_passphrase(data) == b" a b "
    for data in (b"", b"\n", b"x" * 9000):
        with pytest.raises(InvalidError):
            read_passphrase(data)


def _pem(word: str, prefix: str, raw: bytes) -> bytes:
    body = base64.b64encode(bytes.fromhex(prefix) + raw).decode()
    return f"-----BEGIN {word} KEY-----\n{body}\n-----END {word} KEY-----\n".encode()
