"""Commands about manifests: write, pack, sign, verify, look at and compare them; make keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oneiric.cli.keys import Force, Keys, Lasts, PassphraseFile, PassphraseStdin, keyring
from oneiric.cli.output import AsJSON, foreign_aside, show, show_json, show_table
from oneiric.runtime.manifest_desk import ManifestDesk, lasting
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.errors import JSONValue, Problem
    from oneiric.runtime.manifest_answers import FieldChange, ManifestFile

HELP = "Write, pack, sign, verify and compare manifests."

app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)

Manifest: TypeAlias = Annotated[
    Path, typer.Argument(help="A manifest, packed, signed or neither.", metavar="FILE")
]
Input: TypeAlias = Annotated[
    Path, typer.Option("--input", help="A manifest: YAML, TOML, JSON or signed.")
]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", help="Where to write it; stdout without.")
]
Version: TypeAlias = Annotated[
    int | None,
    typer.Option("--as-version", help="The version, instead of the one it says.", min=1),
]


@app.callback()
def group() -> None:
    """Write, pack, sign, verify and compare manifests."""


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.", metavar="[FILE]")] = Path(
        "manifest.yaml"
    ),
    *,
    name: Annotated[str, typer.Option(help="What is published; it never changes.")] = "acme",
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Write a manifest to start from, with a remark at each field."""
    answer = ManifestDesk().init(path, name=name, force=force)
    if as_json:
        show_json(answer.as_json())
    else:
        show(f"written: {answer.path}\nnext: oneiric manifest lint {answer.path}")


@app.command()
def pack(
    *,
    path: Input,
    output: Output = None,
    expires_in: Lasts = "",
    version: Version = None,
    as_json: AsJSON = False,
) -> None:
    """Turn a manifest into canonical JSON; what is signed already stays as it is.

    Missing times are filled in: issued now, expiring 30 days later. Anything wrong in it
    refuses the whole.
    """
    lasts = _lasting(expires_in)
    answer = ManifestDesk().pack(path, output=output, lasts=lasts, version=version)
    _show_file(answer, "packed", as_json=as_json)


@app.command()
def keygen(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; below .oneiric_cache/keys without.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Make a key pair; the file that holds the private half is its owner's alone."""
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    answer = ring.generate(output, force=force)
    if as_json:
        show_json(answer.as_json())
        return
    sealed = ", sealed with the passphrase" if answer.is_sealed else ""
    show(f"id      {answer.public.id}\npublic  {answer.public.text}\nprivate {answer.path}{sealed}")


@app.command()
def sign(
    context: typer.Context,
    *,
    path: Input,
    key: Keys,
    output: Output = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the signatures of a signed one.")
    ] = False,
    expires_in: Lasts = "",
    version: Version = None,
    passphrase_file: PassphraseFile = None,
    passphrase_stdin: PassphraseStdin = False,
    as_json: AsJSON = False,
) -> None:
    """Pack a manifest and sign it, by one key or several; or add a signature."""
    ring = keyring(context, passphrase_file, stdin=passphrase_stdin)
    with foreign_aside():
        keys = [ring.private(name) for name in key]
    lasts = _lasting(expires_in)
    answer = ManifestDesk().sign(
        path, keys, output=output, append=append, lasts=lasts, version=version
    )
    _show_file(answer, "signed", as_json=as_json)


@app.command()
def verify(
    path: Manifest,
    *,
    trust: Annotated[Path, typer.Option(help="The trust root that is pinned.")],
    as_json: AsJSON = False,
) -> None:
    """Tell whether a trust root trusts a signed manifest at this time, and who signed it.

    It ends with exit code 3 where it does not; each reason has its own error code. Newer roots
    that lie beside the manifest, <N>.root.json, are followed.
    """
    answer = ManifestDesk().verify(path, trust=trust)
    if as_json:
        show_json(answer.as_json())
        return
    head = answer.manifest.head
    show(f"verified: {head.name} version {head.version}, until {head.expires:%Y-%m-%d %H:%M} UTC")
    show(f"digest {answer.digest}, trust root version {answer.root_version}")
    show(f"signed by {len(answer.signers)}, {answer.threshold} needed")
    show("\n".join(f"  {keyid}" for keyid in answer.signers))
    show(f"{len(answer.manifest.entries)} entries, {len(answer.quarantined)} in quarantine")
    for each in answer.quarantined:
        show(f"  {each.offer or f'entry {each.index}'}: {each.reason}")


@app.command()
def inspect(path: Manifest, *, as_json: AsJSON = False) -> None:
    """Show what a manifest says, signed or not; whether to trust it is not asked."""
    answer = ManifestDesk().inspect(path)
    if as_json:
        show_json(answer.as_json())
        return
    head = answer.manifest.head
    show("not verified: anybody could have written this\n")
    show(f"{head.name} version {head.version}, stack {answer.manifest.stack}")
    show(f"issued {head.issued:%Y-%m-%d %H:%M}, expires {head.expires:%Y-%m-%d %H:%M} UTC")
    show(f"digest {answer.digest}")
    signed = f"claims {len(answer.signers)} signatures" if answer.is_envelope else "not signed"
    show(f"{signed}\n" + "".join(f"  {keyid}\n" for keyid in answer.signers))
    rows = [
        (each.domain, each.key, each.provider, each.version, each.priority, each.factory)
        for domain in answer.by_domain()
        for each in answer.manifest.entries
        if each.domain == domain
    ]
    headers = ("domain", "key", "provider", "version", "priority", "factory")
    show_table(headers, rows, empty="no entries")
    for fault in answer.manifest.faults:
        show(f"cannot be followed: {fault.offer or f'entry {fault.index}'}: {fault.reason}")


@app.command()
def diff(
    before: Manifest,
    after: Manifest,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with exit code 1 where they differ.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show what changed from one manifest to another, field by field."""
    answer = ManifestDesk().diff(before, after)
    if as_json:
        show_json(answer.as_json())
    else:
        show("" if not answer.is_empty else "no difference")
        _show_changes(answer.head)
        show("\n".join(f"added    {offer}" for offer in answer.added))
        show("\n".join(f"removed  {offer}" for offer in answer.removed))
        for offer, fields in answer.changed.items():
            show(f"changed  {offer}")
            _show_changes(fields)
    if exit_code and not answer.is_empty:
        raise typer.Exit(1)


@app.command()
def lint(
    path: Manifest,
    *,
    factories: Annotated[
        list[str] | None,
        typer.Option(help="A package under which factories shall lie. Again for more."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 for warnings too.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show everything that is wrong with a manifest, and what may not be meant.

    It ends with exit code 1 where something is wrong.
    """
    answer = ManifestDesk().lint(path, factories=factories or ())
    if as_json:
        show_json(answer.as_json())
    else:
        _show_problems("error", answer.errors)
        _show_problems("warning", answer.warnings)
        show(f"{answer.path}: {len(answer.errors)} errors, {len(answer.warnings)} warnings")
    if answer.errors or (strict and answer.warnings):
        raise typer.Exit(1)


def _lasting(text: str) -> timedelta | None:
    return lasting(text) if text else None


def _show_file(answer: ManifestFile, verb: str, *, as_json: bool) -> None:
    """Tell what was written; without a file print the bytes themselves, and nothing else.

    Of the warnings those about the whole are told, as that it is about to expire.
    """
    for each in answer.warnings:
        if "." in each.key:  # of one entry: that is for lint
            continue
        sys.stderr.write(printable(f"warning: {each}\n"))
    if as_json:
        show_json(answer.as_json())
    elif not answer.path:
        sys.stdout.flush()
        sys.stdout.buffer.write(answer.data)
        sys.stdout.buffer.write(b"\n" if sys.stdout.isatty() else b"")
    else:
        head = answer.manifest.head
        show(f"{verb}: {answer.path}, {head.name} version {head.version}")
        show(f"{len(answer.manifest.entries)} entries, until {head.expires:%Y-%m-%d %H:%M} UTC")
        show("\n".join(f"signed by {keyid}" for keyid in answer.signers))


def _show_problems(level: str, problems: Iterable[Problem]) -> None:
    for each in problems:
        show(f"{each.origin}: {level}: {each.key}: {each.what}")


def _show_changes(fields: Iterable[FieldChange]) -> None:
    for each in fields:
        before, after = (_short(value) for value in (each.before, each.after))
        show(f"  {each.name}: {before} -> {after}")


def _short(value: JSONValue) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)
