"""What may be a name, and words given one at a time or several."""

import re
from collections.abc import Iterable

NAME_LIMIT = 200
ALPHABET = (
    "names use letters, digits, dot, dash and underscore, begin with a letter or "
    f"digit, hold no '..' and at most {NAME_LIMIT} characters"
)
"""What a name is, for who wrote one that is none."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*\Z")


def is_name(text: object) -> bool:
    """Tell whether *text* may name a domain, key, provider, stack or capability.

    >>> is_name("fastblocks.workflows.fulfillment"), is_name("../../x"), is_name("")
    (True, False, False)
    """
    return isinstance(text, str) and len(text) <= NAME_LIMIT and _NAME.match(text) is not None


def words(given: Iterable[str]) -> frozenset[str]:
    """Return a set of words, where a single text is one word and not its letters.

    >>> words("ttl") == words(["ttl"])
    True
    """
    return frozenset((given,)) if isinstance(given, str) else frozenset(given)
