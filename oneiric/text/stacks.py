"""A stack order as people write it, `base,team,site:50`, to levels by name."""

import re
from collections.abc import Mapping

from oneiric.errors import ConfigError, Problem
from oneiric.text.names import is_name

STEP = 10
_WHOLE = re.compile(r"-?[0-9]{1,15}\Z")


def read_stacks(text: str, *, origin: str) -> dict[str, int]:
    """Read `name` and `name:level` tokens, separated by commas, from bottom to top.

    The first bare name has level 0, each further one stands 10 above what precedes it.

    >>> read_stacks("base,team,site:50", origin="ONEIRIC_STACK_ORDER")
    {'base': 0, 'team': 10, 'site': 50}

    Raises:
        ConfigError: a token is no name, repeats one, or does not rise; it shows the token.
    """
    levels: dict[str, int] = {}
    last: int | None = None
    bare = False
    for token in (part.strip() for part in text.split(",") if text.strip()):
        name, colon, number = map(str.strip, token.partition(":"))
        level = _level(number) if colon else (last or 0) + STEP if bare else 0
        reason = _refusal(name, level, last, levels) if is_name(name) else "does not name a stack"
        if reason or level is None:
            problems = [Problem("stack_order", f"{token!r} {reason}", origin)]
            hint = "list stacks bottom to top, as in base,team,site:50"
            raise ConfigError("the stack order is not valid", problems=problems, hint=hint)
        levels[name] = last = level
        bare = bare or not colon
    return levels


def _level(number: str) -> int | None:
    return int(number) if _WHOLE.match(number) else None


def _refusal(name: str, level: int | None, last: int | None, levels: Mapping[str, int]) -> str:
    if name in levels:
        return f"names {name} a second time"
    if level is None:
        return "has a level that is not a whole number"
    if last is not None and level <= last:
        return f"has level {level}, which does not rise above {last}"
    return ""
