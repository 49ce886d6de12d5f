"""Values of a message's context, as people read them."""

from oneiric.documents import canonical
from oneiric.errors import JSONValue


def as_text(value: JSONValue, *, most: int) -> str:
    """Return text as it is and any other value as JSON, cut to *most* characters.

    >>> as_text("eu", most=10), as_text({"n": [1]}, most=10), as_text("x" * 20, most=5)
    ('eu', '{"n":[1]}', 'xxxx…')
    """
    text = value if isinstance(value, str) else canonical(value).decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"
