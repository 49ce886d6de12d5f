"""How often to try again, and after how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oneiric.core.backoff import Backoff
from oneiric.errors import InvalidError, JSONValue, nearest

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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many attempts there are in all, and the backoff between them.

    >>> policy = RetryPolicy.parse({"max_attempts": 3, "base_delay": 0.5, "jitter": 0})
    >>> policy.attempts, policy.backoff.delay(2)
    (3, 1.0)
    """

    attempts: int = 1
    backoff: Backoff = Backoff(jitter=0.25)  # noqa: RUF009  frozen

    @classmethod
    def parse(cls, policy: JSONValue) -> RetryPolicy:
        """Return what `retry_policy` of a candidate's metadata says; delays are in seconds.

        Keys: `attempts` or `max_attempts`; `base_delay` or `initial_delay`; `max_delay` or
        `max_backoff`; `factor`; `jitter` or `backoff_jitter`, from 0 to 1.

        Raises:
            InvalidError: it is no table, or a key or value is wrong.
        """
        if policy is None:
            return cls()
        if not isinstance(policy, Mapping):
            raise InvalidError(f"a retry policy is a table, not {policy!r}")
        found: dict[str, float] = {}
        for key, value in policy.items():
            name = _KEYS.get(key, "")
            if not name:
                close = nearest(key, _KEYS)
                hint = f"did you mean {close}?" if close else f"keys: {', '.join(_KEYS)}"
                raise InvalidError(f"a retry policy has no {key!r}", hint=hint)
            if name in found:
                raise InvalidError(f"a retry policy has {key!r} and another key that means it")
            found[name] = _number(key, name, value)
        attempts = int(found.pop("attempts", 1))
        return cls(attempts, Backoff(**{"jitter": 0.25, **found}))

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"attempts", "base_delay", "max_delay", "factor", "jitter"}`."""
        return {
            "attempts": self.attempts,
            "base_delay": self.backoff.base_seconds,
            "max_delay": self.backoff.max_seconds,
            "factor": self.backoff.factor,
            "jitter": self.backoff.jitter,
        }

    @property
    def longest_seconds(self) -> float:
        """The seconds of all waits between attempts together, at most."""
        return sum(self.backoff.delay(attempt) for attempt in range(1, self.attempts))


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
