"""The commands of publishers: what they print, where, how they end, and what they never show."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneiric.cli.app import main
from oneiric.remote.envelope import Envelope
from oneiric.remote.security import PrivateKey
from tests.acceptance.commands import environment, oneiric
from tests.cli.test_completion import in_zsh

Call = Callable[..., tuple[int, str, str]]
MANIFEST = """\
schema: oneiric.manifest/2
name: acme
version: 7
entries:
  - {domain: adapter, key: cache, provider: acme, factory: 'acme.cache:Cache', owner: me,
     license: MIT}
"""


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Return a caller of `oneiric` in *tmp_path*: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(MANIFEST)

    def run(line: str, given: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["oneiric", *line.split()])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


def answer(found: tuple[int, str, str], code: int = 0) -> Any:
    """Return the document that a command printed, after a look at how it ended."""
    assert found[0] == code, found
    return json.loads(found[1])


def published(call: Call) -> dict[str, Any]:
    """Make a key, a signed manifest and a trust root; return what was said of the key."""
    key: dict[str, Any] = answer(call("manifest keygen --output a.json --json"))
    assert call("manifest sign --input m.yaml --key a.json --output out/m.json")[0] == 0
    assert call("trust init --name acme --key a.json --factories acme --output root.json")[0] == 0
    return key


def test_a_publisher_goes_from_nothing_to_a_verified_manifest(call: Call) -> None:
    """Every verb in the order in which they are met."""
    assert call("manifest init shop.yaml --name shop")[0] == 0
    code, out, err = call("manifest lint shop.yaml --strict")
    assert (code, out, err) == (0, "shop.yaml: 0 errors, 0 warnings\n", "")
    key = published(call)

    code, out, err = call("manifest verify out/m.json --trust root.json")

    assert (code, err) == (0, "")
    assert out.startswith("verified: acme version 7, until ")
    assert f"signed by 1, 1 needed\n  {key['id']}\n1 entries, 0 in quarantine\n" in out
    found = answer(call("manifest verify out/m.json --trust root.json --json"))
    assert found["schema"] == "oneiric.manifest-verify/1"
    assert (found["signers"], found["quarantined"]) == ([key["id"]], [])


def test_what_is_not_trusted_ends_with_3_and_its_code(call: Call) -> None:
    """In one line for people, as one document for machines."""
    published(call)
    call("manifest keygen --output b.json")
    call("manifest sign --input m.yaml --key b.json --output bad.json")

    code, out, err = call("manifest verify bad.json --trust root.json")
    document = answer(call("manifest verify bad.json --trust root.json --json"), 3)

    assert (code, out) == (3, "")
    line = "error[under-signed]: bad.json: 0 of 1 trusted manifest keys signed it\n"
    assert err == line
    assert document["error"]["code"] == "under-signed"
    assert call("manifest verify m.yaml --trust root.json")[0] == 3
    assert call("manifest verify gone.json --trust root.json")[0] == 6


def test_the_commands_of_the_readme_work_in_a_fresh_checkout(tmp_path: Path) -> None:
    """The folder that is named is made."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "sample.yaml").write_text(MANIFEST)

    done = oneiric(
        *[
            "manifest",
            "pack",
            "--input",
            "docs/sample.yaml",
            "--output",
            "build/serverless_manifest.json",
        ],
        folder=tmp_path,
    )

    assert (done.code, done.err) == (0, "")
    packed = (tmp_path / "build" / "serverless_manifest.json").read_bytes()
    assert json.loads(packed)["name"] == "acme"


def test_without_an_output_the_bytes_are_printed_and_nothing_else(tmp_path: Path) -> None:
    """So that what is piped is what would have been written; nothing is left behind."""
    text = MANIFEST.replace("version: 7", "version: 7\nissued: '2026-01-01T00:00:00Z'")
    (tmp_path / "m.yaml").write_text(f"{text}expires: '2999-01-01T00:00:00Z'\nx-é: '\u202e'\n")
    before = set(tmp_path.iterdir())

    printed = oneiric("manifest", "pack", "--input", "m.yaml", folder=tmp_path)

    assert set(tmp_path.iterdir()) == before
    oneiric("manifest", "pack", "--input", "m.yaml", "--output", "o.json", folder=tmp_path)
    assert printed.out.encode() == (tmp_path / "o.json").read_bytes()


def test_a_faulty_manifest_is_refused_with_all_its_faults(call: Call, tmp_path: Path) -> None:
    """`lint` ends with 1, `pack` and `sign` with 2, and write nothing."""
    call("manifest keygen --output a.json")
    (tmp_path / "m.yaml").write_text(MANIFEST.replace("7", "0").replace("owner", "ownr"))

    code, out, _ = call("manifest lint m.yaml")
    packed = call("manifest pack --input m.yaml --output o.json")
    signed = answer(call("manifest sign --input m.yaml --key a.json --output o.json --json"), 2)

    assert code == 1
    assert out.splitlines() == [
        "m.yaml:3: error: version: Input should be greater than or equal to 1",
        "m.yaml:5: error: entries.0.ownr: unknown key; did you mean owner?",
        "m.yaml: 2 errors, 0 warnings",
    ]
    assert packed[0] == 2
    assert packed[2].startswith("error[invalid-manifest]: m.yaml is no manifest\n")
    problems = signed["error"]["details"]["problems"]
    assert [each["origin"] for each in problems] == ["m.yaml:3", "m.yaml:5"]
    assert not (tmp_path / "o.json").exists()


def test_a_key_is_told_by_its_public_half_only(call: Call, tmp_path: Path) -> None:
    """Neither what is printed nor a log has the private one or the passphrase."""
    (tmp_path / "secret").write_text("correct horse\n")
    code, out, err = call("--debug manifest keygen --output a.json --passphrase-file secret")
    data = (tmp_path / "a.json").read_bytes()
    key = PrivateKey.read(data, passphrase=b"correct horse")

    assert code == 0
    assert key.public.id in out
    assert key.public.text in out
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600
    line = "--debug manifest sign --input m.yaml --key a.json --output o.json"
    opened = call(f"{line} --passphrase-stdin", b"correct horse")
    sealed = call(line)
    wrong = call(f"{line} --passphrase-stdin", b"wrong staple")
    assert (opened[0], sealed[0], wrong[0]) == (0, 3, 3)
    assert "error[sealed-key]: a.json: the key is sealed" in sealed[2]
    everything = "".join((out, err, *opened[1:], *sealed[1:], *wrong[1:]))
    for secret in ("correct horse", "wrong staple", PrivateKey(key.seed).seed.hex()):
        assert secret not in everything
    assert json.loads(PrivateKey(key.seed).write())["seed"] not in everything


def test_a_key_by_default_lies_with_the_state(call: Call, tmp_path: Path) -> None:
    """Below `.oneiric_cache/keys`, which nobody else may enter."""
    found = answer(call("manifest keygen --json"))

    assert found["path"] == f".oneiric_cache/keys/{found['id'][:16]}.json"
    assert stat.S_IMODE((tmp_path / ".oneiric_cache" / "keys").stat().st_mode) == 0o700
    code, _, err = call(f"manifest keygen --output {found['path']}")
    assert (code, err.splitlines()[1]) == (2, "hint: --force replaces it")


def test_a_secret_signs(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a build whose secrets are variables; a sealed key file may be one too."""
    key = PrivateKey.generate()
    monkeypatch.setenv("ONEIRIC_SECRET_PUBLISHER", key.write(passphrase=b"horse").decode())
    line = "manifest sign --input m.yaml --key secret:publisher --passphrase-stdin --output o.json"

    assert call(line, b"horse\n")[0] == 0

    (signature,) = Envelope.parse((tmp_path / "o.json").read_bytes()).signatures
    assert signature.keyid == key.public.id
    assert call("manifest sign --input m.yaml --key secret:other --output o.json")[0] == 6


def test_looking_needs_no_trust_and_says_so(call: Call) -> None:
    """`inspect` and `diff` take what is signed and what is not."""
    published(call)

    _, shown, _ = call("manifest inspect out/m.json")
    code, same, _ = call("manifest diff m.yaml out/m.json --exit-code")
    call("manifest pack --input m.yaml --as-version 8 --output eight.json")
    changed = call("manifest diff out/m.json eight.json --exit-code")

    assert shown.startswith("not verified: anybody could have written this\n")
    assert "adapter  cache  acme" in shown
    assert (code, same) == (0, "no difference\n")
    assert changed[0] == 1
    assert "  version: 7 -> 8\n" in changed[1]
    assert call("manifest diff out/m.json eight.json")[0] == 0


def test_a_rotation_over_two_machines_ends_with_4_until_all_have_signed(
    call: Call, tmp_path: Path
) -> None:
    """Each step says what is missing; nothing is to be published before."""
    published(call)
    bob = answer(call("manifest keygen --output b.json --json"))

    code, out, _ = call(
        f"trust rotate root.json --key a.json --add-key public:{bob['public']} --threshold 2"
    )
    shown = answer(call("trust show 2.root.json --json"), 4)
    signed = call("trust sign 2.root.json --key b.json")

    assert code == 4
    assert f"missing: 1 more of the root keys of version 2: {bob['id']}\n" in out
    assert "not to be published yet" in out
    assert (shown["schema"], shown["complete"]) == ("oneiric.trust-root/1", False)
    assert (signed[0], "missing" in signed[1]) == (0, False)
    assert answer(call("trust show 2.root.json --json"))["checked"] == [1, 2]
    (tmp_path / "2.root.json").rename(tmp_path / "out" / "2.root.json")
    found = answer(call("manifest verify out/m.json --trust root.json --json"))
    assert found["root_version"] == 2


def test_a_revoked_key_is_shown_and_counts_no_more(call: Call) -> None:
    """With another in its place, or nobody could sign."""
    key = published(call)
    other = answer(call("manifest keygen --output b.json --json"))

    alone = call(f"trust revoke root.json {key['id']} --key a.json")
    line = f"trust revoke root.json {key['id'][:12]} --key a.json --add-key b.json"
    code, _, _ = call(f"{line} --add-manifest-key b.json --output out/2.root.json")

    assert (alone[0], code) == (2, 0)
    assert "1 must sign, but only 0 can" in alone[2]
    _, shown, _ = call("trust show out/2.root.json --before root.json")
    assert f"revoked {key['id']}\n" in shown
    assert other["id"] in shown
    assert call("manifest verify out/m.json --trust root.json")[0] == 3


def test_signatures_are_added_elsewhere(call: Call) -> None:
    """And what is signed is not signed by mistake again."""
    published(call)
    call("manifest keygen --output b.json")

    again = call("manifest sign --input out/m.json --key b.json --output out/m.json")
    added = call("manifest sign --input out/m.json --key b.json --append --output out/m.json")

    assert (again[0], again[2].splitlines()[1]) == (2, "hint: --append adds a signature")
    assert (added[0], added[1].count("signed by ")) == (0, 2)


def test_files_are_completed(tmp_path: Path) -> None:
    """Where a file is meant, the shell offers files."""
    for line in (
        "oneiric manifest lint ",
        "oneiric manifest pack --input ",
        "oneiric manifest verify m.json --trust ",
        "oneiric trust show ",
        "oneiric trust rotate root.json --key ",
    ):
        assert in_zsh(line, tmp_path).strip() == "_files"


@pytest.mark.parametrize("line", ["manifest", "trust"])
def test_help_is_shown_and_ends_well(line: str, call: Call) -> None:
    """Each group tells its verbs."""
    assert call(f"{line} --help")[0] == 0


def test_a_broken_configuration_does_not_stop_a_publisher(tmp_path: Path) -> None:
    """Who packs needs no runtime."""
    (tmp_path / "oneiric.toml").write_text("[nonsense]\n")
    (tmp_path / "m.yaml").write_text(MANIFEST)

    done = oneiric("manifest", "lint", "m.yaml", folder=tmp_path, variables=environment())

    assert (done.code, done.err) == (0, "")
    assert "nonsense" not in done.out
