"""Tell what may not be done here from what is wrong with a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oneiric.errors import RefusedError
from oneiric.validation.checks.spec import SAFE
from oneiric.validation.hosts import HostRefusedError, Hosts, Place

if TYPE_CHECKING:
    from oneiric.validation.settings import ValidationSettings

_FIELDS = frozenset({"url", "method"})


def refusal(
    check: Mapping[str, Any], fields: Iterable[str], settings: ValidationSettings
) -> RefusedError | None:
    """Return why a check may not be done here, where that is all that stands against it.

    Args:
        check: a check; a path is one of production, which may be asked.
        fields: those of its fields that its validator objects to.
        settings: which hosts and methods are allowed.
    """
    if check["kind"] != "live" or not _FIELDS.issuperset(fields):
        return None
    if settings.read_only and check["method"] not in SAFE:
        allowed = ", ".join(sorted(SAFE))
        return RefusedError(f"{check['method']} may not be sent: only {allowed} may")
    try:
        if "${" not in check["url"] and Place.of(check["url"]):
            Hosts(settings.prod_url, settings.allow_hosts).check(check["url"])
    except HostRefusedError as error:
        return error
    return None
