"""Profiles: named sets of settings that are laid over the file."""

from collections.abc import Mapping

from oneiric.errors import ConfigError, JSONValue, nearest

PROFILES: Mapping[str, Mapping[str, JSONValue]] = {
    "default": {},
    "serverless": {
        "logging": {"emit_json": True},
        "remote": {"enabled": False},
        "runtime_supervisor": {"enabled": True},
        "watch": {"enabled": False, "poll_interval": 5.0},
    },
}
"""The built-in profiles. A section that was not handed in is left out of them."""


def built_in(name: str, *, written: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    """Return the built-in settings of the profile *name*; none for one that a file defines.

    >>> built_in("serverless", written={})["logging"]
    {'emit_json': True}

    Raises:
        ConfigError: neither built in nor *written* in the file.
    """
    if name in PROFILES or name in written:
        return PROFILES.get(name, {})
    known = sorted({*PROFILES, *written})
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else f"profiles: {', '.join(known)}"
    raise ConfigError(f"there is no profile {name}", hint=hint)
