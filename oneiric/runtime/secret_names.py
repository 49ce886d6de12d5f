"""The names of the secrets that a configuration speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.domains import ALL, DomainSettings
from oneiric.errors import InvalidError, NotFoundError, nearest
from oneiric.remote.settings import RemoteSettings
from oneiric.runtime.secret_references import WORD, references_in
from oneiric.runtime.settings import SecretsSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from oneiric.config import Config


def names_in(config: Config) -> set[str]:
    """Return the secrets that settings of providers and of sources name, and those inline."""
    secrets, remote = config.section("secrets"), config.section("remote")
    assert isinstance(secrets, SecretsSettings)
    assert isinstance(remote, RemoteSettings)
    names = {*secrets.inline, *(each.credential for each in remote.sources.values())}
    for domain in ALL.values():
        section = config.section(domain.section)
        assert isinstance(section, DomainSettings)
        for settings in section.provider_settings.values():
            names |= {str(table[WORD]) for _, table in references_in(settings)}
    return names - {""}


def check_wanted(names: Collection[str], *, every: bool) -> None:
    """Pass if it is clear which secrets are to be rotated.

    Raises:
        InvalidError: names are given and all are wanted, or neither.
    """
    if bool(names) is every:
        hint = "oneiric secrets rotate --keys NAME,NAME, or --all"
        raise InvalidError("name the secrets, or ask for all, and not both", hint=hint)


def unknown_secret(name: str, known: Iterable[str], *, hint: str) -> NotFoundError:
    """Return the error for a secret that nobody knows, which tells no name but the nearest."""
    close = nearest(name, sorted(known))
    return NotFoundError("secret", name, hint=f"did you mean {close}?" if close else hint)
