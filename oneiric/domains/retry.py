"""How often to try again, and after how long."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.backoff import Backoff
from oneiric.errors import InvalidError, JSONValue, nearest
from oneiric.runs.plan import Retry

_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "attempts": "attempts",
        "max_attempts": "attempts",
        "base_delay": "base_seconds",
        "initial_delay": "base_seconds",
        "max_delay": "max_seconds",
        "max_backoff": "max_seconds",
        "factor": "factor",
        "jitter": "jitter",
        "backoff_jitter": "jitter",
    }
)
_MOST_ATTEMPTS = 1_000
_JITTER = 0.25
ONCE = Retry(backoff=Backoff(jitter=_JITTER))
"""What no policy means: one attempt."""


def read_retry(policy: JSONValue, *, errors: bool = False) -> Retry:
    """Return what `retry_policy` of a candidate's metadata says; delays are in seconds.

    Keys: `attempts` or `max_attempts`; `base_delay` or `initial_delay`; `max_delay` or
    `max_backoff`; `factor`; `jitter` or `backoff_jitter`, from 0 to 1. With *errors* there may
    be `on`: the codes or types of errors after which to try again; any without it.

    >>> retry = read_retry({"max_attempts": 3, "base_delay": 0.5, "jitter": 0})
    >>> retry.attempts, retry.backoff.delay(2)
    (3, 1.0)

    Raises:
        InvalidError: it is no table, or a key or value is wrong.
    """
    if policy is None:
        return ONCE
    if not isinstance(policy, Mapping):
        raise InvalidError(f"a retry policy is a table, not {policy!r}")
    found: dict[str, float] = {}
    on: tuple[str, ...] = ()
    for key, value in policy.items():
        name = _KEYS.get(key, "")
        if errors and key == "on":
            on = _names(value)
            continue
        if not name:
            close = nearest(key, _KEYS)
            hint = f"did you mean {close}?" if close else f"keys: {', '.join(_KEYS)}"
            raise InvalidError(f"a retry policy has no {key!r}", hint=hint)
        if name in found:
            raise InvalidError(f"a retry policy has {key!r} and another key that means it")
        found[name] = _number(key, name, value)
    attempts = int(found.pop("attempts", 1))
    return Retry(attempts=attempts, backoff=Backoff(**{"jitter": _JITTER, **found}), on=on)


def retry_json(retry: Retry) -> dict[str, JSONValue]:
    """Return `{"attempts", "base_delay", "max_delay", "factor", "jitter"}`, and `on` if any."""
    found: dict[str, JSONValue] = {
        "attempts": retry.attempts,
        "base_delay": retry.backoff.base_seconds,
        "max_delay": retry.backoff.max_seconds,
        "factor": retry.backoff.factor,
        "jitter": retry.backoff.jitter,
    }
    return {**found, "on": list(retry.on)} if retry.on else found


def longest_seconds(retry: Retry) -> float:
    """Return the seconds of all waits between attempts together, at most."""
    return sum(retry.backoff.delay(attempt) for attempt in range(1, retry.attempts))


def _names(value: JSONValue) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list | tuple) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidError(f"on of a retry policy is a list of error codes or types, not {value!r}")
    return tuple(map(str, names))


def _number(key: str, name: str, value: JSONValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(f"{key} of a retry policy is a number, not {value!r}")
    least, most = {
        "attempts": (1, _MOST_ATTEMPTS),
        "factor": (1, 100),
        "jitter": (0, 1),
    }.get(name, (0, 86_400))
    if not least <= value <= most or (name == "attempts" and value != int(value)):
        raise InvalidError(f"{key} of a retry policy lies between {least} and {most}, not {value}")
    return value
