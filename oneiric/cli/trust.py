"""Commands about trust roots: write the first, show one, replace keys, revoke one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oneiric.cli.keys import Force, Keys, Lasts, PassphraseFile, PassphraseStdin, keyring
from oneiric.cli.output import AsJSON, foreign_aside, show, show_json, show_table
from oneiric.runtime.manifest_desk import lasting
from oneiric.runtime.trust_desk import RoleChange, Rotation, TrustDesk

if TYPE_CHECKING:
    from oneiric.remote.security import PublicKey
    from oneiric.runtime.keyring import Keyring
    from oneiric.runtime.trust_answers import TrustFile
    from oneiric.runtime.trust_desk import Key

HELP = "Say whose manifests are trusted, and replace keys."
WAITING = 4

app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)

Root: TypeAlias = Annotated[Path, typer.Argument(help="A trust root.", metavar="ROOT")]
AnyKeys: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--key",
        help="A root key: its file, secret:NAME, or public:TEXT of one that signs elsewhere.",
        metavar="KEY",
    ),
]
Threshold: TypeAlias = Annotated[
    int | None, typer.Option(help="How many root keys have to sign the next root.", min=1)
]
ManifestThreshold: TypeAlias = Annotated[
    int | None, typer.Option(help="How many keys have to sign a manifest.", min=1)
]
Factories: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="A package from which manifests may name factories. Again for more."),
]
Hosts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="A host from which manifests may name artifacts. Again for more."),
]
AddKeys: TypeAlias = Annotated[
    list[str] | None, typer.Option("--add-key", help="A new root key.", metavar="KEY")
]
AddManifestKeys: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--add-manifest-key", help="A new key for manifests.", metavar="KEY"),
]
Output: TypeAlias = Annotated[
    Path | None, typer.Option(help="Where to write it; <N>.root.json beside ROOT without.")
]
InPlace: TypeAlias = Annotated[
    Path | None, typer.Option("--output", help="Where to write it; in place without.")
]
Before: TypeAlias = Annotated[
    Path | None, typer.Option(help="The root before; looked for beside ROOT without.")
]


@app.callback()
def group() -> None:
    """Say whose manifests are trusted, and replace keys."""


@app.command()
def init(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="Of which manifests it tells; they bear the name.")],
    key: AnyKeys,
    output: Annotated[Path, typer.Option(help="Where to write it.")],
    threshold: Threshold = None,
    manifest_key: Annotated[
        list[str] | None,
        typer.Option(help="A key for manifests; the root keys without.", metavar="KEY"),
    ] = None,
    manifest_threshold: ManifestThreshold = None,
    factories: Factories = None,
    hosts: Hosts = None,
    expires_in: Lasts = "365d",
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Write the first trust root, for those who shall trust you to pin.

    It ends with exit code 4 while signatures are missing.
    """
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    with foreign_aside():
        roots, manifests = _new_keys(ring, key, manifest_key)
    change = Rotation(
        root=RoleChange(add=roots, threshold=threshold),
        manifest=RoleChange(add=manifests, threshold=manifest_threshold),
        factories=tuple(factories or ()),
        hosts=tuple(hosts or ()),
        lasts=lasting(expires_in),
    )
    _show_written(TrustDesk().init(output, name=name, change=change, force=force), as_json=as_json)


@app.command("show")
def show_root(path: Root, *, before: Before = None, as_json: AsJSON = False) -> None:
    """Show a trust root: its keys, what they may vouch for, and who signed it.

    It ends with exit code 4 while signatures are missing.
    """
    answer = TrustDesk().show(path, before=before)
    if as_json:
        show_json(answer.as_json())
    else:
        _show_root(answer)
    _leave(answer)


@app.command()
def rotate(
    context: typer.Context,
    path: Root,
    *,
    key: Keys,
    add_key: AddKeys = None,
    remove_key: Annotated[
        list[str] | None,
        typer.Option("--remove-key", help="A root key that goes, by its id.", metavar="ID"),
    ] = None,
    add_manifest_key: AddManifestKeys = None,
    remove_manifest_key: Annotated[
        list[str] | None,
        typer.Option(
            "--remove-manifest-key", help="A key for manifests that goes, by its id.", metavar="ID"
        ),
    ] = None,
    threshold: Threshold = None,
    manifest_threshold: ManifestThreshold = None,
    factories: Factories = None,
    hosts: Hosts = None,
    expires_in: Lasts = "365d",
    output: Output = None,
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Write the trust root that follows ROOT, with other keys or only a later expiry.

    It needs the signatures of the keys before and of the new ones; those that are missing,
    `oneiric trust sign` adds. It ends with exit code 4 until then.
    """
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    with foreign_aside():
        keys = [ring.private(each) for each in key]
        roots, manifests = _new_keys(ring, add_key, add_manifest_key)
    change = Rotation(
        root=RoleChange(add=roots, remove=tuple(remove_key or ()), threshold=threshold),
        manifest=RoleChange(
            add=manifests, remove=tuple(remove_manifest_key or ()), threshold=manifest_threshold
        ),
        factories=tuple(factories) if factories else None,
        hosts=tuple(hosts) if hosts else None,
        lasts=lasting(expires_in),
    )
    answer = TrustDesk().rotate(path, keys, change=change, output=output, force=force)
    _show_written(answer, as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    path: Root,
    keyid: Annotated[list[str], typer.Argument(help="The key's id.", metavar="KEYID")],
    *,
    key: Keys,
    add_key: AddKeys = None,
    add_manifest_key: AddManifestKeys = None,
    expires_in: Lasts = "365d",
    output: Output = None,
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Write the trust root that follows ROOT, in which a key counts for nothing any more."""
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    with foreign_aside():
        keys = [ring.private(each) for each in key]
        roots, manifests = _new_keys(ring, add_key, add_manifest_key)
    change = Rotation(
        root=RoleChange(add=roots),
        manifest=RoleChange(add=manifests),
        revoke=tuple(keyid),
        lasts=lasting(expires_in),
    )
    answer = TrustDesk().rotate(path, keys, change=change, output=output, force=force)
    _show_written(answer, as_json=as_json)


@app.command()
def sign(
    context: typer.Context,
    path: Root,
    *,
    key: Keys,
    before: Before = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write it; in place without.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    as_json: AsJSON = False,
) -> None:
    """Add signatures to a trust root, and tell which are missing still."""
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    with foreign_aside():
        keys = [ring.private(each) for each in key]
    answer = TrustDesk().sign(path, keys, before=before, output=output)
    _show_written(answer, as_json=as_json)


def _new_keys(
    ring: Keyring, roots: list[str] | None, manifests: list[str] | None
) -> tuple[tuple[Key, ...], tuple[PublicKey, ...]]:
    """Return the keys that shall sign roots, which may sign at once, and those for manifests."""
    return (
        tuple(ring.either(each) for each in roots or ()),
        tuple(ring.public(each) for each in manifests or ()),
    )


def _show_written(answer: TrustFile, *, as_json: bool) -> None:
    if as_json:
        show_json(answer.as_json())
    else:
        show(f"written: {answer.path}, {answer.root.name} version {answer.root.version}")
        _show_missing(answer)
    _leave(answer)


def _show_root(answer: TrustFile) -> None:
    root = answer.root
    show(f"{root.name} version {root.version}, until {root.expires:%Y-%m-%d %H:%M} UTC")
    for name, role in (("root", root.roles.root), ("manifest", root.roles.manifest)):
        end = "\n" if name == "manifest" else ""
        show(f"{name}: {role.threshold} of {len(role.keys)} keys have to sign{end}")
    rows = [
        (
            keyid,
            " ".join(name for name in ("root", "manifest") if keyid in root.usable(name)) or "-",
            "yes" if keyid in answer.signers else "no",
            ", ".join(key.factories) or "-",
            ", ".join(key.hosts) or "-",
            key.note,
        )
        for keyid, key in root.keys.items()
    ]
    headers = ("key", "signs", "signed", "factories", "hosts", "note")
    show_table(headers, rows, empty="no keys")
    show("\n".join(f"revoked {keyid}" for keyid in root.revoked))
    _show_missing(answer)


def _show_missing(answer: TrustFile) -> None:
    for each in answer.missing:
        keys = f"of the root keys of version {each.version}"
        show(f"missing: {each.count} more {keys}: {', '.join(each.may_sign)}")
    if answer.missing:
        show(f"not to be published yet; next: oneiric trust sign {answer.path} --key KEY")
    elif answer.root.version - 1 not in (0, *answer.checked):
        show("whether the root before agrees is not known: name it with --before")


def _leave(answer: TrustFile) -> None:
    if not answer.is_complete:
        raise typer.Exit(WAITING)
