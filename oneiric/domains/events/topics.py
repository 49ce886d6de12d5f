"""Topics, and the patterns that match them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oneiric.errors import InvalidError

LONGEST = 255
_SEGMENT = re.compile(r"[^\s.*\x00-\x1f\x7f]+\Z")


def check_topic(topic: object) -> str:
    """Return *topic* if it may name what happened: segments joined by dots, without wildcards.

    Raises:
        InvalidError: it is no text, too long, or a segment is empty or has blanks or a `*`.
    """
    if not isinstance(topic, str):
        raise InvalidError(f"a topic is text, not {topic!r}")
    if len(topic) > LONGEST:
        raise InvalidError(f"a topic has at most {LONGEST} characters, not {len(topic)}")
    if not all(_SEGMENT.match(segment) for segment in topic.split(".")):
        raise InvalidError(
            f"{topic!r} is no topic", hint="write segments joined by dots, as in order.created"
        )
    return topic


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """Match topics exactly, or with `*` for one segment and `**` for any number of them.

    >>> TopicPattern("order.*").matches("order.created")
    True
    >>> [TopicPattern("order.**").matches(topic) for topic in ("order", "order.a.b", "orders")]
    [True, True, False]

    Raises:
        InvalidError: the text is no pattern; wildcards stand for whole segments only.
    """

    text: str

    def __post_init__(self) -> None:
        text: object = self.text
        if isinstance(text, str):
            text = ".".join("x" if each in ("*", "**") else each for each in text.split("."))
        check_topic(text)

    @property
    def segments(self) -> list[str]:
        """The parts between the dots."""
        return self.text.split(".")

    @property
    def is_exact(self) -> bool:
        """Whether it has no wildcard, so that it matches one topic only."""
        return "*" not in self.text

    def matches(self, topic: str) -> bool:
        """Tell whether *topic* matches, in time proportional to the segments of both."""
        if self.is_exact:
            return topic == self.text
        wanted = self.segments
        reached = _past_any({0}, wanted)
        for segment in topic.split("."):
            after = {at for at in reached if at < len(wanted) and wanted[at] == "**"}
            after |= {at + 1 for at in reached if at < len(wanted) and wanted[at] in ("*", segment)}
            reached = _past_any(after, wanted)
        return len(wanted) in reached


def _past_any(reached: set[int], wanted: list[str]) -> set[int]:
    """Add the places after every `**` that was reached, for it may stand for nothing."""
    found = set(reached)
    for at in sorted(reached):
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            found.add(at)
    return found
